//! The flow that records of every protocol have in common: who, to whom, how much, when, through which interfaces.

use std::net::IpAddr;

use crate::element::{self, ElementId, Kind, REVERSE, Value};
use crate::template::Record;
use crate::wire::{port, unsigned};

/// One flow, or one sampled packet. Counters are as they were sent; see [`Sampling`] for what they stand for.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Flow {
    pub source: Option<IpAddr>,
    pub destination: Option<IpAddr>,
    pub source_port: Option<u16>,
    pub destination_port: Option<u16>,
    /// IANA's number.
    pub protocol: Option<u8>,
    pub icmp: Option<(u8, u8)>,
    pub bytes: Option<u64>,
    pub packets: Option<u64>,
    /// What went back, where one record has both directions (RFC 5103, and Cisco's initiator and responder).
    pub reverse_bytes: Option<u64>,
    pub reverse_packets: Option<u64>,
    pub tcp_flags: Option<u16>,
    /// Nanoseconds since 1970, UTC.
    pub start: Option<i64>,
    pub end: Option<i64>,
    /// Nanoseconds, where it is known better than start and end.
    pub duration: Option<i64>,
    /// When the exporter wrote the message.
    pub exported: Option<i64>,
    pub ingress: Option<u32>,
    pub egress: Option<u32>,
    pub source_mac: Option<[u8; 6]>,
    pub destination_mac: Option<[u8; 6]>,
    pub vlan: Option<u16>,
    pub source_as: Option<u32>,
    pub destination_as: Option<u32>,
    pub application: Option<u64>,
    pub ingress_vrf: Option<u32>,
    pub egress_vrf: Option<u32>,
    pub sampling: Sampling,
}

/// How many packets one stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sampling {
    /// The exporter says nothing of sampling.
    #[default]
    Unsaid,
    /// One packet in so many was looked at; never 0.
    OneIn(u64),
    /// The exporter names a sampler and has not said yet what it does.
    Unknown,
}

impl Sampling {
    pub(crate) const fn one_in(rate: u64) -> Self {
        if rate == 0 { Self::Unsaid } else { Self::OneIn(rate) }
    }

    /// What counters are multiplied with.
    pub const fn factor(self) -> u64 {
        match self {
            Self::OneIn(rate) => rate,
            Self::Unsaid | Self::Unknown => 1,
        }
    }
}

macro_rules! slots {
    ($($slot:ident: $($number:expr),+;)*) => {
        /// A part of the flow, and what it may be read from.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Slot { $($slot,)* }

        /// Each slot with its elements, the best first.
        static SLOTS: &[(Slot, &[Source])] = &[$((Slot::$slot, &[$($number),+]),)*];
    };
}

/// An element that may fill a slot.
type Source = (u32, u16);

const fn iana(number: u16) -> Source {
    (0, number)
}

const fn back(number: u16) -> Source {
    (REVERSE, number)
}

slots! {
    SourceV4: iana(8);
    SourceV6: iana(27);
    DestinationV4: iana(12);
    DestinationV6: iana(28);
    IpVersion: iana(60);
    SourcePort: iana(7), iana(180), iana(182);
    DestinationPort: iana(11), iana(181), iana(183);
    Protocol: iana(4), iana(193);
    Icmp: iana(32), iana(139);
    IcmpType: iana(176), iana(178);
    IcmpCode: iana(177), iana(179);
    Bytes: iana(1), iana(85), iana(231), iana(352), iana(353);
    Packets: iana(2), iana(86), iana(298);
    ReverseBytes: back(1), back(85), iana(232), back(352);
    ReversePackets: back(2), back(86), iana(299);
    TcpFlags: iana(6);
    StartMillis: iana(152);
    StartNtp: iana(156), iana(154);
    StartSeconds: iana(150);
    StartUptime: iana(22);
    StartBefore: iana(158);
    EndMillis: iana(153);
    EndNtp: iana(157), iana(155);
    EndSeconds: iana(151);
    EndUptime: iana(21);
    EndBefore: iana(159);
    ObservedMillis: iana(323);
    ObservedNtp: iana(325), iana(324);
    ObservedSeconds: iana(322);
    DurationMillis: iana(161);
    DurationMicros: iana(162);
    InitMillis: iana(160);
    Ingress: iana(10), iana(252);
    Egress: iana(14), iana(253);
    SourceMac: iana(56);
    DestinationMac: iana(80);
    Vlan: iana(58), iana(243);
    SourceAs: iana(16);
    DestinationAs: iana(17);
    Application: iana(95);
    IngressVrf: iana(234);
    EgressVrf: iana(235);
    Sampler: iana(302), iana(48);
    Rate: iana(50), iana(34);
    PacketInterval: iana(305);
    PacketSpace: iana(306);
}

