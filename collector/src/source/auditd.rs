//! Records of the Linux audit log: ECS fields for each, and what records of one event tell each other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use canh_schema::{Event, FieldId, LogSource, Value, field};
use compact_str::{CompactString, ToCompactString};

use super::project;
use super::template::{Outcome, describe};
use crate::format::auditd::hex_bytes;

const DATASET: &str = "auditd";

/// What the kernel calls a value, and its field. The first that is there wins.
const FIELDS: &[(&str, FieldId)] = &[
    ("node", field::HOST_NAME),
    ("pid", field::PROCESS_PID),
    ("ppid", field::PROCESS_PARENT_PID),
    ("comm", field::PROCESS_NAME),
    ("exe", field::PROCESS_EXECUTABLE),
    ("cwd", field::PROCESS_WORKING_DIRECTORY),
    ("proctitle", field::PROCESS_COMMAND_LINE),
    ("cmd", field::PROCESS_COMMAND_LINE),
    ("name", field::FILE_PATH),
    ("uid", field::USER_ID),
    ("unit", field::SERVICE_NAME),
    ("addr", field::SOURCE_IP),
];

/// Most arguments of a command that are put together.
const ARGUMENTS_MAX: usize = 256;

/// Fills the event from its attributes. `text` is the record as it came.
pub(crate) fn apply(event: &mut Event, kind: &str, text: &str) {
    event.set(field::MESSAGE, text);
    event.set(field::EVENT_DATASET, CompactString::const_new(DATASET));
    event.logsource = LogSource::product("linux").with_service("auditd");
    event.set(field::EVENT_ACTION, CompactString::from(kind.to_ascii_lowercase()));
    event.set(field::EVENT_CODE, kind);

    let attrs = std::mem::take(&mut event.attrs);
    for (name, id) in FIELDS {
        let Some((_, value)) = attrs.iter().find(|(key, _)| key == name) else { continue };
        let unknown = matches!(value.as_str(), Some("?" | "(null)" | "(none)" | ""));
        if !unknown && event.get(*id).is_none() {
            project::set_value(event, *id, value);
        }
    }
    let text_of = |name: &str| {
        attrs.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.as_str()).filter(|text| *text != "?")
    };
    // With the names that auditd resolved: the user who logged in is the one who acts, also after sudo.
    let user = ["AUID", "acct", "UID"].into_iter().find_map(text_of).filter(|name| *name != "unset");
    if let Some(user) = user {
        event.set(field::USER_NAME, user);
    }
    match text_of("success").or_else(|| text_of("res")) {
        Some("yes" | "success" | "1") => event.set(field::EVENT_OUTCOME, "success"),
        Some("no" | "failed" | "0") => event.set(field::EVENT_OUTCOME, "failure"),
        _ => (),
    }
    match kind {
        "EXECVE" => {
            let command = command_line(&attrs);
            if !command.is_empty() {
                event.set(field::PROCESS_COMMAND_LINE, command);
            }
        }
        "SOCKADDR" => {
            if let Some((address, port)) = text_of("saddr").and_then(socket_address) {
                event.set(field::DESTINATION_IP, address);
                event.set(field::DESTINATION_PORT, i64::from(port));
            }
        }
        "USER_LOGIN" | "USER_AUTH" | "USER_ERR" => event.set(field::EVENT_CATEGORY, "authentication"),
        "USER_CMD" => event.set(field::EVENT_CATEGORY, "process"),
        "ADD_USER" | "DEL_USER" | "ADD_GROUP" | "DEL_GROUP" | "USER_CHAUTHTOK" => {
            event.set(field::EVENT_CATEGORY, "iam");
        }
        _ => (),
    }
    event.attrs = attrs;
}

/// `a0`, `a1`, … put together.
fn command_line(attrs: &[(CompactString, Value)]) -> String {
    let mut command = String::new();
    let mut next = 0_usize;
    for (key, value) in attrs {
        if next < ARGUMENTS_MAX && key.strip_prefix('a').is_some_and(|digits| digits == next.to_compact_string()) {
            if next > 0 {
                command.push(' ');
            }
            command.push_str(value.as_str().unwrap_or_default());
            next += 1;
        }
    }
    command
}

