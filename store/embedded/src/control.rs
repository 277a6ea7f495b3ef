//! Ends work that nobody waits for any longer or that takes too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Shared by the one who waits and the thread that works.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    cancelled: Arc<AtomicBool>,
    until: Instant,
}

/// Why work ends early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    Cancelled,
    Deadline,
}

impl Control {
    pub(crate) fn new(limit: Duration) -> Self {
        let now = Instant::now();
        // A limit beyond the clock's range is none worth speaking of.
        let until = now.checked_add(limit).unwrap_or(now + Duration::from_secs(86_400));
        Self { cancelled: Arc::default(), until }
    }

    /// To be asked every few thousand steps.
    pub(crate) fn check(&self) -> Result<(), Stop> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Stop::Cancelled);
        }
        if Instant::now() >= self.until { Err(Stop::Deadline) } else { Ok(()) }
    }

    /// Cancels when dropped.
    pub(crate) fn guard(&self) -> CancelOnDrop {
        CancelOnDrop(self.cancelled.clone())
    }
}

pub(crate) struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
