//! OpenTelemetry's protocol: log records, metric points and spans, from our agents and from anybody else.
//!
//! The body of a log record that is text is read like a line from anywhere, so that a file shipped by an OpenTelemetry
//! Collector is normalised as if our agent had read it. Attributes under ECS names become catalogue fields; the others
//! stay attributes. The attribute `canh.format` names the format of the body.

mod attributes;
mod conventions;
mod metrics;
mod spans;

use bytes::Bytes;
use canh_schema::{Event, FieldId, IssueKind, Timestamp, Value, field};
use canh_wire::attribute;
use compact_str::{CompactString, format_compact};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use self::attributes::{Attrs, as_json, flatten, single};
pub(crate) use self::metrics::decode_metrics;
pub(crate) use self::spans::{decode_traces, fuzz as fuzz_spans};
use super::{Header, by_name};
use crate::decode::{Decoder, decode_named};
use crate::source::{self, project};

/// The name that our agent gives itself as service and scope. It is no news in an event.
const OUR_AGENT: &str = "canh-agent";

/// Whether the attribute says nothing about the event itself: read elsewhere, or the same for every event of an agent.
fn is_transport(key: &str, value: &Value) -> bool {
    match key {
        attribute::FORMAT | attribute::TRUNCATED | attribute::AGENT_ID | attribute::OS_TYPE => true,
        attribute::SERVICE_NAME => value.as_str() == Some(OUR_AGENT),
        _ => false,
    }
}

pub(crate) fn decode_logs(decoder: &mut Decoder<'_>, payload: &Bytes) {
    let request = match ExportLogsServiceRequest::decode(payload.clone()) {
        Ok(request) => request,
        Err(error) => return unreadable(decoder, payload, "logs", &error),
    };
    for resource in request.resource_logs {
        let shared = Shared::new(decoder, resource.resource);
        for scope in resource.scope_logs {
            let (scope_name, attributes) = scope.scope.map(|scope| (scope.name, scope.attributes)).unwrap_or_default();
            let header = attributes.into_iter().find(|pair| pair.key == attribute::HEADER);
            let header = match header.and_then(|pair| pair.value?.value) {
                Some(any_value::Value::StringValue(text)) => Header::read(&text),
                _ => None,
            };
            for record in scope.log_records {
                if decoder.is_full() {
                    return unsplit(decoder, payload);
                }
                log_record(decoder, record, &shared, (&scope_name, header.as_ref()));
            }
        }
    }
}

/// A payload that the door should not have let in stays as it is, with the reason.
fn unreadable(decoder: &mut Decoder<'_>, payload: &Bytes, what: &str, error: &prost::DecodeError) {
    let mut event = decoder.event(payload.clone());
    event.push_issue(IssueKind::Malformed, format_compact!("OTLP {what}: {error}"));
    event.set(field::MESSAGE, "unreadable OTLP message");
    event.set(field::EVENT_DATASET, "otlp");
    decoder.finish(event, None);
}

/// Keeps a message of more records than a batch may have in one piece.
fn unsplit(decoder: &mut Decoder<'_>, payload: &Bytes) {
    let events_max = decoder.settings().events_max;
    let mut event = decoder.event(payload.clone());
    event.push_issue(IssueKind::Truncated, format_compact!("message has more than {events_max} records"));
    event.set(field::MESSAGE, "rest of an OTLP message");
    event.set(field::EVENT_DATASET, "otlp");
    decoder.finish(event, None);
}

/// What the resource says about each of its records.
struct Shared {
    attrs: Attrs,
    complete: bool,
}

/// Most that a resource may say, in bytes. Every record repeats it, so a long one costs many times over.
const SHARED_LEN_MAX: usize = 8 * 1024;

impl Shared {
    fn new(decoder: &Decoder<'_>, resource: Option<Resource>) -> Self {
        let settings = decoder.settings();
        let mut attrs = Attrs::new();
        let mut complete = true;
        for KeyValue { key, value, .. } in resource.unwrap_or_default().attributes {
            complete &= flatten(&key, value, settings.depth_max, settings.fields_max, &mut attrs);
        }
        let mut len_left = SHARED_LEN_MAX;
        attrs.retain(|(key, value)| {
            let texts = value.members().iter().map(|one| one.as_str().map_or(8, str::len));
            let len = texts.fold(key.len(), usize::saturating_add);
            let fits = len <= len_left;
            len_left -= if fits { len } else { 0 };
            complete &= fits;
            fits
        });
        Self { attrs, complete }
    }
}

