//! What OpenTelemetry's semantic conventions say of requests and connections, under the names of today and under older
//! ones, as fields. The attributes themselves stay as they are.

use canh_schema::{Event, FieldId, LogSource, Value, field};
use compact_str::{CompactString, format_compact};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::source::project;
use crate::source::web::{self, Exchange};

/// Where the names of one side of a connection are, the better ones first.
struct Side {
    address: &'static [&'static str],
    port: &'static [&'static str],
}

/// Who began the connection, if the span is of whoever answers.
const CLIENT: Side = Side {
    address: &[
        "client.address",
        "http.client_ip",
        "network.peer.address",
        "net.sock.peer.addr",
        "net.peer.ip",
        "net.peer.name",
    ],
    port: &["client.port", "network.peer.port", "net.sock.peer.port", "net.peer.port"],
};

/// Whom the connection goes to, if the span is of whoever asks.
const SERVER: Side = Side {
    address: &["server.address", "network.peer.address", "net.peer.name", "net.sock.peer.addr", "net.peer.ip"],
    port: &["server.port", "network.peer.port", "net.peer.port", "net.sock.peer.port"],
};

/// This side, if the span is of whoever answers.
const OWN_SERVER: Side = Side {
    address: &["server.address", "network.local.address", "net.host.name", "net.sock.host.addr", "net.host.ip"],
    port: &["server.port", "network.local.port", "net.host.port", "net.sock.host.port"],
};

/// This side, if the span is of whoever asks.
const OWN_CLIENT: Side = Side {
    address: &["client.address", "network.local.address", "net.sock.host.addr", "net.host.ip"],
    port: &["client.port", "network.local.port", "net.sock.host.port", "net.host.port"],
};

/// Names that only differ from those of fields.
const SAME: &[(&str, FieldId)] = &[
    ("network.protocol.name", field::NETWORK_PROTOCOL),
    ("net.protocol.name", field::NETWORK_PROTOCOL),
    ("enduser.id", field::USER_NAME),
    ("process.executable.path", field::PROCESS_EXECUTABLE),
    ("process.executable.name", field::PROCESS_NAME),
    ("exception.type", field::ERROR_TYPE),
    ("exception.message", field::ERROR_MESSAGE),
];

/// Sets the fields. Answers what was asked and answered, in one line, if the span is of a request over HTTP.
pub(super) fn apply(event: &mut Event, kind: SpanKind) -> Option<CompactString> {
    let answers = kind == SpanKind::Server;
    for (name, id) in SAME {
        if let Some(value) = find(event, &[name]) {
            set(event, *id, &value);
        }
    }
    if let Some(transport) = text(event, &["net.transport"]) {
        let transport = transport.strip_prefix("ip_").unwrap_or(&transport);
        set(event, field::NETWORK_TRANSPORT, &Value::from(transport));
    }
    let (source, destination) = if answers { (CLIENT, OWN_SERVER) } else { (OWN_CLIENT, SERVER) };
    side(event, &source, [field::SOURCE_IP, field::SOURCE_DOMAIN, field::SOURCE_PORT]);
    side(event, &destination, [field::DESTINATION_IP, field::DESTINATION_DOMAIN, field::DESTINATION_PORT]);
    request(event, answers)
}

fn side(event: &mut Event, side: &Side, [ip, domain, port]: [FieldId; 3]) {
    for name in side.address {
        let Some(address) = text(event, &[name]) else { continue };
        let is_address = address.parse::<std::net::IpAddr>().is_ok();
        set(event, if is_address { ip } else { domain }, &Value::Text(address));
    }
    if event.get(ip).is_none() && event.get(domain).is_none() {
        return; // a port of nobody says nothing
    }
    if let Some(value) = find(event, side.port) {
        set(event, port, &value);
    }
}

