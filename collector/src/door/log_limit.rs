//! What strangers can cause to be logged, and how often: a flood of bad connections is counted, and does not fill the log.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::warn;

/// Lines that are logged one by one in each [`WINDOW`].
const LINES_MAX: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);

/// The lines of one door about connections that it closed.
#[derive(Debug)]
pub(super) struct LogLimit(Mutex<Window>);

#[derive(Debug)]
struct Window {
    since: Instant,
    lines: u32,
}

impl Default for LogLimit {
    fn default() -> Self {
        Self(Mutex::new(Window { since: Instant::now(), lines: 0 }))
    }
}

impl LogLimit {
    /// Logs the line, unless there were many just now.
    pub(super) fn warn(&self, door: &'static str, line: impl FnOnce()) {
        match self.count(Instant::now()) {
            ..=LINES_MAX => line(),
            n if n == LINES_MAX + 1 => {
                warn!(door, "more connections are refused or closed; for some seconds they are only counted");
            }
            _ => (),
        }
    }

    /// The number of this line in its window, from 1.
    fn count(&self, now: Instant) -> u32 {
        let window = &mut *self.0.lock();
        if now.saturating_duration_since(window.since) > WINDOW {
            *window = Window { since: now, lines: 0 };
        }
        window.lines = window.lines.saturating_add(1);
        window.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_not_logged_and_the_next_window_is() {
        let (limit, now) = (LogLimit::default(), Instant::now());
        let mut logged = 0;
        for _ in 0..1_000 {
            limit.warn("relp", || logged += 1);
        }
        assert_eq!(logged, LINES_MAX);
        assert_eq!(limit.count(now + 2 * WINDOW), 1);
    }
}
