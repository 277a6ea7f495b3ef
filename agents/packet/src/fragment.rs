//! Ports of fragmented datagrams: the first fragment has them, the later ones are found by address and number.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crate::hash::Seeded;
use crate::time::Timestamp;

/// A datagram whose last fragment is later than this is given up, as hosts do. Source: RFC 8200, section 4.5.
const KEPT_FOR: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct FragmentKey {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub id: u32,
    pub protocol: u8,
}

/// A bounded table, oldest out first.
#[derive(Debug)]
pub(crate) struct Fragments {
    ports: HashMap<FragmentKey, (u16, u16, Timestamp), Seeded>,
    order: VecDeque<(FragmentKey, Timestamp)>,
    max: usize,
}

impl Fragments {
    pub(crate) fn new(max: usize, seed: u64) -> Self {
        Self { ports: HashMap::with_hasher(Seeded(seed)), order: VecDeque::new(), max: max.max(1) }
    }

    /// Remembers the ports of a first fragment. Says how many datagrams were forgotten for it.
    pub(crate) fn first(&mut self, key: FragmentKey, ports: (u16, u16), at: Timestamp) -> u64 {
        self.expire(at);
        let mut evicted = 0;
        while self.order.len() >= self.max {
            self.drop_oldest();
            evicted += 1;
        }
        self.ports.insert(key, (ports.0, ports.1, at));
        self.order.push_back((key, at));
        evicted
    }

    /// Source and destination port of the datagram that a later fragment belongs to.
    pub(crate) fn later(&mut self, key: &FragmentKey, at: Timestamp) -> Option<(u16, u16)> {
        self.expire(at);
        self.ports.get(key).map(|(source, destination, _)| (*source, *destination))
    }

    fn expire(&mut self, at: Timestamp) {
        while self.order.front().is_some_and(|(_, since)| at.since(*since) > KEPT_FOR) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((key, since)) = self.order.pop_front() else { return };
        // The same number may have come again meanwhile; then the newer entry stays.
        if self.ports.get(&key).is_some_and(|(_, _, at)| *at == since) {
            self.ports.remove(&key);
        }
    }
}
