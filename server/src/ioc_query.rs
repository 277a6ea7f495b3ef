//! What a look back asks the server: a hunt for the values when they are few, and events from its answers.

use std::fmt::Write;

use canh_ioc::{Indicator, IndicatorKind};
use canh_schema::{Event, FieldId, FieldKind, Timestamp, Value, field_by_name};

/// Longest hunt that is made, in bytes; longer ones are refused by the server or too long for a request.
const QUERY_LEN_MAX: usize = 6_000;

/// A hunt that finds at least every event that holds one of the indicators. `None` if there is no short one: too many
/// values, or values that events may write in another way.
///
/// It only saves work. What it finds is judged by the set, as every event of a full scan is.
pub(crate) fn narrow(indicators: impl Iterator<Item = Indicator>) -> Option<String> {
    let mut query = String::new();
    for indicator in indicators {
        if !query.is_empty() {
            query.push_str(" OR ");
        }
        let value = indicator.value.as_str();
        match indicator.kind {
            // An IPv6 address has many forms, and networks are in no text.
            IndicatorKind::Ip if !value.contains(':') => {
                phrase(value, &mut query)?;
                // A sensor's addresses are in fields and perhaps in no text.
                for name in ip_fields() {
                    write!(query, " OR {name}:{value}").ok()?;
                }
            }
            IndicatorKind::Domain if !value.contains("xn--") => phrase(value, &mut query)?,
            // Sources give host and path apart; events of the host are few.
            IndicatorKind::Url => phrase(host(value)?, &mut query)?,
            IndicatorKind::Md5
            | IndicatorKind::Sha1
            | IndicatorKind::Sha256
            | IndicatorKind::Sha512
            | IndicatorKind::Ja3
            | IndicatorKind::Ja3s
            | IndicatorKind::Ja4 => phrase(value, &mut query)?,
            IndicatorKind::Email if value.is_ascii() && !value.contains("xn--") => phrase(value, &mut query)?,
            IndicatorKind::UserAgent if value.is_ascii() => phrase(value, &mut query)?,
            _ => return None,
        }
        if query.len() > QUERY_LEN_MAX {
            return None;
        }
    }
    (!query.is_empty()).then_some(query)
}

/// Fields of the catalogue that hold addresses and are looked at.
fn ip_fields() -> impl Iterator<Item = &'static str> {
    let names = canh_ioc::FIELDS.iter().map(|(name, _)| *name);
    names.filter(|name| field_by_name(name).is_some_and(|field| field.kind() == FieldKind::Ip))
}

/// Host of a URL in form. `None` for an address: events may write it in another way.
fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let host = authority.rsplit('@').next()?.split(':').next()?;
    let name =
        host.contains(|sign: char| sign.is_ascii_alphabetic()) && !host.contains(['[', ']']) && !host.contains("xn--");
    name.then_some(host)
}

/// The words of the value one after the other. A value without words would ask for everything.
fn phrase(value: &str, query: &mut String) -> Option<()> {
    value.contains(|sign: char| sign.is_ascii_alphanumeric()).then_some(())?;
    query.push('"');
    for sign in value.chars() {
        if matches!(sign, '"' | '\\') {
            query.push('\\');
        }
        query.push(sign);
    }
    query.push('"');
    Some(())
}

/// An event from the API's description of it. The raw bytes are left out: indicators are not looked for in them.
pub(crate) fn event(view: &serde_json::Value) -> Option<Event> {
    let time = |name: &str| view[name].as_str().and_then(Timestamp::parse_rfc3339);
    let mut event = Event::new(view["id"].as_str()?.parse().ok()?, time("received")?, Default::default());
    event.time = time("time")?;
    for (name, json) in view["fields"].as_object()? {
        // A server of another version may know more fields; the native name has the same value.
        if let Some(id) = field_by_name(name) {
            event.set(id, value(Some(id), json));
        }
    }
    event.attrs =
        view["attrs"].as_object()?.iter().map(|(name, json)| (name.as_str().into(), value(None, json))).collect();
    Some(event)
}

fn value(field: Option<FieldId>, json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null | serde_json::Value::Object(_) => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => {
            number.as_i64().map_or_else(|| Value::Float(number.as_f64().unwrap_or_default()), Value::Integer)
        }
        serde_json::Value::String(text) => {
            let address = field.filter(|field| field.kind() == FieldKind::Ip).and_then(|_| text.parse().ok());
            address.map_or_else(|| Value::from(text.as_str()), Value::Ip)
        }
        serde_json::Value::Array(members) => Value::List(members.iter().map(|one| value(field, one)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use canh_ioc::{Builder, IndicatorSet, LoadOptions};
    use serde_json::json;

    use super::*;

    fn set(text: &str) -> IndicatorSet {
        let mut builder = Builder::new(LoadOptions::default());
        builder.add_text("list.txt", text);
        builder.finish().0
    }

    #[track_caller]
    fn check(list: &str, expected: Option<&str>) {
        assert_eq!(narrow(set(list).iter()).as_deref(), expected, "list: {list:?}");
    }

    #[test]
    fn hunts_of_few_values() {
        check("evil.example\nhttp://a.example/x?y=1\n", Some("\"evil.example\" OR \"a.example\""));
        check(
            "198.51.100.7\n",
            Some(
                "\"198.51.100.7\" OR source.ip:198.51.100.7 OR destination.ip:198.51.100.7 OR dns.resolved_ip:198.51.100.7",
            ),
        );
        check("user_agent:a\"b\\c\n", Some("\"a\\\"b\\\\c\""));
        check("203.0.113.0/24\n", None);
        check("2001:db8::1\n", None);
        check("bücher.example\n", None);
        check("http://198.51.100.7/a\n", None);
        check("user_agent:---\n", None);
        check(&(0..1_000).map(|n| format!("h{n}.example\n")).collect::<String>(), None);
        check("", None);
    }

    #[test]
    fn an_event_of_the_api_gets_the_same_verdict() {
        let view = json!({
            "id": "00000000000000000000000000000001", "time": "2026-01-31T08:00:00Z", "received": "2026-01-31T08:00:01Z",
            "fields": {"source.ip": "198.51.100.7", "dns.answers.data": ["a.evil.example", "x"]},
            "attrs": {"query": "b.evil.example", "EventID": 3, "odd": [null, true, 1.5]},
        });
        let event = event(&view).expect("an event");
        let found = set("198.51.100.7\nevil.example\n").evaluate(&event, event.time);
        let fields: Vec<_> = found.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields.len(), 2, "{fields:?}");
        assert!(fields.contains(&"source.ip"));
        assert!(super::event(&json!({"id": "x"})).is_none());
    }
}
