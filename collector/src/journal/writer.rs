//! The one thread that writes the journal: takes what is queued as one group, appends it, makes it durable with one
//! `fdatasync`, and only then answers. No delay is added: while one group is being synced the next one gathers.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use canh_schema::{AgentId, Position, Timestamp};
use canh_spool::{Spool, SpoolError};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tracing::{error, info, warn};

use super::seen::Seen;
use super::{Appended, JournalError, Shared};
use crate::envelope::AgentBatch;

/// A group ends here, so that the first of a long queue does not wait for the last.
const GROUP_BYTES_MAX: usize = 16 * 1024 * 1024;
const GROUP_LEN_MAX: usize = 4_096;

/// Less than this is not worth freeing while nothing more comes in.
const RELEASE_BYTES_MIN: u64 = 1024 * 1024;

/// A batch of the present group, and where it is, if it is new.
struct Waiting {
    reply: oneshot::Sender<Result<Appended, JournalError>>,
    kept: Box<dyn FnOnce(&Appended) + Send>,
    position: Option<Position>,
    _room: OwnedSemaphorePermit,
}

/// What the writer is asked to do.
pub(super) enum Request {
    Append(Append),
    /// The highest number of a spool.
    Numbered {
        agent: AgentId,
        spool: u64,
        reply: oneshot::Sender<Option<u64>>,
    },
    /// Look at what is to be released.
    Wake,
}

pub(super) struct Append {
    pub(super) head: BytesMut,
    pub(super) payload: Bytes,
    pub(super) agent: Option<AgentBatch>,
    pub(super) received: Timestamp,
    pub(super) reply: oneshot::Sender<Result<Appended, JournalError>>,
    /// Told before the reply, and also when nobody waits for that any longer.
    pub(super) kept: Box<dyn FnOnce(&Appended) + Send>,
    /// Room in the queue, given back once the batch is written.
    pub(super) _room: OwnedSemaphorePermit,
}

impl Append {
    fn len(&self) -> usize {
        self.head.len() + self.payload.len()
    }

    fn waiting(self, position: Option<Position>) -> Waiting {
        Waiting { reply: self.reply, kept: self.kept, position, _room: self._room }
    }
}

pub(super) struct Writer {
    pub(super) spool: Spool,
    pub(super) seen: Seen,
    pub(super) seen_path: PathBuf,
    /// Bytes appended since `seen` was saved.
    pub(super) unsaved_len: u64,
    /// `seen` is saved after this many bytes, so that start-up never has to read more than that.
    pub(super) save_every: u64,
    pub(super) shared: Arc<Shared>,
    /// The last group failed; a success after that is worth a line in the log.
    pub(super) failing: bool,
    /// The last batch found no room.
    pub(super) full: bool,
}

impl Writer {
    /// Runs until the queue is closed and empty.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        let mut group = Vec::new();
        while let Some(first) = queue.blocking_recv() {
            let mut bytes = 0;
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Append(append) => {
                        bytes += append.len();
                        group.push(append);
                    }
                    // Whoever asks has nothing under way of that spool, so the present group does not matter.
                    Request::Numbered { agent, spool, reply } => {
                        let _ = reply.send(self.seen.highest(agent, spool));
                    }
                    Request::Wake => (),
                }
                let full = bytes >= GROUP_BYTES_MAX || group.len() >= GROUP_LEN_MAX;
                next = if full { None } else { queue.try_recv().ok() };
            }
            self.release();
            if !group.is_empty() {
                self.write(&mut group);
            }
        }
        self.release();
        self.save_seen();
        self.shared.finish();
    }

    fn write(&mut self, group: &mut Vec<Append>) {
        let started = Instant::now();
        let metrics = &self.shared.metrics;
        let mut waiting = Vec::with_capacity(group.len());
        let mut records = 0;
        let mut bytes = 0;
        for append in group.drain(..) {
            if let Some(batch) = &append.agent
                && self.seen.has(batch)
            {
                metrics.duplicates.inc();
                waiting.push(append.waiting(None));
                continue;
            }
            match self.spool.append(&[&append.head, &append.payload]) {
                Ok(sequence) => {
                    self.full = false;
                    if let Some(batch) = &append.agent {
                        self.seen.add(batch, append.received);
                    }
                    records += 1;
                    bytes += append.len() as u64;
                    waiting.push(append.waiting(Some(Position::new(sequence))));
                }
                Err(error) => {
                    metrics.errors.inc();
                    self.full = error.is_full();
                    let _ = append.reply.send(Err(JournalError::from_spool(error)));
                }
            }
        }
        match self.spool.sync() {
            Ok(durable) => {
                self.seen.commit();
                metrics.records.inc_by(records);
                metrics.bytes_total.inc_by(bytes);
                metrics.group_records.observe(records as f64);
                metrics.sync_seconds.observe(started.elapsed().as_secs_f64());
                metrics.bytes.set(i64::try_from(self.spool.bytes()).unwrap_or(i64::MAX));
                if std::mem::take(&mut self.failing) {
                    info!("journal writes again");
                }
                let durable = Position::new(durable);
                self.shared.advance(durable);
                for Waiting { reply, kept, position, _room } in waiting {
                    let appended = Appended { position: position.unwrap_or(durable), duplicate: position.is_none() };
                    kept(&appended);
                    let _ = reply.send(Ok(appended)); // who does not wait any longer gets no answer
                }
                self.unsaved_len += bytes;
                if self.unsaved_len >= self.save_every {
                    self.save_seen();
                }
            }
            Err(error) => self.fail(error, waiting),
        }
    }

    fn fail(&mut self, error: SpoolError, waiting: Vec<Waiting>) {
        self.seen.roll_back();
        self.shared.metrics.errors.inc_by(waiting.len() as u64);
        let error = JournalError::from_spool(error);
        if !std::mem::replace(&mut self.failing, true) {
            error!(error = &error as &dyn std::error::Error, "journal cannot write; senders are told to try again");
        }
        for Waiting { reply, .. } in waiting {
            let _ = reply.send(Err(error.clone()));
        }
    }

    /// Frees what every reader has finished. What is known about numbered batches is saved first: their records may go.
    /// Saving costs a sync, so it waits until there is something to gain.
    fn release(&mut self) {
        let through = self.shared.release_through.load(Ordering::Acquire);
        let all_read = through >= self.spool.durable() && self.spool.bytes() >= RELEASE_BYTES_MIN;
        let worth_it = all_read || self.full || self.unsaved_len >= self.save_every / 8;
        if through < self.spool.first() || !worth_it {
            return;
        }
        if self.unsaved_len > 0 && !self.save_seen() {
            return;
        }
        match self.spool.release(through) {
            Ok(0) => (),
            Ok(_) => self.shared.metrics.bytes.set(i64::try_from(self.spool.bytes()).unwrap_or(i64::MAX)),
            Err(error) => {
                self.shared.metrics.errors.inc();
                warn!(error = &error as &dyn std::error::Error, "cannot free old records of the journal");
            }
        }
    }

    fn save_seen(&mut self) -> bool {
        let through = Position::new(self.spool.durable());
        match self.seen.save(&self.seen_path, self.spool.id(), through) {
            Ok(()) => {
                self.unsaved_len = 0;
                true
            }
            Err(error) => {
                self.shared.metrics.errors.inc();
                let error = &error as &dyn std::error::Error;
                warn!(error, path = %self.seen_path.display(), "cannot save which batches were received");
                false
            }
        }
    }
}
