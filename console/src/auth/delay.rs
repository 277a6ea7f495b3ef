//! Makes guessing slow: each failed sign-in of an account makes the next one wait longer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use canh_schema::Timestamp;
use canh_store::state::SecretHash;
use parking_lot::Mutex;

/// Failures that cost nothing: people mistype.
const FREE: u32 = 3;
const WAIT_MAX: Duration = Duration::from_secs(300);
/// Accounts that are remembered. Names can be made up; when there are more, the one that failed longest ago is
/// forgotten, so that a flood of names frees a real account only after as many attempts.
const ACCOUNTS_MAX: usize = 4_096;

#[derive(Default)]
pub(crate) struct Delays {
    /// By hash of the name, because what is typed there may be long, or a password.
    failures: Mutex<HashMap<SecretHash, Failures>>,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

impl Failures {
    fn wait(self) -> Duration {
        let doublings = self.count.saturating_sub(FREE);
        if doublings == 0 { Duration::ZERO } else { WAIT_MAX.min(Duration::from_secs(1 << doublings.min(16))) }
    }
}

/// An attempt that counts as failed until it succeeds, so that many at the same time count as many.
pub(crate) struct Attempt {
    delays: Arc<Delays>,
    name: SecretHash,
}

impl Attempt {
    pub(crate) fn succeeded(self) {
        self.delays.failures.lock().remove(&self.name);
    }
}

impl Delays {
    /// Begins an attempt, or says how long to wait.
    pub(crate) fn begin(self: &Arc<Self>, name: &str, now: Timestamp) -> Result<Attempt, Duration> {
        let name = SecretHash::of(&name.to_lowercase());
        let mut failures = self.failures.lock();
        if let Some(known) = failures.get(&name) {
            let left = (known.last + known.wait()) - now;
            if left > Duration::ZERO {
                return Err(left);
            }
        } else if failures.len() >= ACCOUNTS_MAX {
            let oldest = failures.iter().min_by_key(|(_, failures)| failures.last).map(|(name, _)| *name);
            oldest.map(|oldest| failures.remove(&oldest));
        }
        let entry = failures.entry(name).or_insert(Failures { count: 0, last: now });
        *entry = Failures { count: entry.count.saturating_add(1), last: now };
        Ok(Attempt { delays: self.clone(), name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn each_failure_after_the_free_ones_doubles_the_wait() {
        let delays = Arc::new(Delays::default());
        for _ in 0..=FREE {
            assert!(delays.begin("An", at(0)).is_ok());
        }
        assert_eq!(delays.begin("an", at(0)).err(), Some(Duration::from_secs(2)));
        assert_eq!(delays.begin("AN", at(1)).err(), Some(Duration::from_secs(1)), "asking does not make it longer");
        assert!(delays.begin("an", at(2)).is_ok());
        assert_eq!(delays.begin("an", at(2)).err(), Some(Duration::from_secs(4)));
        assert!(delays.begin("binh", at(2)).is_ok(), "another account does not wait");
    }

    #[test]
    fn the_wait_has_an_end_and_success_forgives() {
        let delays = Arc::new(Delays::default());
        let mut now = 0;
        for _ in 0..40 {
            assert!(delays.begin("an", at(now)).is_ok());
            now += 300;
        }
        delays.begin("an", at(now)).expect("waited long enough").succeeded();
        for _ in 0..FREE {
            assert!(delays.begin("an", at(now)).is_ok());
        }
    }

    #[test]
    fn made_up_names_do_not_fill_the_memory() {
        let delays = Arc::new(Delays::default());
        for n in 0..ACCOUNTS_MAX + 100 {
            assert!(delays.begin(&n.to_string(), at(0)).is_ok());
        }
        assert_eq!(delays.failures.lock().len(), ACCOUNTS_MAX);
    }
}
