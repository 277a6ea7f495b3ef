//! Records of Kafka as their door writes them: the value is read like a line from anywhere; offset, key and headers stand
//! beside it.

use bytes::{Buf, BufMut, Bytes};
use canh_schema::{Event, IssueKind, Timestamp, Value, field};
use compact_str::{CompactString, format_compact};

use crate::decode::{Decoder, set_if_absent};

const FORM: u8 = 1;
const HEADERS: &str = "kafka.headers.";

/// A record as the journal keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Entry<'a> {
    pub(crate) offset: i64,
    pub(crate) time_ms: i64,
    pub(crate) key: Option<&'a [u8]>,
    /// Nothing for a record that says that its key is gone.
    pub(crate) value: Option<&'a [u8]>,
    /// At most 255.
    pub(crate) headers: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Entry<'a> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.clear();
        out.put_slice(&[FORM, u8::from(self.key.is_some()) | u8::from(self.value.is_some()) << 1]);
        out.put_i64_le(self.offset);
        out.put_i64_le(self.time_ms);
        put(out, self.key.unwrap_or_default());
        let headers = self.headers.get(..self.headers.len().min(255)).unwrap_or_default();
        out.put_u8(u8::try_from(headers.len()).unwrap_or(u8::MAX));
        for (name, value) in headers {
            put(out, name);
            put(out, value);
        }
        out.put_slice(self.value.unwrap_or_default());
    }

    pub(crate) fn read(mut bytes: &'a [u8]) -> Option<Self> {
        if bytes.try_get_u8().ok()? != FORM {
            return None;
        }
        let flags = bytes.try_get_u8().ok()?;
        let (offset, time_ms) = (bytes.try_get_i64_le().ok()?, bytes.try_get_i64_le().ok()?);
        let key = get(&mut bytes)?;
        let count = bytes.try_get_u8().ok()?;
        let headers = (0..count).map(|_| Some((get(&mut bytes)?, get(&mut bytes)?))).collect::<Option<_>>()?;
        Some(Self {
            offset,
            time_ms,
            key: (flags & 1 != 0).then_some(key),
            value: (flags & 2 != 0).then_some(bytes),
            headers,
        })
    }
}

/// At most 65,535 bytes.
fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = bytes.get(..bytes.len().min(usize::from(u16::MAX))).unwrap_or_default();
    out.put_u16_le(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
    out.put_slice(bytes);
}

fn get<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::from(bytes.try_get_u16_le().ok()?);
    let (taken, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(taken)
}

pub(crate) fn decode(decoder: &mut Decoder<'_>) {
    for record in decoder.envelope().records() {
        if decoder.is_full() {
            return decoder.rest(&record.bytes);
        }
        let Some(entry) = Entry::read(&record.bytes) else {
            let mut event = decoder.event(record.bytes.clone());
            event.push_issue(IssueKind::Malformed, "not a record of Kafka");
            event.set(field::MESSAGE, "record of Kafka that cannot be read");
            decoder.finish(event, record.peer);
            continue;
        };
        let value = entry.value.map_or_else(Bytes::new, |value| record.bytes.slice_ref(value));
        let mut event = decoder.read(value, record.cut, None).unwrap_or_else(|| {
            let mut event = decoder.event(Bytes::new());
            event.set(field::MESSAGE, if entry.value.is_some() { "empty record" } else { "record without a value" });
            event
        });
        about(&mut event, &entry);
        decoder.finish(event, record.peer);
    }
}

fn about(event: &mut Event, entry: &Entry<'_>) {
    // A line that does not tell its time has that of the record.
    if event.time == event.received && entry.time_ms > 0 {
        event.time = Timestamp::from_nanos(entry.time_ms.saturating_mul(1_000_000));
    }
    let shown = |bytes: &[u8]| CompactString::from_utf8_lossy(bytes);
    set_if_absent(event, "kafka.offset", Value::Integer(entry.offset));
    if let Some(key) = entry.key {
        set_if_absent(event, "kafka.key", shown(key));
    }
    for (name, value) in &entry.headers {
        set_if_absent(event, &format_compact!("{HEADERS}{}", shown(name)), shown(value));
    }
}

#[cfg(test)]
mod tests {
    use canh_schema::Position;

    use super::*;
    use crate::envelope::{Cut, Door, Envelope, Framing, RecordList};

    fn event_of(entry: &Entry<'_>) -> Event {
        let mut list = RecordList::default();
        let mut bytes = Vec::new();
        entry.write(&mut bytes);
        assert_eq!(Entry::read(&bytes).as_ref(), Some(entry));
        for len in 0..19 {
            assert_eq!(Entry::read(&bytes[..len]), None);
        }
        list.push(&bytes, None, Cut::Whole);
        let mut envelope = Envelope::new(Door::Kafka, Timestamp::from_secs(1_800_000_000), Framing::Kafka, list.take());
        envelope.sender = Some("prod/logs".into());
        envelope.agent =
            Some(canh_schema::BatchNumber { agent: canh_schema::AgentId::from_bytes([1; 16]), spool: 1, sequence: 8 });
        envelope.label(crate::envelope::TOPIC, "logs");
        let batch = crate::decode(&envelope, Position::new(1), 1, &crate::DecodeSettings::default());
        assert_eq!((batch.events.len(), batch.number, &batch.missing), (1, None, &None));
        batch.events.into_iter().next().unwrap()
    }

    #[track_caller]
    fn check(event: &Event, expected: &[(&str, &str)]) {
        for (name, text) in expected {
            let value = event.lookup(name).and_then(|value| value.as_text().map(|text| text.to_string()));
            assert_eq!(value.as_deref(), Some(*text), "{name} of {event:?}");
        }
    }

    #[test]
    fn the_value_is_read_like_a_line() {
        let line = b"<34>1 2026-11-22T08:31:48Z web1 sshd 42 - - Accepted password for an from 192.0.2.1 port 22 ssh2";
        let headers = vec![(b"trace".as_slice(), b"7".as_slice())];
        let entry = Entry { offset: 7, time_ms: 1_700_000_000_123, key: Some(b"web1"), value: Some(line), headers };
        let event = event_of(&entry);
        check(&event, &[("kafka.offset", "7"), ("kafka.key", "web1"), ("kafka.headers.trace", "7")]);
        check(&event, &[("kafka.topic", "logs"), ("canh.source", "kafka:prod/logs"), ("user.name", "an")]);
        assert_eq!(event.raw, &line[..]);
        assert_eq!(event.time, Timestamp::parse_rfc3339("2026-11-22T08:31:48Z").unwrap(), "the line's own time");
        assert!(event.lookup("agent.id").is_none());

        let json =
            Entry { value: Some(br#"{"message":"xin chao","kafka.offset":"forged?"}"#), headers: Vec::new(), ..entry };
        check(&event_of(&json), &[("message", "xin chao")]);
        let plain = event_of(&Entry { value: Some(b"no time in it"), ..json.clone() });
        assert_eq!(plain.time, Timestamp::from_nanos(1_700_000_000_123_000_000));
        check(&event_of(&Entry { value: None, ..json.clone() }), &[("message", "record without a value")]);
        check(&event_of(&Entry { value: Some(b" "), ..json }), &[("message", "empty record")]);
    }
}