/// Slots that leave their element under its native name too, because the flow does not have all of it.
const ALSO_NATIVE: &[Slot] = &[
    Slot::Icmp,
    Slot::IcmpType,
    Slot::IcmpCode,
    Slot::TcpFlags,
    Slot::Application,
    Slot::IngressVrf,
    Slot::EgressVrf,
    Slot::Sampler,
    Slot::InitMillis,
];

impl Slot {
    /// Which field fills which slot. An element that comes several times, for the headers of a tunnel from the outer to the
    /// inner (RFC 7011, section 8), has a row for each.
    pub(crate) fn choose(fields: impl Iterator<Item = ElementId> + Clone) -> Vec<(Self, u16)> {
        let mut slots = Vec::new();
        for (slot, sources) in SLOTS {
            for (enterprise, number) in *sources {
                let wanted = ElementId { enterprise: *enterprise, number: *number };
                let places = fields.clone().enumerate().filter(|(_, element)| *element == wanted);
                let before = slots.len();
                slots.extend(places.filter_map(|(place, _)| Some((*slot, u16::try_from(place).ok()?))));
                if slots.len() > before {
                    break;
                }
            }
        }
        slots
    }

    pub(crate) fn is_native_too(self) -> bool {
        ALSO_NATIVE.contains(&self)
    }
}

/// What a message says of the times in its records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Clock {
    /// When the message was written, nanoseconds since 1970.
    pub exported: i64,
    /// Milliseconds that the exporter had been up by then.
    pub uptime: Option<u32>,
    /// When the exporter came up, milliseconds since 1970.
    pub up_since: Option<u64>,
}

impl Clock {
    /// The time at which the exporter had been up for so long. Its counter begins again after 49 days.
    fn at_uptime(&self, millis: u64) -> Option<i64> {
        if let Some(uptime) = self.uptime {
            // Casting keeps the low bits, which is what the counter is.
            let ahead = (millis as u32).wrapping_sub(uptime).cast_signed();
            return Some(self.exported.saturating_add(i64::from(ahead) * 1_000_000));
        }
        let at = self.up_since?.checked_add(millis)?;
        i64::try_from(at).ok()?.checked_mul(1_000_000)
    }
}

fn times(number: u64, unit: i64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(unit)
}

/// Parts of a flow that only together make one of its fields.
#[derive(Default)]
struct Parts {
    source: [Option<IpAddr>; 2],
    destination: [Option<IpAddr>; 2],
    ip_version: Option<u64>,
    icmp_type: Option<u8>,
    icmp_code: Option<u8>,
    duration: Option<i64>,
    observed: Option<i64>,
    up_since: Option<u64>,
    uptimes: [Option<u64>; 2],
    interval: u64,
    space: Option<u64>,
}

