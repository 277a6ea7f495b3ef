//! Judges single events and the past for the console, by the text of a rule.

use std::sync::Arc;

use canh_console::desk::{BacktestOutcome, BacktestRun, RuleDesk};
use canh_detection::backtest::Backtest;
use canh_detection::{Engine, EngineConfig, IndicatorSource, RuleSet, RuleSource};
use canh_schema::{Event, Explanation, RuleId};

#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) indicators: Arc<dyn IndicatorSource>,
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
