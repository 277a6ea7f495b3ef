//! What every line of syslog shares: priority, program, process number, and the way on to the program's own table.

use canh_schema::{Event, LogSource, Value, field};
use compact_str::CompactString;

use super::programs::{self, Reader};
use super::{devices, oracle, pam, web, web_error};
use crate::format::{Context, Fit, Json, auditd};

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
    if devices::apply(event, context, program, message) {
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
            if !pam::apply(event, message) {
                json_body(event, context, message);
            }
        }
    }
}

/// A message that is a JSON object, with or without the `@cee:` cookie of structured logging.
fn json_body(event: &mut Event, context: &Context<'_>, message: &str) {
    let body = message.strip_prefix("@cee:").unwrap_or(message).trim_ascii_start();
    let settings = context.settings;
    if body.starts_with('{')
        && let Some(json) = Json::read(body, settings.depth_max, settings.fields_max)
    {
        // Text that only begins like JSON is no mistake of a syslog line.
        if json.issues.is_empty() {
            json.into_event(event);
            super::generic::project_catalogue(event);
        }
    }
}
