//! OpenLDAP's slapd with `loglevel stats`. A connection's address, its account and the outcome stand in three lines; the
//! lines of one connection that arrive in one batch are told what the earlier ones said.

use std::sync::LazyLock;

use canh_schema::{Event, FieldId, Value, field};
use compact_str::CompactString;
use rustc_hash::FxHashMap;

use super::project;
use super::template::Outcome::{Failure, Success, Unsaid};
use super::template::{Line, Table, describe, line};

/// What stands behind `conn=1001 op=0 ` or `conn=1001 fd=12 `.
static LINES: &[Line] = &[
    line("ldap_connect", Unsaid, "network", "ACCEPT from IP={ldap.peer} (IP={ldap.local})"),
    line("ldap_connect", Unsaid, "network", "ACCEPT from PATH={ldap.peer} (PATH={ldap.local})"),
    line("ldap_disconnect", Unsaid, "network", "closed"),
    line("ldap_bind_as", Unsaid, "authentication", "BIND dn=\"{ldap.dn*}\" mech={ldap.mechanism} "),
    line("ldap_bind", Unsaid, "authentication", "BIND dn=\"{ldap.dn*}\" method={ldap.method}"),
    line("ldap_unbind", Unsaid, "authentication", "UNBIND"),
    line("ldap_starttls", Unsaid, "network", "STARTTLS"),
    line(
        "ldap_search",
        Unsaid,
        "iam",
        "SRCH base=\"{ldap.base}\" scope={ldap.scope} deref={ldap.deref} filter=\"{ldap.filter*}\"",
    ),
    line("ldap_search_attributes", Unsaid, "iam", "SRCH attr={ldap.attributes}"),
    line("ldap_modify", Unsaid, "iam", "MOD dn=\"{ldap.target*}\""),
    line("ldap_modify_attributes", Unsaid, "iam", "MOD attr={ldap.attributes}"),
    line("ldap_add", Unsaid, "iam", "ADD dn=\"{ldap.target*}\""),
    line("ldap_delete", Unsaid, "iam", "DEL dn=\"{ldap.target*}\""),
    line("ldap_rename", Unsaid, "iam", "MODRDN dn=\"{ldap.target*}\""),
    line("ldap_compare", Unsaid, "iam", "CMP dn=\"{ldap.target*}\" attr=\"{ldap.attributes}\""),
    line("ldap_password_change", Unsaid, "iam", "PASSMOD id=\"{ldap.target*}\" new old"),
    line("ldap_password_change", Unsaid, "iam", "PASSMOD id=\"{ldap.target*}\""),
    line("ldap_password_change", Unsaid, "iam", "PASSMOD"),
];

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(LINES));

/// Reads one line of slapd.
pub(crate) fn apply(event: &mut Event, message: &str) {
    let Some(rest) = message.strip_prefix("conn=") else { return };
    let Some((connection, rest)) = rest.split_once(' ') else { return };
    attr(event, "ldap.connection", connection);
    let rest = match rest.split_once(' ') {
        Some((number, after)) if number.starts_with("fd=") => after,
        Some((number, after)) if number.starts_with("op=") => {
            attr(event, "ldap.operation", &number[3..]);
            after
        }
        _ => rest,
    };
    if rest.starts_with("RESULT ") || rest.starts_with("SEARCH RESULT ") {
        return result(event, rest);
    }
    TABLE.apply(event, rest);
    if let Some(peer) = text(event, "ldap.peer")
        && let Some((address, port)) = peer.rsplit_once(':')
    {
        project::set_text(event, field::SOURCE_IP, address.trim_matches(['[', ']']));
        project::set_text(event, field::SOURCE_PORT, port);
    }
    if let Some(dn) = text(event, "ldap.dn") {
        if dn.is_empty() {
            event.set(field::USER_NAME, "anonymous");
        } else {
            event.set(field::USER_NAME, dn);
        }
    }
    if let Some(target) = text(event, "ldap.target").filter(|target| !target.is_empty()) {
        event.set(field::USER_TARGET_NAME, target);
    }
}

/// `RESULT tag=97 err=49 qtime=0.000010 etime=0.000204 text=`, `SEARCH RESULT tag=101 err=0 nentries=12 text=`.
fn result(event: &mut Event, rest: &str) {
    let (values, reason) = rest.split_once(" text=").unwrap_or((rest, ""));
    for (name, value) in values.split(' ').filter_map(|word| word.split_once('=')).take(8) {
        match name {
            "tag" => attr(event, "ldap.tag", value),
            "err" => {
                event.set(field::EVENT_CODE, value);
                attr(event, "ldap.err", value);
            }
            "nentries" => attr(event, "ldap.entries", value),
            "etime" => attr(event, "ldap.etime", value),
            _ => (),
        }
    }
    if !reason.is_empty() {
        event.set(field::EVENT_REASON, reason);
    }
    // The tag is the number of the answer in the protocol (RFC 4511): 97 answers a bind.
    let (action, category) = match text(event, "ldap.tag").as_deref() {
        Some("97") => ("ldap_login", "authentication"),
        Some("101") => ("ldap_search_result", "iam"),
        Some("103" | "105" | "107" | "109") => ("ldap_change_result", "iam"),
        _ => ("ldap_result", "iam"),
    };
    // 14 asks for the next step of a log-in of several, 5 and 6 are the two answers of a comparison.
    match text(event, "ldap.err").as_deref() {
        Some("0" | "5" | "6") => describe(event, action, Success, category),
        Some("14") | None => describe(event, action, Unsaid, category),
        Some(_) => describe(event, action, Failure, category),
    }
}

fn attr(event: &mut Event, name: &'static str, value: &str) {
    event.attrs.push((CompactString::const_new(name), Value::from(value)));
}

fn text(event: &Event, name: &str) -> Option<CompactString> {
    event.attr(name).and_then(Value::as_str).map(CompactString::from)
}

/// Most connections of one batch that are remembered. Of more, the lines stay as they are.
const CONNECTIONS_MAX: usize = 4_096;

/// What is known of a connection.
#[derive(Default)]
struct Known {
    address: Option<Value>,
    account: Option<Value>,
}

/// Tells the lines of each connection its address and its account, as far as earlier lines of the batch name them.
pub(crate) fn join(events: &mut [Event]) {
    let mut known: FxHashMap<(CompactString, CompactString), Known> = FxHashMap::default();
    for event in events.iter_mut().filter(|event| event.logsource.service.as_deref() == Some("slapd")) {
        let Some(connection) = text(event, "ldap.connection") else { continue };
        let host = event.get(field::HOST_NAME).and_then(Value::as_str).unwrap_or_default();
        let key = (CompactString::from(host), connection);
        let action = event.get(field::EVENT_ACTION).and_then(Value::as_str).unwrap_or_default();
        if action == "ldap_connect" || !known.contains_key(&key) {
            if known.len() >= CONNECTIONS_MAX {
                known.clear();
            }
            known.insert(key.clone(), Known::default());
        }
        let Some(one) = known.get_mut(&key) else { continue };
        let both = |event: &mut Event, id: FieldId, value: &mut Option<Value>| match event.get(id) {
            Some(said) => *value = Some(said.clone()),
            None => {
                if let Some(value) = value {
                    event.set(id, value.clone());
                }
            }
        };
        both(event, field::SOURCE_IP, &mut one.address);
        both(event, field::USER_NAME, &mut one.account);
    }
}
