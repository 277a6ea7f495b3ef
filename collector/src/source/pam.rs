//! Lines of PAM modules, which any program may write: `pam_unix(sshd:session): session opened for user root`.

use std::sync::LazyLock;

use canh_schema::{Event, Value, field};

use super::project;
use super::template::Outcome::{Failure, Success, Unsaid};
use super::template::{Line, Table, line};

static LINES: &[Line] = &[
    line(
        "session_start",
        Success,
        "session",
        "session opened for user {user.target.name}(uid={pam.uid}) by {user.name}(uid={user.id})",
    ),
    line(
        "session_start",
        Success,
        "session",
        "session opened for user {user.target.name} by {user.name}(uid={user.id})",
    ),
    line("session_start", Success, "session", "session opened for user {user.target.name}"),
    line("session_end", Unsaid, "session", "session closed for user {user.name}"),
    line("authentication", Failure, "authentication", "authentication failure;"),
    line("authentication", Failure, "authentication", "check pass; user unknown"),
    line("authentication", Failure, "authentication", "auth could not identify password for [{user.name}]"),
    line("password_change", Success, "iam", "password changed for {user.name}"),
    line("account_expired", Failure, "authentication", "account {user.name} has expired"),
    line(
        "account_locked",
        Failure,
        "authentication",
        "Consecutive login failures for user {user.name} account temporarily locked",
    ),
];

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(LINES));

/// Reads the line if a PAM module wrote it. Answers whether one did.
pub(crate) fn apply(event: &mut Event, message: &str) -> bool {
    if let Some(rest) = message.strip_prefix("PAM ") {
        // sshd's summary: `PAM 2 more authentication failures; logname= uid=0 … rhost=203.0.113.9  user=root`.
        if !rest.contains("more authentication failure") {
            return false;
        }
        super::template::describe(event, "authentication", Failure, "authentication");
        pairs(event, rest);
        return true;
    }
    let Some((module, rest)) = message.strip_prefix("pam_").and_then(|rest| rest.split_once('(')) else { return false };
    let Some((service, rest)) = rest.split_once("): ") else { return false };
    if module.contains(' ') {
        return false;
    }
    let (service, kind) = service.split_once(':').unwrap_or((service, ""));
    event.attrs.push(("pam.module".into(), Value::from(format!("pam_{module}"))));
    event.attrs.push(("pam.service".into(), Value::from(service)));
    if !kind.is_empty() {
        event.attrs.push(("pam.type".into(), Value::from(kind)));
    }
    TABLE.apply(event, rest);
    if rest.contains(';') {
        pairs(event, rest);
    }
    // A daemon that opens a session for somebody is nobody itself: the session's user is the one who acts.
    let acts = event.get(field::USER_NAME).is_some();
    if let (false, Some(target)) = (acts, event.get(field::USER_TARGET_NAME).cloned()) {
        event.set(field::USER_NAME, target);
        event.fields.retain(|(id, _)| *id != field::USER_TARGET_NAME && *id != field::USER_ID);
    }
    true
}

/// Most values of one line that are kept; PAM writes seven.
const VALUES_MAX: usize = 16;

/// `logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root` behind the semicolon.
fn pairs(event: &mut Event, text: &str) {
    let Some((_, text)) = text.split_once(';') else { return };
    for (key, value) in text.split_ascii_whitespace().filter_map(|word| word.split_once('=')).take(VALUES_MAX) {
        match key {
            _ if value.is_empty() => continue,
            "user" => event.set(field::USER_NAME, value),
            "rhost" if !project::set_text(event, field::SOURCE_IP, value) => event.set(field::SOURCE_DOMAIN, value),
            _ => (),
        }
        event.attrs.push((compact_str::format_compact!("pam.{key}"), Value::from(value)));
    }
}
