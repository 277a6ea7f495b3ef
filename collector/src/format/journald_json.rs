//! The journal of systemd as `journalctl -o json` writes it. Times are microseconds, every value is text; a text that
//! is not UTF-8 is a list of bytes. Source: systemd's "Journal Export Formats".

use canh_schema::{Event, IssueKind, Timestamp, Value, field};

use super::json::mark;
use super::{Context, Fit, Format, Text};
use crate::source::{self, project};

/// `journalctl -o json`.
pub(super) struct JournaldJson;

impl Format for JournaldJson {
    fn name(&self) -> &'static str {
        "journald_json"
    }

    fn about(&self) -> &'static str {
        "systemd journal as JSON"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1795336308250000","_BOOT_ID":"b1","_HOSTNAME":"IS-Svr","_TRANSPORT":"syslog","PRIORITY":"6","SYSLOG_FACILITY":"10","SYSLOG_IDENTIFIER":"sshd","_PID":"812","_UID":"0","_COMM":"sshd","_EXE":"/usr/sbin/sshd","_CMDLINE":"sshd: [accepted]","_SYSTEMD_UNIT":"ssh.service","MESSAGE":"Failed password for root from 203.0.113.9 port 40022 ssh2"}"#,
            r#"{"__REALTIME_TIMESTAMP":"1795336308250000","_HOSTNAME":"IS-Svr","SYSLOG_IDENTIFIER":"app","MESSAGE":[104,105,255]}"#,
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        match text.json(context) {
            Some(json) if json.has(mark::JOURNALD) => (),
            _ => return Fit::No,
        }
        let Some(json) = text.take_json(context) else { return Fit::No };
        json.into_event(event);

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
        source::syslog::severity(event, number_of(event, "PRIORITY"));
        source::syslog::facility(event, number_of(event, "SYSLOG_FACILITY"));
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
        source::syslog::apply(event, context, program.as_deref(), pid.as_deref(), &message);
        Fit::Yes
    }
}

const FIELDS: &[(&str, canh_schema::FieldId)] = &[
    ("_EXE", field::PROCESS_EXECUTABLE),
    ("_CMDLINE", field::PROCESS_COMMAND_LINE),
    ("_UID", field::USER_ID),
    ("_SYSTEMD_UNIT", field::SERVICE_NAME),
];

fn bytes_as_text(bytes: &[Value]) -> String {
    let bytes: Vec<u8> = bytes.iter().filter_map(Value::as_i64).filter_map(|byte| u8::try_from(byte).ok()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
