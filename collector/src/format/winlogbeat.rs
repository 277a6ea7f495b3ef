//! Windows events as Winlogbeat and the Elastic agent write them: `winlog.channel`, `winlog.event_data.*`.
//!
//! The values get the names that Windows itself gives them (`EventID`, `Channel`, `CommandLine`), which is what rules
//! are written against; names outside of `winlog` stay as they are.

use canh_schema::{Event, Value};
use compact_str::CompactString;

use super::json::mark;
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
            r#"{"@timestamp":"2026-11-22T08:31:48.100Z","computer_name":"HR001.tinh.local","event_id":3,"log_name":"Microsoft-Windows-Sysmon/Operational","source_name":"Microsoft-Windows-Sysmon","level":"Information","event_data":{"Image":"C:\\a.exe","User":"TINH\\minh","Protocol":"tcp","SourceIp":"10.10.9.77","SourcePort":"50122","DestinationIp":"203.0.113.9","DestinationPort":"443"}}"#,
            r#"{"@timestamp":"2026-11-22T08:31:48.100Z","message":"An account failed to log on.","event":{"code":"4625","provider":"Microsoft-Windows-Security-Auditing","outcome":"failure"},"host":{"name":"quantri"},"log":{"level":"information"},"winlog":{"channel":"Security","event_id":4625,"provider_name":"Microsoft-Windows-Security-Auditing","computer_name":"quantri.tinh.local","record_id":9911,"process":{"pid":700,"thread":{"id":712}},"event_data":{"TargetUserName":"administrator","TargetDomainName":"TINH","LogonType":"3","IpAddress":"10.10.9.77","IpPort":"50122","Status":"0xc000006d"}}}"#,
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let shape = match text.json(context) {
            Some(json) if json.has(mark::WINLOG) => &NEW,
            Some(json) if json.has(OLD_MARKS) => &OLD,
            _ => return Fit::No,
        };
        // Who names the log source has brought the values into their final shape, too.
        if text.has_logsource() {
            return Fit::No;
        }
        let Some(json) = text.take_json(context) else { return Fit::No };
        event.issues.extend(json.issues);
        let mut attrs: Vec<(CompactString, Value)> = Vec::with_capacity(json.entries.len() + 2);
        let mut channel = None;
        for (key, value) in json.entries {
            match shape.windows_name(&key) {
                Some(name) => {
                    if channel.is_none() && matches!(key.as_str(), "winlog.channel" | "log_name") {
                        channel = value.as_str().map(CompactString::from);
                    }
                    attrs.push((name, value));
                }
                None => attrs.push((key, value)),
            }
        }
        event.attrs.append(&mut attrs);
        windows::apply(event, context, channel.as_deref());
        Fit::Yes
    }
}

/// Where a version of Winlogbeat puts the values.
struct Shape {
    /// What the event's own values begin with.
    data: [&'static str; 2],
    names: &'static [(&'static str, &'static str)],
}

static NEW: Shape = Shape { data: ["winlog.event_data.", "winlog.user_data."], names: NAMES };

/// Winlogbeat 6 and older, which had no name around its values.
static OLD: Shape = Shape { data: ["event_data.", "user_data."], names: OLD_NAMES };

impl Shape {
    fn windows_name(&self, key: &str) -> Option<CompactString> {
        if let Some(name) = self.data.iter().find_map(|prefix| key.strip_prefix(prefix)) {
            return Some(windows::without_spaces(name));
        }
        self.names.iter().find(|(theirs, _)| *theirs == key).map(|(_, name)| CompactString::const_new(name))
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

/// The same for Winlogbeat 6 and older.
const OLD_NAMES: &[(&str, &str)] = &[
    ("event_id", "EventID"),
    ("log_name", "Channel"),
    ("source_name", "Provider_Name"),
    ("provider_guid", "Provider_Guid"),
    ("computer_name", "Computer"),
    ("record_number", "EventRecordID"),
    ("process_id", "Execution_ProcessID"),
    ("thread_id", "Execution_ThreadID"),
    ("user.identifier", "Security_UserID"),
    ("activity_id", "Correlation_ActivityID"),
    ("opcode", "Opcode"),
    ("task", "Task"),
    ("keywords", "Keywords"),
    ("version", "Version"),
    ("message", "Message"),
];

/// What an event of Winlogbeat 6 surely has.
const OLD_MARKS: u32 = mark::LOG_NAME | mark::OLD_EVENT_ID | mark::COMPUTER_NAME;
