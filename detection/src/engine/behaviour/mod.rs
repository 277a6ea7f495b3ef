//! Rules over what is usual. Each kind remembers something else about its groups; what is common is here: which rules feed
//! them, the bound on their memory, and what becomes of something unusual.
//!
//! Memory is bounded: a rule keeps at most so many groups, and a group so many values. When there are more, those that
//! were not touched for longest go, an eighth at a time, and are counted as evicted. A group that went is learned anew.

mod absence;
mod baseline;
mod indicator;
mod new_terms;
mod rare;
mod travel;

use std::sync::Arc;

use canh_schema::{Event, EventId, FieldMatch, Timestamp, Value};
use compact_str::CompactString;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use self::absence::Absence;
use self::baseline::Baseline;
use self::indicator::{Indicator, Wishes};
use self::new_terms::NewTerms;
use self::rare::Rare;
use self::travel::Travel;
use super::correlation::FeederName;
use super::crossing::{Crossing, EventRef, GroupKey, Subject, grouped, text_of};
use super::fields::{FieldNames, Slot, Table};
use super::{CorrelationLimits, EngineStats};
use crate::indicator::IndicatorSource;
use crate::rule::{Behaviour, BehaviourKind};

/// All behaviour rules of an engine.
#[derive(Debug, Default)]
pub(super) struct Behaviours {
    watchers: Vec<Watcher>,
    fed_by: FxHashMap<u32, SmallVec<[u32; 1]>>,
    indicators: Option<Arc<dyn IndicatorSource>>,
    /// Values that indicator rules took since they were asked for, with the rule.
    claims: Vec<Claim>,
}

/// A value of an event that the rule of this place took.
#[derive(Debug)]
pub(super) struct Claim {
    pub rule: u32,
    pub event: EventId,
    pub value: CompactString,
}

#[derive(Debug)]
struct Watcher {
    rule: u32,
    behaviour: Behaviour,
    group_slots: Vec<Slot>,
    value_slots: Vec<Slot>,
    /// What an indicator rule wants of the lists.
    wishes: Option<Wishes>,
    memory: Memory,
}

/// What one rule remembers. Written into snapshots.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Memory {
    groups: FxHashMap<GroupKey, Group>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Group {
    /// When the collector received the last event of the group.
    touched: i64,
    state: State,
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    NewTerms(NewTerms),
    Absence(Absence),
    Baseline(Baseline),
    Rare(Rare),
    Travel(Travel),
    Indicator(Indicator),
}

impl State {
    fn new(kind: BehaviourKind) -> Self {
        match kind {
            BehaviourKind::NewTerms { .. } => Self::NewTerms(NewTerms::default()),
            BehaviourKind::Absence => Self::Absence(Absence::default()),
            BehaviourKind::Baseline { .. } => Self::Baseline(Baseline::default()),
            BehaviourKind::RareValue { .. } => Self::Rare(Rare::default()),
            BehaviourKind::ImpossibleTravel { .. } => Self::Travel(Travel::default()),
            BehaviourKind::Indicator { .. } => Self::Indicator(Indicator::default()),
        }
    }
}

/// An event as a kind sees it.
struct Seen<'a> {
    event: &'a Event,
    /// Nanoseconds since 1970, by the clock of the source.
    time: i64,
    received: i64,
    /// The values of the fields that the rule names, as text; empty where the event has none.
    values: SmallVec<[CompactString; 2]>,
    /// The first of them.
    first: Option<&'a Value>,
}

/// What a rule of this kind wants, in nanoseconds.
struct Wanted<'a> {
    behaviour: &'a Behaviour,
    span: i64,
    values_max: usize,
}

/// Something unusual.
struct Noticed {
    /// Nanoseconds since 1970.
    time: i64,
    events: Vec<EventRef>,
    /// Of an earlier event, if there is none now.
    subject: Option<Subject>,
    matches: Vec<FieldMatch>,
}

