//! Events in, findings out.
//!
//! An [`Engine`] is made once from a set of rules and then fed with batches. It does no I/O and reads no clock: time
//! is that of the events. To change rules, make a new engine (and [`Engine::warm`] it with recent events if it has
//! correlations), then put it in the place of the old one.

mod before;
mod behaviour;
mod correlation;
mod crossing;
mod explain;
mod fields;
mod index;
mod literals;
mod matcher;
mod parallel;
mod program;
mod proof;
mod snapshot;
mod window;
mod windows;

use std::sync::Arc;
use std::time::Duration;

use canh_schema::{Event, EventBatch, Explained, Finding, FindingId, Proof, RuleId, RuleInfo, Timestamp};
use compact_str::CompactString;

use self::before::{Recalled, States};
use self::behaviour::Behaviours;
use self::correlation::{Correlations, FeederName};
use self::crossing::{Crossing, EventRef, Subject};
use self::fields::FieldNames;
use self::index::Indexes;
use self::matcher::{Held, Look, Matcher};
use self::parallel::Helpers;
use self::program::ProgramBuilder;
use self::proof::Extent;
pub use self::snapshot::SnapshotError;
use crate::diagnostic::RuleError;
use crate::indicator::{IndicatorClaim, IndicatorSource};
use crate::mapping::MAPPING_VERSION;
use crate::rule::{RuleKind, RuleSet};

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
    /// Every window that holds is a finding, not only the first of those that follow each other. For judging again.
    pub every_window: bool,
}

impl Default for CorrelationLimits {
    fn default() -> Self {
        Self {
            groups_per_rule: 50_000,
            entries_per_group: 10_000,
            entries_per_rule: 200_000,
            lateness: Duration::from_secs(300),
            every_window: false,
        }
    }
}

#[derive(Clone, Debug)]
pub struct EngineConfig {
    pub correlation: CorrelationLimits,
    /// Threads that hold the events of a large batch against the rules. What follows from that is one after the other, so
    /// that the findings do not depend on it.
    pub threads: usize,
    /// What rules of the kind `indicator` ask. Without it they never fire.
    pub indicators: Option<Arc<dyn IndicatorSource>>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self { correlation: CorrelationLimits::default(), threads: 1, indicators: None }
    }
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
    matcher: Matcher,
    /// One for each thread; there is at least one.
    looks: Vec<Look>,
    helpers: Helpers,
    correlations: Correlations,
    behaviours: Behaviours,
    /// Of behaviour rules that fed correlations.
    states: States,
    recalled: Recalled,
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

