//! The envelope of NetFlow and IPFIX: the head of a message, and the sets in it.

use std::sync::{Arc, LazyLock};

use crate::element::ElementId;
use crate::flow::{Clock, Sampling};
use crate::template::{Protocol, Template};
use crate::wire::Reader;

/// The head of a message of NetFlow v9 or IPFIX.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) protocol: Protocol,
    /// Source id of NetFlow v9, observation domain of IPFIX.
    pub(crate) domain: u32,
    pub(crate) sequence: u32,
    pub(crate) clock: Clock,
}

/// What is wrong with a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// Its first bytes are of no protocol that is known here.
    NoProtocol,
    /// Shorter than its own head says.
    Short,
    /// A set or sample whose length cannot be.
    Length,
    /// A template that cannot be one.
    Template,
    /// A record that goes beyond its set.
    Record,
}

impl Malformed {
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoProtocol => "not a message of NetFlow, IPFIX or sFlow",
            Self::Short => "shorter than its head says",
            Self::Length => "a set or sample has a length that cannot be",
            Self::Template => "a template cannot be read",
            Self::Record => "a record goes beyond its set",
        }
    }
}

/// Length of the head of a message with sets.
pub(crate) const V9_HEAD: usize = 20;
pub(crate) const IPFIX_HEAD: usize = 16;

/// Reads the head of a message with sets. `Ok(None)` when the message is of another protocol.
pub(crate) fn head(datagram: &[u8]) -> Result<Option<(Head, Sets<'_>)>, Malformed> {
    let mut reader = Reader::new(datagram);
    match reader.u16() {
        Some(9) => v9(reader).map(Some).ok_or(Malformed::Short),
        Some(10) => ipfix(datagram).map(Some),
        _ => Ok(None),
    }
}

/// RFC 3954, section 5.1. The count in the head is not looked at: exporters disagree about what it counts.
fn v9(mut reader: Reader<'_>) -> Option<(Head, Sets<'_>)> {
    let _count = reader.u16()?;
    let uptime = reader.u32()?;
    let seconds = reader.u32()?;
    let sequence = reader.u32()?;
    let domain = reader.u32()?;
    let clock = Clock { exported: i64::from(seconds) * 1_000_000_000, uptime: Some(uptime), up_since: None };
    Some((Head { protocol: Protocol::NetflowV9, domain, sequence, clock }, Sets { rest: reader.rest() }))
}

/// RFC 7011, section 3.1.
fn ipfix(datagram: &[u8]) -> Result<(Head, Sets<'_>), Malformed> {
    let mut reader = Reader::new(datagram);
    let mut read = || {
        let _version = reader.u16()?;
        Some((usize::from(reader.u16()?), reader.u32()?, reader.u32()?, reader.u32()?))
    };
    let (len, seconds, sequence, domain) = read().ok_or(Malformed::Short)?;
    let sets = datagram.get(IPFIX_HEAD..len).ok_or(Malformed::Short)?;
    let clock = Clock { exported: i64::from(seconds) * 1_000_000_000, ..Clock::default() };
    Ok((Head { protocol: Protocol::Ipfix, domain, sequence, clock }, Sets { rest: sets }))
}

/// The sets of a message, in order.
#[derive(Clone, Debug)]
pub(crate) struct Sets<'a> {
    rest: &'a [u8],
}

/// One set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Set<'a> {
    pub(crate) id: u16,
    pub(crate) body: &'a [u8],
    /// With its head.
    pub(crate) whole: &'a [u8],
}

impl<'a> Iterator for Sets<'a> {
    type Item = Result<Set<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.len() < 4 {
            return None; // up to three bytes are padding
        }
        let mut reader = Reader::new(self.rest);
        let (id, len) = (reader.u16()?, usize::from(reader.u16()?));
        if id == 0 && len == 0 && self.rest.iter().all(|byte| *byte == 0) {
            return None; // more padding than there should be
        }
        if len < 4 || len > self.rest.len() {
            self.rest = &[];
            return Some(Err(Malformed::Length));
        }
        let (whole, rest) = self.rest.split_at(len);
        self.rest = rest;
        Some(Ok(Set { id, body: whole.get(4..).unwrap_or_default(), whole }))
    }
}

/// A message with the head of this one, and of its sets only the ones of which `keep` says so; it is asked with their
/// place, from 0. `None` if none is left, or if it is not a message with sets.
pub fn with_sets(datagram: &[u8], mut keep: impl FnMut(usize) -> bool) -> Option<Vec<u8>> {
    let (head, sets) = head(datagram).ok().flatten()?;
    let is_ipfix = head.protocol == Protocol::Ipfix;
    let mut message = datagram.get(..if is_ipfix { IPFIX_HEAD } else { V9_HEAD })?.to_vec();
    let head_len = message.len();
    for (_, set) in sets.map_while(Result::ok).enumerate().filter(|(place, _)| keep(*place)) {
        message.extend_from_slice(set.whole);
    }
    if is_ipfix {
        let len = u16::try_from(message.len()).ok()?.to_be_bytes();
        message.get_mut(2..4)?.copy_from_slice(&len);
    }
    (message.len() > head_len).then_some(message)
}

