//! Bodies of Elasticsearch's `_bulk`: a line says what to do, and the next one is the document. The door reads them with
//! this to answer for each document; decoding reads them again.

use std::collections::BTreeMap;

use bytes::Bytes;
use canh_schema::field;
use compact_str::{CompactString, ToCompactString};
use serde::Deserialize;

use crate::decode::{Decoder, set_if_absent};

/// The longest line that says what to do, in bytes.
const ACTION_LEN_MAX: usize = 8 * 1024;
/// The longest name of an index or a document, in bytes. Elasticsearch has the same limits.
pub(crate) const INDEX_LEN_MAX: usize = 255;
const ID_LEN_MAX: usize = 512;

/// What to do with a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Index,
    Create,
    Update,
    Delete,
}

impl Operation {
    const ALL: [Self; 4] = [Self::Index, Self::Create, Self::Update, Self::Delete];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    /// Whether a document follows on the next line.
    pub(crate) const fn has_source(self) -> bool {
        !matches!(self, Self::Delete)
    }

    /// Events are added; they are not changed and not deleted.
    pub(crate) const fn is_taken(self) -> bool {
        matches!(self, Self::Index | Self::Create)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Action {
    pub(crate) operation: Operation,
    pub(crate) index: Option<CompactString>,
    pub(crate) id: Option<CompactString>,
}

#[derive(Deserialize)]
struct Target {
    #[serde(default, rename = "_index")]
    index: Option<CompactString>,
    #[serde(default, rename = "_id")]
    id: Option<Id>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(CompactString),
    Number(serde_json::Number),
}

impl Action {
    /// Reads the line that says what to do; the error is for the sender.
    pub(crate) fn read(line: &[u8]) -> Result<Self, String> {
        if line.len() > ACTION_LEN_MAX {
            return Err(format!("it is longer than {ACTION_LEN_MAX} bytes"));
        }
        let members: BTreeMap<CompactString, Target> =
            serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let mut members = members.into_iter();
        let (Some((name, target)), None) = (members.next(), members.next()) else {
            return Err("it has to be an object with one member".to_owned());
        };
        let operation = Operation::ALL.into_iter().find(|operation| operation.name() == name).ok_or_else(|| {
            let known = Operation::ALL.map(Operation::name).join("`, `");
            format!("`{}` is not one of `{known}`", name.chars().take(64).collect::<String>())
        })?;
        let id = target.id.map(|id| match id {
            Id::Text(text) => text,
            Id::Number(number) => number.to_compact_string(),
        });
        let long = |text: &Option<CompactString>, len_max| text.as_ref().is_some_and(|text| text.len() > len_max);
        if long(&target.index, INDEX_LEN_MAX) || long(&id, ID_LEN_MAX) {
            return Err(format!("`_index` may have {INDEX_LEN_MAX} bytes and `_id` {ID_LEN_MAX}"));
        }
        Ok(Self { operation, index: target.index.filter(|index| !index.is_empty()), id })
    }
}

/// Makes an event of each document. The door let in only what is taken, so that lines come in pairs.
pub(crate) fn decode(decoder: &mut Decoder<'_>) {
    let mut lines = decoder.envelope().records();
    while let Some(line) = lines.next() {
        if decoder.is_full() {
            return decoder.rest(&line.bytes);
        }
        let action = Action::read(&line.bytes).ok().filter(|action| action.operation.has_source());
        let source = if action.is_some() { lines.next() } else { None };
        let (peer, cut) = (line.peer, line.cut);
        let Some(mut event) = decoder.read(source.unwrap_or(line).bytes, cut, None) else { continue };
        if let Some(action) = action {
            if let Some(index) = action.index {
                event.set(field::CANH_INDEX, index);
            }
            if let Some(id) = action.id {
                set_if_absent(&mut event, "elasticsearch.id", id);
            }
        }
        decoder.finish(event, peer);
    }
}

/// What became of one line that said what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Item {
    pub(crate) action: Action,
    /// Why it is not taken.
    pub(crate) refused: Option<String>,
}

/// A body, read once: what is taken of it, and what to answer for each document.
#[derive(Debug)]
pub(crate) struct Bulk {
    pub(crate) items: Vec<Item>,
    /// The lines that are taken, in pairs. The body itself if all of it is.
    pub(crate) payload: Bytes,
    pub(crate) taken: u64,
}

/// Why a body as a whole is not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum BulkError {
    #[error("The bulk request must be terminated by a newline [\\n]")]
    NoNewline,
    #[error("Malformed action/metadata line [{line}]: {detail}")]
    Action { line: usize, detail: String },
    #[error("the body has more than {0} documents; send it in several requests")]
    TooMany(usize),
    #[error("request body is required")]
    Empty,
}

impl Bulk {
    /// Reads a body with at most `items_max` documents.
    pub(crate) fn read(body: &Bytes, items_max: usize) -> Result<Self, BulkError> {
        if !body.is_empty() && body.last() != Some(&b'\n') {
            return Err(BulkError::NoNewline);
        }
        let mut items = Vec::new();
        // Where each pair of lines that is taken begins and ends.
        let mut taken: Vec<(usize, usize)> = Vec::new();
        let mut lines = Lines { body, at: 0, line: 0 };
        while let Some((start, action)) = lines.next() {
            if action.trim_ascii().is_empty() {
                continue;
            }
            let wrong = |detail| BulkError::Action { line: lines.line, detail };
            let action = Action::read(action).map_err(wrong)?;
            if items.len() >= items_max {
                return Err(BulkError::TooMany(items_max));
            }
            let mut refused = None;
            if action.operation.has_source() {
                let source = lines.next().map(|(_, line)| line.trim_ascii()).unwrap_or_default();
                if source.is_empty() {
                    refused = Some("there is no document on the line behind it".to_owned());
                }
            }
            if !action.operation.is_taken() {
                let name = action.operation.name();
                refused =
                    Some(format!("`{name}` is not taken here: events are kept as they came; use `create` or `index`"));
            }
            if refused.is_none() {
                taken.push((start, lines.at));
            }
            items.push(Item { action, refused });
        }
        if items.is_empty() {
            return Err(BulkError::Empty);
        }
        Ok(Self { taken: taken.len() as u64, payload: joined(body, &taken), items })
    }
}

