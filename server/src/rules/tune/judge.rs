//! Proposals that were judged by the engine: every alert and sample that must be kept fires with the filter in force.

use std::time::Duration;

use canh_detection::{CorrelationLimits, Engine, EngineConfig, RuleSet};
use canh_ioc::Indicator;
use canh_schema::{Event, EventBatch, Position, RuleId, Timestamp};

use super::document::document;
use super::search::{Pairs, common, pairs_of, search};
use crate::indicator_rules::{Fixed, of_proof};
use crate::rules::samples::{Runner, Sample};

/// Longer than anything is waited for.
const AGES: Duration = Duration::from_secs(400 * 86_400);

/// An alert with the events of its newest finding.
#[derive(Clone, Debug, Default)]
pub(super) struct Case {
    pub(super) alert: u64,
    pub(super) events: Vec<Event>,
    /// What is known of the events of its earlier findings.
    pub(super) earlier: Vec<Pairs>,
    /// Those that its proof names.
    pub(super) indicators: Vec<Indicator>,
}

/// The alerts of a rule by what people decided about them.
#[derive(Debug, Default)]
pub(super) struct Cases {
    /// Closed as false positive or benign.
    pub(super) noise: Vec<Case>,
    /// Closed as true positive.
    pub(super) keep: Vec<Case>,
    pub(super) unknown: Vec<Case>,
}

/// A filter that keeps what must be kept.
#[derive(Debug)]
pub(super) struct Proposal {
    pub(super) text: String,
    /// Alerts of noise that do not fire with it.
    pub(super) noise: usize,
    /// Alerts without a decision that do not fire with it.
    pub(super) unknown: Vec<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) proposals: Vec<Proposal>,
    /// Alerts and samples that were judged.
    pub(super) noise: usize,
    pub(super) keep: usize,
    pub(super) samples: usize,
    /// Alerts of noise and without a decision that do not fire again even without a filter.
    pub(super) left_out: usize,
    /// The same of true positives: nothing can be proved about these.
    pub(super) unproven: Vec<u64>,
}

/// A rule, with filters or without.
struct Judge {
    set: RuleSet,
    rule: RuleId,
    engine: Option<Engine>,
}

impl Judge {
    fn new(text: &str, rule: &RuleId) -> anyhow::Result<Self> {
        let mut set = RuleSet::from_text("rule", text);
        set.link();
        let errors: Vec<String> = set.errors.iter().map(ToString::to_string).collect();
        anyhow::ensure!(errors.is_empty(), "the rule `{rule}` does not load: {}", errors.join("\n"));
        Ok(Self { set, rule: rule.clone(), engine: None })
    }

    fn fires(&mut self, case: &Case) -> bool {
        let events = &case.events;
        let mut engine = self.engine.take().unwrap_or_else(|| {
            // The window that was reported may follow others that hold, which are not reported twice in the stream.
            let correlation = CorrelationLimits { every_window: true, ..CorrelationLimits::default() };
            let indicators = Some(Fixed::source(of_proof(&case.indicators)));
            Engine::new(self.set.clone(), EngineConfig { correlation, indicators, ..EngineConfig::default() })
        });
        let mut found = Vec::new();
        engine.evaluate(&EventBatch::new(Position::new(1), events.clone()), &mut found);
        if engine.remembers() {
            // An absence shows only when time passes.
            let last = events.iter().map(|event| event.received).max().unwrap_or(Timestamp::MIN);
            engine.tick(last + AGES, &mut found);
        }
        self.engine = (!engine.remembers()).then_some(engine);
        found.iter().any(|finding| finding.rule.id == self.rule)
    }

    fn fires_on(&self, samples: &[&Sample]) -> bool {
        let mut runner = Runner::new(&self.set);
        samples.iter().all(|sample| runner.fired(sample).contains(&self.rule))
    }
}

