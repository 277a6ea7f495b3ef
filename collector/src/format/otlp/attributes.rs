//! Attributes: nested values become dotted names, within the limits of decoding.

use canh_schema::Value;
use compact_str::{CompactString, ToCompactString, format_compact};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};

use crate::format::json::NAME_LEN_MAX;

/// Attributes as they are collected: dotted names and values.
pub(super) type Attrs = Vec<(CompactString, Value)>;

/// Adds a value under its dotted name. Answers whether everything was within the limits.
pub(super) fn flatten(
    key: &str,
    value: Option<AnyValue>,
    depth_left: usize,
    fields_max: usize,
    out: &mut Attrs,
) -> bool {
    let Some(value) = value.and_then(|value| value.value) else {
        out.push((key.into(), Value::Null));
        return true;
    };
    if depth_left == 0 || out.len() >= fields_max || key.len() > NAME_LEN_MAX {
        return false;
    }
    match value {
        any_value::Value::KvlistValue(list) => {
            let mut complete = true;
            for KeyValue { key: inner, value, .. } in list.values {
                let name = if key.is_empty() { CompactString::from(inner) } else { format_compact!("{key}.{inner}") };
                complete &= flatten(&name, value, depth_left - 1, fields_max, out);
            }
            complete
        }
        any_value::Value::ArrayValue(list) => {
            let mut complete = true;
            let mut plain = Vec::new();
            let members_max = fields_max.saturating_mul(4);
            complete &= list.values.len() <= members_max;
            for member in list.values.into_iter().take(members_max).filter_map(|member| member.value) {
                match member {
                    any_value::Value::KvlistValue(_) | any_value::Value::ArrayValue(_) => {
                        let mut inner = Attrs::new();
                        let member = Some(AnyValue { value: Some(member) });
                        complete &= flatten(key, member, depth_left - 1, fields_max, &mut inner);
                        complete &= merge(out, inner, fields_max);
                    }
                    scalar => plain.push(single(scalar)),
                }
            }
            if !plain.is_empty() {
                complete &= merge(out, vec![(key.into(), Value::List(plain))], fields_max);
            }
            complete
        }
        scalar => {
            out.push((key.into(), single(scalar)));
            true
        }
    }
}

/// Members of a list become one list per name.
fn merge(out: &mut Attrs, inner: Attrs, fields_max: usize) -> bool {
    for (key, value) in inner {
        let mut members = match value {
            Value::List(members) => members,
            single => vec![single],
        };
        if let Some((_, Value::List(old))) = out.iter_mut().find(|(name, _)| *name == key) {
            old.append(&mut members);
        } else if out.len() < fields_max {
            out.push((key, Value::List(members)));
        } else {
            return false;
        }
    }
    true
}

/// A value that has no members.
pub(super) fn single(value: any_value::Value) -> Value {
    match value {
        any_value::Value::StringValue(text) => Value::Text(text.into()),
        any_value::Value::BoolValue(value) => Value::Bool(value),
        any_value::Value::IntValue(value) => Value::Integer(value),
        any_value::Value::DoubleValue(value) => Value::Float(value),
        any_value::Value::BytesValue(bytes) => Value::Text(String::from_utf8_lossy(&bytes).to_compact_string()),
        _ => Value::Null,
    }
}

/// A record without a body, written as one JSON object so that `raw` shows what came.
pub(super) fn as_json<'a>(attrs: impl Iterator<Item = &'a (CompactString, Value)>) -> Vec<u8> {
    let mut object = serde_json::Map::new();
    for (key, value) in attrs {
        object.insert(key.to_string(), json_value(value));
    }
    serde_json::to_vec(&object).unwrap_or_default()
}

fn json_value(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Ip(value) => value.to_string().into(),
        Value::Text(value) => value.as_str().into(),
        Value::List(values) => values.iter().map(json_value).collect(),
    }
}
