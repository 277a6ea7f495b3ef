//! Which rules are loaded, how well they are proven, and the texts that judged.

use canh_schema::{Level, RuleHash, RuleId, Timestamp};
use compact_str::CompactString;

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
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RulesOverview {
    pub loaded_at: Timestamp,
    /// By title.
    pub rules: Vec<(RuleStatus, RuleCount, RuleHealth)>,
    pub errors: Vec<RuleLoadError>,
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
