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

use canh_packet::CarveStats;
use canh_schema::Timestamp;
use canh_wire::LogEntry;
use tracing::{info, warn};

use super::capture::filter::Peer;
use super::capture::{self, CaptureConfig, CaptureCounters, CaptureError, CaptureRecord, Captured, Surroundings};
use super::samples::{FileSender, Given};
use super::{Context, Input, InputError, Mode, wait};
use crate::checkpoint::{Marks, Place};
use crate::config::ServerConfig;
use crate::counters::{Counters, DropReason, Source};
use crate::queue::{CHUNK_LEN, Closed, Item, Mark, Payload, Sink};

/// Records of an interface are handed on at the latest with the first record after this time, or with the next count.
const CHUNK_AGE: Duration = Duration::from_millis(200);

/// One `[[input.capture]]`.
pub struct PacketInput {
    config: CaptureConfig,
    /// Where the agent sends to.
    server: Option<Peer>,
    /// Records of the file that are in the queue already, if this input was started again.
    taken: Option<u64>,
    /// How files are sent, if they are wanted.
    sending: ServerConfig,
    files: Option<FileSender>,
}

impl PacketInput {
    pub fn new(config: CaptureConfig, server: Option<Peer>, sending: ServerConfig) -> Self {
        Self { config, server, taken: None, sending, files: None }
    }

    /// Begins to send files, once.
    fn start_files(&mut self, context: &Context) -> Result<(), InputError> {
        if let (Some(config), None) = (&self.config.files, &self.files) {
            let sender = FileSender::start(config, &self.sending, context)
                .map_err(|error| InputError::failed("cannot start a thread", error))?;
            self.files = Some(sender);
        }
        Ok(())
    }

    fn surroundings(&self, context: &Context) -> Surroundings {
        // The agent's id stays as long as the places do, and who made the file does not know it.
        let file_seed =
            context.origin.agent.as_bytes().iter().take(8).fold(0, |seed, &byte| seed << 8 | u64::from(byte));
        Surroundings { server: self.server.clone(), file_seed }
    }

