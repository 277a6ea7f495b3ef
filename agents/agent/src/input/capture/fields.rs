//! Records of packets under the names of the field catalogue.

use std::net::IpAddr;
use std::time::Duration;

use canh_packet::{Conversation, DnsRecord, FlowRecord, HttpRecord, Record, Side, TlsRecord, Transport};
use canh_schema::{FieldId, Timestamp, Value, field};

use super::CaptureRecord;

/// Names of ours, for what the catalogue has no row for.
const FLOW_HISTORY: &str = "flow.history";
const FLOW_END_REASON: &str = "flow.end_reason";
const FLOW_FINAL: &str = "flow.final";
const FLOW_SOURCE_PAYLOAD: &str = "flow.source.payload_bytes";
const FLOW_DESTINATION_PAYLOAD: &str = "flow.destination.payload_bytes";
const FLOW_SOURCE_FLAGS: &str = "flow.source.tcp_flags";
const FLOW_DESTINATION_FLAGS: &str = "flow.destination.tcp_flags";
const FLOW_INNER_VLAN: &str = "network.inner.vlan.id";
const FLOW_TUNNEL_KIND: &str = "flow.tunnel.kind";
const FLOW_TUNNEL_ID: &str = "flow.tunnel.id";
const DNS_ID: &str = "dns.id";
const DNS_ANSWER_TYPES: &str = "dns.answers.type";
const TLS_CIPHER: &str = "tls.cipher";
const TLS_NEXT_PROTOCOL: &str = "tls.next_protocol";
const TLS_CLIENT_PROTOCOLS: &str = "tls.client.supported_protocols";
const TLS_JA3S: &str = "tls.server.ja3s";
const HTTP_MIME_TYPE: &str = "http.response.mime_type";

/// Every name of ours.
#[cfg(test)]
pub(super) const OWN_NAMES: &[&str] = &[
    FLOW_HISTORY,
    FLOW_END_REASON,
    FLOW_FINAL,
    FLOW_SOURCE_PAYLOAD,
    FLOW_DESTINATION_PAYLOAD,
    FLOW_SOURCE_FLAGS,
    FLOW_DESTINATION_FLAGS,
    FLOW_INNER_VLAN,
    FLOW_TUNNEL_KIND,
    FLOW_TUNNEL_ID,
    DNS_ID,
    DNS_ANSWER_TYPES,
    TLS_CIPHER,
    TLS_NEXT_PROTOCOL,
    TLS_CLIENT_PROTOCOLS,
    TLS_JA3S,
    HTTP_MIME_TYPE,
];

/// Names and values, in the order they are sent.
struct Attributes(Vec<(&'static str, Value)>);

impl Attributes {
    fn set(&mut self, field: FieldId, value: Value) {
        self.0.push((field.name(), value));
    }

    fn text(&mut self, field: FieldId, text: Option<&str>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.set(field, Value::text(text));
        }
    }

    fn own(&mut self, name: &'static str, value: Value) {
        self.0.push((name, value));
    }

    fn own_text(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.own(name, Value::text(text));
        }
    }
}

/// The record with neutral names. `interface` is the interface or file that the packets came from.
pub(super) fn record(record: &Record, interface: &str) -> CaptureRecord {
    let mut attributes = Attributes(Vec::with_capacity(32));
    let (conversation, dataset) = match record {
        Record::Flow(flow) => (&flow.conversation, "flow"),
        Record::Dns(dns) => (&dns.conversation, "dns"),
        Record::Tls(tls) => (&tls.conversation, "tls"),
        Record::Http(http) => (&http.conversation, "http"),
    };
    attributes.set(field::EVENT_DATASET, Value::text(dataset));
    attributes.set(field::EVENT_CATEGORY, Value::text("network"));
    attributes.set(field::OBSERVER_INTERFACE, Value::text(interface));
    set_conversation(&mut attributes, conversation);
    let (at, message) = match record {
        Record::Flow(flow) => set_flow(&mut attributes, flow),
        Record::Dns(dns) => set_dns(&mut attributes, dns),
        Record::Tls(tls) => set_tls(&mut attributes, tls),
        Record::Http(http) => set_http(&mut attributes, http),
    };
    CaptureRecord { at: time(at), dataset, message, attributes: attributes.0 }
}

fn time(at: canh_packet::Timestamp) -> Timestamp {
    Timestamp::from_nanos(at.nanos())
}

