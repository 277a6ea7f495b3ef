//! Values that a group did not have before.

use canh_schema::Value;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::super::EngineStats;
use super::super::crossing::{EventRef, measured};
use super::{Noticed, Seen, State, Wanted, forget_oldest, hash_of};
use crate::rule::BehaviourKind;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct NewTerms {
    /// Time of the first event of the group.
    since: Option<i64>,
    /// When each value was last seen.
    seen: FxHashMap<u64, i64>,
}

impl NewTerms {
    pub(super) fn take(&mut self, seen: &Seen<'_>, wanted: &Wanted<'_>, stats: &mut EngineStats) -> Option<Noticed> {
        let BehaviourKind::NewTerms { learning } = wanted.behaviour.kind else { return None };
        let since = *self.since.get_or_insert(seen.time);
        let value = hash_of(&seen.values);
        let last = self.seen.get(&value).copied();
        if last.is_none() {
            forget_oldest(&mut self.seen, wanted.values_max, stats);
        }
        let newest = last.map_or(seen.time, |last| last.max(seen.time));
        self.seen.insert(value, newest);
        let known = last.is_some_and(|last| seen.time.saturating_sub(last) <= wanted.span);
        let learned = i64::try_from(learning.as_nanos()).unwrap_or(i64::MAX);
        if known || seen.time < since.saturating_add(learned) {
            return None;
        }
        let fields = wanted.behaviour.fields.iter().zip(&seen.values);
        let before = Self { since: Some(since), seen: last.map(|last| (value, last)).into_iter().collect() };
        Some(Noticed {
            before: Some(State::NewTerms(before)),
            time: seen.time,
            events: vec![EventRef::of(seen.event)],
            subject: None,
            matches: fields
                .map(|(field, value)| {
                    measured(field.clone(), "new_terms", "not seen before", Value::Text(value.clone()))
                })
                .collect(),
        })
    }
}
