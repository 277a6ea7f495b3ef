//! Rules over single events, compiled, and what one thread needs to hold events against them. Nothing here remembers
//! anything from one event to the next, so that any number of threads can look at the same time.

use std::sync::Arc;

use canh_schema::{Event, LogSource};
use compact_str::CompactString;
use rustc_hash::FxHashMap;

use super::fields::{FieldNames, Profile, Table};
use super::index::{Indexes, Parts};
use super::program::{Program, Verdicts};
use crate::rule::RuleSource;

/// Kinds of events whose plans are kept; their number is that of log sources, which a sender may invent.
const PLANS_MAX: usize = 4_096;

/// All rules over single events.
#[derive(Debug)]
pub(super) struct Matcher {
    pub names: FieldNames,
    pub program: Program,
    pub indexes: Indexes,
}

/// A rule that holds for an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// Its place among the engine's rules.
    pub rule: u32,
    /// The root of its condition in the program.
    pub root: u32,
}

/// What to do with events of one log source.
#[derive(Debug)]
pub(super) struct Plan {
    profile: Profile,
    /// Nothing if no rule wants them.
    indexes: Parts,
}

/// The scratch memory of one thread. Kept between events so that nothing is allocated for each.
#[derive(Debug)]
pub(super) struct Look {
    plans: FxHashMap<LogSource, Arc<Plan>>,
    latest: Option<(LogSource, Arc<Plan>)>,
    pub table: Table,
    verdicts: Verdicts,
    /// Rules whose condition was looked at.
    pub looked_at: u64,
}

impl Look {
    pub(super) fn new(matcher: &Matcher) -> Self {
        Self {
            plans: FxHashMap::default(),
            latest: None,
            table: Table::new(matcher.names.len()),
            verdicts: Verdicts::default(),
            looked_at: 0,
        }
    }

    /// Finds the fields of an event; the table is that of this event afterwards.
    pub(super) fn load(&mut self, matcher: &Matcher, event: &Event) -> Arc<Plan> {
        let plan = self.plan(matcher, &event.logsource);
        if !plan.indexes.is_empty() {
            self.table.load(event, &plan.profile);
        }
        plan
    }

    /// The same even for an event that no rule wants.
    pub(super) fn load_all(&mut self, matcher: &Matcher, event: &Event) {
        let plan = self.plan(matcher, &event.logsource);
        self.table.load(event, &plan.profile);
    }

    /// Appends the rules that hold for the event. The table is that of this event afterwards.
    pub(super) fn holding(&mut self, matcher: &Matcher, event: &Event, out: &mut Vec<Held>) {
        let plan = self.load(matcher, event);
        if plan.indexes.is_empty() {
            return;
        }
        let held = |rule, root| out.push(Held { rule, root });
        let indexes = &plan.indexes;
        matcher.program.evaluate(indexes, event, &mut self.table, &mut self.verdicts, &mut self.looked_at, held);
    }

    /// Which rules an event of this log source goes to, and under which names its fields are.
    fn plan(&mut self, matcher: &Matcher, source: &LogSource) -> Arc<Plan> {
        if let Some((_, plan)) = self.latest.as_ref().filter(|(latest, _)| latest == source) {
            return Arc::clone(plan);
        }
        let plan = match self.plans.get(source) {
            Some(plan) => Arc::clone(plan),
            None => {
                let program = &matcher.program;
                let groups: Vec<u32> = (0..)
                    .zip(&program.groups)
                    .filter_map(|(index, group)| fits(&group.source, source).then_some(index))
                    .collect();
                let slots = matcher.names.len();
                let indexes =
                    if groups.is_empty() { Parts::new() } else { matcher.indexes.get(program, &groups, slots) };
                let plan = Arc::new(Plan { profile: Profile::new(&matcher.names, source), indexes });
                if self.plans.len() >= PLANS_MAX {
                    self.plans.clear();
                }
                self.plans.insert(source.clone(), Arc::clone(&plan));
                plan
            }
        };
        self.latest = Some((source.clone(), Arc::clone(&plan)));
        plan
    }
}

/// A dimension that the rule names must be there and equal; one that it does not name is free.
pub(super) fn fits(rule: &RuleSource, event: &LogSource) -> bool {
    let same = |wanted: &Option<CompactString>, mut found: Box<dyn Iterator<Item = &str> + '_>| match wanted {
        None => true,
        Some(wanted) => found.any(|found| wanted.as_str() == found || *wanted == found.to_lowercase()),
    };
    same(&rule.product, Box::new(event.product.as_deref().into_iter()))
        && same(&rule.service, Box::new(event.services()))
        && same(&rule.category, Box::new(event.categories.iter().map(CompactString::as_str)))
}
