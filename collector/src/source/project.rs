//! Sets catalogue fields from values of any type. A value that does not fit its field is not set.

use canh_schema::{Event, FieldId, FieldKind, Timestamp, Value};
use compact_str::CompactString;

/// Sets the field from text. Answers whether the text fits the field.
pub(crate) fn set_text(event: &mut Event, field: FieldId, text: &str) -> bool {
    match typed_text(field.kind(), text) {
        Some(value) => {
            event.set(field, value);
            true
        }
        None => false,
    }
}

/// Sets the field from a value. Null, empty text and `-` count as absent, so they fit and set nothing.
pub(crate) fn set_value(event: &mut Event, field: FieldId, value: &Value) -> bool {
    if is_absent(value) {
        return true;
    }
    match typed(field.kind(), value) {
        Some(value) => {
            event.set(field, value);
            true
        }
        None => false,
    }
}

/// Whether sources write this when they have nothing to say.
pub(crate) fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Text(text) => matches!(text.as_str(), "" | "-"),
        Value::List(members) => members.is_empty(),
        _ => false,
    }
}

pub(crate) fn typed(kind: FieldKind, value: &Value) -> Option<Value> {
    match (kind, value) {
        (_, Value::List(members)) => {
            let typed: Option<Vec<_>> =
                members.iter().filter(|one| !is_absent(one)).map(|one| typed(kind, one)).collect();
            typed.map(Value::List)
        }
        (_, Value::Text(text)) => typed_text(kind, text),
        (FieldKind::Keyword | FieldKind::Text, other) => {
            other.as_text().map(|text| Value::text(CompactString::from(text)))
        }
        (FieldKind::Ip, Value::Ip(address)) => Some(Value::Ip(address.to_canonical())),
        (FieldKind::Integer, Value::Integer(_)) | (FieldKind::Float, Value::Float(_)) => Some(value.clone()),
        // A whole number written with a fraction is what JSON makes of large counters.
        (FieldKind::Integer, Value::Float(number)) => {
            (number.fract() == 0.0 && number.abs() < 9e15).then_some(Value::Integer(*number as i64))
        }
        (FieldKind::Float, Value::Integer(number)) => Some(Value::Float(*number as f64)),
        (FieldKind::Bool, Value::Bool(_)) => Some(value.clone()),
        _ => None,
    }
}

fn typed_text(kind: FieldKind, text: &str) -> Option<Value> {
    match kind {
        FieldKind::Keyword | FieldKind::Text => Some(Value::Text(text.into())),
        FieldKind::Ip => {
            // A scope (`%eth0`) says which link, not which address.
            let address = text.split('%').next().unwrap_or(text);
            address.trim().parse::<std::net::IpAddr>().ok().map(|address| Value::Ip(address.to_canonical()))
        }
        FieldKind::Integer => match text.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).ok().map(Value::Integer),
            None => text.trim().parse().ok().map(Value::Integer),
        },
        FieldKind::Float => text.trim().parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float),
        FieldKind::Bool => match text {
            "true" | "True" | "1" | "yes" => Some(Value::Bool(true)),
            "false" | "False" | "0" | "no" => Some(Value::Bool(false)),
            _ => None,
        },
        FieldKind::Time => Timestamp::parse_rfc3339(text).map(|at| Value::from(at.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: FieldKind, value: impl Into<Value>, expected: Option<Value>) {
        let value = value.into();
        assert_eq!(typed(kind, &value), expected, "input: {value:?}");
    }

    #[test]
    fn values_get_the_type_of_their_field() {
        let ip = |text: &str| Some(Value::Ip(text.parse().unwrap()));
        check(FieldKind::Ip, "::ffff:10.0.0.1", ip("10.0.0.1"));
        check(FieldKind::Ip, "fe80::1%eth0", ip("fe80::1"));
        check(FieldKind::Ip, "LOCAL", None);
        check(FieldKind::Integer, "0x1f4", Some(Value::Integer(500)));
        check(FieldKind::Integer, "12", Some(Value::Integer(12)));
        check(FieldKind::Integer, 12.0, Some(Value::Integer(12)));
        check(FieldKind::Integer, 12.5, None);
        check(FieldKind::Integer, "twelve", None);
        check(FieldKind::Keyword, 4625_i64, Some(Value::from("4625")));
        check(FieldKind::Keyword, true, Some(Value::from("true")));
        check(FieldKind::Float, 2_i64, Some(Value::Float(2.0)));
        check(FieldKind::Float, "nan", None);
        check(FieldKind::Bool, "yes", Some(Value::Bool(true)));
        check(FieldKind::Time, "2026-11-22T07:00:00+07:00", Some(Value::from("2026-11-22T00:00:00Z")));
        check(
            FieldKind::Ip,
            Value::List(vec!["10.0.0.1".into(), "-".into()]),
            Some(Value::List(ip("10.0.0.1").into_iter().collect())),
        );
    }
}
