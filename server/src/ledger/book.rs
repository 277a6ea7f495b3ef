//! What the ledger has counted and not written yet. No I/O, no clock: batches and places in the journal in, an update of
//! the state out.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use canh_collector::{Note, Noted};
use canh_schema::{Event, EventBatch, EventClass, Position, Timestamp, Value, field};
use canh_store::state::{
    GapKind, LedgerCounter, LedgerLine, LedgerMarks, LedgerStart, LedgerUpdate, StoreMark, hour_of,
};
use compact_str::{CompactString, ToCompactString, format_compact};
use lru::LruCache;
use rustc_hash::{FxHashMap, FxHashSet};
use tracing::{info, warn};

use super::gaps::Gaps;
use crate::canary;

/// Batches that detection or the store have not finished. Beyond it no more are counted until they have; the journal
/// keeps them meanwhile.
const PENDING_MAX: usize = 200_000;
/// Senders of one hour that have a line of their own. Addresses can be forged; the others share one.
const SOURCES_MAX: usize = 10_000;
const OTHERS: &str = "other";
/// Counters of senders that are remembered; of more, those that were quiet for longest are forgotten and begin anew.
const COUNTERS_MAX: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();
/// The longest name of an agent's own reason, in bytes, and how many of them a line has. What is more is one.
const LABEL_MAX: usize = 64;
const REASONS_MAX: usize = 64;
/// The highest count of an agent that is believed. Thousands of such lines still have a sum.
const COUNT_MAX: f64 = 1e14;

/// A batch that is in the journal, and who of how much.
struct Pending {
    position: Position,
    hour: Timestamp,
    counts: Vec<(CompactString, u64)>,
}

/// The sender, and the name of its counter.
type CounterKey = (CompactString, CompactString);

pub(super) struct Book {
    marks: LedgerMarks,
    /// How far the journal was read since the start; after a restart that begins behind what was counted.
    read: Position,
    pending: VecDeque<Pending>,
    lines: FxHashMap<(CompactString, Timestamp), LedgerLine>,
    hour: Timestamp,
    sources: FxHashSet<CompactString>,
    counters: LruCache<CounterKey, f64>,
    forgotten_counters: Vec<CounterKey>,
    changed_counters: FxHashSet<CounterKey>,
    /// What the store had at a place that has not been counted yet.
    sample: Option<StoreMark>,
    /// How often old events were deleted, and how often at the last comparison.
    expiries: (u64, u64),
    pub(super) gaps: Gaps,
}

impl Book {
    /// `first` is where to begin if nothing has been counted before.
    pub(super) fn new(start: LedgerStart, first: Position) -> Self {
        let fresh = LedgerMarks { journaled: first, detected: first, stored: first, compared: None };
        let marks = start.marks.unwrap_or(fresh);
        let mut counters = LruCache::new(COUNTERS_MAX);
        start.counters.into_iter().for_each(|one| drop(counters.push((one.source, one.name), one.value)));
        Self {
            read: marks.oldest(),
            marks,
            pending: VecDeque::new(),
            lines: FxHashMap::default(),
            hour: Timestamp::MIN,
            sources: FxHashSet::default(),
            counters,
            forgotten_counters: Vec::new(),
            changed_counters: FxHashSet::default(),
            sample: None,
            expiries: (0, 0),
            gaps: Gaps::new(start.spools, start.gaps, start.last_gap),
        }
    }

    pub(super) fn marks(&self) -> LedgerMarks {
        self.marks
    }

    /// Whether a further batch may be counted.
    pub(super) fn has_room(&self) -> bool {
        self.pending.len() < PENDING_MAX
    }

    /// Makes room if what is counted only waits to be compared with a place further on: comparing begins anew there.
    pub(super) fn give_up_comparing(&mut self) {
        let is_ahead = self.sample.is_some_and(|sample| sample.position > self.read);
        if !self.has_room() && is_ahead {
            warn!("the store is too far ahead to be compared with the journal; the ledger begins anew");
            (self.sample, self.marks.compared) = (None, None);
            self.forget_finished();
        }
    }

    /// Counts a batch. They come in the order of the journal, from [`LedgerMarks::oldest`] on.
    pub(super) fn count(&mut self, batch: &EventBatch, previous: Position, now: Timestamp) {
        self.read = batch.position;
        let is_new = batch.position > self.marks.journaled;
        if is_new {
            if batch.position > previous.next() {
                self.gaps.journal(previous.next(), Position::new(batch.position.get() - 1), now);
            }
            if !batch.readable {
                self.gaps.journal(batch.position, batch.position, now);
            }
            if let Some(gone) = &batch.missing {
                self.gaps.offsets(gone, now);
            }
            self.marks.journaled = batch.position;
        }
        let Some(first) = batch.events.first().filter(|_| !canary::is_canary(batch)) else { return };
        let hour = hour_of(first.received);
        let counts = self.sources_of(batch, hour);
        if is_new {
            let share = batch.bytes / counts.len().max(1) as u64;
            for (source, events) in &counts {
                let line = &mut self.line(source, hour).counts;
                (line.batches, line.bytes) = (line.batches + 1, line.bytes + share);
                line.journaled += events;
            }
            if let Some(number) = batch.number {
                // Not the name of the line: that may be the one that many share.
                let source = number.agent.to_compact_string();
                self.gaps.numbered(&source, number, now);
                for event in batch.events.iter().filter(|event| event.class == EventClass::Metric) {
                    self.own_count(&source, hour, event);
                }
            }
        }
        self.pending.push_back(Pending { position: batch.position, hour, counts });
    }

