//! Zeek's logs: ECS fields by log, and the categories of Sigma that a log is.

use canh_schema::{Event, EventClass, FieldId, LogSource, Value, field};
use compact_str::CompactString;

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

/// Fills the event from its attributes.
pub(crate) fn apply(event: &mut Event, context: &Context<'_>) {
    generic::time(event, &["ts", "_write_ts"], context);
    let log = ["_path", "@stream"].iter().find_map(|name| event.attr(name)).and_then(Value::as_str);
    let log = CompactString::from(log.unwrap_or_default());

    let attrs = std::mem::take(&mut event.attrs);
    let own = BY_LOG.iter().filter(|(of, _, _)| *of == log).map(|(_, name, id)| (*name, *id));
    for (name, id) in CONNECTION.iter().copied().chain(own) {
        if let Some((_, value)) = attrs.iter().find(|(key, _)| key == name) {
            project::set_value(event, id, value);
        }
    }
    if let Some(seconds) = attrs.iter().find(|(key, _)| key == "duration").and_then(|(_, value)| value.as_f64())
        && (0.0..9e9).contains(&seconds)
    {
        event.set(field::EVENT_DURATION, (seconds * 1e9) as i64);
    }
    event.attrs = attrs;

    event.logsource = LogSource::product("zeek");
    if !log.is_empty() {
        event.logsource.service = Some(log.clone());
    }
    match log.as_str() {
        "conn" => {
            event.class = EventClass::Flow;
            event.set(field::EVENT_CATEGORY, "network");
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
    let mut dataset = CompactString::const_new("zeek.");
    dataset.push_str(&log);
    event.set(field::EVENT_DATASET, dataset);
    let text = summary(event, &log);
    event.set(field::MESSAGE, text);
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
fn summary(event: &Event, log: &str) -> CompactString {
    let mut text = CompactString::from(log);
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
    for value in NOTABLE.iter().filter_map(|name| event.attr(name)?.as_text()) {
        text.push(' ');
        text.push_str(&value[..value.floor_char_boundary(256)]);
    }
    text
}
