//! The delivery ledger: what each sender sent, and what became of it.

use canh_schema::{TimeRange, Timestamp};
use canh_store::state::{GapKind, LedgerGap, LedgerLine, LedgerPage, SourceRecord};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};

use super::Time;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LedgerParameters {
    /// From the beginning of the hour of this time; a day ago without it.
    pub(crate) from: Option<Time>,
    /// Until this time; now without it.
    pub(crate) to: Option<Time>,
    /// One sender, hour by hour; without it all senders with their sums.
    pub(crate) source: Option<String>,
}

/// Deliveries of a time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LedgerView {
    pub(crate) from: Time,
    pub(crate) to: Time,
    /// All senders, those first of which something is missing; or the hours of one sender, the newest first.
    pub(crate) lines: Vec<LedgerLineView>,
    /// What is missing, the newest first.
    pub(crate) gaps: Vec<LedgerGapView>,
    /// Gaps that are too many to be listed.
    pub(crate) gaps_left: u64,
    /// How far in the journal has been counted.
    pub(crate) position: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LedgerState {
    /// Something is missing.
    Gap,
    /// Something was received and is not stored or looked at yet.
    Waiting,
    /// Everything that was received is stored and was looked at.
    Complete,
}

/// One sender in one hour, or in all hours of the range. Counts are of events unless said otherwise.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LedgerLineView {
    /// Agent id, or door and address of the sender; the name of a door where the sender is not known.
    pub(crate) source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// Milliseconds that the sender's clock is behind ours at present, negative if it is ahead; absent where it cannot be
    /// measured, which is for all but senders of syslog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) clock_behind_ms: Option<i64>,
    /// The clock is so far away that what is compared by time is wrong: a minute or more.
    pub(crate) clock_off: bool,
    /// Beginning of the first hour.
    pub(crate) hour: Time,
    pub(crate) state: LedgerState,
    /// Records that the agent read, by its own last report; absent for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) read: Option<u64>,
    /// Records that the agent has an acknowledgement for, by its own last report; absent for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sent: Option<u64>,
    /// What came here: journaled, duplicates and dropped together.
    pub(crate) received: u64,
    /// In the journal, on disk.
    pub(crate) journaled: u64,
    /// Looked at by the rules.
    pub(crate) detected: u64,
    /// In the store.
    pub(crate) stored: u64,
    /// Came again; acknowledged and not kept twice.
    pub(crate) duplicates: u64,
    /// Messages that did not come, by the sender's own numbering. An estimate.
    pub(crate) missed: u64,
    pub(crate) dropped: Vec<LedgerDropped>,
    pub(crate) batches: u64,
    /// Bytes of payload in the journal.
    pub(crate) bytes: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LedgerDropped {
    /// `agent.` and stage and reason for what an agent dropped itself.
    pub(crate) reason: String,
    pub(crate) records: u64,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LedgerGapKind {
    /// Numbers of an agent's batches that never came while later ones did.
    Batches,
    /// Records of the journal that cannot be read.
    Journal,
    /// Events that the store lacks, or has twice.
    Store,
    /// Records that were dropped here.
    Dropped,
    /// Messages that the sender numbered and that did not come. An estimate.
    Sequence,
    /// Offsets of Kafka that were gone before they were read.
    Offsets,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LedgerGapView {
    pub(crate) source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    pub(crate) kind: LedgerGapKind,
    /// Why, if that is known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
    /// Spool of the agent, if batches are missing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) spool: String,
    /// The first that is missing: a number, or a time for `dropped` and `sequence`.
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) missing: u64,
    pub(crate) noticed: Time,
    /// When what was missing came after all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) healed: Option<Time>,
}

/// What is known of senders beside what they delivered.
pub(crate) type Senders = HashMap<CompactString, SourceRecord>;

/// A clock that is this far away is wrong.
const CLOCK_OFF_MS: u64 = 60_000;

/// The beginning of a record that was too long is kept.
const NOT_LOST: &str = "truncated";

impl LedgerView {
    pub(crate) fn new(range: TimeRange, page: LedgerPage, senders: &Senders) -> Self {
        let missing: Vec<&CompactString> =
            page.gaps.iter().filter(|gap| gap.healed.is_none()).map(|gap| &gap.source).collect();
        let mut lines: Vec<LedgerLineView> = page
            .lines
            .iter()
            .map(|line| {
                let in_hour = |gap: &&LedgerGap| gap.source == line.source && gap.healed.is_none();
                // Of one sender's hours only those count in which it was noticed.
                let hour = |gap: &&LedgerGap| canh_store::state::hour_of(gap.noticed) == line.hour;
                let single = page.lines.iter().all(|other| other.source == line.source);
                let gap = match single {
                    true => page.gaps.iter().filter(in_hour).any(|gap| hour(&gap)),
                    false => missing.contains(&&line.source),
                };
                LedgerLineView::new(line, gap, senders)
            })
            .collect();
        lines.sort_by_key(|line| line.state); // stable: the order inside of a state stays
        Self {
            from: range.start.into(),
            to: range.end.into(),
            lines,
            gaps: page.gaps.into_iter().map(|gap| LedgerGapView::new(gap, senders)).collect(),
            gaps_left: page.gaps_left,
            position: page.marks.journaled.get(),
        }
    }
}

impl LedgerLineView {
    fn new(line: &LedgerLine, gap: bool, senders: &Senders) -> Self {
        let sender = senders.get(&line.source);
        let clock_behind_ms = sender.and_then(|sender| sender.clock_behind_ms);
        let counts = &line.counts;
        let here = line.dropped.iter().filter(|(reason, _)| !reason.starts_with("agent.") && reason != NOT_LOST);
        let dropped_here: u64 = here.map(|(_, records)| records).sum();
        let dropped = line.dropped.iter().any(|(reason, _)| reason != NOT_LOST);
        let state = if gap || dropped || counts.missed > 0 {
            LedgerState::Gap
        } else if counts.detected < counts.journaled || counts.stored < counts.journaled {
            LedgerState::Waiting
        } else {
            LedgerState::Complete
        };
        let tells = counts.read > 0 || counts.sent > 0;
        Self {
            source: line.source.to_string(),
            host: sender.and_then(|sender| sender.host.as_deref()).map(str::to_owned),
            clock_behind_ms,
            clock_off: clock_behind_ms.is_some_and(|behind| behind.unsigned_abs() >= CLOCK_OFF_MS),
            hour: line.hour.into(),
            state,
            read: tells.then_some(counts.read),
            sent: tells.then_some(counts.sent),
            received: counts.journaled + counts.duplicates + dropped_here,
            journaled: counts.journaled,
            detected: counts.detected,
            stored: counts.stored,
            duplicates: counts.duplicates,
            missed: counts.missed,
            dropped: line
                .dropped
                .iter()
                .map(|(reason, records)| LedgerDropped { reason: reason.to_string(), records: *records })
                .collect(),
            batches: counts.batches,
            bytes: counts.bytes,
        }
    }
}

impl LedgerGapView {
    fn new(gap: LedgerGap, senders: &Senders) -> Self {
        let (first, last) = gap.range_texts();
        Self {
            host: senders.get(&gap.source).and_then(|sender| sender.host.as_deref()).map(str::to_owned),
            source: gap.source.into(),
            kind: match gap.kind {
                GapKind::Batches => LedgerGapKind::Batches,
                GapKind::Journal => LedgerGapKind::Journal,
                GapKind::Store => LedgerGapKind::Store,
                GapKind::Dropped => LedgerGapKind::Dropped,
                GapKind::Sequence => LedgerGapKind::Sequence,
                GapKind::Offsets => LedgerGapKind::Offsets,
            },
            reason: gap.reason.into(),
            spool: gap.spool.into(),
            first: first.into(),
            last: last.into(),
            missing: gap.missing,
            noticed: gap.noticed.into(),
            healed: gap.healed.map(Timestamp::into),
        }
    }
}