    fn sources_of(&mut self, batch: &EventBatch, hour: Timestamp) -> Vec<(CompactString, u64)> {
        let mut counts: Vec<(CompactString, u64)> = Vec::new();
        for event in &batch.events {
            let source = event.get(field::CANH_SOURCE).and_then(Value::as_str).unwrap_or(OTHERS);
            match counts.last_mut() {
                Some((last, count)) if last == source => *count += 1,
                _ => counts.push((source.into(), 1)),
            }
        }
        if counts.len() > 1 {
            counts.sort_unstable();
        }
        for (source, _) in &mut counts {
            if !self.has_line(source, hour) {
                *source = CompactString::const_new(OTHERS);
            }
        }
        counts.dedup_by(|more, kept| {
            let same = more.0 == kept.0;
            kept.1 += if same { more.1 } else { 0 };
            same
        });
        counts
    }

    /// Whether the sender gets a line of its own in this hour.
    fn has_line(&mut self, source: &CompactString, hour: Timestamp) -> bool {
        if self.hour != hour {
            (self.hour, self.sources) = (hour, FxHashSet::default());
        }
        self.sources.contains(source) || self.sources.len() < SOURCES_MAX && self.sources.insert(source.clone())
    }

    fn line(&mut self, source: &CompactString, hour: Timestamp) -> &mut LedgerLine {
        let line = || LedgerLine::new(source.clone(), hour);
        self.lines.entry((source.clone(), hour)).or_insert_with(line)
    }

    /// What an agent counted itself: the growth of its counter since its last report.
    fn own_count(&mut self, source: &CompactString, hour: Timestamp, event: &Event) {
        let text = |name: &str| event.lookup(name).and_then(|value| value.as_str().map(CompactString::from));
        let Some(name) = event.get(field::METRIC_NAME).and_then(Value::as_str) else { return };
        let Some(value) = event.get(field::METRIC_VALUE).and_then(Value::as_f64) else { return };
        let label = match name {
            "canh_agent_read_total" => text("input").unwrap_or_default(),
            "canh_agent_records_acked_total" => CompactString::default(),
            "canh_agent_dropped_total" => {
                format_compact!("{}.{}", text("stage").unwrap_or_default(), text("reason").unwrap_or_default())
            }
            _ => return,
        };
        // What is no count is left out: the state keeps whole numbers, and none of this size.
        if !(0.0..=COUNT_MAX).contains(&value) {
            return;
        }
        // Agents have a few dozen short reasons; others may say anything.
        let label = if label.len() > LABEL_MAX { CompactString::const_new(OTHERS) } else { label };
        let key = (source.clone(), format_compact!("{name} {label}"));
        let before = self.counters.peek(&key).copied();
        if let Some((oldest, _)) = self.counters.push(key.clone(), value).filter(|(oldest, _)| *oldest != key) {
            self.changed_counters.remove(&oldest);
            self.forgotten_counters.push(oldest);
        }
        self.changed_counters.insert(key);
        let grown = match before {
            Some(before) if value >= before => value - before,
            // The agent began again, or is new here; of an old one it is not known what was counted before.
            None if !self.gaps.is_from_its_beginning(source) => 0.0,
            _ => value,
        };
        let grown = grown as u64;
        if grown == 0 {
            return;
        }
        let line = self.line(source, hour);
        match name {
            "canh_agent_read_total" => line.counts.read = line.counts.read.saturating_add(grown),
            "canh_agent_records_acked_total" => line.counts.sent = line.counts.sent.saturating_add(grown),
            _ => {
                let reason = format_compact!("agent.{label}");
                let is_known =
                    line.dropped.len() < REASONS_MAX || line.dropped.iter().any(|(known, _)| *known == reason);
                line.drop(if is_known { &reason } else { OTHERS }, grown);
            }
        }
    }

    /// Detection has finished everything up to `through`.
    pub(super) fn detected(&mut self, through: Position) {
        let through = through.min(self.read);
        self.passed(self.marks.detected, through, |line, events| line.counts.detected += events);
        self.marks.detected = self.marks.detected.max(through);
        self.forget_finished();
    }

