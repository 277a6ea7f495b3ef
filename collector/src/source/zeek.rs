//! Zeek's logs: ECS fields by log, and the categories of Sigma that a log is.

use std::sync::LazyLock;

use canh_schema::{Event, EventClass, FieldId, LogSource, Value, field};
use compact_str::CompactString;
use rustc_hash::FxHashMap;

use super::roster::Roster;
use super::web::Exchange;
use super::{generic, project};
use crate::format::Context;

/// Fields that every log of a connection has. Zeek writes `id.orig_h`; its writers for other tools `id_orig_h`.
const CONNECTION: &[(&str, FieldId)] = &[
    ("id.orig_h", field::SOURCE_IP),
    ("id_orig_h", field::SOURCE_IP),
    ("id.orig_p", field::SOURCE_PORT),
    ("id_orig_p", field::SOURCE_PORT),
    ("id.resp_h", field::DESTINATION_IP),
    ("id_resp_h", field::DESTINATION_IP),
    ("id.resp_p", field::DESTINATION_PORT),
    ("id_resp_p", field::DESTINATION_PORT),
    ("proto", field::NETWORK_TRANSPORT),
    ("community_id", field::NETWORK_COMMUNITY_ID),
    ("@system", field::HOST_NAME),
    ("_system_name", field::HOST_NAME),
];

/// Log, name, field.
const BY_LOG: &[(&str, &str, FieldId)] = &[
    ("conn", "orig_bytes", field::SOURCE_BYTES),
    ("conn", "resp_bytes", field::DESTINATION_BYTES),
    ("conn", "orig_pkts", field::SOURCE_PACKETS),
    ("conn", "resp_pkts", field::DESTINATION_PACKETS),
    ("conn", "orig_l2_addr", field::SOURCE_MAC),
    ("conn", "resp_l2_addr", field::DESTINATION_MAC),
    ("conn", "conn_state", field::NETWORK_STATE),
    ("conn", "service", field::NETWORK_PROTOCOL),
    ("dns", "query", field::DNS_QUESTION_NAME),
    ("dns", "qtype_name", field::DNS_QUESTION_TYPE),
    ("dns", "rcode_name", field::DNS_RESPONSE_CODE),
    ("dns", "answers", field::DNS_ANSWERS_DATA),
    ("ssl", "server_name", field::TLS_SERVER_NAME),
    ("ssl", "version", field::TLS_VERSION),
    ("ssl", "ja3", field::TLS_JA3),
    ("http", "username", field::USER_NAME),
    ("ftp", "user", field::USER_NAME),
    ("ntlm", "username", field::USER_NAME),
    ("ntlm", "domainname", field::USER_DOMAIN),
    ("kerberos", "client", field::USER_NAME),
    ("rdp", "cookie", field::USER_NAME),
    ("radius", "username", field::USER_NAME),
    ("files", "filename", field::FILE_NAME),
    ("files", "md5", field::HASH_MD5),
    ("files", "sha1", field::HASH_SHA1),
    ("files", "sha256", field::HASH_SHA256),
    ("smb_files", "name", field::FILE_PATH),
    ("smb_files", "action", field::EVENT_ACTION),
    ("smb_mapping", "path", field::FILE_PATH),
    ("notice", "note", field::EVENT_ACTION),
    ("notice", "msg", field::EVENT_REASON),
    ("weird", "name", field::EVENT_ACTION),
];

/// What the text of a record ends with.
const NOTABLE: [&str; 12] = [
    "service",
    "query",
    "method",
    "host",
    "uri",
    "server_name",
    "user_agent",
    "filename",
    "note",
    "msg",
    "name",
    "path",
];

/// Every name that is looked for, and the numbers of those that are asked for one by one.
struct Names {
    roster: Roster,
    connection: Vec<(usize, FieldId)>,
    by_log: FxHashMap<&'static str, Vec<(usize, FieldId)>>,
    notable: Vec<usize>,
    times: [usize; 2],
    logs: [usize; 2],
    duration: usize,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    const OTHERS: [&str; 5] = ["ts", "_write_ts", "_path", "@stream", "duration"];
    let named = CONNECTION.iter().map(|(name, _)| *name).chain(BY_LOG.iter().map(|(_, name, _)| *name));
    let roster = Roster::new(named.chain(NOTABLE).chain(OTHERS));
    let mut by_log: FxHashMap<&'static str, Vec<(usize, FieldId)>> = FxHashMap::default();
    for (log, name, field) in BY_LOG {
        by_log.entry(log).or_default().push((roster.number(name), *field));
    }
    Names {
        connection: CONNECTION.iter().map(|(name, field)| (roster.number(name), *field)).collect(),
        by_log,
        notable: NOTABLE.iter().map(|name| roster.number(name)).collect(),
        times: ["ts", "_write_ts"].map(|name| roster.number(name)),
        logs: ["_path", "@stream"].map(|name| roster.number(name)),
        duration: roster.number("duration"),
        roster,
    }
});

