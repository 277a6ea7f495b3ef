//! Which rules are loaded, how well they are proven, and the texts that judged.

use canh_schema::{Level, RuleHash, RuleId, Timestamp};
use compact_str::CompactString;

use super::AuditEntry;

/// The outcome of loading rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RulesStatus {
    pub loaded_at: Timestamp,
    pub rules: Vec<RuleStatus>,
    pub errors: Vec<RuleLoadError>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleStatus {
    pub id: RuleId,
    pub hash: RuleHash,
    pub title: CompactString,
    pub level: Level,
    pub tags: Vec<CompactString>,
    /// Relative to the directory of rules.
    pub file: String,
    /// `event`, or what a rule over other rules measures: `event_count`, `new_terms`, …
    pub kind: CompactString,
    /// It only feeds other rules and raises no findings of its own.
    pub quiet: bool,
    /// Samples that it was proven with when it was loaded; 0 if it came without.
    pub samples: u32,
    /// It raises nothing until somebody has looked at it and enabled it.
    pub needs_review: bool,
}

impl RuleStatus {
    /// Whether the rule raises findings. Everybody who asks uses this, so that what is shown is what is done.
    pub fn state(&self, review: Option<&RuleReview>) -> RuleState {
        match review.map(|review| review.decision) {
            Some(RuleDecision::Disabled) => RuleState::Disabled,
            Some(RuleDecision::Enabled) => RuleState::Enabled,
            None if self.needs_review => RuleState::NeedsReview,
            None => RuleState::Enabled,
        }
    }
}

/// Whether a rule raises findings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RuleState {
    Enabled,
    Disabled,
    NeedsReview,
}

/// What somebody decided about a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RuleDecision {
    Enabled,
    Disabled,
}

impl RuleDecision {
    pub const ALL: [Self; 2] = [Self::Enabled, Self::Disabled];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.name() == name)
    }
}

/// The newest decision about a rule. The ones before it are in the audit log.
#[derive(Clone, PartialEq, Debug)]
pub struct RuleReview {
    pub decision: RuleDecision,
    /// What the rule was when it was decided; the rule may have changed since.
    pub hash: RuleHash,
    pub who: CompactString,
    pub at: Timestamp,
    /// Why.
    pub note: Option<String>,
    /// What whoever enabled the rule had seen.
    pub backtest: Option<ReviewedBacktest>,
}

/// The sum of a backtest.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ReviewedBacktest {
    pub from: Timestamp,
    pub to: Timestamp,
    pub alerts: u64,
    pub alerts_per_day: f64,
}

impl RuleReview {
    /// The line of the audit log that goes with the decision.
    pub fn audit(&self, rule: &RuleId) -> AuditEntry {
        let mut detail = vec![(CompactString::const_new("hash"), self.hash.to_string())];
        if let Some(backtest) = &self.backtest {
            detail.push((CompactString::const_new("backtest_from"), backtest.from.to_string()));
            detail.push((CompactString::const_new("backtest_to"), backtest.to.to_string()));
            detail.push((CompactString::const_new("alerts_per_day"), format!("{:.1}", backtest.alerts_per_day)));
        }
        if let Some(note) = &self.note {
            detail.push((CompactString::const_new("note"), note.clone()));
        }
        AuditEntry {
            at: self.at,
            who: self.who.clone(),
            action: compact_str::format_compact!("rule.{}", self.decision.name()),
            target: compact_str::format_compact!("rule:{rule}"),
            detail,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleLoadError {
    pub file: String,
    /// Counted from 1.
    pub line: Option<u32>,
    pub column: Option<u32>,
    pub message: String,
}

/// Loaded rules with their findings.
#[derive(Clone, PartialEq, Debug)]
pub struct RulesOverview {
    pub loaded_at: Timestamp,
    /// By title.
    pub rules: Vec<RuleRecord>,
    pub errors: Vec<RuleLoadError>,
}

/// A loaded rule with what is known of it.
#[derive(Clone, PartialEq, Debug)]
pub struct RuleRecord {
    pub rule: RuleStatus,
    pub count: RuleCount,
    pub health: RuleHealth,
    /// `None` if nobody has decided about it.
    pub review: Option<RuleReview>,
}

impl RuleRecord {
    pub fn state(&self) -> RuleState {
        self.rule.state(self.review.as_ref())
    }

    /// Whether the rule, or what feeds or narrows it, is another than the one that was decided about.
    pub fn changed(&self) -> bool {
        self.review.as_ref().is_some_and(|review| review.hash != self.rule.hash)
    }
}

/// How often a rule has found something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RuleCount {
    pub findings: u64,
    pub last_found: Option<Timestamp>,
}

/// How a rule does in operation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RuleHealth {
    /// When its sample last went the way of real events, and how far it came.
    pub canary: Option<(Timestamp, CanaryHop)>,
    /// Findings that were counted and not kept, because the rule was over its budget; and when that last happened.
    pub suppressed: u64,
    pub suppressed_last: Option<Timestamp>,
}

/// How far the marked sample of a rule came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CanaryHop {
    /// All the way: the rule fired.
    Fired,
    /// The journal did not take it.
    Journal,
    /// It is in the journal, and detection has not come to it.
    Detection,
    /// Detection looked at it, and the rule was silent.
    Rule,
}

impl CanaryHop {
    pub const ALL: [Self; 4] = [Self::Fired, Self::Journal, Self::Detection, Self::Rule];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Journal => "journal",
            Self::Detection => "detection",
            Self::Rule => "rule",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hop| hop.name() == name)
    }
}

/// The text that a rule hash stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleText {
    pub hash: RuleHash,
    pub text: String,
}