fn request(event: &mut Event, answers: bool) -> Option<CompactString> {
    let method = text(event, &["http.request.method_original", "http.request.method", "http.method"])?;
    let full = text(event, &["url.full", "http.url"]);
    let (full_host, full_uri) = full.as_deref().map(split_url).unwrap_or_default();
    let path = text(event, &["url.path"]);
    let uri = match (&path, text(event, &["url.query"])) {
        (Some(path), Some(query)) if !query.is_empty() => Some(format_compact!("{path}?{query}")),
        (Some(path), _) => Some(path.clone()),
        _ => text(event, &["http.target"]),
    };
    let uri = uri.or_else(|| full_uri.map(CompactString::from)).or_else(|| text(event, &["url.original"]));
    let uri = uri.unwrap_or_default();
    let host = text(event, &["url.domain", "http.host"]).or_else(|| full_host.map(CompactString::from));
    let host = host.or_else(|| text(event, &["server.address", "http.server_name", "net.host.name"]));
    let status = number(event, &["http.response.status_code", "http.status_code"]);
    let agent = text(event, &["user_agent.original", "http.user_agent"]);
    let referrer = text(event, &["http.request.referrer", "http.request.header.referer"]);
    web::describe(
        event,
        &Exchange {
            method: Some(&method),
            uri: &uri,
            host: host.as_deref().map(without_port),
            status,
            bytes: number(event, &["http.response.body.size", "http.response_content_length"]),
            agent: agent.as_deref(),
            referrer: referrer.as_deref(),
        },
    );
    if let Some(address) = event.get(field::SOURCE_IP).and_then(Value::as_text).map(CompactString::from) {
        event.attrs.push(("c-ip".into(), Value::Text(address)));
    }
    if let Some(full) = &full {
        set(event, field::URL_FULL, &Value::from(full.as_str()));
    }
    if let Some(version) = text(event, &["network.protocol.version", "net.protocol.version", "http.flavor"]) {
        set(event, field::HTTP_VERSION, &Value::Text(version));
    }
    // Rules for web servers are about what clients ask of them, those for proxies about what machines here ask of others.
    event.logsource = LogSource::default().with_category(if answers { "webserver" } else { "proxy" });
    let shown = if answers { None } else { full };
    let shown = shown.or(Some(uri)).filter(|uri| !uri.is_empty()).or_else(|| text(event, &["http.route"]));
    let mut line = method;
    for word in [shown, status.map(|status| format_compact!("{status}"))].into_iter().flatten() {
        line.push(' ');
        line.push_str(&word);
    }
    Some(line)
}

/// Host, and path with query, of a whole address.
fn split_url(url: &str) -> (Option<&str>, Option<&str>) {
    let Some((_, rest)) = url.split_once("://") else { return (None, Some(url)) };
    let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
    let (authority, uri) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    (Some(without_port(host)).filter(|host| !host.is_empty()), Some(if uri.is_empty() { "/" } else { uri }))
}

/// `example.vn` of `example.vn:443`; an IPv6 address keeps its brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The first of these that the event has.
fn find(event: &Event, names: &[&str]) -> Option<Value> {
    names.iter().find_map(|name| event.lookup(name).filter(|value| !project::is_absent(value)).cloned())
}

fn text(event: &Event, names: &[&str]) -> Option<CompactString> {
    find(event, names)?.as_text().map(CompactString::from)
}

fn number(event: &Event, names: &[&str]) -> Option<i64> {
    match project::typed(field::HTTP_STATUS.kind(), &find(event, names)?)? {
        Value::Integer(number) => Some(number),
        _ => None,
    }
}

/// Sets the field unless the event has it. A value that does not fit stays where it is.
fn set(event: &mut Event, id: FieldId, value: &Value) {
    if event.get(id).is_none() {
        project::set_value(event, id, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |url, host, uri| assert_eq!(split_url(url), (host, uri), "{url}");
        check("https://a.vn:443/x?y=1#z", Some("a.vn"), Some("/x?y=1"));
        check("http://u:p@a.vn", Some("a.vn"), Some("/"));
        check("http://[::1]:80?x", Some("[::1]"), Some("?x"));
        check("http:///x", None, Some("/x"));
        check("/only/path", None, Some("/only/path"));
        check("", None, Some(""));
    }
}
