//! One partition: how far it was read, what came of it into the journal, and what is gone.
//!
//! The journal knows how far: the number of a batch is the offset behind its last record. A batch without records stands
//! for a place from which reading began, and for offsets that are gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use canh_kafka::{BadBatch, Batches, FetchedPartition, Limits, OffsetOf, Place, Record};
use canh_schema::{AgentId, BatchNumber, Timestamp};
use compact_str::{CompactString, ToCompactString, format_compact};
use prometheus::IntGauge;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::cluster::{RETRY_MAX, Shared};
use super::connection::{Connection, Problem};
use super::{BATCH_LEN, Begin, DOOR, HEADER_MAX, HEADERS_MAX, KEY_MAX, NAME};
use crate::drops::DropReason;
use crate::envelope::{
    Cut, Envelope, Framing, MISSING_FIRST, MISSING_LAST, MISSING_REASON, PARTITION, RecordList, TOPIC,
};
use crate::format::kafka::Entry;

/// Longest name of a sender, as in the head of a batch.
const SENDER_MAX: usize = 255;
/// How often a partition may have been begun anew because its log had become shorter.
const TURNS_MAX: u32 = 1_000;

/// Which partition it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Id {
    pub(super) cluster: AgentId,
    pub(super) topic: Arc<str>,
    pub(super) topic_id: [u8; 16],
    pub(super) partition: i32,
}

impl Id {
    /// What stands for it where agents' spools stand. `turn` counts how often its log had become shorter than it was read.
    fn spool(&self, turn: u32) -> u64 {
        let mut hash = blake3::Hasher::new_derive_key("canh 2026-11-27 partition of Kafka");
        hash.update(&(self.topic.len() as u64).to_le_bytes()).update(self.topic.as_bytes()).update(&self.topic_id);
        hash.update(&self.partition.to_le_bytes()).update(&turn.to_le_bytes());
        hash.finalize().as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    fn has_topic_id(&self) -> bool {
        self.topic_id != [0; 16]
    }
}

/// When the partition was seen first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known {
    FromTheStart,
    /// It came while the cluster was read, so its beginning is not to be missed.
    New,
}

/// Where to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    /// The journal has to be asked.
    Unknown,
    /// The broker does not have this offset.
    Lost(i64),
    Offset(i64),
}

pub(super) struct Partition {
    shared: Arc<Shared>,
    pub(super) id: Id,
    known: Known,
    at: At,
    turn: u32,
    not_before: Option<Instant>,
    failures: u32,
    sender: CompactString,
    lag: IntGauge,
    limits: Limits,
}

impl Partition {
    /// Nothing if the partition is read already, under another name of its cluster.
    pub(super) fn new(shared: Arc<Shared>, id: Id, known: Known) -> Option<Self> {
        let name = shared.config.name.as_str();
        if !shared.read.lock().insert((id.cluster, id.spool(0))) {
            shared.count("read_twice");
            error!(
                door = NAME,
                cluster = name,
                topic = &*id.topic,
                "the topic is read already as one of another `[[collector.kafka.cluster]]`; name it once"
            );
            return None;
        }
        let sender = format_compact!("{name}/{}", id.topic);
        let sender = CompactString::from(&sender[..sender.floor_char_boundary(SENDER_MAX)]);
        let labels = [name, &*id.topic, &id.partition.to_string()];
        let lag = shared.intake.metrics.kafka.lag.with_label_values(&labels);
        let limits =
            Limits { key: KEY_MAX, value: shared.all.record_max.as_len(), headers: HEADERS_MAX, header: HEADER_MAX };
        let at = At::Unknown;
        Some(Self { shared, id, known, at, turn: 0, not_before: None, failures: 0, sender, lag, limits })
    }

    fn waits_still(&self, now: Instant) -> bool {
        self.not_before.is_some_and(|until| now < until)
    }

    pub(super) fn is_lost(&self, now: Instant) -> bool {
        !matches!(self.at, At::Offset(_)) && !self.waits_still(now)
    }

    pub(super) fn is_ready(&self, now: Instant) -> bool {
        matches!(self.at, At::Offset(_)) && !self.waits_still(now)
    }