/// Searches, and judges with what was found. `text` is the rule with everything that its verdict depends on.
pub(super) fn propose(text: &str, rule: &RuleId, cases: Cases, samples: &[&Sample]) -> anyhow::Result<Outcome> {
    let mut plain = Judge::new(text, rule)?;
    anyhow::ensure!(
        samples.iter().all(|sample| plain.fires_on(&[*sample])),
        "not every positive sample fires with the rule as the server has it; is the folder of another version?"
    );
    let mut again = |cases: Vec<Case>| -> (Vec<Case>, Vec<Case>) {
        cases.into_iter().partition(|case| !case.events.is_empty() && plain.fires(case))
    };
    let (noise, noise_lost) = again(cases.noise);
    let (unknown, unknown_lost) = again(cases.unknown);
    let (keep, keep_lost) = again(cases.keep);
    let mut outcome = Outcome {
        noise: noise.len(),
        keep: keep.len(),
        samples: samples.len(),
        left_out: noise_lost.len() + unknown_lost.len(),
        unproven: keep_lost.iter().map(|case| case.alert).collect(),
        ..Outcome::default()
    };
    if keep.is_empty() && samples.is_empty() {
        return Ok(outcome);
    }
    let of = |cases: &[Case]| -> Vec<Pairs> { cases.iter().map(|case| common(&case.events)).collect() };
    let mut never: Vec<Pairs> = Vec::new();
    for case in keep.iter().chain(&keep_lost) {
        never.extend(case.events.iter().map(pairs_of));
        never.extend(case.earlier.iter().cloned());
    }
    never.extend(samples.iter().flat_map(|sample| &sample.events.events).map(pairs_of));
    for selected in search(&of(&noise), &never, &of(&unknown)) {
        let filter = document(&plain.set, rule, &selected);
        let Ok(mut judge) = Judge::new(&format!("{}\n---\n{filter}", text.trim_end()), rule) else { continue };
        if !judge.fires_on(samples) || !keep.iter().all(|case| judge.fires(case)) {
            continue;
        }
        let taken = noise.iter().filter(|case| !judge.fires(case)).count();
        let doubtful = unknown.iter().filter(|case| !judge.fires(case)).map(|case| case.alert).collect();
        if taken > 0 {
            outcome.proposals.push(Proposal { text: filter, noise: taken, unknown: doubtful });
        }
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use canh_schema::{BatchId, EventId, Value, field};

    use super::*;

    const ONE: &str = "title: T\nid: one\nlogsource: {product: linux}\ndetection: {s: {k: x}, condition: s}\n";
    const MANY: &str = "title: T\nid: base\nlogsource: {product: linux}\ndetection: {s: {k: x}, condition: s}\n---\n\
                        title: M\nid: many\ncorrelation:\n  type: event_count\n  rules: [base]\n  timespan: 1h\n  \
                        condition: {gte: 2}\n";

    /// Alerts, each with the words of its events: `host user`.
    fn cases(first: u64, alerts: &[&[&str]]) -> Vec<Case> {
        let event = |number: usize, words: &str| {
            let (host, user) = words.split_once(' ').expect("two words");
            let id = EventId::new(BatchId::from_journal(1, 1), number as u32);
            let mut event = Event::new(id, Timestamp::from_secs(1_000 + number as i64), Bytes::from_static(b"raw"));
            event.logsource.product = Some("linux".into());
            event.attrs.push(("k".into(), Value::text("x")));
            event.set(field::HOST_NAME, Value::text(host));
            event.set(field::USER_NAME, Value::text(user));
            event
        };
        let case = |(alert, words): (u64, &&[&str])| Case {
            alert,
            events: words.iter().enumerate().map(|(number, words)| event(number, words)).collect(),
            indicators: Vec::new(),
            earlier: Vec::new(),
        };
        (first..).zip(alerts).map(case).collect()
    }

    fn outcome(text: &str, rule: &str, noise: &[&[&str]], keep: &[&[&str]], unknown: &[&[&str]]) -> Outcome {
        let cases = Cases { noise: cases(1, noise), keep: cases(100, keep), unknown: cases(200, unknown) };
        propose(text, &RuleId::new(rule), cases, &[]).expect("the rule loads")
    }

    #[test]
    fn the_engine_confirms_what_was_found() {
        let noise: &[&[&str]] = &[&["a backup"], &["a backup"], &["b backup"]];
        let found = outcome(ONE, "one", noise, &[&["a root"]], &[&["c backup"], &["c root"]]);
        assert_eq!((found.noise, found.keep, found.left_out), (3, 1, 0));
        let first = &found.proposals[0];
        assert!(first.text.contains("user.name: 'backup'"), "{}", first.text);
        assert_eq!((first.noise, first.unknown.as_slice()), (3, &[200][..]));
        assert!(found.proposals.iter().skip(1).any(|next| next.noise == 2 && next.unknown.is_empty()));
    }

    #[test]
    fn a_rule_over_others_is_narrowed_where_it_is_fed() {
        let noise: &[&[&str]] = &[&["a u", "a v"], &["a u", "a u"]];
        let found = outcome(MANY, "many", noise, &[&["b u", "b v"]], &[]);
        assert!(found.proposals[0].text.contains("    - 'base'\n"), "{}", found.proposals[0].text);
        assert_eq!(found.proposals[0].noise, 2);
    }

    #[test]
    fn nothing_is_proposed_that_would_take_a_true_positive() {
        let found = outcome(ONE, "one", &[&["a u"], &["a u"]], &[&["a u"]], &[]);
        assert!(found.proposals.is_empty());
        // Nor if nothing says what must be kept.
        assert!(outcome(ONE, "one", &[&["a u"], &["a u"]], &[], &[]).proposals.is_empty());
    }

    #[test]
    fn what_cannot_be_judged_again_is_said_and_still_protected() {
        // One event is below the limit of two: this true positive does not fire again.
        let noise: &[&[&str]] = &[&["a u", "a u"], &["a u", "a u"]];
        let found = outcome(MANY, "many", noise, &[&["a w"], &["b u", "b u"]], &[&["a u"]]);
        assert_eq!((found.unproven.as_slice(), found.left_out), (&[100][..], 1));
        assert!(found.proposals.iter().all(|next| next.text.contains("user.name: 'u'")), "{found:?}");
    }
}
