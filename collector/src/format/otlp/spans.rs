//! Spans of traces: each is an event with its ids, its length and its outcome. What OpenTelemetry's semantic conventions
//! say of requests and connections is in [`super::conventions`].

use std::io;

use bytes::Bytes;
use canh_schema::{Event, FieldId, IssueKind, Timestamp, Value, field};
use compact_str::{CompactString, format_compact};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::{Event as Moment, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message;

use super::attributes::{Attrs, flatten};
use super::{Shared, conventions, is_transport, set_attribute, unreadable, unsplit};
use crate::decode::{DecodeSettings, Decoder};

/// Moments and links of one span that are kept.
const MOMENTS_MAX: usize = 16;
/// Longest text of one moment, in bytes.
const MOMENT_LEN_MAX: usize = 1_024;
/// Longest message of an exception, name of a span, or state of a trace.
const TEXT_LEN_MAX: usize = 4_096;
/// Longest stack trace.
const STACK_LEN_MAX: usize = 32 * 1_024;

pub(crate) fn decode_traces(decoder: &mut Decoder<'_>, payload: &Bytes) {
    let request = match ExportTraceServiceRequest::decode(payload.clone()) {
        Ok(request) => request,
        Err(error) => return unreadable(decoder, payload, "traces", &error),
    };
    for resource in request.resource_spans {
        let shared = Shared::new(decoder, resource.resource);
        for scope in resource.scope_spans {
            let scope_name = scope.scope.map(|scope| scope.name).unwrap_or_default();
            for span in scope.spans {
                if decoder.is_full() {
                    return unsplit(decoder, payload);
                }
                one(decoder, span, &shared, &scope_name);
            }
        }
    }
}

fn one(decoder: &mut Decoder<'_>, span: Span, shared: &Shared, scope: &str) {
    let settings = decoder.settings();
    let mut event = decoder.event(Bytes::new());
    write_raw(&mut event, &span, settings.line_max.as_len());

    let mut attrs = Attrs::with_capacity(span.attributes.len());
    let mut complete = shared.complete
        && span.dropped_attributes_count == 0
        && span.dropped_events_count == 0
        && span.dropped_links_count == 0;
    for KeyValue { key, value, .. } in span.attributes {
        complete &= flatten(&key, value, settings.depth_max, settings.fields_max, &mut attrs);
    }
    for (key, value) in shared.attrs.iter().cloned().chain(attrs) {
        if !is_transport(&key, &value) {
            set_attribute(&mut event, key, value);
        }
    }
    event.set(field::EVENT_DATASET, "otlp.span");
    set_id(&mut event, field::TRACE_ID, &span.trace_id, 16);
    set_id(&mut event, field::SPAN_ID, &span.span_id, 8);
    if !span.parent_span_id.is_empty() {
        set_id(&mut event, field::PARENT_ID, &span.parent_span_id, 8);
    }
    let name = cut(&span.name, TEXT_LEN_MAX);
    if !name.is_empty() {
        event.set(field::SPAN_NAME, name);
    }
    let kind = SpanKind::try_from(span.kind).unwrap_or_default();
    if let Some(kind) = kind_name(kind) {
        event.set(field::SPAN_KIND, kind);
    }
    if !span.trace_state.is_empty() {
        event.attrs.push(("trace.state".into(), Value::from(cut(&span.trace_state, TEXT_LEN_MAX))));
    }
    if !scope.is_empty() && event.get(field::LOG_LOGGER).is_none() {
        event.set(field::LOG_LOGGER, cut(scope, TEXT_LEN_MAX));
    }
    let duration = set_times(&mut event, span.start_time_unix_nano, span.end_time_unix_nano);
    complete &= moments(&mut event, span.events, settings);
    complete &= links(&mut event, &span.links);

    let request = conventions::apply(&mut event, kind);
    let status = span.status.unwrap_or_default();
    set_outcome(&mut event, &status);
    let mut message = request.unwrap_or_else(|| CompactString::from(if name.is_empty() { "span" } else { name }));
    if let Some(duration) = duration {
        message.push_str(" in ");
        message.push_str(&length(duration));
    }
    if status.code() == StatusCode::Error {
        let reason = event.get(field::EVENT_REASON).or_else(|| event.get(field::ERROR_TYPE));
        let reason = reason.and_then(Value::as_str).map(CompactString::from);
        message.push_str(&reason.map_or_else(|| ", failed".into(), |reason| format_compact!(", failed: {reason}")));
    }
    event.set(field::MESSAGE, message);
    if !complete {
        event.push_issue(IssueKind::TooManyFields, "attributes, moments or links were left out");
    }
    decoder.finish(event, decoder.envelope().peer);
}

/// Keeps the span as OTLP writes it in JSON, so that `raw` shows what came.
fn write_raw(event: &mut Event, span: &Span, len_max: usize) {
    let mut raw = Bounded { bytes: Vec::new(), len_max };
    let whole = serde_json::to_writer(&mut raw, span).is_ok();
    event.raw = Bytes::from(raw.bytes);
    if !whole {
        event.push_issue(IssueKind::Truncated, format_compact!("{} bytes of the span kept", event.raw.len()));
    }
}

/// Takes so many bytes and no more.
struct Bounded {
    bytes: Vec<u8>,
    len_max: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(self.len_max - self.bytes.len());
        if len == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An id as hexadecimal digits. One of nothing but zeros is none (W3C Trace Context, sections 3.2.2.3 and 3.2.2.4).
fn set_id(event: &mut Event, id: FieldId, bytes: &[u8], len: usize) {
    if bytes.iter().any(|byte| *byte != 0) {
        let hex: CompactString = bytes.iter().take(32).map(|byte| format_compact!("{byte:02x}")).collect();
        event.set(id, hex);
    }
    if bytes.len() != len {
        let detail = format_compact!("{} has {} bytes and not {len}", id.name(), bytes.len());
        event.push_issue(IssueKind::Malformed, detail);
    }
}

/// An event is where its span begins. Answers how long the span lasted, in nanoseconds.
fn set_times(event: &mut Event, start: u64, end: u64) -> Option<u64> {
    let at = |nanos: u64| Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX));
    if let Some(nanos) = [start, end].into_iter().find(|nanos| *nanos > 0) {
        event.time = at(nanos);
    }
    let duration = end.checked_sub(start).filter(|_| start > 0);
    match duration {
        Some(duration) => event.set(field::EVENT_DURATION, i64::try_from(duration).unwrap_or(i64::MAX)),
        None if start > 0 && end > 0 => event.push_issue(IssueKind::Malformed, "the span ends before it begins"),
        None => (),
    }
    duration
}

