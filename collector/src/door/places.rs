//! The places of a door: who may have a connection at the same time.
//!
//! One sender cannot take them all: each address has its own limit, and when a door is full, the connection that has
//! said nothing for longest makes room for a new one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio_util::sync::CancellationToken;

/// What counts in `canh_door_connections_refused_total`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RefusedConnection {
    /// The door is full of connections that have all sent something.
    DoorFull,
    /// The address has as many connections as one address may have.
    AddressFull,
    /// It had sent nothing and was closed for a new one.
    MadeRoom,
}

impl RefusedConnection {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::DoorFull => "door_full",
            Self::AddressFull => "address_full",
            Self::MadeRoom => "made_room",
        }
    }
}

#[derive(Debug)]
pub(super) struct Places {
    connections_max: usize,
    per_address_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    /// Who has a place, in the order of coming.
    open: BTreeMap<u64, Holder>,
    /// Those of them that have sent nothing yet.
    silent: BTreeSet<u64>,
    per_address: FxHashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Holder {
    address: IpAddr,
    close: CancellationToken,
}

impl Taken {
    fn leave(&mut self, id: u64) -> Option<Holder> {
        let holder = self.open.remove(&id)?;
        self.silent.remove(&id);
        if let Some(count) = self.per_address.get_mut(&holder.address) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&holder.address);
            }
        }
        Some(holder)
    }
}

/// One connection's place; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    id: u64,
    /// Fires when the connection has to end for another one.
    pub(super) close: CancellationToken,
    /// Another connection was closed for this one.
    pub(super) made_room: bool,
}

impl Places {
    pub(super) fn new(connections_max: NonZeroUsize, per_address_max: NonZeroUsize) -> Arc<Self> {
        let (connections_max, per_address_max) = (connections_max.get(), per_address_max.get());
        Arc::new(Self { connections_max, per_address_max, taken: Mutex::default() })
    }

    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Result<Place, RefusedConnection> {
        let address = counted_as(peer);
        let taken = &mut *self.taken.lock();
        if taken.per_address.get(&address).is_some_and(|count| *count >= self.per_address_max) {
            return Err(RefusedConnection::AddressFull);
        }
        let mut made_room = false;
        if taken.open.len() >= self.connections_max {
            // Ids grow, so the first one has been silent for longest.
            let first = taken.silent.first().copied().ok_or(RefusedConnection::DoorFull)?;
            if let Some(holder) = taken.leave(first) {
                holder.close.cancel();
                made_room = true;
            }
        }
        let id = taken.next;
        taken.next += 1;
        let close = CancellationToken::new();
        taken.open.insert(id, Holder { address, close: close.clone() });
        taken.silent.insert(id);
        *taken.per_address.entry(address).or_default() += 1;
        Ok(Place { places: self.clone(), id, close, made_room })
    }
}

impl Place {
    /// The connection has sent its first byte, so it is not closed for a new one any more.
    pub(super) fn has_sent(&self) {
        self.places.taken.lock().silent.remove(&self.id);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.lock().leave(self.id); // nothing, if another connection has the place already
    }
}

/// A machine commonly has a whole /64 network of IPv6 addresses to itself, so that counts as one.
pub(super) fn counted_as(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn count(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    fn enter(places: &Arc<Places>, peer: &str) -> Result<Place, RefusedConnection> {
        places.enter(peer.parse().unwrap())
    }

    #[test]
    fn one_address_has_its_own_limit() {
        let places = Places::new(count(10), count(2));
        let check = |peers: [&str; 3], other: &str| {
            let first = enter(&places, peers[0]).unwrap();
            let second = enter(&places, peers[1]).unwrap();
            assert_eq!(enter(&places, peers[2]).unwrap_err(), RefusedConnection::AddressFull, "{peers:?}");
            let third = enter(&places, other).unwrap();
            drop(first);
            let fourth = enter(&places, peers[2]).unwrap();
            drop((second, third, fourth));
        };
        check(["192.0.2.1", "192.0.2.1", "192.0.2.1"], "192.0.2.2");
        check(["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"], "::ffff:192.0.2.2");
        check(["2001:db8::1", "2001:db8::2", "2001:db8::3"], "2001:db8:0:1::1");
        assert!(places.taken.lock().per_address.is_empty());
    }

    #[test]
    fn the_one_that_was_silent_for_longest_makes_room() {
        let places = Places::new(count(3), count(10));
        let [first, second, third] = [1, 2, 3].map(|n| enter(&places, &format!("192.0.2.{n}")).unwrap());
        first.has_sent();
        let fourth = enter(&places, "192.0.2.4").unwrap();
        assert!(fourth.made_room);
        let closed = [&first, &second, &third, &fourth].map(|place| place.close.is_cancelled());
        assert_eq!(closed, [false, true, false, false]);
        drop(second); // its place was given away, so this frees nothing
        third.has_sent();
        fourth.has_sent();
        assert_eq!(enter(&places, "192.0.2.5").unwrap_err(), RefusedConnection::DoorFull);
        drop(first);
        assert!(!enter(&places, "192.0.2.5").unwrap().made_room);
    }
}
