//! What every line of syslog shares: priority, program, process number, and the way on to the program's own table.

use canh_schema::{Event, LogSource, Value, field};
use compact_str::CompactString;

use super::programs::{self, Reader};
use super::{devices, key_value, oracle, pam, suricata, vendor_event, web, web_error};
use crate::format::{Context, Fit, Json, auditd, cef_record, is_eve, leef_record, pairs_in, windows_xml};

/// Names of facilities. Source: RFC 5424, section 6.2.1, in the short form of `syslog.conf`.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

/// Names of severities, the worst first.
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// Sets facility and severity from `facility * 8 + severity`.
pub(crate) fn priority(event: &mut Event, priority: u8) {
    facility(event, Some(i64::from(priority >> 3)));
    severity(event, Some(i64::from(priority & 7)));
}

pub(crate) fn facility(event: &mut Event, number: Option<i64>) {
    if let Some(name) = number.and_then(|number| FACILITIES.get(usize::try_from(number).ok()?)) {
        event.set(field::LOG_SYSLOG_FACILITY, CompactString::const_new(name));
    }
}

pub(crate) fn severity(event: &mut Event, number: Option<i64>) {
    if let Some(name) = number.and_then(|number| SEVERITIES.get(usize::try_from(number).ok()?)) {
        event.set(field::LOG_SYSLOG_SEVERITY, CompactString::const_new(name));
        event.set(field::LOG_LEVEL, CompactString::const_new(name));
    }
}

/// Fills the event from program, process number and message.
pub(crate) fn apply(event: &mut Event, context: &Context<'_>, program: Option<&str>, pid: Option<&str>, message: &str) {
    event.set(field::MESSAGE, message);
    if framed(event, context, program, message) || devices::apply(event, context, program, message) {
        return;
    }
    if let Some(name) = program {
        event.set(field::PROCESS_NAME, name);
    }
    if let Some(pid) = pid
        && !super::project::set_text(event, field::PROCESS_PID, pid)
    {
        event.attrs.push(("syslog.procid".into(), Value::from(pid)));
    }

    // A folder may say of a program what the code says otherwise.
    if let Some(name) = program
        && context.settings.vendors.program(event, context, name, message)
    {
        return;
    }
    let known = program.and_then(programs::find);
    match known.map(|known| known.reader) {
        Some(Reader::WebAccess) => {
            if let Some(request) = crate::format::web_request(message) {
                event.time = request.time;
                return web::apply(event, &request, program);
            }
            // nginx sends its error log under the same name, with its own time, which syslog's is better than.
            if let Some((_, rest)) = message.split_once(" [")
                && web_error::nginx(event, &message[message.len() - rest.len() - 1..])
            {
                return;
            }
        }
        None if oracle::audit(event, message) => return,
        Some(Reader::Line(read)) if read(event, context, message) => return,
        Some(Reader::Auditd) if auditd::decode_record(message, context, event) == Fit::Yes => return,
        _ => (),
    }
    // Kernels without auditd write their audit records to syslog, behind a word of their own.
    if let Some(record) = message.split_once("audit: type=").map(|(_, record)| record)
        && record.starts_with(|first: char| first.is_ascii_digit())
    {
        event.set(field::EVENT_CODE, record.split(' ').next().unwrap_or(record));
    }
    event.logsource = LogSource::product("linux");
    match known {
        Some(known) => {
            let mut services = known.services.iter();
            event.logsource.service = services.next().map(|name| CompactString::const_new(name));
            event.logsource.other_services.extend(services.map(|name| CompactString::const_new(name)));
            event.set(field::EVENT_DATASET, CompactString::const_new(known.dataset));
            programs::read(known, event, message);
        }
        None => {
            let facility = event.get(field::LOG_SYSLOG_FACILITY).and_then(Value::as_str);
            let is_auth = matches!(facility, Some("auth" | "authpriv"));
            event.logsource.service = Some(CompactString::const_new(if is_auth { "auth" } else { "syslog" }));
            event.set(field::EVENT_DATASET, CompactString::const_new("syslog"));
            if !pam::apply(event, message) && !context.settings.vendors.line(event, context, message) {
                body(event, context, message);
            }
        }
    }
}

/// Reads a message that is a record of its own and names its format: CEF, LEEF, an event of Windows as XML. `program` is
/// the first word of CEF, if nothing else stands before it.
fn framed(event: &mut Event, context: &Context<'_>, program: Option<&str>, message: &str) -> bool {
    let fields_max = context.settings.fields_max;
    let record = match (program, message.as_bytes()) {
        (Some("CEF"), [b'0'..=b'9', ..]) => cef_record(message, fields_max),
        (Some("LEEF"), _) => leef_record(message, fields_max),
        (_, [b'C', b'E', b'F', b':', ..]) => cef_record(message[4..].trim_start_matches(' '), fields_max),
        (_, [b'L', b'E', b'E', b'F', b':', ..]) => leef_record(&message[5..], fields_max),
        (_, [b'<', b'E' | b'?', ..]) => return windows_xml::decode(message, context, event) == Fit::Yes,
        _ => None,
    };
    let Some(record) = record else { return false };
    vendor_event::apply(event, context, record);
    true
}

/// A message of an unknown program that has a form all the same: a JSON object, with or without the `@cee:` cookie of
/// structured logging, or pairs.
fn body(event: &mut Event, context: &Context<'_>, message: &str) {
    let body = message.strip_prefix("@cee:").unwrap_or(message).trim_ascii_start();
    let settings = context.settings;
    if body.starts_with('{') {
        // Text that only begins like JSON is no mistake of a syslog line.
        if let Some(json) = Json::read(body, settings.depth_max, settings.fields_max)
            && json.issues.is_empty()
        {
            let is_eve = is_eve(&json);
            json.into_event(event);
            match is_eve {
                true => suricata::apply(event, context),
                false => super::generic::project_catalogue(event),
            }
        }
    } else if let Some(marks) = pairs_in(body) {
        key_value::apply(event, context, body, marks);
    }
}
