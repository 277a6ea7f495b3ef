//! The flow table: packets in, records out.

mod queues;

use std::collections::HashMap;
use std::time::Duration;

use crate::app::{Budget, Segment};
use crate::carve::{CarveStats, CarvedFile, Carver};
use crate::config::{Checksums, FlowConfig, VlanKeys};
use crate::dissect::ip::{self, Ip};
use crate::dissect::link::{self, Frame};
use crate::dissect::transport::{self, ACK, FIN, RST, SYN};
use crate::dissect::{LinkType, Tunnel, TunnelKind, Undecodable, Vlans, tunnel};
use crate::flow::{Class, Flow, Tools, is_broadcast};
use crate::fragment::{FragmentKey, Fragments};
use crate::hash::Seeded;
use crate::key::{self, End, FlowKey, ICMP, ICMP6, SCTP, TCP, Tuple, UDP};
use crate::record::{FlowEnd, Record};
use crate::stats::Stats;
use crate::time::Timestamp;
use queues::Queues;

const CLASSES: [Class; Class::COUNT] =
    [Class::Attempt, Class::Closed, Class::TcpHandshake, Class::Tcp, Class::Udp, Class::Icmp, Class::Other];
/// Packet time may step back this far, as with merged captures. After a longer step the flows are ended, because
/// their times have lost their meaning.
const STEP_BACK_MAX: Duration = Duration::from_secs(600);

/// All flows that are going on.
///
/// Time is that of the packets: [`FlowTable::packet`] and [`FlowTable::tick`] end what has been idle until then.
#[derive(Debug)]
pub struct FlowTable {
    config: FlowConfig,
    index: HashMap<FlowKey, u32, Seeded>,
    slots: Vec<Option<Flow>>,
    free: Vec<u32>,
    queues: Queues,
    fragments: Fragments,
    budget: Budget,
    carver: Option<Box<Carver>>,
    stats: Stats,
    now: Timestamp,
    /// No flow's time runs out before this.
    quiet_until: Timestamp,
}

/// Where a packet is: outside of its addresses, and in time.
#[derive(Clone, Copy, Debug)]
struct Place {
    vlans: Vlans,
    tunnel: Option<Tunnel>,
    depth: u8,
    at: Timestamp,
}

impl FlowTable {
    pub fn new(config: FlowConfig) -> Self {
        let config = FlowConfig { flows_max: config.flows_max.clamp(1, u32::MAX as usize - 1), ..config };
        Self {
            index: HashMap::with_hasher(Seeded(config.hash_seed)),
            slots: Vec::new(),
            free: Vec::new(),
            queues: Queues::new(),
            fragments: Fragments::new(config.fragments_max, config.hash_seed),
            budget: Budget::new(config.reassembly_bytes_max, config.stream_bytes_max),
            carver: config.carve.clone().map(|carve| Box::new(Carver::new(carve))),
            stats: Stats::default(),
            now: Timestamp::MIN,
            quiet_until: Timestamp::MIN,
            config,
        }
    }

    /// Takes one packet. `wire_len` is its length on the wire, `bytes` what was captured of it.
    pub fn packet(&mut self, link: LinkType, at: Timestamp, wire_len: u32, bytes: &[u8], out: &mut Vec<Record>) {
        let before = out.len();
        self.stats.packets += 1;
        self.stats.bytes += u64::from(wire_len);
        self.stats.truncated += u64::from((bytes.len() as u64) < u64::from(wire_len));
        if self.now.since(at) > STEP_BACK_MAX && self.now != Timestamp::MIN {
            self.end_all(FlowEnd::Idle, out);
            self.now = at;
        }
        self.advance(at, out);
        let found = link::strip(link, bytes).and_then(|frame| {
            let place = Place { vlans: frame.vlans, tunnel: None, depth: 0, at };
            self.frame(frame, place, out)
        });
        if let Err(why) = found {
            self.stats.count(why);
        }
        self.stats.records += (out.len() - before) as u64;
    }

