//! Keeps every received batch on disk before it is acknowledged, and hands it to readers until they are done with it.
//!
//! [`Journal::append`] answers once the batch survives a power cut. Readers see only such batches. A full journal says
//! so ([`JournalError::Full`]) and each door passes that on in the words of its protocol; nothing is overwritten.

mod seen;
mod writer;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use canh_schema::{AgentId, ByteSize, Position};
use canh_spool::{Reader, Spool, SpoolConfig, SpoolError, SpoolHandle};
use parking_lot::{Condvar, Mutex};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Registry};
use serde::Deserialize;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tracing::{info, warn};

use crate::envelope::{Envelope, EnvelopeError};
pub(crate) use seen::PLACE_PREFIX;
use seen::Seen;
use writer::{Append, Request, Writer};

/// No batch may be longer: its length is kept in 32 bits, and it is held in memory as a whole.
const BATCH_MAX: ByteSize = ByteSize::gib(1);

/// `[journal]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalConfig {
    /// Folder of the journal. A relative path starts at the data folder.
    pub dir: PathBuf,
    /// Size of all records together. When it is reached, senders are told to wait until older records are stored.
    #[serde(with = "canh_config::byte_size")]
    pub bytes_max: ByteSize,
    /// Size of one file. Space is freed by whole files.
    #[serde(with = "canh_config::byte_size")]
    pub segment_max: ByteSize,
    /// Longest batch.
    #[serde(with = "canh_config::byte_size")]
    pub batch_max: ByteSize,
    /// Batches waiting to be written. When full, doors wait.
    pub queue_len: NonZeroUsize,
    /// Bytes waiting to be written. When full, doors wait.
    #[serde(with = "canh_config::byte_size")]
    pub queue_bytes: ByteSize,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("journal"),
            bytes_max: ByteSize::gib(10),
            segment_max: ByteSize::mib(64),
            batch_max: ByteSize::mib(32),
            queue_len: const { NonZeroUsize::new(1_024).unwrap() },
            queue_bytes: ByteSize::mib(64),
        }
    }
}

impl JournalConfig {
    /// # Errors
    ///
    /// [`JournalError::Setting`] for a value with which nothing could be kept.
    fn check(&self) -> Result<(), JournalError> {
        let least = |key, value: ByteSize, least: ByteSize| {
            if value >= least {
                return Ok(());
            }
            let wrong = format!("`{value}` is too small; write a size of `{least}` or more");
            Err(JournalError::Setting { key, wrong })
        };
        least("bytes_max", self.bytes_max, ByteSize::kib(64))?;
        least("segment_max", self.segment_max, ByteSize::kib(64))?;
        least("batch_max", self.batch_max, ByteSize::kib(1))?;
        least("queue_bytes", self.queue_bytes, ByteSize::kib(1))?;
        if self.batch_max > BATCH_MAX {
            let wrong = format!("`{}` is too large; write a size of `{BATCH_MAX}` or less", self.batch_max);
            return Err(JournalError::Setting { key: "batch_max", wrong });
        }
        Ok(())
    }
}

/// What became of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// Where the batch is. For a duplicate, a place at or behind the first one.
    pub position: Position,
    /// The same agent, spool and sequence number were received before; nothing was written.
    pub duplicate: bool,
}

/// Why a batch was not taken, or a record not read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the journal is full; it takes batches again once older ones are stored or the disk has room")]
    Full { source: Arc<SpoolError> },
    #[error("the batch is too large for the journal; send smaller batches or raise `journal.batch_max`")]
    TooLarge { source: Arc<SpoolError> },
    #[error("the journal cannot be used; see whether its disk is full, read-only or failing")]
    Disk { source: Arc<SpoolError> },
    #[error("records {first} to {last} of the journal are damaged and are skipped")]
    Gap { first: u64, last: u64 },
    #[error("record {position} of the journal cannot be read and is skipped")]
    Unreadable { position: Position, source: EnvelopeError },
    #[error("configuration key `journal.{key}`: {wrong}")]
    Setting { key: &'static str, wrong: String },
    #[error("the writer of the journal cannot be started")]
    Start { source: Arc<std::io::Error> },
    #[error("a metric of the journal is registered twice")]
    Metrics { source: Arc<prometheus::Error> },
    #[error("the server is shutting down; send the batch again later")]
    Closed,
}

