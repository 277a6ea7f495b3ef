//! What the fields of systemd's journal mean, whether they come as JSON or in the export format (facts: systemd's
//! `systemd.journal-fields`). Times are microseconds; every value is text.

use canh_schema::{Event, IssueKind, Timestamp, Value, field};

use super::project;
use crate::format::Context;

const FIELDS: &[(&str, canh_schema::FieldId)] = &[
    ("_EXE", field::PROCESS_EXECUTABLE),
    ("_CMDLINE", field::PROCESS_COMMAND_LINE),
    ("_UID", field::USER_ID),
    ("_SYSTEMD_UNIT", field::SERVICE_NAME),
];

/// Fills the event from its attributes, which are the fields of an entry.
pub(crate) fn apply(event: &mut Event, context: &Context<'_>) {
    let microseconds = |name| event.attr(name).and_then(Value::as_i64).and_then(|us| us.checked_mul(1_000));
    // The sender's own time, if the journal has it, is the better one.
    match microseconds("_SOURCE_REALTIME_TIMESTAMP").or_else(|| microseconds("__REALTIME_TIMESTAMP")) {
        Some(nanos) => event.time = Timestamp::from_nanos(nanos),
        None => event.push_issue(IssueKind::BadTime, "__REALTIME_TIMESTAMP"),
    }
    let text_of = |event: &Event, name| event.attr(name).and_then(Value::as_str).map(str::to_owned);
    let number_of = |event: &Event, name| event.attr(name).and_then(Value::as_i64);
    if let Some(host) = text_of(event, "_HOSTNAME") {
        event.set(field::HOST_NAME, host);
    }
    super::syslog::severity(event, number_of(event, "PRIORITY"));
    super::syslog::facility(event, number_of(event, "SYSLOG_FACILITY"));
    for (name, id) in FIELDS {
        if let Some(value) = text_of(event, name) {
            project::set_text(event, *id, &value);
        }
    }
    let message = match event.attr("MESSAGE") {
        Some(Value::List(bytes)) => bytes_as_text(bytes),
        Some(value) => value.as_text().unwrap_or_default().into_owned(),
        None => String::new(),
    };
    let program = text_of(event, "SYSLOG_IDENTIFIER").or_else(|| text_of(event, "_COMM"));
    let pid = text_of(event, "_PID").or_else(|| text_of(event, "SYSLOG_PID"));
    super::syslog::apply(event, context, program.as_deref(), pid.as_deref(), &message);
}

/// JSON has a text that is not UTF-8 as a list of bytes.
fn bytes_as_text(bytes: &[Value]) -> String {
    let bytes: Vec<u8> = bytes.iter().filter_map(Value::as_i64).filter_map(|byte| u8::try_from(byte).ok()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