    /// Ends what has been idle until `now`. For captures that are silent.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Record>) {
        let before = out.len();
        self.advance(now, out);
        self.stats.records += (out.len() - before) as u64;
    }

    /// Ends every flow.
    pub fn finish(&mut self, out: &mut Vec<Record>) {
        let before = out.len();
        self.end_all(FlowEnd::Finished, out);
        self.stats.records += (out.len() - before) as u64;
    }

    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Files that became whole since the last time. They take part of the memory for files until they are taken.
    pub fn take_files(&mut self) -> Vec<CarvedFile> {
        self.carver.as_mut().map(|carver| carver.take()).unwrap_or_default()
    }

    /// What became of files. All zero unless files are taken out of streams.
    pub fn carve_stats(&self) -> CarveStats {
        self.carver.as_ref().map(|carver| carver.stats()).unwrap_or_default()
    }

    /// Flows that are going on.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    fn verifies(&self) -> bool {
        self.config.checksums == Checksums::Verify
    }

    fn frame(&mut self, frame: Frame<'_>, place: Place, out: &mut Vec<Record>) -> Result<(), Undecodable> {
        let ip = ip::dissect(frame.ip, self.verifies())?;
        if !ip.header_checksum_ok {
            return Err(Undecodable::BadChecksum);
        }
        if ip.fragment.is_some_and(|fragment| fragment.offset > 0) {
            return self.later_fragment(&ip, place);
        }
        match ip.protocol {
            TCP => self.tcp(&ip, place, out),
            UDP => self.udp(&ip, place, out),
            ICMP | ICMP6 => self.icmp(&ip, place, out),
            SCTP => {
                let ports = transport::ports(ip.payload)?;
                self.first_fragment(&ip, ports, place.at);
                self.other(&ip, ports, place, out)
            }
            4 | 41 | 47 => match carried(&ip) {
                Some((tunnel, inner)) => self.inside(tunnel, inner, place, out),
                None => self.other(&ip, (0, 0), place, out),
            },
            _ => {
                self.first_fragment(&ip, (0, 0), place.at);
                self.other(&ip, (0, 0), place, out)
            }
        }
    }

    /// Goes on with a packet inside of another.
    fn inside(
        &mut self,
        tunnel: Tunnel,
        frame: Frame<'_>,
        place: Place,
        out: &mut Vec<Record>,
    ) -> Result<(), Undecodable> {
        if place.depth >= self.config.tunnel_depth_max {
            return Err(Undecodable::TooDeep);
        }
        let inner = Place { vlans: frame.vlans, tunnel: Some(tunnel), depth: place.depth + 1, at: place.at };
        self.frame(frame, inner, out)
    }

    fn tcp(&mut self, ip: &Ip<'_>, place: Place, out: &mut Vec<Record>) -> Result<(), Undecodable> {
        let segment = transport::tcp(ip.payload, ip.payload_len)?;
        let ports = (segment.source_port, segment.destination_port);
        self.first_fragment(ip, ports, place.at);
        let tuple = tuple(ip, ports);
        let key = self.key(&tuple, &place);
        if let Some(index) = self.index.get(&key.0).copied()
            && self.flow(index).is_some_and(|flow| flow.is_reuse(&segment))
        {
            self.end(index, FlowEnd::Closed, out);
        }
        let is_answer = key::tcp_is_answer(ports.0, ports.1, segment.has(SYN), segment.has(ACK));
        let index = self.find_or_open(key, &tuple, is_answer, &place, out);
        let is_bad = self.verifies() && !ip.checksum_ok();
        let Self { slots, budget, carver, stats, .. } = self;
        let Some(flow) = slots.get_mut(index as usize).and_then(Option::as_mut) else { return Ok(()) };
        let end = flow.end_of(key.1);
        if is_bad {
            stats.bad_checksums += 1;
            flow.bad_checksum(end);
        } else {
            let end = flow.segment(end, &segment, ip.total_len, place.at);
            if !segment.has(RST) && !flow.app.is_ignored() {
                let sequence = segment.sequence.wrapping_add(u32::from(segment.has(SYN)));
                let data = Segment {
                    end,
                    sequence,
                    begins: segment.has(SYN),
                    closed_at: segment.has(FIN).then(|| sequence.wrapping_add(segment.payload_len)),
                    acknowledged: segment.has(ACK).then_some(segment.acknowledged),
                    data: segment.payload,
                };
                let tools = Tools { at: place.at, budget, stats, out, carver: carver.as_deref_mut() };
                flow.analyse(tools, |app, context| app.segment(data, context));
            }
        }
        self.settle(index, place.at, out);
        Ok(())
    }

    fn udp(&mut self, ip: &Ip<'_>, place: Place, out: &mut Vec<Record>) -> Result<(), Undecodable> {
        let datagram = transport::udp(ip.payload, ip.payload_len)?;
        let ports = (datagram.source_port, datagram.destination_port);
        self.first_fragment(ip, ports, place.at);
        let tuple = tuple(ip, ports);
        let key = self.key(&tuple, &place);
        let index = self.find_or_open(key, &tuple, key::udp_is_answer(ports.0, ports.1), &place, out);
        // Over IPv4 a checksum of zero means that there is none (RFC 768); so do tunnels over IPv6 (RFC 6935).
        let is_bad = self.verifies() && datagram.checksum != 0 && !ip.checksum_ok();
        let Self { slots, budget, stats, .. } = self;
        let Some(flow) = slots.get_mut(index as usize).and_then(Option::as_mut) else { return Ok(()) };
        let end = flow.end_of(key.1);
        if is_bad {
            stats.bad_checksums += 1;
            flow.bad_checksum(end);
        } else {
            flow.count(end, ip.total_len);
            flow.message(end, datagram.payload_len, place.at);
            if !flow.app.is_ignored() {
                let ports = flow.ports();
                let tools = Tools { at: place.at, budget, stats, out, carver: None };
                flow.analyse(tools, |app, context| app.datagram(datagram.payload, ports, context));
            }
        }
        self.settle(index, place.at, out);
        if !is_bad
            && let Some(Ok((tunnel, inner))) = tunnel::over_udp(ports.0, ports.1, datagram.payload)
            && self.inside(tunnel, inner, place, out).is_err()
        {
            // The outer flow stands for the packet, so it is not one without a flow.
            self.stats.tunnelled_undecodable += 1;
        }
        Ok(())
    }

    fn icmp(&mut self, ip: &Ip<'_>, place: Place, out: &mut Vec<Record>) -> Result<(), Undecodable> {
        let (icmp_type, code) = transport::icmp(ip.payload)?;
        let counterpart =
            if ip.protocol == ICMP { key::icmp_counterpart(icmp_type) } else { key::icmp6_counterpart(icmp_type) };
        let ports = (u16::from(icmp_type), u16::from(counterpart.unwrap_or(code)));
        self.first_fragment(ip, ports, place.at);
        let tuple = Tuple { one_way: counterpart.is_none(), ..tuple(ip, ports) };
        self.plain(ip, &tuple, ip.payload_len.saturating_sub(8), place, out);
        Ok(())
    }

    fn other(
        &mut self,
        ip: &Ip<'_>,
        ports: (u16, u16),
        place: Place,
        out: &mut Vec<Record>,
    ) -> Result<(), Undecodable> {
        self.plain(ip, &tuple(ip, ports), ip.payload_len, place, out);
        Ok(())
    }

    /// A packet of a protocol that is only counted.
    fn plain(&mut self, ip: &Ip<'_>, tuple: &Tuple, payload_len: u32, place: Place, out: &mut Vec<Record>) {
        let key = self.key(tuple, &place);
        let index = self.find_or_open(key, tuple, false, &place, out);
        let has_checksum = matches!(ip.protocol, ICMP | ICMP6);
        let is_bad = has_checksum && self.verifies() && !ip.checksum_ok();
        self.stats.bad_checksums += u64::from(is_bad);
        if let Some(flow) = self.flow_mut(index)
            && !is_bad
        {
            let end = flow.end_of(key.1);
            flow.count(end, ip.total_len);
            flow.message(end, payload_len, place.at);
        }
        self.settle(index, place.at, out);
    }

    fn first_fragment(&mut self, ip: &Ip<'_>, ports: (u16, u16), at: Timestamp) {
        if let Some(key) = fragment_key(ip) {
            self.stats.fragments_evicted += self.fragments.first(key, ports, at);
        }
    }

    /// Counts a later fragment for the flow that its first one belongs to.
    fn later_fragment(&mut self, ip: &Ip<'_>, place: Place) -> Result<(), Undecodable> {
        let alone = Undecodable::FragmentAlone;
        let key = fragment_key(ip).ok_or(alone)?;
        let ports = self.fragments.later(&key, place.at).ok_or(alone)?;
        let one_way = match ip.protocol {
            ICMP => key::icmp_counterpart(ports.0 as u8).is_none(),
            ICMP6 => key::icmp6_counterpart(ports.0 as u8).is_none(),
            _ => false,
        };
        let (key, sent_by) = self.key(&Tuple { one_way, ..tuple(ip, ports) }, &place);
        let index = self.index.get(&key).copied().ok_or(alone)?;
        if let Some(flow) = self.flow_mut(index) {
            let end = flow.end_of(sent_by);
            flow.count(end, ip.total_len);
        }
        Ok(())
    }

    fn key(&self, tuple: &Tuple, place: &Place) -> (FlowKey, End) {
        let vlans = match self.config.vlans {
            VlanKeys::Separate => place.vlans,
            VlanKeys::Merge => Vlans::default(),
        };
        FlowKey::new(tuple, vlans, place.tunnel)
    }

    fn find_or_open(
        &mut self,
        key: (FlowKey, End),
        tuple: &Tuple,
        is_answer: bool,
        place: &Place,
        out: &mut Vec<Record>,
    ) -> u32 {
        if let Some(index) = self.index.get(&key.0) {
            return *index;
        }
        if self.index.len() >= self.config.flows_max {
            self.evict(out);
        }
        let is_answer = is_answer && !is_broadcast(tuple.destination);
        let mut flow = Flow::new(key, tuple, is_answer, (place.vlans, place.tunnel), place.at);
        flow.next_report = place.at.plus(self.config.active);
        self.stats.flows_opened += 1;
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.slots.push(None);
                self.slots.len() as u32 - 1
            }
        };
        if let Some(slot) = self.slots.get_mut(index as usize) {
            *slot = Some(flow);
        }
        self.index.insert(key.0, index);
        index
    }

    /// After a packet: the flow's time starts anew, and a long flow is reported.
    fn settle(&mut self, index: u32, at: Timestamp, out: &mut Vec<Record>) {
        let (now, active) = (self.now, self.config.active);
        let Some(flow) = self.flow_mut(index) else { return };
        let class = flow.class();
        if at >= flow.next_report {
            flow.next_report = at.plus(active);
            out.push(Record::Flow(flow.record(FlowEnd::StillActive)));
        }
        self.queues.place(index, class, now);
        self.quiet_until = self.quiet_until.min(now.plus(self.time_of(class)));
    }

    fn time_of(&self, class: Class) -> Duration {
        match class {
            Class::Attempt => self.config.tcp_attempt,
            Class::Closed => self.config.tcp_closed,
            Class::TcpHandshake => self.config.tcp_handshake_idle,
            Class::Tcp => self.config.tcp_idle,
            Class::Udp => self.config.udp_idle,
            Class::Icmp => self.config.icmp_idle,
            Class::Other => self.config.other_idle,
        }
    }

    /// Moves time on and ends what has run out of it.
    fn advance(&mut self, at: Timestamp, out: &mut Vec<Record>) {
        self.now = self.now.max(at);
        if self.now < self.quiet_until {
            return;
        }
        let mut next = Timestamp::from_nanos(i64::MAX);
        for class in CLASSES {
            let time = self.time_of(class);
            while let Some((index, since)) = self.queues.first(class) {
                let until = since.plus(time);
                if until > self.now {
                    next = next.min(until);
                    break;
                }
                let is_complete = self.flow(index).is_some_and(Flow::is_complete);
                self.end(index, if is_complete { FlowEnd::Closed } else { FlowEnd::Idle }, out);
            }
        }
        self.quiet_until = next;
    }

    /// Makes room for one flow.
    fn evict(&mut self, out: &mut Vec<Record>) {
        let first = |class| self.queues.first(class);
        let victim = first(Class::Closed)
            .or_else(|| first(Class::Attempt))
            .or_else(|| CLASSES.into_iter().filter_map(first).min_by_key(|(_, since)| *since));
        if let Some((index, _)) = victim {
            self.stats.flows_evicted += 1;
            self.end(index, FlowEnd::Evicted, out);
        }
    }

    fn end(&mut self, index: u32, reason: FlowEnd, out: &mut Vec<Record>) {
        self.queues.remove(index);
        let Some(mut flow) = self.slots.get_mut(index as usize).and_then(Option::take) else { return };
        self.index.remove(&flow.key);
        self.free.push(index);
        self.stats.flows_ended += 1;
        let Self { budget, carver, stats, now, .. } = self;
        let tools = Tools { at: *now, budget, stats, out, carver: carver.as_deref_mut() };
        flow.analyse(tools, |app, context| app.finish(context));
        out.push(Record::Flow(flow.record(reason)));
    }

    fn end_all(&mut self, reason: FlowEnd, out: &mut Vec<Record>) {
        for index in 0..self.slots.len() as u32 {
            self.end(index, reason, out);
        }
        self.quiet_until = Timestamp::MIN;
    }

    fn flow(&self, index: u32) -> Option<&Flow> {
        self.slots.get(index as usize).and_then(Option::as_ref)
    }

    fn flow_mut(&mut self, index: u32) -> Option<&mut Flow> {
        self.slots.get_mut(index as usize).and_then(Option::as_mut)
    }
}

fn tuple(ip: &Ip<'_>, ports: (u16, u16)) -> Tuple {
    Tuple {
        source: ip.source,
        source_port: ports.0,
        destination: ip.destination,
        destination_port: ports.1,
        protocol: ip.protocol,
        one_way: false,
    }
}

fn fragment_key(ip: &Ip<'_>) -> Option<FragmentKey> {
    let fragment = ip.fragment.filter(|fragment| fragment.more || fragment.offset > 0)?;
    Some(FragmentKey { source: ip.source, destination: ip.destination, id: fragment.id, protocol: ip.protocol })
}

/// The packet that IP carries directly or by GRE.
fn carried<'a>(ip: &Ip<'a>) -> Option<(Tunnel, Frame<'a>)> {
    if ip.fragment.is_some() {
        return None; // only a part of it is here
    }
    if ip.protocol == 47 {
        return tunnel::gre(ip.payload).ok();
    }
    let frame = Frame { ip: ip.payload, vlans: Vlans::default() };
    Some((Tunnel { kind: TunnelKind::IpInIp, id: 0 }, frame))
}