/// The parts of the body; itself if they are all of it.
fn joined(body: &Bytes, parts: &[(usize, usize)]) -> Bytes {
    let len: usize = parts.iter().map(|(start, end)| end - start).sum();
    if len == body.len() {
        return body.clone();
    }
    let parts = parts.iter().filter_map(|(start, end)| body.get(*start..*end));
    let mut joined = Vec::with_capacity(len);
    parts.for_each(|part| joined.extend_from_slice(part));
    joined.into()
}

struct Lines<'a> {
    body: &'a [u8],
    at: usize,
    /// Number of the line that was given last, from 1.
    line: usize,
}

impl<'a> Lines<'a> {
    /// Where the next line begins, and the line without its end.
    fn next(&mut self) -> Option<(usize, &'a [u8])> {
        let start = self.at;
        let rest = self.body.get(start..).filter(|rest| !rest.is_empty())?;
        let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.at = self.body.len().min(start + len + 1);
        self.line += 1;
        rest.get(..len).map(|line| (start, line))
    }
}

pub(super) fn fuzz(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let Ok(bulk) = Bulk::read(&body, 1_000) else { return };
    let taken = bulk.items.iter().filter(|item| item.refused.is_none()).count() as u64;
    assert_eq!(taken, bulk.taken, "each document is either taken or refused");
    let received = canh_schema::Timestamp::from_secs(1_793_000_000);
    let framing = crate::Framing::ElasticBulk;
    let envelope = crate::Envelope::new(crate::Door::Elasticsearch, received, framing, bulk.payload);
    let settings = crate::DecodeSettings::default();
    let batch = crate::decode(&envelope, canh_schema::Position::new(1), 1, &settings);
    assert_eq!(batch.events.len() as u64, taken, "each document that is taken is an event");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &'static str, items: &[&str], payload: &str) {
        let bulk = Bulk::read(&Bytes::from_static(body.as_bytes()), 4).unwrap();
        let shown = bulk.items.iter().map(|item| {
            let mark = if item.refused.is_some() { "!" } else { "" };
            let action = &item.action;
            let (index, id) = (action.index.as_deref().unwrap_or("-"), action.id.as_deref().unwrap_or("-"));
            format!("{mark}{} {index} {id}", action.operation.name())
        });
        assert_eq!(shown.collect::<Vec<_>>(), items, "body: {body}");
        assert_eq!(bulk.payload, payload, "body: {body}");
        assert_eq!(bulk.taken as usize, bulk.items.iter().filter(|item| item.refused.is_none()).count());
        fuzz(body.as_bytes());
    }

    #[track_caller]
    fn check_refused(body: &str, words: &str) {
        let error = Bulk::read(&Bytes::copy_from_slice(body.as_bytes()), 4).unwrap_err().to_string();
        assert!(error.contains(words), "expected `{words}`: {error}");
    }

    #[test]
    fn bodies() {
        let one = "{\"create\":{\"_index\":\"a\"}}\n{\"x\":1}\n";
        check(one, &["create a -"], one);
        let ids = "{\"index\":{\"_id\":\"k\"}}\r\n{}\r\n{\"index\":{\"_id\":7,\"_type\":\"_doc\"}}\n{}\n";
        check(ids, &["index - k", "index - 7"], ids);
        check("\n\n{\"index\":{}}\n{}\n\n", &["index - -"], "{\"index\":{}}\n{}\n");
        check(
            "{\"delete\":{\"_id\":\"1\"}}\n{\"update\":{}}\n{\"doc\":{}}\n{\"index\":{}}\n{}\n",
            &["!delete - 1", "!update - -", "index - -"],
            "{\"index\":{}}\n{}\n",
        );
        check("{\"index\":{}}\n", &["!index - -"], "");
        check("{\"index\":{}}\n\n{\"index\":{}}\n[broken\n", &["!index - -", "index - -"], "{\"index\":{}}\n[broken\n");
    }

    #[test]
    fn bodies_that_are_none() {
        check_refused("", "required");
        check_refused("\n \n", "required");
        check_refused("{\"index\":{}}\n{}", "terminated by a newline");
        check_refused("{\"index\":{}}\n{}\nnothing\n", "line [3]");
        check_refused("{\"upsert\":{}}\n{}\n", "`upsert` is not one of `index`");
        check_refused("{\"index\":{},\"create\":{}}\n{}\n", "one member");
        check_refused("{}\n", "one member");
        check_refused("{\"index\":3}\n{}\n", "line [1]");
        check_refused(&"{\"index\":{}}\n{}\n".repeat(5), "more than 4 documents");
        check_refused(&format!("{{\"index\":{{\"_index\":\"{}\"}}}}\n{{}}\n", "x".repeat(300)), "255");
        check_refused(&format!("{}\n", "[".repeat(9_000)), "longer than");
        check_refused(&format!("{}\n", "[".repeat(8_000)), "line [1]");
    }
}
