//! Bodies of Splunk's HTTP Event Collector: JSON objects behind one another, each with an event and what the sender says
//! about it. The door counts and checks them with this; decoding reads them again.

use std::borrow::Cow;

use bytes::Bytes;
use canh_schema::{Event, IssueKind, Timestamp, field};
use compact_str::{CompactString, format_compact};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Format, Json, by_name, epoch_seconds};
use crate::decode::{Decoder, set_if_absent};
use crate::envelope::Cut;

/// Attributes for what Splunk knows about an event and the catalogue has no field for.
pub(crate) const SOURCE: &str = "splunk.source";
pub(crate) const SOURCETYPE: &str = "splunk.sourcetype";
/// Longest text of these that is kept, in bytes.
const TEXT_LEN_MAX: usize = 1_024;
/// The most indexed fields of one event, and their depth.
const FIELDS_MAX: usize = 256;
const FIELDS_DEPTH_MAX: usize = 8;

/// One object of a body. What it does not name may be in the query of the request.
#[derive(Debug, Deserialize)]
pub(crate) struct HecEvent<'a> {
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
    #[serde(borrow, default)]
    time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    host: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    sourcetype: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    index: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    fields: Option<&'a RawValue>,
}

/// What is wrong with one object of a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HecError {
    /// It is no JSON object, or a member has the wrong type.
    Format,
    /// There is no event in it.
    NoEvent,
    /// The event is an empty text.
    BlankEvent,
    /// The indexed fields are no object, or hold objects themselves.
    Fields,
    /// There are more events than a body may have.
    TooMany,
}

impl HecEvent<'_> {
    fn check(&self) -> Result<(), HecError> {
        match self.event.map(RawValue::get) {
            None => return Err(HecError::NoEvent),
            Some(event) if is_blank(event) => return Err(HecError::BlankEvent),
            Some(_) => (),
        }
        match self.fields.map(RawValue::get) {
            Some(fields) if !fields.starts_with('{') => Err(HecError::Fields),
            _ => Ok(()),
        }
    }
}

fn is_blank(event: &str) -> bool {
    event.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).is_some_and(|text| text.trim().is_empty())
}

/// Number of the events of a body. An error says which event it is, from 0.
pub(crate) fn count(body: &[u8], events_max: u64) -> Result<u64, (u64, HecError)> {
    let mut count = 0;
    let mut events = serde_json::Deserializer::from_slice(body).into_iter::<HecEvent<'_>>();
    loop {
        let rest = body.get(events.byte_offset()..).unwrap_or_default().trim_ascii_start();
        let Some(event) = events.next() else { return Ok(count) };
        if count >= events_max {
            return Err((count, HecError::TooMany));
        }
        // A list would be taken for the members of an object, in their order.
        let event = if rest.starts_with(b"{") { event.map_err(|_| HecError::Format) } else { Err(HecError::Format) };
        let event = event.and_then(|event| event.check().map(|()| event));
        event.map_err(|error| (count, error))?;
        count += 1;
    }
}

/// The format of texts with this source type, where there is only one that it can be. Others are found by their shape.
pub(crate) fn format_of(sourcetype: &str) -> Option<&'static dyn Format> {
    const KNOWN: &[(&str, &str)] = &[
        ("access_combined", "web_access"),
        ("access_combined_wcookie", "web_access"),
        ("access_common", "web_access"),
        ("apache:access", "web_access"),
        ("apache:access:combined", "web_access"),
        ("nginx:access", "web_access"),
        ("nginx:plus:access", "web_access"),
        ("apache_error", "apache_error"),
        ("apache:error", "apache_error"),
        ("nginx:error", "nginx_error"),
        ("nginx:plus:error", "nginx_error"),
        ("linux_audit", "auditd"),
        ("linux:audit", "auditd"),
        ("auditd", "auditd"),
        ("bro:json", "zeek_json"),
        ("zeek:json", "zeek_json"),
        ("rfc5424_syslog", "syslog_5424"),
    ];
    let name = KNOWN.iter().find(|(known, _)| *known == sourcetype).map_or(sourcetype, |(_, format)| format);
    by_name(name)
}

/// Makes an event of each object.
pub(crate) fn decode(decoder: &mut Decoder<'_>, payload: &Bytes) {
    let mut objects = serde_json::Deserializer::from_slice(payload).into_iter::<HecEvent<'_>>();
    loop {
        let before = payload.slice(objects.byte_offset().min(payload.len())..);
        let Some(object) = objects.next() else { return };
        if decoder.is_full() {
            return decoder.rest(&before);
        }
        match object {
            Ok(object) => read_object(decoder, payload, &object),
            // The door lets none in. Were there one, what follows is kept as it is.
            Err(error) => {
                if let Some(mut event) = decoder.read(before, Cut::Whole, None) {
                    event.push_issue(IssueKind::Malformed, format_compact!("HEC: {error}"));
                    decoder.finish(event, decoder.envelope().peer);
                }
                return;
            }
        }
    }
}

