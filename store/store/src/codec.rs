//! An event as bytes, for backends that keep whole events. Compact, versioned, and nothing in it depends on the order
//! of the catalogue: fields are written by name.
//!
//! Layout of version 1, integers as LEB128, signed ones zigzag, texts and bytes with their length in front:
//! version, id (16 bytes), time, received minus time, class, product, service, other services, categories, raw,
//! attributes (name, value), fields (name, value), issues (kind, detail). Optional texts and lists begin with a count.
//! A value is a tag and what the tag says.
//!
//! Structured sources have nearly all of their names and values in `raw` already, in the same order. So the texts of
//! attributes may be places in `raw`: how far after the place before, and how long. Both hardly change from event to
//! event, and compress to little. A field whose value is that of an attribute is the number of that attribute.

use std::net::IpAddr;

use canh_schema::{Event, EventClass, EventId, Issue, IssueKind, LogSource, Timestamp, Value, field_by_name};
use compact_str::CompactString;

const VERSION: u8 = 1;
/// Deepest list in a list that is kept; what is deeper becomes null. Decoders flatten long before that.
const DEPTH_MAX: usize = 16;

/// Why bytes are not an event.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CodecError {
    #[error(
        "event was written in version {found} of the form, this program knows version {VERSION}; use a newer program"
    )]
    Version { found: u8 },
    #[error("stored event is damaged at byte {at}: {what}")]
    Damaged { at: usize, what: &'static str },
}

/// Appends an event to `out`.
pub fn encode(event: &Event, out: &mut Vec<u8>) {
    out.push(VERSION);
    out.extend_from_slice(event.id.as_bytes());
    put_signed(out, event.time.nanos());
    put_signed(out, event.received.nanos().wrapping_sub(event.time.nanos()));
    out.push(match event.class {
        EventClass::Log => 0,
        EventClass::Flow => 1,
        EventClass::Metric => 2,
    });
    put_texts(out, event.logsource.product.as_slice());
    put_texts(out, event.logsource.service.as_slice());
    put_texts(out, &event.logsource.other_services);
    put_texts(out, &event.logsource.categories);
    put_bytes(out, &event.raw);
    let mut places = Places { raw: &event.raw, at: 0 };
    put_len(out, event.attrs.len());
    for (name, value) in &event.attrs {
        // A name is written as a value is, so that it may be a place too.
        put_text(out, name, &mut places);
        put_value(out, value, 0, &mut places);
    }
    let mut nowhere = Places { raw: &[], at: 0 };
    put_len(out, event.fields.len());
    for (field, value) in &event.fields {
        put_bytes(out, field.name().as_bytes());
        let worth = matches!(value, Value::Text(text) if text.len() >= PLACE_LEN_MIN);
        match event.attrs.iter().position(|(_, other)| worth && other == value) {
            Some(attr) => {
                out.push(ATTR_TAG);
                put_len(out, attr);
            }
            None => put_value(out, value, 0, &mut nowhere),
        }
    }
    put_len(out, event.issues.len());
    for issue in &event.issues {
        put_bytes(out, issue.kind.name().as_bytes());
        put_bytes(out, issue.detail.as_bytes());
    }
}

const TEXT_TAG: u8 = 7;
const PLACE_TAG: u8 = 9;
const ATTR_TAG: u8 = 10;
/// Shorter texts are not worth a place.
const PLACE_LEN_MIN: usize = 3;
/// How far ahead a text is looked for.
const LOOK_AHEAD: usize = 256;

/// Finds texts in `raw`, each after the one before.
struct Places<'a> {
    raw: &'a [u8],
    /// End of the last one that was found.
    at: usize,
}

impl Places<'_> {
    /// How far after the last text this one stands.
    fn find(&mut self, text: &str) -> Option<usize> {
        if text.len() < PLACE_LEN_MIN {
            return None;
        }
        let end = self.raw.len().min(self.at.saturating_add(LOOK_AHEAD).saturating_add(text.len()));
        let gap = memchr::memmem::find(self.raw.get(self.at..end)?, text.as_bytes())?;
        self.at += gap + text.len();
        Some(gap)
    }
}

fn put_text(out: &mut Vec<u8>, text: &str, places: &mut Places<'_>) {
    match places.find(text) {
        Some(gap) => {
            out.push(PLACE_TAG);
            put_len(out, gap);
            put_len(out, text.len());
        }
        None => {
            out.push(TEXT_TAG);
            put_bytes(out, text.as_bytes());
        }
    }
}

