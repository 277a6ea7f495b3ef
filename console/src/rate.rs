//! Events per second, now.

use std::sync::{Arc, Weak};

use canh_schema::{EventBatch, Timestamp};
use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

const SECONDS: usize = 10;

/// Counts of the last whole seconds, in a ring.
#[derive(Default)]
pub(crate) struct Rate {
    /// The second that each place counts, and its count.
    ring: Mutex<[(i64, u64); SECONDS + 1]>,
}

impl Rate {
    /// Counts what arrives, until the console is gone or the server stops sending.
    pub(crate) async fn listen(rate: Weak<Self>, mut live: broadcast::Receiver<Arc<EventBatch>>) {
        loop {
            let batch = match live.recv().await {
                Ok(batch) => batch,
                // An estimate may miss a part under load.
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            };
            let Some(rate) = rate.upgrade() else { return };
            rate.add(Timestamp::now(), batch.events.len() as u64);
        }
    }

    fn add(&self, now: Timestamp, count: u64) {
        let second = now.secs();
        let mut ring = self.ring.lock();
        let place = &mut ring[place(second)];
        if place.0 != second {
            *place = (second, 0);
        }
        place.1 += count;
    }

    /// The mean of the last ten whole seconds; the one that runs does not count.
    pub(crate) fn per_second(&self, now: Timestamp) -> f64 {
        let span = SECONDS as i64;
        let seconds = now.secs() - span..now.secs();
        let counted: u64 =
            self.ring.lock().iter().filter(|(second, _)| seconds.contains(second)).map(|(_, count)| count).sum();
        counted as f64 / span as f64
    }
}

fn place(second: i64) -> usize {
    usize::try_from(second.rem_euclid(SECONDS as i64 + 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_ten_whole_seconds_count() {
        let rate = Rate::default();
        let at = Timestamp::from_secs;
        for second in 100..=120 {
            rate.add(at(second), 50);
        }
        rate.add(at(120), 1_000_000);
        assert_eq!(rate.per_second(at(120)), 50.0);
        assert_eq!(rate.per_second(at(126)), (4 * 50 + 1_000_050) as f64 / 10.0);
        assert_eq!(rate.per_second(at(131)), 0.0);
        assert_eq!(rate.per_second(at(1)), 0.0);
    }
}
