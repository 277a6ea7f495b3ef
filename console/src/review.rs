//! Which backtests were shown lately. A rule is enabled only by somebody who could have seen one of the very same text.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use canh_schema::{RuleHash, Timestamp};
use canh_store::state::ReviewedBacktest;

/// A backtest says little about a later day.
const VALID_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Backtests that are remembered; of more, the oldest go and have to be run again.
const KEPT_MAX: usize = 1_000;

/// The newest backtest of each rule text. After a restart they have to be run again.
#[derive(Debug, Default)]
pub(crate) struct Shown(Mutex<HashMap<RuleHash, ReviewedBacktest>>);

/// The hash of a rule whose whole text this is.
pub(crate) fn hash_of(text: &str) -> RuleHash {
    RuleHash::of(text.trim_end().as_bytes())
}

impl Shown {
    pub(crate) fn add(&self, rule: RuleHash, backtest: ReviewedBacktest) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(rule, backtest);
        if kept.len() > KEPT_MAX
            && let Some(oldest) = kept.iter().min_by_key(|(_, backtest)| backtest.to).map(|(rule, _)| *rule)
        {
            kept.remove(&oldest);
        }
    }

    pub(crate) fn of(&self, rule: RuleHash, now: Timestamp) -> Option<ReviewedBacktest> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&rule).copied().filter(|backtest| backtest.to >= now.saturating_sub(VALID_FOR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_backtest_of_the_last_day_counts() {
        let shown = Shown::default();
        let at = |hours: i64| Timestamp::from_secs(1_700_000_000 + hours * 3_600);
        let backtest = |to| ReviewedBacktest { from: at(-24), to, alerts: 1, alerts_per_day: 1.0 };
        let rule = hash_of("title: a\n");
        assert_eq!(shown.of(rule, at(0)), None);
        shown.add(rule, backtest(at(0)));
        assert_eq!(shown.of(hash_of("title: a"), at(23)), Some(backtest(at(0))));
        assert_eq!(shown.of(rule, at(25)), None);
        for number in 0..=KEPT_MAX {
            shown.add(hash_of(&number.to_string()), backtest(at(1)));
        }
        assert_eq!(shown.of(rule, at(2)), None, "the oldest goes first");
        assert!(shown.0.lock().expect("not poisoned").len() <= KEPT_MAX);
    }
}
