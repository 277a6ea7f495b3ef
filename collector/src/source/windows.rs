//! Windows events, whatever shape they came in: log source, ECS fields, one line of text. The attributes already have
//! the names of Windows (`EventID`, `Channel`, `CommandLine`, blanks left out), which Sigma's rules are written with.

use std::sync::LazyLock;

use canh_schema::{Event, FieldId, IssueKind, LogSource, Value, field};
use compact_str::{CompactString, ToCompactString, format_compact};
use rustc_hash::FxHashMap;

use super::template::{self, Outcome};
use super::{project, windows_channels::CHANNELS, windows_events};
use crate::format::Context;

/// What Windows calls a value, and its field. Where several fill one field the first of this table that is there wins.
static FIELDS: &[(&str, FieldId)] = &[
    ("Computer", field::HOST_NAME),
    ("Hostname", field::HOST_NAME),
    ("host.name", field::HOST_NAME),
    ("Provider_Name", field::EVENT_PROVIDER),
    ("SourceName", field::EVENT_PROVIDER),
    ("User", field::USER_NAME),
    ("SourceUser", field::USER_NAME),
    ("SubjectUserName", field::USER_NAME),
    ("UserName", field::USER_NAME),
    ("TargetUserName", field::USER_TARGET_NAME),
    ("TargetUser", field::USER_TARGET_NAME),
    ("MemberName", field::USER_TARGET_NAME),
    ("SubjectUserSid", field::USER_ID),
    ("Security_UserID", field::USER_ID),
    ("UserID", field::USER_ID),
    ("SubjectDomainName", field::USER_DOMAIN),
    ("Image", field::PROCESS_EXECUTABLE),
    ("NewProcessName", field::PROCESS_EXECUTABLE),
    ("SourceImage", field::PROCESS_EXECUTABLE),
    ("ProcessName", field::PROCESS_EXECUTABLE),
    ("Application", field::PROCESS_EXECUTABLE),
    ("HostApplication", field::PROCESS_COMMAND_LINE),
    ("CommandLine", field::PROCESS_COMMAND_LINE),
    ("ProcessCommandLine", field::PROCESS_COMMAND_LINE),
    ("CurrentDirectory", field::PROCESS_WORKING_DIRECTORY),
    ("NewProcessId", field::PROCESS_PID),
    ("ProcessId", field::PROCESS_PID),
    ("SourceProcessId", field::PROCESS_PID),
    ("Execution_ProcessID", field::PROCESS_PID),
    ("ParentImage", field::PROCESS_PARENT_EXECUTABLE),
    ("ParentProcessName", field::PROCESS_PARENT_EXECUTABLE),
    ("ParentCommandLine", field::PROCESS_PARENT_COMMAND_LINE),
    ("ParentProcessId", field::PROCESS_PARENT_PID),
    ("TargetFilename", field::FILE_PATH),
    ("ImageLoaded", field::FILE_PATH),
    ("ObjectName", field::FILE_PATH),
    ("RelativeTargetName", field::FILE_PATH),
    ("PipeName", field::FILE_PATH),
    ("TargetObject", field::REGISTRY_PATH),
    ("SourceIp", field::SOURCE_IP),
    ("IpAddress", field::SOURCE_IP),
    ("ClientAddress", field::SOURCE_IP),
    ("SourceAddress", field::SOURCE_IP),
    ("SourcePort", field::SOURCE_PORT),
    ("IpPort", field::SOURCE_PORT),
    ("SourceHostname", field::SOURCE_DOMAIN),
    ("WorkstationName", field::SOURCE_DOMAIN),
    ("Workstation", field::SOURCE_DOMAIN),
    ("DestinationIp", field::DESTINATION_IP),
    ("DestAddress", field::DESTINATION_IP),
    ("DestinationPort", field::DESTINATION_PORT),
    ("DestPort", field::DESTINATION_PORT),
    ("DestinationHostname", field::DESTINATION_DOMAIN),
    ("QueryName", field::DNS_QUESTION_NAME),
    ("ServiceName", field::SERVICE_NAME),
    ("Message", field::MESSAGE),
    ("message", field::MESSAGE),
];

static BY_NAME: LazyLock<FxHashMap<&'static str, (FieldId, usize)>> =
    LazyLock::new(|| FIELDS.iter().enumerate().map(|(rank, (name, id))| (*name, (*id, rank))).collect());