/// Fills the event from its attributes.
pub(crate) fn apply(event: &mut Event, context: &Context<'_>) {
    let names = &*NAMES;
    let attrs = std::mem::take(&mut event.attrs);
    let found = names.roster.find(&attrs);
    if let Some(time) = names.times.iter().find_map(|number| found.get(*number)) {
        generic::set_time(event, time, context);
    }
    let log = CompactString::from(names.logs.iter().find_map(|number| found.text(*number)).unwrap_or_default());
    let own = names.by_log.get(log.as_str()).into_iter().flatten();
    for (number, id) in names.connection.iter().chain(own) {
        if let Some(value) = found.get(*number) {
            project::set_value(event, *id, value);
        }
    }
    if let Some(seconds) = found.get(names.duration).and_then(Value::as_f64)
        && (0.0..9e9).contains(&seconds)
    {
        event.set(field::EVENT_DURATION, (seconds * 1e9) as i64);
    }
    let mut dataset = CompactString::const_new("zeek.");
    dataset.push_str(&log);
    event.set(field::EVENT_DATASET, dataset);
    let text = summary(event, &log, names.notable.iter().filter_map(|number| found.get(*number)));
    event.set(field::MESSAGE, text);
    drop(found);
    event.attrs = attrs;

    event.logsource = LogSource { product: Some(CompactString::const_new("zeek")), ..LogSource::default() };
    match log.as_str() {
        "conn" => {
            event.class = EventClass::Flow;
            event.set(field::EVENT_CATEGORY, CompactString::const_new("network"));
        }
        "dns" => {
            event.logsource.categories.push(CompactString::const_new("dns"));
            supply(event, &[("qtype_name", "record_type"), ("answers", "answer")]);
        }
        "http" => {
            event.logsource.categories.extend(["proxy", "webserver"].map(CompactString::const_new));
            http(event);
        }
        _ => (),
    }
    if !log.is_empty() {
        event.logsource.service = Some(log);
    }
}

/// Adds values under the names that Sigma's categories use.
fn supply(event: &mut Event, names: &[(&str, &'static str)]) {
    for (theirs, ours) in names {
        if let Some(value) = event.attr(theirs).filter(|_| event.attr(ours).is_none()).cloned() {
            event.attrs.push((CompactString::const_new(ours), value));
        }
    }
}

fn http(event: &mut Event) {
    let attrs = std::mem::take(&mut event.attrs);
    let find = |name: &str| attrs.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let text = |name: &str| find(name).and_then(Value::as_str);
    let exchange = Exchange {
        method: text("method"),
        uri: text("uri").unwrap_or_default(),
        host: text("host"),
        status: find("status_code").and_then(Value::as_i64),
        bytes: find("response_body_len").and_then(Value::as_i64),
        agent: text("user_agent"),
        referrer: text("referrer"),
    };
    super::web::describe(event, &exchange);
    let mut supplied = std::mem::replace(&mut event.attrs, attrs);
    event.attrs.append(&mut supplied);
}

/// One line: log, ends, what was asked for.
fn summary<'a>(event: &Event, log: &str, notable: impl Iterator<Item = &'a Value>) -> CompactString {
    let mut text = String::with_capacity(256);
    text.push_str(log);
    let mut end = |mark: &str, address, port| {
        let Some(address) = event.get(address).and_then(Value::as_text) else { return };
        text.push_str(mark);
        text.push_str(&address);
        if let Some(port) = event.get(port).and_then(Value::as_text) {
            text.push(':');
            text.push_str(&port);
        }
    };
    end(" ", field::SOURCE_IP, field::SOURCE_PORT);
    end(" -> ", field::DESTINATION_IP, field::DESTINATION_PORT);
    for value in notable.filter_map(Value::as_text) {
        text.push(' ');
        text.push_str(&value[..value.floor_char_boundary(256)]);
    }
    CompactString::from(text)
}
