//! One value of a field.

use std::borrow::Cow;
use std::net::IpAddr;

use compact_str::CompactString;

/// What a source said. Numbers and addresses keep their type; nested objects are flattened to dotted names before
/// they get here.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Present, and said to be nothing. Not the same as absent.
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Ip(IpAddr),
    Text(CompactString),
    /// Several values under one name, in the order sent.
    List(Vec<Value>),
}

impl Value {
    pub fn text(text: impl Into<CompactString>) -> Self {
        Self::Text(text.into())
    }

    /// The value as people write it. A list is not one text: `None`. Null is `None`.
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Null | Self::List(_) => None,
            Self::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
            Self::Integer(value) => Some(Cow::Owned(value.to_string())),
            Self::Float(value) => Some(Cow::Owned(value.to_string())),
            Self::Ip(value) => Some(Cow::Owned(value.to_string())),
            Self::Text(value) => Some(Cow::Borrowed(value)),
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number that this is or that its text spells.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            // Beyond 2^53 neighbouring integers become equal; comparisons of such sizes are not worth an error.
            Self::Integer(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The address that this is or that its text spells.
    pub fn as_ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// Itself, or each member if it is a list.
    pub fn members(&self) -> &[Value] {
        match self {
            Self::List(values) => values,
            single => std::slice::from_ref(single),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<CompactString> for Value {
    fn from(text: CompactString) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<IpAddr> for Value {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address)
    }
}