fn log_record(decoder: &mut Decoder<'_>, record: LogRecord, shared: &Shared, (scope, header): (&str, Option<&Header>)) {
    let settings = decoder.settings();
    let mut attrs = Attrs::with_capacity(record.attributes.len());
    let mut complete = shared.complete && record.dropped_attributes_count == 0;
    let shared = &shared.attrs;
    for KeyValue { key, value, .. } in record.attributes {
        complete &= flatten(&key, value, settings.depth_max, settings.fields_max, &mut attrs);
    }
    let find = |name: &str| {
        let found = attrs.iter().chain(shared).find(|(key, _)| key == name);
        found.and_then(|(_, value)| value.as_str()).map(CompactString::from)
    };
    let format = find(attribute::FORMAT);
    let hint = format.as_deref().and_then(by_name);
    let file = find(attribute::LOG_FILE_PATH);
    let is_traffic = find(attribute::EVENT_DATASET).is_some_and(|dataset| source::flow::is_dataset(&dataset));

    let mut body_attrs = Attrs::new();
    let body = match record.body.and_then(|body| body.value) {
        Some(any_value::Value::StringValue(text)) => Bytes::from(text),
        Some(any_value::Value::BytesValue(bytes)) => Bytes::from(bytes),
        Some(value @ any_value::Value::KvlistValue(_)) => {
            let value = Some(AnyValue { value: Some(value) });
            complete &= flatten("", value, settings.depth_max, settings.fields_max, &mut body_attrs);
            Bytes::new()
        }
        Some(value) => single(value).as_text().map(|text| Bytes::from(text.into_owned())).unwrap_or_default(),
        None => Bytes::new(),
    };
    let secrets = &settings.secrets;
    attrs.iter_mut().chain(&mut body_attrs).for_each(|(name, value)| secrets.mask_attribute(name, value));
    let mut context = decoder.context();
    context.file = file.as_deref();
    context.header = header.filter(|_| !is_traffic);
    let (body, has_doubtful) = decoder.without_secrets(body, &context, hint, format.as_deref());
    let raw = if body.is_empty() { Bytes::from(as_json(attrs.iter().chain(&body_attrs))) } else { body.clone() };
    let mut event = decoder.event(raw);
    let sent_at = [record.time_unix_nano, record.observed_time_unix_nano].into_iter().find(|nanos| *nanos > 0);
    if let Some(nanos) = sent_at {
        event.time = Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX));
    }
    if is_traffic && !body.is_empty() {
        let text = crate::decode::shown(&body, &mut event).into_owned();
        event.set(field::MESSAGE, text);
    } else if !body.is_empty() {
        let text = crate::decode::shown(&body, &mut event);
        let cut = &text[..text.floor_char_boundary(settings.line_max.as_len())];
        if cut.len() < text.len() {
            event.push_issue(IssueKind::Truncated, format_compact!("{} of {} bytes read", cut.len(), text.len()));
        }
        decode_named(cut, &context, hint, format.as_deref(), &mut event);
        if has_doubtful {
            secrets.mask_doubtful(&mut event);
        }
    }

    // What the body itself says about host and time stands; attributes fill in the rest.
    for (key, value) in shared.iter().cloned().chain(attrs).chain(body_attrs) {
        if is_transport(&key, &value) {
            if key == attribute::TRUNCATED && value == Value::Bool(true) {
                event.push_issue(IssueKind::Truncated, "cut by the agent");
            }
            continue;
        }
        if key == attribute::EVENT_DATASET && is_unnamed(&event) {
            set_field(&mut event, field::EVENT_DATASET, key, value);
        } else {
            set_attribute(&mut event, key, value);
        }
    }
    if !record.severity_text.is_empty() && event.get(field::LOG_LEVEL).is_none() {
        event.set(field::LOG_LEVEL, record.severity_text);
    } else if let Some(level) = severity_name(record.severity_number)
        && event.get(field::LOG_LEVEL).is_none()
    {
        event.set(field::LOG_LEVEL, level);
    }
    if !scope.is_empty() && scope != OUR_AGENT && event.get(field::LOG_LOGGER).is_none() {
        event.set(field::LOG_LOGGER, scope);
    }
    for (id, bytes) in [(field::TRACE_ID, &record.trace_id), (field::SPAN_ID, &record.span_id)] {
        if !bytes.is_empty() {
            let hex: CompactString = bytes.iter().take(32).map(|byte| format_compact!("{byte:02x}")).collect();
            event.set(id, hex);
        }
    }
    if !record.event_name.is_empty() && event.get(field::EVENT_ACTION).is_none() {
        event.set(field::EVENT_ACTION, record.event_name);
    }
    if !complete {
        event.push_issue(IssueKind::TooManyFields, "attributes were left out");
    }
    if is_traffic {
        source::flow::apply(&mut event);
    } else if is_unnamed(&event) {
        event.set(field::EVENT_DATASET, "otlp");
    }
    if event.get(field::MESSAGE).is_none() {
        let text = String::from_utf8_lossy(&event.raw).into_owned();
        event.set(field::MESSAGE, text);
    }
    decoder.finish(event, None);
}

/// Sets the field of this name unless the event has it, or else adds the attribute.
fn set_attribute(event: &mut Event, key: CompactString, value: Value) {
    match canh_schema::field_by_name(&key) {
        Some(id) if event.get(id).is_none() => set_field(event, id, key, value),
        Some(_) => (),
        None => event.attrs.push((key, value)),
    }
}

/// A value that does not fit its field stays an attribute.
fn set_field(event: &mut Event, id: FieldId, key: CompactString, value: Value) {
    if !project::set_value(event, id, &value) {
        event.push_issue(IssueKind::TypeConflict, key.clone());
        event.attrs.push((key, value));
    }
}

/// Whether nothing is known about the stream yet: the body was text of no known form, or there was none.
fn is_unnamed(event: &Event) -> bool {
    event.get(field::EVENT_DATASET).is_none_or(|dataset| matches!(dataset.as_str(), Some("plain" | "json")))
}

/// The name of a severity number. Source: OpenTelemetry logs data model, "Field: SeverityNumber".
fn severity_name(number: i32) -> Option<&'static str> {
    Some(match number {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Text;

    /// A text body is offered to every format; this one must stay what it is.
    #[test]
    fn a_sentence_is_no_format() {
        let settings = crate::DecodeSettings::default();
        let received = Timestamp::from_secs(1_795_336_308);
        let context = crate::format::Context {
            received,
            settings: &settings,
            file: None,
            envelope_keys: crate::format::EnvelopeKeys::Plain,
            depth: 0,
            header: None,
        };
        let mut event = Event::new(canh_schema::EventId::from_bytes([0; 16]), received, Bytes::new());
        assert_eq!(crate::format::decode(&mut Text::new("user logged in"), &context, None, &mut event), "plain");
    }
}