impl Engine {
    /// Compiles the rules. Those that cannot work together with the others (a correlation over a rule that is not
    /// there) are left out and listed in [`Engine::problems`].
    pub fn new(mut rules: RuleSet, config: EngineConfig) -> Self {
        rules.link();
        let mut names = FieldNames::new();
        let mut program = ProgramBuilder::default();
        let mut correlations = Correlations::default();
        let mut behaviours = Behaviours::default();
        let mut fed_by: Vec<Box<[u32]>> = Vec::with_capacity(rules.rules.len());
        for (index, rule) in (0_u32..).zip(&rules.rules) {
            let feeders = feeders(&rules, rule.kind.feeders().0);
            match &rule.kind {
                RuleKind::Event(event_rule) => {
                    let narrowed = rules.narrowed(rule, event_rule);
                    program.add(index, &narrowed, &mut names);
                }
                RuleKind::Correlation(correlation) => correlations.add(index, correlation, &feeders, &mut names),
                RuleKind::Behaviour(behaviour) => behaviours.add(index, behaviour, &feeders, &mut names),
            }
            fed_by.push(feeders.iter().map(|feeder| feeder.rule).collect());
        }
        behaviours.ask(config.indicators.clone());
        let matcher = Matcher { names, program: program.build(), indexes: Indexes::default() };
        let helpers = Helpers::new(config.threads);
        let looks = (0..=helpers.count()).map(|_| Look::new(&matcher)).collect();
        let quiet = rules.quiet();
        let engine_rules =
            (0_u32..).zip(&rules.rules).zip(quiet).zip(fed_by).map(|(((index, rule), quiet), feeders)| EngineRule {
                info: Arc::clone(&rule.info),
                feeders,
                raises: !quiet,
                feeds: correlations.is_fed_by(index) || behaviours.is_fed_by(index),
            });
        Self {
            rules: engine_rules.collect(),
            problems: rules.errors,
            config,
            matcher,
            looks,
            helpers,
            correlations,
            behaviours,
            states: States::default(),
            recalled: Recalled::default(),
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
        EngineStats { rule_evaluations: self.looks.iter().map(|look| look.looked_at).sum(), ..self.stats }
    }

    /// Appends what the rules find in the batch to `out`.
    pub fn evaluate(&mut self, batch: &EventBatch, out: &mut Vec<Finding>) {
        drop(self.behaviours.take_claims());
        self.take(&batch.events, Some(out));
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
        self.take(&batch.events, None);
        drop(self.behaviours.take_claims());
    }

    /// The values of the last batch that indicator rules took, also those that they did not say again. Rules that only feed
    /// others take none.
    pub fn take_claims(&mut self) -> Vec<IndicatorClaim> {
        let claims = self.behaviours.take_claims();
        let raised =
            claims.into_iter().filter(|claim| self.rules.get(claim.rule as usize).is_some_and(|rule| rule.raises));
        raised.map(|claim| IndicatorClaim { event: claim.event, value: claim.value }).collect()
    }

    /// How much the indexes hold that were made for the kinds of events that came, in items. It is bounded.
    pub fn index_items(&self) -> usize {
        self.matcher.indexes.items()
    }

    /// Rules over single events that hold for this one. Changes no memory and no counts.
    pub fn holding(&mut self, event: &Event) -> Vec<RuleId> {
        let mut held = Vec::new();
        if let Some(look) = self.looks.first_mut() {
            look.holding(&self.matcher, event, &mut held);
        }
        held.into_iter().filter_map(|held| Some(self.rules.get(held.rule as usize)?.info.id.clone())).collect()
    }

    fn take(&mut self, events: &[Event], mut out: Option<&mut Vec<Finding>>) {
        self.stats.events += events.len() as u64;
        if self.is_worth_helpers(events) {
            self.take_in_parallel(events, out);
            return;
        }
        let mut held = Vec::new();
        for event in events {
            let Some(look) = self.looks.first_mut() else { return };
            look.holding(&self.matcher, event, &mut held);
            if held.is_empty() {
                continue;
            }
            if let Some(out) = out.as_deref_mut() {
                let before = out.len();
                out.extend(held.iter().filter_map(|held| found(&self.rules, &self.matcher, *held, event, look)));
                self.stats.findings += (out.len() - before) as u64;
            }
            self.feed(event, held.drain(..).map(|held| held.rule), out.as_deref_mut());
        }
    }

    /// What follows for the rules with a memory when these rules hold for the event in the first table.
    fn feed(&mut self, event: &Event, held: impl Iterator<Item = u32>, out: Option<&mut Vec<Finding>>) {
        let mut fed: Vec<u32> =
            held.filter(|rule| self.rules.get(*rule as usize).is_some_and(|rule| rule.feeds)).collect();
        if !fed.is_empty() {
            let crossings = self.remember(event, &mut fed);
            self.report(crossings, out);
        }
    }

    /// Feeds the rules with a memory. A behaviour rule that holds may feed correlations in turn.
    fn remember(&mut self, event: &Event, fed: &mut Vec<u32>) -> Vec<Crossing> {
        let mut crossings: Vec<Crossing> = Vec::new();
        let limits = &self.config.correlation;
        let Some(Look { table, .. }) = self.looks.first() else { return crossings };
        for (rule, state) in self.recalled.take(event.id) {
            self.behaviours.recall(rule, &state);
        }
        for rule in fed.iter() {
            self.behaviours.feed(*rule, event, table, limits, &mut self.stats, &mut crossings);
        }
        for crossing in &crossings {
            if let Some(state) = crossing.remembered.as_deref().filter(|_| self.correlations.is_fed_by(crossing.rule)) {
                self.states.push(crossing.rule, event.id, state);
            }
        }
        let unusual = crossings.len();
        fed.extend(crossings.iter().map(|crossing| crossing.rule));
        for rule in fed {
            self.correlations.feed(*rule, event, table, limits, &mut self.stats, &mut crossings);
        }
        for crossing in crossings.iter_mut().skip(unusual) {
            crossing.remembered = self.states.of(&crossing.events, |rule| id_of(&self.rules, rule));
        }
        crossings
    }

    fn report(&mut self, crossings: Vec<Crossing>, mut out: Option<&mut Vec<Finding>>) {
        for crossing in crossings {
            let Some(rule) = self.rules.get(crossing.rule as usize).filter(|rule| rule.raises) else { continue };
            if let Some(out) = out.as_deref_mut() {
                let condition = Explained::held(&crossing.matches);
                let Crossing { time, events, subject, matches, remembered, .. } = crossing;
                let mut finding = finding(&rule.info, subject, time, events, matches, condition);
                finding.proof.remembered = remembered;
                out.push(finding);
                self.stats.findings += 1;
            }
        }
    }
}

fn id_of(rules: &[EngineRule], rule: u32) -> Option<&str> {
    rules.get(rule as usize).map(|rule| rule.info.id.as_str())
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

/// The finding of a rule that holds for the event in the table, unless it only feeds others.
fn found(rules: &[EngineRule], matcher: &Matcher, held: Held, event: &Event, look: &mut Look) -> Option<Finding> {
    let rule = rules.get(held.rule as usize).filter(|rule| rule.raises)?;
    let condition = proof::explain(matcher.program.condition(held.root), event, &mut look.table, Extent::Decisive);
    let matches = proof::matches(&condition);
    Some(finding(&rule.info, Subject::of(event), event.time, vec![EventRef::of(event)], matches, condition))
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
        proof: Proof { mapping_version: MAPPING_VERSION, condition, event_hashes, remembered: None },
    }
}
