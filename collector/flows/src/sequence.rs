//! What was lost on the way, by the numbers that exporters give their messages: NetFlow v5 and v7 count flows, NetFlow v9
//! messages, IPFIX data records (RFC 7011, section 3.1), sFlow datagrams.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use crate::decoder::Outcome;
use crate::template::Protocol;

/// Whose numbers they are. An exporter that runs twice on one machine has two ports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SequenceKey {
    pub exporter: IpAddr,
    pub port: u16,
    pub protocol: Protocol,
    pub domain: u32,
}

/// What a number says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gap {
    /// It follows the last one, or is the first.
    None,
    /// So many are missing before it, in what the protocol counts.
    Lost(u32),
    /// It is of a message that was overtaken.
    Late,
    /// It is somewhere else: the exporter began again.
    Restarted,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    /// `None` when the last message could not be counted.
    next: Option<u32>,
    last: u32,
    seen: u64,
}

/// The next number of every exporter. Bounded: beyond the limit the ones that were quiet for longest are forgotten.
#[derive(Debug)]
pub struct Sequences {
    places: FxHashMap<SequenceKey, Place>,
    max: usize,
    tick: u64,
}

/// A jump that is longer is none: the exporter began again.
const LOST_MAX: u32 = 1 << 20;

/// How far back a message may come late.
const fn late_max(protocol: Protocol) -> u32 {
    match protocol {
        Protocol::NetflowV9 | Protocol::Sflow => 64,
        // These count records, a few dozen in each message.
        Protocol::NetflowV1 | Protocol::NetflowV5 | Protocol::NetflowV7 | Protocol::Ipfix => 2_048,
    }
}

impl Sequences {
    pub fn new(max: usize) -> Self {
        Self { places: FxHashMap::default(), max: max.max(16), tick: 0 }
    }

    /// Looks at the number of one message.
    pub fn check(&mut self, exporter: IpAddr, port: u16, outcome: &Outcome) -> Gap {
        let (Some(protocol), Some(sequence)) = (outcome.protocol, outcome.sequence) else { return Gap::None };
        self.tick += 1;
        let key = SequenceKey { exporter, port, protocol, domain: outcome.domain };
        if self.places.len() >= self.max && !self.places.contains_key(&key) {
            self.forget_quiet();
        }
        let after = outcome.step.map(|step| sequence.wrapping_add(step));
        let place = self.places.entry(key).or_insert(Place { next: None, last: sequence, seen: 0 });
        place.seen = self.tick;
        let last = std::mem::replace(&mut place.last, sequence);
        let Some(next) = place.next else {
            place.next = after;
            return Gap::None;
        };
        let ahead = sequence.wrapping_sub(next);
        // Some exporters (softflowd with IPFIX) give each message the number behind its own records.
        let counts_own = outcome.step.is_some_and(|step| sequence.wrapping_sub(last) == step);
        let gap = if ahead == 0 || counts_own {
            Gap::None
        } else if ahead <= LOST_MAX {
            Gap::Lost(ahead)
        } else if next.wrapping_sub(sequence) <= late_max(protocol) && sequence > 0 {
            return Gap::Late;
        } else {
            Gap::Restarted
        };
        place.next = after;
        gap
    }

    fn forget_quiet(&mut self) {
        let mut seen: Vec<u64> = self.places.values().map(|place| place.seen).collect();
        let count = (seen.len() / 16).max(1).min(seen.len() - 1);
        let (_, limit, _) = seen.select_nth_unstable(count);
        let limit = *limit;
        self.places.retain(|_, place| place.seen >= limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(protocol: Protocol, messages: &[(u32, Option<u32>, Gap)]) {
        let mut sequences = Sequences::new(16);
        for (sequence, step, gap) in messages {
            let outcome =
                Outcome { protocol: Some(protocol), sequence: Some(*sequence), step: *step, ..Outcome::default() };
            assert_eq!(
                sequences.check([10, 0, 0, 1].into(), 1, &outcome),
                *gap,
                "{protocol:?} {messages:?} at {sequence}"
            );
        }
    }

    #[test]
    fn gaps() {
        let v9 = Protocol::NetflowV9;
        check(v9, &[(7, Some(1), Gap::None), (8, Some(1), Gap::None), (11, Some(1), Gap::Lost(2))]);
        check(v9, &[(u32::MAX, Some(1), Gap::None), (0, Some(1), Gap::None), (2, Some(1), Gap::Lost(1))]);
        check(v9, &[(9, Some(1), Gap::None), (8, Some(1), Gap::Late), (10, Some(1), Gap::None)]);
        check(v9, &[(90_000, Some(1), Gap::None), (1, Some(1), Gap::Restarted), (2, Some(1), Gap::None)]);
        check(
            Protocol::NetflowV5,
            &[(0, Some(30), Gap::None), (30, Some(30), Gap::None), (90, Some(1), Gap::Lost(30))],
        );
        // A message that could not be counted says nothing about the next one.
        check(Protocol::Ipfix, &[(5, Some(2), Gap::None), (7, None, Gap::None), (50, Some(1), Gap::None)]);
        // An exporter that counts the records of a message before it numbers it.
        check(Protocol::Ipfix, &[(24, Some(24), Gap::None), (56, Some(32), Gap::None), (90, Some(32), Gap::Lost(2))]);
    }

    #[test]
    fn a_flood_of_exporters_forgets_the_quiet_ones() {
        let mut sequences = Sequences::new(32);
        for n in 0..1_000u32 {
            let outcome = Outcome {
                protocol: Some(Protocol::NetflowV9),
                sequence: Some(1),
                domain: n,
                step: Some(1),
                ..Outcome::default()
            };
            sequences.check([10, 0, 0, 1].into(), 1, &outcome);
            assert!(sequences.places.len() <= 32);
        }
    }
}
