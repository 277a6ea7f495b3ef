//! Suricata's events: ECS fields by kind, and the categories of Sigma that a kind is.

use std::sync::LazyLock;

use canh_schema::{Event, EventClass, FieldId, LogSource, Value, field};
use compact_str::{CompactString, format_compact};

use super::roster::{Found, Roster};
use super::web::{self, Exchange};
use super::{generic, project, vendor_event};
use crate::format::Context;

/// What EVE calls a value, and its field. Of two names for one field the first that is there counts.
const FIELDS: &[(&str, FieldId)] = &[
    ("src_ip", field::SOURCE_IP),
    ("src_port", field::SOURCE_PORT),
    ("ether.src_mac", field::SOURCE_MAC),
    ("dest_ip", field::DESTINATION_IP),
    ("dest_port", field::DESTINATION_PORT),
    ("ether.dest_mac", field::DESTINATION_MAC),
    ("app_proto", field::NETWORK_PROTOCOL),
    ("community_id", field::NETWORK_COMMUNITY_ID),
    ("vlan", field::NETWORK_VLAN_ID),
    ("in_iface", field::OBSERVER_INTERFACE),
    ("host", field::HOST_NAME),
    ("flow.pkts_toserver", field::SOURCE_PACKETS),
    ("flow.pkts_toclient", field::DESTINATION_PACKETS),
    ("flow.bytes_toserver", field::SOURCE_BYTES),
    ("flow.bytes_toclient", field::DESTINATION_BYTES),
    ("flow.state", field::NETWORK_STATE),
    ("alert.signature", field::RULE_NAME),
    ("alert.category", field::RULE_RULESET),
    ("alert.signature_id", field::EVENT_CODE),
    ("alert.severity", field::LOG_LEVEL),
    ("dns.rrname", field::DNS_QUESTION_NAME),
    ("dns.queries.rrname", field::DNS_QUESTION_NAME),
    ("dns.query.rrname", field::DNS_QUESTION_NAME),
    ("dns.rrtype", field::DNS_QUESTION_TYPE),
    ("dns.queries.rrtype", field::DNS_QUESTION_TYPE),
    ("dns.query.rrtype", field::DNS_QUESTION_TYPE),
    ("dns.rcode", field::DNS_RESPONSE_CODE),
    ("dns.answers.rdata", field::DNS_ANSWERS_DATA),
    ("tls.sni", field::TLS_SERVER_NAME),
    ("tls.version", field::TLS_VERSION),
    ("tls.ja3.hash", field::TLS_JA3),
    ("tls.ja3s.hash", field::TLS_JA3S),
    ("fileinfo.filename", field::FILE_PATH),
    ("fileinfo.size", field::FILE_SIZE),
    ("fileinfo.md5", field::HASH_MD5),
    ("fileinfo.sha1", field::HASH_SHA1),
    ("fileinfo.sha256", field::HASH_SHA256),
    ("smb.filename", field::FILE_PATH),
    ("email.from", field::EMAIL_FROM),
    ("email.to", field::EMAIL_TO),
    ("anomaly.event", field::EVENT_REASON),
    ("drop.reason", field::EVENT_REASON),
];

/// Other names that are asked for one by one.
const OTHERS: &[&str] = &[
    "timestamp",
    "event_type",
    "proto",
    "alert.action",
    "anomaly.type",
    "flow.start",
    "flow.end",
    "ssh.client.software_version",
    "ssh.server.software_version",
    "http.http_method",
    "http.url",
    "http.hostname",
    "http.status",
    "http.length",
    "http.http_user_agent",
    "http.http_refer",
    "http.protocol",
];

struct Names {
    roster: Roster,
    fields: Vec<usize>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let roster = Roster::new(FIELDS.iter().map(|(name, _)| *name).chain(OTHERS.iter().copied()));
    Names { fields: FIELDS.iter().map(|(name, _)| roster.number(name)).collect(), roster }
});

/// Names of Sigma's category `dns` and their ones here.
const DNS: &[(&str, &str)] = &[
    ("dns.rrname", "query"),
    ("dns.queries.rrname", "query"),
    ("dns.query.rrname", "query"),
    ("dns.rrtype", "record_type"),
    ("dns.queries.rrtype", "record_type"),
    ("dns.query.rrtype", "record_type"),
    ("dns.answers.rdata", "answer"),
];

