//! What a rule would have found in events of the past. The caller brings the events, in any order.

use canh_schema::{Event, EventBatch, Finding, Position, Timestamp};

use crate::engine::{Engine, EngineConfig};
use crate::rule::{RuleKind, RuleSet, RuleSource};

/// Events that matter to the rules and are kept until the end; of more, the oldest that are offered count as left out.
pub const EVENTS_MAX: usize = 500_000;

/// One run over the past.
#[derive(Debug)]
pub struct Backtest {
    rules: RuleSet,
    config: EngineConfig,
    engine: Engine,
    kept: Vec<Event>,
    left_out: u64,
    offered: u64,
}

/// What came of a run.
#[derive(Debug)]
pub struct Backtested {
    /// In the order in which they would have come.
    pub findings: Vec<Finding>,
    pub events_offered: u64,
    /// Events that some rule held for.
    pub events_kept: u64,
    /// Such events that there was no room for; then the result is too small.
    pub events_left_out: u64,
}

impl Backtest {
    pub fn new(rules: RuleSet, config: EngineConfig) -> Self {
        let engine = Engine::new(rules.clone(), config.clone());
        Self { rules, config, engine, kept: Vec::new(), left_out: 0, offered: 0 }
    }

    /// Log sources that the rules look at, so that the caller need not bring other events.
    pub fn sources(&self) -> Vec<RuleSource> {
        let source = |kind: &RuleKind| match kind {
            RuleKind::Event(rule) => Some(rule.source.clone()),
            RuleKind::Correlation(_) | RuleKind::Behaviour(_) => None,
        };
        let mut sources: Vec<RuleSource> = Vec::new();
        for found in self.rules.rules.iter().filter_map(|rule| source(&rule.kind)) {
            if !sources.contains(&found) {
                sources.push(found);
            }
        }
        sources
    }

    /// Looks at one event. Events for which no rule over single events holds change nothing, so they are not kept.
    pub fn offer(&mut self, event: &Event) {
        self.offered += 1;
        if self.engine.holding(event).is_empty() {
            return;
        }
        if self.kept.len() < EVENTS_MAX {
            self.kept.push(event.clone());
        } else {
            self.left_out += 1;
        }
    }

    /// Events kept so far.
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Runs the rules over what was kept as if it came now, in the order in which it was received.
    pub fn finish(mut self) -> Backtested {
        self.kept.sort_by_key(|event| (event.received, event.id));
        let mut engine = Engine::new(self.rules, self.config);
        let mut findings = Vec::new();
        let events_kept = self.kept.len() as u64;
        let mut ticked = Timestamp::MIN;
        for event in self.kept {
            // What should have come before this event and did not.
            if event.received.secs() > ticked.secs() {
                ticked = event.received;
                engine.tick(ticked, &mut findings);
            }
            engine.evaluate(&EventBatch::new(Position::START, vec![event]), &mut findings);
        }
        Backtested { findings, events_offered: self.offered, events_kept, events_left_out: self.left_out }
    }
}
