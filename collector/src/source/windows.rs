//! Windows events, whatever shape they came in: log source, ECS fields, one line of text. The attributes already have
//! the names of Windows (`EventID`, `Channel`, `CommandLine`, blanks left out), which Sigma's rules are written with.

use std::fmt::Write;
use std::sync::LazyLock;

use canh_schema::{Event, FieldId, IssueKind, LogSource, Value, field};
use compact_str::{CompactString, ToCompactString, format_compact};
use smallvec::SmallVec;

use super::roster::{Found, Roster};
use super::template::{self, Outcome};
use super::{project, windows_channels::CHANNELS, windows_events};
use crate::format::Context;

/// What Windows calls a value, and its field. Names of one field are together; the first that is there fills it.
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

/// Every name that is looked for, and the numbers of those that are asked for one by one.
struct Names {
    roster: Roster,
    fields: Vec<(usize, FieldId)>,
    notable: Vec<(usize, &'static str)>,
    times: Vec<usize>,
    event_id: usize,
    channel: usize,
    outcome: usize,
    keywords: usize,
    hashes: usize,
    target_user: usize,
    target_domain: usize,
    target_sid: usize,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    const OTHERS: [&str; 7] =
        ["EventID", "Channel", "event.outcome", "Keywords", "Hashes", "TargetDomainName", "TargetUserSid"];
    let fields = FIELDS.iter().map(|(name, _)| *name);
    let roster = Roster::new(fields.chain(NOTABLE.iter().copied()).chain(TIMES.iter().copied()).chain(OTHERS));
    Names {
        fields: FIELDS.iter().map(|(name, field)| (roster.number(name), *field)).collect(),
        notable: NOTABLE.iter().map(|name| (roster.number(name), *name)).collect(),
        times: TIMES.iter().map(|name| roster.number(name)).collect(),
        event_id: roster.number("EventID"),
        channel: roster.number("Channel"),
        outcome: roster.number("event.outcome"),
        keywords: roster.number("Keywords"),
        hashes: roster.number("Hashes"),
        target_user: roster.number("TargetUserName"),
        target_domain: roster.number("TargetDomainName"),
        target_sid: roster.number("TargetUserSid"),
        roster,
    }
});

/// Events about an account that logs on: the account is the one who acts.
const LOGINS: [i64; 8] = [4624, 4625, 4634, 4647, 4768, 4769, 4771, 4776];

/// The registry is named like a file in some security events.
const REGISTRY: [i64; 2] = [4657, 4663];

/// Names under which the shapes carry the time, the best first.
const TIMES: &[&str] = &["TimeCreated", "@timestamp", "EventTime", "UtcTime", "timestamp"];

/// Fills the event from its attributes. `channel` is that of the event's head, where the shape keeps it apart: some
/// events have a value called `Channel` as well, about another one.
pub(crate) fn apply(event: &mut Event, context: &Context<'_>, channel: Option<&str>) {
    let names = &*NAMES;
    let mut attrs = std::mem::take(&mut event.attrs);
    let mut found = names.roster.find(&attrs);
    if let Some(time) = names.times.iter().find_map(|number| found.get(*number)) {
        super::generic::set_time(event, time, context);
    }
    let id = found.get(names.event_id).and_then(Value::as_i64);
    let channel = channel.or_else(|| found.text(names.channel)).unwrap_or_default().to_ascii_lowercase();
    let service = CHANNELS.iter().find(|(name, _)| *name == channel).map(|(_, service)| *service);
    let kind = service.zip(id).and_then(|(service, id)| windows_events::find(service, id));

    event.logsource = LogSource { product: Some(CompactString::const_new("windows")), ..LogSource::default() };
    if let Some(service) = service {
        event.logsource.service = Some(CompactString::const_new(service));
    }
    if let Some(kind) = kind {
        event.logsource.categories.extend(kind.categories.iter().map(|name| CompactString::const_new(name)));
    }
    let supplied = supplied(&attrs, service, id);
    if !supplied.is_empty() {
        drop(found);
        attrs.extend(supplied);
        found = names.roster.find(&attrs);
    }
    fields(event, names, &found, id);
    match service {
        Some(service) => event.set(field::EVENT_DATASET, format_compact!("windows.{service}")),
        None => event.set(field::EVENT_DATASET, CompactString::const_new("windows")),
    }
    if let Some(id) = id {
        event.set(field::EVENT_CODE, id.to_compact_string());
    }
    if let Some(kind) = kind {
        template::describe(event, kind.action, kind.outcome, kind.category);
    }
    if let (Outcome::Unsaid, Some(outcome)) =
        (kind.map_or(Outcome::Unsaid, |kind| kind.outcome), audited(names, &found))
    {
        event.set(field::EVENT_OUTCOME, CompactString::const_new(outcome));
    }
    if event.get(field::MESSAGE).is_none() {
        event.set(field::MESSAGE, summary(names, &found, service, id));
    }
    drop(found);
    event.attrs = attrs;
}

