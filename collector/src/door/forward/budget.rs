//! What messages that are not finished may take of the memory, over all connections. The start of a message is free, so that
//! short ones always find room.

use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::super::places::counted_as;
use super::super::syslog_stream::READ_LEN;

#[derive(Debug)]
pub(super) struct Budget {
    max: usize,
    /// What is taken, in all and by each address.
    taken: Mutex<(usize, FxHashMap<IpAddr, usize>)>,
}

impl Budget {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, taken: Mutex::default() })
    }
}

/// What one connection has taken; dropping it gives that back.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    address: IpAddr,
    taken: usize,
}

impl Share {
    pub(super) fn new(budget: Arc<Budget>, peer: IpAddr) -> Self {
        Self { budget, address: counted_as(peer), taken: 0 }
    }

    /// The connection holds so many bytes now. Answers whether it may.
    pub(super) fn hold(&mut self, len: usize) -> bool {
        let wanted = len.saturating_sub(READ_LEN);
        if wanted == self.taken {
            return true;
        }
        let (all, of) = &mut *self.budget.taken.lock();
        let own = of.entry(self.address).or_default();
        let (new_all, new_own) = (*all - self.taken + wanted, *own - self.taken + wanted);
        let fits = wanted < self.taken || (new_all <= self.budget.max && new_own <= self.budget.max / 4);
        if fits {
            (*all, *own, self.taken) = (new_all, new_own, wanted);
        }
        if *own == 0 {
            of.remove(&self.address);
        }
        fits
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.hold(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_may_take_a_quarter_and_what_is_dropped_is_free_again() {
        let budget = Budget::new(4_000);
        let share = |address: [u8; 4]| Share::new(budget.clone(), address.into());
        let (mut first, mut second) = (share([192, 0, 2, 1]), share([192, 0, 2, 1]));
        assert!(first.hold(READ_LEN) && first.hold(READ_LEN + 600) && !second.hold(READ_LEN + 500));
        assert!(second.hold(READ_LEN + 400), "the quarter is not full");
        assert!(second.hold(10) && first.hold(READ_LEN + 1_000) && !first.hold(READ_LEN + 1_001));
        let others: Vec<_> = (2..=5).map(|n| (n, share([192, 0, 2, n]))).collect();
        let mut held = Vec::new();
        for (n, mut other) in others {
            assert_eq!(other.hold(READ_LEN + 1_000), n < 5, "address {n}");
            held.push(other);
        }
        drop((first, second, held));
        let (all, of) = &*budget.taken.lock();
        assert!(*all == 0 && of.is_empty(), "{all} {of:?}");
    }
}
