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

use canh_schema::{Event, EventId, FieldMatch, Timestamp, Value};
use compact_str::CompactString;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::fields::{FieldNames, Slot, Table};
use super::window::{Accumulator, Entry, measure};
use super::{CorrelationLimits, EngineStats};
use crate::matching::scalars;
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
    groups: FxHashMap<GroupKey, Group>,
    entries: usize,
}

type GroupKey = Box<[CompactString]>;

#[derive(Debug, Default)]
struct Group {
    /// In the order of their time.
    entries: VecDeque<Entry>,
    /// The first entry of the newest window.
    start: usize,
    newest: Accumulator,
    /// End of the window that last raised a finding; nothing once the condition has stopped holding.
    fired: Option<i64>,
    /// When the collector received the last event of the group.
    touched: i64,
}

/// A correlation that holds.
#[derive(Debug)]
pub(crate) struct Crossing {
    pub rule: u32,
    pub time: Timestamp,
    pub events: Vec<EventId>,
    pub matches: Vec<FieldMatch>,
}

/// A rule that held, on its way to the correlations that it feeds.
#[derive(Debug)]
struct Feed {
    rule: u32,
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
            groups: FxHashMap::default(),
            entries: 0,
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.correlators.is_empty()
    }

    pub(crate) fn is_fed_by(&self, rule: u32) -> bool {
        self.fed_by.contains_key(&rule)
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
        let mut feeds = vec![Feed { rule, group: Vec::new() }];
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
        let group = self.groups.entry(key.clone()).or_default();
        group.touched = group.touched.max(now);
        let lateness = i64::try_from(limits.lateness.as_nanos()).unwrap_or(i64::MAX);
        let time = event.time.nanos();
        let newest = group.entries.back().map_or(time, |entry| entry.time);
        if time < newest.saturating_sub(self.span).saturating_sub(lateness) {
            stats.late += 1;
            return None;
        }
        let before = group.entries.len();
        let held = group.insert(Entry { time, event: event.id, position, value, number }, self.span, &self.correlation);
        let horizon = newest.max(time).saturating_sub(self.span).saturating_sub(lateness);
        while group.entries.front().is_some_and(|entry| entry.time < horizon) {
            group.drop_front();
        }
        while group.entries.len() > limits.entries_per_group {
            group.drop_front();
            stats.evictions += 1;
        }
        self.entries = (self.entries + group.entries.len()).saturating_sub(before);
        let held = held?;
        let in_order = held.window.1 + 1 == held.len;
        let fires = group.fired.is_none_or(|fired| held.end.saturating_sub(fired) >= self.span);
        if fires {
            group.fired = Some(held.end);
            let matches = self.proof(&key, held.measured);
            crossings.push(Crossing {
                rule: self.rule,
                time: Timestamp::from_nanos(held.end),
                events: held.events,
                matches,
            });
        } else if !in_order {
            // A late event completed a window next to one that was reported already.
            return None;
        }
        let names = self.correlation.group_by.iter().cloned();
        Some(Feed { rule: self.rule, group: names.zip(key.iter().cloned()).collect() })
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

    fn proof(&self, key: &[CompactString], measured: f64) -> Vec<FieldMatch> {
        let groups = self.correlation.group_by.iter().zip(key).map(|(name, value)| FieldMatch {
            selection: "correlation".into(),
            field: name.clone(),
            modifiers: "group-by".into(),
            pattern: CompactString::default(),
            value: Value::Text(value.clone()),
        });
        let pattern = match &self.correlation.condition {
            CorrelationCondition::Compare(comparisons) => {
                let each: Vec<String> =
                    comparisons.iter().map(|(comparison, limit)| format!("{} {limit}", comparison.name())).collect();
                each.join(", ")
            }
            CorrelationCondition::AllRules | CorrelationCondition::Rules(_) => self.correlation.rules.join(", "),
        };
        let condition = FieldMatch {
            selection: "correlation".into(),
            field: self.correlation.fields.join(", ").into(),
            modifiers: self.correlation.kind.name().into(),
            pattern: pattern.into(),
            value: Value::Float(measured),
        };
        groups.chain([condition]).collect()
    }

    /// Keeps the number of groups and entries below the limits before one more is added.
    fn make_room(&mut self, key: &GroupKey, now: i64, limits: &CorrelationLimits, stats: &mut EngineStats) {
        let full = self.entries >= limits.entries_per_rule
            || (self.groups.len() >= limits.groups_per_rule && !self.groups.contains_key(key));
        if !full {
            return;
        }
        let lateness = i64::try_from(limits.lateness.as_nanos()).unwrap_or(i64::MAX);
        let keep_since = now.saturating_sub(self.span).saturating_sub(lateness);
        self.groups.retain(|_, group| group.touched >= keep_since);
        self.entries = self.groups.values().map(|group| group.entries.len()).sum();
        // An eighth at a time, so that the work for each event stays small however many keys a sender invents.
        let groups_max = limits.groups_per_rule - limits.groups_per_rule / 8;
        let entries_max = limits.entries_per_rule - limits.entries_per_rule / 8;
        if self.groups.len() < groups_max && self.entries < entries_max {
            return;
        }
        let mut oldest: Vec<(i64, GroupKey)> =
            self.groups.iter().map(|(key, group)| (group.touched, key.clone())).collect();
        oldest.sort_unstable();
        for (_, key) in oldest {
            if self.groups.len() < groups_max && self.entries < entries_max {
                break;
            }
            if let Some(group) = self.groups.remove(&key) {
                self.entries = self.entries.saturating_sub(group.entries.len());
                stats.evictions += 1;
            }
        }
    }
}

/// A list is one text here; an absent value is the empty text.
fn text_of(value: Option<&Value>) -> CompactString {
    let Some(value) = value else { return CompactString::default() };
    let texts: SmallVec<[_; 1]> = scalars(value).into_iter().filter_map(Value::as_text).collect();
    match texts.as_slice() {
        [one] => one.as_ref().into(),
        many => many.join(",").into(),
    }
}

/// A window in which the condition holds.
#[derive(Debug)]
struct Held {
    end: i64,
    measured: f64,
    events: Vec<EventId>,
    /// First and last entry, and how many entries there were.
    window: (usize, usize),
    len: usize,
}

impl Group {
    /// Adds an entry at its place in time and looks at each window that it is in. The first that holds is the answer.
    fn insert(&mut self, entry: Entry, span: i64, correlation: &Correlation) -> Option<Held> {
        let index = self.entries.partition_point(|other| other.time <= entry.time);
        self.entries.insert(index, entry);
        if index + 1 == self.entries.len() {
            self.newest.add(&entry);
            self.shrink(entry.time, span);
            let held = self.held(self.start, index, &self.newest, correlation);
            if held.is_none() {
                self.fired = None;
            }
            return held;
        }
        if index >= self.start {
            self.newest.add(&entry);
        } else {
            self.start += 1;
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
        let mut events: Vec<EventId> = window().skip(skip).map(|entry| entry.event).collect();
        // An event may feed a correlation through several rules.
        events.dedup();
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
