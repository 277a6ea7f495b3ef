//! One thing that happened, as a source told it.

use bytes::Bytes;
use compact_str::CompactString;
use smallvec::SmallVec;

use crate::catalogue::{self, FieldId};
use crate::{EventId, Timestamp, Value};

/// An event. Decoding never fails: what could not be read is in `raw`, and why is in `issues`.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: EventId,
    /// When it happened, by the clock of the source; the time of receipt if the source gave none.
    pub time: Timestamp,
    /// When the collector received it.
    pub received: Timestamp,
    pub class: EventClass,
    /// Which Sigma log source this is, so that rules find their events.
    pub logsource: LogSource,
    /// Catalogue fields: what is common to all sources, under ECS names.
    pub fields: SmallVec<[(FieldId, Value); 10]>,
    /// What the source itself called its values, verbatim, objects flattened to dotted names.
    /// Values that also are catalogue fields stay here too: rules are written against native names.
    pub attrs: Vec<(CompactString, Value)>,
    /// The bytes as sent.
    pub raw: Bytes,
    pub issues: Vec<Issue>,
}

impl Event {
    pub fn new(id: EventId, received: Timestamp, raw: Bytes) -> Self {
        Self {
            id,
            time: received,
            received,
            class: EventClass::Log,
            logsource: LogSource::default(),
            fields: SmallVec::new(),
            attrs: Vec::new(),
            raw,
            issues: Vec::new(),
        }
    }

    pub fn get(&self, field: FieldId) -> Option<&Value> {
        self.fields.iter().find(|(id, _)| *id == field).map(|(_, value)| value)
    }

    pub fn attr(&self, name: &str) -> Option<&Value> {
        self.attrs.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// A catalogue field by its name, or else an attribute by its own.
    pub fn lookup(&self, name: &str) -> Option<&Value> {
        catalogue::field_by_name(name).and_then(|field| self.get(field)).or_else(|| self.attr(name))
    }

    /// Sets a catalogue field; a value that was there is replaced.
    pub fn set(&mut self, field: FieldId, value: impl Into<Value>) {
        let value = value.into();
        match self.fields.iter_mut().find(|(id, _)| *id == field) {
            Some((_, old)) => *old = value,
            None => self.fields.push((field, value)),
        }
    }

    pub fn push_issue(&mut self, kind: IssueKind, detail: impl Into<CompactString>) {
        self.issues.push(Issue { kind, detail: detail.into() });
    }
}

/// What sort of record this is. Each class has its own partitions and retention.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum EventClass {
    Log,
    Flow,
    Metric,
}

impl EventClass {
    pub const ALL: [Self; 3] = [Self::Log, Self::Flow, Self::Metric];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Flow => "flow",
            Self::Metric => "metric",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// The three dimensions by which Sigma rules choose events. Source: Sigma rules specification, "Log source".
/// A dimension that a rule names and the event lacks excludes the rule.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct LogSource {
    pub product: Option<CompactString>,
    pub service: Option<CompactString>,
    /// Services that the event belongs to besides `service`: a line of sshd is `sshd`, and `auth` as well.
    /// A rule that names a service takes the event if any of them is equal; see [`LogSource::services`].
    pub other_services: SmallVec<[CompactString; 1]>,
    /// An event may be in several: Sysmon 1 and Security 4688 both are `process_creation`.
    pub categories: SmallVec<[CompactString; 1]>,
}

impl LogSource {
    pub fn product(product: &str) -> Self {
        Self { product: Some(product.into()), ..Self::default() }
    }

    #[must_use]
    pub fn with_service(mut self, service: &str) -> Self {
        self.service = Some(service.into());
        self
    }

    /// One more service; the first is `service`.
    #[must_use]
    pub fn with_other_service(mut self, service: &str) -> Self {
        self.other_services.push(service.into());
        self
    }

    /// Every service that the event belongs to.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.service.iter().chain(&self.other_services).map(CompactString::as_str)
    }

    #[must_use]
    pub fn with_category(mut self, category: &str) -> Self {
        self.categories.push(category.into());
        self
    }
}

/// Something about an event that was not as it should be. The event is kept all the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issue {
    pub kind: IssueKind,
    /// What exactly, in a few words; may quote the source, so it is hostile where it is shown.
    pub detail: CompactString,
}

/// Kinds of [`Issue`]. The name is stored, so a name is never given to something else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum IssueKind {
    /// Bytes that are not UTF-8; shown with replacement characters, kept as they were in `raw`.
    InvalidUtf8,
    /// Longer than the limit of the door; the rest was cut off.
    Truncated,
    /// The format that it should have been did not fit.
    Malformed,
    /// The time could not be read; the time of receipt stands in.
    BadTime,
    /// The time is further in the future than clocks differ; the time of receipt stands in.
    FutureTime,
    /// More fields than the limit; the others are in `raw` only.
    TooManyFields,
    /// Deeper than the limit; the rest is in `raw` only.
    TooDeep,
    /// A catalogue field whose value has the wrong type; it stays under its native name.
    TypeConflict,
}

impl IssueKind {
    pub const ALL: [Self; 8] = [
        Self::InvalidUtf8,
        Self::Truncated,
        Self::Malformed,
        Self::BadTime,
        Self::FutureTime,
        Self::TooManyFields,
        Self::TooDeep,
        Self::TypeConflict,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidUtf8 => "invalid_utf8",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::BadTime => "bad_time",
            Self::FutureTime => "future_time",
            Self::TooManyFields => "too_many_fields",
            Self::TooDeep => "too_deep",
            Self::TypeConflict => "type_conflict",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
