//! sFlow version 5: sampled packets, and counters of interfaces. Source: sflow.org, "sFlow Version 5" (July 2004).

use std::net::{IpAddr, Ipv4Addr};

use crate::element::Value;
use crate::flow::{Flow, Sampling};
use crate::message::Malformed;
use crate::packet::{self, Headers};
use crate::wire::Reader;

/// One sampled packet.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample<'a> {
    /// Address that the device calls its own.
    pub agent: IpAddr,
    /// One packet. Its bytes are those of the IP packet where its header was sent, else those of the frame.
    pub flow: Flow,
    /// What the flow has no place for.
    pub natives: Vec<(&'static str, Value<'a>)>,
    /// The sample as sent.
    pub bytes: &'a [u8],
}

/// Counters of one interface, since it came up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct InterfaceCounters {
    pub index: u32,
    /// Bits a second.
    pub speed: u64,
    pub is_up: bool,
    pub received: Direction,
    pub sent: Direction,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Direction {
    pub bytes: u64,
    /// Unicast, multicast and broadcast.
    pub packets: u64,
    pub discards: u32,
    pub errors: u32,
}

/// A sample of counters.
#[derive(Clone, PartialEq, Debug)]
pub struct Counters<'a> {
    pub agent: IpAddr,
    /// `None` for counters of other things, which are not read.
    pub interface: Option<InterfaceCounters>,
    pub bytes: &'a [u8],
}

/// One thing in a datagram.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Item<'a> {
    Sample(Sample<'a>),
    Counters(Counters<'a>),
}

/// The head of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) agent: IpAddr,
    pub(crate) sub_agent: u32,
    pub(crate) sequence: u32,
}

/// `None` when the datagram is of another protocol or version.
pub(crate) fn is_sflow(datagram: &[u8]) -> bool {
    datagram.starts_with(&[0, 0, 0, 5])
}

/// Reads a datagram and calls `each` with what is in it.
pub(crate) fn read<'a>(
    datagram: &'a [u8],
    mut each: impl FnMut(Item<'a>),
) -> Result<(Head, Option<Malformed>), Malformed> {
    let mut reader = Reader::new(datagram);
    let mut head = || {
        let _version = reader.u32()?;
        let agent = address(&mut reader)??;
        let (sub_agent, sequence, _uptime, count) = (reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?);
        Some((Head { agent, sub_agent, sequence }, count))
    };
    let (head, count) = head().ok_or(Malformed::Short)?;
    for _ in 0..count {
        if reader.rest().is_empty() {
            return Ok((head, Some(Malformed::Short)));
        }
        let mut next = || {
            let format = reader.u32()?;
            let len = usize::try_from(reader.u32()?).ok()?;
            Some((format, reader.take(len)?))
        };
        let Some((format, bytes)) = next() else { return Ok((head, Some(Malformed::Length))) };
        let item = match format {
            1 | 3 => sample(head.agent, format == 3, bytes).map(Item::Sample),
            2 | 4 => counters(head.agent, format == 4, bytes).map(Item::Counters),
            _ => continue, // of another enterprise, or drops that newer versions report
        };
        match item {
            Some(item) => each(item),
            None => return Ok((head, Some(Malformed::Record))),
        }
    }
    Ok((head, None))
}

/// The inner `None` is the kind of address that says "unknown".
fn address(reader: &mut Reader<'_>) -> Option<Option<IpAddr>> {
    match reader.u32()? {
        1 => reader.ipv4().map(|address| Some(address.into())),
        2 => reader.ipv6().map(|address| Some(address.to_canonical())),
        0 => Some(Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED))),
        _ => None,
    }
}