/// What happened during the span: the first exception becomes fields, and everything is a line of text. Answers whether
/// all of it was kept.
fn moments(event: &mut Event, moments: Vec<Moment>, settings: &DecodeSettings) -> bool {
    let mut complete = moments.len() <= MOMENTS_MAX;
    let mut lines = Vec::with_capacity(moments.len().min(MOMENTS_MAX));
    for moment in moments.into_iter().take(MOMENTS_MAX) {
        let mut attrs = Attrs::new();
        for KeyValue { key, value, .. } in moment.attributes {
            complete &= flatten(&key, value, settings.depth_max, settings.fields_max, &mut attrs);
        }
        let mut line = CompactString::from(cut(&moment.name, MOMENT_LEN_MAX));
        for (key, value) in &attrs {
            let Some(text) = value.as_text() else { continue };
            match exception_field(key).filter(|_| moment.name == "exception") {
                Some((id, len_max)) if event.get(id).is_none() => event.set(id, cut(&text, len_max)),
                _ => (),
            }
            if key != "exception.stacktrace" && line.len() < MOMENT_LEN_MAX {
                line.push_str(&format_compact!(" {key}={}", cut(&text, MOMENT_LEN_MAX)));
            }
        }
        lines.push(Value::from(cut(&line, MOMENT_LEN_MAX)));
    }
    if !lines.is_empty() {
        event.attrs.push(("span.events".into(), Value::List(lines)));
    }
    complete
}