impl JournalError {
    fn from_spool(error: SpoolError) -> Self {
        let source = Arc::new(error);
        match *source {
            _ if source.is_full() => Self::Full { source },
            SpoolError::TooLarge { .. } => Self::TooLarge { source },
            SpoolError::Gap { first, last, .. } => Self::Gap { first, last },
            _ => Self::Disk { source },
        }
    }

    /// Whether the same batch may be taken later.
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::TooLarge { .. } | Self::Setting { .. })
    }
}

/// Everything received and not yet released.
#[derive(Debug)]
pub struct Journal {
    /// `None` once closed. The writer ends when every sender is gone and the queue is empty.
    queue: Mutex<Option<mpsc::Sender<Request>>>,
    /// Room in the queue in units of KiB.
    room: Arc<Semaphore>,
    room_len: u32,
    batch_max: ByteSize,
    spool: SpoolHandle,
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    progress: watch::Sender<Progress>,
    /// The same signal for threads outside the runtime.
    changed: (Mutex<()>, Condvar),
    release_through: AtomicU64,
    metrics: Metrics,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Progress {
    pub(crate) durable: Position,
    /// Nothing will be added any more.
    pub(crate) closed: bool,
}

#[derive(Debug)]
struct Metrics {
    records: IntCounter,
    bytes_total: IntCounter,
    duplicates: IntCounter,
    errors: IntCounter,
    bytes: IntGauge,
    group_records: Histogram,
    sync_seconds: Histogram,
}

impl Metrics {
    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
            registry.register(Box::new(histogram.clone())).map(|()| histogram)
        };
        let bytes = IntGauge::new("canh_journal_bytes", "Bytes of the journal on disk.")?;
        registry.register(Box::new(bytes.clone()))?;
        Ok(Self {
            records: counter("canh_journal_records_total", "Batches made durable in the journal.")?,
            bytes_total: counter("canh_journal_written_bytes_total", "Bytes made durable in the journal.")?,
            duplicates: counter("canh_journal_duplicates_total", "Batches that were sent again and not kept twice.")?,
            errors: counter("canh_journal_errors_total", "Batches and housekeeping that the journal could not write.")?,
            bytes,
            group_records: histogram(
                "canh_journal_group_records",
                "Batches made durable by one sync.",
                prometheus::exponential_buckets(1.0, 4.0, 7)?,
            )?,
            sync_seconds: histogram(
                "canh_journal_sync_seconds",
                "Time to write one group and make it durable, in seconds.",
                prometheus::exponential_buckets(0.000_1, 3.0, 10)?,
            )?,
        })
    }
}

impl Shared {
    fn advance(&self, durable: Position) {
        self.progress.send_modify(|progress| progress.durable = durable);
        self.wake_threads();
    }

    fn finish(&self) {
        self.progress.send_modify(|progress| progress.closed = true);
        self.wake_threads();
    }

    fn wake_threads(&self) {
        // The lock orders this after a waiter's look at the progress, so that no wake-up is lost.
        drop(self.changed.0.lock());
        self.changed.1.notify_all();
    }
}

impl Journal {
    /// Opens the journal or makes it, and starts its writer.
    ///
    /// # Errors
    ///
    /// [`JournalError::Setting`] if a value of `config` cannot work. [`JournalError::Disk`] if the folder cannot be used, for example because another server has it open. Damaged
    /// records are not an error: they are logged, and readers skip and count them.
    pub fn open(config: &JournalConfig, registry: &Registry) -> Result<Arc<Self>, JournalError> {
        Self::open_past(config, Position::START, registry)
    }

