//! What rules with a memory have in common: the events that they remember and the findings that come of them.

use canh_schema::{Event, EventHash, EventId, FieldMatch, Timestamp, Value, field};
use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use crate::matching::scalars;

/// Values of the grouping fields, in their order.
pub(super) type GroupKey = Box<[CompactString]>;

/// An event that is remembered: its id and the hash of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct EventRef {
    pub id: EventId,
    pub hash: EventHash,
}

impl EventRef {
    pub(super) fn of(event: &Event) -> Self {
        Self { id: event.id, hash: EventHash::of(&event.raw) }
    }
}

impl Serialize for EventRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.id.as_bytes(), self.hash.as_bytes()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for EventRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (id, hash) = <([u8; 16], [u8; 16])>::deserialize(deserializer)?;
        Ok(Self { id: EventId::from_bytes(id), hash: EventHash::from_bytes(hash) })
    }
}

/// Where it happened, as a finding says it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Subject {
    pub host: Option<CompactString>,
    pub user: Option<CompactString>,
    pub source_ip: Option<CompactString>,
}

impl Subject {
    pub(super) fn of(event: &Event) -> Self {
        let text = |id| event.get(id).and_then(Value::as_text).map(CompactString::from);
        Self { host: text(field::HOST_NAME), user: text(field::USER_NAME), source_ip: text(field::SOURCE_IP) }
    }
}

/// A rule with a memory that holds.
#[derive(Debug)]
pub(super) struct Crossing {
    /// The place of the rule among the engine's rules.
    pub rule: u32,
    pub time: Timestamp,
    pub events: Vec<EventRef>,
    pub subject: Subject,
    pub matches: Vec<FieldMatch>,
    /// See [`Proof::remembered`](canh_schema::Proof::remembered).
    pub remembered: Option<Box<[u8]>>,
}

/// A line of the proof of a rule with a memory.
pub(super) fn measured(
    field: CompactString,
    what: &str,
    pattern: impl Into<CompactString>,
    value: Value,
) -> FieldMatch {
    FieldMatch { selection: "correlation".into(), field, modifiers: what.into(), pattern: pattern.into(), value }
}

/// The lines that name the group.
pub(super) fn grouped<'a>(
    names: &'a [CompactString],
    key: &'a [CompactString],
) -> impl Iterator<Item = FieldMatch> + 'a {
    names.iter().zip(key).map(|(name, value)| measured(name.clone(), "group-by", "", Value::Text(value.clone())))
}

/// A list is one text here; an absent value is the empty text.
pub(super) fn text_of(value: Option<&Value>) -> CompactString {
    let Some(value) = value else { return CompactString::default() };
    let texts: SmallVec<[_; 1]> = scalars(value).into_iter().filter_map(Value::as_text).collect();
    match texts.as_slice() {
        [one] => one.as_ref().into(),
        many => many.join(",").into(),
    }
}
