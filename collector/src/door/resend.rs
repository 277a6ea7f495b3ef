//! Bodies that come again. Senders of Elasticsearch and Splunk give their batches no number; one that waited too long for
//! the answer closes its connection and sends the same body again. So a body is remembered when its sender went away
//! before it was answered, and only then: the same body sent twice by somebody who got his answers is two batches.
//!
//! The memory is bounded, and gone after a restart of the server: then such a body is kept twice.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use canh_schema::Position;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::http::Refusal;
use crate::envelope::Envelope;

/// The most bodies remembered; beyond it the oldest are forgotten.
const BODIES_MAX: usize = 1_024;
/// How long a body is remembered.
const KEPT: Duration = Duration::from_secs(15 * 60);

/// Hash of a body and of who sent it how.
pub(super) type Key = [u8; blake3::OUT_LEN];
pub(super) type Outcome = Result<Position, Refusal>;
type Pending = watch::Receiver<Option<Outcome>>;

pub(super) fn key(envelope: &Envelope, token: Option<&str>) -> Key {
    let mut hasher = blake3::Hasher::new();
    // All that the head says but the time.
    let head = Envelope { received: canh_schema::Timestamp::default(), ..envelope.clone() }.encode_head();
    hasher.update(&(head.len() as u64).to_le_bytes());
    hasher.update(&head);
    hasher.update(token.unwrap_or_default().as_bytes());
    hasher.update(b"\0");
    hasher.update(&envelope.payload);
    *hasher.finalize().as_bytes()
}

/// What became of a body.
#[derive(Debug)]
pub(super) struct Once {
    pub(super) outcome: Outcome,
    /// It had come before and was not taken again.
    pub(super) resent: bool,
}

/// The bodies whose senders went away.
#[derive(Debug, Default)]
pub(super) struct Resends {
    left: Mutex<VecDeque<(Instant, Key, Pending)>>,
}

impl Resends {
    /// Does the work, unless the same body was left by its sender while its work was done; then that outcome is answered.
    /// The work goes on when the caller does not wait for it.
    pub(super) async fn once(self: &Arc<Self>, key: Key, work: impl Future<Output = Outcome> + Send + 'static) -> Once {
        if let Some(pending) = self.take(&key) {
            let outcome = self.wait(key, pending).await;
            if outcome.is_ok() {
                return Once { outcome, resent: true };
            }
        }
        let (done, pending) = watch::channel(None);
        tokio::spawn(async move { done.send(Some(work.await)) });
        Once { outcome: self.wait(key, pending).await, resent: false }
    }

    async fn wait(self: &Arc<Self>, key: Key, mut pending: Pending) -> Outcome {
        let mut waiting = Waiting { resends: self.clone(), left: Some((key, pending.clone())) };
        let outcome = pending.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        waiting.left = None;
        let stopped = || Err(Refusal::journal(&crate::journal::JournalError::Closed));
        outcome.unwrap_or_else(stopped)
    }

    fn take(&self, key: &Key) -> Option<Pending> {
        let left = &mut *self.left.lock();
        while left.front().is_some_and(|(since, ..)| since.elapsed() > KEPT) {
            left.pop_front();
        }
        let at = left.iter().position(|(_, known, _)| known == key)?;
        left.remove(at).map(|(.., pending)| pending)
    }
}

/// Somebody who waits for an outcome. Dropped before it has come, it remembers the body.
struct Waiting {
    resends: Arc<Resends>,
    left: Option<(Key, Pending)>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some((key, pending)) = self.left.take() else { return };
        let left = &mut *self.resends.left.lock();
        if left.len() >= BODIES_MAX {
            left.pop_front();
        }
        left.push_back((Instant::now(), key, pending));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use http::StatusCode;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(20);

    /// Work that takes a moment and answers how often it was done.
    fn work(count: &Arc<AtomicU64>, fails: bool) -> impl Future<Output = Outcome> + Send + 'static {
        let count = count.clone();
        async move {
            tokio::time::sleep(5 * MOMENT).await;
            let position = Position::new(count.fetch_add(1, Ordering::Relaxed));
            if fails { Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "x", "x")) } else { Ok(position) }
        }
    }

    #[tokio::test]
    async fn a_body_is_known_again_only_if_its_sender_went_away() {
        let (resends, count) = (Arc::new(Resends::default()), Arc::new(AtomicU64::new(0)));
        for expected in [0, 1] {
            let once = resends.once([1; 32], work(&count, false)).await;
            assert_eq!((once.outcome, once.resent), (Ok(Position::new(expected)), false));
        }
        for _ in 0..2 {
            let left = tokio::time::timeout(MOMENT, resends.once([1; 32], work(&count, false))).await;
            assert!(left.is_err());
        }
        let other = resends.once([2; 32], work(&count, false)).await;
        assert!(!other.resent);
        let again = resends.once([1; 32], work(&count, false)).await;
        assert!(again.resent && again.outcome.is_ok());
        assert_eq!(count.load(Ordering::Relaxed), 4, "two that were answered, one that was left, another one");
        assert!(!resends.once([1; 32], work(&count, false)).await.resent);
    }

    #[tokio::test]
    async fn a_body_that_failed_is_taken_when_it_comes_again() {
        let (resends, count) = (Arc::new(Resends::default()), Arc::new(AtomicU64::new(0)));
        let left = tokio::time::timeout(MOMENT, resends.once([1; 32], work(&count, true))).await;
        assert!(left.is_err());
        let again = resends.once([1; 32], work(&count, false)).await;
        assert_eq!((again.outcome, again.resent), (Ok(Position::new(1)), false));
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let (resends, count) = (Arc::new(Resends::default()), Arc::new(AtomicU64::new(0)));
        for number in 0..BODIES_MAX + 10 {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_le_bytes());
            let left = tokio::time::timeout(Duration::ZERO, resends.once(key, work(&count, false))).await;
            assert!(left.is_err());
        }
        assert_eq!(resends.left.lock().len(), BODIES_MAX);
    }
}
