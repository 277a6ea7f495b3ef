//! Rules as this engine sees them: our own tree, independent of the parser that reads the text.
//!
//! The parser crate is known to [`parse`] alone. Nothing here evaluates anything.

pub(crate) mod behaviour;
mod link;
mod locate;
mod modifier;
mod parse;
mod piped;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use canh_schema::{RuleId, RuleInfo};
use compact_str::CompactString;
use rustc_hash::FxHashSet;

pub use behaviour::{BEHAVIOURS, Behaviour, BehaviourKind, Side};
pub(crate) use locate::Source;
pub use modifier::{MODIFIERS, Modifier};
pub(crate) use parse::{Applied, parse_documents};

use crate::diagnostic::{Place, RuleError};
use crate::pipeline::Pipelines;

/// Rules that loaded, and what did not.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    pub rules: Vec<Rule>,
    /// Filters are joined to the rules that they name when an engine is made.
    pub filters: Vec<Filter>,
    pub errors: Vec<RuleError>,
    /// Things that are probably not meant, in rules that did load.
    pub warnings: Vec<RuleError>,
    /// What changes rules that are added.
    pub pipelines: Arc<Pipelines>,
    /// If some are held back: those that raise findings. The others only feed these.
    pub raising: Option<FxHashSet<RuleId>>,
}

impl RuleSet {
    /// The rules of one text, for tests and for `canh rules check`. `path` is only printed.
    pub fn from_text(path: impl Into<PathBuf>, text: &str) -> Self {
        let mut set = Self::default();
        set.add_text(path, text);
        set
    }

    /// Nothing yet. These pipelines change every rule that is added, and their errors are among the errors.
    pub fn with_pipelines(pipelines: Arc<Pipelines>) -> Self {
        Self { errors: pipelines.errors.clone(), pipelines, ..Self::default() }
    }

    /// The rules of a text that [`whole_text`](Self::whole_text) gave: pipelines that changed them are in it.
    pub fn from_record(path: impl Into<PathBuf>, text: &str) -> Self {
        let mut set = Self::default();
        set.add_parsed(path.into(), parse_documents(text, Applied::Recorded));
        set
    }

    /// Adds the documents of one file. A document that is broken does not stop the others.
    pub fn add_text(&mut self, path: impl Into<PathBuf>, text: &str) {
        let parsed = parse_documents(text, Applied::Given(&self.pipelines));
        self.add_parsed(path.into(), parsed);
    }

    fn add_parsed(&mut self, path: PathBuf, parsed: parse::Parsed) {
        let (errors, warnings): (Vec<_>, Vec<_>) =
            parsed.diagnostics.into_iter().partition(crate::diagnostic::Diagnostic::is_error);
        let place = |diagnostic| RuleError { path: path.clone(), diagnostic };
        self.errors.extend(errors.into_iter().map(place));
        self.warnings.extend(warnings.into_iter().map(place));
        self.rules.extend(parsed.rules.into_iter().map(|rule| Rule { path: path.clone(), ..rule }));
        self.filters.extend(parsed.filters.into_iter().map(|filter| Filter { path: path.clone(), ..filter }));
    }

    pub fn merge(&mut self, other: Self) {
        self.rules.extend(other.rules);
        self.filters.extend(other.filters);
        self.errors.extend(other.errors);
        self.warnings.extend(other.warnings);
    }
}

/// One rule of any kind.
#[derive(Clone, Debug)]
pub struct Rule {
    pub info: Arc<RuleInfo>,
    /// The short name by which correlations may refer to it.
    pub name: Option<CompactString>,
    /// `stable`, `test`, … as the rule says.
    pub status: Option<CompactString>,
    pub kind: RuleKind,
    pub path: PathBuf,
    /// Where the rule's document begins.
    pub at: Place,
    /// The documents that it was read from, so that a finding can be judged again when the file has changed.
    pub text: Arc<str>,
    /// Pipelines have changed it. Those of rules over other rules do so when these are known.
    pub is_piped: bool,
}

#[derive(Clone, Debug)]
pub enum RuleKind {
    Event(EventRule),
    Correlation(Correlation),
    Behaviour(Behaviour),
}

impl RuleKind {
    /// `event`, or what a rule over other rules measures.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Event(_) => "event",
            Self::Correlation(correlation) => correlation.kind.name(),
            Self::Behaviour(behaviour) => behaviour.kind.name(),
        }
    }

    /// The rules that feed this one, and whether they raise findings of their own.
    pub fn feeders(&self) -> (&[CompactString], bool) {
        match self {
            Self::Event(_) => (&[], false),
            Self::Correlation(correlation) => (&correlation.rules, correlation.generate),
            Self::Behaviour(behaviour) => (&behaviour.rules, behaviour.generate),
        }
    }
}

