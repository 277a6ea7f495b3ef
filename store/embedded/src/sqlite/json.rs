//! Nested values as JSON text, read back to exactly what they were.

use canh_schema::{FieldMatch, RuleHash, RuleId, RuleInfo, Value};
use compact_str::CompactString;
use serde_json::{Value as Json, json};

/// Numbers with a fraction and addresses are marked, so that they do not come back as something else.
pub(super) fn value(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Integer(value) => json!(value),
        // As bits: JSON has no infinities, and every digit counts.
        Value::Float(value) => json!({ "float": value.to_bits() }),
        Value::Ip(value) => json!({ "ip": value }),
        Value::Text(value) => json!(value.as_str()),
        Value::List(values) => values.iter().map(self::value).collect(),
    }
}

pub(super) fn read_value(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(value) => Value::Integer(value.as_i64()?),
        Json::String(value) => Value::text(value.as_str()),
        Json::Array(values) => Value::List(values.iter().map(read_value).collect::<Option<_>>()?),
        Json::Object(marked) => match (marked.get("float"), marked.get("ip")) {
            (Some(bits), None) => Value::Float(f64::from_bits(bits.as_u64()?)),
            (None, Some(address)) => Value::Ip(address.as_str()?.parse().ok()?),
            _ => return None,
        },
    })
}

pub(super) fn texts(texts: &[CompactString]) -> Json {
    texts.iter().map(|text| json!(text.as_str())).collect()
}

pub(super) fn read_texts(json: &Json) -> Option<Vec<CompactString>> {
    json.as_array()?.iter().map(|text| text.as_str().map(CompactString::from)).collect()
}

/// Pairs keep their order and may share a name, so they are lists of two.
pub(super) fn read_pairs<T>(json: &Json, read: impl Fn(&Json) -> Option<T>) -> Option<Vec<(CompactString, T)>> {
    let pair = |pair: &Json| Some((pair.get(0)?.as_str()?.into(), read(pair.get(1)?)?));
    json.as_array()?.iter().map(pair).collect()
}

pub(super) fn rule(rule: &RuleInfo) -> Json {
    json!({
        "id": rule.id.as_str(),
        "hash": rule.hash.to_string(),
        "title": rule.title.as_str(),
        "description": rule.description.as_str(),
        "level": rule.level.name(),
        "tags": texts(&rule.tags),
        "false_positives": texts(&rule.false_positives),
        "references": texts(&rule.references),
        "guide": rule.guide.iter().map(|(language, text)| json!([language.as_str(), text.as_str()])).collect::<Json>(),
    })
}

pub(super) fn read_rule(json: &Json) -> Option<RuleInfo> {
    let text = |name: &str| json.get(name)?.as_str();
    Some(RuleInfo {
        id: RuleId::new(text("id")?),
        hash: text("hash")?.parse::<RuleHash>().ok()?,
        title: text("title")?.into(),
        description: text("description")?.into(),
        level: text("level")?.parse().ok()?,
        tags: read_texts(json.get("tags")?)?,
        false_positives: read_texts(json.get("false_positives")?)?,
        references: read_texts(json.get("references")?)?,
        // Alerts of older versions have none.
        guide: match json.get("guide") {
            Some(guide) => read_pairs(guide, |text| text.as_str().map(CompactString::from))?,
            None => Vec::new(),
        },
    })
}

pub(super) fn matches(matches: &[FieldMatch]) -> Json {
    let one = |held: &FieldMatch| {
        json!({
            "selection": held.selection.as_str(),
            "field": held.field.as_str(),
            "modifiers": held.modifiers.as_str(),
            "pattern": held.pattern.as_str(),
            "value": value(&held.value),
        })
    };
    matches.iter().map(one).collect()
}

pub(super) fn read_matches(json: &Json) -> Option<Vec<FieldMatch>> {
    let one = |held: &Json| {
        let text = |name: &str| held.get(name)?.as_str();
        Some(FieldMatch {
            selection: text("selection")?.into(),
            field: text("field")?.into(),
            modifiers: text("modifiers")?.into(),
            pattern: text("pattern")?.into(),
            value: read_value(held.get("value")?)?,
        })
    };
    json.as_array()?.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Integer),
            // NaN is not equal to itself; its bits are kept like all others.
            any::<f64>().prop_filter("comparable", |value| !value.is_nan()).prop_map(Value::Float),
            any::<[u8; 16]>().prop_map(|bytes| Value::Ip(IpAddr::from(bytes))),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::List))
    }

    proptest! {
        #[test]
        fn values_come_back(value in any_value()) {
            let text = super::value(&value).to_string();
            prop_assert_eq!(read_value(&serde_json::from_str(&text).expect("is JSON")), Some(value));
        }
    }
}