fn sample<'a>(agent: IpAddr, is_expanded: bool, bytes: &'a [u8]) -> Option<Sample<'a>> {
    let mut reader = Reader::new(bytes);
    let _sequence = reader.u32()?;
    let source = if is_expanded { (reader.u32()?, reader.u32()?).1 } else { reader.u32()? & 0x00ff_ffff };
    let (rate, _pool, drops) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let mut port = || {
        let first = reader.u32()?;
        Some(if is_expanded { (first, reader.u32()?) } else { (first >> 30, first & 0x3fff_ffff) })
    };
    let (input, output) = (port()?, port()?);
    let mut sample = Sample { agent, flow: Flow::default(), natives: Vec::with_capacity(8), bytes };
    sample.flow.packets = Some(1);
    sample.flow.sampling = Sampling::one_in(u64::from(rate));
    sample.flow.ingress = interface(input);
    sample.flow.egress = interface(output);
    sample.native("sflow.source_id", u64::from(source));
    match output {
        (1, reason) => sample.native("sflow.discard_reason", u64::from(reason)),
        (2, count) => sample.native("sflow.output_count", u64::from(count)),
        _ => (),
    }
    if drops > 0 {
        sample.native("sflow.drops", u64::from(drops));
    }
    let count = reader.u32()?;
    for _ in 0..count {
        if reader.rest().is_empty() {
            break;
        }
        let format = reader.u32()?;
        let len = usize::try_from(reader.u32()?).ok()?;
        // What is inside a record may be cut; the record itself may not.
        let _ = sample.record(format, Reader::new(reader.take(len)?));
    }
    Some(sample)
}

/// The index, unless it stands for none: 0, or the device itself.
fn interface((format, value): (u32, u32)) -> Option<u32> {
    (format == 0 && value != 0 && value != 0x3fff_ffff && value != u32::MAX).then_some(value)
}

impl<'a> Sample<'a> {
    fn native(&mut self, name: &'static str, number: u64) {
        self.natives.push((name, Value::Unsigned(number)));
    }

    fn record(&mut self, format: u32, mut reader: Reader<'a>) -> Option<()> {
        match format {
            1 => {
                let (protocol, frame_len, _stripped) = (reader.u32()?, reader.u32()?, reader.u32()?);
                let len = usize::try_from(reader.u32()?).ok()?;
                let header = reader.rest().get(..len).unwrap_or(reader.rest());
                self.native("sflow.frame_length", u64::from(frame_len));
                let headers = match protocol {
                    1 => packet::ethernet(header, &mut self.flow),
                    11 | 12 => packet::ip(header, &mut self.flow),
                    other => {
                        self.native("sflow.header_protocol", u64::from(other));
                        Headers::default()
                    }
                };
                self.flow.bytes = Some(headers.ip_len.filter(|len| *len > 0).unwrap_or(u64::from(frame_len)));
                self.headers(&headers);
            }
            2 => {
                let frame_len = reader.u32()?;
                let mut mac = || reader.mac().filter(|_| reader.u16().is_some());
                let (source, destination) = (mac()?, mac()?);
                self.flow.source_mac = self.flow.source_mac.or(Some(source));
                self.flow.destination_mac = self.flow.destination_mac.or(Some(destination));
                self.flow.bytes = self.flow.bytes.or(Some(u64::from(frame_len)));
            }
            3 | 4 => {
                let (len, protocol) = (reader.u32()?, reader.u32()?);
                let mut end =
                    || if format == 3 { reader.ipv4().map(IpAddr::V4) } else { reader.ipv6().map(IpAddr::V6) };
                let (source, destination) = (end()?, end()?);
                let (source_port, destination_port) = (reader.u32()?, reader.u32()?);
                let (flags, service) = (reader.u32()?, reader.u32()?);
                if self.flow.source.is_none() {
                    self.flow.protocol = u8::try_from(protocol).ok();
                    (self.flow.source, self.flow.destination) = (Some(source), Some(destination));
                    self.flow.source_port = u16::try_from(source_port).ok();
                    self.flow.destination_port = u16::try_from(destination_port).ok();
                    self.flow.tcp_flags = u16::try_from(flags).ok().filter(|_| protocol == 6);
                    self.flow.bytes = Some(u64::from(len));
                    self.native("ipClassOfService", u64::from(service));
                }
            }
            1001 => {
                let (vlan, _priority, out_vlan) = (reader.u32()?, reader.u32()?, reader.u32()?);
                self.flow.vlan = self.flow.vlan.or(u16::try_from(vlan).ok().filter(|vlan| *vlan > 0));
                self.native("postVlanId", u64::from(out_vlan));
            }
            1002 => {
                if let Some(next) = address(&mut reader)? {
                    self.natives.push(("sflow.next_hop", Value::Address(next)));
                }
                let (source, destination) = (reader.u32()?, reader.u32()?);
                self.native("sflow.source_prefix_length", u64::from(source));
                self.native("sflow.destination_prefix_length", u64::from(destination));
            }
            1003 => self.gateway(reader)?,
            _ => (),
        }
        Some(())
    }