impl Behaviours {
    pub(super) fn add(&mut self, rule: u32, behaviour: &Behaviour, feeders: &[FeederName], fields: &mut FieldNames) {
        let index = u32::try_from(self.watchers.len()).unwrap_or(u32::MAX);
        for feeder in feeders {
            self.fed_by.entry(feeder.rule).or_default().push(index);
        }
        self.watchers.push(Watcher {
            rule,
            group_slots: behaviour.group_by.iter().map(|field| fields.slot(field)).collect(),
            wishes: Wishes::of(behaviour),
            value_slots: behaviour.fields.iter().flat_map(|field| slots(field, behaviour.kind, fields)).collect(),
            behaviour: behaviour.clone(),
            memory: Memory::default(),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    pub(super) fn is_fed_by(&self, rule: u32) -> bool {
        self.fed_by.contains_key(&rule)
    }

    /// Takes one rule that held for the event in `table`.
    pub(super) fn feed(
        &mut self,
        rule: u32,
        event: &Event,
        table: &Table,
        limits: &CorrelationLimits,
        stats: &mut EngineStats,
        crossings: &mut Vec<Crossing>,
    ) {
        let Some(targets) = self.fed_by.get(&rule) else { return };
        for target in targets {
            if let Some(watcher) = self.watchers.get_mut(*target as usize) {
                let asked = self.indicators.as_deref().map(|lists| (lists, &mut self.claims));
                crossings.extend(watcher.take(event, table, asked, limits, stats));
            }
        }
    }

    pub(super) fn ask(&mut self, indicators: Option<Arc<dyn IndicatorSource>>) {
        self.indicators = indicators;
    }

    /// What indicator rules took since the last call.
    pub(super) fn take_claims(&mut self) -> Vec<Claim> {
        std::mem::take(&mut self.claims)
    }

    /// Time has passed without an event: what should have come and did not.
    pub(super) fn tick(&mut self, now: Timestamp, crossings: &mut Vec<Crossing>) {
        for watcher in &mut self.watchers {
            watcher.tick(now.nanos(), crossings);
        }
    }

    /// The memory of each rule, by its place among the engine's rules.
    pub(super) fn memories(&self) -> impl Iterator<Item = (u32, &Memory)> {
        self.watchers.iter().map(|watcher| (watcher.rule, &watcher.memory))
    }

    pub(super) fn remember(&mut self, rule: u32, memory: Memory) {
        if let Some(watcher) = self.watchers.iter_mut().find(|watcher| watcher.rule == rule) {
            watcher.memory = memory;
        }
    }
}

/// A place may be one field, or two of its own.
fn slots(field: &CompactString, kind: BehaviourKind, fields: &mut FieldNames) -> Vec<Slot> {
    if matches!(kind, BehaviourKind::Indicator { .. }) {
        // The lists say which of them are looked at.
        return Vec::new();
    }
    let mut slots = vec![fields.slot(field)];
    if matches!(kind, BehaviourKind::ImpossibleTravel { .. }) {
        slots.push(fields.slot(&format!("{field}.lat")));
        slots.push(fields.slot(&format!("{field}.lon")));
    }
    slots
}

impl Watcher {
    fn take(
        &mut self,
        event: &Event,
        table: &Table,
        indicators: Option<(&dyn IndicatorSource, &mut Vec<Claim>)>,
        limits: &CorrelationLimits,
        stats: &mut EngineStats,
    ) -> Option<Crossing> {
        let values: SmallVec<[CompactString; 2]> =
            self.value_slots.iter().map(|slot| text_of(table.value(*slot, event))).collect();
        let first = self.value_slots.first().and_then(|slot| table.value(*slot, event));
        // Nothing to look at.
        if !self.value_slots.is_empty() && values.iter().all(|value| value.is_empty()) {
            return None;
        }
        let mut held = Vec::new();
        if let Some(wishes) = &self.wishes {
            let (lists, claims) = indicators?;
            held = wishes.matches(lists, event);
            if held.is_empty() {
                return None;
            }
            let claim = |value: &CompactString| Claim { rule: self.rule, event: event.id, value: value.clone() };
            claims.extend(held.iter().map(|one| claim(&one.value)));
        }
        let key: GroupKey = self.group_slots.iter().map(|slot| text_of(table.value(*slot, event))).collect();
        let seen = Seen { event, time: event.time.nanos(), received: event.received.nanos(), values, first };
        self.make_room(&key, limits, stats);
        let wanted = Wanted {
            behaviour: &self.behaviour,
            span: i64::try_from(self.behaviour.timespan.as_nanos()).unwrap_or(i64::MAX),
            values_max: limits.entries_per_group,
        };
        let group = self
            .memory
            .groups
            .entry(key.clone())
            .or_insert_with(|| Group { touched: seen.received, state: State::new(self.behaviour.kind) });
        group.touched = group.touched.max(seen.received);
        let noticed = match &mut group.state {
            State::NewTerms(state) => state.take(&seen, &wanted, stats),
            State::Absence(state) => state.take(&seen),
            State::Baseline(state) => state.take(&seen, &wanted),
            State::Rare(state) => state.take(&seen, &wanted, stats),
            State::Travel(state) => state.take(&seen, &wanted),
            State::Indicator(state) => state.take(&seen, held, &wanted, stats),
        }?;
        Some(self.crossing(&key, noticed, Some(event)))
    }

    fn crossing(&self, key: &GroupKey, noticed: Noticed, event: Option<&Event>) -> Crossing {
        let subject = noticed.subject.or_else(|| event.map(Subject::of)).unwrap_or_default();
        Crossing {
            rule: self.rule,
            time: Timestamp::from_nanos(noticed.time),
            events: noticed.events,
            subject,
            matches: grouped(&self.behaviour.group_by, key).chain(noticed.matches).collect(),
        }
    }

    fn tick(&mut self, now: i64, crossings: &mut Vec<Crossing>) {
        let span = i64::try_from(self.behaviour.timespan.as_nanos()).unwrap_or(i64::MAX);
        if self.behaviour.kind != BehaviourKind::Absence {
            return;
        }
        let mut noticed = Vec::new();
        for (key, group) in &mut self.memory.groups {
            if let State::Absence(state) = &mut group.state
                && let Some(found) = state.tick(now, span)
            {
                noticed.push((key.clone(), found));
            }
        }
        noticed.sort_by(|(a, _), (b, _)| a.cmp(b));
        crossings.extend(noticed.into_iter().map(|(key, found)| self.crossing(&key, found, None)));
    }

    /// Keeps the number of groups below the limit before one more is added.
    fn make_room(&mut self, key: &GroupKey, limits: &CorrelationLimits, stats: &mut EngineStats) {
        let groups = &mut self.memory.groups;
        if groups.len() < limits.groups_per_rule || groups.contains_key(key) {
            return;
        }
        let mut oldest: Vec<(i64, GroupKey)> = groups.iter().map(|(key, group)| (group.touched, key.clone())).collect();
        oldest.sort_unstable();
        for (_, key) in oldest.into_iter().take(limits.groups_per_rule / 8 + 1) {
            groups.remove(&key);
            stats.evictions += 1;
        }
    }
}

/// Hash of some texts, the same in every run.
fn hash_of(values: &[CompactString]) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = rustc_hash::FxHasher::default();
    values.hash(&mut hasher);
    hasher.finish()
}

/// Takes the values that were not seen for longest out of a map until an eighth of `max` is free.
fn forget_oldest(seen: &mut FxHashMap<u64, i64>, max: usize, stats: &mut EngineStats) {
    if seen.len() < max {
        return;
    }
    let mut oldest: Vec<(i64, u64)> = seen.iter().map(|(value, at)| (*at, *value)).collect();
    oldest.sort_unstable();
    for (_, value) in oldest.into_iter().take(max / 8 + 1) {
        seen.remove(&value);
        stats.evictions += 1;
    }
}
