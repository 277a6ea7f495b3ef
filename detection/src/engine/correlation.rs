//! Correlations: rules over the findings of other rules, in a window that slides over the time of the events.
//!
//! Memory is bounded. Each correlation keeps at most a number of groups and entries; when it has more, first groups
//! whose window has passed go, then those that were not touched for longest, and in one group the oldest entries.
//! What goes before its time is counted as evicted.
//!
//! A window that holds raises one finding. Further events raise another one only after the condition has stopped
//! holding in between, or after a whole timespan, so that an attack that goes on is reported again and again, but
//! not for each event. A correlation over this one is fed each time the condition holds.

use std::collections::VecDeque;
use std::sync::Arc;

use canh_schema::{Event, FieldMatch, Timestamp, Value};
use compact_str::CompactString;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::crossing::{Crossing, EventRef, GroupKey, Subject, grouped, measured, text_of};
use super::fields::{FieldNames, Slot, Table};
use super::window::{Accumulator, Entry, measure};
use super::{CorrelationLimits, EngineStats};
use crate::rule::{Correlation, CorrelationCondition, CorrelationKind};

/// Events listed in one finding; of more, the newest.
const EVENTS_MAX: usize = 256;

/// All correlations of an engine.
#[derive(Debug, Default)]
pub(crate) struct Correlations {
    correlators: Vec<Correlator>,
    /// For each rule that feeds some correlation: which, and as which of its rules.
    fed_by: FxHashMap<u32, SmallVec<[(u32, u16); 1]>>,
}

/// One correlation and the state of its groups.
#[derive(Debug)]
struct Correlator {
    /// The place of the correlation among the engine's rules.
    rule: u32,
    correlation: Correlation,
    /// For each rule that feeds it, the names and slots of the grouping fields.
    group_fields: Vec<Vec<(CompactString, Slot)>>,
    value_slots: Vec<Slot>,
    span: i64,
    memory: Memory,
}

/// What one correlation remembers. Written into snapshots.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Memory {
    pub groups: FxHashMap<GroupKey, Group>,
    entries: usize,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Group {
    /// In the order of their time.
    pub entries: VecDeque<Entry>,
    /// The first entry of the newest window.
    start: usize,
    /// Follows from the entries.
    #[serde(skip)]
    newest: Accumulator,
    /// End of the window that last raised a finding; nothing once the condition has stopped holding.
    fired: Option<i64>,
    /// The events of that window.
    #[serde(skip)]
    pub window: Option<Arc<[EventRef]>>,
    /// When the collector received the last event of the group.
    touched: i64,
}

/// A rule that held, on its way to the correlations that it feeds.
#[derive(Debug)]
struct Feed {
    rule: u32,
    /// The events of the window of the correlation that held.
    window: Option<Arc<[EventRef]>>,
    /// The grouping values of the correlation that held, under its own names.
    group: Vec<(CompactString, CompactString)>,
}

