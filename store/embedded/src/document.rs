//! An event as a document of Tantivy: columns, terms, words and the stored bytes. Made by the thread that appends, so
//! that the writer's thread only has to index.

use std::iter::Empty;
use std::sync::Arc;

use canh_schema::{Event, FieldId, FieldKind, Value};
use canh_store::hunt::{address_number, time_number};
use canh_store::tokens::{fold_case, is_word_sign};
use canh_store::{FieldRef, codec, tally};
use memchr::memmem::Finder;
use tantivy::Document;
use tantivy::schema::document::{ReferenceValue, ReferenceValueLeaf};
use tantivy::schema::{Field, Value as TantivyValue};

use crate::schema::{ColumnKind, Fields, PSEUDO_COLUMNS};
use crate::terms::{self, BATCH_LEN, Key};
use crate::throttle::Permit;

/// One event, ready to be indexed. Texts and bytes lie in one buffer each.
#[derive(Debug, Default)]
pub(crate) struct EventDoc {
    text: String,
    bytes: Vec<u8>,
    entries: Vec<(Field, Entry)>,
    /// Given back when the writer is done with the document.
    permit: Option<Permit>,
}

/// A value, or where it lies in the buffers.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Text(usize, usize),
    Bytes(usize, usize),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Leaf<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
}

impl<'a> TantivyValue<'a> for Leaf<'a> {
    type ArrayIter = Empty<Self>;
    type ObjectIter = Empty<(&'a str, Self)>;

    fn as_value(&self) -> ReferenceValue<'a, Self> {
        ReferenceValue::Leaf(match *self {
            Self::Text(text) => ReferenceValueLeaf::Str(text),
            Self::Bytes(bytes) => ReferenceValueLeaf::Bytes(bytes),
            Self::Integer(number) => ReferenceValueLeaf::I64(number),
            Self::Unsigned(number) => ReferenceValueLeaf::U64(number),
            Self::Float(number) => ReferenceValueLeaf::F64(number),
        })
    }
}

pub(crate) struct Entries<'a> {
    doc: &'a EventDoc,
    rest: std::slice::Iter<'a, (Field, Entry)>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (Field, Leaf<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (field, entry) = *self.rest.next()?;
        let doc: &'a EventDoc = self.doc;
        let leaf = match entry {
            Entry::Text(start, end) => Leaf::Text(doc.text.get(start..end).unwrap_or_default()),
            Entry::Bytes(start, end) => Leaf::Bytes(doc.bytes.get(start..end).unwrap_or_default()),
            Entry::Integer(number) => Leaf::Integer(number),
            Entry::Unsigned(number) => Leaf::Unsigned(number),
            Entry::Float(number) => Leaf::Float(number),
        };
        Some((field, leaf))
    }
}

impl Document for EventDoc {
    type Value<'a> = Leaf<'a>;
    type FieldsValuesIter<'a> = Entries<'a>;

    fn iter_fields_and_values(&self) -> Entries<'_> {
        Entries { doc: self, rest: self.entries.iter() }
    }
}

impl EventDoc {
    pub(crate) fn new(event: &Event, fields: &Fields) -> Self {
        let mut doc = Self { bytes: Vec::with_capacity(1_024), entries: Vec::with_capacity(64), ..Self::default() };
        let start = doc.bytes.len();
        codec::encode(event, &mut doc.bytes);
        doc.entries.push((fields.event, Entry::Bytes(start, doc.bytes.len())));
        doc.entries.push((fields.time, Entry::Integer(event.time.nanos())));
        doc.add_id(event, fields);
        doc.add_pseudo(event, fields);
        let raw = if is_binary(&event.raw) { "".into() } else { String::from_utf8_lossy(&event.raw) };
        if !raw.is_empty() {
            doc.add_words(fields.text, &raw);
        }
        for (field, value) in &event.fields {
            doc.add_field(*field, value, fields);
            doc.add_texts(fields.text, value, &raw);
        }
        for (name, value) in &event.attrs {
            doc.add_keys(&Key::attr(name), value, fields.keys);
            doc.add_texts(fields.text, value, &raw);
        }
        doc
    }

    /// What the document takes in memory, roughly.
    pub(crate) fn size(&self) -> usize {
        self.text.capacity() + self.bytes.capacity() + self.entries.capacity() * size_of::<(Field, Entry)>()
    }

    pub(crate) fn hold(&mut self, permit: Permit) {
        self.permit = Some(permit);
    }

    fn add_id(&mut self, event: &Event, fields: &Fields) {
        let (batch, place) = event.id.as_bytes().split_at(BATCH_LEN);
        let place = place.iter().fold(0, |place, byte| (place << 8) | u64::from(*byte));
        self.entries.push((fields.place, Entry::Unsigned(place)));
        self.add_bytes(fields.batch, batch);
        self.add_bytes(fields.keys, &terms::batch(batch));
    }

    fn add_pseudo(&mut self, event: &Event, fields: &Fields) {
        for pseudo in PSEUDO_COLUMNS {
            let Some(column) = fields.pseudo(pseudo) else { continue };
            let key = Key::pseudo(pseudo.name());
            let mut seen: Vec<Value> = Vec::new();
            FieldRef::Pseudo(pseudo).any_value(event, |value| {
                if !seen.contains(value) {
                    seen.push(value.clone());
                }
                false
            });
            for value in &seen {
                self.add_column(column, ColumnKind::Text, pseudo.kind(), value);
                self.add_keys(&key, value, fields.keys);
            }
        }
    }

