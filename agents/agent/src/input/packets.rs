//! Connects a capture with the queue. A capture file is read once: how far it has been read is kept like any place.
//!
//! When the queue is full the capture waits. Packets of an interface then gather in the kernel's buffer, and what does
//! not fit there is counted by the kernel.

use std::cell::RefCell;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use canh_schema::Timestamp;
use canh_wire::LogEntry;
use tracing::{info, warn};

use super::capture::{self, CaptureConfig, CaptureCounters, CaptureError, CaptureRecord};
use super::{Context, Input, InputError, Mode, wait};
use crate::checkpoint::{Marks, Place};
use crate::counters::{Counters, DropReason, Source};
use crate::queue::{CHUNK_LEN, Closed, Item, Mark, Payload, Sink};

/// Records of an interface are handed on at the latest with the first record after this time, or with the next count.
const CHUNK_AGE: Duration = Duration::from_millis(200);

/// One `[[input.capture]]`.
pub struct PacketInput {
    config: CaptureConfig,
    /// Records of the file that are in the queue already, if this input was started again.
    taken: Option<u64>,
}

impl PacketInput {
    pub fn new(config: CaptureConfig) -> Self {
        Self { config, taken: None }
    }

    fn run_interface(&mut self, context: &Context) -> Result<(), InputError> {
        if context.mode == Mode::Once {
            warn!("an interface has no end: it is not captured with `--once`");
            return Ok(());
        }
        let out = RefCell::new(Out::new(&context.sink, None));
        let sink = |record| out.borrow_mut().push(record, |_| None);
        let mut counted = Counted::default();
        let observe = |counters: &CaptureCounters| {
            counted.note(counters, &context.counters);
            out.borrow_mut().flush();
        };
        let result = capture::run(&self.config, &context.stop, sink, observe);
        out.borrow_mut().flush();
        result.map(|_| ()).map_err(|error| failed(&error))
    }

    fn run_file(&mut self, path: &Path, context: &Context) -> Result<(), InputError> {
        let meta = fs::metadata(path).map_err(|error| {
            InputError::failed(format_args!("cannot look at capture file `{}`", path.display()), error)
        })?;
        let mtime_ns = meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec());
        let size = meta.len();
        let key: Arc<str> = Arc::from(format!("capture:{}", path.display()));
        let kept = taken_before(&context.marks, &key, size, mtime_ns);
        let Some(kept) = kept else { return Ok(()) };
        let skip = self.taken.unwrap_or(kept);
        let mark =
            |records, done| Mark { key: key.clone(), place: Some(Place::Capture { size, mtime_ns, records, done }) };

        // The same packets always give the same records, so the first ones can be left out by number.
        let mut seen = 0;
        let out = RefCell::new(Out::new(&context.sink, Some(CHUNK_LEN)));
        let sink = |record| {
            if context.stop.is_cancelled() {
                return ControlFlow::Break(()); // flows cut short by the stop are not the file's records
            }
            seen += 1;
            if seen <= skip {
                return ControlFlow::Continue(());
            }
            out.borrow_mut().push(record, |_| Some(mark(seen, false)))
        };
        let mut counted = Counted::default();
        let result =
            capture::run(&self.config, &context.stop, sink, |counters| counted.note(counters, &context.counters));
        out.borrow_mut().flush();
        self.taken = Some(seen.max(skip));
        if out.borrow().closed || context.stop.is_cancelled() {
            return Ok(());
        }
        match result {
            // What comes after the damage cannot be read the next time either.
            Err(error @ CaptureError::Broken { .. }) => {
                warn!(error = &error as &dyn std::error::Error, "capture file is broken")
            }
            Err(error) => return Err(failed(&error)),
            Ok(_) => info!(records = seen, "capture file read to its end"),
        }
        let done = Item { source: Source::Capture, payload: Payload::Nothing, mark: Some(mark(seen, true)) };
        context.sink.send(vec![done])?;
        Ok(())
    }
}