fn read_object(decoder: &mut Decoder<'_>, payload: &Bytes, object: &HecEvent<'_>) {
    let text = object.event.map(RawValue::get).unwrap_or_default();
    // A text is kept as what it says, anything else as it is written.
    let raw = match serde_json::from_str::<Cow<'_, str>>(text) {
        Ok(said) if text.starts_with('"') => Bytes::copy_from_slice(said.as_bytes()),
        _ => payload.slice_ref(text.as_bytes()),
    };
    let hint = object.sourcetype.as_deref().and_then(format_of);
    let Some(mut event) = decoder.read(raw, Cut::Whole, hint) else { return };
    if let Some(time) = object.time {
        match read_time(time.get()) {
            Some(time) => event.time = time,
            None => event.push_issue(IssueKind::BadTime, time.get().chars().take(64).collect::<CompactString>()),
        }
    }
    let texts = [("host.name", &object.host), (SOURCE, &object.source), (SOURCETYPE, &object.sourcetype)];
    for (name, text) in texts.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?))) {
        if !text.is_empty() {
            set_if_absent(&mut event, name, short(text));
        }
    }
    if let Some(index) = object.index.as_deref() {
        event.set(field::CANH_INDEX, short(index));
    }
    if let Some(fields) = object.fields {
        put_fields(&mut event, fields.get());
    }
    decoder.finish(event, decoder.envelope().peer);
}

fn put_fields(event: &mut Event, fields: &str) {
    let Some(json) = Json::read(fields, FIELDS_DEPTH_MAX, FIELDS_MAX) else { return };
    for (name, value) in json.entries {
        set_if_absent(event, &name, value);
    }
    event.issues.extend(json.issues);
}

fn short(text: &str) -> CompactString {
    text[..text.floor_char_boundary(TEXT_LEN_MAX)].into()
}

/// Seconds since 1970, as a number or as a text that is one.
fn read_time(text: &str) -> Option<Timestamp> {
    epoch_seconds(text.trim_matches('"').trim().parse().ok()?)
}

pub(super) fn fuzz(bytes: &[u8]) {
    let events = count(bytes, 1_000);
    let received = Timestamp::from_secs(1_793_000_000);
    let payload = Bytes::copy_from_slice(bytes);
    let envelope = crate::Envelope::new(crate::Door::SplunkHec, received, crate::Framing::HecEvents, payload);
    let settings = crate::DecodeSettings::default();
    let batch = crate::decode(&envelope, canh_schema::Position::new(1), 1, &settings);
    if let Ok(events) = events {
        assert!(batch.events.len() as u64 <= events, "no event is made that was not counted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Result<u64, (u64, HecError)>) {
        assert_eq!(count(body.as_bytes(), 3), expected, "body: {body}");
        fuzz(body.as_bytes());
    }

    #[test]
    fn bodies() {
        check(r#"{"event":"a"}"#, Ok(1));
        check("{\"event\":\"a\"}{\"event\":{\"b\":1}}\n\n {\"event\":[1],\"time\":\"1.5\"}", Ok(3));
        check(r#"{"event":0,"fields":{"a":["b"]},"unknown":{}}"#, Ok(1));
        check("", Ok(0));
        check("nothing", Err((0, HecError::Format)));
        check("[]", Err((0, HecError::Format)));
        check(r#"{"event":"a"}{"event":"#, Err((1, HecError::Format)));
        check(r#"{"event":"a","host":{}}"#, Err((0, HecError::Format)));
        check(r#"{"event":"a"}{"time":1}"#, Err((1, HecError::NoEvent)));
        check(r#"{"event":null}"#, Err((0, HecError::NoEvent)));
        check(r#"{"event":" "}"#, Err((0, HecError::BlankEvent)));
        check(r#"{"event":"a","fields":[]}"#, Err((0, HecError::Fields)));
        check(&r#"{"event":"a"}"#.repeat(4), Err((3, HecError::TooMany)));
        check(&"{\"event\":".repeat(5_000), Err((0, HecError::Format)));
    }

    #[test]
    fn what_is_beside_the_event_is_kept() {
        let body = r#"{"time":1793001600.25,"host":"app1","source":"/var/log/a.log","sourcetype":"access_combined","index":"web","fields":{"env":"prod","user.name":"an"},"event":"10.0.0.9 - - [26/Oct/2026:07:00:00 +0700] \"GET / HTTP/1.1\" 200 5"}
            {"event":{"message":"hi","host":{"name":"inner"}},"time":"soon","host":"outer"}"#;
        let received = Timestamp::from_secs(1_793_002_000);
        let payload = Bytes::from_static(body.as_bytes());
        let mut envelope = crate::Envelope::new(crate::Door::SplunkHec, received, crate::Framing::HecEvents, payload);
        envelope.label("canh.index", "main");
        let settings = crate::DecodeSettings::default();
        let events = crate::decode(&envelope, canh_schema::Position::new(1), 1, &settings).events;
        let check = |event: &Event, name: &str, expected: &str| {
            assert_eq!(event.lookup(name).and_then(|value| value.as_str()), Some(expected), "{name}: {event:?}");
        };
        assert_eq!(events[0].time, Timestamp::from_millis(1_793_001_600_250));
        let values = [("host.name", "app1"), (SOURCE, "/var/log/a.log"), (SOURCETYPE, "access_combined")];
        for (name, expected) in values.into_iter().chain([("canh.index", "web"), ("env", "prod"), ("user.name", "an")])
        {
            check(&events[0], name, expected);
        }
        check(&events[0], "url.path", "/");
        for (name, expected) in [("host.name", "inner"), ("message", "hi"), ("canh.index", "main")] {
            check(&events[1], name, expected);
        }
        assert_eq!(events[1].time, received);
        assert!(events[1].issues.iter().any(|issue| issue.kind == IssueKind::BadTime));
    }
}
