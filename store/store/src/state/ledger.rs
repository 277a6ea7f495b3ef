//! The delivery ledger: what each sender sent, and what became of it, hour by hour.

use canh_schema::{Position, TimeRange, Timestamp};
use compact_str::{CompactString, ToCompactString};

/// Nanoseconds of one line.
const HOUR: i64 = 3_600 * 1_000_000_000;

/// The hour that a time of receipt belongs to, as its beginning.
pub fn hour_of(received: Timestamp) -> Timestamp {
    let nanos = received.nanos();
    Timestamp::from_nanos(nanos.saturating_sub(nanos.rem_euclid(HOUR)))
}

/// What was counted of one sender in one hour. Events unless said otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LedgerCounts {
    /// Records that the agent read, by its own count. Zero for senders that do not tell.
    pub read: u64,
    /// Records that the agent has an acknowledgement for, by its own count.
    pub sent: u64,
    /// Batches in the journal.
    pub batches: u64,
    /// Bytes of payload in the journal.
    pub bytes: u64,
    /// In the journal, on disk.
    pub journaled: u64,
    /// Looked at by the rules.
    pub detected: u64,
    /// In the store, on disk and to be found.
    pub stored: u64,
    /// Came again, and were acknowledged and not kept twice.
    pub duplicates: u64,
    /// Lost on the way to us, by the sender's own numbering: messages or flows, as the protocol counts.
    pub missed: u64,
}

impl LedgerCounts {
    /// Each count with its name.
    pub fn named(&self) -> [(&'static str, u64); 9] {
        [
            ("read", self.read),
            ("sent", self.sent),
            ("batches", self.batches),
            ("bytes", self.bytes),
            ("journaled", self.journaled),
            ("detected", self.detected),
            ("stored", self.stored),
            ("duplicates", self.duplicates),
            ("missed", self.missed),
        ]
    }

    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    pub fn add(&mut self, more: &Self) {
        self.read = self.read.saturating_add(more.read);
        self.sent = self.sent.saturating_add(more.sent);
        self.batches = self.batches.saturating_add(more.batches);
        self.bytes = self.bytes.saturating_add(more.bytes);
        self.journaled = self.journaled.saturating_add(more.journaled);
        self.detected = self.detected.saturating_add(more.detected);
        self.stored = self.stored.saturating_add(more.stored);
        self.duplicates = self.duplicates.saturating_add(more.duplicates);
        self.missed = self.missed.saturating_add(more.missed);
    }
}

/// One sender in one hour.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerLine {
    /// As in `canh.source`; the name of a door where the sender is not known.
    pub source: CompactString,
    /// Beginning of the hour of receipt.
    pub hour: Timestamp,
    pub counts: LedgerCounts,
    /// Records that were dropped, by reason, in the order of the reasons.
    pub dropped: Vec<(CompactString, u64)>,
}

impl LedgerLine {
    pub fn new(source: CompactString, hour: Timestamp) -> Self {
        Self { source, hour, counts: LedgerCounts::default(), dropped: Vec::new() }
    }

    /// Adds to the count of a reason.
    pub fn drop(&mut self, reason: &str, records: u64) {
        match self.dropped.binary_search_by(|(known, _)| known.as_str().cmp(reason)) {
            Ok(at) => {
                if let Some((_, count)) = self.dropped.get_mut(at) {
                    *count = count.saturating_add(records);
                }
            }
            Err(at) => self.dropped.insert(at, (reason.into(), records)),
        }
    }

    pub fn add(&mut self, more: &Self) {
        self.counts.add(&more.counts);
        more.dropped.iter().for_each(|(reason, records)| self.drop(reason, *records));
    }
}

/// What kind of thing is missing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GapKind {
    /// Numbers of an agent's batches that never came while later ones did.
    Batches,
    /// Records of the journal that can no longer be read.
    Journal,
    /// Events that the store should have, between two places in the journal.
    Store,
    /// Records that we dropped, between two times in nanoseconds.
    Dropped,
    /// Messages that the sender numbered and that did not come, between two times in nanoseconds. An estimate: some may
    /// only be late.
    Sequence,
    /// Offsets of a partition of Kafka that were gone before they were read. How many of them were records nobody knows.
    Offsets,
}

impl GapKind {
    pub const ALL: [Self; 6] =
        [Self::Batches, Self::Journal, Self::Store, Self::Dropped, Self::Sequence, Self::Offsets];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Batches => "batches",
            Self::Journal => "journal",
            Self::Store => "store",
            Self::Dropped => "dropped",
            Self::Sequence => "sequence",
            Self::Offsets => "offsets",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// `first` and `last` are times, not numbers.
    pub const fn is_span(self) -> bool {
        matches!(self, Self::Dropped | Self::Sequence)
    }
}