/// Records that earlier runs have taken from this very file. `None` if that was all of them.
fn taken_before(marks: &Marks, key: &str, size: u64, mtime_ns: i64) -> Option<u64> {
    match marks.get(key) {
        Some(&Place::Capture { size: old_size, mtime_ns: old_mtime, records, done })
            if (old_size, old_mtime) == (size, mtime_ns) =>
        {
            (!done).then_some(records)
        }
        _ => Some(0),
    }
}

fn failed(error: &CaptureError) -> InputError {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    InputError::Failed(text)
}

/// Gathers records into chunks.
struct Out<'a> {
    sink: &'a Sink,
    items: Vec<Item>,
    /// Records in a chunk; without it, chunks are also handed on by age.
    len: Option<usize>,
    since: Instant,
    closed: bool,
}

impl<'a> Out<'a> {
    fn new(sink: &'a Sink, len: Option<usize>) -> Self {
        Self { sink, items: Vec::new(), len, since: Instant::now(), closed: false }
    }

    fn push(&mut self, record: CaptureRecord, mark: impl FnOnce(&LogEntry) -> Option<Mark>) -> ControlFlow<()> {
        if self.items.is_empty() {
            self.since = Instant::now();
        }
        let entry = LogEntry {
            time: Some(record.at),
            observed: Timestamp::now(),
            body: record.message.into_bytes(),
            attributes: record.attributes,
            named: Vec::new(),
        };
        let mark = mark(&entry);
        self.items.push(Item { source: Source::Capture, payload: Payload::Log(entry), mark });
        let old = self.len.is_none() && self.since.elapsed() >= CHUNK_AGE;
        if old || self.items.len() >= self.len.unwrap_or(CHUNK_LEN) {
            self.flush();
        }
        if self.closed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn flush(&mut self) {
        if let Err(Closed) = self.sink.send(std::mem::take(&mut self.items)) {
            self.closed = true;
        }
    }
}

/// A capture counts totals; the agent counts what is new.
#[derive(Default)]
struct Counted {
    kernel: u64,
    interface: u64,
    analysis: u64,
}

impl Counted {
    fn note(&mut self, now: &CaptureCounters, counters: &Counters) {
        let analysis = now.dropped.iter().map(|(_, count)| count).sum();
        let rows = [
            (&mut self.kernel, now.dropped_kernel, DropReason::CaptureKernel),
            (&mut self.interface, now.dropped_interface, DropReason::CaptureInterface),
            (&mut self.analysis, analysis, DropReason::CaptureAnalysis),
        ];
        for (before, now, reason) in rows {
            counters.count_dropped(reason, now.saturating_sub(*before));
            *before = now;
        }
    }
}

impl Input for PacketInput {
    fn name(&self) -> String {
        match (&self.config.interface, &self.config.file) {
            (Some(interface), _) => format!("capture on {interface}"),
            (_, Some(path)) => format!("capture file {}", path.display()),
            _ => "capture".to_owned(),
        }
    }

    fn run(&mut self, context: &Context) -> Result<(), InputError> {
        let Some(path) = self.config.file.clone() else { return self.run_interface(context) };
        self.run_file(&path, context)?;
        // Nothing more will come, but the supervisor need not know.
        if context.mode == Mode::Follow {
            while wait(&context.stop, Duration::from_secs(3600)) {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(size: u64, mtime_ns: i64, expected: Option<u64>) {
        let marks = Marks::from([
            ("capture:/a".to_owned(), Place::Capture { size: 10, mtime_ns: 5, records: 7, done: false }),
            ("capture:/b".to_owned(), Place::Capture { size: 10, mtime_ns: 5, records: 9, done: true }),
        ]);
        assert_eq!(taken_before(&marks, "capture:/a", size, mtime_ns), expected);
        assert_eq!(taken_before(&marks, "capture:/b", size, mtime_ns), expected.filter(|&records| records == 0));
        assert_eq!(taken_before(&marks, "capture:/c", size, mtime_ns), Some(0));
    }

    #[test]
    fn a_file_is_read_once_and_another_one_of_that_name_again() {
        check(10, 5, Some(7));
        check(11, 5, Some(0));
        check(10, 6, Some(0));
    }
}
