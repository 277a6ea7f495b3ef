//! Takes records from the queue, makes batches of them and puts each into the spool together with its marks.
//!
//! When the spool or the disk is full the spooler waits, the queue fills and the inputs that can wait do so: nothing
//! that was read is lost, because a place only moves on together with its batch.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use canh_spool::{Spool, SpoolError};
use canh_wire::{BatchKind, LogBatchBuilder, Origin, limit};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::checkpoint::{Checkpoint, encode_head};
use crate::counters::{Counters, add};
use crate::queue::{Item, Mark, Payload};

/// A batch is closed this long after its first record came.
const BATCH_AGE: Duration = Duration::from_millis(200);
/// Spool records between two snapshots of the places. After a crash at most so many are read to find the places.
const SNAPSHOT_RECORDS: u64 = 256;
/// Longest time between two snapshots while records come.
const SNAPSHOT_AGE: Duration = Duration::from_secs(5);
/// Pause before the next attempt when there is no room.
const ROOM_WAIT: Duration = Duration::from_millis(100);

/// What the spooler tells the shipper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Last durable spool record.
    pub durable: u64,
    /// No more records will come.
    pub ended: bool,
}

pub struct Spooler {
    pub spool: Spool,
    pub checkpoint: Checkpoint,
    pub counters: Arc<Counters>,
    /// Last record that the server has acknowledged; written by the shipper.
    pub acked: Arc<AtomicU64>,
    pub progress: watch::Sender<Progress>,
    pub stop: CancellationToken,
    batch: Batch,
    snapshot_at: Instant,
    snapshot_wanted: bool,
}

struct Batch {
    builder: LogBatchBuilder,
    marks: HashMap<Arc<str>, Mark>,
    since: Option<Instant>,
}

/// The agent stops while there is no room: what was not kept yet is read again after the next start.
#[derive(Debug)]
struct Stopped;

impl Spooler {
    pub fn new(
        spool: Spool,
        checkpoint: Checkpoint,
        origin: Origin,
        counters: Arc<Counters>,
        acked: Arc<AtomicU64>,
        stop: CancellationToken,
    ) -> (Self, watch::Receiver<Progress>) {
        let (progress, receiver) = watch::channel(Progress { durable: spool.durable(), ended: false });
        let batch = Batch { builder: LogBatchBuilder::new(origin), marks: HashMap::new(), since: None };
        let snapshot_at = Instant::now();
        let spooler =
            Self { spool, checkpoint, counters, acked, progress, stop, batch, snapshot_at, snapshot_wanted: false };
        (spooler, receiver)
    }

    /// Runs until every sender of the queue is gone and the queue is empty.
    pub fn run(mut self, queue: &Receiver<Vec<Item>>) {
        if self.take_all(queue).is_err() {
            info!("stopped while the spool had no room: what was not kept is read again at the next start");
        }
        if let Err(error) = self.checkpoint.store() {
            warn!(error = &error as &dyn std::error::Error, "places not stored; they are found in the spool instead");
        }
        self.progress.send_modify(|progress| progress.ended = true);
    }

    fn take_all(&mut self, queue: &Receiver<Vec<Item>>) -> Result<(), Stopped> {
        loop {
            let wait = self.batch.since.map_or(BATCH_AGE, |since| BATCH_AGE.saturating_sub(since.elapsed()));
            match queue.recv_timeout(wait) {
                Ok(items) => items.into_iter().try_for_each(|item| self.take(item))?,
                Err(RecvTimeoutError::Timeout) => (),
                Err(RecvTimeoutError::Disconnected) => return self.close_batch(),
            }
            if self.batch.since.is_some_and(|since| since.elapsed() >= BATCH_AGE) {
                self.close_batch()?;
            }
            self.tidy();
        }
    }

    /// Adds one item to the batch, and closes the batch if that fills it.
    fn take(&mut self, item: Item) -> Result<(), Stopped> {
        match item.payload {
            Payload::Log(entry) => {
                self.counters.count_read(item.source, 1);
                self.batch.builder.push(entry);
            }
            Payload::Metrics(message, count) => {
                self.counters.count_read(item.source, 1);
                self.keep(BatchKind::Metrics, count, &message, Vec::new())?;
            }
            Payload::Nothing => (),
        }
        if let Some(mark) = item.mark {
            self.batch.marks.insert(mark.key.clone(), mark);
        }
        let builder = &self.batch.builder;
        if !builder.is_empty() || !self.batch.marks.is_empty() {
            self.batch.since.get_or_insert_with(Instant::now);
        }
        if builder.len() >= limit::BATCH_RECORDS || builder.size() >= limit::BATCH_SIZE.as_len() {
            self.close_batch()?;
        }
        Ok(())
    }

    fn close_batch(&mut self) -> Result<(), Stopped> {
        self.batch.since = None;
        let marks: Vec<_> = self.batch.marks.drain().map(|(_, mark)| mark).collect();
        if self.batch.builder.is_empty() {
            // Marks without records do not use a batch number: the server would miss it.
            if !marks.is_empty() {
                self.checkpoint.advance_alone(marks);
                self.snapshot_wanted = true;
            }
            return Ok(());
        }
        let count = self.batch.builder.len();
        let message = self.batch.builder.finish();
        self.keep(BatchKind::Logs, count, &message, marks)
    }

    /// Puts one message into the spool and waits until it is durable.
    fn keep(&mut self, kind: BatchKind, count: usize, message: &[u8], marks: Vec<Mark>) -> Result<(), Stopped> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let head = encode_head(kind, count, &marks).expect("marks are plain data");
        let mut waited = false;
        loop {
            match self.spool.append(&[&head, message]).and_then(|_| self.spool.sync()) {
                Ok(sequence) => {
                    self.checkpoint.advance(sequence, marks);
                    add(&self.counters.spooled_batches, 1);
                    self.progress.send_modify(|progress| progress.durable = sequence);
                    if waited {
                        info!("spool takes records again");
                    }
                    return Ok(());
                }
                Err(error) => {
                    if !waited {
                        add(&self.counters.spool_waits, 1);
                        warn!(error = &error as &dyn std::error::Error, "spool takes no records; inputs wait");
                        waited = true;
                    }
                }
            }
            if self.stop.is_cancelled() {
                return Err(Stopped);
            }
            thread::sleep(ROOM_WAIT);
            self.snapshot_wanted = true;
            self.tidy();
        }
    }

    /// Writes a snapshot if it is time, and releases what is acknowledged and covered by one.
    fn tidy(&mut self) {
        let old = self.snapshot_at.elapsed() >= SNAPSHOT_AGE;
        let due = old || self.snapshot_wanted || self.checkpoint.behind() >= SNAPSHOT_RECORDS;
        if due && self.checkpoint.needs_store() {
            self.snapshot_at = Instant::now();
            self.snapshot_wanted = false;
            if let Err(error) = self.checkpoint.store() {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "places not stored; the spool keeps them until they are"
                );
            }
        }
        let through = self.acked.load(Ordering::Acquire).min(self.checkpoint.stored());
        if through >= self.spool.first()
            && let Err(error) = self.spool.release(through)
        {
            log_release(&error);
        }
    }
}

fn log_release(error: &SpoolError) {
    warn!(error = error as &dyn std::error::Error, "spool segment not removed; it is tried again");
}

#[cfg(test)]
mod tests;
