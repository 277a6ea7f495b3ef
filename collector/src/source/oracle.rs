//! What Oracle Database writes: audit records through syslog (three layouts), the alert log, the listener's log.

use canh_schema::{Event, LogSource, Value, field};
use compact_str::{CompactString, format_compact};

use super::project;

const AUTH: &str = "authentication";
const DB: &str = "database";

/// Numbers of actions in audit records. Source: Oracle Database Reference, `AUDIT_ACTIONS`.
const ACTIONS: &[(&str, &str, &str)] = &[
    ("1", "create_table", DB),
    ("12", "drop_table", DB),
    ("17", "grant_object", "iam"),
    ("18", "revoke_object", "iam"),
    ("43", "alter_user", "iam"),
    ("49", "alter_system", "configuration"),
    ("51", "create_user", "iam"),
    ("52", "create_role", "iam"),
    ("53", "drop_user", "iam"),
    ("85", "truncate_table", DB),
    ("100", "db_login", AUTH),
    ("101", "db_logout", AUTH),
    ("102", "db_logout", AUTH),
    ("108", "grant_system", "iam"),
    ("109", "revoke_system", "iam"),
    ("114", "grant_role", "iam"),
    ("115", "revoke_role", "iam"),
];

fn source(event: &mut Event, service: &'static str) {
    event.logsource = LogSource::product("oracle").with_service(service).with_category("database");
    event.set(field::EVENT_DATASET, format_compact!("oracle.{service}"));
}

fn attr(event: &mut Event, name: &str, value: &str) {
    if !value.is_empty() {
        event.attrs.push((name.into(), Value::from(value)));
    }
}

/// Most values of one audit record.
const VALUES_MAX: usize = 48;

/// An audit record that came through syslog: `Oracle Audit[812]: LENGTH: "267" SESSIONID:[6] "123456" …`. Its tag has a
/// blank, so syslog takes it for text, with or without the tag `journal` before it. Answers whether it is one.
pub(crate) fn audit(event: &mut Event, message: &str) -> bool {
    let Some(rest) = message.strip_prefix("Oracle ") else { return false };
    let (unified, rest) = match rest.strip_prefix("Unified ") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let Some((pid, record)) = rest.strip_prefix("Audit[").and_then(|rest| rest.split_once("]: ")) else { return false };
    source(event, "audit");
    event.set(field::PROCESS_NAME, if unified { "Oracle Unified Audit" } else { "Oracle Audit" });
    project::set_text(event, field::PROCESS_PID, pid);
    let values = values(record);
    for (name, value) in &values {
        attr(event, name, value);
    }
    let get = |names: &[&str]| names.iter().find_map(|name| values.iter().find(|(known, _)| known == name));
    let get = |names: &[&str]| get(names).map(|(_, value)| *value).filter(|value| !value.is_empty());
    if let Some(user) = get(&["USERID", "DBUSER", "DATABASE USER"]) {
        event.set(field::USER_NAME, user.trim_matches(['\'', '"']));
    }
    if let Some(host) = get(&["USERHOST"]) {
        event.set(field::SOURCE_DOMAIN, host);
    }
    // `Authenticated by: DATABASE; Client address: (ADDRESS=(PROTOCOL=tcp)(HOST=203.0.113.9)(PORT=50122))`
    if let Some(comment) = get(&["COMMENT$TEXT"]) {
        address(event, comment);
    }
    let action = get(&["ACTION"]).unwrap_or_default();
    match ACTIONS.iter().find(|(number, _, _)| *number == action) {
        Some((_, name, category)) => {
            event.set(field::EVENT_ACTION, *name);
            event.set(field::EVENT_CATEGORY, *category);
        }
        // Records of SYS hold the statement itself, and `CONNECT` for a log-in.
        None if action.eq_ignore_ascii_case("CONNECT") => {
            event.set(field::EVENT_ACTION, "db_login");
            event.set(field::EVENT_CATEGORY, AUTH);
        }
        None => {
            event.set(field::EVENT_CATEGORY, DB);
            if action.contains(' ') {
                event.set(field::EVENT_ACTION, "db_query");
                attr(event, "db.query", action);
            } else if !action.is_empty() {
                event.set(field::EVENT_ACTION, format_compact!("oracle_{}", action.to_ascii_lowercase()));
            }
        }
    }
    if let Some(code) = get(&["RETURNCODE", "RETCODE", "STATUS"]) {
        event.set(field::EVENT_CODE, CompactString::from(code));
        event.set(field::EVENT_OUTCOME, if code == "0" { "success" } else { "failure" });
    }
    true
}

