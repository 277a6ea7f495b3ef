//! What is missing, with its range: found, waited for, told, and crossed out when it comes after all.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use canh_schema::{BatchNumber, Missing, Position, Timestamp};
use canh_store::state::{GapKind, LedgerGap, LedgerSpool, LedgerUpdate, OPEN_GAPS_MAX, hour_of};
use compact_str::{CompactString, format_compact};
use lru::LruCache;
use rustc_hash::{FxHashMap, FxHashSet};

/// Batches of an agent may overtake one another; what has not come by then is missing.
const GRACE: Duration = Duration::from_secs(20);
/// Losses are gathered for a moment, so that one message tells of a burst.
const GATHER: Duration = Duration::from_secs(5);
/// Open gaps of one spool; beyond it the newest one grows.
const GAPS_PER_SPOOL_MAX: usize = 256;
/// Open gaps altogether; beyond it the oldest that were told are no longer followed, though they stay in the state, and
/// beyond [`OPEN_GAPS_MAX`] the oldest of all.
const GAPS_MAX: usize = 10_000;
/// Spools that are followed. An agent has one, and gets a new one with each new installation; anybody with a token may make
/// up more. Of more, those that were quiet for longest are forgotten.
const SPOOLS_MAX: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();
/// Where no sender can be named.
const JOURNAL: &str = "journal";
const STORE: &str = "store";

type SpoolKey = (CompactString, u64);

pub(super) struct Gaps {
    /// The highest number of each spool.
    spools: LruCache<SpoolKey, u64>,
    forgotten_spools: Vec<SpoolKey>,
    changed_spools: FxHashSet<SpoolKey>,
    /// Senders that were heard of from their first batch on.
    fresh: FxHashSet<CompactString>,
    /// Not healed, by their ids.
    open: BTreeMap<u64, LedgerGap>,
    /// Losses of the present hour that go on, by their kind, sender and reason.
    spans: FxHashMap<(GapKind, CompactString, CompactString), u64>,
    changed: BTreeMap<u64, LedgerGap>,
    closed: Vec<u64>,
    last_id: u64,
}

impl Gaps {
    pub(super) fn new(spools: Vec<LedgerSpool>, open: Vec<LedgerGap>, last_id: u64) -> Self {
        let mut known = LruCache::new(SPOOLS_MAX);
        spools.into_iter().for_each(|one| drop(known.push((one.source, one.spool), one.highest)));
        Self {
            spools: known,
            forgotten_spools: Vec::new(),
            changed_spools: FxHashSet::default(),
            fresh: FxHashSet::default(),
            open: open.into_iter().map(|gap| (gap.id, gap)).collect(),
            spans: FxHashMap::default(),
            changed: BTreeMap::new(),
            closed: Vec::new(),
            last_id,
        }
    }

    /// A batch with the number of its agent is in the journal.
    pub(super) fn numbered(&mut self, source: &CompactString, number: BatchNumber, now: Timestamp) {
        let key = (source.clone(), number.spool);
        let sequence = number.sequence;
        match self.spools.get(&key).copied() {
            // What an agent sent before it was ours is none of our business.
            None => {
                if sequence == 1 && self.fresh.len() < SPOOLS_MAX.get() {
                    self.fresh.insert(source.clone());
                }
                if let Some((oldest, _)) = self.spools.push(key.clone(), sequence) {
                    self.changed_spools.remove(&oldest);
                    self.forgotten_spools.push(oldest);
                }
            }
            Some(highest) if sequence > highest => {
                if sequence > highest + 1 {
                    self.batches(source, number.spool, (highest + 1, sequence - 1), now);
                }
                self.spools.put(key.clone(), sequence);
            }
            Some(_) => return self.late(source, number, now),
        }
        self.changed_spools.insert(key);
    }

    fn batches(&mut self, source: &CompactString, spool: u64, (first, last): (u64, u64), now: Timestamp) {
        let spool = format_compact!("{spool:016x}");
        let missing = last - first + 1;
        let is_same = |gap: &&mut LedgerGap| gap.kind == GapKind::Batches && gap.source == source && gap.spool == spool;
        let mut same = self.open.values_mut().filter(is_same);
        if let Some(newest) = same.nth(GAPS_PER_SPOOL_MAX - 1) {
            newest.last = signed(last);
            newest.missing += missing;
            self.changed.insert(newest.id, newest.clone());
            return;
        }
        let gap = self.gap(GapKind::Batches, source, (signed(first), signed(last)), missing, now);
        self.put(LedgerGap { spool, ..gap });
    }

    /// A batch that later ones had overtaken: the gap that it was missing from gets smaller, comes apart, or is gone.
    fn late(&mut self, source: &CompactString, number: BatchNumber, now: Timestamp) {
        let (spool, at) = (format_compact!("{:016x}", number.spool), signed(number.sequence));
        let has = |gap: &&LedgerGap| {
            gap.kind == GapKind::Batches
                && gap.source == source
                && gap.spool == spool
                && (gap.first..=gap.last).contains(&at)
        };
        let Some(mut gap) = self.open.values().find(has).cloned() else { return };
        gap.missing = gap.missing.saturating_sub(1);
        if gap.missing == 0 || gap.first == gap.last {
            self.open.remove(&gap.id);
            if gap.raised.is_none() {
                self.changed.remove(&gap.id);
                self.closed.push(gap.id);
            } else {
                gap.healed = Some(now);
                self.changed.insert(gap.id, gap);
            }
            return;
        }
        let whole = gap.missing == (gap.last - gap.first).unsigned_abs();
        if at == gap.first {
            gap.first += 1;
        } else if at == gap.last {
            gap.last -= 1;
        } else if whole {
            let upper =
                LedgerGap { id: self.next_id(), first: at + 1, missing: (gap.last - at).unsigned_abs(), ..gap.clone() };
            gap.last = at - 1;
            gap.missing = (at - gap.first).unsigned_abs();
            self.put(upper);
        }
        self.put(gap);
    }