impl Record<'_, '_> {
    /// The flow in this record, and the sampler that it names. The sampling is the record's own.
    pub fn flow(&self, clock: &Clock) -> (Flow, Option<u64>) {
        let mut flow = Flow { exported: Some(clock.exported), ..Flow::default() };
        let mut parts = Parts::default();
        let mut sampler = None;
        let mut last = None;
        for (slot, place) in &self.template().slots {
            let bytes = self.field(usize::from(*place));
            // The inner header is whom it is about; without a tunnel it is empty.
            if last.replace(*slot) == Some(*slot) && bytes.iter().all(|byte| *byte == 0) {
                continue;
            }
            let number = || unsigned(bytes);
            let small = || u32::try_from(unsigned(bytes)).unwrap_or(u32::MAX);
            match slot {
                Slot::SourceV4 => parts.source[0] = element::address(bytes),
                Slot::SourceV6 => parts.source[1] = element::address(bytes),
                Slot::DestinationV4 => parts.destination[0] = element::address(bytes),
                Slot::DestinationV6 => parts.destination[1] = element::address(bytes),
                Slot::IpVersion => parts.ip_version = Some(number()),
                Slot::SourcePort => flow.source_port = Some(port(bytes)),
                Slot::DestinationPort => flow.destination_port = Some(port(bytes)),
                Slot::Protocol => flow.protocol = u8::try_from(number()).ok(),
                Slot::Icmp => {
                    let [kind, code] = port(bytes).to_be_bytes();
                    (parts.icmp_type, parts.icmp_code) = (Some(kind), Some(code));
                }
                Slot::IcmpType => parts.icmp_type = u8::try_from(number()).ok(),
                Slot::IcmpCode => parts.icmp_code = u8::try_from(number()).ok(),
                Slot::Bytes => flow.bytes = Some(number()),
                Slot::Packets => flow.packets = Some(number()),
                Slot::ReverseBytes => flow.reverse_bytes = Some(number()),
                Slot::ReversePackets => flow.reverse_packets = Some(number()),
                Slot::TcpFlags => flow.tcp_flags = Some(port(bytes)),
                Slot::StartMillis => flow.start = Some(times(number(), 1_000_000)),
                Slot::StartNtp => flow.start = element::ntp(bytes).or(flow.start),
                Slot::StartSeconds => flow.start = flow.start.or(Some(times(number(), 1_000_000_000))),
                Slot::StartUptime => parts.uptimes[0] = Some(number()),
                Slot::StartBefore => {
                    flow.start = flow.start.or(Some(clock.exported.saturating_sub(times(number(), 1_000))))
                }
                Slot::EndMillis => flow.end = Some(times(number(), 1_000_000)),
                Slot::EndNtp => flow.end = element::ntp(bytes).or(flow.end),
                Slot::EndSeconds => flow.end = flow.end.or(Some(times(number(), 1_000_000_000))),
                Slot::EndUptime => parts.uptimes[1] = Some(number()),
                Slot::EndBefore => flow.end = flow.end.or(Some(clock.exported.saturating_sub(times(number(), 1_000)))),
                Slot::ObservedMillis => parts.observed = Some(times(number(), 1_000_000)),
                Slot::ObservedNtp => parts.observed = element::ntp(bytes).or(parts.observed),
                Slot::ObservedSeconds => parts.observed = parts.observed.or(Some(times(number(), 1_000_000_000))),
                Slot::DurationMillis => parts.duration = Some(times(number(), 1_000_000)),
                Slot::DurationMicros => parts.duration = parts.duration.or(Some(times(number(), 1_000))),
                Slot::InitMillis => parts.up_since = Some(number()),
                Slot::Ingress => flow.ingress = Some(small()),
                Slot::Egress => flow.egress = Some(small()),
                Slot::SourceMac => flow.source_mac = mac(bytes),
                Slot::DestinationMac => flow.destination_mac = mac(bytes),
                Slot::Vlan => flow.vlan = Some(port(bytes)),
                Slot::SourceAs => flow.source_as = Some(small()),
                Slot::DestinationAs => flow.destination_as = Some(small()),
                Slot::IngressVrf => flow.ingress_vrf = Some(small()),
                Slot::EgressVrf => flow.egress_vrf = Some(small()),
                Slot::Application => flow.application = Some(number()),
                Slot::Sampler => sampler = Some(number()),
                Slot::Rate => flow.sampling = Sampling::one_in(number()),
                Slot::PacketInterval => parts.interval = number(),
                Slot::PacketSpace => parts.space = Some(number()),
            }
        }
        parts.put_into(&mut flow, clock);
        (flow, sampler)
    }

