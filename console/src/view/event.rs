//! Events as the client gets them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use canh_schema::{Event, EventClass, TimeRange, field};
use canh_store::{Histogram, Outcome};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{FieldKindName, Time, cut_text, json_value};

/// Longest text, in bytes, that a list of events gives per value; the single event gives all of it.
const LIST_TEXT_MAX: usize = 4 * 1024;

/// One event. In lists, texts are cut at 4 KiB and `cut` says so; `GET /api/v1/events/{id}` gives everything.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventView {
    /// 32 hexadecimal digits.
    pub(crate) id: String,
    /// When it happened, by the clock of the source.
    pub(crate) time: Time,
    /// When the collector received it.
    pub(crate) received: Time,
    pub(crate) class: EventClassName,
    pub(crate) logsource: LogSourceView,
    /// The text of the event as people read it: `message`, else the raw text.
    pub(crate) message: String,
    /// Catalogue fields under ECS names; a value is null, a boolean, a number, a text or a list of these.
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    pub(crate) fields: BTreeMap<&'static str, serde_json::Value>,
    /// What the source itself called its values, verbatim.
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    pub(crate) attrs: BTreeMap<String, serde_json::Value>,
    /// The bytes as sent, as text; what is not UTF-8 is shown with replacement characters.
    pub(crate) raw: String,
    /// The bytes as sent, base64; only when they are not UTF-8 and nothing was cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) raw_base64: Option<String>,
    /// Length of the bytes as sent.
    pub(crate) raw_len: u64,
    pub(crate) issues: Vec<EventIssueView>,
    /// Whether a text of this event was cut for the list.
    pub(crate) cut: bool,
}

/// Which Sigma log source the event is of.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogSourceView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) product: Option<String>,
    pub(crate) services: Vec<String>,
    pub(crate) categories: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventClassName {
    Log,
    Flow,
    Metric,
}

/// Something about the event that was not as it should be; the event is kept all the same.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventIssueView {
    /// For example `invalid_utf8` or `bad_time`.
    pub(crate) kind: &'static str,
    pub(crate) detail: String,
}

impl EventView {
    /// Everything.
    pub(crate) fn whole(event: &Event) -> Self {
        Self::with_text_max(event, usize::MAX)
    }

    /// As much as a row needs.
    pub(crate) fn row(event: &Event) -> Self {
        Self::with_text_max(event, LIST_TEXT_MAX)
    }

    fn with_text_max(event: &Event, text_max: usize) -> Self {
        let mut cut = false;
        let raw = String::from_utf8_lossy(&event.raw);
        let fields =
            event.fields.iter().map(|(id, value)| (id.name(), json_value(value, text_max, &mut cut))).collect();
        let attrs =
            event.attrs.iter().map(|(name, value)| (name.to_string(), json_value(value, text_max, &mut cut))).collect();
        let message = event.get(field::MESSAGE).and_then(|value| value.as_text());
        let message = cut_text(message.as_deref().unwrap_or(&raw), text_max, &mut cut).to_owned();
        let lossy = matches!(raw, std::borrow::Cow::Owned(_));
        let raw = cut_text(&raw, text_max, &mut cut).to_owned();
        Self {
            id: event.id.to_string(),
            time: event.time.into(),
            received: event.received.into(),
            class: event.class.into(),
            logsource: LogSourceView {
                product: event.logsource.product.as_ref().map(ToString::to_string),
                services: event.logsource.services().map(str::to_owned).collect(),
                categories: event.logsource.categories.iter().map(ToString::to_string).collect(),
            },
            message,
            fields,
            attrs,
            raw,
            raw_base64: (lossy && event.raw.len() <= text_max).then(|| STANDARD.encode(&event.raw)),
            raw_len: u64::try_from(event.raw.len()).unwrap_or(u64::MAX),
            issues: event
                .issues
                .iter()
                .map(|issue| EventIssueView { kind: issue.kind.name(), detail: issue.detail.to_string() })
                .collect(),
            cut,
        }
    }
}

impl From<EventClass> for EventClassName {
    fn from(class: EventClass) -> Self {
        match class {
            EventClass::Log => Self::Log,
            EventClass::Flow => Self::Flow,
            EventClass::Metric => Self::Metric,
        }
    }
}

/// Which events. Leaving `from` and `to` out means the last hour.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventListQuery {
    /// Hunt query; empty means every event.
    pub(crate) q: Option<String>,
    /// First point in time, included.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) from: Option<Time>,
    /// Last point in time, left out. Default: now.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) to: Option<Time>,
    /// Most events in the answer. Default 100.
    #[param(minimum = 1, maximum = 1000)]
    pub(crate) limit: Option<u32>,
    /// `next` of the page before: go on there, towards older events.
    pub(crate) before: Option<String>,
}

/// Newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventPage {
    pub(crate) items: Vec<EventView>,
    /// Give it as `before` to get the next, older page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
    /// The range that was searched, so that a link can be absolute.
    pub(crate) from: Time,
    pub(crate) to: Time,
    pub(crate) outcome: OutcomeView,
    /// What may be a mistake in the query although it can be understood.
    pub(crate) hints: Vec<QueryHint>,
    pub(crate) took_ms: u64,
}

/// A name in the query that is no known field, and nearly is one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueryHint {
    pub(crate) field: String,
    /// The name that was perhaps meant.
    pub(crate) suggestion: String,
}

/// Whether an answer covers all that was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct OutcomeView {
    pub(crate) kind: OutcomeKind,
    /// With `sampled`: how many of the newest matching events were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) events: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OutcomeKind {
    Complete,
    /// Time ran out. What is there is right, and is the newest part.
    Deadline,
    /// Counts are of the newest matching events only.
    Sampled,
}

impl From<Outcome> for OutcomeView {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Complete => Self { kind: OutcomeKind::Complete, events: None },
            Outcome::Deadline => Self { kind: OutcomeKind::Deadline, events: None },
            Outcome::Sampled { events } => Self { kind: OutcomeKind::Sampled, events: Some(events) },
        }
    }
}

#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventHistogramQuery {
    /// Hunt query; empty means every event.
    pub(crate) q: Option<String>,
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) from: Option<Time>,
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) to: Option<Time>,
    /// How many bars are wanted, roughly: the width is rounded up to 1, 2, 5, 10, 15, 30 s, min and so on. Default 60.
    #[param(minimum = 1, maximum = 500)]
    pub(crate) buckets: Option<u32>,
}

/// Counts per bin of equal width, without gaps. Bin `i` begins at `start` + `i` × `width_ms`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistogramView {
    pub(crate) from: Time,
    pub(crate) to: Time,
    /// Beginning of the first bin; at or before `from`.
    pub(crate) start: Time,
    pub(crate) width_ms: u64,
    pub(crate) counts: Vec<u64>,
    pub(crate) total: u64,
    pub(crate) outcome: OutcomeView,
}

impl HistogramView {
    pub(crate) fn new(range: TimeRange, histogram: Histogram) -> Self {
        Self {
            from: range.start.into(),
            to: range.end.into(),
            start: histogram.buckets.first().map_or(range.start, |bucket| bucket.start).into(),
            width_ms: u64::try_from(histogram.width.as_millis()).unwrap_or(u64::MAX),
            counts: histogram.buckets.iter().map(|bucket| bucket.count).collect(),
            total: histogram.total,
            outcome: histogram.outcome.into(),
        }
    }
}

#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventFieldsQuery {
    /// Hunt query; empty means every event.
    pub(crate) q: Option<String>,
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) from: Option<Time>,
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) to: Option<Time>,
}

/// Which fields the newest matching events have, most frequent first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventFields {
    pub(crate) items: Vec<EventFieldCount>,
    /// How many events the counts were taken from, at most 1000.
    pub(crate) sampled: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventFieldCount {
    pub(crate) name: String,
    /// Kind of a catalogue field; absent for a source's own attribute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<FieldKindName>,
    /// Events that have the field.
    pub(crate) count: u64,
}

#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventTopQuery {
    /// Hunt query; empty means every event.
    pub(crate) q: Option<String>,
    /// Catalogue field or attribute.
    pub(crate) field: String,
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) from: Option<Time>,
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) to: Option<Time>,
    /// Most values in the answer. Default 10.
    #[param(minimum = 1, maximum = 100)]
    pub(crate) limit: Option<u32>,
}

/// The most frequent values of a field, most frequent first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventTopValues {
    pub(crate) field: String,
    pub(crate) items: Vec<EventTopValue>,
    /// Events that match, with the field or without.
    pub(crate) total: u64,
    /// Events that match and have the field.
    pub(crate) with_field: u64,
    pub(crate) outcome: OutcomeView,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventTopValue {
    /// As people write it; at most 256 bytes.
    pub(crate) value: String,
    pub(crate) count: u64,
}

#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventTailQuery {
    /// Hunt query without pipes; empty means every event.
    pub(crate) q: Option<String>,
}

/// Data of a `dropped` message of the tail: this client was too slow for so many matching events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct TailDropped {
    /// Since the last `dropped` message.
    pub(crate) count: u64,
    /// Since the tail began.
    pub(crate) total: u64,
}

/// Every field that Canh knows by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldCatalogue {
    pub(crate) items: Vec<FieldView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldView {
    pub(crate) name: &'static str,
    pub(crate) kind: FieldKindName,
    /// One line, English.
    pub(crate) about: &'static str,
}
