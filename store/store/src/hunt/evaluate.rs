//! What a hunt means: whether one event is found by it.

use std::net::IpAddr;
use std::ops::{Bound, RangeBounds};

use canh_schema::{Event, Timestamp, Value};

use super::tree::{Expr, Literal, Test};
use crate::tokens::fold_case;

impl Expr {
    pub fn matches(&self, event: &Event) -> bool {
        match self {
            Self::All => true,
            Self::Words(phrase) => for_each_text(event, |text| phrase.matches(text)),
            Self::Text(regexp) => for_each_text(event, |text| regexp.matches(&fold_case(text))),
            Self::Field(field, test) => field.any_value(event, |value| test.matches(value)),
            Self::Not(inner) => !inner.matches(event),
            Self::And(parts) => parts.iter().all(|part| part.matches(event)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(event)),
        }
    }
}

/// Calls `found` with every text of an event until it answers `true`, and says whether it did: the raw bytes, then
/// every single value of fields and attributes.
pub fn for_each_text(event: &Event, mut found: impl FnMut(&str) -> bool) -> bool {
    if !event.raw.is_empty() && found(&String::from_utf8_lossy(&event.raw)) {
        return true;
    }
    let fields = event.fields.iter().map(|(_, value)| value);
    let attrs = event.attrs.iter().map(|(_, value)| value);
    fields.chain(attrs).flat_map(Value::members).any(|value| value.as_text().is_some_and(|text| found(&text)))
}

impl Test {
    /// Whether a single value passes.
    pub fn matches(&self, value: &Value) -> bool {
        match self {
            Self::Exists => !matches!(value, Value::Null | Value::List(_)),
            Self::Is(literal) => value.as_text().is_some_and(|text| fold_case(&text) == literal.folded()),
            Self::Like(wildcard) => value.as_text().is_some_and(|text| wildcard.matches(&fold_case(&text))),
            Self::Found(regexp) => value.as_text().is_some_and(|text| regexp.matches(&fold_case(&text))),
            Self::Words(phrase) => value.as_text().is_some_and(|text| phrase.matches(&text)),
            Self::Net(net) => {
                let (first, last) = (address_number(net.network()), address_number(net.broadcast()));
                value.as_ip().is_some_and(|address| (first..=last).contains(&address_number(address)))
            }
            Self::Addresses { first, last } => {
                value.as_ip().is_some_and(|address| (*first..=*last).contains(&address_number(address)))
            }
            Self::Integer { first, last } => value.as_i64().is_some_and(|number| (*first..=*last).contains(&number)),
            Self::Float { lower, upper } => {
                value.as_f64().is_some_and(|number| (lower.as_ref(), upper.as_ref()).contains(&number))
            }
            Self::Time { first, last } => time_number(value).is_some_and(|nanos| (*first..=*last).contains(&nanos)),
            Self::Between { lower, upper } => is_above(value, lower) && is_below(value, upper),
        }
    }
}

/// An address as a number; IPv4 is mapped into IPv6, so that both are in one order.
pub fn address_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// A value of a time field: nanoseconds since 1970, or RFC 3339 as text.
pub fn time_number(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(nanos) => Some(*nanos),
        Value::Text(text) => Timestamp::parse_rfc3339(text).map(Timestamp::nanos),
        _ => None,
    }
}

fn is_above(value: &Value, bound: &Bound<Literal>) -> bool {
    compare(value, bound, |order| order.is_gt())
}

fn is_below(value: &Value, bound: &Bound<Literal>) -> bool {
    compare(value, bound, |order| order.is_lt())
}

fn compare(value: &Value, bound: &Bound<Literal>, fits: impl Fn(std::cmp::Ordering) -> bool) -> bool {
    let (literal, included) = match bound {
        Bound::Unbounded => return true,
        Bound::Included(literal) => (literal, true),
        Bound::Excluded(literal) => (literal, false),
    };
    let order = match literal.number() {
        Some(number) => value.as_f64().and_then(|value| value.partial_cmp(&number)),
        None => value.as_text().map(|text| (*fold_case(&text)).cmp(literal.folded())),
    };
    order.is_some_and(|order| fits(order) || (included && order.is_eq()))
}