fn integer(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn nanos(duration: Duration) -> Value {
    Value::Integer(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

fn list(texts: impl Iterator<Item = String>) -> Value {
    Value::List(texts.map(Value::text).collect())
}

fn transport_name(transport: Transport) -> String {
    transport.name().map_or_else(|| transport.number().to_string(), str::to_owned)
}

fn set_conversation(attributes: &mut Attributes, conversation: &Conversation) {
    let has_ports = !matches!(conversation.transport, Transport::Other(_));
    attributes.set(field::SOURCE_IP, Value::Ip(conversation.originator));
    attributes.set(field::DESTINATION_IP, Value::Ip(conversation.responder));
    if has_ports {
        attributes.set(field::SOURCE_PORT, Value::Integer(i64::from(conversation.originator_port)));
        attributes.set(field::DESTINATION_PORT, Value::Integer(i64::from(conversation.responder_port)));
    }
    attributes.set(field::NETWORK_TRANSPORT, Value::text(transport_name(conversation.transport)));
    let family = if conversation.originator.is_ipv4() { "ipv4" } else { "ipv6" };
    attributes.set(field::NETWORK_TYPE, Value::text(family));
    attributes.text(field::NETWORK_COMMUNITY_ID, Some(&conversation.community_id));
    if let Some(vlan) = conversation.vlans.outer {
        attributes.set(field::NETWORK_VLAN_ID, Value::text(vlan.to_string()));
    }
    if let Some(vlan) = conversation.vlans.inner {
        attributes.own(FLOW_INNER_VLAN, Value::text(vlan.to_string()));
    }
    if let Some(tunnel) = conversation.tunnel {
        attributes.own(FLOW_TUNNEL_KIND, Value::text(tunnel.kind.name()));
        attributes.own(FLOW_TUNNEL_ID, Value::Integer(i64::from(tunnel.id)));
    }
}

fn set_flow(attributes: &mut Attributes, flow: &FlowRecord) -> (canh_packet::Timestamp, String) {
    let Side { packets: sent_packets, ip_bytes: sent_bytes, .. } = flow.originator;
    let Side { packets: received_packets, ip_bytes: received_bytes, .. } = flow.responder;
    attributes.set(field::EVENT_START, Value::text(time(flow.start).to_string()));
    attributes.set(field::EVENT_END, Value::text(time(flow.end).to_string()));
    attributes.set(field::EVENT_DURATION, nanos(flow.duration()));
    attributes.set(field::SOURCE_BYTES, integer(sent_bytes));
    attributes.set(field::SOURCE_PACKETS, integer(sent_packets));
    attributes.set(field::DESTINATION_BYTES, integer(received_bytes));
    attributes.set(field::DESTINATION_PACKETS, integer(received_packets));
    attributes.set(field::NETWORK_BYTES, integer(sent_bytes.saturating_add(received_bytes)));
    attributes.set(field::NETWORK_PACKETS, integer(sent_packets.saturating_add(received_packets)));
    attributes.set(field::NETWORK_STATE, Value::text(flow.connection_state));
    attributes.text(field::NETWORK_PROTOCOL, flow.app.map(|app| app.name()));
    attributes.own_text(FLOW_HISTORY, Some(&flow.history));
    attributes.own(FLOW_END_REASON, Value::text(flow.reason.name()));
    attributes.own(FLOW_FINAL, Value::Bool(flow.is_final()));
    attributes.own(FLOW_SOURCE_PAYLOAD, integer(flow.originator.payload_bytes));
    attributes.own(FLOW_DESTINATION_PAYLOAD, integer(flow.responder.payload_bytes));
    if flow.conversation.transport == Transport::Tcp {
        attributes.own(FLOW_SOURCE_FLAGS, Value::text(flags(flow.originator.tcp_flags)));
        attributes.own(FLOW_DESTINATION_FLAGS, Value::text(flags(flow.responder.tcp_flags)));
    }
    let bytes = sent_bytes.saturating_add(received_bytes);
    (flow.end, format!("{} {} {bytes} bytes", ends(&flow.conversation), flow.connection_state))
}

fn set_dns(attributes: &mut Attributes, dns: &DnsRecord) -> (canh_packet::Timestamp, String) {
    attributes.set(field::NETWORK_PROTOCOL, Value::text("dns"));
    attributes.own(DNS_ID, Value::text(dns.id.to_string()));
    attributes.text(field::DNS_QUESTION_NAME, Some(&dns.question_name));
    attributes.text(field::DNS_QUESTION_TYPE, Some(&dns.question_type));
    attributes.text(field::DNS_RESPONSE_CODE, dns.response_code.as_deref());
    if !dns.answers.is_empty() {
        attributes.set(field::DNS_ANSWERS_DATA, list(dns.answers.iter().map(|answer| answer.data.clone())));
        attributes.own(DNS_ANSWER_TYPES, list(dns.answers.iter().map(|answer| answer.record_type.clone())));
    }
    if let Some(round_trip) = dns.round_trip {
        attributes.set(field::EVENT_DURATION, nanos(round_trip));
    }
    let code = dns.response_code.as_deref().unwrap_or("no answer");
    (dns.at, format!("dns {} {} {code}", dns.question_type, dns.question_name))
}

fn set_tls(attributes: &mut Attributes, tls: &TlsRecord) -> (canh_packet::Timestamp, String) {
    attributes.set(field::NETWORK_PROTOCOL, Value::text("tls"));
    attributes.text(field::TLS_SERVER_NAME, tls.server_name.as_deref());
    attributes.text(field::TLS_VERSION, tls.version.as_deref());
    attributes.text(field::TLS_JA3, tls.ja3.as_deref());
    attributes.own_text(TLS_JA3S, tls.ja3s.as_deref());
    attributes.own_text(TLS_NEXT_PROTOCOL, tls.next_protocol.as_deref());
    if !tls.client_protocols.is_empty() {
        attributes.own(TLS_CLIENT_PROTOCOLS, list(tls.client_protocols.iter().cloned()));
    }
    if let Some(cipher) = tls.cipher {
        attributes.own(TLS_CIPHER, Value::text(format!("0x{cipher:04x}")));
    }
    let name = tls.server_name.as_deref().unwrap_or("-");
    (tls.at, format!("tls {} {name} {}", tls.version.as_deref().unwrap_or("-"), ends(&tls.conversation)))
}

fn set_http(attributes: &mut Attributes, http: &HttpRecord) -> (canh_packet::Timestamp, String) {
    attributes.set(field::NETWORK_PROTOCOL, Value::text("http"));
    attributes.text(field::HTTP_METHOD, http.method.as_deref());
    attributes.text(field::HTTP_VERSION, http.version.as_deref());
    attributes.text(field::USER_AGENT, http.user_agent.as_deref());
    attributes.text(field::HTTP_REFERRER, http.referrer.as_deref());
    attributes.own_text(HTTP_MIME_TYPE, http.response_mime_type.as_deref());
    if let Some(status) = http.status {
        attributes.set(field::HTTP_STATUS, Value::Integer(i64::from(status)));
    }
    if let Some(bytes) = http.response_body_bytes {
        attributes.set(field::HTTP_RESPONSE_BYTES, integer(bytes));
    }
    let uri = http.uri.as_deref().unwrap_or_default();
    let (domain, path, query) = split_target(uri, http.host.as_deref(), http.method.as_deref());
    attributes.text(field::URL_ORIGINAL, Some(uri));
    attributes.text(field::URL_DOMAIN, domain);
    attributes.text(field::URL_PATH, Some(path));
    attributes.text(field::URL_QUERY, query);
    let method = http.method.as_deref().unwrap_or("-");
    let status = http.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    (http.at, format!("http {method} {}{path} {status}", domain.unwrap_or_default()))
}

/// Domain, path and query of a request's target, which has four forms. Source: RFC 9112, section 3.2.
fn split_target<'a>(
    uri: &'a str,
    host: Option<&'a str>,
    method: Option<&str>,
) -> (Option<&'a str>, &'a str, Option<&'a str>) {
    if method == Some("CONNECT") {
        return (Some(without_port(uri)), "", None);
    }
    let (authority, target) = match uri.split_once("://") {
        Some((_, rest)) => {
            let (authority, target) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            (Some(authority), target)
        }
        None => (host, uri),
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    (authority.map(without_port), path, query)
}

/// The name or address of `host:port` or `[address]:port`.
fn without_port(authority: &str) -> &str {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn ends(conversation: &Conversation) -> String {
    let end = |address: IpAddr, port: u16| match (conversation.transport, address) {
        (Transport::Other(_) | Transport::Icmp | Transport::Icmp6, address) => address.to_string(),
        (_, IpAddr::V4(address)) => format!("{address}:{port}"),
        (_, IpAddr::V6(address)) => format!("[{address}]:{port}"),
    };
    format!(
        "{} {} -> {}",
        transport_name(conversation.transport),
        end(conversation.originator, conversation.originator_port),
        end(conversation.responder, conversation.responder_port)
    )
}

/// Flags as letters, in the order of their bits.
fn flags(bits: u8) -> String {
    const LETTERS: [char; 8] = ['F', 'S', 'R', 'P', 'A', 'U', 'E', 'C'];
    LETTERS.iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0).map(|(_, letter)| *letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_target(method: &str, uri: &str, host: Option<&str>, expected: (Option<&str>, &str, Option<&str>)) {
        assert_eq!(split_target(uri, host, Some(method)), expected, "input: {method} {uri}");
    }

    #[test]
    fn targets() {
        check_target("GET", "/a/b?c=d", Some("x.vn"), (Some("x.vn"), "/a/b", Some("c=d")));
        check_target("GET", "/", Some("x.vn:8080"), (Some("x.vn"), "/", None));
        check_target("GET", "/", Some("[fe80::1]:80"), (Some("fe80::1"), "/", None));
        check_target("GET", "/", Some("fe80::1"), (Some("fe80::1"), "/", None));
        check_target("GET", "http://u:p@x.vn:80/a?b", Some("other.vn"), (Some("x.vn"), "/a", Some("b")));
        check_target("GET", "http://x.vn", None, (Some("x.vn"), "", None));
        check_target("CONNECT", "x.vn:443", Some("x.vn"), (Some("x.vn"), "", None));
        check_target("OPTIONS", "*", None, (None, "*", None));
    }

    #[test]
    fn flag_letters() {
        assert_eq!(flags(0x12), "SA");
        assert_eq!(flags(0xff), "FSRPAUEC");
        assert_eq!(flags(0), "");
    }
}