    /// As [`Journal::open`]. `past` is the furthest place that any reader has kept: if damage has cut off records that
    /// were read already, their positions are not given to other records.
    pub fn open_past(config: &JournalConfig, past: Position, registry: &Registry) -> Result<Arc<Self>, JournalError> {
        config.check()?;
        let spool_config = SpoolConfig {
            dir: config.dir.clone(),
            segment_max: config.segment_max.bytes(),
            bytes_max: config.bytes_max.bytes(),
            record_max: u32::try_from(config.batch_max.bytes()).unwrap_or(u32::MAX),
        };
        let (mut spool, recovery) = Spool::open(spool_config).map_err(JournalError::from_spool)?;
        for range in &recovery.damaged {
            warn!(first = range.first, last = range.last, path = %range.path.display(), "journal is damaged");
        }
        if recovery.torn_bytes > 0 {
            info!(bytes = recovery.torn_bytes, "an unfinished write at the end of the journal was cut off");
        }
        spool.advance_past(past.get()).map_err(JournalError::from_spool)?;

        let metrics = Metrics::new(registry).map_err(|source| JournalError::Metrics { source: Arc::new(source) })?;
        metrics.bytes.set(i64::try_from(spool.bytes()).unwrap_or(i64::MAX));
        let seen_path = config.dir.join("seen");
        let seen = rebuild_seen(&spool, &seen_path);
        let shared = Arc::new(Shared {
            progress: watch::Sender::new(Progress { durable: Position::new(spool.durable()), closed: false }),
            changed: (Mutex::new(()), Condvar::new()),
            release_through: AtomicU64::new(0),
            metrics,
        });

        let (queue, requests) = mpsc::channel(config.queue_len.get());
        let handle = spool.handle();
        // What was read again counts as unsaved, so that it is saved before its records are freed.
        let save_every = config.segment_max.bytes();
        let writer = Writer {
            spool,
            seen,
            seen_path,
            unsaved_len: 1,
            save_every,
            shared: shared.clone(),
            failing: false,
            full: false,
        };
        let thread = thread::Builder::new()
            .name("canh-journal".to_owned())
            .spawn(move || writer.run(requests))
            .map_err(|source| JournalError::Start { source: Arc::new(source) })?;
        let room_len = u32::try_from(config.queue_bytes.bytes() / 1024).unwrap_or(u32::MAX).clamp(1, 1 << 28);
        Ok(Arc::new(Self {
            queue: Mutex::new(Some(queue)),
            room: Arc::new(Semaphore::new(room_len as usize)),
            room_len,
            batch_max: config.batch_max,
            spool: handle,
            shared,
            writer: Mutex::new(Some(thread)),
        }))
    }

    /// Adds a batch. Answers once it is durable; waits while the queue is full.
    ///
    /// A caller that stops waiting does not know whether the batch was kept, as a sender whose connection breaks.
    pub async fn append(&self, envelope: Envelope) -> Result<Appended, JournalError> {
        self.append_then(envelope, |_| ()).await
    }

