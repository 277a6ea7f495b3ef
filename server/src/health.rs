//! How rules do in operation: their budgets, and what came of their canaries.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use canh_schema::{Finding, RuleId, Timestamp};
use canh_store::state::{CanaryHop, RuleHealth, StateError, StateStore};
use parking_lot::Mutex;
use tracing::warn;

const HOUR_NANOS: i64 = 3_600 * 1_000_000_000;

/// What is known of each rule, and what of that is not written yet. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    rules: HashMap<RuleId, RuleHealth>,
    changed: BTreeSet<RuleId>,
    /// The hour of each rule and its findings in it.
    hours: HashMap<RuleId, (i64, u32)>,
}

impl Health {
    /// What was known before the restart.
    pub(crate) async fn load(state: &dyn StateStore) -> Result<Self, StateError> {
        let known = state.rules_status().await?.map(|overview| overview.rules).unwrap_or_default();
        let rules = known.into_iter().map(|record| (record.rule.id, record.health)).collect();
        Ok(Self(Arc::new(Mutex::new(Inner { rules, ..Inner::default() }))))
    }

    /// Takes out the findings of rules that are over their budget for this hour, and counts them.
    pub(crate) fn within_budget(&self, findings: &mut Vec<Finding>, from: usize, budget: u32, now: Timestamp) -> u64 {
        if findings.len() == from {
            return 0;
        }
        let hour = now.nanos().div_euclid(HOUR_NANOS);
        let mut inner = self.0.lock();
        let mut index = 0;
        let mut suppressed = 0;
        findings.retain(|finding| {
            index += 1;
            index <= from || {
                let within = inner.count(&finding.rule.id, hour, budget, now);
                suppressed += u64::from(!within);
                within
            }
        });
        suppressed
    }

    pub(crate) fn canary(&self, rule: &RuleId, at: Timestamp, hop: CanaryHop) {
        let mut inner = self.0.lock();
        inner.rules.entry(rule.clone()).or_default().canary = Some((at, hop));
        inner.changed.insert(rule.clone());
    }

    /// What changed since the last time, to be written.
    pub(crate) fn changed(&self) -> Vec<(RuleId, RuleHealth)> {
        let mut inner = self.0.lock();
        let changed = std::mem::take(&mut inner.changed);
        changed.into_iter().filter_map(|rule| inner.rules.get(&rule).cloned().map(|health| (rule, health))).collect()
    }
}

impl Inner {
    /// Whether one more finding of the rule is kept.
    fn count(&mut self, rule: &RuleId, hour: i64, budget: u32, now: Timestamp) -> bool {
        let (counted, count) = self.hours.entry(rule.clone()).or_insert((hour, 0));
        if *counted != hour {
            (*counted, *count) = (hour, 0);
        }
        *count = count.saturating_add(1);
        if *count <= budget {
            return true;
        }
        if *count == budget + 1 {
            warn!(%rule, budget, "a rule is over its budget of findings in an hour; more are counted, not kept");
        }
        let health = self.rules.entry(rule.clone()).or_default();
        health.suppressed += 1;
        health.suppressed_last = Some(now);
        self.changed.insert(rule.clone());
        false
    }
}

#[cfg(test)]
mod tests {
    use canh_store::state::conformance::finding;

    use super::*;

    #[test]
    fn a_rule_over_its_budget_is_counted_and_heard_again_in_the_next_hour() {
        let health = Health::default();
        let now = Timestamp::from_secs(1_700_000_000);
        let mut findings: Vec<Finding> = (0..5).map(|n| finding("r", "web", n)).collect();
        findings.push(finding("other", "web", 9));
        assert_eq!(health.within_budget(&mut findings, 1, 2, now), 2, "the first was let through before");
        assert_eq!(findings.len(), 4);
        let changed = health.changed();
        assert_eq!(changed.len(), 1);
        assert_eq!((changed[0].1.suppressed, changed[0].1.suppressed_last), (2, Some(now)));
        assert!(health.changed().is_empty());
        let later = Timestamp::from_secs(1_700_000_000 + 3_600);
        assert_eq!(health.within_budget(&mut vec![finding("r", "web", 10)], 0, 2, later), 0);
    }
}