/// A rule over single events.
#[derive(Clone, Debug)]
pub struct EventRule {
    pub source: RuleSource,
    pub selections: Vec<Selection>,
    pub condition: Condition,
}

/// Which events a rule wants. A dimension that is not named is free.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct RuleSource {
    pub product: Option<CompactString>,
    pub service: Option<CompactString>,
    pub category: Option<CompactString>,
}

/// A named search of the `detection` section.
#[derive(Clone, Debug)]
pub struct Selection {
    pub name: CompactString,
    pub detection: Detection,
}

#[derive(Clone, Debug)]
pub enum Detection {
    All(Vec<Detection>),
    Any(Vec<Detection>),
    Item(Item),
}

/// One line of a selection: a field, its modifiers, and the values it is compared with.
#[derive(Clone, Debug)]
pub struct Item {
    /// `None` is a keyword: any text of the event.
    pub field: Option<CompactString>,
    pub modifiers: Vec<Modifier>,
    /// The modifiers as written, for example `contains|all`.
    pub written: CompactString,
    pub values: Vec<Literal>,
    pub at: Place,
}

impl Item {
    pub fn has(&self, modifier: Modifier) -> bool {
        self.modifiers.contains(&modifier)
    }
}

/// A value as the rule writes it, wildcards and escapes not yet read.
#[derive(Clone, PartialEq, Debug)]
pub enum Literal {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    Null,
}

impl Literal {
    /// The value as people write it.
    pub fn to_text(&self) -> CompactString {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Integer(value) => compact_str::format_compact!("{value}"),
            Self::Float(value) => compact_str::format_compact!("{value}"),
            Self::Bool(value) => if *value { "true" } else { "false" }.into(),
            Self::Null => "null".into(),
        }
    }
}

/// A condition whose names are resolved to places in [`EventRule::selections`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Selection(usize),
    /// `2 of selection_*`.
    AtLeast(usize, Vec<Condition>),
}

/// A rule over the findings of other rules. Sigma correlation rules specification 2.1.
#[derive(Clone, Debug)]
pub struct Correlation {
    pub kind: CorrelationKind,
    /// Ids or names of the rules that feed it.
    pub rules: Vec<CompactString>,
    pub group_by: Vec<CompactString>,
    pub timespan: Duration,
    pub condition: CorrelationCondition,
    /// Field that the value kinds look at.
    pub fields: Vec<CompactString>,
    pub aliases: Vec<Alias>,
    /// Whether the rules that feed it also raise findings of their own.
    pub generate: bool,
}

/// What a correlation measures. The list is the specification's, plus the median.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum CorrelationKind {
    EventCount,
    ValueCount,
    Temporal,
    TemporalOrdered,
    ValueSum,
    ValueAvg,
    /// Percent, 0 to 100.
    ValuePercentile(f64),
}

impl CorrelationKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::EventCount => "event_count",
            Self::ValueCount => "value_count",
            Self::Temporal => "temporal",
            Self::TemporalOrdered => "temporal_ordered",
            Self::ValueSum => "value_sum",
            Self::ValueAvg => "value_avg",
            Self::ValuePercentile(_) => "value_percentile",
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub enum CorrelationCondition {
    /// Every rule must have been seen. Temporal kinds only.
    AllRules,
    /// Every comparison must hold.
    Compare(Vec<(Comparison, f64)>),
    /// Which rules must have been seen, by their place in [`Correlation::rules`]. Temporal kinds only.
    Rules(Condition),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

impl Comparison {
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Equal => (left - right).abs() < f64::EPSILON,
            Self::NotEqual => (left - right).abs() >= f64::EPSILON,
        }
    }

    /// As rules write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Less => "lt",
            Self::LessOrEqual => "lte",
            Self::Greater => "gt",
            Self::GreaterOrEqual => "gte",
            Self::Equal => "eq",
            Self::NotEqual => "neq",
        }
    }
}

/// One name for fields that are called differently in each rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alias {
    pub name: CompactString,
    /// Rule (id or name) and the field of its events.
    pub fields: Vec<(CompactString, CompactString)>,
}

/// Narrows rules that others wrote without changing their text. Sigma filters specification 2.1.
#[derive(Clone, Debug)]
pub struct Filter {
    pub title: CompactString,
    /// `None` is every rule of the log source.
    pub rules: Option<Vec<CompactString>>,
    pub source: RuleSource,
    pub selections: Vec<Selection>,
    pub condition: Condition,
    pub path: PathBuf,
    pub at: Place,
    pub text: Arc<str>,
}
