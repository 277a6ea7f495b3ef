//! How much may be spent in a time: a bucket that fills evenly, and holds no more than what one period gives.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Budget {
    full: f64,
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Budget {
    /// Full at first.
    pub(super) fn new(amount: u64, period: Duration, now: Instant) -> Self {
        let full = amount as f64;
        Self { full, per_second: full / period.as_secs_f64(), left: full, at: now }
    }

    /// How long to wait until `amount` can be spent. Zero if it can be now. More than the bucket holds never can be, and
    /// is treated as what it holds.
    pub(super) fn wait(&mut self, amount: u64, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * self.per_second).min(self.full);
        self.at = now;
        let missing = (amount as f64).min(self.full) - self.left;
        if missing <= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(missing / self.per_second) }
    }

    pub(super) fn spend(&mut self, amount: u64) {
        self.left -= amount as f64;
    }

    /// Takes back what was spent in vain.
    pub(super) fn give_back(&mut self, amount: u64) {
        self.left = (self.left + amount as f64).min(self.full);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fills_evenly_and_never_above_its_rim() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut budget = Budget::new(60, Duration::from_secs(60), start);
        assert_eq!(budget.wait(60, at(0)), Duration::ZERO);
        budget.spend(60);
        assert_eq!(budget.wait(1, at(0)), Duration::from_secs(1));
        assert_eq!(budget.wait(10, at(4)), Duration::from_secs(6));
        assert_eq!(budget.wait(10, at(10)), Duration::ZERO);
        budget.spend(10);
        assert_eq!(budget.wait(60, at(1_000)), Duration::ZERO);
        budget.spend(60);
        assert_eq!(budget.wait(1_000, at(1_000)), Duration::from_secs(60)); // as much as it can hold
    }
}
