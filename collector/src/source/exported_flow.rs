//! Flows that routers, switches and firewalls export. They come out under the names that flows of our agent have; what has
//! no name there stays under its native one: IANA's for NetFlow and IPFIX, `sflow.…` for sFlow.
//!
//! Counters of sampled traffic are multiplied with the rate; as they were sent they stay under their native names.

use std::fmt::Write;
use std::net::IpAddr;

use canh_flows::{Flow, FlowSet, InterfaceCounters, Protocol, Record, Sample, Sampling};
use canh_schema::{Event, FieldId, IssueKind, Timestamp, Value, field};
use compact_str::{CompactString, ToCompactString, format_compact};

use super::{flow, metric as metrics_source};

/// A clock that says less is not set.
const CLOCK_MIN: i64 = 946_684_800_000_000_000; // 2000-01-01

/// Who saw it, and who told of it.
pub(crate) struct Exported {
    pub(crate) observer: IpAddr,
    pub(crate) exporter: IpAddr,
}

/// A record of NetFlow or IPFIX.
pub(crate) fn record(event: &mut Event, set: &FlowSet<'_>, record: &Record<'_, '_>) {
    let traffic = set.flow(record);
    event.attrs.reserve(24);
    let mut out = Out { event };
    out.flow(&traffic, set.exporter, set.protocol);
    let application = traffic.application.and_then(|id| set.application(id));
    for (id, name) in [
        (field::OBSERVER_INTERFACE, traffic.ingress.and_then(|index| set.interface(index))),
        (field::OBSERVER_EGRESS_INTERFACE, traffic.egress.and_then(|index| set.interface(index))),
        (field::NETWORK_APPLICATION, application),
    ] {
        if let Some(name) = name {
            out.field(id, name);
        }
    }
    for (name, vrf) in [("ingressVRFName", traffic.ingress_vrf), ("egressVRFName", traffic.egress_vrf)] {
        if let Some(text) = vrf.and_then(|id| set.vrf(id)) {
            out.native(name, text);
        }
    }
    if set.domain > 0 {
        out.native("flow.export.domain", i64::from(set.domain));
    }
    if let Some(sequence) = set.sequence {
        out.native("flow.export.sequence", i64::from(sequence));
    }
    if traffic.sampling.factor() > 1 {
        record.counters().for_each(|(name, number)| out.native(name, integer(number)));
    }
    record.natives().for_each(|(name, value)| out.native(name, native(&value)));
    flow::apply(event);
}

/// A packet that sFlow sampled.
pub(crate) fn sample(event: &mut Event, sample: &Sample<'_>) {
    let mut out = Out { event };
    out.flow(&sample.flow, sample.agent, Protocol::Sflow);
    sample.natives.iter().for_each(|(name, value)| out.native(name, native(value)));
    flow::apply(event);
}

struct Out<'a> {
    event: &'a mut Event,
}