    /// The store has committed everything up to `through`.
    pub(super) fn stored(&mut self, through: Position) {
        let through = through.min(self.read);
        self.passed(self.marks.stored, through, |line, events| line.counts.stored += events);
        self.marks.stored = self.marks.stored.max(through);
        self.forget_finished();
    }

    fn passed(&mut self, after: Position, through: Position, add: impl Fn(&mut LedgerLine, u64)) {
        let first = self.pending.partition_point(|pending| pending.position <= after);
        let end = self.pending.partition_point(|pending| pending.position <= through);
        for at in first..end {
            let Some(pending) = self.pending.get(at) else { return };
            for (source, events) in &pending.counts {
                let line = || LedgerLine::new(source.clone(), pending.hour);
                add(self.lines.entry((source.clone(), pending.hour)).or_insert_with(line), *events);
            }
        }
    }

    /// Looks again at a sample that was ahead of what had been counted.
    pub(super) fn compare_again(&mut self, now: Timestamp) {
        if let Some(sample) = self.sample {
            self.compare(sample, now);
        }
    }

    /// Old events have been deleted so many times since the start.
    pub(super) fn expired(&mut self, times: u64) {
        self.expiries.0 = times;
    }

    /// Compares the number of events that the store has with what the journal brought since the last time.
    pub(super) fn compare(&mut self, sample: StoreMark, now: Timestamp) {
        let sample = *self.sample.get_or_insert(sample);
        if sample.position > self.read {
            return; // counted later
        }
        self.sample = None;
        if self.marks.compared.is_none() && sample.position < self.marks.oldest() {
            return; // what came after it is forgotten already, so it is no place to begin
        }
        let before = self.marks.compared.unwrap_or(sample);
        if sample.position < before.position {
            return; // a part of the store was put aside; it catches up from the journal
        }
        let first = self.pending.partition_point(|pending| pending.position <= before.position);
        let end = self.pending.partition_point(|pending| pending.position <= sample.position);
        let span = self.pending.range(first..end);
        let events = span.flat_map(|pending| &pending.counts).map(|(_, events)| events).sum::<u64>();
        let expected = before.events + events;
        if sample.events != expected && self.marks.compared.is_some() {
            let expired = self.expiries.0 != self.expiries.1 || sample.oldest > before.oldest;
            if expired && sample.events < expected {
                info!(events = expected - sample.events, "old events were deleted; the ledger counts the store anew");
            } else {
                self.gaps.store((before.position.next(), sample.position), expected, sample.events, now);
            }
        }
        self.marks.compared = Some(sample);
        self.expiries.1 = self.expiries.0;
        self.forget_finished();
    }

    fn forget_finished(&mut self) {
        let oldest = self.marks.oldest();
        let end = self.pending.partition_point(|pending| pending.position <= oldest);
        self.pending.drain(..end);
    }

    /// What the doors noted beside the journal.
    pub(super) fn note(&mut self, mut note: Note, now: Timestamp) {
        let hour = hour_of(now);
        if !self.has_line(&note.source, hour) {
            // Addresses of datagrams can be forged; the door is known.
            note.source = note.source.split(':').next().unwrap_or(OTHERS).into();
        }
        let line = self.line(&note.source, hour);
        match note.noted {
            Noted::Duplicates => line.counts.duplicates += note.records,
            Noted::Missed => {
                line.counts.missed += note.records;
                self.gaps.span(GapKind::Sequence, &note.source, "", note.records, now);
            }
            Noted::Dropped(reason) => {
                line.drop(reason.name(), note.records);
                // The start of a record that is too long is kept, and says so.
                if reason != canh_collector::DropReason::Truncated {
                    self.gaps.span(GapKind::Dropped, &note.source, reason.name(), note.records, now);
                }
            }
        }
    }

    /// Events that wait for detection, and for the store.
    pub(super) fn waiting(&self) -> (u64, u64) {
        let after = |mark: Position| {
            let first = self.pending.partition_point(|pending| pending.position <= mark);
            self.pending.range(first..).flat_map(|pending| &pending.counts).map(|(_, events)| events).sum()
        };
        (after(self.marks.detected), after(self.marks.stored))
    }

    /// Everything since the last update.
    pub(super) fn take_update(&mut self) -> LedgerUpdate {
        let mut lines: Vec<LedgerLine> = self.lines.drain().map(|(_, line)| line).collect();
        lines.retain(|line| !line.counts.is_zero() || !line.dropped.is_empty());
        let counters = self.changed_counters.drain().filter_map(|key| {
            let value = *self.counters.peek(&key)?;
            Some(LedgerCounter { source: key.0, name: key.1, value })
        });
        let counters = counters.collect();
        let forgotten_counters = std::mem::take(&mut self.forgotten_counters);
        let mut update =
            LedgerUpdate { lines, counters, forgotten_counters, marks: self.marks, ..LedgerUpdate::default() };
        self.gaps.take_changes(&mut update);
        update
    }
}
