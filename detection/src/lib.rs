//! Detection: events in, findings out. Sigma rules and correlations, compiled and evaluated in the stream.
//!
//! Pure: no I/O except in [`load`], no clock, no async. Storing findings is the caller's business.

pub mod backtest;
mod diagnostic;
mod engine;
mod fuzz;
mod indicator;
pub mod load;
mod mapping;
mod matching;
pub mod mutate;
mod pipeline;
mod rule;

pub use diagnostic::{Diagnostic, Place, RuleError, Severity};
pub use engine::{CorrelationLimits, Engine, EngineConfig, EngineStats, SnapshotError};
pub use fuzz::fuzz_targets;
pub use indicator::{
    INDICATOR_TYPE_GROUPS, INDICATOR_TYPES, IndicatorClaim, IndicatorMatch, IndicatorQuery, IndicatorSource,
    IndicatorTypes,
};
pub use load::{load_dir, load_paths, load_paths_with, load_pipelines};
pub use mapping::{MAPPING_VERSION, MAPPINGS, Mapping};
pub use pipeline::Pipelines;
pub use rule::{
    Alias, BEHAVIOURS, Behaviour, BehaviourKind, Comparison, Condition, Correlation, CorrelationCondition,
    CorrelationKind, Detection, EventRule, Filter, Item, Literal, MODIFIERS, Modifier, Rule, RuleKind, RuleSet,
    RuleSource, Selection, Side,
};

/// Everything that is wrong with the rules of one text, in the order of their places. Rules that other files define
/// are not known here, so a reference to one is a warning.
pub fn check_rule(text: &str) -> Vec<Diagnostic> {
    let mut set = RuleSet::from_text("", text);
    let before = set.errors.len();
    set.link();
    let mut found: Vec<Diagnostic> = set.errors.iter().map(|error| error.diagnostic.clone()).collect();
    for diagnostic in found.iter_mut().skip(before) {
        if diagnostic.message.starts_with("the correlation is over") {
            diagnostic.severity = Severity::Warning;
        }
    }
    found.extend(set.warnings.into_iter().map(|warning| warning.diagnostic));
    if found.is_empty() && set.rules.is_empty() && set.filters.is_empty() {
        found.push(Diagnostic::error(Place::START, "there is no rule in this file"));
    }
    found.sort_by_key(|diagnostic| diagnostic.at);
    found
}