    fn run_interface(&mut self, context: &Context) -> Result<(), InputError> {
        if context.mode == Mode::Once {
            warn!("an interface has no end: it is not captured with `--once`");
            return Ok(());
        }
        let out = RefCell::new(Out::new(&context.sink, None));
        let sink = |captured| match captured {
            Captured::Record(record) => out.borrow_mut().push(record, |_| None),
            Captured::File(file) => {
                if let Some(files) = &self.files {
                    files.give(*file, Given::IfRoom);
                }
                ControlFlow::Continue(())
            }
        };
        let mut counted = Counted::default();
        let observe = |counters: &CaptureCounters| {
            counted.note(counters, &context.counters);
            out.borrow_mut().flush();
        };
        let result = capture::run(&self.config, &self.surroundings(context), &context.stop, sink, observe);
        out.borrow_mut().flush();
        if let Some(files) = self.files.as_ref().filter(|_| context.stop.is_cancelled()) {
            files.stop();
        }
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
        let sink = |captured| {
            if context.stop.is_cancelled() {
                return ControlFlow::Break(()); // flows cut short by the stop are not the file's records
            }
            let record = match captured {
                Captured::Record(record) => record,
                Captured::File(file) => {
                    // What an earlier process found may not have been sent; what this one found is.
                    if let Some(files) = self.files.as_ref().filter(|_| self.taken.is_none() || seen >= skip) {
                        files.give(*file, Given::Wait);
                    }
                    return ControlFlow::Continue(());
                }
            };
            seen += 1;
            if seen <= skip {
                return ControlFlow::Continue(());
            }
            out.borrow_mut().push(record, |_| Some(mark(seen, false)))
        };
        let mut counted = Counted::default();
        let observe = |counters: &CaptureCounters| counted.note(counters, &context.counters);
        let result = capture::run(&self.config, &self.surroundings(context), &context.stop, sink, observe);
        out.borrow_mut().flush();
        self.taken = Some(seen.max(skip));
        if let Some(files) = &self.files {
            // Only then the capture file is done with.
            files.drain().map_err(InputError::Failed)?;
        }
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
            header: None,
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
    files: CarveStats,
}

impl Counted {
    fn note(&mut self, now: &CaptureCounters, counters: &Counters) {
        let analysis = now.dropped.iter().map(|(_, count)| count).sum();
        let rows = [
            (&mut self.kernel, now.dropped_kernel, DropReason::CaptureKernel),
            (&mut self.interface, now.dropped_interface, DropReason::CaptureInterface),
            (&mut self.analysis, analysis, DropReason::CaptureAnalysis),
            (&mut self.files.incomplete, now.files.incomplete, DropReason::TransferIncomplete),
            (&mut self.files.too_large, now.files.too_large, DropReason::TransferTooLarge),
            (&mut self.files.no_room, now.files.no_room, DropReason::TransferNoRoom),
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
        self.start_files(context)?;
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
    use std::sync::mpsc::Receiver;
    use std::thread;

    use canh_schema::{AgentId, Value};
    use canh_wire::Origin;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::queue::queue;

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

    /// A capture file of UDP packets between many hosts in both directions, in an order that looks random, so that many
    /// flows begin again after they had to make room.
    fn write_capture(path: &Path, packets: u32) {
        let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
        let mut state = 7_u32;
        for number in 0..packets {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [.., host, port] = state.to_be_bytes().map(|byte| byte % 50);
            let (mut hosts, mut ports) = ([1, host], [10_000 + u16::from(port), 9_000]);
            if state & 1 << 20 == 0 {
                hosts.reverse();
                ports.reverse();
            }
            let mut packet =
                vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0];
            packet.extend([10, 0, 0, hosts[0], 10, 0, 0, hosts[1]]);
            packet.extend(ports.map(u16::to_be_bytes).as_flattened());
            packet.extend([0, 12, 0, 0, 1, 2, 3, 4]);
            let len = packet.len() as u32;
            bytes.extend(
                [1_700_000_000 + number / 1_000, number % 1_000 * 1_000, len, len].map(u32::to_le_bytes).as_flattened(),
            );
            bytes.extend(packet);
        }
        fs::write(path, bytes).unwrap();
    }

    fn context(agent: AgentId, sink: Sink, marks: Marks) -> Context {
        Context {
            mode: Mode::Once,
            origin: Origin { agent, agent_version: String::new(), host_name: String::new() },
            sink,
            stop: CancellationToken::new(),
            marks: Arc::new(marks),
            counters: Arc::default(),
        }
    }

    fn server() -> ServerConfig {
        toml::from_str("url = \"http://127.0.0.1:4317\"").unwrap()
    }

    /// What reached the spool: records as text, and the places that came with them.
    #[derive(Default)]
    struct Kept {
        records: Vec<(Option<Timestamp>, Vec<u8>, Vec<(&'static str, Value)>)>,
        marks: Marks,
    }

    impl Kept {
        /// Takes at most `items_max` items; the rest of what is in the queue is lost, as in a crash.
        fn take(&mut self, receiver: &Receiver<Vec<Item>>, items_max: usize) {
            for item in receiver.iter().flatten().take(items_max) {
                if let Payload::Log(entry) = item.payload {
                    self.records.push((entry.time, entry.body, entry.attributes));
                }
                if let Some(Mark { key, place: Some(place) }) = item.mark {
                    self.marks.insert(key.to_string(), place);
                }
            }
        }

        /// A process that reads the file and is gone after `items_max` items.
        fn run(&mut self, path: &Path, items_max: usize) {
            let text = format!("file = {:?}\nflows_max = 40", path.display().to_string());
            let mut input = PacketInput::new(toml::from_str(&text).unwrap(), None, server());
            let (sink, receiver) = queue(1);
            let context = context(AgentId::from_bytes([9; 16]), sink, self.marks.clone());
            let reading = thread::spawn(move || {
                // Ends with an error or not: the queue may be gone.
                let _ = input.run(&context);
            });
            self.take(&receiver, items_max);
            drop(receiver);
            reading.join().unwrap();
        }
    }

    #[test]
    fn a_file_that_is_read_in_several_lives_gives_each_record_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.pcap");
        write_capture(&path, 6_000);
        let mut whole = Kept::default();
        whole.run(&path, usize::MAX);
        assert!(whole.records.len() > 3_000, "{}", whole.records.len());
        for life in [1, 499, 500, 501, 1_777] {
            let mut kept = Kept::default();
            let mut lives = 0;
            while !matches!(kept.marks.values().next(), Some(Place::Capture { done: true, .. })) {
                kept.run(&path, life.max(whole.records.len() / 8 * usize::from(lives > 0)));
                lives += 1;
                assert!(lives < 20, "no end is reached with lives of {life} records");
            }
            assert!(lives > 2);
            let same = kept.records.iter().zip(&whole.records).take_while(|(one, other)| one == other).count();
            assert_eq!((same, kept.records.len()), (whole.records.len(), whole.records.len()), "lives of {life}");
        }
    }

    #[test]
    fn the_seed_for_files_stays_with_the_agent() {
        let seed = |agent| {
            let context = context(agent, queue(1).0, Marks::new());
            PacketInput::new(toml::from_str("file = \"/a\"").unwrap(), None, server()).surroundings(&context).file_seed
        };
        assert_eq!(seed(AgentId::from_bytes([1; 16])), 0x0101_0101_0101_0101);
        assert_eq!(seed(AgentId::from_bytes([2; 16])), 0x0202_0202_0202_0202);
    }
}
