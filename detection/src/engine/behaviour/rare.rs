//! Values that make up very little of what a group has.
//!
//! The timespan is cut into eight slices, and the oldest is forgotten as a whole.

use std::collections::VecDeque;

use canh_schema::Value;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::super::EngineStats;
use super::super::crossing::{EventRef, measured};
use super::{Noticed, Seen, State, Wanted, forget_oldest, hash_of};
use crate::rule::BehaviourKind;

const SLICES: i64 = 8;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Rare {
    slices: VecDeque<Slice>,
    total: u64,
    /// When each value was last reported.
    said: FxHashMap<u64, i64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Slice {
    number: i64,
    counts: FxHashMap<u64, u32>,
    total: u64,
}

impl Rare {
    pub(super) fn take(&mut self, seen: &Seen<'_>, wanted: &Wanted<'_>, stats: &mut EngineStats) -> Option<Noticed> {
        let BehaviourKind::RareValue { percent, minimum } = wanted.behaviour.kind else { return None };
        let number = seen.time.div_euclid((wanted.span / SLICES).max(1));
        self.turn(number);
        let value = hash_of(&seen.values);
        // An event older than the oldest slice has none.
        let slice = self.slices.iter_mut().rev().find(|slice| slice.number == number)?;
        // A flood of invented values must not take all memory; the values that are there go on being counted.
        if slice.counts.len() < wanted.values_max || slice.counts.contains_key(&value) {
            let count = slice.counts.entry(value).or_default();
            *count = count.saturating_add(1);
        } else {
            stats.evictions += 1;
        }
        slice.total += 1;
        self.total += 1;
        let count: u64 =
            self.slices.iter().filter_map(|slice| slice.counts.get(&value)).map(|count| u64::from(*count)).sum();
        let share = count as f64 / self.total as f64 * 100.0;
        if self.total < minimum || share > percent {
            return None;
        }
        if self.said.get(&value).is_some_and(|at| seen.time.saturating_sub(*at) <= wanted.span) {
            return None;
        }
        let before = self.before(number, value);
        forget_oldest(&mut self.said, wanted.values_max, stats);
        self.said.insert(value, seen.time);
        let total = self.total;
        let fields = wanted.behaviour.fields.iter().zip(&seen.values);
        Some(Noticed {
            before: Some(State::Rare(before)),
            time: seen.time,
            events: vec![EventRef::of(seen.event)],
            subject: None,
            matches: fields
                .map(|(field, value)| {
                    let pattern = compact_str::format_compact!("{count} of {total} events ({share:.2} %)");
                    measured(field.clone(), "rare_value", pattern, Value::Text(value.clone()))
                })
                .collect(),
        })
    }

    /// The counts of one value, and of all, before its last event, which is in the slice of this number.
    fn before(&self, number: i64, value: u64) -> Self {
        let slices = self.slices.iter().map(|slice| {
            let last = u32::from(slice.number == number);
            let count = slice.counts.get(&value).map(|count| count.saturating_sub(last)).filter(|count| *count > 0);
            Slice {
                number: slice.number,
                counts: count.map(|count| (value, count)).into_iter().collect(),
                total: slice.total.saturating_sub(u64::from(last)),
            }
        });
        Self {
            slices: slices.collect(),
            total: self.total.saturating_sub(1),
            said: self.said.get(&value).map(|at| (value, *at)).into_iter().collect(),
        }
    }

    fn turn(&mut self, number: i64) {
        if self.slices.back().is_none_or(|newest| newest.number < number) {
            self.slices.push_back(Slice { number, counts: FxHashMap::default(), total: 0 });
        }
        while self.slices.front().is_some_and(|oldest| oldest.number <= number - SLICES) {
            if let Some(oldest) = self.slices.pop_front() {
                self.total = self.total.saturating_sub(oldest.total);
            }
        }
    }
}
