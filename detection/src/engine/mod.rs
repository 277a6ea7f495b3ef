//! Events in, findings out.
//!
//! An [`Engine`] is made once from a set of rules and then fed with batches. It does no I/O and reads no clock: time
//! is that of the events. To change rules, make a new engine (and [`Engine::warm`] it with recent events if it has
//! correlations), then put it in the place of the old one.

mod correlation;
mod fields;
mod group;
mod literals;
mod proof;
mod window;

use std::sync::Arc;
use std::time::Duration;

use canh_schema::{Event, EventBatch, Finding, FindingId, LogSource, RuleInfo, field};
use compact_str::CompactString;
use rustc_hash::FxHashMap;

use self::correlation::{Correlations, Crossing, FeederName};
use self::fields::{FieldNames, Profile, Table};
use self::group::{Group, GroupBuilder, Verdicts};
use crate::diagnostic::RuleError;
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
    stats: EngineStats,
}

#[derive(Debug)]
struct EngineRule {
    info: Arc<RuleInfo>,
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
        for (index, rule) in (0_u32..).zip(&rules.rules) {
            match &rule.kind {
                RuleKind::Event(event_rule) => {
                    let narrowed = rules.narrowed(rule, event_rule);
                    let group = *by_source.entry(event_rule.source.clone()).or_insert_with(|| {
                        builders.push(GroupBuilder::new(event_rule.source.clone()));
                        builders.len() - 1
                    });
                    builders[group].add(index, &narrowed, &mut names);
                }
                RuleKind::Correlation(correlation) => {
                    let feeders: Vec<FeederName> = correlation
                        .rules
                        .iter()
                        .filter_map(|reference| {
                            let (index, rule) = rules.find(reference)?;
                            let id = CompactString::from(rule.info.id.as_str());
                            let names = [Some(reference.clone()), Some(id), rule.name.clone()];
                            let rule = u32::try_from(index).ok()?;
                            Some(FeederName { rule, names: names.into_iter().flatten().collect() })
                        })
                        .collect();
                    correlations.add(index, correlation, &feeders, &mut names);
                }
            }
        }
        let slots = names.len();
        let groups = builders.into_iter().map(|builder| builder.build(slots)).collect();
        let quiet = rules.quiet();
        let engine_rules = (0_u32..).zip(&rules.rules).zip(quiet).map(|((index, rule), quiet)| EngineRule {
            info: Arc::clone(&rule.info),
            raises: !quiet,
            feeds: correlations.is_fed_by(index),
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
            stats: EngineStats::default(),
        }
    }

    /// Everything that did not load, with the errors of the rule set that the engine was made from.
    pub fn problems(&self) -> &[RuleError] {
        &self.problems
    }

    /// The rules that run.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Arc<RuleInfo>> {
        self.rules.iter().map(|rule| &rule.info)
    }

    /// Whether what the engine finds in an event may depend on the events before it.
    pub fn remembers(&self) -> bool {
        !self.correlations.is_empty()
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

    /// Takes the batch into the memory of the correlations and finds nothing. After a restart, the events of the
    /// longest timespan before the cursor are given here, oldest first.
    pub fn warm(&mut self, batch: &EventBatch) {
        for event in &batch.events {
            self.evaluate_event(event, None);
        }
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
                    let matches = proof::prove(group.hit(root), event, &mut self.table);
                    out.push(finding(&rule.info, event, event.time, vec![event.id], matches));
                    self.stats.findings += 1;
                }
            }
        }
        if !fed.is_empty() {
            self.correlate(event, &fed, out);
        }
    }

    fn correlate(&mut self, event: &Event, fed: &[u32], mut out: Option<&mut Vec<Finding>>) {
        let mut crossings: Vec<Crossing> = Vec::new();
        for rule in fed {
            let limits = &self.config.correlation;
            self.correlations.feed(*rule, event, &self.table, limits, &mut self.stats, &mut crossings);
        }
        for crossing in crossings {
            let Some(rule) = self.rules.get(crossing.rule as usize).filter(|rule| rule.raises) else { continue };
            if let Some(out) = out.as_deref_mut() {
                out.push(finding(&rule.info, event, crossing.time, crossing.events, crossing.matches));
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

fn finding(
    rule: &RuleInfo,
    event: &Event,
    time: canh_schema::Timestamp,
    events: Vec<canh_schema::EventId>,
    matches: Vec<canh_schema::FieldMatch>,
) -> Finding {
    let text = |id| event.get(id).and_then(canh_schema::Value::as_text).map(CompactString::from);
    Finding {
        id: FindingId::new(&rule.id, &events),
        rule: rule.clone(),
        time,
        events,
        host: text(field::HOST_NAME),
        user: text(field::USER_NAME),
        source_ip: text(field::SOURCE_IP),
        matches,
    }
}
