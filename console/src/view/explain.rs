//! A condition with a verdict at each part.

use canh_schema::{Compared, ConditionPart, Explained};
use serde::Serialize;
use utoipa::ToSchema;

use super::json_value;

/// Longest value, in bytes, that is shown; the event has all of it.
const VALUE_TEXT_MAX: usize = 4 * 1024;

/// A part of a rule's condition.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ExplainedView {
    /// Whether it holds for the event.
    pub(crate) holds: bool,
    pub(crate) kind: PartKind,
    /// The parts that it is made of; for `not`, one.
    #[schema(no_recursion)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<ExplainedView>,
    /// For `at_least`, how many parts must hold; for `left_out`, how many parts are not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) compared: Option<ComparedView>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PartKind {
    All,
    Any,
    Not,
    AtLeast,
    Compared,
    LeftOut,
}

/// One line of a selection, held against the event.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ComparedView {
    pub(crate) selection: String,
    /// Empty for a keyword.
    pub(crate) field: String,
    pub(crate) modifiers: String,
    /// If it holds, the pattern that matched; else the first of those that were tried.
    pub(crate) patterns: Vec<String>,
    /// How many patterns there are.
    pub(crate) patterns_total: u32,
    /// Whether the event has the field at all.
    pub(crate) present: bool,
    /// The value of the event.
    pub(crate) value: serde_json::Value,
    /// Whether the value was cut.
    pub(crate) cut: bool,
}

impl From<Explained> for ExplainedView {
    fn from(explained: Explained) -> Self {
        let each = |parts: Vec<Explained>| parts.into_iter().map(Self::from).collect();
        let mut view =
            Self { holds: explained.holds, kind: PartKind::All, parts: Vec::new(), count: None, compared: None };
        match explained.part {
            ConditionPart::All(parts) => view.parts = each(parts),
            ConditionPart::Any(parts) => (view.kind, view.parts) = (PartKind::Any, each(parts)),
            ConditionPart::Not(part) => (view.kind, view.parts) = (PartKind::Not, vec![Self::from(*part)]),
            ConditionPart::AtLeast(count, parts) => {
                (view.kind, view.count, view.parts) = (PartKind::AtLeast, Some(count), each(parts));
            }
            ConditionPart::Compared(compared) => {
                (view.kind, view.compared) = (PartKind::Compared, Some(compared.into()));
            }
            ConditionPart::LeftOut(count) => (view.kind, view.count) = (PartKind::LeftOut, Some(count)),
        }
        view
    }
}

impl From<Compared> for ComparedView {
    fn from(compared: Compared) -> Self {
        let mut cut = false;
        Self {
            selection: compared.selection.into(),
            field: compared.field.into(),
            modifiers: compared.modifiers.into(),
            patterns: compared.patterns.into_iter().map(Into::into).collect(),
            patterns_total: compared.patterns_total,
            present: compared.value.is_some(),
            value: compared.value.map_or(serde_json::Value::Null, |value| json_value(&value, VALUE_TEXT_MAX, &mut cut)),
            cut,
        }
    }
}
