//! One flow: its ends, its counters, and the record it becomes.

use std::net::IpAddr;

use crate::app::{App, Budget, Context};
use crate::carve::Carver;
use crate::community::community_id;
use crate::dissect::transport::{ACK, SYN, Tcp};
use crate::dissect::{Tunnel, Vlans};
use crate::key::{End, FlowKey, ICMP, ICMP6, TCP, Tuple, UDP};
use crate::record::{Conversation, FlowEnd, FlowRecord, Record, Side, Transport};
use crate::stats::Stats;
use crate::tcp::{Connection, History};
use crate::time::Timestamp;

/// How long a flow may stay; each class is a queue in [`crate::table::queues`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// A SYN without an answer. Counted from the SYN.
    Attempt,
    /// Both sides of a TCP connection have closed. Counted from then.
    Closed,
    TcpHandshake,
    Tcp,
    Udp,
    Icmp,
    Other,
}

impl Class {
    pub(crate) const COUNT: usize = 7;

    /// Whether a packet starts the time anew.
    pub(crate) const fn is_idle_time(self) -> bool {
        !matches!(self, Self::Attempt | Self::Closed)
    }
}

#[derive(Debug)]
pub(crate) struct Flow {
    pub key: FlowKey,
    /// Which end of the key is the originator.
    originator: End,
    /// From originator to responder.
    tuple: Tuple,
    vlans: Vlans,
    tunnel: Option<Tunnel>,
    start: Timestamp,
    end: Timestamp,
    pub next_report: Timestamp,
    sides: [Side; 2],
    /// Which ends sent something that was used.
    active: [bool; 2],
    history: History,
    tcp: Option<Box<Connection>>,
    is_complete: bool,
    pub app: App,
}

impl Flow {
    /// A flow whose first packet is `tuple`. `is_answer` says that its sender is the responder.
    pub(crate) fn new(
        (key, sent_by): (FlowKey, End),
        tuple: &Tuple,
        is_answer: bool,
        (vlans, tunnel): (Vlans, Option<Tunnel>),
        at: Timestamp,
    ) -> Self {
        let mut flow = Self {
            key,
            originator: sent_by,
            tuple: *tuple,
            vlans,
            tunnel,
            start: at,
            end: at,
            next_report: at,
            sides: [Side::default(); 2],
            active: [false; 2],
            history: History::default(),
            tcp: (tuple.protocol == TCP).then(|| Box::new(Connection::new())),
            is_complete: false,
            app: App::default(),
        };
        if is_answer {
            flow.flip();
        }
        flow
    }

    /// 0 for the originator, 1 for the responder.
    pub(crate) fn end_of(&self, sent_by: End) -> usize {
        usize::from(sent_by != self.originator)
    }

    /// Originator and responder change places.
    fn flip(&mut self) {
        self.originator = match self.originator {
            End::Low => End::High,
            End::High => End::Low,
        };
        let tuple = &mut self.tuple;
        std::mem::swap(&mut tuple.source, &mut tuple.destination);
        std::mem::swap(&mut tuple.source_port, &mut tuple.destination_port);
        self.sides.swap(0, 1);
        self.active.swap(0, 1);
        self.history.flipped();
    }

    pub(crate) fn count(&mut self, end: usize, ip_len: u32) {
        self.sides[end].packets += 1;
        self.sides[end].ip_bytes += u64::from(ip_len);
    }

    /// A packet whose checksum is wrong.
    pub(crate) fn bad_checksum(&mut self, end: usize) {
        match &mut self.tcp {
            Some(connection) => connection.bad_checksum(end, &mut self.history),
            None if self.tuple.protocol == UDP => {
                self.history.once(end, 'C');
            }
            None => {}
        }
    }

    /// Takes a TCP segment; says which end it is from afterwards.
    pub(crate) fn segment(&mut self, end: usize, segment: &Tcp<'_>, ip_len: u32, at: Timestamp) -> usize {
        let Some(connection) = &mut self.tcp else { return end };
        if !connection.both_closed() {
            self.end = self.end.max(at);
        }
        let change = connection.segment(end, segment, &mut self.history);
        self.is_complete |= change.complete;
        let end = if change.flip {
            self.flip();
            1 - end
        } else {
            end
        };
        self.active[end] = true;
        self.sides[end].tcp_flags |= segment.flags;
        self.count(end, ip_len);
        end
    }

