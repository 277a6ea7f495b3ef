//! The seam to lists of indicators. What the lists are and how they are searched is the business of whoever gives one.

use std::fmt;

use canh_schema::{Event, EventId, FieldMatch};
use compact_str::CompactString;

use crate::mapping::MAPPINGS;
use crate::matching::{Glob, parse_glob};

/// Types of indicators, by the names that rules and lists use. The place is the bit in [`IndicatorTypes`].
pub const INDICATOR_TYPES: &[&str] =
    &["ip", "cidr", "domain", "url", "md5", "sha1", "sha256", "sha512", "email", "ja3", "ja3s", "ja4", "user_agent"];

/// Words for several types.
pub const INDICATOR_TYPE_GROUPS: &[(&str, &[&str])] = &[
    ("address", &["ip", "cidr"]),
    ("hash", &["md5", "sha1", "sha256", "sha512"]),
    ("fingerprint", &["ja3", "ja3s", "ja4"]),
];

/// A set of types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IndicatorTypes(u16);

impl IndicatorTypes {
    pub const ALL: Self = Self(u16::MAX);
    pub const NONE: Self = Self(0);

    /// One type, or those of a group. `None` if there is no such word.
    pub fn named(name: &str) -> Option<Self> {
        if let Some(bit) = INDICATOR_TYPES.iter().position(|known| *known == name) {
            return Some(Self(1 << bit));
        }
        let (_, members) = INDICATOR_TYPE_GROUPS.iter().find(|(group, _)| *group == name)?;
        Some(members.iter().filter_map(|member| Self::named(member)).fold(Self::NONE, Self::with))
    }

    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub fn has(self, name: &str) -> bool {
        Self::named(name).is_some_and(|named| self.0 & named.0 != 0)
    }

    /// The names of its types.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        INDICATOR_TYPES.iter().copied().filter(move |name| self.has(name))
    }
}

/// What a rule wants of the lists.
#[derive(Clone, Copy)]
pub struct IndicatorQuery<'q> {
    pub types: IndicatorTypes,
    /// The least that a list must say of how sure it is.
    pub confidence: u8,
    list: &'q dyn Fn(&str) -> bool,
    field: &'q dyn Fn(&str) -> bool,
}

impl<'q> IndicatorQuery<'q> {
    pub fn new(
        types: IndicatorTypes,
        confidence: u8,
        list: &'q dyn Fn(&str) -> bool,
        field: &'q dyn Fn(&str) -> bool,
    ) -> Self {
        Self { types, confidence, list, field }
    }

    pub fn wants_list(&self, name: &str) -> bool {
        (self.list)(name)
    }

    /// By the name of the catalogue, or the source's own.
    pub fn wants_field(&self, name: &str) -> bool {
        (self.field)(name)
    }
}

impl fmt::Debug for IndicatorQuery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndicatorQuery").field("types", &self.types).field("confidence", &self.confidence).finish()
    }
}

/// An indicator that an event holds.
#[derive(Clone, PartialEq, Debug)]
pub struct IndicatorMatch {
    /// The value, as the event writes it.
    pub value: CompactString,
    /// List, type and indicator: what makes two matches the same.
    pub key: CompactString,
    /// Everything that is needed to judge again without the list, the compared value first.
    pub proof: Vec<FieldMatch>,
}

/// Lists of indicators, as rules ask them.
pub trait IndicatorSource: fmt::Debug + Send + Sync {
    /// What the event holds, of what the rule wants, and has not expired at the event's time.
    fn matches(&self, event: &Event, query: &IndicatorQuery<'_>) -> Vec<IndicatorMatch>;
}

/// A value of an event that a rule took: whoever reports matches without a rule leaves it out.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct IndicatorClaim {
    pub event: EventId,
    pub value: CompactString,
}

/// Names with `*` and `?`. An empty list of patterns wants everything.
#[derive(Debug)]
pub(crate) struct Names(Vec<Glob>);

impl Names {
    pub(crate) fn new(patterns: &[CompactString]) -> Self {
        Self(patterns.iter().map(|pattern| Glob::new(&parse_glob(&pattern.to_lowercase()))).collect())
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|glob| glob.matches(&name.to_lowercase()))
    }
}

/// These fields under every name that the mappings know for them.
pub(crate) fn all_names(fields: &[CompactString]) -> Vec<CompactString> {
    let mut names = fields.to_vec();
    for (name, others) in MAPPINGS.iter().flat_map(|mapping| mapping.fields) {
        if fields.iter().any(|field| field == name) {
            names.extend(others.iter().map(|other| CompactString::const_new(other)));
        }
    }
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expected: Option<&[&str]>) {
        let found = IndicatorTypes::named(word).map(|types| types.names().collect::<Vec<_>>());
        assert_eq!(found.as_deref(), expected, "word: {word:?}");
    }

    #[test]
    fn words_for_types() {
        check("ip", Some(&["ip"]));
        check("address", Some(&["ip", "cidr"]));
        check("user_agent", Some(&["user_agent"]));
        check("hash", Some(&["md5", "sha1", "sha256", "sha512"]));
        check("anything", None);
        assert_eq!(IndicatorTypes::ALL.names().count(), INDICATOR_TYPES.len());
    }

    #[test]
    fn names_with_wildcards() {
        let names = Names::new(&["cert-*".into(), "own".into()]);
        assert_eq!(["CERT-vn", "own", "owner", "xcert-"].map(|name| names.wants(name)), [true, true, false, false]);
        assert!(Names::new(&[]).wants("anything"));
    }
}
