//! Events of the forward protocol of Fluentd and Fluent Bit, as its door writes them: MessagePack, `[tag, time, record]`.
//!
//! A record with a text under `log` or `message` is read like a line from anywhere; the rest of it stands beside. Any other
//! record is read like a JSON object.

use bytes::Bytes;
use canh_schema::{Event, IssueKind, Timestamp, Value, field};
use compact_str::CompactString;
use serde_json::{Map, Number, Value as Json};

use super::msgpack::{Head, Reader, Unread};
use crate::decode::{Decoder, set_if_absent};

/// The attribute that holds the tag.
const TAG: &str = "fluent.tag";

pub(crate) fn decode(decoder: &mut Decoder<'_>) {
    for record in decoder.envelope().records() {
        if decoder.is_full() {
            return decoder.rest(&record.bytes);
        }
        let entry = Entry::read(&record.bytes, decoder.settings().depth_max, decoder.settings().fields_max);
        let mut event = match &entry {
            Ok(entry) => entry.event(decoder, record.cut),
            Err(_) => None,
        };
        let event = event.take().unwrap_or_else(|| {
            let mut event = decoder.event(record.bytes.clone());
            event.push_issue(IssueKind::Malformed, "not an event of the forward protocol");
            event.set(field::MESSAGE, "forward protocol: an event that cannot be read");
            event
        });
        decoder.finish(event, record.peer);
    }
}

struct Entry {
    tag: CompactString,
    time: Option<Timestamp>,
    record: Map<String, Json>,
    /// Something was too deep, or too much.
    is_cut: bool,
}

impl Entry {
    fn read(bytes: &[u8], depth_max: usize, fields_max: usize) -> Result<Self, Unread> {
        let mut reader = Reader(bytes);
        if reader.head()? != Head::List(3) {
            return Err(Unread::Bad);
        }
        let tag = CompactString::from_utf8_lossy(reader.text()?);
        let time = read_time(&mut reader)?;
        let mut limits = Limits { left: fields_max.saturating_mul(4), is_cut: false };
        match value(&mut reader, depth_max, &mut limits)? {
            Json::Object(record) => Ok(Self { tag, time, record, is_cut: limits.is_cut }),
            _ => Err(Unread::Bad),
        }
    }

    fn event(&self, decoder: &Decoder<'_>, cut: crate::envelope::Cut) -> Option<Event> {
        let line = ["log", "message"].into_iter().find_map(|name| Some((name, self.record.get(name)?.as_str()?)));
        let line = line.filter(|(_, text)| !text.trim_ascii().is_empty());
        let mut event = match line {
            Some((_, text)) => decoder.read(Bytes::copy_from_slice(text.as_bytes()), cut, None)?,
            None => {
                let text = serde_json::to_vec(&self.record).ok()?;
                decoder.read(text.into(), cut, None)?
            }
        };
        if let Some(time) = self.time {
            event.time = time;
        }
        if let Some((line, _)) = line {
            for name in ["host", "hostname"] {
                if let Some(host) = self.record.get(name).and_then(Json::as_str).filter(|host| !host.is_empty()) {
                    event.set(field::HOST_NAME, host);
                }
            }
            for (name, value) in self.record.iter().filter(|(name, _)| *name != line) {
                put(&mut event, name, value);
            }
        }
        set_if_absent(&mut event, TAG, self.tag.clone());
        if self.is_cut {
            event.push_issue(IssueKind::TooManyFields, "a part of the record was left out");
        }
        Some(event)
    }
}

/// Objects are flattened; lists of plain values stay lists.
fn put(event: &mut Event, name: &str, value: &Json) {
    match value {
        Json::Object(members) => members.iter().for_each(|(key, value)| put(event, &format!("{name}.{key}"), value)),
        Json::Array(members) => {
            let members: Vec<Value> = members.iter().map(single).collect();
            set_if_absent(event, name, Value::List(members));
        }
        other => set_if_absent(event, name, single(other)),
    }
}

fn single(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Integer(number),
            None => number.as_f64().map_or(Value::Null, Value::Float),
        },
        Json::String(text) => Value::Text(text.as_str().into()),
        other => Value::Text(other.to_string().into()),
    }
}

/// Seconds, or the extension with nanoseconds; Fluent Bit may write a list with it and more.
fn read_time(reader: &mut Reader<'_>) -> Result<Option<Timestamp>, Unread> {
    let head = reader.head()?;
    Ok(match head {
        Head::Integer(seconds) if seconds > 0 => Some(Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000))),
        Head::Float(seconds) => super::epoch_seconds(seconds),
        Head::Extension(0, 8) => {
            let bytes = reader.bytes(8)?;
            let part = |at: usize| {
                bytes.get(at..at + 4).map_or(0, |part| part.iter().fold(0, |n, byte| n << 8 | i64::from(*byte)))
            };
            let nanos = (part(0) * 1_000_000_000).saturating_add(part(4));
            (nanos > 0).then(|| Timestamp::from_nanos(nanos))
        }
        Head::Extension(_, len) | Head::Text(len) | Head::Binary(len) => {
            reader.bytes(len)?;
            None
        }
        Head::List(count) if count > 0 => {
            let time = match reader.0.first() {
                Some(0x90..=0x9f | 0xdc | 0xdd) => return Err(Unread::Bad), // no list in the list
                _ => read_time(reader)?,
            };
            for _ in 1..count {
                reader.skip()?;
            }
            time
        }
        _ => None,
    })
}

struct Limits {
    left: usize,
    is_cut: bool,
}

fn value(reader: &mut Reader<'_>, depth_left: usize, limits: &mut Limits) -> Result<Json, Unread> {
    let before = *reader;
    // What lies too deep counts too: else its members would have no limit.
    let has_room = limits.left > 0;
    limits.left = limits.left.saturating_sub(1);
    if depth_left == 0 || !has_room {
        limits.is_cut = true;
        reader.skip()?;
        return Ok(Json::Null);
    }
    let text = |bytes: &[u8]| Json::String(String::from_utf8_lossy(bytes).into_owned());
    Ok(match reader.head()? {
        Head::Nil => Json::Null,
        Head::Bool(value) => Json::Bool(value),
        Head::Integer(number) => Json::Number(number.into()),
        Head::Unsigned(number) => Json::Number(number.into()),
        Head::Float(number) => Number::from_f64(number).map_or(Json::Null, Json::Number),
        Head::Text(len) | Head::Binary(len) => text(reader.bytes(len)?),
        Head::Extension(_, len) => {
            reader.bytes(len)?;
            Json::Null
        }
        Head::List(count) => {
            let mut members = Vec::new();
            for _ in 0..count {
                if limits.left == 0 {
                    limits.is_cut = true;
                    *reader = before;
                    reader.skip()?;
                    break;
                }
                members.push(value(reader, depth_left - 1, limits)?);
            }
            Json::Array(members)
        }
        Head::Map(count) => {
            let mut members = Map::new();
            for _ in 0..count {
                if limits.left == 0 {
                    limits.is_cut = true;
                    *reader = before;
                    reader.skip()?;
                    break;
                }
                let key = String::from_utf8_lossy(reader.skip().and_then(|key| Reader(key).text())?).into_owned();
                let member = value(reader, depth_left - 1, limits)?;
                members.insert(key, member);
            }
            Json::Object(members)
        }
    })
}