/// `NAME:[3] "100"`, `NAME:"100"`, `NAME :[3] '100'`. A value with a length is as long as it says, whatever is in it.
fn values(record: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = record;
    while found.len() < VALUES_MAX {
        let Some((name, after)) = rest.split_once(':') else { break };
        if name.contains(['"', '\'']) {
            break; // the record ended earlier than its lengths say
        }
        let after = after.trim_start();
        let (len, after) = match after.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((len, after)) => (len.parse::<usize>().ok(), after.trim_start()),
            None => (None, after),
        };
        let Some(quote) = after.chars().next().filter(|first| matches!(first, '"' | '\'')) else { break };
        let inner = &after[1..];
        // Lengths count bytes of the database's own character set, so one that does not fit is not believed.
        let told = len.filter(|len| inner.is_char_boundary(*len) && inner[*len..].starts_with(quote));
        let Some(end) = told.or_else(|| inner.find(quote)) else { break };
        found.push((name.trim(), &inner[..end]));
        rest = &inner[end + 1..];
    }
    found
}

/// Sets address and port from a connect descriptor.
fn address(event: &mut Event, text: &str) {
    let Some((_, text)) = text.split_once("(ADDRESS=") else { return };
    let value = |name: &str| text.split_once(name).and_then(|(_, rest)| rest.split_once(')')).map(|(value, _)| value);
    if let Some(host) = value("(HOST=")
        && !project::set_text(event, field::SOURCE_IP, host)
    {
        event.set(field::SOURCE_DOMAIN, host);
    }
    if let Some(port) = value("(PORT=") {
        project::set_text(event, field::SOURCE_PORT, port);
    }
}

/// A line that begins with `ORA-00257: ` or `TNS-12514: `. Answers whether it does.
pub(crate) fn error(event: &mut Event, line: &str) -> bool {
    let Some((code, reason)) = line.split_once(':') else { return false };
    let Some((family, number)) = code.split_once('-') else { return false };
    let Ok(number) = number.parse::<u32>() else { return false };
    source(event, if family == "TNS" { "listener" } else { "alert" });
    // The alert log leaves out leading zeros, other places write them.
    event.set(field::EVENT_CODE, format_compact!("{family}-{number:05}"));
    event.set(field::EVENT_REASON, reason.trim());
    event.set(field::EVENT_ACTION, "db_error");
    event.set(field::EVENT_CATEGORY, DB);
    event.set(field::EVENT_OUTCOME, "failure");
    true
}

/// A line of the listener behind its time: `(CONNECT_DATA=…) * (ADDRESS=…) * establish * service * code`, or without
/// address and service for a command. Answers whether it is one.
pub(crate) fn listener(event: &mut Event, rest: &str) -> bool {
    let parts: Vec<&str> = rest.splitn(8, " * ").map(str::trim).collect();
    let [data, middle @ .., code] = parts.as_slice() else { return false };
    let (Some(verb), true) = (middle.iter().find(|part| !part.starts_with('(')), code.parse::<u32>().is_ok()) else {
        return false;
    };
    source(event, "listener");
    if let Some(place) = middle.iter().find(|part| part.starts_with("(ADDRESS=")) {
        address(event, place);
    }
    let value = |name: &str| data.split_once(name).and_then(|(_, rest)| rest.split_once(')')).map(|(value, _)| value);
    for (name, key) in [
        ("oracle.program", "(PROGRAM="),
        ("oracle.client_host", "(HOST="),
        ("oracle.service_name", "(SERVICE_NAME="),
        ("oracle.sid", "(SID="),
    ] {
        attr(event, name, value(key).unwrap_or_default());
    }
    if let Some(user) = value("(USER=").filter(|user| !user.is_empty()) {
        event.set(field::USER_NAME, user);
    }
    attr(event, "oracle.command", verb);
    event.set(field::EVENT_ACTION, if *verb == "establish" { "db_connect" } else { "listener_command" });
    event.set(field::EVENT_CATEGORY, "network");
    event.set(field::EVENT_CODE, *code);
    event.set(field::EVENT_OUTCOME, if *code == "0" { "success" } else { "failure" });
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(record: &str, expected: &[(&str, &str)]) {
        assert_eq!(values(record), expected, "input: {record:?}");
    }

    #[test]
    fn records() {
        check("LENGTH: \"20\" USERID:[3] \"SYS\"", &[("LENGTH", "20"), ("USERID", "SYS")]);
        check("TYPE:\"4\" CLIENTID:\"\" X:\"1\"", &[("TYPE", "4"), ("CLIENTID", ""), ("X", "1")]);
        check(
            "LENGTH : '9' ACTION :[19] 'select 'a' from dual' STATUS:[1] '0'",
            &[("LENGTH", "9"), ("ACTION", "select ")],
        );
        check(
            "ACTION :[20] 'select 'a' from dual' STATUS:[1] '0'",
            &[("ACTION", "select 'a' from dual"), ("STATUS", "0")],
        );
        check("A:[99999999999999999999] \"x\"", &[("A", "x")]);
        check("A:[2] \"é\" B:\"1\"", &[("A", "é"), ("B", "1")]);
        check("A:", &[]);
        check("", &[]);
    }
}
