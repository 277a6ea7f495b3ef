//! Points in packet time.

use std::time::Duration;

/// Nanoseconds since 1970-01-01T00:00:00Z, as the capture says it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const MIN: Self = Self(i64::MIN);

    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From the `timeval` of a capture file; a part of a second that is not in 0 to 999,999 is taken as it is.
    pub const fn from_secs_micros(secs: i64, micros: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000).saturating_add(micros.saturating_mul(1_000)))
    }

    pub const fn nanos(self) -> i64 {
        self.0
    }

    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// Time from `earlier` to `self`; zero when it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}