/// Success or failure as the audit's keyword bits or Winlogbeat's own field say.
fn audited(names: &Names, found: &Found<'_>) -> Option<&'static str> {
    if let Some(outcome) = found.text(names.outcome) {
        return ["success", "failure"].into_iter().find(|known| *known == outcome);
    }
    let keywords = found.text(names.keywords)?.strip_prefix("0x")?;
    let bits = u64::from_str_radix(keywords, 16).ok()?;
    const FAILURE: u64 = 1 << 52;
    const SUCCESS: u64 = 1 << 53;
    match (bits & FAILURE != 0, bits & SUCCESS != 0) {
        (true, _) => Some("failure"),
        (_, true) => Some("success"),
        _ => None,
    }
}

/// Values under names that rules of a category use and that this source calls otherwise. They are added, nothing is
/// renamed.
fn supplied(
    attrs: &[(CompactString, Value)],
    service: Option<&str>,
    id: Option<i64>,
) -> SmallVec<[(CompactString, Value); 2]> {
    let names: &[(&str, &'static str)] = match (service, id) {
        (Some("security"), Some(4688)) => &[("NewProcessName", "Image"), ("ParentProcessName", "ParentImage")],
        (Some("windefend"), _) => &[("ThreatName", "Signature"), ("Path", "Filename")],
        _ => return SmallVec::new(),
    };
    let attr = |name: &str| attrs.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let missing = names.iter().filter(|(_, ours)| attr(ours).is_none());
    missing.filter_map(|(theirs, ours)| Some((CompactString::const_new(ours), attr(theirs)?.clone()))).collect()
}

fn fields(event: &mut Event, names: &Names, found: &Found<'_>, id: Option<i64>) {
    // In the order of the table, so that the best name of each field comes first.
    let mut previous = None;
    for ((number, field), (name, _)) in names.fields.iter().zip(FIELDS) {
        let Some(value) = found.get(*number).filter(|_| previous != Some(*field)) else { continue };
        previous = Some(*field);
        let field = match (*field, id) {
            (field::FILE_PATH, Some(id)) if REGISTRY.contains(&id) && is_registry(value) => field::REGISTRY_PATH,
            (field, _) => field,
        };
        let known = project::set_value(event, field, value);
        // `LOCAL`, `-` and names stand where an address is expected; ports and numbers have no such excuse.
        if !known && field != field::SOURCE_IP {
            event.push_issue(IssueKind::TypeConflict, *name);
        }
    }
    if id.is_some_and(|id| LOGINS.contains(&id))
        && let Some(user) = found.text(names.target_user)
    {
        event.set(field::USER_NAME, user);
        event.fields.retain(|(id, _)| *id != field::USER_TARGET_NAME);
        for (number, id) in [(names.target_domain, field::USER_DOMAIN), (names.target_sid, field::USER_ID)] {
            if let Some(value) = found.text(number) {
                event.set(id, value);
            }
        }
    }
    split_user(event);
    if let Some(path) = event.get(field::PROCESS_EXECUTABLE).and_then(Value::as_str) {
        let name = CompactString::from(path.rsplit('\\').next().unwrap_or(path));
        event.set(field::PROCESS_NAME, name);
    }
    if let Some(hashes) = found.text(names.hashes) {
        for (algorithm, digest) in hashes.split(',').filter_map(|pair| pair.split_once('=')) {
            match algorithm {
                "MD5" => event.set(field::HASH_MD5, digest),
                "SHA1" => event.set(field::HASH_SHA1, digest),
                "SHA256" => event.set(field::HASH_SHA256, digest),
                _ => (),
            }
        }
    }
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
fn summary(names: &Names, found: &Found<'_>, service: Option<&str>, id: Option<i64>) -> CompactString {
    let mut text = String::with_capacity(SUMMARY_LEN_MAX);
    // Writing to a text cannot fail.
    let _ = match (service, id) {
        (Some(service), Some(id)) => write!(text, "{service} {id}"),
        (None, Some(id)) => write!(text, "event {id}"),
        (_, None) => write!(text, "event"),
    };
    for (number, name) in &names.notable {
        let Some(value) = found.get(*number).and_then(Value::as_text) else { continue };
        let room = SUMMARY_LEN_MAX.saturating_sub(text.len() + name.len() + 2);
        if room == 0 {
            break;
        }
        text.push(' ');
        text.push_str(name);
        text.push('=');
        text.push_str(&value[..value.floor_char_boundary(room)]);
    }
    CompactString::from(text)
}

/// The name with its blanks left out, as Sigma's rules write it.
pub(crate) fn without_spaces(name: &str) -> CompactString {
    if name.contains(' ') { name.chars().filter(|letter| *letter != ' ').collect() } else { CompactString::from(name) }
}
