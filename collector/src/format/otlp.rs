//! OpenTelemetry's protocol: log records and metric points, from our agents and from anybody else.
//!
//! The body of a log record that is text is read like a line from anywhere, so that a file shipped by an OpenTelemetry
//! Collector is normalised as if our agent had read it. Attributes under ECS names become catalogue fields; the others
//! stay attributes. The attribute `canh.format` names the format of the body.

use bytes::Bytes;
use canh_schema::{IssueKind, Timestamp, Value, field};
use canh_wire::attribute;
use compact_str::{CompactString, ToCompactString, format_compact};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, metric, number_data_point};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::json::NAME_LEN_MAX;
use super::{Header, by_name};
use crate::decode::{Decoder, decode_named};
use crate::source::{self, project};

/// Attributes as they are collected: dotted names and values.
type Attrs = Vec<(CompactString, Value)>;

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

pub(crate) fn decode_metrics(decoder: &mut Decoder<'_>, payload: &Bytes) {
    let request = match ExportMetricsServiceRequest::decode(payload.clone()) {
        Ok(request) => request,
        Err(error) => return unreadable(decoder, payload, "metrics", &error),
    };
    for resource in request.resource_metrics {
        let shared = Shared::new(decoder, resource.resource);
        for metric in resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
            if decoder.is_full() {
                return unsplit(decoder, payload);
            }
            points(decoder, metric, &shared);
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
        match canh_schema::field_by_name(&key) {
            Some(id) if event.get(id).is_none() || id == field::EVENT_DATASET && is_unnamed(&event) => {
                if !project::set_value(&mut event, id, &value) {
                    event.push_issue(IssueKind::TypeConflict, key.clone());
                    event.attrs.push((key, value));
                }
            }
            Some(_) => (),
            None => event.attrs.push((key, value)),
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
    for (name, bytes) in [("trace_id", &record.trace_id), ("span_id", &record.span_id)] {
        if !bytes.is_empty() {
            let hex: CompactString = bytes.iter().take(32).map(|byte| format_compact!("{byte:02x}")).collect();
            event.attrs.push((CompactString::const_new(name), Value::Text(hex)));
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

/// Whether nothing is known about the stream yet: the body was text of no known form, or there was none.
fn is_unnamed(event: &canh_schema::Event) -> bool {
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

fn points(decoder: &mut Decoder<'_>, metric: Metric, shared: &Shared) {
    let Metric { name, unit, data, .. } = metric;
    let mut emit = |attributes: Vec<KeyValue>, time: u64, suffix: &str, value: f64| {
        let sample = Sample { name: &name, suffix, unit: &unit, value, time };
        sample.emit(decoder, attributes, shared);
    };
    match data {
        Some(metric::Data::Gauge(gauge)) => number_points(gauge.data_points, &mut emit),
        Some(metric::Data::Sum(sum)) => number_points(sum.data_points, &mut emit),
        Some(metric::Data::Histogram(histogram)) => {
            for point in histogram.data_points {
                if let Some(sum) = point.sum {
                    emit(point.attributes.clone(), point.time_unix_nano, ".sum", sum);
                }
                emit(point.attributes, point.time_unix_nano, ".count", point.count as f64);
            }
        }
        Some(metric::Data::ExponentialHistogram(histogram)) => {
            for point in histogram.data_points {
                if let Some(sum) = point.sum {
                    emit(point.attributes.clone(), point.time_unix_nano, ".sum", sum);
                }
                emit(point.attributes, point.time_unix_nano, ".count", point.count as f64);
            }
        }
        Some(metric::Data::Summary(summary)) => {
            for point in summary.data_points {
                emit(point.attributes.clone(), point.time_unix_nano, ".sum", point.sum);
                emit(point.attributes, point.time_unix_nano, ".count", point.count as f64);
            }
        }
        None => (),
    }
}

fn number_points(points: Vec<NumberDataPoint>, emit: &mut dyn FnMut(Vec<KeyValue>, u64, &str, f64)) {
    for point in points {
        let value = match point.value {
            Some(number_data_point::Value::AsDouble(value)) => value,
            Some(number_data_point::Value::AsInt(value)) => value as f64,
            None => continue, // "no recorded value": there is nothing to keep
        };
        emit(point.attributes, point.time_unix_nano, "", value);
    }
}

/// One value of one series at one time.
struct Sample<'a> {
    name: &'a str,
    suffix: &'a str,
    unit: &'a str,
    value: f64,
    time: u64,
}

impl Sample<'_> {
    fn emit(self, decoder: &mut Decoder<'_>, attributes: Vec<KeyValue>, shared: &Shared) {
        let settings = decoder.settings();
        let mut attrs = Attrs::with_capacity(attributes.len());
        let mut complete = shared.complete;
        let shared = &shared.attrs;
        for KeyValue { key, value, .. } in attributes {
            complete &= flatten(&key, value, settings.depth_max, settings.fields_max, &mut attrs);
        }
        let mut text = format_compact!("{}{} {}", self.name, self.suffix, self.value);
        if !self.unit.is_empty() {
            text.push(' ');
            text.push_str(self.unit);
        }
        for (key, value) in &attrs {
            if let Some(value) = value.as_text() {
                text.push_str(&format_compact!(" {key}={value}"));
            }
        }
        let mut event = decoder.event(Bytes::from(text.as_bytes().to_vec()));
        source::metric::apply(&mut event);
        if self.time > 0 {
            event.time = Timestamp::from_nanos(i64::try_from(self.time).unwrap_or(i64::MAX));
        }
        if !complete {
            event.push_issue(IssueKind::TooManyFields, "attributes were left out");
        }
        event.set(field::METRIC_NAME, format_compact!("{}{}", self.name, self.suffix));
        event.set(field::METRIC_VALUE, self.value);
        if !self.unit.is_empty() {
            event.set(field::METRIC_UNIT, self.unit);
        }
        event.set(field::MESSAGE, text);
        for (key, value) in shared.iter().cloned().chain(attrs) {
            if is_transport(&key, &value) {
                continue;
            }
            match canh_schema::field_by_name(&key) {
                Some(id) if project::set_value(&mut event, id, &value) => (),
                _ => event.attrs.push((key, value)),
            }
        }
        decoder.finish(event, None);
    }
}

/// Adds a value under its dotted name. Answers whether everything was within the limits.
fn flatten(key: &str, value: Option<AnyValue>, depth_left: usize, fields_max: usize, out: &mut Attrs) -> bool {
    let Some(value) = value.and_then(|value| value.value) else {
        out.push((key.into(), Value::Null));
        return true;
    };
    if depth_left == 0 || out.len() >= fields_max || key.len() > NAME_LEN_MAX {
        return false;
    }
    match value {
        any_value::Value::KvlistValue(list) => {
            let mut complete = true;
            for KeyValue { key: inner, value, .. } in list.values {
                let name = if key.is_empty() { CompactString::from(inner) } else { format_compact!("{key}.{inner}") };
                complete &= flatten(&name, value, depth_left - 1, fields_max, out);
            }
            complete
        }
        any_value::Value::ArrayValue(list) => {
            let mut complete = true;
            let mut plain = Vec::new();
            let members_max = fields_max.saturating_mul(4);
            complete &= list.values.len() <= members_max;
            for member in list.values.into_iter().take(members_max).filter_map(|member| member.value) {
                match member {
                    any_value::Value::KvlistValue(_) | any_value::Value::ArrayValue(_) => {
                        let mut inner = Attrs::new();
                        let member = Some(AnyValue { value: Some(member) });
                        complete &= flatten(key, member, depth_left - 1, fields_max, &mut inner);
                        complete &= merge(out, inner, fields_max);
                    }
                    scalar => plain.push(single(scalar)),
                }
            }
            if !plain.is_empty() {
                complete &= merge(out, vec![(key.into(), Value::List(plain))], fields_max);
            }
            complete
        }
        scalar => {
            out.push((key.into(), single(scalar)));
            true
        }
    }
}

/// Members of a list become one list per name.
fn merge(out: &mut Attrs, inner: Attrs, fields_max: usize) -> bool {
    for (key, value) in inner {
        let mut members = match value {
            Value::List(members) => members,
            single => vec![single],
        };
        if let Some((_, Value::List(old))) = out.iter_mut().find(|(name, _)| *name == key) {
            old.append(&mut members);
        } else if out.len() < fields_max {
            out.push((key, Value::List(members)));
        } else {
            return false;
        }
    }
    true
}

/// A value that has no members.
fn single(value: any_value::Value) -> Value {
    match value {
        any_value::Value::StringValue(text) => Value::Text(text.into()),
        any_value::Value::BoolValue(value) => Value::Bool(value),
        any_value::Value::IntValue(value) => Value::Integer(value),
        any_value::Value::DoubleValue(value) => Value::Float(value),
        any_value::Value::BytesValue(bytes) => Value::Text(String::from_utf8_lossy(&bytes).to_compact_string()),
        _ => Value::Null,
    }
}

/// A record without a body, written as one JSON object so that `raw` shows what came.
fn as_json<'a>(attrs: impl Iterator<Item = &'a (CompactString, Value)>) -> Vec<u8> {
    let mut object = serde_json::Map::new();
    for (key, value) in attrs {
        object.insert(key.to_string(), json_value(value));
    }
    serde_json::to_vec(&object).unwrap_or_default()
}

fn json_value(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Ip(value) => value.to_string().into(),
        Value::Text(value) => value.as_str().into(),
        Value::List(values) => values.iter().map(json_value).collect(),
    }
}

#[cfg(test)]
mod tests {
    use canh_schema::Event;

    use super::*;
    use crate::format::Text;

    /// A text body is offered to every format; this one must stay what it is.
    #[test]
    fn a_sentence_is_no_format() {
        let settings = crate::DecodeSettings::default();
        let received = Timestamp::from_secs(1_795_336_308);
        let context = super::super::Context {
            received,
            settings: &settings,
            file: None,
            envelope_keys: super::super::EnvelopeKeys::Plain,
            depth: 0,
            header: None,
        };
        let mut event = Event::new(canh_schema::EventId::from_bytes([0; 16]), received, Bytes::new());
        assert_eq!(super::super::decode(&mut Text::new("user logged in"), &context, None, &mut event), "plain");
    }
}
