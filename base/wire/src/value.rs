//! Values of attributes, both ways.

use canh_schema::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, any_value};

/// Lists inside lists deeper than this are left out: their place holds a null.
const DEPTH_MAX: usize = 8;

/// The OTLP form. An address becomes its text.
pub fn to_any(value: &Value) -> AnyValue {
    let value = match value {
        Value::Null => None,
        Value::Bool(value) => Some(any_value::Value::BoolValue(*value)),
        Value::Integer(value) => Some(any_value::Value::IntValue(*value)),
        Value::Float(value) => Some(any_value::Value::DoubleValue(*value)),
        Value::Ip(value) => Some(any_value::Value::StringValue(value.to_string())),
        Value::Text(value) => Some(any_value::Value::StringValue(value.to_string())),
        Value::List(values) => {
            Some(any_value::Value::ArrayValue(ArrayValue { values: values.iter().map(to_any).collect() }))
        }
    };
    AnyValue { value }
}

/// Our form of a value that somebody sent. `None` for a map, which the caller flattens to dotted names.
///
/// Bytes that are not UTF-8 become text with replacement characters; a caller that needs the bytes looks at them first.
pub fn from_any(value: &AnyValue) -> Option<Value> {
    from_any_at(value, 0)
}

fn from_any_at(value: &AnyValue, depth: usize) -> Option<Value> {
    Some(match &value.value {
        None => Value::Null,
        Some(any_value::Value::BoolValue(value)) => Value::Bool(*value),
        Some(any_value::Value::IntValue(value)) => Value::Integer(*value),
        Some(any_value::Value::DoubleValue(value)) => Value::Float(*value),
        Some(any_value::Value::StringValue(value)) => Value::from(value.as_str()),
        Some(any_value::Value::BytesValue(value)) => Value::from(String::from_utf8_lossy(value).as_ref()),
        Some(any_value::Value::ArrayValue(_)) if depth >= DEPTH_MAX => Value::Null,
        Some(any_value::Value::ArrayValue(array)) => {
            Value::List(array.values.iter().filter_map(|value| from_any_at(value, depth + 1)).collect())
        }
        Some(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(Value::from),
            ".{0,40}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 5, |inner| prop::collection::vec(inner, 0..5).prop_map(Value::List))
    }

    proptest! {
        #[test]
        fn a_value_comes_back_as_it_went(value in values()) {
            prop_assert_eq!(from_any(&to_any(&value)), Some(value));
        }
    }

    #[test]
    fn odd_values() {
        let address: std::net::IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(from_any(&to_any(&Value::Ip(address))), Some(Value::from("2001:db8::1")));
        let mut deep = Value::Integer(1);
        for _ in 0..100 {
            deep = Value::List(vec![deep]);
        }
        assert!(format!("{:?}", from_any(&to_any(&deep))).contains("Null"));
        let map = AnyValue { value: Some(any_value::Value::KvlistValue(Default::default())) };
        assert_eq!(from_any(&map), None);
    }
}
