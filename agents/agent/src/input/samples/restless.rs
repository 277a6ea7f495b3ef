//! Files that change again and again are looked at less and less often, so that a database in a web root does not use up
//! what all files may use.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::known::PathKey;

const FILES_MAX: usize = 10_000;
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

#[derive(Debug, Default)]
pub(super) struct Restless {
    files: HashMap<PathKey, (Instant, Duration)>,
}

impl Restless {
    /// Whether it is too early for this file.
    pub(super) fn must_wait(&self, key: PathKey, now: Instant) -> bool {
        self.files.get(&key).is_some_and(|(until, _)| now < *until)
    }

    /// A file has changed. The first pause is `pause`, each one twice as long as the one before.
    pub(super) fn note(&mut self, key: PathKey, pause: Duration, now: Instant) {
        if let Some((until, pause)) = self.files.get_mut(&key) {
            *pause = (*pause * 2).min(PAUSE_MAX);
            *until = now + *pause;
        } else if self.files.len() < FILES_MAX {
            self.files.insert(key, (now + pause, pause));
        }
    }

    /// Forgets those that have been quiet for twice their pause.
    pub(super) fn forget_quiet(&mut self, now: Instant) {
        self.files.retain(|_, (until, pause)| now < *until + *pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_a_file_is_quiet() {
        let (start, pause) = (Instant::now(), Duration::from_secs(60));
        let at = |seconds| start + Duration::from_secs(seconds);
        let key = PathKey::of_number(1);
        let mut restless = Restless::default();
        assert!(!restless.must_wait(key, start));
        restless.note(key, pause, at(0));
        assert!(restless.must_wait(key, at(59)) && !restless.must_wait(key, at(60)));
        restless.note(key, pause, at(60));
        assert!(restless.must_wait(key, at(179)) && !restless.must_wait(key, at(180)));
        restless.forget_quiet(at(299));
        restless.note(key, pause, at(299));
        assert!(restless.must_wait(key, at(500)));
        restless.forget_quiet(at(10_000));
        restless.note(key, pause, at(10_000));
        assert!(!restless.must_wait(key, at(10_060)));
    }
}
