//! Names of fields in hunts, and the values that an event has under them.

use std::borrow::Cow;
use std::fmt;

use canh_schema::{Event, FieldId, FieldKind, Value, field_by_name};
use compact_str::CompactString;

/// A field as a hunt names it.
///
/// A name is first one of the [`Pseudo`] fields, then one of the catalogue, else the native name of an attribute.
/// `attrs.` in front means the attribute, whatever else is called so.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FieldRef {
    Pseudo(Pseudo),
    Catalogue(FieldId),
    Attr(CompactString),
}

/// Parts of an event that are not fields, but are asked for like them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Pseudo {
    Time,
    Received,
    Class,
    Product,
    Service,
    Category,
    Id,
    Issue,
}

impl Pseudo {
    pub const ALL: [Self; 8] =
        [Self::Time, Self::Received, Self::Class, Self::Product, Self::Service, Self::Category, Self::Id, Self::Issue];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Time => "@timestamp",
            Self::Received => "received",
            Self::Class => "class",
            Self::Product => "product",
            Self::Service => "service",
            Self::Category => "category",
            Self::Id => "id",
            Self::Issue => "issue",
        }
    }

    /// One line for the reference manual and for completion.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Time => "when it happened, by the clock of the source",
            Self::Received => "when the collector received it",
            Self::Class => "`log`, `flow` or `metric`",
            Self::Product => "Sigma log source: product, for example `linux`",
            Self::Service => "Sigma log source: service, for example `sshd`",
            Self::Category => "Sigma log source: category, for example `process_creation`",
            Self::Id => "id of the event",
            Self::Issue => "what was odd about it when it was read, for example `invalid_utf8`",
        }
    }

    pub const fn kind(self) -> FieldKind {
        match self {
            Self::Time | Self::Received => FieldKind::Time,
            _ => FieldKind::Keyword,
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pseudo| pseudo.name() == name)
    }
}

const ATTR_PREFIX: &str = "attrs.";

impl FieldRef {
    /// What a name means.
    pub fn named(name: &str) -> Self {
        if let Some(attr) = name.strip_prefix(ATTR_PREFIX) {
            return Self::Attr(attr.into());
        }
        Pseudo::from_name(name)
            .map(Self::Pseudo)
            .or_else(|| field_by_name(name).map(Self::Catalogue))
            .unwrap_or_else(|| Self::Attr(name.into()))
    }

    /// The name that [`named`](Self::named) reads back to the same field.
    pub fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Pseudo(pseudo) => Cow::Borrowed(pseudo.name()),
            Self::Catalogue(field) => Cow::Borrowed(field.name()),
            Self::Attr(name) if Self::named(name) == *self => Cow::Borrowed(name),
            Self::Attr(name) => Cow::Owned(format!("{ATTR_PREFIX}{name}")),
        }
    }

    /// How it is compared; `None` for an attribute, which may hold anything.
    pub fn kind(&self) -> Option<FieldKind> {
        match self {
            Self::Pseudo(pseudo) => Some(pseudo.kind()),
            Self::Catalogue(field) => Some(field.kind()),
            Self::Attr(_) => None,
        }
    }

    /// Calls `found` with each single value of the field until it answers `true`, and says whether it did.
    /// Null and empty lists are no values.
    pub fn any_value(&self, event: &Event, mut found: impl FnMut(&Value) -> bool) -> bool {
        let mut members = |value: &Value| value.members().iter().any(|one| is_single(one) && found(one));
        match self {
            Self::Pseudo(pseudo) => pseudo_values(*pseudo, event, &mut members),
            Self::Catalogue(field) => event.get(*field).is_some_and(members),
            Self::Attr(name) => event.attrs.iter().filter(|(key, _)| key == name).any(|(_, value)| members(value)),
        }
    }
}

fn is_single(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::List(_))
}

fn pseudo_values(pseudo: Pseudo, event: &Event, found: &mut impl FnMut(&Value) -> bool) -> bool {
    let mut text = |text: &str| found(&Value::text(text));
    match pseudo {
        Pseudo::Time => found(&Value::Integer(event.time.nanos())),
        Pseudo::Received => found(&Value::Integer(event.received.nanos())),
        Pseudo::Class => found(&Value::text(event.class.name())),
        Pseudo::Product => event.logsource.product.as_deref().is_some_and(text),
        Pseudo::Service => event.logsource.services().any(text),
        Pseudo::Category => event.logsource.categories.iter().any(|category| text(category)),
        Pseudo::Id => text(&event.id.to_string()),
        Pseudo::Issue => event.issues.iter().any(|issue| found(&Value::text(issue.kind.name()))),
    }
}

impl fmt::Display for FieldRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use canh_schema::field;

    use super::*;

    #[track_caller]
    fn check(name: &str, expected: FieldRef) {
        assert_eq!(FieldRef::named(name), expected, "input: {name:?}");
        assert_eq!(FieldRef::named(&expected.name()), expected, "input: {name:?}");
    }

    #[test]
    fn names() {
        check("service", FieldRef::Pseudo(Pseudo::Service));
        check("source.ip", FieldRef::Catalogue(field::SOURCE_IP));
        check("EventID", FieldRef::Attr("EventID".into()));
        check("attrs.service", FieldRef::Attr("service".into()));
        check("attrs.attrs.x", FieldRef::Attr("attrs.x".into()));
        check("", FieldRef::Attr("".into()));
    }
}