/// Events about an account that logs on: the account is the one who acts.
const LOGINS: [i64; 8] = [4624, 4625, 4634, 4647, 4768, 4769, 4771, 4776];

/// The registry is named like a file in some security events.
const REGISTRY: [i64; 2] = [4657, 4663];

/// Names under which the shapes carry the time, the best first.
const TIMES: &[&str] = &["TimeCreated", "@timestamp", "EventTime", "UtcTime", "timestamp"];

/// Fills the event from its attributes. `channel` is that of the event's head, where the shape keeps it apart: some
/// events have a value called `Channel` as well, about another one.
pub(crate) fn apply(event: &mut Event, context: &Context<'_>, channel: Option<&str>) {
    super::generic::time(event, TIMES, context);
    let id = event.attr("EventID").and_then(Value::as_i64);
    let channel = channel.or_else(|| event.attr("Channel").and_then(Value::as_str)).unwrap_or_default();
    let channel = channel.to_ascii_lowercase();
    let service = CHANNELS.iter().find(|(name, _)| *name == channel).map(|(_, service)| *service);
    let kind = service.zip(id).and_then(|(service, id)| windows_events::find(service, id));

    event.logsource = LogSource::product("windows");
    if let Some(service) = service {
        event.logsource.service = Some(CompactString::const_new(service));
    }
    if let Some(kind) = kind {
        event.logsource.categories.extend(kind.categories.iter().map(|name| CompactString::const_new(name)));
    }
    supply_names(event, service, id);
    fields(event, id);
    match service {
        Some(service) => event.set(field::EVENT_DATASET, format_compact!("windows.{service}")),
        None => event.set(field::EVENT_DATASET, "windows"),
    }
    if let Some(id) = id {
        event.set(field::EVENT_CODE, id.to_compact_string());
    }
    if let Some(kind) = kind {
        template::describe(event, kind.action, kind.outcome, kind.category);
    }
    if let (Outcome::Unsaid, Some(outcome)) = (kind.map_or(Outcome::Unsaid, |kind| kind.outcome), audited(event)) {
        event.set(field::EVENT_OUTCOME, outcome);
    }
    if event.get(field::MESSAGE).is_none() {
        let text = summary(event, service, id);
        event.set(field::MESSAGE, text);
    }
}

/// Success or failure as the audit's keyword bits or Winlogbeat's own field say.
fn audited(event: &Event) -> Option<&'static str> {
    if let Some(outcome) = event.attr("event.outcome").and_then(Value::as_str) {
        return ["success", "failure"].into_iter().find(|known| *known == outcome);
    }
    let keywords = event.attr("Keywords")?.as_str()?.strip_prefix("0x")?;
    let bits = u64::from_str_radix(keywords, 16).ok()?;
    const FAILURE: u64 = 1 << 52;
    const SUCCESS: u64 = 1 << 53;
    match (bits & FAILURE != 0, bits & SUCCESS != 0) {
        (true, _) => Some("failure"),
        (_, true) => Some("success"),
        _ => None,
    }
}

/// Names that rules of a category use and that this source calls otherwise. They are added, nothing is renamed.
fn supply_names(event: &mut Event, service: Option<&str>, id: Option<i64>) {
    let names: &[(&str, &str)] = match (service, id) {
        (Some("security"), Some(4688)) => &[("NewProcessName", "Image"), ("ParentProcessName", "ParentImage")],
        (Some("windefend"), _) => &[("ThreatName", "Signature"), ("Path", "Filename")],
        _ => return,
    };
    for (theirs, ours) in names {
        if event.attr(ours).is_none()
            && let Some(value) = event.attr(theirs).cloned()
        {
            event.attrs.push((CompactString::const_new(ours), value));
        }
    }
}