/// Reads one event that takes up all of `bytes`. Never panics, whatever the bytes are.
pub fn decode(bytes: &[u8]) -> Result<Event, CodecError> {
    let mut reader = Reader { bytes, at: 0, raw: &[], place: 0 };
    let version = reader.byte()?;
    if version != VERSION {
        return Err(CodecError::Version { found: version });
    }
    let id = EventId::from_bytes(reader.array()?);
    let time = reader.signed()?;
    let received = time.wrapping_add(reader.signed()?);
    let class = match reader.byte()? {
        0 => EventClass::Log,
        1 => EventClass::Flow,
        2 => EventClass::Metric,
        _ => return Err(reader.damaged("unknown class")),
    };
    let mut logsource =
        LogSource { product: reader.texts()?.pop(), service: reader.texts()?.pop(), ..LogSource::default() };
    logsource.other_services.extend(reader.texts()?);
    logsource.categories.extend(reader.texts()?);
    let raw = reader.slice()?;
    reader.raw = raw;
    let mut event = Event::new(id, Timestamp::from_nanos(received), raw.to_vec().into());
    event.time = Timestamp::from_nanos(time);
    event.class = class;
    event.logsource = logsource;
    let attrs = reader.count()?;
    event.attrs.reserve(attrs);
    for _ in 0..attrs {
        let Value::Text(name) = reader.value(0)? else { return Err(reader.damaged("a name that is no text")) };
        event.attrs.push((name, reader.value(0)?));
    }
    for _ in 0..reader.count()? {
        let name = reader.text()?;
        let value = reader.field_value(&event.attrs)?;
        // A field that has left the catalogue since stays findable under its name.
        match field_by_name(&name) {
            Some(field) => event.fields.push((field, value)),
            None => event.attrs.push((name, value)),
        }
    }
    for _ in 0..reader.count()? {
        let kind = IssueKind::from_name(&reader.text()?).unwrap_or(IssueKind::Malformed);
        event.issues.push(Issue { kind, detail: reader.text()? });
    }
    if reader.at != bytes.len() {
        return Err(reader.damaged("more bytes than one event"));
    }
    Ok(event)
}