impl Out<'_> {
    /// Every field is set once, so nothing has to be looked for.
    fn field(&mut self, id: FieldId, value: impl Into<Value>) {
        self.event.fields.push((id, value.into()));
    }

    fn native(&mut self, name: &str, value: impl Into<Value>) {
        self.event.attrs.push((CompactString::from(name), value.into()));
    }

    fn flow(&mut self, traffic: &Flow, observer: IpAddr, protocol: Protocol) {
        self.event.fields.reserve(32);
        self.field(field::EVENT_DATASET, "flow");
        self.ends(traffic);
        self.counters(traffic);
        self.times(traffic);
        self.field(field::OBSERVER_IP, observer);
        for (id, index) in
            [(field::OBSERVER_INTERFACE_ID, traffic.ingress), (field::OBSERVER_EGRESS_INTERFACE_ID, traffic.egress)]
        {
            if let Some(index) = index {
                self.field(id, index.to_compact_string());
            }
        }
        self.native("flow.export.protocol", protocol.name());
        if let Some(flags) = traffic.tcp_flags.filter(|_| traffic.protocol == Some(6)) {
            self.native("flow.source.tcp_flags", tcp_flags(flags));
        }
    }

    fn ends(&mut self, traffic: &Flow) {
        let ports = if has_ports(traffic) { (traffic.source_port, traffic.destination_port) } else { (None, None) };
        for (id, address) in [(field::SOURCE_IP, traffic.source), (field::DESTINATION_IP, traffic.destination)] {
            if let Some(address) = address {
                self.field(id, address);
            }
        }
        for (id, port) in [(field::SOURCE_PORT, ports.0), (field::DESTINATION_PORT, ports.1)] {
            if let Some(port) = port {
                self.field(id, i64::from(port));
            }
        }
        for (id, mac) in [(field::SOURCE_MAC, traffic.source_mac), (field::DESTINATION_MAC, traffic.destination_mac)] {
            if let Some(mac) = mac {
                self.field(id, mac_text(mac));
            }
        }
        let systems =
            [(field::SOURCE_AS_NUMBER, traffic.source_as), (field::DESTINATION_AS_NUMBER, traffic.destination_as)];
        for (id, number) in systems {
            // 0 is how exporters fill the field when they do not know.
            if let Some(number) = number.filter(|number| *number > 0) {
                self.field(id, i64::from(number));
            }
        }
        if let Some(vlan) = traffic.vlan.filter(|vlan| *vlan > 0) {
            self.field(field::NETWORK_VLAN_ID, vlan.to_compact_string());
        }
        if let Some(protocol) = traffic.protocol {
            match transport(protocol) {
                Some(name) => self.field(field::NETWORK_TRANSPORT, CompactString::const_new(name)),
                None => self.field(field::NETWORK_TRANSPORT, protocol.to_compact_string()),
            }
        }
        if let Some(source) = traffic.source {
            self.field(field::NETWORK_TYPE, if source.is_ipv4() { "ipv4" } else { "ipv6" });
        }
        if let Some((kind, code)) = traffic.icmp {
            self.native("flow.icmp.type", i64::from(kind));
            self.native("flow.icmp.code", i64::from(code));
        }
        if let Some(id) = community_id(traffic) {
            self.field(field::NETWORK_COMMUNITY_ID, id);
        }
    }

    fn counters(&mut self, traffic: &Flow) {
        let factor = traffic.sampling.factor();
        let scaled = |number: Option<u64>| number.map(|number| number.saturating_mul(factor));
        let (bytes, packets) = (scaled(traffic.bytes), scaled(traffic.packets));
        let (back_bytes, back_packets) = (scaled(traffic.reverse_bytes), scaled(traffic.reverse_packets));
        let sum = |there: Option<u64>, back: Option<u64>| {
            (there.is_some() || back.is_some())
                .then(|| there.unwrap_or_default().saturating_add(back.unwrap_or_default()))
        };
        for (id, number) in [
            (field::SOURCE_BYTES, bytes),
            (field::SOURCE_PACKETS, packets),
            (field::DESTINATION_BYTES, back_bytes),
            (field::DESTINATION_PACKETS, back_packets),
            (field::NETWORK_BYTES, sum(bytes, back_bytes)),
            (field::NETWORK_PACKETS, sum(packets, back_packets)),
        ] {
            if let Some(number) = number {
                self.field(id, integer(number));
            }
        }
        self.field(field::MESSAGE, message(traffic, sum(bytes, back_bytes)));
        match traffic.sampling {
            Sampling::Unsaid => (),
            Sampling::OneIn(rate) => self.native("flow.sampling.rate", integer(rate)),
            Sampling::Unknown => self.native("flow.sampling.known", false),
        }
    }

    fn times(&mut self, traffic: &Flow) {
        let at = traffic.end.or(traffic.start).or(traffic.exported);
        match at.filter(|at| *at >= CLOCK_MIN) {
            Some(at) => self.event.time = Timestamp::from_nanos(at),
            None => {
                if let Some(at) = at {
                    let text = Timestamp::from_nanos(at).to_compact_string();
                    self.event.push_issue(IssueKind::BadTime, text);
                }
            }
        }
        for (id, at) in [(field::EVENT_START, traffic.start), (field::EVENT_END, traffic.end)] {
            if let Some(at) = at {
                self.field(id, Timestamp::from_nanos(at).to_compact_string());
            }
        }
        let between = || traffic.end?.checked_sub(traffic.start?);
        // An end before its start is a lie of the exporter; there is no length then.
        if let Some(duration) = traffic.duration.or_else(between).filter(|duration| *duration >= 0) {
            self.field(field::EVENT_DURATION, duration);
        }
    }
}

