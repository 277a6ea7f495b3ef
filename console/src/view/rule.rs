//! Which rules are loaded, and which could not be.

use canh_schema::{Explanation, RuleId};
use canh_store::state::{CanaryHop, RuleDecision, RuleRecord, RuleReview, RuleState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::explain::ExplainedView;
use super::{LevelName, Time};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleList {
    /// When the rules were last loaded; absent before the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) loaded_at: Option<Time>,
    /// By title.
    pub(crate) items: Vec<RuleView>,
    pub(crate) errors: Vec<RuleErrorView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleView {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) level: LevelName,
    pub(crate) tags: Vec<String>,
    /// Where it was read from, relative to the directory of rules.
    pub(crate) file: String,
    /// Findings so far.
    pub(crate) findings: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_found: Option<Time>,
    /// `event`, or what a rule over other rules measures: `event_count`, `new_terms` and so on.
    pub(crate) kind: String,
    /// It only feeds other rules and raises no alerts of its own.
    pub(crate) quiet: bool,
    /// Samples that it was proven with when it was loaded; 0 if it came without.
    pub(crate) samples: u32,
    /// When its sample last went the way of real events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) canary_at: Option<Time>,
    /// How far that sample came: `fired` is all the way, else the hop that broke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) canary: Option<CanaryName>,
    /// Findings that were counted and not kept, because the rule was over its budget.
    pub(crate) suppressed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) suppressed_last: Option<Time>,
    pub(crate) state: RuleStateName,
    /// The newest decision about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) review: Option<RuleReviewView>,
}

/// Whether a rule raises alerts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RuleStateName {
    Enabled,
    /// Somebody disabled it.
    Disabled,
    /// It waits for somebody to look at it and enable it.
    NeedsReview,
}

