//! What the API says: its own types, made from the domain's types and never the other way round.
//!
//! Names are `snake_case`. Times are RFC 3339 in UTC. Whole numbers that a browser cannot hold exactly are texts.

pub(crate) mod agent;
pub(crate) mod alert;
pub(crate) mod event;
pub(crate) mod explain;
pub(crate) mod ledger;
pub(crate) mod overview;
pub(crate) mod rule;
pub(crate) mod session;

use canh_schema::{Explained, Explanation, FieldKind, Level, RuleId, Timestamp, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

/// A condition as the API shows it, for programs that compare with what the API said.
pub fn condition_json(condition: Explained) -> serde_json::Value {
    serde_json::to_value(explain::ExplainedView::from(condition)).unwrap_or_default()
}

/// An explanation as the API shows it.
pub fn explanation_json(rule: &RuleId, explanation: Explanation) -> serde_json::Value {
    serde_json::to_value(rule::RuleExplanation::new(rule, explanation)).unwrap_or_default()
}

/// Point in time, RFC 3339.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-01-31T01:00:00.123Z")]
pub(crate) struct Time(pub(crate) Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at = Timestamp::parse_rfc3339(&text);
        at.map(Self).ok_or_else(|| de::Error::custom("expected a time such as `2026-01-31T08:00:00+07:00`"))
    }
}

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

/// How bad it is, from harmless to worst.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LevelName {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl From<Level> for LevelName {
    fn from(level: Level) -> Self {
        match level {
            Level::Informational => Self::Informational,
            Level::Low => Self::Low,
            Level::Medium => Self::Medium,
            Level::High => Self::High,
            Level::Critical => Self::Critical,
        }
    }
}

impl From<LevelName> for Level {
    fn from(level: LevelName) -> Self {
        match level {
            LevelName::Informational => Self::Informational,
            LevelName::Low => Self::Low,
            LevelName::Medium => Self::Medium,
            LevelName::High => Self::High,
            LevelName::Critical => Self::Critical,
        }
    }
}

/// What a field holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FieldKindName {
    Keyword,
    Text,
    Ip,
    Integer,
    Float,
    Bool,
    Time,
}

impl From<FieldKind> for FieldKindName {
    fn from(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Keyword => Self::Keyword,
            FieldKind::Text => Self::Text,
            FieldKind::Ip => Self::Ip,
            FieldKind::Integer => Self::Integer,
            FieldKind::Float => Self::Float,
            FieldKind::Bool => Self::Bool,
            FieldKind::Time => Self::Time,
        }
    }
}

/// Largest whole number that JavaScript holds exactly: 2^53 - 1.
const EXACT_MAX: i64 = (1 << 53) - 1;

/// A value as JSON. Text longer than `text_max` bytes is cut, and `cut` is set.
pub(crate) fn json_value(value: &Value, text_max: usize, cut: &mut bool) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) if (-EXACT_MAX..=EXACT_MAX).contains(value) => (*value).into(),
        Value::Integer(value) => value.to_string().into(),
        // JSON has no infinities and no NaN.
        Value::Float(value) => {
            serde_json::Number::from_f64(*value).map_or_else(|| value.to_string().into(), serde_json::Value::Number)
        }
        Value::Ip(value) => value.to_string().into(),
        Value::Text(text) => cut_text(text, text_max, cut).into(),
        Value::List(values) => values.iter().map(|value| json_value(value, text_max, cut)).collect(),
    }
}

/// The beginning of a text, at most `max` bytes, cut between characters.
pub(crate) fn cut_text<'a>(text: &'a str, max: usize, cut: &mut bool) -> &'a str {
    if text.len() <= max {
        return text;
    }
    *cut = true;
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: Value, expected: &str) {
        let mut cut = false;
        assert_eq!(json_value(&value, 8, &mut cut).to_string(), expected, "value: {value:?}");
    }

    #[test]
    fn values() {
        check(Value::Null, "null");
        check(Value::Integer(EXACT_MAX), "9007199254740991");
        check(Value::Integer(EXACT_MAX + 1), r#""9007199254740992""#);
        check(Value::Integer(i64::MIN), r#""-9223372036854775808""#);
        check(Value::Float(f64::NAN), r#""NaN""#);
        check(Value::Float(1.5), "1.5");
        check(Value::from("12345678"), r#""12345678""#);
        check(Value::from("1234567é"), r#""1234567""#); // not cut inside a character
        check(Value::List(vec![Value::Bool(true), Value::from("x")]), r#"[true,"x"]"#);
    }
}
