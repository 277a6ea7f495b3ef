//! Windows events as Winlogbeat and the Elastic agent write them: `winlog.channel`, `winlog.event_data.*`.
//!
//! The values get the names that Windows itself gives them (`EventID`, `Channel`, `CommandLine`), which is what rules
//! are written against; names outside of `winlog` stay as they are.

use canh_schema::{Event, Value};
use compact_str::CompactString;

use super::{Context, Fit, Format, Text};
use crate::source::windows;

/// Winlogbeat's shape.
pub(super) struct Winlogbeat;

impl Format for Winlogbeat {
    fn name(&self) -> &'static str {
        "winlogbeat"
    }

    fn about(&self) -> &'static str {
        "Windows event as JSON of Winlogbeat or the Elastic agent"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"{"@timestamp":"2026-11-22T08:31:48.100Z","message":"An account failed to log on.","event":{"code":"4625","provider":"Microsoft-Windows-Security-Auditing","outcome":"failure"},"host":{"name":"quantri"},"log":{"level":"information"},"winlog":{"channel":"Security","event_id":4625,"provider_name":"Microsoft-Windows-Security-Auditing","computer_name":"quantri.tinh.local","record_id":9911,"process":{"pid":700,"thread":{"id":712}},"event_data":{"TargetUserName":"administrator","TargetDomainName":"TINH","LogonType":"3","IpAddress":"10.10.9.77","IpPort":"50122","Status":"0xc000006d"}}}"#,
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let is_winlog = |name: &str| matches!(name, "winlog.channel" | "winlog.event_id" | "winlog.provider_name");
        match text.json(context) {
            Some(json) if json.entries.iter().any(|(key, _)| is_winlog(key)) => (),
            _ => return Fit::No,
        }
        let Some(json) = text.take_json(context) else { return Fit::No };
        event.issues.extend(json.issues);
        let mut attrs: Vec<(CompactString, Value)> = Vec::with_capacity(json.entries.len() + 2);
        for (key, value) in json.entries {
            match windows_name(&key) {
                Some(name) => attrs.push((name, value)),
                None => attrs.push((key, value)),
            }
        }
        event.attrs.append(&mut attrs);
        windows::apply(event, context);
        Fit::Yes
    }
}

/// Winlogbeat's name and the one of Windows.
const NAMES: &[(&str, &str)] = &[
    ("winlog.event_id", "EventID"),
    ("winlog.channel", "Channel"),
    ("winlog.provider_name", "Provider_Name"),
    ("winlog.provider_guid", "Provider_Guid"),
    ("winlog.computer_name", "Computer"),
    ("winlog.record_id", "EventRecordID"),
    ("winlog.process.pid", "Execution_ProcessID"),
    ("winlog.process.thread.id", "Execution_ThreadID"),
    ("winlog.user.identifier", "Security_UserID"),
    ("winlog.activity_id", "Correlation_ActivityID"),
    ("winlog.opcode", "Opcode"),
    ("winlog.task", "Task"),
    ("winlog.keywords", "Keywords"),
    ("winlog.version", "Version"),
    ("winlog.time_created", "TimeCreated"),
    ("message", "Message"),
];

fn windows_name(key: &str) -> Option<CompactString> {
    if let Some(name) = key.strip_prefix("winlog.event_data.").or_else(|| key.strip_prefix("winlog.user_data.")) {
        return Some(windows::without_spaces(name));
    }
    NAMES.iter().find(|(theirs, _)| *theirs == key).map(|(_, name)| CompactString::const_new(name))
}