/// A message of the protocols whose records all are alike: NetFlow v1, v5 and v7.
pub(crate) struct Fixed<'a> {
    pub(crate) protocol: Protocol,
    pub(crate) template: &'static Arc<Template>,
    pub(crate) records: &'a [u8],
    pub(crate) count: u32,
    pub(crate) engine: u32,
    pub(crate) sequence: Option<u32>,
    pub(crate) clock: Clock,
    pub(crate) sampling: Sampling,
    pub(crate) malformed: Option<Malformed>,
}

/// `Ok(None)` when the message is of another protocol.
pub(crate) fn fixed(datagram: &[u8]) -> Result<Option<Fixed<'_>>, Malformed> {
    let mut reader = Reader::new(datagram);
    let (protocol, template) = match reader.u16() {
        Some(1) => (Protocol::NetflowV1, &*V1),
        Some(5) => (Protocol::NetflowV5, &*V5),
        Some(7) => (Protocol::NetflowV7, &*V7),
        _ => return Ok(None),
    };
    let mut read = || {
        let count = reader.u16()?;
        let (uptime, seconds, nanos) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let exported = i64::from(seconds) * 1_000_000_000 + i64::from(nanos);
        let clock = Clock { exported, uptime: Some(uptime), up_since: None };
        let sequence = if protocol == Protocol::NetflowV1 { None } else { Some(reader.u32()?) };
        let (engine, sampling) = match protocol {
            Protocol::NetflowV5 => (u32::from(reader.u16()?), u64::from(reader.u16()? & 0x3fff)),
            Protocol::NetflowV7 => (reader.u32()?, 0),
            _ => (0, 0),
        };
        let sampling = Sampling::one_in(sampling);
        Some((u32::from(count), clock, sequence, engine, sampling))
    };
    let (count, clock, sequence, engine, sampling) = read().ok_or(Malformed::Short)?;
    let rest = reader.rest();
    // softflowd leaves the last four bytes out of each record of version 1.
    let is_short =
        protocol == Protocol::NetflowV1 && usize::try_from(count).is_ok_and(|count| count * 48 == rest.len());
    let template = if is_short { &*V1_SHORT } else { template };
    let len = template.len_min();
    let said = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(len);
    let there = rest.len() - rest.len() % len;
    let malformed = (said > there).then_some(Malformed::Short);
    let records = rest.get(..said.min(there)).unwrap_or_default();
    Ok(Some(Fixed { protocol, template, records, count, engine, sequence, clock, sampling, malformed }))
}

static V1: LazyLock<Arc<Template>> = LazyLock::new(|| {
    table(&[
        (8, 4),
        (12, 4),
        (15, 4),
        (10, 2),
        (14, 2),
        (2, 4),
        (1, 4),
        (22, 4),
        (21, 4),
        (7, 2),
        (11, 2),
        (210, 2),
        (4, 1),
        (5, 1),
        (6, 1),
        (210, 11),
    ])
});

static V1_SHORT: LazyLock<Arc<Template>> = LazyLock::new(|| {
    table(&[
        (8, 4),
        (12, 4),
        (15, 4),
        (10, 2),
        (14, 2),
        (2, 4),
        (1, 4),
        (22, 4),
        (21, 4),
        (7, 2),
        (11, 2),
        (210, 2),
        (4, 1),
        (5, 1),
        (6, 1),
        (210, 7),
    ])
});

const V5_FIELDS: [(u16, u16); 20] = [
    (8, 4),
    (12, 4),
    (15, 4),
    (10, 2),
    (14, 2),
    (2, 4),
    (1, 4),
    (22, 4),
    (21, 4),
    (7, 2),
    (11, 2),
    (210, 1),
    (6, 1),
    (4, 1),
    (5, 1),
    (16, 2),
    (17, 2),
    (9, 1),
    (13, 1),
    (210, 2),
];

static V5: LazyLock<Arc<Template>> = LazyLock::new(|| table(&V5_FIELDS));

/// Version 5, and the router that was passed by.
static V7: LazyLock<Arc<Template>> = LazyLock::new(|| table(&[&V5_FIELDS[..], &[(43, 4)]].concat()));

/// Source: Cisco, "NetFlow Export Datagram Format".
fn table(fields: &[(u16, u16)]) -> Arc<Template> {
    let fields: Vec<_> = fields.iter().map(|(number, len)| (ElementId::iana(*number), *len)).collect();
    Arc::new(Template::new(0, &fields, &[]).expect("the table is not empty"))
}