    /// Takes a packet of anything but TCP.
    pub(crate) fn message(&mut self, end: usize, payload_len: u32, at: Timestamp) {
        self.end = self.end.max(at);
        self.active[end] = true;
        self.sides[end].payload_bytes += u64::from(payload_len);
        if self.tuple.protocol == UDP {
            self.history.once(end, 'D');
        }
    }

    pub(crate) fn is_reuse(&self, segment: &Tcp<'_>) -> bool {
        // Whatever has ended cannot be meant by another SYN, even by one with the same number.
        let begins = segment.has(SYN) && !segment.has(ACK) && self.is_complete;
        begins || self.tcp.as_ref().is_some_and(|connection| connection.is_reuse(segment))
    }

    pub(crate) fn class(&self) -> Class {
        match (&self.tcp, self.tuple.protocol) {
            (Some(_), _) if self.is_complete => Class::Closed,
            (Some(connection), _) if connection.is_dying() => Class::Closed,
            (Some(connection), _) if connection.is_attempt() => Class::Attempt,
            (Some(connection), _) if connection.is_handshake() => Class::TcpHandshake,
            (Some(_), _) => Class::Tcp,
            (None, UDP) => Class::Udp,
            (None, ICMP | ICMP6) => Class::Icmp,
            (None, _) => Class::Other,
        }
    }

    /// Whether a TCP flow has closed, so that the end of its time is no silence.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete
    }

    pub(crate) fn ports(&self) -> (u16, u16) {
        (self.tuple.source_port, self.tuple.destination_port)
    }

    pub(crate) fn conversation(&self) -> Conversation {
        Conversation {
            originator: self.tuple.source,
            originator_port: self.tuple.source_port,
            responder: self.tuple.destination,
            responder_port: self.tuple.destination_port,
            transport: Transport::from_protocol(self.tuple.protocol),
            vlans: self.vlans,
            tunnel: self.tunnel,
            community_id: community_id(&self.tuple),
        }
    }

    pub(crate) fn record(&self, reason: FlowEnd) -> FlowRecord {
        let mut sides = self.sides;
        if let Some(connection) = &self.tcp {
            for (end, side) in sides.iter_mut().enumerate() {
                side.payload_bytes = connection.stream_bytes(end);
            }
        }
        FlowRecord {
            conversation: self.conversation(),
            start: self.start,
            end: self.end,
            originator: sides[0],
            responder: sides[1],
            connection_state: self.connection_state(),
            history: self.history.as_str().to_owned(),
            app: self.app.protocol,
            reason,
        }
    }

    fn connection_state(&self) -> &'static str {
        match (&self.tcp, self.tuple.protocol, self.active) {
            (Some(connection), ..) => connection.connection_state(&self.history),
            (None, UDP, [true, true]) => "SF",
            (None, UDP, [true, false]) => "S0",
            (None, UDP, [false, true]) => "SHR",
            _ => "OTH",
        }
    }

    /// Lets the analyser of the content look, with this flow's ends at hand for its records.
    pub(crate) fn analyse(&mut self, tools: Tools<'_>, look: impl FnOnce(&mut App, &mut Context<'_>)) {
        let mut app = std::mem::take(&mut self.app);
        let Tools { at, budget, stats, out, carver } = tools;
        let responder = (self.tuple.destination, self.tuple.destination_port);
        let conversation = &|| self.conversation();
        look(&mut app, &mut Context { at, conversation, responder, budget, stats, out, carver });
        self.app = app;
    }
}

/// What analysis needs of the table.
pub(crate) struct Tools<'a> {
    pub at: Timestamp,
    pub budget: &'a mut Budget,
    pub stats: &'a mut Stats,
    pub out: &'a mut Vec<Record>,
    pub carver: Option<&'a mut Carver>,
}

/// Whether a destination stands for everybody, so that it cannot have begun anything.
pub(crate) fn is_broadcast(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_broadcast())
}
