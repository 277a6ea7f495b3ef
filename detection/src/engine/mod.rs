//! Events in, findings out.
//!
//! An [`Engine`] is made once from a set of rules and then fed with batches. It does no I/O and reads no clock: time
//! is that of the events. To change rules, make a new engine (and [`Engine::warm`] it with recent events if it has
//! correlations), then put it in the place of the old one.

mod behaviour;
mod correlation;
mod crossing;
mod explain;
mod fields;
mod group;
mod literals;
mod proof;
mod snapshot;
mod window;

use std::sync::Arc;
use std::time::Duration;

use canh_schema::{Event, EventBatch, Explained, Finding, FindingId, LogSource, Proof, RuleId, RuleInfo, Timestamp};
use compact_str::CompactString;
use rustc_hash::FxHashMap;

use self::behaviour::Behaviours;
use self::correlation::{Correlations, FeederName};
use self::crossing::{Crossing, EventRef, Subject};
use self::fields::{FieldNames, Profile, Table};
use self::group::{Group, GroupBuilder, Verdicts};
use self::proof::Extent;
pub use self::snapshot::SnapshotError;
use crate::diagnostic::RuleError;
use crate::mapping::MAPPING_VERSION;
use crate::rule::{RuleKind, RuleSet, RuleSource};

/// Kinds of events whose plans are kept; their number is that of log sources, which a sender may invent.
const PLANS_MAX: usize = 4_096;

/// How much memory correlations may use, and how late events may be.
#[derive(Clone, Debug)]
pub struct CorrelationLimits {
    /// Groups (combinations of `group-by` values) of one correlation.
    pub groups_per_rule: usize,
    /// Events remembered for one group.
    pub entries_per_group: usize,
    /// Events remembered for one correlation; about 64 bytes each.
    pub entries_per_rule: usize,
    /// An event that is older than the newest of its group by more than the timespan and this is left out.
    pub lateness: Duration,
}