impl Correlations {
    pub(crate) fn add(
        &mut self,
        rule: u32,
        correlation: &Correlation,
        feeders: &[FeederName],
        fields: &mut FieldNames,
    ) {
        let index = u32::try_from(self.correlators.len()).unwrap_or(u32::MAX);
        let mut group_fields = Vec::with_capacity(feeders.len());
        for (position, feeder) in (0_u16..).zip(feeders) {
            self.fed_by.entry(feeder.rule).or_default().push((index, position));
            let named = correlation.group_by.iter().map(|group| {
                let alias = correlation.aliases.iter().find(|alias| alias.name == *group);
                let fields = alias.map(|alias| alias.fields.as_slice()).unwrap_or_default();
                fields.iter().find(|(rule, _)| feeder.names.contains(rule)).map_or(group, |(_, field)| field).clone()
            });
            group_fields.push(named.map(|name| (name.clone(), fields.slot(&name))).collect());
        }
        self.correlators.push(Correlator {
            rule,
            group_fields,
            value_slots: correlation.fields.iter().map(|field| fields.slot(field)).collect(),
            span: i64::try_from(correlation.timespan.as_nanos()).unwrap_or(i64::MAX),
            correlation: correlation.clone(),
            memory: Memory::default(),
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.correlators.is_empty()
    }

    pub(crate) fn is_fed_by(&self, rule: u32) -> bool {
        self.fed_by.contains_key(&rule)
    }

    /// The memory of each correlation, by its place among the engine's rules.
    pub(crate) fn memories(&self) -> impl Iterator<Item = (u32, &Memory)> {
        self.correlators.iter().map(|correlator| (correlator.rule, &correlator.memory))
    }

    pub(crate) fn remember(&mut self, rule: u32, mut memory: Memory) {
        let Some(correlator) = self.correlators.iter_mut().find(|correlator| correlator.rule == rule) else { return };
        memory.groups.values_mut().for_each(Group::recount);
        correlator.memory = memory;
    }

    /// Takes one rule that held for the event in `table`, and everything that follows from it.
    pub(crate) fn feed(
        &mut self,
        rule: u32,
        event: &Event,
        table: &Table,
        limits: &CorrelationLimits,
        stats: &mut EngineStats,
        crossings: &mut Vec<Crossing>,
    ) {
        // Correlations cannot feed each other in a circle (`RuleSet::link` sees to it), so this ends.
        let mut feeds = vec![Feed { rule, window: None, group: Vec::new() }];
        while let Some(feed) = feeds.pop() {
            let Some(targets) = self.fed_by.get(&feed.rule) else { continue };
            for (index, position) in targets {
                let Some(correlator) = self.correlators.get_mut(*index as usize) else { continue };
                if let Some(next) = correlator.take(&feed, *position, event, table, limits, stats, crossings) {
                    feeds.push(next);
                }
            }
        }
    }
}

/// A rule that feeds a correlation, and all names that it goes by there.
#[derive(Debug)]
pub(crate) struct FeederName {
    pub rule: u32,
    pub names: Vec<CompactString>,
}

impl Correlator {
    #[allow(clippy::too_many_arguments)]
    fn take(
        &mut self,
        feed: &Feed,
        position: u16,
        event: &Event,
        table: &Table,
        limits: &CorrelationLimits,
        stats: &mut EngineStats,
        crossings: &mut Vec<Crossing>,
    ) -> Option<Feed> {
        let (value, number) = self.value(event, table)?;
        let key: GroupKey = self
            .group_fields
            .get(usize::from(position))?
            .iter()
            .map(|(name, slot)| {
                let given = feed.group.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone());
                given.unwrap_or_else(|| text_of(table.value(*slot, event)))
            })
            .collect();
        let now = event.received.nanos();
        self.make_room(&key, now, limits, stats);
        let group = self.memory.groups.entry(key.clone()).or_default();
        group.touched = group.touched.max(now);
        let lateness = i64::try_from(limits.lateness.as_nanos()).unwrap_or(i64::MAX);
        let time = event.time.nanos();
        let newest = group.entries.back().map_or(time, |entry| entry.time);
        if time < newest.saturating_sub(self.span).saturating_sub(lateness) {
            stats.late += 1;
            return None;
        }
        let before = group.entries.len();
        let entry = Entry { time, event: EventRef::of(event), position, value, number, window: feed.window.clone() };
        let held = group.insert(entry, self.span, &self.correlation);
        let horizon = newest.max(time).saturating_sub(self.span).saturating_sub(lateness);
        while group.entries.front().is_some_and(|entry| entry.time < horizon) {
            group.drop_front();
        }
        while group.entries.len() > limits.entries_per_group {
            group.drop_front();
            stats.evictions += 1;
        }
        self.memory.entries = (self.memory.entries + group.entries.len()).saturating_sub(before);
        let held = held?;
        let in_order = held.window.1 + 1 == held.len;
        let fires = limits.every_window || group.fired.is_none_or(|fired| held.end.saturating_sub(fired) >= self.span);
        if fires {
            group.fired = Some(held.end);
            group.window = Some(held.events.as_slice().into());
        }
        let window = group.window.clone();
        if fires {
            let matches = self.proof(&key, held.measured);
            crossings.push(Crossing {
                rule: self.rule,
                time: Timestamp::from_nanos(held.end),
                events: held.events,
                subject: Subject::of(event),
                matches,
            });
        } else if !in_order {
            // A late event completed a window next to one that was reported already.
            return None;
        }
        let names = self.correlation.group_by.iter().cloned();
        Some(Feed { rule: self.rule, window, group: names.zip(key.iter().cloned()).collect() })
    }

    /// What the correlation counts or sums of this event; nothing if the event has no such value.
    fn value(&self, event: &Event, table: &Table) -> Option<(u64, f64)> {
        match self.correlation.kind {
            CorrelationKind::EventCount | CorrelationKind::Temporal | CorrelationKind::TemporalOrdered => {
                Some((0, 0.0))
            }
            CorrelationKind::ValueCount => {
                use std::hash::{Hash, Hasher};
                let mut hasher = rustc_hash::FxHasher::default();
                for slot in &self.value_slots {
                    table.value(*slot, event).filter(|value| **value != Value::Null)?;
                    text_of(table.value(*slot, event)).hash(&mut hasher);
                }
                Some((hasher.finish(), 0.0))
            }
            CorrelationKind::ValueSum | CorrelationKind::ValueAvg | CorrelationKind::ValuePercentile(_) => {
                let number = table.value(*self.value_slots.first()?, event)?.as_f64()?;
                number.is_finite().then_some((0, number))
            }
        }
    }

    fn proof(&self, key: &[CompactString], number: f64) -> Vec<FieldMatch> {
        let pattern = match &self.correlation.condition {
            CorrelationCondition::Compare(comparisons) => {
                let each: Vec<String> =
                    comparisons.iter().map(|(comparison, limit)| format!("{} {limit}", comparison.name())).collect();
                each.join(", ")
            }
            CorrelationCondition::AllRules | CorrelationCondition::Rules(_) => self.correlation.rules.join(", "),
        };
        let fields = self.correlation.fields.join(", ").into();
        let condition = measured(fields, self.correlation.kind.name(), pattern, Value::Float(number));
        grouped(&self.correlation.group_by, key).chain([condition]).collect()
    }

    /// Keeps the number of groups and entries below the limits before one more is added.
    fn make_room(&mut self, key: &GroupKey, now: i64, limits: &CorrelationLimits, stats: &mut EngineStats) {
        let Memory { groups, entries } = &mut self.memory;
        let full = *entries >= limits.entries_per_rule
            || (groups.len() >= limits.groups_per_rule && !groups.contains_key(key));
        if !full {
            return;
        }
        let lateness = i64::try_from(limits.lateness.as_nanos()).unwrap_or(i64::MAX);
        let keep_since = now.saturating_sub(self.span).saturating_sub(lateness);
        groups.retain(|_, group| group.touched >= keep_since);
        *entries = groups.values().map(|group| group.entries.len()).sum();
        // An eighth at a time, so that the work for each event stays small however many keys a sender invents.
        let groups_max = limits.groups_per_rule - limits.groups_per_rule / 8;
        let entries_max = limits.entries_per_rule - limits.entries_per_rule / 8;
        if groups.len() < groups_max && *entries < entries_max {
            return;
        }
        let mut oldest: Vec<(i64, GroupKey)> = groups.iter().map(|(key, group)| (group.touched, key.clone())).collect();
        oldest.sort_unstable();
        for (_, key) in oldest {
            if groups.len() < groups_max && *entries < entries_max {
                break;
            }
            if let Some(group) = groups.remove(&key) {
                *entries = entries.saturating_sub(group.entries.len());
                stats.evictions += 1;
            }
        }
    }
}

/// A window in which the condition holds.
#[derive(Debug)]
struct Held {
    end: i64,
    measured: f64,
    events: Vec<EventRef>,
    /// First and last entry, and how many entries there were.
    window: (usize, usize),
    len: usize,
}

impl Group {
    /// Makes what follows from the entries anew.
    fn recount(&mut self) {
        self.start = self.start.min(self.entries.len());
        self.newest = Accumulator::default();
        self.entries.range(self.start..).for_each(|entry| self.newest.add(entry));
    }