impl From<RuleState> for RuleStateName {
    fn from(state: RuleState) -> Self {
        match state {
            RuleState::Enabled => Self::Enabled,
            RuleState::Disabled => Self::Disabled,
            RuleState::NeedsReview => Self::NeedsReview,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RuleDecisionName {
    Enabled,
    Disabled,
}

impl From<RuleDecision> for RuleDecisionName {
    fn from(decision: RuleDecision) -> Self {
        match decision {
            RuleDecision::Enabled => Self::Enabled,
            RuleDecision::Disabled => Self::Disabled,
        }
    }
}

impl From<RuleDecisionName> for RuleDecision {
    fn from(decision: RuleDecisionName) -> Self {
        match decision {
            RuleDecisionName::Enabled => Self::Enabled,
            RuleDecisionName::Disabled => Self::Disabled,
        }
    }
}

/// A decision about a rule.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleReviewView {
    pub(crate) decision: RuleDecisionName,
    pub(crate) who: String,
    pub(crate) at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// The rule, or what feeds or narrows it, has changed since.
    pub(crate) changed: bool,
    /// The backtest that had been shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) backtest: Option<ReviewedBacktestView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReviewedBacktestView {
    pub(crate) from: Time,
    pub(crate) to: Time,
    pub(crate) alerts: u64,
    pub(crate) alerts_per_day: f64,
}

impl RuleReviewView {
    fn new(review: RuleReview, changed: bool) -> Self {
        Self {
            decision: review.decision.into(),
            who: review.who.into(),
            at: review.at.into(),
            note: review.note,
            changed,
            backtest: review.backtest.map(|backtest| ReviewedBacktestView {
                from: backtest.from.into(),
                to: backtest.to.into(),
                alerts: backtest.alerts,
                alerts_per_day: backtest.alerts_per_day,
            }),
        }
    }
}

/// A decision about a rule, by somebody who looked at it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleReviewRequest {
    pub(crate) decision: RuleDecisionName,
    /// Hash of the text that was looked at. If the rule is another by now, nothing is changed.
    pub(crate) hash: String,
    /// Why.
    #[schema(max_length = 4_000)]
    pub(crate) note: Option<String>,
}

/// What the samples of a rule do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleSamples {
    /// Empty if the rule came without.
    pub(crate) items: Vec<RuleSampleView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleSampleView {
    /// What it shows.
    pub(crate) about: String,
    /// The rule has to find it; else it has to stay silent.
    pub(crate) fires: bool,
    /// It does what it should.
    pub(crate) holds: bool,
}

impl RuleView {
    pub(crate) fn new(record: RuleRecord) -> Self {
        let (state, changed) = (record.state(), record.changed());
        let RuleRecord { rule, count, health, review } = record;
        Self {
            id: rule.id.as_str().to_owned(),
            title: rule.title.into(),
            level: rule.level.into(),
            tags: rule.tags.into_iter().map(Into::into).collect(),
            file: rule.file,
            findings: count.findings,
            last_found: count.last_found.map(Into::into),
            kind: rule.kind.into(),
            quiet: rule.quiet,
            samples: rule.samples,
            canary_at: health.canary.map(|(at, _)| at.into()),
            canary: health.canary.map(|(_, hop)| hop.into()),
            suppressed: health.suppressed,
            suppressed_last: health.suppressed_last.map(Into::into),
            state: state.into(),
            review: review.map(|review| RuleReviewView::new(review, changed)),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CanaryName {
    /// The rule fired.
    Fired,
    /// The journal did not take the sample.
    Journal,
    /// Detection has not come to it.
    Detection,
    /// Detection looked at it, and the rule was silent.
    Rule,
}

impl From<CanaryHop> for CanaryName {
    fn from(hop: CanaryHop) -> Self {
        match hop {
            CanaryHop::Fired => Self::Fired,
            CanaryHop::Journal => Self::Journal,
            CanaryHop::Detection => Self::Detection,
            CanaryHop::Rule => Self::Rule,
        }
    }
}

/// One rule with its text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleDetail {
    pub(crate) rule: RuleView,
    /// Hash of the text.
    pub(crate) hash: String,
    /// The documents that judge: the rules that feed it, the filters that narrow these, and the rule itself.
    pub(crate) text: String,
}

/// What a rule says of one event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleExplanation {
    pub(crate) rule_id: String,
    /// Whether the rule, or for a rule over other rules one of these, holds for the event.
    pub(crate) holds: bool,
    /// For a rule over single events, one; else one for each rule that feeds it.
    pub(crate) checks: Vec<RuleCheckView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleCheckView {
    pub(crate) rule_id: String,
    /// Which events the rule wants, for example `product=linux service=sshd`.
    pub(crate) wanted: String,
    /// Whether the event is one of them.
    pub(crate) source_fits: bool,
    pub(crate) condition: ExplainedView,
}

impl RuleExplanation {
    pub(crate) fn new(rule: &RuleId, explanation: Explanation) -> Self {
        let mut view = Self { rule_id: rule.to_string(), holds: explanation.holds(), checks: Vec::new() };
        view.add(rule, explanation);
        view
    }

    fn add(&mut self, rule: &RuleId, explanation: Explanation) {
        match explanation {
            Explanation::Event { wanted, source_fits, condition } => self.checks.push(RuleCheckView {
                rule_id: rule.to_string(),
                wanted: wanted.into(),
                source_fits,
                condition: condition.into(),
            }),
            Explanation::Feeders(feeders) => {
                for (feeder, said) in feeders {
                    if let Some(said) = said {
                        self.add(&feeder, said);
                    }
                }
            }
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleExplainQuery {
    /// Id of the event.
    pub(crate) event: String,
}

/// A rule and the span of the past that it is run over.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BacktestRequest {
    /// The rule file.
    #[schema(max_length = 200_000)]
    pub(crate) text: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) from: Option<Time>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) to: Option<Time>,
}

/// How far a run is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BacktestProgress {
    /// From 0 to 1, by time.
    pub(crate) done: f64,
    pub(crate) events: u64,
    /// Events that a rule holds for.
    pub(crate) kept: u64,
}

/// What a rule would have found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BacktestResult {
    pub(crate) from: Time,
    pub(crate) to: Time,
    /// The oldest event that was read; the store may not reach back to `from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oldest: Option<Time>,
    pub(crate) events: u64,
    pub(crate) kept: u64,
    /// Events that mattered and found no room, or were not read in time; then the result is too small.
    pub(crate) left_out: u64,
    pub(crate) findings: u64,
    /// Alerts that the findings would have opened: one for each rule and entity a day.
    pub(crate) alerts: u64,
    /// Alerts for each day of the span that the store covers.
    pub(crate) alerts_per_day: f64,
    /// The most findings in an hour; more than `findings_per_hour` of them would be counted and not kept.
    pub(crate) hour_findings_max: u64,
    pub(crate) findings_per_hour: u32,
    /// Periods of 24 hours that end at `to`, oldest first, those without findings too.
    pub(crate) days: Vec<BacktestDay>,
    /// The same in hours, if the span is at most two days.
    pub(crate) hours: Vec<BacktestDay>,
    /// The newest findings, newest first; at most 20.
    pub(crate) examples: Vec<BacktestFinding>,
}

/// What would have been found in a day, or an hour.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BacktestDay {
    pub(crate) from: Time,
    pub(crate) findings: u64,
    /// Alerts that were opened in it.
    pub(crate) alerts: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BacktestFinding {
    pub(crate) rule_id: String,
    pub(crate) title: String,
    pub(crate) level: LevelName,
    pub(crate) time: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source_ip: Option<String>,
    pub(crate) event_ids: Vec<String>,
}

/// A rule that does not load. It is an error for everybody to see, never a rule that silently does nothing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleErrorView {
    pub(crate) file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<u32>,
    pub(crate) message: String,
}
