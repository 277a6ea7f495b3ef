//! How far an import is, on a terminal.

use std::io::{self, IsTerminal, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Time between two changes of the line.
const EACH: Duration = Duration::from_millis(200);
const WIDTH: usize = 30;

pub(super) struct Progress {
    /// Bytes of all files as they lie on disk, and of these read.
    total: u64,
    done: Arc<AtomicU64>,
    shown: Option<Instant>,
    begin: Instant,
}

impl Progress {
    pub(super) fn new(total: u64) -> Self {
        let begin = Instant::now();
        Self { total, done: Arc::default(), shown: io::stderr().is_terminal().then_some(begin), begin }
    }

    /// The bytes read so far, for [`Counted`].
    pub(super) fn done(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.done)
    }

    /// Bytes that need not be read.
    pub(super) fn pass(&self, len: u64) {
        self.done.fetch_add(len, Ordering::Relaxed);
    }

    pub(super) fn show(&mut self, records: u64) {
        let Some(shown) = self.shown.as_mut().filter(|shown| shown.elapsed() >= EACH) else { return };
        *shown = Instant::now();
        let line = line(self.done.load(Ordering::Relaxed), self.total, records, self.begin.elapsed());
        eprint!("\r\x1b[K{line}");
        let _ = io::stderr().flush();
    }

    /// Makes the line free for something else.
    pub(super) fn clear(&self) {
        if self.shown.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

fn line(done: u64, total: u64, records: u64, passed: Duration) -> String {
    let share = if total == 0 { 1.0 } else { (done as f64 / total as f64).min(1.0) };
    let full = (share * WIDTH as f64) as usize;
    let rate = records as f64 / passed.as_secs_f64().max(0.001);
    format!(
        "[{}{}] {:3.0} %  {records} records, {rate:.0}/s",
        "#".repeat(full),
        "-".repeat(WIDTH - full),
        share * 100.0
    )
}

/// Counts what is read.
pub(super) struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    pub(super) fn new(inner: R, count: Arc<AtomicU64>) -> Self {
        Self { inner, count }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_and_how_fast() {
        let text = line(25, 100, 1_000, Duration::from_secs(2));
        assert_eq!(text, "[#######-----------------------]  25 %  1000 records, 500/s");
        assert!(line(0, 0, 0, Duration::ZERO).starts_with("[##############################] 100 %"));
        assert!(line(300, 100, 0, Duration::ZERO).contains("100 %"), "a file may grow meanwhile");
    }
}
