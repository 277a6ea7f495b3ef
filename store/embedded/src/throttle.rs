//! Bounds the memory of documents that wait for a writer: whoever appends waits until earlier documents are done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

#[derive(Debug)]
pub(crate) struct Throttle {
    used: Mutex<usize>,
    freed: Condvar,
    max: usize,
}

/// Room for one document; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    throttle: Arc<Throttle>,
    size: usize,
}

impl Throttle {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { used: Mutex::new(0), freed: Condvar::new(), max })
    }

    /// Waits for room; one document always fits, however large. `None` if there is none after `patience`, which means
    /// that a writer is slow, hangs, or has ended.
    pub(crate) fn acquire(self: &Arc<Self>, size: usize, patience: Duration) -> Option<Permit> {
        let until = Instant::now() + patience;
        let mut used = self.used.lock();
        while *used > 0 && *used + size > self.max {
            if self.freed.wait_until(&mut used, until).timed_out() {
                return None;
            }
        }
        *used += size;
        Some(Permit { throttle: self.clone(), size })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.throttle.used.lock() -= self.size;
        self.throttle.freed.notify_one();
    }
}