fn put_unsigned(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_unsigned(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    put_unsigned(out, len as u64);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_texts(out: &mut Vec<u8>, texts: &[CompactString]) {
    put_len(out, texts.len());
    for text in texts {
        put_bytes(out, text.as_bytes());
    }
}

fn put_value(out: &mut Vec<u8>, value: &Value, depth: usize, places: &mut Places<'_>) {
    match value {
        Value::Null => out.push(0),
        Value::Bool(false) => out.push(1),
        Value::Bool(true) => out.push(2),
        Value::Integer(number) => {
            out.push(3);
            put_signed(out, *number);
        }
        Value::Float(number) => {
            out.push(4);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Ip(IpAddr::V4(address)) => {
            out.push(5);
            out.extend_from_slice(&address.octets());
        }
        Value::Ip(IpAddr::V6(address)) => {
            out.push(6);
            out.extend_from_slice(&address.octets());
        }
        Value::Text(text) => put_text(out, text, places),
        Value::List(_) if depth >= DEPTH_MAX => out.push(0),
        Value::List(values) => {
            out.push(8);
            put_len(out, values.len());
            for value in values {
                put_value(out, value, depth + 1, places);
            }
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    raw: &'a [u8],
    /// End of the last text that was a place in `raw`.
    place: usize,
}

impl<'a> Reader<'a> {
    fn damaged(&self, what: &'static str) -> CodecError {
        CodecError::Damaged { at: self.at, what }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], CodecError> {
        let end = self.at.checked_add(len);
        let slice = end.and_then(|end| self.bytes.get(self.at..end)).ok_or_else(|| self.damaged("too short"))?;
        self.at += len;
        Ok(slice)
    }

    fn array<const LEN: usize>(&mut self) -> Result<[u8; LEN], CodecError> {
        let slice = self.take(LEN)?;
        slice.try_into().map_err(|_| self.damaged("too short"))
    }

    fn byte(&mut self) -> Result<u8, CodecError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn unsigned(&mut self) -> Result<u64, CodecError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.damaged("a number without end"))
    }

    fn signed(&mut self) -> Result<i64, CodecError> {
        let number = self.unsigned()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// A count of things that take at least one byte each, so that a damaged count cannot ask for much memory.
    fn count(&mut self) -> Result<usize, CodecError> {
        let count = usize::try_from(self.unsigned()?).unwrap_or(usize::MAX);
        if count > self.bytes.len() - self.at { Err(self.damaged("a count that cannot be")) } else { Ok(count) }
    }

    fn slice(&mut self) -> Result<&'a [u8], CodecError> {
        let len = self.count()?;
        self.take(len)
    }

    fn text(&mut self) -> Result<CompactString, CodecError> {
        let slice = self.slice()?;
        CompactString::from_utf8(slice).map_err(|_| self.damaged("a text that is not UTF-8"))
    }

    fn texts(&mut self) -> Result<Vec<CompactString>, CodecError> {
        (0..self.count()?).map(|_| self.text()).collect()
    }

    fn place(&mut self) -> Result<CompactString, CodecError> {
        let mut number = || self.unsigned().map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        let (gap, len) = (number()?, number()?);
        let start = self.place.saturating_add(gap);
        let end = start.saturating_add(len);
        let text = self.raw.get(start..end).ok_or_else(|| self.damaged("a place outside of the raw bytes"))?;
        self.place = end;
        CompactString::from_utf8(text).map_err(|_| self.damaged("a text that is not UTF-8"))
    }

    /// The value of a field, which may be that of an attribute.
    fn field_value(&mut self, attrs: &[(CompactString, Value)]) -> Result<Value, CodecError> {
        if self.bytes.get(self.at) != Some(&ATTR_TAG) {
            return self.value(0);
        }
        self.at += 1;
        let attr = usize::try_from(self.unsigned()?).unwrap_or(usize::MAX);
        let attr = attrs.get(attr).ok_or_else(|| self.damaged("an attribute that is not there"))?;
        Ok(attr.1.clone())
    }

    fn value(&mut self, depth: usize) -> Result<Value, CodecError> {
        Ok(match self.byte()? {
            0 => Value::Null,
            1 => Value::Bool(false),
            2 => Value::Bool(true),
            3 => Value::Integer(self.signed()?),
            4 => Value::Float(f64::from_le_bytes(self.array()?)),
            5 => Value::Ip(IpAddr::from(self.array::<4>()?)),
            6 => Value::Ip(IpAddr::from(self.array::<16>()?)),
            TEXT_TAG => Value::Text(self.text()?),
            PLACE_TAG => Value::Text(self.place()?),
            8 if depth < DEPTH_MAX => {
                Value::List((0..self.count()?).map(|_| self.value(depth + 1)).collect::<Result<_, _>>()?)
            }
            _ => return Err(self.damaged("unknown kind of value")),
        })
    }
}

#[cfg(test)]
mod tests {
    use canh_schema::FieldId;
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let single = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Integer),
            (-1e300..1e300).prop_map(Value::Float),
            any::<[u8; 4]>().prop_map(|octets| Value::Ip(IpAddr::from(octets))),
            any::<[u8; 16]>().prop_map(|octets| Value::Ip(IpAddr::from(octets))),
            any::<String>().prop_map(Value::text),
        ];
        single.prop_recursive(3, 12, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::List))
    }

    fn event() -> impl Strategy<Value = Event> {
        let texts = || prop::collection::vec(any::<String>(), 0..3);
        let fields = prop::collection::vec((prop::sample::select(FieldId::all().collect::<Vec<_>>()), value()), 0..6);
        let head = (
            any::<[u8; 16]>(),
            any::<i64>(),
            any::<i64>(),
            prop::sample::select(EventClass::ALL.to_vec()),
            texts(),
            texts(),
        );
        let issues = prop::collection::vec((prop::sample::select(IssueKind::ALL.to_vec()), any::<String>()), 0..3);
        let body = (fields, prop::collection::vec((any::<String>(), value()), 0..6), any::<Vec<u8>>(), issues);
        (head, body).prop_map(|((id, time, received, class, services, categories), (fields, attrs, raw, issues))| {
            let mut event = Event::new(EventId::from_bytes(id), Timestamp::from_nanos(received), raw.into());
            event.time = Timestamp::from_nanos(time);
            event.class = class;
            event.logsource.product = services.first().map(CompactString::from);
            event.logsource.service = services.last().map(CompactString::from);
            event.logsource.other_services.extend(services.iter().map(CompactString::from));
            event.logsource.categories.extend(categories.iter().map(CompactString::from));
            event.fields.extend(fields);
            event.attrs = attrs.into_iter().map(|(name, value)| (name.into(), value)).collect();
            event.issues = issues.into_iter().map(|(kind, detail)| Issue { kind, detail: detail.into() }).collect();
            event
        })
    }

    proptest! {
        #[test]
        fn events_are_read_back(event in event()) {
            let mut bytes = Vec::new();
            encode(&event, &mut bytes);
            prop_assert_eq!(decode(&bytes), Ok(event));
        }

        #[test]
        fn damaged_bytes_are_an_error_or_another_event(event in event(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = Vec::new();
            encode(&event, &mut bytes);
            prop_assert!(decode(&bytes[..at.index(bytes.len())]).is_err());
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = decode(&bytes);
        }

        #[test]
        fn any_bytes_can_be_tried(bytes in any::<Vec<u8>>()) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn texts_of_structured_events_are_places_in_the_raw_bytes() {
        let raw =
            r#"{"Image":"C:\\Windows\\System32\\svchost.exe","User":"NT AUTHORITY\\SYSTEM","Computer":"dc01.example"}"#;
        let mut event =
            Event::new(EventId::from_bytes([1; 16]), Timestamp::from_secs(1), raw.as_bytes().to_vec().into());
        event.attrs.push(("Image".into(), "C:\\Windows\\System32\\svchost.exe".into())); // escaped in `raw`
        event.attrs.push(("Computer".into(), "dc01.example".into()));
        event.attrs.push(("User".into(), "before the last one".into()));
        event.set(canh_schema::field::HOST_NAME, "dc01.example");
        let mut bytes = Vec::new();
        encode(&event, &mut bytes);
        assert_eq!(decode(&bytes), Ok(event));
        assert!(bytes.len() < raw.len() + 120, "{} bytes", bytes.len());
        assert_eq!(String::from_utf8_lossy(&bytes).matches("dc01.example").count(), 1);
    }

    #[test]
    fn a_newer_form_is_refused_by_its_version() {
        assert_eq!(decode(&[9]), Err(CodecError::Version { found: 9 }));
        assert!(decode(&[]).is_err());
    }
}
