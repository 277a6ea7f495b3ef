//! Gathers the datagrams of a door into batches and journals them, several at a time, so that one sync covers them all.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use canh_schema::Timestamp;
use compact_str::CompactString;
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::intake::Intake;
use crate::drops::DropReason;
use crate::envelope::{Cut, Door, Envelope, Framing, RecordList};
use crate::journal::JournalError;
use crate::sources::{Seen, SourceKey};

/// A batch is closed at this size.
const BATCH_LEN: usize = 256 * 1024;

/// Longest payload that the journal is given by a door with this longest record, in bytes.
pub(super) const fn payload_len_max(record_max: usize) -> u64 {
    (BATCH_LEN + record_max + 64) as u64
}

/// Records that were received together. `M` is what is to be done when they are durable.
pub(super) struct Batch<M> {
    payload: Bytes,
    received: Timestamp,
    senders: FxHashMap<IpAddr, Sent>,
    more: Vec<M>,
}

/// What one sender has in a batch.
#[derive(Clone, Copy, Default)]
struct Sent {
    records: u64,
    bytes: u64,
    /// Records that their sender sends again if it gets no answer.
    confirmed: u64,
}

/// Records that are gone if they are not kept.
fn lost<'a>(senders: impl IntoIterator<Item = &'a Sent>) -> u64 {
    senders.into_iter().map(|sent| sent.records - sent.confirmed).sum()
}

/// The side that receives; it lives in a thread.
pub(super) struct Gather<M> {
    door: Door,
    intake: Intake,
    out: mpsc::Sender<Batch<M>>,
    /// How long a batch may wait for more.
    wait: Duration,
    list: RecordList,
    senders: FxHashMap<IpAddr, Sent>,
    more: Vec<M>,
    began: Option<Instant>,
    pub(super) is_closed: bool,
}

impl<M> Gather<M> {
    pub(super) fn new(door: Door, intake: Intake, out: mpsc::Sender<Batch<M>>, wait: Duration) -> Self {
        Self {
            door,
            intake,
            out,
            wait,
            list: RecordList::default(),
            senders: FxHashMap::default(),
            more: Vec::new(),
            began: None,
            is_closed: false,
        }
    }

    /// Adds a record. If something is to be done when it is durable (`more`), its sender waits for that, and sends the record
    /// again otherwise.
    pub(super) fn push(&mut self, record: &[u8], peer: IpAddr, cut: Cut, more: Option<M>) {
        self.list.push(record, Some(peer), cut);
        let sent = self.senders.entry(peer).or_default();
        sent.records += 1;
        sent.bytes += record.len() as u64;
        sent.confirmed += u64::from(more.is_some());
        self.more.extend(more);
        self.began.get_or_insert_with(Instant::now);
        if self.list.bytes_len() >= BATCH_LEN {
            self.flush();
        }
    }

    /// How long the batch can wait still.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.began.map(|began| self.wait.saturating_sub(began.elapsed()))
    }

    /// Sends the batch if it has waited long enough, or if nothing comes any more.
    pub(super) fn look(&mut self, is_last: bool) {
        if is_last || self.patience().is_some_and(|left| left.is_zero()) {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.began = None;
        if self.list.is_empty() {
            return;
        }
        let records = lost(self.senders.values());
        let batch = Batch {
            payload: self.list.take(),
            received: Timestamp::now(),
            senders: std::mem::take(&mut self.senders),
            more: std::mem::take(&mut self.more),
        };
        // While the queue is full, datagrams wait in the kernel's buffer.
        if self.out.blocking_send(batch).is_err() {
            self.is_closed = true;
            self.intake.dropped(self.door, None, DropReason::ShuttingDown, records);
        }
    }
}

/// What the batches of a door are.
#[derive(Clone)]
pub(super) struct About {
    pub(super) door: Door,
    pub(super) framing: Framing,
    pub(super) format: Option<CompactString>,
}

/// Journals the batches until no more can come, and then does with each what is to be done.
pub(super) async fn journal<M: Send + 'static>(
    about: About,
    queue_len: usize,
    intake: Intake,
    mut batches: mpsc::Receiver<Batch<M>>,
    done: impl Fn(Result<(), &JournalError>, Vec<M>) + Send + Sync + 'static,
) {
    let done = Arc::new(done);
    let mut under_way = JoinSet::new();
    while let Some(batch) = batches.recv().await {
        while under_way.len() >= queue_len {
            under_way.join_next().await;
        }
        while under_way.try_join_next().is_some() {}
        let (about, intake, done) = (about.clone(), intake.clone(), done.clone());
        under_way.spawn(async move {
            let (result, more) = append(&about, &intake, batch).await;
            done(result.as_ref().copied(), more);
        });
    }
    while under_way.join_next().await.is_some() {}
}

async fn append<M>(about: &About, intake: &Intake, batch: Batch<M>) -> (Result<(), JournalError>, Vec<M>) {
    let door = about.door;
    let records = batch.senders.values().map(|sent| sent.records).sum();
    let mut envelope = Envelope::new(door, batch.received, about.framing, batch.payload);
    envelope.format.clone_from(&about.format);
    let result = intake.append_quietly(envelope, records).await.map(drop);
    for (address, sent) in batch.senders {
        match &result {
            Ok(()) => {
                let mut seen = Seen::new(door, Some(address), batch.received);
                (seen.batches, seen.records, seen.bytes) = (1, sent.records, sent.bytes);
                intake.sources.add(SourceKey::Peer(door, address), &seen);
            }
            Err(error) => {
                intake.lost(door, Some(address), error, lost([&sent]));
                intake.refused_items(door, "journal", sent.confirmed);
            }
        }
    }
    (result, batch.more)
}
