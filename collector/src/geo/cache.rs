//! Answers that were given lately. Addresses come in bursts, and a walk through a database is longer than a look into a table.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHasher;

use super::Place;

/// Places for answers, a power of two. An address has one place, and whoever comes to it later takes it: about a megabyte at
/// the most, and no work to keep order.
const PLACES: usize = 8_192;

type Slot = Mutex<Option<(IpAddr, Option<Arc<Place>>)>>;

pub(super) struct Cache(Box<[Slot]>);

impl Cache {
    pub(super) fn new() -> Self {
        Self((0..PLACES).map(|_| Mutex::new(None)).collect())
    }

    /// The answer that is kept, or else the one that `find` gives.
    pub(super) fn get(&self, address: IpAddr, find: impl FnOnce() -> Option<Place>) -> Option<Arc<Place>> {
        let mut hasher = FxHasher::default();
        address.hash(&mut hasher);
        // The hasher puts its good bits at the low end.
        let place = hasher.finish() as usize % PLACES;
        let slot = self.0.get(place)?;
        if let Some((known, answer)) = &*slot.lock()
            && *known == address
        {
            return answer.clone();
        }
        let answer = find().map(Arc::new);
        *slot.lock() = Some((address, answer.clone()));
        answer
    }
}