    /// Records of the journal cannot be read.
    pub(super) fn journal(&mut self, first: Position, last: Position, now: Timestamp) {
        let range = (signed(first.get()), signed(last.get()));
        let missing = last.get() - first.get() + 1;
        let gap = self.gap(GapKind::Journal, &CompactString::const_new(JOURNAL), range, missing, now);
        self.put(gap);
    }

    /// The store has another number of events than came to it between two places in the journal.
    pub(super) fn store(&mut self, (first, last): (Position, Position), expected: u64, found: u64, now: Timestamp) {
        let range = (signed(first.get()), signed(last.get()));
        let reason = if found > expected { "doubled" } else { "" };
        let gap = self.gap(GapKind::Store, &CompactString::const_new(STORE), range, expected.abs_diff(found), now);
        self.put(LedgerGap { reason: reason.into(), ..gap });
    }

    /// Records were gone where they are read from.
    pub(super) fn offsets(&mut self, gone: &Missing, now: Timestamp) {
        let missing = gone.last.saturating_sub(gone.first).saturating_add(1).unsigned_abs();
        let gap = self.gap(GapKind::Offsets, &gone.source, (gone.first, gone.last), missing, now);
        self.put(LedgerGap { spool: gone.place.clone(), reason: gone.reason.clone(), ..gap });
    }

    /// Records were lost at about `now`. Losses of the same kind in the same hour are one.
    pub(super) fn span(&mut self, kind: GapKind, source: &CompactString, reason: &str, missing: u64, now: Timestamp) {
        let key = (kind, source.clone(), CompactString::from(reason));
        let known = self.spans.get(&key).and_then(|id| self.open.get_mut(id));
        if let Some(known) = known.filter(|gap| hour_of(gap.noticed) == hour_of(now)) {
            known.last = now.nanos();
            known.missing = known.missing.saturating_add(missing);
            self.changed.insert(known.id, known.clone());
            return;
        }
        let gap = self.gap(kind, source, (now.nanos(), now.nanos()), missing, now);
        self.spans.insert(key, gap.id);
        self.put(LedgerGap { reason: reason.into(), ..gap });
    }

    /// Whether the sender's very first batch was seen since the start.
    pub(super) fn is_from_its_beginning(&self, source: &str) -> bool {
        self.fresh.contains(source)
    }

    /// Gaps that have been waited for long enough and that nobody was told of.
    pub(super) fn due(&self, now: Timestamp) -> Vec<LedgerGap> {
        let is_due = |gap: &&LedgerGap| {
            let wait = if gap.kind == GapKind::Batches { GRACE } else { GATHER };
            gap.raised.is_none() && (now - gap.noticed >= wait || now < gap.noticed)
        };
        self.open.values().filter(is_due).cloned().collect()
    }

    /// Somebody was told.
    pub(super) fn told(&mut self, id: u64, now: Timestamp) {
        let Some(gap) = self.open.get_mut(&id) else { return };
        gap.raised = Some(now);
        let gap = gap.clone();
        self.changed.insert(id, gap.clone());
        // What can neither heal nor grow need not be followed.
        let grows = gap.kind == GapKind::Batches || gap.kind.is_span() && hour_of(gap.noticed) == hour_of(now);
        if !grows {
            self.open.remove(&id);
        }
    }

    /// Forgets losses of past hours, which do not grow any more.
    pub(super) fn settle(&mut self, now: Timestamp) {
        let hour = hour_of(now);
        self.open.retain(|_, gap| !gap.kind.is_span() || gap.raised.is_none() || hour_of(gap.noticed) == hour);
        let open = &self.open;
        self.spans.retain(|_, id| open.contains_key(id));
        // Those that somebody was told of go first: what nobody knows must not be forgotten for a flood.
        let mut surplus = self.open.len().saturating_sub(GAPS_MAX);
        self.open.retain(|_, gap| {
            let goes = surplus > 0 && gap.raised.is_some();
            surplus -= usize::from(goes);
            !goes
        });
        while self.open.len() > OPEN_GAPS_MAX {
            self.open.pop_first();
        }
    }

    /// Puts what changed since the last time into the update.
    pub(super) fn take_changes(&mut self, update: &mut LedgerUpdate) {
        update.gaps = std::mem::take(&mut self.changed).into_values().collect();
        update.closed = std::mem::take(&mut self.closed);
        let spools = self.changed_spools.drain().filter_map(|key| {
            let highest = *self.spools.peek(&key)?;
            Some(LedgerSpool { source: key.0, spool: key.1, highest })
        });
        update.spools = spools.collect();
        update.forgotten_spools = std::mem::take(&mut self.forgotten_spools);
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn gap(
        &mut self,
        kind: GapKind,
        source: &CompactString,
        (first, last): (i64, i64),
        missing: u64,
        now: Timestamp,
    ) -> LedgerGap {
        LedgerGap {
            id: self.next_id(),
            source: source.clone(),
            kind,
            spool: CompactString::default(),
            reason: CompactString::default(),
            first,
            last,
            missing,
            noticed: now,
            raised: None,
            healed: None,
        }
    }

    fn put(&mut self, gap: LedgerGap) {
        self.changed.insert(gap.id, gap.clone());
        self.open.insert(gap.id, gap);
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
