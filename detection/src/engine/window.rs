//! What a correlation measures in one window.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::crossing::EventRef;
use crate::rule::{Condition, Correlation, CorrelationCondition, CorrelationKind};

/// One event in a window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Nanoseconds since 1970, by the clock of the source.
    pub time: i64,
    pub event: EventRef,
    /// Which of the correlation's rules held.
    pub position: u16,
    /// Hash of the counted value.
    pub value: u64,
    /// The summed value.
    pub number: f64,
    /// If a correlation held here, the events of its window. Entries share them, so a snapshot keeps them apart.
    #[serde(skip)]
    pub window: Option<Arc<[EventRef]>>,
}

/// Sums over a window, kept while entries come and go.
#[derive(Debug, Default)]
pub(super) struct Accumulator {
    count: usize,
    values: FxHashMap<u64, u32>,
    positions: SmallVec<[u32; 4]>,
}

impl Accumulator {
    pub(super) fn add(&mut self, entry: &Entry) {
        self.count += 1;
        *self.values.entry(entry.value).or_default() += 1;
        let position = usize::from(entry.position);
        if self.positions.len() <= position {
            self.positions.resize(position + 1, 0);
        }
        self.positions[position] += 1;
    }

    pub(super) fn remove(&mut self, entry: &Entry) {
        self.count = self.count.saturating_sub(1);
        if let Some(count) = self.values.get_mut(&entry.value) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.values.remove(&entry.value);
            }
        }
        if let Some(count) = self.positions.get_mut(usize::from(entry.position)) {
            *count = count.saturating_sub(1);
        }
    }

    fn saw(&self, position: usize) -> bool {
        self.positions.get(position).is_some_and(|count| *count > 0)
    }

    fn rules_seen(&self) -> usize {
        self.positions.iter().filter(|count| **count > 0).count()
    }
}

/// The measured number if the condition holds for the window.
pub(super) fn measure<'a, I>(correlation: &Correlation, sums: &Accumulator, window: impl Fn() -> I) -> Option<f64>
where
    I: Iterator<Item = &'a Entry>,
{
    let numbers = || window().map(|entry| entry.number);
    let measured = match correlation.kind {
        CorrelationKind::EventCount => sums.count as f64,
        CorrelationKind::ValueCount => sums.values.len() as f64,
        CorrelationKind::Temporal | CorrelationKind::TemporalOrdered => sums.rules_seen() as f64,
        // Summed anew, because taking numbers off a running sum leaves rounding errors behind.
        CorrelationKind::ValueSum => numbers().sum(),
        CorrelationKind::ValueAvg => numbers().sum::<f64>() / sums.count as f64,
        CorrelationKind::ValuePercentile(rank) => percentile(numbers().collect(), rank)?,
    };
    let holds = match &correlation.condition {
        CorrelationCondition::AllRules => (0..correlation.rules.len()).all(|position| sums.saw(position)),
        CorrelationCondition::Rules(condition) => seen(condition, sums),
        CorrelationCondition::Compare(comparisons) => {
            comparisons.iter().all(|(comparison, limit)| comparison.holds(measured, *limit))
        }
    };
    // The order is looked at last: it takes a walk over the window, and most windows do not get so far.
    let ordered = || correlation.kind != CorrelationKind::TemporalOrdered || in_order(correlation, window());
    (holds && ordered()).then_some(measured)
}

fn seen(condition: &Condition, sums: &Accumulator) -> bool {
    match condition {
        Condition::Selection(position) => sums.saw(*position),
        Condition::Not(part) => !seen(part, sums),
        Condition::All(parts) => parts.iter().all(|part| seen(part, sums)),
        Condition::Any(parts) => parts.iter().any(|part| seen(part, sums)),
        Condition::AtLeast(wanted, parts) => parts.iter().filter(|part| seen(part, sums)).count() >= *wanted,
    }
}

/// Whether the rules that the condition wants were seen in the order in which they are listed. With a condition that
/// does not want all of them, those that were seen must have first been seen in that order.
fn in_order<'a>(correlation: &Correlation, window: impl Iterator<Item = &'a Entry>) -> bool {
    let mut next = 0_usize;
    let mut first_seen: SmallVec<[usize; 8]> = SmallVec::new();
    for entry in window {
        let position = usize::from(entry.position);
        if position == next {
            next += 1;
        }
        if !first_seen.contains(&position) {
            first_seen.push(position);
        }
    }
    match correlation.condition {
        CorrelationCondition::AllRules => next == correlation.rules.len(),
        _ => first_seen.is_sorted(),
    }
}

/// The value below or at which `rank` percent of the numbers are, between neighbours in proportion.
fn percentile(mut numbers: Vec<f64>, rank: f64) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let last = numbers.len().checked_sub(1)?;
    let at = rank / 100.0 * last as f64;
    let below = numbers.get(at.floor() as usize)?;
    let above = numbers.get((at.ceil() as usize).min(last))?;
    Some(below + (above - below) * at.fract())
}
