//! Entries of systemd's journal in the export format (facts: systemd's "Journal Export Formats"): `NAME=value` on a line
//! each, or for values with line feeds and other bytes the name on a line, eight bytes of length, the bytes, a line feed.
//! What the fields mean is in `source::journald`.

use bytes::Bytes;
use canh_schema::{Event, IssueKind, Value, field};
use compact_str::{CompactString, format_compact};

use crate::decode::Decoder;
use crate::envelope::Cut;
use crate::source;

/// The longest name of a field that systemd allows.
const NAME_LEN_MAX: usize = 64;

/// Fields of an entry, without the empty line behind it.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    /// Name and value; an error is what cannot be read, and the last.
    type Item = Result<(&'a [u8], &'a [u8]), ()>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(()))
    }
}

impl<'a> Fields<'a> {
    fn read(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let end = memchr::memchr(b'\n', self.0).unwrap_or(self.0.len());
        let (line, rest) = self.0.split_at(end);
        let rest = rest.get(1..).unwrap_or_default();
        if let Some(at) = memchr::memchr(b'=', line) {
            self.0 = rest;
            return Some((&line[..at], &line[at + 1..]));
        }
        let (len, rest) = rest.split_first_chunk::<8>()?;
        let (value, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
        self.0 = rest.strip_prefix(b"\n")?;
        Some((line, value))
    }
}

/// Makes an event of each entry.
pub(crate) fn decode(decoder: &mut Decoder<'_>) {
    for record in decoder.envelope().records() {
        if decoder.is_full() {
            return decoder.rest(&record.bytes);
        }
        let mut event = decoder.event(record.bytes.clone());
        if record.cut == Cut::Truncated {
            event.push_issue(IssueKind::Truncated, "fields were left out at the door");
        }
        entry(decoder, &mut event, &record.bytes);
        decoder.finish(event, record.peer);
    }
}

fn entry(decoder: &Decoder<'_>, event: &mut Event, bytes: &Bytes) {
    let settings = decoder.settings();
    for field in Fields(bytes) {
        let Ok((name, value)) = field else {
            event.push_issue(IssueKind::Malformed, "journal export: a field ends too early");
            break;
        };
        let Some(name) = std::str::from_utf8(name).ok().filter(|name| !name.is_empty() && name.len() <= NAME_LEN_MAX)
        else {
            event.push_issue(IssueKind::Malformed, "journal export: a field has no proper name");
            continue;
        };
        if event.attrs.len() >= settings.fields_max {
            event.push_issue(IssueKind::TooManyFields, format_compact!("limit is {}", settings.fields_max));
            break;
        }
        let len_max = settings.line_max.as_len();
        if value.len() > len_max {
            event.push_issue(IssueKind::Truncated, format_compact!("{name}: {len_max} of {} bytes read", value.len()));
        }
        let text = CompactString::from_utf8_lossy(&value[..value.len().min(len_max)]);
        put(event, name, text);
    }
    let context = decoder.context();
    source::journald::apply(event, &context);
    if event.get(field::MESSAGE).is_none() {
        event.set(field::MESSAGE, "");
    }
}

/// The same name twice makes a list, as in JSON.
fn put(event: &mut Event, name: &str, text: CompactString) {
    match event.attrs.iter_mut().find(|(known, _)| known == name) {
        Some((_, Value::List(members))) => members.push(Value::Text(text)),
        Some((_, held)) => {
            let first = std::mem::replace(held, Value::Null);
            *held = Value::List(vec![first, Value::Text(text)]);
        }
        None => event.attrs.push((name.into(), Value::Text(text))),
    }
}
