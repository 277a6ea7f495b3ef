//! Values that a list of indicators names. The lists are somebody else's; what is remembered is what was said of each group,
//! so that the same indicator is not said again for a while.

use canh_schema::Event;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::super::EngineStats;
use super::super::crossing::EventRef;
use super::{Noticed, Seen, Wanted, forget_oldest, hash_of};
use crate::indicator::{IndicatorMatch, IndicatorQuery, IndicatorSource, IndicatorTypes, Names, all_names};
use crate::rule::{Behaviour, BehaviourKind};

/// Indicators of one event that a finding names.
const NAMED_MAX: usize = 8;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Indicator {
    /// When each indicator was last said of the group.
    said: FxHashMap<u64, i64>,
}

/// What a rule wants of the lists, ready to be asked.
#[derive(Debug)]
pub(super) struct Wishes {
    types: IndicatorTypes,
    confidence: u8,
    lists: Names,
    /// Every name of the wanted fields; empty is any field.
    fields: Vec<compact_str::CompactString>,
}

impl Wishes {
    /// `None` for rules of other kinds.
    pub(super) fn of(behaviour: &Behaviour) -> Option<Self> {
        let BehaviourKind::Indicator { types, confidence } = behaviour.kind else { return None };
        let lists = Names::new(&behaviour.lists);
        Some(Self { types, confidence, lists, fields: all_names(&behaviour.fields) })
    }

    pub(super) fn matches(&self, lists: &dyn IndicatorSource, event: &Event) -> Vec<IndicatorMatch> {
        let field = |name: &str| self.fields.is_empty() || self.fields.iter().any(|wanted| wanted == name);
        let list = |name: &str| self.lists.wants(name);
        lists.matches(event, &IndicatorQuery::new(self.types, self.confidence, &list, &field))
    }
}

impl Indicator {
    pub(super) fn take(
        &mut self,
        seen: &Seen<'_>,
        held: Vec<IndicatorMatch>,
        wanted: &Wanted<'_>,
        stats: &mut EngineStats,
    ) -> Option<Noticed> {
        let mut matches = Vec::new();
        let mut named = 0;
        for one in held {
            let key = hash_of(&[one.key]);
            let last = self.said.get(&key).copied();
            if last.is_some_and(|last| seen.time.saturating_sub(last) <= wanted.span) {
                continue;
            }
            if last.is_none() {
                forget_oldest(&mut self.said, wanted.values_max, stats);
            }
            self.said.insert(key, seen.time);
            if named < NAMED_MAX {
                named += 1;
                matches.extend(one.proof);
            }
        }
        (named > 0).then(|| Noticed { time: seen.time, events: vec![EventRef::of(seen.event)], subject: None, matches })
    }
}