    /// The same, and calls `kept` once the batch is durable, whether or not anybody still waits for the answer: that is
    /// where what was received is counted. It runs on the thread that writes, so it must be quick, and it must not hold
    /// the journal.
    pub async fn append_then(
        &self,
        envelope: Envelope,
        kept: impl FnOnce(&Appended) + Send + 'static,
    ) -> Result<Appended, JournalError> {
        let queue = self.queue.lock().clone().ok_or(JournalError::Closed)?;
        let wanted = u32::try_from(envelope.encoded_len_max() / 1024 + 1).unwrap_or(u32::MAX).min(self.room_len);
        let room = self.room.clone().acquire_many_owned(wanted).await.map_err(|_| JournalError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let append = Append {
            head: envelope.encode_head(),
            agent: envelope.agent,
            received: envelope.received,
            payload: envelope.payload,
            reply,
            kept: Box::new(kept),
            _room: room,
        };
        queue.send(Request::Append(append)).await.map_err(|_| JournalError::Closed)?;
        drop(queue);
        answer.await.map_err(|_| JournalError::Closed)?
    }

    /// The highest sequence number that is durable of a spool; `None` if there is none, or the journal is closed.
    pub(crate) async fn numbered(&self, agent: AgentId, spool: u64) -> Option<u64> {
        let queue = self.queue.lock().clone()?;
        let (reply, answer) = oneshot::channel();
        queue.send(Request::Numbered { agent, spool, reply }).await.ok()?;
        answer.await.ok()?
    }

    /// Random number that the journal was created with. Part of the id of every batch that has no number of its own.
    pub fn id(&self) -> u64 {
        self.spool.id()
    }

    /// Longest batch, with its head.
    pub fn batch_max(&self) -> ByteSize {
        self.batch_max
    }

    /// The last durable batch.
    pub fn durable(&self) -> Position {
        self.shared.progress.borrow().durable
    }

    /// The oldest batch that may still be there.
    pub fn first(&self) -> Position {
        Position::new(self.spool.first())
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> ByteSize {
        ByteSize::new(self.spool.bytes())
    }

    /// How many batches were sent again and not kept twice, since the start.
    pub fn duplicates(&self) -> u64 {
        self.shared.metrics.duplicates.get()
    }

    /// Every reader is done with the batches up to `through`: their space may be freed. Does not wait for that.
    pub fn release(&self, through: Position) {
        self.shared.release_through.fetch_max(through.get(), Ordering::AcqRel);
        if let Some(queue) = &*self.queue.lock() {
            let _ = queue.try_send(Request::Wake); // a full queue wakes the writer as well
        }
    }

    /// How far [`Journal::release`] has been called.
    pub fn released(&self) -> Position {
        Position::new(self.shared.release_through.load(Ordering::Acquire))
    }

    /// Takes no more batches, writes those that are queued, and ends. Readers can still read to the end.
    pub async fn close(&self) {
        drop(self.queue.lock().take());
        let mut progress = self.shared.progress.subscribe();
        let _ = progress.wait_for(|progress| progress.closed).await;
    }

    /// Reads the batches after `after`, on any thread.
    pub fn reader(&self, after: Position) -> JournalReader {
        JournalReader { reader: self.spool.reader(after.get()) }
    }

    pub(crate) fn progress(&self) -> Progress {
        *self.shared.progress.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Progress> {
        self.shared.progress.subscribe()
    }

    /// Blocks until something lies behind `after`, the journal is closed, or `until` has come.
    pub(crate) fn wait(&self, after: Position, until: Option<Instant>) -> Progress {
        let (lock, changed) = &self.shared.changed;
        let mut guard = lock.lock();
        loop {
            let progress = self.progress();
            if progress.durable > after || progress.closed {
                return progress;
            }
            match until {
                None => changed.wait(&mut guard),
                Some(until) if Instant::now() >= until => return progress,
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
                    changed.wait_for(&mut guard, left);
                }
            }
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        drop(self.queue.lock().take());
        if let Some(writer) = self.writer.lock().take() {
            let _ = writer.join(); // so that the folder is free again when this returns
        }
    }
}

/// Reads batches in order. See [`Journal::reader`].
#[derive(Debug)]
pub struct JournalReader {
    reader: Reader,
}

impl JournalReader {
    /// The next batch, or `None` if there is none yet.
    ///
    /// # Errors
    ///
    /// [`JournalError::Gap`] once for each damaged range and [`JournalError::Unreadable`] for a record that is not an
    /// envelope; the next call goes on behind it. [`JournalError::Disk`] keeps the place.
    pub fn next_batch(&mut self) -> Result<Option<(Position, Envelope)>, JournalError> {
        let Some(record) = self.reader.next().map_err(JournalError::from_spool)? else { return Ok(None) };
        let position = Position::new(record.sequence);
        match Envelope::decode(Bytes::from(record.payload)) {
            Ok(envelope) => Ok(Some((position, envelope))),
            Err(source) => Err(JournalError::Unreadable { position, source }),
        }
    }

    /// The last batch that was read, or the place from which this started.
    pub fn position(&self) -> Position {
        Position::new(self.reader.position())
    }
}

/// Which numbered batches were taken: the saved file, and the records after it.
fn rebuild_seen(spool: &Spool, path: &std::path::Path) -> Seen {
    let (mut seen, through) = Seen::load(path, spool.id()).unwrap_or_else(|| {
        if spool.first() > 1 {
            warn!(path = %path.display(), "the list of received batches is missing; one that is sent again may be kept twice");
        }
        (Seen::default(), Position::START)
    });
    let mut reader = JournalReader { reader: spool.reader(through.get()) };
    loop {
        match reader.next_batch() {
            Ok(Some((_, envelope))) => {
                if let Some(batch) = &envelope.agent {
                    seen.add(batch, envelope.received);
                }
            }
            Ok(None) => break,
            // Readers of the feed count and report damage; here it only means one batch less to know about.
            Err(JournalError::Gap { .. } | JournalError::Unreadable { .. }) => (),
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "cannot read the journal back");
                break;
            }
        }
    }
    seen.commit();
    seen
}

#[cfg(test)]
mod tests;