/// Something that is missing, with its exact range.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerGap {
    /// Given by the ledger, ascending.
    pub id: u64,
    pub source: CompactString,
    pub kind: GapKind,
    /// The agent's spool for [`GapKind::Batches`], topic and partition for [`GapKind::Offsets`]; else empty.
    pub spool: CompactString,
    /// Why, for [`GapKind::Dropped`] and [`GapKind::Offsets`]; else empty.
    pub reason: CompactString,
    pub first: i64,
    pub last: i64,
    /// Batches, records of the journal, events, records or messages, as the kind says.
    pub missing: u64,
    pub noticed: Timestamp,
    /// When it was told to the rules, which raise the alert.
    pub raised: Option<Timestamp>,
    /// What was missing came after all.
    pub healed: Option<Timestamp>,
}

impl LedgerGap {
    /// The range as people read it: numbers, or times.
    pub fn range_texts(&self) -> (CompactString, CompactString) {
        let shown = |number: i64| match self.kind.is_span() {
            true => Timestamp::from_nanos(number).to_compact_string(),
            false => number.to_compact_string(),
        };
        (shown(self.first), shown(self.last))
    }
}

/// How far the ledger has counted in the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LedgerMarks {
    pub journaled: Position,
    pub detected: Position,
    pub stored: Position,
    /// How many events the store had when they were last compared with the journal, and where that was.
    pub compared: Option<StoreMark>,
}

impl LedgerMarks {
    /// The journal is needed from after there.
    pub fn oldest(&self) -> Position {
        let compared = self.compared.map_or(self.stored, |mark| mark.position);
        self.journaled.min(self.detected).min(self.stored).min(compared)
    }
}

/// The store right after it committed everything up to a position.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StoreMark {
    pub position: Position,
    pub events: u64,
    /// Nanoseconds since 1970 of the oldest event; it moves when old events are deleted.
    pub oldest: i64,
}

/// The highest number seen of one agent's spool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerSpool {
    pub source: CompactString,
    pub spool: u64,
    pub highest: u64,
}

/// The last value of a sender's own counter.
#[derive(Clone, PartialEq, Debug)]
pub struct LedgerCounter {
    pub source: CompactString,
    pub name: CompactString,
    pub value: f64,
}

/// What changed since the last update; kept as a whole or not at all.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LedgerUpdate {
    /// Added to what is there.
    pub lines: Vec<LedgerLine>,
    /// In place of those of the same id.
    pub gaps: Vec<LedgerGap>,
    /// Not worth remembering: what was missing came before anybody was told.
    pub closed: Vec<u64>,
    pub spools: Vec<LedgerSpool>,
    pub counters: Vec<LedgerCounter>,
    /// Spools that were quiet for longest, by sender and number: they go to make room.
    pub forgotten_spools: Vec<(CompactString, u64)>,
    /// The same of counters, by sender and name.
    pub forgotten_counters: Vec<(CompactString, CompactString)>,
    pub marks: LedgerMarks,
    /// Lines and gaps from before this are deleted.
    pub forget_before: Option<Timestamp>,
}

impl LedgerUpdate {
    /// Nothing but the marks.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
            && self.gaps.is_empty()
            && self.closed.is_empty()
            && self.spools.is_empty()
            && self.counters.is_empty()
            && self.forgotten_spools.is_empty()
            && self.forgotten_counters.is_empty()
    }
}

/// Gaps that a ledger follows, and takes up again when it starts.
pub const OPEN_GAPS_MAX: usize = 20_000;

/// What the ledger needs when it starts.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LedgerStart {
    /// `None` before the first update.
    pub marks: Option<LedgerMarks>,
    pub spools: Vec<LedgerSpool>,
    pub counters: Vec<LedgerCounter>,
    /// Those that are not healed; of more than [`OPEN_GAPS_MAX`], the newest.
    pub gaps: Vec<LedgerGap>,
    /// The highest id of a gap ever given.
    pub last_gap: u64,
}

/// Which lines are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerQuery {
    /// Hours that begin in this range.
    pub range: TimeRange,
    /// One sender, hour by hour; or else all senders with the sum of their hours.
    pub source: Option<CompactString>,
}

/// What the ledger knows of a time.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LedgerPage {
    /// All senders, by name, with the sum of their hours and the first of these; or one sender, the newest hour first.
    pub lines: Vec<LedgerLine>,
    /// The newest first, at most [`GAPS_MAX`]. Those that nobody was told of yet are left out.
    pub gaps: Vec<LedgerGap>,
    /// How many more there are.
    pub gaps_left: u64,
    pub marks: LedgerMarks,
}

/// Gaps in one answer.
pub const GAPS_MAX: usize = 1_000;
