//! Which rules are loaded, and which could not be.

use canh_store::state::CanaryHop;
use serde::Serialize;
use utoipa::ToSchema;

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
