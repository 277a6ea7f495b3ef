//! The delivery ledger.

use std::collections::BTreeMap;

use canh_schema::Timestamp;
use compact_str::CompactString;

use crate::state::{
    GAPS_MAX, GapKind, LedgerCounter, LedgerGap, LedgerLine, LedgerMarks, LedgerPage, LedgerQuery, LedgerSpool,
    LedgerStart, LedgerUpdate, OPEN_GAPS_MAX,
};

#[derive(Default)]
pub(super) struct Ledger {
    lines: BTreeMap<(CompactString, Timestamp), LedgerLine>,
    gaps: BTreeMap<u64, LedgerGap>,
    last_gap: u64,
    spools: BTreeMap<(CompactString, u64), LedgerSpool>,
    counters: BTreeMap<(CompactString, CompactString), LedgerCounter>,
    marks: Option<LedgerMarks>,
}

impl Ledger {
    pub(super) fn put(&mut self, update: LedgerUpdate) {
        for line in update.lines {
            let key = (line.source.clone(), line.hour);
            match self.lines.get_mut(&key) {
                Some(known) => known.add(&line),
                None => drop(self.lines.insert(key, line)),
            }
        }
        for gap in update.gaps {
            self.last_gap = self.last_gap.max(gap.id);
            self.gaps.insert(gap.id, gap);
        }
        update.closed.iter().for_each(|id| drop(self.gaps.remove(id)));
        for spool in update.spools {
            self.spools.insert((spool.source.clone(), spool.spool), spool);
        }
        for counter in update.counters {
            self.counters.insert((counter.source.clone(), counter.name.clone()), counter);
        }
        for key in &update.forgotten_spools {
            self.spools.remove(key);
        }
        for key in &update.forgotten_counters {
            self.counters.remove(key);
        }
        self.marks = Some(update.marks);
        if let Some(before) = update.forget_before {
            self.lines.retain(|(_, hour), _| *hour >= before);
            self.gaps.retain(|_, gap| gap.noticed >= before);
        }
    }

    pub(super) fn start(&self) -> LedgerStart {
        let open = |gap: &&LedgerGap| gap.healed.is_none() && (gap.kind == GapKind::Batches || gap.raised.is_none());
        LedgerStart {
            marks: self.marks,
            spools: self.spools.values().cloned().collect(),
            counters: self.counters.values().cloned().collect(),
            gaps: {
                let mut newest: Vec<LedgerGap> =
                    self.gaps.values().rev().filter(open).take(OPEN_GAPS_MAX).cloned().collect();
                newest.reverse();
                newest
            },
            last_gap: self.last_gap,
        }
    }

    pub(super) fn page(&self, query: &LedgerQuery) -> LedgerPage {
        let wanted = |source: &CompactString| query.source.as_ref().is_none_or(|wanted| wanted == source);
        let mut lines: Vec<LedgerLine> = Vec::new();
        for line in self.lines.values().filter(|line| query.range.contains(line.hour) && wanted(&line.source)) {
            match lines.last_mut() {
                Some(sum) if query.source.is_none() && sum.source == line.source => sum.add(line),
                _ => lines.push(line.clone()),
            }
        }
        if query.source.is_some() {
            lines.reverse();
        }
        let mut gaps: Vec<LedgerGap> = self
            .gaps
            .values()
            .rev()
            .filter(|gap| gap.raised.is_some() && query.range.contains(gap.noticed) && wanted(&gap.source))
            .cloned()
            .collect();
        let gaps_left = gaps.len().saturating_sub(GAPS_MAX) as u64;
        gaps.truncate(GAPS_MAX);
        LedgerPage { lines, gaps, gaps_left, marks: self.marks.unwrap_or_default() }
    }
}