    /// Adds an entry at its place in time and looks at each window that it is in. The first that holds is the answer.
    fn insert(&mut self, entry: Entry, span: i64, correlation: &Correlation) -> Option<Held> {
        let index = self.entries.partition_point(|other| other.time <= entry.time);
        let time = entry.time;
        if index >= self.start {
            self.newest.add(&entry);
        } else {
            self.start += 1;
        }
        self.entries.insert(index, entry);
        if index + 1 == self.entries.len() {
            self.shrink(time, span);
            let held = self.held(self.start, index, &self.newest, correlation);
            if held.is_none() {
                self.fired = None;
            }
            return held;
        }
        self.late(index, span, correlation)
    }

    /// The newest window ends at `end`; entries that have left it are taken off.
    fn shrink(&mut self, end: i64, span: i64) {
        while let Some(entry) = self.entries.get(self.start).filter(|entry| entry.time < end.saturating_sub(span)) {
            self.newest.remove(entry);
            self.start += 1;
        }
    }

    fn late(&self, index: usize, span: i64, correlation: &Correlation) -> Option<Held> {
        let time = self.entries.get(index)?.time;
        let mut start = self.entries.partition_point(|other| other.time < time.saturating_sub(span));
        let mut accumulator = Accumulator::default();
        self.entries.range(start..index).for_each(|entry| accumulator.add(entry));
        for (end, entry) in self.entries.iter().enumerate().skip(index) {
            if entry.time > time.saturating_add(span) {
                break;
            }
            accumulator.add(entry);
            while let Some(old) = self.entries.get(start).filter(|old| old.time < entry.time.saturating_sub(span)) {
                accumulator.remove(old);
                start += 1;
            }
            if let Some(held) = self.held(start, end, &accumulator, correlation) {
                return Some(held);
            }
        }
        None
    }

    fn held(&self, start: usize, end: usize, accumulator: &Accumulator, correlation: &Correlation) -> Option<Held> {
        let window = || self.entries.range(start..=end);
        let measured = measure(correlation, accumulator, window)?;
        let skip = (end + 1 - start).saturating_sub(EVENTS_MAX);
        let of = |entry: &Entry| match &entry.window {
            Some(window) => SmallVec::<[EventRef; 1]>::from_slice(window),
            None => smallvec::smallvec![entry.event],
        };
        let mut events: Vec<EventRef> = window().skip(skip).flat_map(of).collect();
        // An event may feed a correlation through several rules, and windows that follow each other share events.
        let mut seen = FxHashSet::default();
        events.retain(|event| seen.insert(event.id));
        let more = events.len().saturating_sub(EVENTS_MAX);
        events.drain(..more);
        Some(Held { end: self.entries.get(end)?.time, measured, events, window: (start, end), len: self.entries.len() })
    }

    fn drop_front(&mut self) {
        let Some(entry) = self.entries.pop_front() else { return };
        if self.start == 0 {
            self.newest.remove(&entry);
        } else {
            self.start -= 1;
        }
    }
}