    /// How long it has to wait still, if it has to.
    pub(super) fn waits(&self, now: Instant) -> Option<Duration> {
        self.not_before.map(|until| until.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// It is not asked for, longer with each failure in a row.
    pub(super) fn wait(&mut self, least: Duration) {
        let wait = least.saturating_mul(1 << self.failures.min(8)).min(RETRY_MAX);
        self.failures += 1;
        self.not_before = Some(Instant::now() + wait);
    }

    pub(super) fn place(&self) -> Option<Place<'_>> {
        let At::Offset(offset) = self.at else { return None };
        Some(Place { topic: &self.id.topic, partition: self.id.partition, offset })
    }

    /// The broker does not have the offset.
    pub(super) fn lose(&mut self) {
        if let At::Offset(offset) = self.at {
            self.at = At::Lost(offset);
        }
    }

    /// Finds where to go on.
    pub(super) async fn find(&mut self, connection: &mut Connection, stop: &CancellationToken) -> Result<(), Problem> {
        match self.at {
            At::Offset(_) => Ok(()),
            At::Unknown => self.find_first(connection, stop).await,
            At::Lost(offset) => self.find_again(connection, offset, stop).await,
        }
    }

    async fn find_first(&mut self, connection: &mut Connection, stop: &CancellationToken) -> Result<(), Problem> {
        let journal = self.shared.intake.journal.clone();
        let mut found = None;
        for turn in 0..TURNS_MAX {
            let Some(highest) = journal.numbered(self.id.cluster, self.id.spool(turn)).await else { break };
            (found, self.turn) = (Some(i64::try_from(highest).unwrap_or(i64::MAX)), turn);
        }
        if let Some(offset) = found {
            self.at = At::Offset(offset);
            return Ok(());
        }
        let of = match (self.known, self.shared.config.begin) {
            (Known::FromTheStart, Begin::Latest) => OffsetOf::Latest,
            _ => OffsetOf::Earliest,
        };
        let offset = connection.offset(&self.id.topic, self.id.partition, of).await?;
        // Written down, so that what comes until the first record is journaled is not missed after a restart.
        self.mark(offset, None, stop).await;
        Ok(())
    }

    async fn find_again(
        &mut self,
        connection: &mut Connection,
        offset: i64,
        stop: &CancellationToken,
    ) -> Result<(), Problem> {
        let (topic, partition) = (self.id.topic.clone(), self.id.partition);
        let earliest = connection.offset(&topic, partition, OffsetOf::Earliest).await?;
        let latest = connection.offset(&topic, partition, OffsetOf::Latest).await?;
        match judge(offset, earliest, latest, self.id.has_topic_id()) {
            Judged::Transient => {
                self.at = At::Offset(offset);
                self.wait(RETRY_MAX / 60);
            }
            Judged::Gone { next } => self.mark(next, Some((offset, next - 1, "deleted")), stop).await,
            Judged::Shorter { next } => {
                self.turn += 1;
                self.shared.count("log_shorter");
                let cluster = &self.shared.config.name;
                warn!(
                    door = NAME,
                    cluster,
                    topic = &*topic,
                    partition,
                    offset,
                    latest,
                    next,
                    "the log of a partition is shorter than it was read; its topic was made anew, or a leader has lost records"
                );
                self.mark(next, None, stop).await;
            }
        }
        Ok(())
    }

    /// Journals what was fetched. What cannot be journaled because of `stop` is fetched again after the restart.
    pub(super) async fn take(&mut self, fetched: FetchedPartition, stop: &CancellationToken) {
        let At::Offset(mut at) = self.at else { return };
        (self.failures, self.not_before) = (0, None);
        let end = fetched.end;
        for batch in Batches::new(fetched.records, fetched.aborted) {
            let done = match batch {
                Ok(batch) if batch.last < at => continue, // the broker keeps whole batches, and this one was read
                Ok(batch) => {
                    let last = batch.last;
                    match batch.records {
                        // Holes are no loss: what Kafka writes for itself, what was given up, what compaction removed.
                        None => Ok(last + 1),
                        Some(records) => match self.records(records, at, stop).await {
                            Taken::All => Ok(last + 1),
                            Taken::Stopped => return,
                            Taken::Until(next, bad) => Err((next, bad)),
                        },
                    }
                }
                Err(bad) => Err((at, bad)),
            };
            match done {
                Ok(next) => at = next,
                Err((next, bad)) => {
                    let Some(last) = last_of(bad) else {
                        // Where the next batch begins is not known: it is tried again, and said.
                        self.at = At::Offset(next);
                        self.shared.count("unreadable");
                        self.say(&bad);
                        return self.wait(RETRY_MAX / 15);
                    };
                    self.say(&bad);
                    self.mark(last + 1, Some((next, last, "unreadable")), stop).await;
                    let At::Offset(marked) = self.at else { return };
                    if marked <= last {
                        return; // stopped
                    }
                    at = marked;
                }
            }
            self.at = At::Offset(at);
        }
        self.lag.set(end.saturating_sub(at).max(0));
    }

    fn say(&self, bad: &BadBatch) {
        let (cluster, topic, partition) = (&self.shared.config.name, &*self.id.topic, self.id.partition);
        self.shared.log.warn(NAME, || warn!(door = NAME, cluster, topic, partition, "{bad}"));
    }

    /// Journals the records of a batch, from `from` on.
    async fn records(&mut self, mut records: canh_kafka::Records, from: i64, stop: &CancellationToken) -> Taken {
        let (mut list, mut next, mut cut) = (RecordList::default(), from, 0);
        let mut bytes = Vec::new();
        loop {
            let record = records.next(&self.limits);
            if let Ok(Some(record)) = &record {
                if record.offset < next {
                    continue;
                }
                cut += u64::from(record.is_cut);
                write(record, &mut bytes);
                list.push(&bytes, None, if record.is_cut { Cut::Truncated } else { Cut::Whole });
                next = record.offset + 1;
            }
            let is_over = !matches!(record, Ok(Some(_)));
            if !list.is_empty() && (is_over || list.bytes_len() >= BATCH_LEN) {
                let count = list.len() as u64;
                if !self.append(list.take(), count, next, stop).await {
                    return Taken::Stopped;
                }
                let dropped = std::mem::take(&mut cut);
                self.shared.intake.dropped_of(DOOR, None, Some(&self.sender), DropReason::Truncated, dropped);
                self.at = At::Offset(next);
            }
            match record {
                Ok(Some(_)) => (),
                Ok(None) => return Taken::All,
                Err(bad) => return Taken::Until(next, bad),
            }
        }
    }

    /// Journals records; `next` is the offset behind the last of them. Waits while the journal takes nothing. Answers
    /// whether they are durable.
    async fn append(&self, payload: Bytes, records: u64, next: i64, stop: &CancellationToken) -> bool {
        let envelope = self.envelope(payload, next);
        match self.shared.intake.append_patiently(&envelope, records, stop).await {
            Ok(_) => {
                self.shared.intake.describe_named(DOOR, &self.sender);
                true
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                info!(door = NAME, error, "records could not be journaled; they are read again");
                false
            }
        }
    }

    /// Writes down where to go on, and what is gone before that: first and last offset, and why.
    async fn mark(&mut self, next: i64, gone: Option<(i64, i64, &'static str)>, stop: &CancellationToken) {
        let mut envelope = self.envelope(Bytes::new(), next);
        if let Some((first, last, reason)) = gone {
            envelope.label(MISSING_FIRST, &first.to_compact_string());
            envelope.label(MISSING_LAST, &last.to_compact_string());
            envelope.label(MISSING_REASON, reason);
        }
        if self.shared.intake.append_patiently(&envelope, 0, stop).await.is_err() {
            return; // stopped; it is found again
        }
        self.at = At::Offset(next);
        if let Some((first, last, reason)) = gone {
            let count = u64::try_from(last - first + 1).unwrap_or(0);
            let labels = [self.shared.config.name.as_str(), &self.id.topic, reason];
            self.shared.intake.metrics.kafka.missing.with_label_values(&labels).inc_by(count);
            let (cluster, topic, partition) = (&self.shared.config.name, &*self.id.topic, self.id.partition);
            error!(door = NAME, cluster, topic, partition, first, last, reason, "records of Kafka are missing");
        }
    }

    fn envelope(&self, payload: Bytes, next: i64) -> Envelope {
        let mut envelope = Envelope::new(DOOR, Timestamp::now(), Framing::Kafka, payload);
        let sequence = u64::try_from(next).unwrap_or(0);
        envelope.agent = Some(BatchNumber { agent: self.id.cluster, spool: self.id.spool(self.turn), sequence });
        envelope.sender = Some(self.sender.clone());
        envelope.format = self.shared.config.format.as_deref().map(CompactString::from);
        envelope.label(TOPIC, &self.id.topic);
        envelope.label(PARTITION, &self.id.partition.to_compact_string());
        envelope
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        self.shared.read.lock().remove(&(self.id.cluster, self.id.spool(0)));
        let labels = [self.shared.config.name.as_str(), &self.id.topic, &self.id.partition.to_string()];
        let _ = self.shared.intake.metrics.kafka.lag.remove_label_values(&labels);
    }
}

/// What became of the records of a batch.
enum Taken {
    All,
    Stopped,
    /// From this offset on they cannot be read.
    Until(i64, BadBatch),
}

/// The last offset that cannot be read, if the batch says so.
fn last_of(bad: BadBatch) -> Option<i64> {
    match bad {
        BadBatch::Checksum { last, .. } | BadBatch::Records { last, .. } => Some(last),
        BadBatch::TooOld { .. } | BadBatch::NoBatch => None,
    }
}

fn write(record: &Record, out: &mut Vec<u8>) {
    let headers = record.headers.iter().map(|(name, value)| (name.as_slice(), value.as_deref().unwrap_or_default()));
    Entry {
        offset: record.offset,
        time_ms: record.time_ms,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: headers.collect(),
    }
    .write(out);
}

/// What an offset that the broker does not have means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Judged {
    /// It has it after all.
    Transient,
    /// Records were deleted before they were read.
    Gone { next: i64 },
    /// The log ends before it.
    Shorter { next: i64 },
}

pub(super) fn judge(offset: i64, earliest: i64, latest: i64, has_topic_id: bool) -> Judged {
    if offset < earliest {
        return Judged::Gone { next: earliest };
    }
    if offset <= latest {
        return Judged::Transient;
    }
    // A topic that was made anew has another id, so of one with an id a leader has lost what was read. Without ids it may be
    // another topic: what may be read twice is better than what may be missed.
    Judged::Shorter { next: if has_topic_id { latest } else { earliest } }
}