    fn add_field(&mut self, field: FieldId, value: &Value, fields: &Fields) {
        let key = Key::catalogue(field.name());
        match field.kind() {
            FieldKind::Keyword | FieldKind::Bool => self.add_keys(&key, value, fields.keys),
            FieldKind::Ip => {
                for address in value.members().iter().filter_map(Value::as_ip) {
                    self.add_bytes(fields.keys, &key.address(address_number(address)));
                }
                self.add_exists(&key, value, fields.keys);
            }
            FieldKind::Text | FieldKind::Integer | FieldKind::Float | FieldKind::Time => {
                self.add_exists(&key, value, fields.keys);
            }
        }
        let Some((column, kind)) = fields.column(field) else { return };
        let members = value.members();
        for (n, member) in members.iter().enumerate() {
            if !members[..n].contains(member) {
                self.add_column(column, kind, field.kind(), member);
            }
        }
    }

    fn add_column(&mut self, column: Field, kind: ColumnKind, field: FieldKind, value: &Value) {
        match kind {
            ColumnKind::Text => {
                if let Some(text) = tally::shown(Some(field), value) {
                    self.add_text(column, &text);
                }
            }
            ColumnKind::Integer => {
                let number = if field == FieldKind::Time { time_number(value) } else { value.as_i64() };
                self.entries.extend(number.map(|number| (column, Entry::Integer(number))));
            }
            ColumnKind::Float => {
                let number = value.as_f64().filter(|number| !number.is_nan());
                self.entries.extend(number.map(|number| (column, Entry::Float(number))));
            }
        }
    }

    /// The value terms of a field that is compared as text.
    fn add_keys(&mut self, key: &Key, value: &Value, keys: Field) {
        for text in value.members().iter().filter_map(Value::as_text) {
            let (term, long) = key.value(&fold_case(&text));
            self.add_bytes(keys, &term);
            if long {
                self.add_bytes(keys, &key.long());
            }
        }
        self.add_exists(key, value, keys);
    }

    fn add_exists(&mut self, key: &Key, value: &Value, keys: Field) {
        if value.members().iter().any(|member| !matches!(member, Value::Null | Value::List(_))) {
            self.add_bytes(keys, &key.exists());
        }
    }

    /// The words of values, unless the raw text has the very same words in a row, so that nothing more could be found.
    fn add_texts(&mut self, words: Field, value: &Value, raw: &str) {
        for text in value.members().iter().filter_map(Value::as_text) {
            if text.chars().any(char::is_alphanumeric) && !contains_words(raw, &text) {
                self.add_words(words, &text);
            }
        }
    }

    fn add_words(&mut self, words: Field, text: &str) {
        self.add_text(words, text);
    }

    fn add_text(&mut self, field: Field, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        self.entries.push((field, Entry::Text(start, self.text.len())));
    }

    fn add_bytes(&mut self, field: Field, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.entries.push((field, Entry::Bytes(start, self.bytes.len())));
    }
}

/// Whether `part` stands in `whole` so that no word of it is cut off at its ends.
fn contains_words(whole: &str, part: &str) -> bool {
    let finder = Finder::new(part.as_bytes());
    // A few places are enough; where none of them fits the words are simply indexed once more.
    finder.find_iter(whole.as_bytes()).take(4).any(|at| {
        let before = whole.get(..at).and_then(|text| text.chars().next_back());
        let after = whole.get(at + part.len()..).and_then(|text| text.chars().next());
        let is_word = |sign: Option<char>| sign.is_some_and(is_word_sign);
        let cut_before = is_word(before) && is_word(part.chars().next());
        let cut_after = is_word(after) && is_word(part.chars().next_back());
        !cut_before && !cut_after
    })
}

/// Shared by all documents of one append.
pub(crate) fn documents<'e>(
    events: impl IntoIterator<Item = &'e Event> + 'e,
    fields: Arc<Fields>,
) -> impl Iterator<Item = EventDoc> + 'e {
    events.into_iter().map(move |event| EventDoc::new(event, &fields))
}

/// Whether these are no words of any encoding but a record of a binary protocol, such as a flow that a router exported.
/// Its values are fields; its bytes would fill the index with words that nobody writes.
fn is_binary(raw: &[u8]) -> bool {
    raw.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(whole: &str, part: &str, expected: bool) {
        assert_eq!(contains_words(whole, part), expected, "{part:?} in {whole:?}");
    }

    #[test]
    fn bytes_of_protocols_are_no_text() {
        assert!(is_binary(b"\x0a\x01\x02\x03\0\0\x01\xbbab"));
        // Text in an older encoding is text.
        assert!(!is_binary("Đăng nhập".as_bytes()) && !is_binary(b"\xd0\xe3ng nh\xe2p") && !is_binary(b""));
    }

    #[test]
    fn parts_of_words_do_not_count() {
        check("for root from 10.0.0.5 port", "10.0.0.5", true);
        check("for root from 10.0.0.55 port", "10.0.0.5", false);
        check("for roots and root", "root", true);
        check("xroot", "root", false);
        check("a (root) b", "(root)", true);
        check("nguye\u{302}n", "nguye", false); // the accent belongs to the word
        check("", "x", false);
    }
}