    /// The fields of the flow's counters, as they were sent: what is multiplied where packets were sampled.
    pub fn counters(&self) -> impl Iterator<Item = (&str, u64)> {
        let counters = [Slot::Bytes, Slot::Packets, Slot::ReverseBytes, Slot::ReversePackets];
        let slots = self.template().slots.iter().filter(move |(slot, _)| counters.contains(slot));
        slots.filter_map(|(_, place)| {
            let field = self.template().fields().get(usize::from(*place))?;
            Some((&*field.name, unsigned(self.field(usize::from(*place)))))
        })
    }

    /// The fields of which the flow does not have everything, with their values.
    pub fn natives(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        let visible = self.fields().filter(|(field, bytes)| !field.covered && !field.is_padding() && !bytes.is_empty());
        visible.map(|(field, bytes)| (&*field.name, field.kind.read(bytes)))
    }
}

impl Parts {
    #[inline]
    fn put_into(self, flow: &mut Flow, clock: &Clock) {
        flow.source = choose(self.source, self.ip_version);
        flow.destination = choose(self.destination, self.ip_version);
        if let Some(kind) = self.icmp_type {
            flow.icmp = Some((kind, self.icmp_code.unwrap_or_default()));
        } else if let (Some(1 | 58), Some(both)) = (flow.protocol, flow.destination_port) {
            // NetFlow before IPFIX has type and code where the port would be.
            let [kind, code] = both.to_be_bytes();
            flow.icmp = Some((kind, code));
        }
        if let [Some(start), Some(end)] = self.uptimes {
            // The counter of milliseconds begins again after 49 days.
            flow.duration = Some(i64::from((end as u32).wrapping_sub(start as u32).cast_signed()) * 1_000_000);
        }
        if let [Some(start), _] = self.uptimes
            && flow.start.is_none()
        {
            flow.start = self.clock(clock).at_uptime(start);
        }
        if let [_, Some(end)] = self.uptimes
            && flow.end.is_none()
        {
            flow.end = self.clock(clock).at_uptime(end);
        }
        if flow.sampling == Sampling::Unsaid && self.interval > 0 {
            flow.sampling = Sampling::one_in(one_in(self.interval, self.space));
        }
        if let Some(at) = self.observed {
            flow.start = flow.start.or(Some(at));
            flow.end = flow.end.or(Some(at));
        }
        if let Some(duration) = self.duration {
            flow.duration = Some(duration);
            match (flow.start, flow.end) {
                (Some(start), None) => flow.end = Some(start.saturating_add(duration)),
                (None, Some(end)) => flow.start = Some(end.saturating_sub(duration)),
                _ => (),
            }
        }
    }

    fn clock(&self, clock: &Clock) -> Clock {
        Clock { up_since: self.up_since.or(clock.up_since), ..*clock }
    }
}

/// Where a template has addresses of both families, one of them is empty.
#[inline]
fn choose([v4, v6]: [Option<IpAddr>; 2], ip_version: Option<u64>) -> Option<IpAddr> {
    match (v4, v6) {
        (Some(v4), Some(v6)) => Some(match ip_version {
            Some(4) => v4,
            Some(6) => v6,
            _ if v4.is_unspecified() => v6,
            _ => v4,
        }),
        (v4, v6) => v4.or(v6),
    }
}

fn mac(bytes: &[u8]) -> Option<[u8; 6]> {
    bytes.try_into().ok()
}

/// So many packets are looked at, then so many are left out. Without the second number the first one is the whole, as
/// some exporters mean it.
pub(crate) fn one_in(interval: u64, space: Option<u64>) -> u64 {
    match space {
        Some(space) if interval > 0 => interval.saturating_add(space) / interval,
        _ => interval,
    }
}

/// One packet of so many, where the chance of a packet is given instead.
pub(crate) fn probability(bytes: &[u8]) -> Option<u64> {
    match Kind::Float.read(bytes) {
        Value::Float(share) if share > 0.0 && share <= 1.0 => Some((1.0 / share).round() as u64),
        _ => None,
    }
}