/// OpenTelemetry's name for a part of an exception, and the field that it is in.
fn exception_field(key: &str) -> Option<(FieldId, usize)> {
    match key {
        "exception.type" => Some((field::ERROR_TYPE, TEXT_LEN_MAX)),
        "exception.message" => Some((field::ERROR_MESSAGE, TEXT_LEN_MAX)),
        "exception.stacktrace" => Some((field::ERROR_STACK_TRACE, STACK_LEN_MAX)),
        _ => None,
    }
}

fn links(event: &mut Event, links: &[Link]) -> bool {
    let hex = |bytes: &[u8]| bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect::<String>();
    let kept = links.iter().take(MOMENTS_MAX);
    let kept: Vec<_> =
        kept.map(|link| Value::Text(format_compact!("{}-{}", hex(&link.trace_id), hex(&link.span_id)))).collect();
    if !kept.is_empty() {
        event.attrs.push(("span.links".into(), Value::List(kept)));
    }
    links.len() <= MOMENTS_MAX
}

/// The status goes before what the answer of HTTP said, which is set already.
fn set_outcome(event: &mut Event, status: &Status) {
    let outcome = match status.code() {
        StatusCode::Ok => Some("success"),
        StatusCode::Error => Some("failure"),
        StatusCode::Unset if event.get(field::EVENT_OUTCOME).is_none() => Some("unknown"),
        StatusCode::Unset => None,
    };
    if let Some(outcome) = outcome {
        event.set(field::EVENT_OUTCOME, outcome);
    }
    if !status.message.is_empty() && event.get(field::EVENT_REASON).is_none() {
        event.set(field::EVENT_REASON, cut(&status.message, TEXT_LEN_MAX));
    }
}

const fn kind_name(kind: SpanKind) -> Option<&'static str> {
    match kind {
        SpanKind::Unspecified => None,
        SpanKind::Internal => Some("internal"),
        SpanKind::Server => Some("server"),
        SpanKind::Client => Some("client"),
        SpanKind::Producer => Some("producer"),
        SpanKind::Consumer => Some("consumer"),
    }
}

/// Nanoseconds as people read them.
fn length(nanos: u64) -> CompactString {
    match nanos {
        0..1_000_000 => format_compact!("{} µs", nanos / 1_000),
        1_000_000..10_000_000_000 => format_compact!("{} ms", nanos / 1_000_000),
        _ => format_compact!("{} s", nanos / 1_000_000_000),
    }
}

fn cut(text: &str, len_max: usize) -> &str {
    &text[..text.floor_char_boundary(len_max)]
}

/// For the fuzzer: both forms in which a message comes, and that decoding it again gives the same.
pub(crate) fn fuzz(bytes: &[u8]) {
    let from_json = serde_json::from_slice::<ExportTraceServiceRequest>(bytes).map(|request| request.encode_to_vec());
    for payload in [Ok(bytes.to_vec()), from_json].into_iter().flatten() {
        let received = Timestamp::from_secs(1_795_336_308);
        let framing = crate::Framing::OtlpTraces;
        let envelope = crate::Envelope::new(crate::Door::OtlpHttp, received, framing, Bytes::from(payload));
        let decode = || crate::decode(&envelope, canh_schema::Position::new(1), 1, &DecodeSettings::default());
        // As text, in which a number that is none equals itself.
        let (one, again) = (format!("{:?}", decode().events), format!("{:?}", decode().events));
        assert_eq!(one, again, "a message is decoded in two ways");
    }
}
