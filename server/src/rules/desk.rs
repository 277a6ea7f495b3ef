//! Judges single events and the past for the console, by the text of a rule.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use canh_console::desk::{BacktestOutcome, BacktestRun, RuleDesk, SampleOutcome};
use canh_detection::backtest::Backtest;
use canh_detection::{Engine, EngineConfig, IndicatorSource, Pipelines, RuleSet, RuleSource};
use canh_schema::{Event, Explanation, RuleId};
use tokio::sync::{Notify, watch};

use super::samples::{Expected, RULE_FILE, RuleFolder, Runner, Sample};

pub(crate) struct Desk {
    indicators: Arc<dyn IndicatorSource>,
    /// Where the loaded rules were read from.
    rule_files: watch::Receiver<RuleFiles>,
    /// Asks for the rules to be loaded again.
    reload: Arc<Notify>,
}

/// Where loaded rules were read from, and what changed them. Replaced when rules are loaded again.
#[derive(Clone, Default)]
pub(crate) struct RuleFiles {
    pub(crate) files: Arc<HashMap<RuleId, PathBuf>>,
    pub(crate) pipelines: Arc<Pipelines>,
}

impl Desk {
    pub(crate) fn new(
        indicators: Arc<dyn IndicatorSource>,
        rule_files: watch::Receiver<RuleFiles>,
        reload: Arc<Notify>,
    ) -> Self {
        Self { indicators, rule_files, reload }
    }
}

/// Rules read from a text, all of them.
fn read(text: &str) -> Result<RuleSet, Vec<String>> {
    let mut set = RuleSet::from_record("rule.yml", text);
    set.link();
    let mut problems: Vec<String> = set.errors.iter().map(ToString::to_string).collect();
    if problems.is_empty() && set.rules.is_empty() {
        problems.push("there is no rule in this text".to_owned());
    }
    if problems.is_empty() { Ok(set) } else { Err(problems) }
}

impl RuleDesk for Desk {
    fn explain(&self, text: &str, rule: &RuleId, event: &Event) -> Option<Explanation> {
        Engine::new(read(text).ok()?, EngineConfig::default()).explain(rule, event)
    }

    fn backtest(&self, text: &str) -> Result<Box<dyn BacktestRun>, Vec<String>> {
        let config = EngineConfig { indicators: Some(Arc::clone(&self.indicators)), ..EngineConfig::default() };
        Ok(Box::new(Run(Backtest::new(read(text)?, config))))
    }

    fn samples(&self, text: &str, rule: &RuleId) -> Result<Vec<SampleOutcome>, String> {
        let known = self.rule_files.borrow().clone();
        let folder = known.files.get(rule).filter(|file| file.file_name().is_some_and(|name| name == RULE_FILE));
        let folder = folder.and_then(|file| file.parent());
        let Some(folder) = folder.filter(|folder| folder.join(Expected::Fires.file()).is_file()) else {
            return Ok(Vec::new());
        };
        let samples = RuleFolder::load_with(folder, known.pipelines).map_err(|error| format!("{error:#}"))?.samples;
        let rules = read(text).map_err(|problems| problems.join("; "))?;
        let mut runner = Runner::new(&rules);
        let outcome = |sample: &Sample| SampleOutcome {
            about: sample.about.clone(),
            fires: sample.expected == Expected::Fires,
            holds: runner.holds(sample),
        };
        Ok(samples.iter().map(outcome).collect())
    }

    fn reviewed(&self) {
        self.reload.notify_one();
    }
}

struct Run(Backtest);

impl BacktestRun for Run {
    fn hunt(&self) -> String {
        hunt(&self.0.sources())
    }

    fn offer(&mut self, event: &Event) {
        self.0.offer(event);
    }

    fn kept(&self) -> u64 {
        self.0.kept() as u64
    }

    fn finish(self: Box<Self>) -> BacktestOutcome {
        let done = self.0.finish();
        BacktestOutcome { findings: done.findings, left_out: done.events_left_out }
    }
}

/// The hunt for events of any of these log sources.
fn hunt(sources: &[RuleSource]) -> String {
    let one = |source: &RuleSource| {
        let parts = [("product", &source.product), ("service", &source.service), ("category", &source.category)];
        let named = parts.iter().filter_map(|(name, value)| value.as_ref().map(|value| (name, value)));
        named.map(|(name, value)| format!("{name}:\"{}\"", value.replace(['"', '\\'], ""))).collect::<Vec<_>>()
    };
    let each: Vec<Vec<String>> = sources.iter().map(one).collect();
    if each.iter().any(Vec::is_empty) {
        return String::new();
    }
    each.iter().map(|parts| format!("({})", parts.join(" AND "))).collect::<Vec<_>>().join(" OR ")
}

#[cfg(test)]
mod tests {
    use canh_store::Hunt;

    use super::*;

    #[track_caller]
    fn check(sources: &[(Option<&str>, Option<&str>)], expected: &str) {
        let source = |(product, service): &(Option<&str>, Option<&str>)| RuleSource {
            product: product.map(Into::into),
            service: service.map(Into::into),
            category: None,
        };
        let text = hunt(&sources.iter().map(source).collect::<Vec<_>>());
        assert_eq!(text, expected);
        assert!(Hunt::parse(&text).is_ok(), "{text}");
    }

    #[test]
    fn hunts_for_log_sources() {
        check(&[(Some("linux"), Some("sshd"))], "(product:\"linux\" AND service:\"sshd\")");
        check(&[(Some("linux"), None), (None, Some("dns"))], "(product:\"linux\") OR (service:\"dns\")");
        check(&[(Some("linux"), None), (None, None)], "");
        check(&[(Some("a\"b"), None)], "(product:\"ab\")");
    }
}
