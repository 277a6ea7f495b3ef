//! Postfix and Dovecot.

use std::sync::LazyLock;

use canh_schema::{Event, Value, field};
use compact_str::CompactString;

use super::template::Outcome::{Failure, Success, Unsaid};
use super::template::{Line, Table, line};

const AUTH: &str = "authentication";
const MAIL: &str = "email";

static POSTFIX_LINES: &[Line] = &[
    line(
        "mail_login",
        Failure,
        AUTH,
        "warning: {source.domain}[{source.ip}]: SASL {mail.method} authentication failed: {event.reason}, sasl_username={user.name}",
    ),
    line(
        "mail_login",
        Failure,
        AUTH,
        "warning: {source.domain}[{source.ip}]: SASL {mail.method} authentication failed: {event.reason}",
    ),
    line(
        "mail_login",
        Success,
        AUTH,
        "{mail.queue_id}: client={source.domain}[{source.ip}], sasl_method={mail.method}, sasl_username={user.name}",
    ),
    line("mail_received", Unsaid, MAIL, "{mail.queue_id}: client={source.domain}[{source.ip}]"),
    line(
        "mail_queued",
        Unsaid,
        MAIL,
        "{mail.queue_id}: from=<{mail.from}>, size={mail.size}, nrcpt={mail.recipients} (",
    ),
    line(
        "mail_delivery",
        Unsaid,
        MAIL,
        "{mail.queue_id}: to=<{mail.to}>, orig_to=<{mail.original_to}>, relay={mail.relay}, delay={mail.delay}, delays={mail.delays}, dsn={mail.dsn}, status={mail.status} ({event.reason}",
    ),
    line(
        "mail_delivery",
        Unsaid,
        MAIL,
        "{mail.queue_id}: to=<{mail.to}>, relay={mail.relay}, conn_use={mail.uses}, delay={mail.delay}, delays={mail.delays}, dsn={mail.dsn}, status={mail.status} ({event.reason}",
    ),
    line(
        "mail_delivery",
        Unsaid,
        MAIL,
        "{mail.queue_id}: to=<{mail.to}>, relay={mail.relay}, delay={mail.delay}, delays={mail.delays}, dsn={mail.dsn}, status={mail.status} ({event.reason}",
    ),
    line(
        "mail_rejected",
        Failure,
        MAIL,
        "NOQUEUE: reject: {mail.stage} from {source.domain}[{source.ip}]: {event.reason}",
    ),
    line("mail_connect", Unsaid, "network", "connect from {source.domain}[{source.ip}]"),
    line("mail_removed", Unsaid, MAIL, "{mail.queue_id}: removed"),
];

static POSTFIX: LazyLock<Table> = LazyLock::new(|| Table::new(POSTFIX_LINES));

/// Behind `imap-login: `, `pop3-login: ` and the like, up to the pairs.
static DOVECOT_LINES: &[Line] = &[
    line("mailbox_login", Success, AUTH, "Login: "),
    line("mailbox_login", Failure, AUTH, "Disconnected (auth failed, {mail.attempts} attempts"),
    line("mailbox_login", Failure, AUTH, "Disconnected: Connection closed (auth failed, {mail.attempts} attempts"),
    line("mailbox_login", Failure, AUTH, "Aborted login (auth failed, {mail.attempts} attempts"),
    line(
        "mailbox_login",
        Failure,
        AUTH,
        "Disconnected: Aborted login by logging out (auth failed, {mail.attempts} attempts",
    ),
    line("mailbox_connect", Unsaid, AUTH, "Disconnected (no auth attempts"),
    line("mailbox_connect", Unsaid, AUTH, "Aborted login (no auth attempts"),
];

static DOVECOT: LazyLock<Table> = LazyLock::new(|| Table::new(DOVECOT_LINES));

pub(super) fn postfix(event: &mut Event, message: &str) {
    POSTFIX.apply(event, message);
    let status = event.attr("mail.status").and_then(Value::as_str).map(CompactString::from);
    if let Some(status) = status {
        event.set(field::EVENT_OUTCOME, if status == "sent" { "success" } else { "failure" });
    }
    // A name is only there if the address has one.
    if event.get(field::SOURCE_DOMAIN).and_then(Value::as_str) == Some("unknown") {
        event.fields.retain(|(id, _)| *id != field::SOURCE_DOMAIN);
    }
}

/// Most values of one line that are looked at.
const VALUES_MAX: usize = 24;

/// `imap-login: Login: user=<canbo01>, method=PLAIN, rip=203.0.113.9, lip=10.20.1.5, mpid=812, TLS`.
pub(super) fn dovecot(event: &mut Event, message: &str) {
    let Some((process, rest)) = message.split_once("-login: ") else { return };
    if process.contains(' ') || DOVECOT.apply(event, rest).is_none() {
        return;
    }
    event.set(field::NETWORK_PROTOCOL, process);
    for (name, value) in rest.split(", ").filter_map(|word| word.rsplit_once('=')).take(VALUES_MAX) {
        let name = name.rsplit(' ').next().unwrap_or(name);
        match name {
            "user" => event.set(field::USER_NAME, value.trim_matches(['<', '>'])),
            "method" => event.attrs.push(("mail.method".into(), Value::from(value))),
            "rip" => drop(super::project::set_text(event, field::SOURCE_IP, value)),
            "lip" => drop(super::project::set_text(event, field::DESTINATION_IP, value)),
            _ => (),
        }
    }
}