fn fields(event: &mut Event, id: Option<i64>) {
    let attrs = std::mem::take(&mut event.attrs);
    // The best attribute seen for each field: field, rank in the table, index of the attribute.
    let mut best: smallvec::SmallVec<[(FieldId, usize, usize); 16]> = smallvec::SmallVec::new();
    for (index, (name, value)) in attrs.iter().enumerate() {
        let Some((field, rank)) = BY_NAME.get(name.as_str()).copied() else { continue };
        if project::is_absent(value) {
            continue;
        }
        match best.iter_mut().find(|(known, _, _)| *known == field) {
            Some(known) if known.1 <= rank => (),
            Some(known) => *known = (field, rank, index),
            None => best.push((field, rank, index)),
        }
    }
    for (field, _, index) in best {
        let Some((name, value)) = attrs.get(index) else { continue };
        let field = match (field, id) {
            (field::FILE_PATH, Some(id)) if REGISTRY.contains(&id) && is_registry(value) => field::REGISTRY_PATH,
            (field, _) => field,
        };
        let known = project::set_value(event, field, value);
        // `LOCAL`, `-` and names stand where an address is expected; ports and numbers have no such excuse.
        if !known && field != field::SOURCE_IP {
            event.push_issue(IssueKind::TypeConflict, name.clone());
        }
    }
    let text = |name: &str| {
        let found = attrs.iter().find(|(key, value)| key == name && !project::is_absent(value));
        found.and_then(|(_, value)| value.as_str())
    };
    if id.is_some_and(|id| LOGINS.contains(&id))
        && let Some(user) = text("TargetUserName")
    {
        event.set(field::USER_NAME, user);
        event.fields.retain(|(id, _)| *id != field::USER_TARGET_NAME);
        for (name, id) in [("TargetDomainName", field::USER_DOMAIN), ("TargetUserSid", field::USER_ID)] {
            if let Some(value) = text(name) {
                event.set(id, value);
            }
        }
    }
    split_user(event);
    if let Some(path) = event.get(field::PROCESS_EXECUTABLE).and_then(Value::as_str) {
        let name = CompactString::from(path.rsplit('\\').next().unwrap_or(path));
        event.set(field::PROCESS_NAME, name);
    }
    if let Some(hashes) = text("Hashes") {
        for (algorithm, digest) in hashes.split(',').filter_map(|pair| pair.split_once('=')) {
            match algorithm {
                "MD5" => event.set(field::HASH_MD5, digest),
                "SHA1" => event.set(field::HASH_SHA1, digest),
                "SHA256" => event.set(field::HASH_SHA256, digest),
                _ => (),
            }
        }
    }
    event.attrs = attrs;
}

fn is_registry(value: &Value) -> bool {
    value.as_str().is_some_and(|path| path.starts_with("\\REGISTRY"))
}

/// `TINH\minh` is user `minh` of the directory `TINH`.
fn split_user(event: &mut Event) {
    let Some((domain, user)) =
        event.get(field::USER_NAME).and_then(Value::as_str).and_then(|name| name.split_once('\\'))
    else {
        return;
    };
    let (domain, user) = (CompactString::from(domain), CompactString::from(user));
    event.set(field::USER_NAME, user);
    event.set(field::USER_DOMAIN, domain);
}

/// What a reader wants to see first, in this order.
const NOTABLE: &[&str] = &[
    "CommandLine",
    "Image",
    "SourceImage",
    "TargetImage",
    "ParentImage",
    "TargetFilename",
    "ImageLoaded",
    "TargetObject",
    "Details",
    "PipeName",
    "QueryName",
    "DestinationIp",
    "DestinationPort",
    "TargetUserName",
    "SubjectUserName",
    "User",
    "IpAddress",
    "LogonType",
    "ServiceName",
    "ImagePath",
    "ServiceFileName",
    "TaskName",
    "ObjectName",
    "ShareName",
    "ScriptBlockText",
    "Payload",
    "Signature",
    "Data",
];

/// Longest text made for an event that brought none, in bytes.
const SUMMARY_LEN_MAX: usize = 512;

/// One line for an event that brought no text of its own.
fn summary(event: &Event, service: Option<&str>, id: Option<i64>) -> CompactString {
    let mut text = match (service, id) {
        (Some(service), Some(id)) => format_compact!("{service} {id}"),
        (None, Some(id)) => format_compact!("event {id}"),
        (_, None) => CompactString::const_new("event"),
    };
    for name in NOTABLE {
        let Some(value) = event.attr(name).filter(|value| !project::is_absent(value)) else { continue };
        let Some(value) = value.as_text() else { continue };
        let room = SUMMARY_LEN_MAX.saturating_sub(text.len() + name.len() + 2);
        if room == 0 {
            break;
        }
        text.push(' ');
        text.push_str(name);
        text.push('=');
        text.push_str(&value[..value.floor_char_boundary(room)]);
    }
    text
}

/// The name with its blanks left out, as Sigma's rules write it.
pub(crate) fn without_spaces(name: &str) -> CompactString {
    if name.contains(' ') { name.chars().filter(|letter| *letter != ' ').collect() } else { CompactString::from(name) }
}
