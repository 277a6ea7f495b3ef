//! Counting of values and fields, the same for every backend.

use std::borrow::Cow;

use canh_schema::{Event, FieldKind, Timestamp, Value};
use compact_str::{CompactString, ToCompactString};
use rustc_hash::FxHashMap;

use crate::field::{FieldRef, Pseudo};
use crate::hunt::time_number;
use crate::request::{FieldCount, FieldCounts, Outcome, TopValues, VALUE_LEN_MAX, ValueCount};

/// A value as lists of top values show it: cut after [`VALUE_LEN_MAX`] bytes, times in RFC 3339. What does not have the
/// type of its field is not shown.
pub fn shown(kind: Option<FieldKind>, value: &Value) -> Option<CompactString> {
    match kind {
        Some(FieldKind::Time) => time_number(value).map(|nanos| Timestamp::from_nanos(nanos).to_compact_string()),
        Some(FieldKind::Integer) => value.as_i64().map(|number| number.to_compact_string()),
        Some(FieldKind::Float) => {
            value.as_f64().filter(|number| !number.is_nan()).map(|number| number.to_compact_string())
        }
        Some(FieldKind::Ip) => value.as_ip().map(|address| address.to_canonical().to_compact_string()),
        _ => value.as_text().map(|text| CompactString::from(cut(&text))),
    }
}

/// At most [`VALUE_LEN_MAX`] bytes, whole signs only.
pub fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(VALUE_LEN_MAX)]
}

/// Counts values of one field, event by event.
#[derive(Debug)]
pub struct ValueTally {
    field: FieldRef,
    counts: FxHashMap<CompactString, u64>,
    with_field: u64,
    total: u64,
    seen: Vec<CompactString>,
}

impl ValueTally {
    pub fn new(field: FieldRef) -> Self {
        Self { field, counts: FxHashMap::default(), with_field: 0, total: 0, seen: Vec::new() }
    }

    pub fn add(&mut self, event: &Event) {
        let (kind, seen) = (self.field.kind(), &mut self.seen);
        seen.clear();
        self.field.any_value(event, |value| {
            seen.extend(shown(kind, value).filter(|text| !seen.contains(text)));
            false
        });
        self.total += 1;
        self.with_field += u64::from(!seen.is_empty());
        for text in seen.drain(..) {
            *self.counts.entry(text).or_default() += 1;
        }
    }

    /// Events counted so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    pub fn finish(self, limit: usize, outcome: Outcome) -> TopValues {
        TopValues { values: top(self.counts, limit), with_field: self.with_field, total: self.total, outcome }
    }
}

/// The `limit` commonest, equal counts by value.
pub fn top(counts: impl IntoIterator<Item = (CompactString, u64)>, limit: usize) -> Vec<ValueCount> {
    let mut values: Vec<ValueCount> = counts.into_iter().map(|(value, count)| ValueCount { value, count }).collect();
    let order =
        |left: &ValueCount, right: &ValueCount| right.count.cmp(&left.count).then_with(|| left.value.cmp(&right.value));
    if values.len() > limit {
        values.select_nth_unstable_by(limit, order);
        values.truncate(limit);
    }
    values.sort_unstable_by(order);
    values
}

/// Which fields these events have. Pseudo fields that every event has are left out.
pub fn field_counts<'e>(events: impl IntoIterator<Item = &'e Event>) -> FieldCounts {
    let mut counts: FxHashMap<FieldRef, u64> = FxHashMap::default();
    let mut sampled = 0;
    for event in events {
        sampled += 1;
        let pseudo =
            [Pseudo::Class, Pseudo::Product, Pseudo::Service, Pseudo::Category, Pseudo::Issue].map(FieldRef::Pseudo);
        let fields = event.fields.iter().map(|(field, _)| FieldRef::Catalogue(*field));
        let mut attrs: Vec<&CompactString> = event.attrs.iter().map(|(name, _)| name).collect();
        attrs.sort_unstable();
        attrs.dedup();
        let attrs = attrs.into_iter().map(|name| FieldRef::Attr(name.clone()));
        for field in pseudo.into_iter().chain(fields).chain(attrs) {
            if field.any_value(event, |_| true) {
                *counts.entry(field).or_default() += 1;
            }
        }
    }
    let mut fields: Vec<FieldCount> = counts.into_iter().map(|(field, events)| FieldCount { field, events }).collect();
    fields.sort_unstable_by(|left, right| {
        let name = |count: &FieldCount| -> Cow<'static, str> { Cow::Owned(count.field.name().into_owned()) };
        right.events.cmp(&left.events).then_with(|| name(left).cmp(&name(right)))
    });
    FieldCounts { sampled, fields }
}
