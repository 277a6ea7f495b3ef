//! What stored events hold of the new indicators: first the rules of the kind `indicator`, then the rest without a rule, as in
//! the stream.

use std::collections::HashSet;
use std::sync::Arc;

use canh_detection::{Engine, EngineConfig, IndicatorMatch, IndicatorQuery, IndicatorSource, RuleSet};
use canh_ioc::{Expired, IndicatorSet};
use canh_schema::{Event, EventBatch, Finding, FindingId, Position, RuleId};
use compact_str::{CompactString, format_compact};

use super::fingerprint;
use crate::indicator_rules::{self, RETRO};

/// What marks alerts that come of a look back.
const TAG: &str = "canh.retro-hunt";

pub(super) struct Judge {
    set: Arc<IndicatorSet>,
    new: Arc<HashSet<u64>>,
    engine: Engine,
    /// Findings without a rule that were made.
    said: HashSet<FindingId>,
}

/// Only the indicators that are new.
#[derive(Debug)]
struct OnlyNew {
    set: Arc<IndicatorSet>,
    new: Arc<HashSet<u64>>,
}

impl IndicatorSource for OnlyNew {
    fn matches(&self, event: &Event, query: &IndicatorQuery<'_>) -> Vec<IndicatorMatch> {
        indicator_rules::matches_where(&self.set, event, query, &|indicator| self.new.contains(&fingerprint(indicator)))
    }
}

impl Judge {
    pub(super) fn new(set: &Arc<IndicatorSet>, new: &Arc<HashSet<u64>>, rules: &[String]) -> Self {
        let mut all = RuleSet::default();
        // Rules that share what feeds them bring it twice; the second is left out when they are linked.
        rules.iter().for_each(|text| all.merge(RuleSet::from_record("rule.yml", text)));
        let source = OnlyNew { set: Arc::clone(set), new: Arc::clone(new) };
        let config = EngineConfig { indicators: Some(Arc::new(source)), ..EngineConfig::default() };
        let engine = Engine::new(all, config);
        Self { set: Arc::clone(set), new: Arc::clone(new), engine, said: HashSet::new() }
    }

    pub(super) fn findings(&mut self, events: Vec<Event>) -> Vec<Finding> {
        let batch = EventBatch::new(Position::START, events);
        let mut found = Vec::new();
        self.engine.evaluate(&batch, &mut found);
        // Rules over single events that feed these may raise findings of their own, which the stream has made.
        found.retain(|finding| finding.matches.iter().any(|line| line.selection == "indicator"));
        let taken: HashSet<_> = self.engine.take_claims().into_iter().map(|claim| (claim.event, claim.value)).collect();
        for event in &batch.events {
            for one in self.set.evaluate_with(event, event.time, Expired::Skip) {
                if self.new.contains(&fingerprint(&one.indicator))
                    && !taken.contains(&(event.id, one.value.clone()))
                    && self.said.insert(canh_ioc::finding_id(event, &one))
                {
                    found.push(canh_ioc::finding(event, &one));
                }
            }
        }
        found.into_iter().map(marked).collect()
    }
}

/// The finding has the id that it would have had in the stream, so that one that was made is not made again. Its rule is
/// another one, so that it is an alert of its own and is seen to come of a look back.
fn marked(mut finding: Finding) -> Finding {
    finding.rule.id = RuleId::new(format_compact!("{RETRO}{}", finding.rule.id));
    finding.rule.title = format_compact!("Retro-hunt: {}", finding.rule.title);
    finding.rule.tags.push(CompactString::const_new(TAG));
    finding
}

#[cfg(test)]
mod tests {
    use canh_ioc::{Builder, LoadOptions};
    use canh_schema::{EventId, Timestamp, Value, field};

    use super::*;

    const RULE: &str = "title: base\nname: base\nlogsource: {category: dns}\n\
        detection: {s: {dns.question.name|contains: .}, condition: s}\n---\ntitle: asked\nid: asked\nlevel: high\n\
        correlation:\n  type: indicator\n  rules: [base]\n  condition: {indicator: domain}\n";

    fn event(number: u8, name: &str, category: &str) -> Event {
        let mut event = Event::new(EventId::from_bytes([number; 16]), Timestamp::from_secs(9), Default::default());
        event.time = Timestamp::from_secs(i64::from(number));
        event.logsource.categories.push(category.into());
        event.set(field::HOST_NAME, Value::from("h"));
        event.set(field::DNS_QUESTION_NAME, Value::from(name));
        event
    }

    #[test]
    fn new_indicators_alone_are_found_by_rules_and_without() {
        let mut builder = Builder::new(LoadOptions::default());
        builder.add_text("l.txt", "old.example\nevil.example\n");
        let set = Arc::new(builder.finish().0);
        let new = set.iter().filter(|one| one.value == "evil.example").map(|one| fingerprint(&one));
        let mut judge = Judge::new(&set, &Arc::new(new.collect()), &[RULE.to_owned(), RULE.to_owned()]);
        let found = judge.findings(vec![
            event(4, "old.example", "dns"),
            event(3, "a.evil.example", "dns"),
            event(2, "b.evil.example", "proxy"),
            event(1, "good.example", "dns"),
        ]);
        let said: Vec<_> = found.iter().map(|one| (one.rule.id.as_str(), one.time.secs())).collect();
        assert_eq!(said, [("retro:asked", 3), ("retro:ioc:l:domain", 2)]);
        assert!(found.iter().all(|one| one.rule.tags.iter().any(|tag| tag == TAG)));
        assert!(judge.findings(vec![event(2, "b.evil.example", "proxy")]).is_empty(), "said once");
    }
}