    /// Numbers of autonomous systems on the way.
    fn gateway(&mut self, mut reader: Reader<'a>) -> Option<()> {
        let _next_hop = address(&mut reader)?;
        let (_own, source, _source_peer, segments) = (reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?);
        self.flow.source_as = Some(source);
        let mut last = None;
        for _ in 0..segments.min(64) {
            let (_kind, count) = (reader.u32()?, usize::try_from(reader.u32()?).ok()?);
            let path = reader.take(count.checked_mul(4)?)?;
            last = path.last_chunk().map(|bytes| u32::from_be_bytes(*bytes)).or(last);
        }
        self.flow.destination_as = last;
        Some(())
    }

    fn headers(&mut self, headers: &Headers) {
        let numbers = [
            ("dot1qCustomerVlanId", headers.inner_vlan.map(u64::from)),
            ("ethernetType", headers.ether_type.map(u64::from)),
            ("mplsTopLabel", headers.mpls_label.map(u64::from)),
            ("ipClassOfService", headers.type_of_service.map(u64::from)),
            ("ipTTL", headers.ttl.map(u64::from)),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                self.native(name, number);
            }
        }
        if headers.is_fragment {
            self.natives.push(("sflow.is_fragment", Value::Bool(true)));
        }
    }
}

fn counters<'a>(agent: IpAddr, is_expanded: bool, bytes: &'a [u8]) -> Option<Counters<'a>> {
    let mut reader = Reader::new(bytes);
    let _sequence = reader.u32()?;
    let _source = if is_expanded { (reader.u32()?, reader.u32()?).1 } else { reader.u32()? };
    let count = reader.u32()?;
    let mut interface = None;
    for _ in 0..count {
        if reader.rest().is_empty() {
            break;
        }
        let format = reader.u32()?;
        let len = usize::try_from(reader.u32()?).ok()?;
        let record = reader.take(len)?;
        if format == 1 {
            interface = interface_counters(Reader::new(record));
        }
    }
    Some(Counters { agent, interface, bytes })
}

fn interface_counters(mut reader: Reader<'_>) -> Option<InterfaceCounters> {
    let index = reader.u32()?;
    let _kind = reader.u32()?;
    let speed = reader.u64()?;
    let _duplex = reader.u32()?;
    let status = reader.u32()?;
    let received = direction(&mut reader)?;
    let _unknown_protocols = reader.u32()?;
    let sent = direction(&mut reader)?;
    // Bit 0 is the administrator's wish, bit 1 the state.
    Some(InterfaceCounters { index, speed, is_up: status & 2 != 0, received, sent })
}

fn direction(reader: &mut Reader<'_>) -> Option<Direction> {
    let bytes = reader.u64()?;
    let packets = u64::from(reader.u32()?) + u64::from(reader.u32()?) + u64::from(reader.u32()?);
    Some(Direction { bytes, packets, discards: reader.u32()?, errors: reader.u32()? })
}