impl Default for CorrelationLimits {
    fn default() -> Self {
        Self {
            groups_per_rule: 50_000,
            entries_per_group: 10_000,
            entries_per_rule: 200_000,
            lateness: Duration::from_secs(300),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct EngineConfig {
    pub correlation: CorrelationLimits,
}

/// Counts since the engine was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EngineStats {
    pub events: u64,
    /// Rules whose condition was looked at; the index ruled out the others.
    pub rule_evaluations: u64,
    pub findings: u64,
    /// Groups and entries of correlations that went before their time because a limit was reached.
    pub evictions: u64,
    /// Events left out of a correlation because they came too late.
    pub late: u64,
}

/// All rules, compiled.
#[derive(Debug)]
pub struct Engine {
    rules: Vec<EngineRule>,
    problems: Vec<RuleError>,
    config: EngineConfig,
    names: FieldNames,
    groups: Vec<Group>,
    plans: FxHashMap<LogSource, Arc<Plan>>,
    latest: Option<(LogSource, Arc<Plan>)>,
    table: Table,
    verdicts: Verdicts,
    correlations: Correlations,
    behaviours: Behaviours,
    stats: EngineStats,
}

#[derive(Debug)]
struct EngineRule {
    info: Arc<RuleInfo>,
    /// Places of the rules that feed it.
    feeders: Box<[u32]>,
    /// Raises findings; a rule that only feeds correlations does not.
    raises: bool,
    feeds: bool,
}

/// What to do with events of one log source.
#[derive(Debug)]
struct Plan {
    profile: Profile,
    groups: Vec<usize>,
}

impl Engine {
    /// Compiles the rules. Those that cannot work together with the others (a correlation over a rule that is not
    /// there) are left out and listed in [`Engine::problems`].
    pub fn new(mut rules: RuleSet, config: EngineConfig) -> Self {
        rules.link();
        let mut names = FieldNames::new();
        let mut builders: Vec<GroupBuilder> = Vec::new();
        let mut by_source: FxHashMap<RuleSource, usize> = FxHashMap::default();
        let mut correlations = Correlations::default();
        let mut behaviours = Behaviours::default();
        let mut fed_by: Vec<Box<[u32]>> = Vec::with_capacity(rules.rules.len());
        for (index, rule) in (0_u32..).zip(&rules.rules) {
            let feeders = feeders(&rules, rule.kind.feeders().0);
            match &rule.kind {
                RuleKind::Event(event_rule) => {
                    let narrowed = rules.narrowed(rule, event_rule);
                    let group = *by_source.entry(event_rule.source.clone()).or_insert_with(|| {
                        builders.push(GroupBuilder::new(event_rule.source.clone()));
                        builders.len() - 1
                    });
                    builders[group].add(index, &narrowed, &mut names);
                }
                RuleKind::Correlation(correlation) => correlations.add(index, correlation, &feeders, &mut names),
                RuleKind::Behaviour(behaviour) => behaviours.add(index, behaviour, &feeders, &mut names),
            }
            fed_by.push(feeders.iter().map(|feeder| feeder.rule).collect());
        }
        let slots = names.len();
        let groups = builders.into_iter().map(|builder| builder.build(slots)).collect();
        let quiet = rules.quiet();
        let engine_rules = (0_u32..).zip(&rules.rules).zip(quiet).zip(fed_by).map(|(((index, rule), quiet), feeders)| {
            EngineRule {
                info: Arc::clone(&rule.info),
                feeders,
                raises: !quiet,
                feeds: correlations.is_fed_by(index) || behaviours.is_fed_by(index),
            }
        });
        Self {
            rules: engine_rules.collect(),
            problems: rules.errors,
            config,
            names,
            groups,
            plans: FxHashMap::default(),
            latest: None,
            table: Table::new(slots),
            verdicts: Verdicts::default(),
            correlations,
            behaviours,
            stats: EngineStats::default(),
        }
    }

    /// Everything that did not load, with the errors of the rule set that the engine was made from.
    pub fn problems(&self) -> &[RuleError] {
        &self.problems
    }

    /// The rules that run, each with whether it raises findings or only feeds others.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = (&Arc<RuleInfo>, bool)> {
        self.rules.iter().map(|rule| (&rule.info, rule.raises))
    }

    /// Whether what the engine finds in an event may depend on the events before it.
    pub fn remembers(&self) -> bool {
        !self.correlations.is_empty() || !self.behaviours.is_empty()
    }

    pub fn stats(&self) -> EngineStats {
        self.stats
    }

    /// Appends what the rules find in the batch to `out`.
    pub fn evaluate(&mut self, batch: &EventBatch, out: &mut Vec<Finding>) {
        for event in &batch.events {
            self.evaluate_event(event, Some(out));
        }
    }

    /// Appends what follows from time having passed: what should have come and did not. `now` is by the clock that stamps
    /// receipts.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Finding>) {
        let mut crossings = Vec::new();
        self.behaviours.tick(now, &mut crossings);
        self.report(crossings, Some(out));
    }

    /// Takes the batch into the memory of the rules and finds nothing. After a restart, the events since the last snapshot
    /// are given here, oldest first.
    pub fn warm(&mut self, batch: &EventBatch) {
        for event in &batch.events {
            self.evaluate_event(event, None);
        }
    }

    /// Rules over single events that hold for this one. Changes no memory and no counts.
    pub fn holding(&mut self, event: &Event) -> Vec<RuleId> {
        let plan = self.plan(&event.logsource);
        self.table.load(event, &plan.profile);
        let mut hits: Vec<u32> = Vec::new();
        let mut looked_at = 0;
        for group in plan.groups.iter().filter_map(|index| self.groups.get(*index)) {
            group.evaluate(event, &mut self.table, &mut self.verdicts, &mut looked_at, |rule, _| hits.push(rule));
        }
        hits.into_iter().filter_map(|rule| Some(self.rules.get(rule as usize)?.info.id.clone())).collect()
    }

    fn evaluate_event(&mut self, event: &Event, mut out: Option<&mut Vec<Finding>>) {
        self.stats.events += 1;
        let plan = self.plan(&event.logsource);
        if plan.groups.is_empty() {
            return;
        }
        self.table.load(event, &plan.profile);
        let mut fed: Vec<u32> = Vec::new();
        for group in plan.groups.iter().filter_map(|index| self.groups.get(*index)) {
            let mut hits: Vec<(u32, u32)> = Vec::new();
            let looked_at = &mut self.stats.rule_evaluations;
            group.evaluate(event, &mut self.table, &mut self.verdicts, looked_at, |rule, root| hits.push((rule, root)));
            for (index, root) in hits {
                let Some(rule) = self.rules.get(index as usize) else { continue };
                if rule.feeds {
                    fed.push(index);
                }
                if let Some(out) = out.as_deref_mut().filter(|_| rule.raises) {
                    let condition = proof::explain(group.hit(root), event, &mut self.table, Extent::Decisive);
                    let matches = proof::matches(&condition);
                    let here = vec![EventRef::of(event)];
                    out.push(finding(&rule.info, Subject::of(event), event.time, here, matches, condition));
                    self.stats.findings += 1;
                }
            }
        }
        if !fed.is_empty() {
            let crossings = self.remember(event, &mut fed);
            self.report(crossings, out);
        }
    }

