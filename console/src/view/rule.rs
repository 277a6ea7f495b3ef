//! Which rules are loaded, and which could not be.

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