fn integer(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn native(value: &canh_flows::Value<'_>) -> Value {
    use canh_flows::Value as Native;
    match value {
        Native::Unsigned(number) => integer(*number),
        Native::Float(number) => Value::Float(*number),
        Native::Bool(value) => Value::Bool(*value),
        Native::Address(address) => Value::Ip(*address),
        Native::Mac(mac) => Value::Text(mac_text(*mac)),
        Native::Text(text) => Value::from(*text),
        Native::Bytes(bytes) => Value::Text(hex(bytes)),
        Native::Time(at) => Value::Text(Timestamp::from_nanos(*at).to_compact_string()),
    }
}

/// The first bytes in hexadecimal; all of them are in the raw record.
fn hex(bytes: &[u8]) -> CompactString {
    let mut text = CompactString::default();
    for byte in bytes.iter().take(64) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// As ECS writes it (RFC 7042): capital letters and `-`.
fn mac_text(mac: [u8; 6]) -> CompactString {
    let [a, b, c, d, e, f] = mac;
    format_compact!("{a:02X}-{b:02X}-{c:02X}-{d:02X}-{e:02X}-{f:02X}")
}

/// Letters of the flags that were ever set, in the order of their bits, as our agent writes them.
fn tcp_flags(flags: u16) -> CompactString {
    const LETTERS: [char; 8] = ['F', 'S', 'R', 'P', 'A', 'U', 'E', 'C'];
    LETTERS.iter().enumerate().filter(|(bit, _)| flags & (1 << bit) != 0).map(|(_, letter)| *letter).collect()
}

/// One line: the protocol, the ends, how much.
fn message(traffic: &Flow, bytes: Option<u64>) -> CompactString {
    let mut text = CompactString::default();
    match traffic.protocol.map(|protocol| (transport(protocol), protocol)) {
        Some((Some(name), _)) => text.push_str(name),
        Some((None, number)) => drop(write!(text, "{number}")),
        None => text.push_str("flow"),
    }
    let ends = [(" ", traffic.source, traffic.source_port), (" -> ", traffic.destination, traffic.destination_port)];
    for (before, address, port) in ends {
        let Some(address) = address else { continue };
        text.push_str(before);
        let _ = match (address, port.filter(|_| has_ports(traffic))) {
            (address, None) => write!(text, "{address}"),
            (IpAddr::V4(address), Some(port)) => write!(text, "{address}:{port}"),
            (IpAddr::V6(address), Some(port)) => write!(text, "[{address}]:{port}"),
        };
    }
    if let Some(bytes) = bytes {
        let _ = write!(text, " {bytes} bytes");
    }
    text
}

const fn has_ports(traffic: &Flow) -> bool {
    matches!(traffic.protocol, None | Some(6 | 17 | 33 | 132 | 136))
}

fn community_id(traffic: &Flow) -> Option<CompactString> {
    let (source, destination, protocol) = (traffic.source?, traffic.destination?, traffic.protocol?);
    if source.is_ipv4() != destination.is_ipv4() {
        return None;
    }
    let ports = match protocol {
        6 | 17 | 132 => (Some(traffic.source_port?), Some(traffic.destination_port?)),
        1 | 58 => {
            let (kind, code) = traffic.icmp?;
            (Some(u16::from(kind)), Some(u16::from(code)))
        }
        _ => (None, None),
    };
    let id = community_id::calculate_community_id(0, source, destination, ports.0, ports.1, protocol, false);
    id.ok().map(CompactString::from)
}

/// IANA's keyword in small letters, as our agent writes it.
const fn transport(protocol: u8) -> Option<&'static str> {
    Some(match protocol {
        0 => "hopopt",
        1 => "icmp",
        2 => "igmp",
        4 => "ipv4",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        41 => "ipv6",
        46 => "rsvp",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "ipv6-icmp",
        88 => "eigrp",
        89 => "ospf",
        103 => "pim",
        112 => "vrrp",
        115 => "l2tp",
        132 => "sctp",
        136 => "udplite",
        _ => return None,
    })
}

/// One value of an interface, in OpenTelemetry's words.
pub(crate) struct Metric {
    name: &'static str,
    unit: &'static str,
    value: f64,
    direction: Option<&'static str>,
}

pub(crate) fn metrics(interface: &InterfaceCounters) -> impl Iterator<Item = Metric> + use<> {
    let both = [("receive", interface.received), ("transmit", interface.sent)];
    // Beyond 2^53 neighbouring counts become equal, which no graph shows.
    let counters = both.into_iter().flat_map(|(direction, counts)| {
        let metric = |name, unit, value| Metric { name, unit, value, direction: Some(direction) };
        [
            metric("system.network.io", "By", counts.bytes as f64),
            metric("system.network.packets", "{packet}", counts.packets as f64),
            metric("system.network.dropped", "{packet}", f64::from(counts.discards)),
            metric("system.network.errors", "{error}", f64::from(counts.errors)),
        ]
    });
    let up = if interface.is_up { 1.0 } else { 0.0 };
    let state = [("hw.network.up", "1", up), ("hw.network.bandwidth.limit", "bit/s", interface.speed as f64)];
    counters.chain(state.map(|(name, unit, value)| Metric { name, unit, value, direction: None }))
}

pub(crate) fn metric(event: &mut Event, exported: &Exported, interface: &InterfaceCounters, metric: &Metric) {
    event.set(field::METRIC_NAME, metric.name);
    event.set(field::METRIC_VALUE, metric.value);
    event.set(field::METRIC_UNIT, metric.unit);
    event.set(field::OBSERVER_IP, exported.observer);
    event.set(field::OBSERVER_INTERFACE_ID, interface.index.to_compact_string());
    if exported.observer != exported.exporter {
        event.set(field::HOST_IP, exported.observer);
    }
    if let Some(direction) = metric.direction {
        event.attrs.push((CompactString::const_new("network.io.direction"), Value::from(direction)));
    }
    let index = interface.index;
    let direction = metric.direction.unwrap_or_default();
    let text = format_compact!("{} {direction} {} of interface {index}", metric.name, metric.value);
    event.set(field::MESSAGE, text);
    metrics_source::apply(event);
}