    /// Feeds the rules with a memory. A behaviour rule that holds may feed correlations in turn.
    fn remember(&mut self, event: &Event, fed: &mut Vec<u32>) -> Vec<Crossing> {
        let mut crossings: Vec<Crossing> = Vec::new();
        let limits = &self.config.correlation;
        for index in 0..fed.len() {
            self.behaviours.feed(fed[index], event, &self.table, limits, &mut self.stats, &mut crossings);
        }
        fed.extend(crossings.iter().map(|crossing| crossing.rule));
        for rule in fed {
            self.correlations.feed(*rule, event, &self.table, limits, &mut self.stats, &mut crossings);
        }
        crossings
    }

    fn report(&mut self, crossings: Vec<Crossing>, mut out: Option<&mut Vec<Finding>>) {
        for crossing in crossings {
            let Some(rule) = self.rules.get(crossing.rule as usize).filter(|rule| rule.raises) else { continue };
            if let Some(out) = out.as_deref_mut() {
                let condition = crossing.condition();
                let Crossing { time, events, subject, matches, .. } = crossing;
                out.push(finding(&rule.info, subject, time, events, matches, condition));
                self.stats.findings += 1;
            }
        }
    }

    /// Which groups an event of this log source goes to, and under which names its fields are.
    fn plan(&mut self, source: &LogSource) -> Arc<Plan> {
        if let Some((_, plan)) = self.latest.as_ref().filter(|(latest, _)| latest == source) {
            return Arc::clone(plan);
        }
        let plan = match self.plans.get(source) {
            Some(plan) => Arc::clone(plan),
            None => {
                let fits = |(index, group): (usize, &Group)| fits(&group.source, source).then_some(index);
                let groups = self.groups.iter().enumerate().filter_map(fits).collect();
                let plan = Arc::new(Plan { profile: Profile::new(&self.names, source), groups });
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
fn fits(rule: &RuleSource, event: &LogSource) -> bool {
    let same = |wanted: &Option<CompactString>, mut found: Box<dyn Iterator<Item = &str> + '_>| match wanted {
        None => true,
        Some(wanted) => found.any(|found| wanted.as_str() == found || *wanted == found.to_lowercase()),
    };
    same(&rule.product, Box::new(event.product.as_deref().into_iter()))
        && same(&rule.service, Box::new(event.services()))
        && same(&rule.category, Box::new(event.categories.iter().map(CompactString::as_str)))
}

/// The rules of these names, with all names that they go by.
fn feeders(rules: &RuleSet, references: &[CompactString]) -> Vec<FeederName> {
    let feeder = |reference: &CompactString| {
        let (index, rule) = rules.find(reference)?;
        let id = CompactString::from(rule.info.id.as_str());
        let names = [Some(reference.clone()), Some(id), rule.name.clone()];
        let rule = u32::try_from(index).ok()?;
        Some(FeederName { rule, names: names.into_iter().flatten().collect() })
    };
    references.iter().filter_map(feeder).collect()
}

fn finding(
    rule: &RuleInfo,
    subject: Subject,
    time: Timestamp,
    events: Vec<EventRef>,
    matches: Vec<canh_schema::FieldMatch>,
    condition: Explained,
) -> Finding {
    let event_hashes = events.iter().map(|event| event.hash).collect();
    let events: Vec<_> = events.into_iter().map(|event| event.id).collect();
    Finding {
        id: FindingId::new(&rule.id, &events),
        rule: rule.clone(),
        time,
        events,
        host: subject.host,
        user: subject.user,
        source_ip: subject.source_ip,
        matches,
        proof: Proof { mapping_version: MAPPING_VERSION, condition, event_hashes },
    }
}