/// Address and port of a socket of the internet families. Source: `struct sockaddr_in` and `sockaddr_in6`.
fn socket_address(hex: &str) -> Option<(IpAddr, u16)> {
    match hex_bytes(hex.as_bytes().get(..hex.len().min(56))?)?.as_slice() {
        [2, 0, p1, p2, a, b, c, d, ..] => {
            Some((IpAddr::V4(Ipv4Addr::new(*a, *b, *c, *d)), u16::from_be_bytes([*p1, *p2])))
        }
        [10, 0, p1, p2, _, _, _, _, rest @ ..] => {
            let octets: [u8; 16] = rest.get(..16)?.try_into().ok()?;
            Some((IpAddr::V6(Ipv6Addr::from(octets)), u16::from_be_bytes([*p1, *p2])))
        }
        _ => None,
    }
}

/// Fields that records of one audit event share.
const SHARED: [FieldId; 12] = [
    field::PROCESS_PID,
    field::PROCESS_PARENT_PID,
    field::PROCESS_NAME,
    field::PROCESS_EXECUTABLE,
    field::PROCESS_COMMAND_LINE,
    field::PROCESS_WORKING_DIRECTORY,
    field::USER_ID,
    field::USER_NAME,
    field::FILE_PATH,
    field::DESTINATION_IP,
    field::DESTINATION_PORT,
    field::EVENT_OUTCOME,
];

/// Most records of one audit event that share; an event has rarely more than ten.
const RECORDS_MAX: usize = 64;

/// Lets neighbouring records of one audit event tell each other what they know. Their attributes stay as they are,
/// except that the record of a command also gets the names of Sigma's `process_creation`.
pub(crate) fn join(events: &mut [Event]) {
    let mut start = 0;
    while start < events.len() {
        let id = audit_id(&events[start]).map(CompactString::from);
        let mut end = start + 1;
        if let Some(id) = id {
            let host = events[start].get(field::HOST_NAME).cloned();
            let same =
                |event: &Event| audit_id(event) == Some(id.as_str()) && event.get(field::HOST_NAME) == host.as_ref();
            while end < events.len() && end - start < RECORDS_MAX && same(&events[end]) {
                end += 1;
            }
            share(&mut events[start..end]);
        }
        start = end;
    }
}

fn audit_id(event: &Event) -> Option<&str> {
    // The attribute is the second of every audit record; no other event is searched.
    event.attrs.iter().take(3).find(|(key, _)| key == "audit.id").and_then(|(_, value)| value.as_str())
}

fn share(records: &mut [Event]) {
    if records.len() > 1 {
        for id in SHARED {
            // The arguments of a command say more than the title of the process.
            let best = records
                .iter()
                .find(|record| record.attrs.first().is_some_and(|(_, kind)| kind.as_str() == Some("EXECVE")));
            let found = best.into_iter().chain(records.iter()).find_map(|record| record.get(id)).cloned();
            if let Some(value) = found {
                for record in records.iter_mut().filter(|record| record.get(id).is_none()) {
                    record.fields.push((id, value.clone()));
                }
            }
        }
    }
    for record in records {
        if record.get(field::EVENT_CODE).and_then(Value::as_str) == Some("EXECVE") {
            process_creation(record);
        }
    }
}

/// The names of Sigma's `process_creation` and the field that each is.
const PROCESS: [(&str, FieldId); 6] = [
    ("CommandLine", field::PROCESS_COMMAND_LINE),
    ("CurrentDirectory", field::PROCESS_WORKING_DIRECTORY),
    ("Image", field::PROCESS_EXECUTABLE),
    ("ParentProcessId", field::PROCESS_PARENT_PID),
    ("ProcessId", field::PROCESS_PID),
    ("User", field::USER_NAME),
];

fn process_creation(record: &mut Event) {
    for (name, id) in PROCESS {
        if let Some(value) = record.get(id).cloned() {
            record.attrs.push((CompactString::const_new(name), value));
        }
    }
    record.logsource.categories.push(CompactString::const_new("process_creation"));
    describe(record, "process_start", Outcome::Unsaid, "process");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(hex: &str, expected: Option<(&str, u16)>) {
        let found = socket_address(hex).map(|(address, port)| (address.to_string(), port));
        assert_eq!(found.as_ref().map(|(address, port)| (address.as_str(), *port)), expected, "input: {hex:?}");
    }

    #[test]
    fn socket_addresses() {
        check("02000050A9FEA9FE0000000000000000", Some(("169.254.169.254", 80)));
        check("0A0001BB0000000020010DB800000000000000000000000100000000", Some(("2001:db8::1", 443)));
        check("01002F6465762F6C6F6700", None); // a local socket
        check("0A0001BB00", None);
        check("0200005", None);
        check("zz", None);
        check("éé", None);
        check("", None);
    }
}