/// Fills the event from its attributes.
pub(crate) fn apply(event: &mut Event, context: &Context<'_>) {
    let names = &*NAMES;
    let attrs = std::mem::take(&mut event.attrs);
    let found = names.roster.find(&attrs);
    let get = |name: &str| found.get(names.roster.number(name));
    if let Some(time) = get("timestamp") {
        generic::set_time(event, time, context);
    }
    let kind = CompactString::from(get("event_type").and_then(Value::as_str).unwrap_or_default());
    let mut previous = None;
    for (number, (_, id)) in names.fields.iter().zip(FIELDS) {
        if let Some(value) = found.get(*number).filter(|_| previous != Some(*id)) {
            previous = Some(*id);
            project::set_value(event, *id, one(value));
        }
    }
    if let Some(protocol) = get("proto").and_then(Value::as_str) {
        event.set(field::NETWORK_TRANSPORT, vendor_event::transport(protocol));
    }
    event.set(field::EVENT_DATASET, format_compact!("suricata.{kind}"));
    event.set(field::MESSAGE, summary(event, &kind, &found, names));
    // The request that raised an alert is as good to search as any other.
    if get("http.url").is_some() || get("http.hostname").is_some() {
        let text = |name| get(name).and_then(Value::as_str);
        let exchange = Exchange {
            method: text("http.http_method"),
            uri: text("http.url").unwrap_or_default(),
            host: text("http.hostname"),
            status: get("http.status").and_then(Value::as_i64),
            bytes: get("http.length").and_then(Value::as_i64),
            agent: text("http.http_user_agent"),
            referrer: text("http.http_refer"),
        };
        web::describe(event, &exchange);
    }
    event.logsource = LogSource::product("suricata");
    let mut supplied = Vec::new();
    let mut category = |name: &'static str| event.logsource.categories.push(CompactString::const_new(name));
    match kind.as_str() {
        "dns" => {
            category("dns");
            for (theirs, ours) in DNS {
                let is_new = !supplied.iter().any(|(name, _): &(CompactString, Value)| name == ours);
                if let Some(value) = get(theirs).filter(|_| is_new) {
                    supplied.push((CompactString::const_new(ours), one(value).clone()));
                }
            }
        }
        "http" => ["proxy", "webserver"].into_iter().for_each(category),
        "tls" | "ssh" | "smb" | "rdp" => category("network_connection"),
        _ => (),
    }
    match kind.as_str() {
        "flow" | "netflow" => {
            event.class = EventClass::Flow;
            event.set(field::EVENT_CATEGORY, CompactString::const_new("network"));
            times(event, context, get("flow.start"), get("flow.end"));
        }
        "alert" => {
            event.set(field::EVENT_CATEGORY, CompactString::const_new("intrusion_detection"));
            let action = match get("alert.action").and_then(Value::as_str) {
                Some("blocked") => "alert_blocked",
                _ => "alert",
            };
            event.set(field::EVENT_ACTION, CompactString::const_new(action));
        }
        "drop" => event.set(field::EVENT_ACTION, CompactString::const_new("packet_denied")),
        "fileinfo" => {
            event.set(field::EVENT_CATEGORY, CompactString::const_new("file"));
            if let Some(path) = get("fileinfo.filename").and_then(Value::as_str) {
                event.set(field::FILE_NAME, path.rsplit(['/', '\\']).next().unwrap_or(path));
            }
        }
        "http" => (),
        _ => event.set(field::EVENT_CATEGORY, CompactString::const_new("network")),
    }
    drop(found);
    supplied.append(&mut event.attrs);
    event.attrs = attrs;
    event.attrs.append(&mut supplied);
    if !kind.is_empty() {
        event.logsource.service = Some(kind);
    }
}

/// A list of one is that one: version 3 of EVE's DNS lists its questions.
fn one(value: &Value) -> &Value {
    match value {
        Value::List(members) if members.len() == 1 => &members[0],
        other => other,
    }
}

fn times(event: &mut Event, context: &Context<'_>, start: Option<&Value>, end: Option<&Value>) {
    let read = |value: Option<&Value>| value.and_then(|value| generic::timestamp(value, context));
    let (start, end) = (read(start), read(end));
    for (id, at) in [(field::EVENT_START, start), (field::EVENT_END, end)] {
        if let Some(at) = at {
            event.set(id, CompactString::from(at.to_string()));
        }
    }
    if let (Some(start), Some(end)) = (start, end)
        && end >= start
    {
        event.set(field::EVENT_DURATION, end.nanos() - start.nanos());
    }
}

/// What the text of an event ends with.
const NOTABLE: [&str; 9] = [
    "alert.signature",
    "dns.rrname",
    "http.http_method",
    "http.hostname",
    "http.url",
    "tls.sni",
    "ssh.client.software_version",
    "fileinfo.filename",
    "anomaly.event",
];

/// One line: kind, ends, what was seen.
fn summary(event: &Event, kind: &str, found: &Found<'_>, names: &Names) -> CompactString {
    let mut text = CompactString::from(kind);
    for (mark, address, port) in
        [(" ", field::SOURCE_IP, field::SOURCE_PORT), (" -> ", field::DESTINATION_IP, field::DESTINATION_PORT)]
    {
        let Some(address) = event.get(address).and_then(Value::as_text) else { continue };
        text.push_str(mark);
        text.push_str(&address);
        if let Some(port) = event.get(port).and_then(Value::as_text) {
            text.push(':');
            text.push_str(&port);
        }
    }
    for value in NOTABLE.iter().filter_map(|name| found.get(names.roster.number(name))?.as_text()) {
        text.push(' ');
        text.push_str(&value[..value.floor_char_boundary(256)]);
    }
    text
}
