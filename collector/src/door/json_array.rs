//! Splits a JSON array that comes in pieces into its elements, without building it in memory.
//!
//! Only brackets and strings are looked at: whether an element is sound JSON is the decoder's question.

use crate::envelope::{Cut, Framing, RecordList};

use super::lines::Ready;

/// The text is not one JSON array.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at} does not fit into a JSON array")]
pub(super) struct NotAnArray {
    pub(super) at: u64,
}

#[derive(Debug)]
pub(super) struct ArraySplitter {
    element_max: usize,
    elements: RecordList,
    cut_total: u64,
    elements_total: u64,
    element: Vec<u8>,
    cut: Cut,
    place: Place,
    /// Brackets open inside the element.
    depth: u32,
    at: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Before,
    /// Between elements; whether one has to follow.
    Between {
        comma: bool,
    },
    Element,
    InString,
    AfterBackslash,
    After,
}

impl ArraySplitter {
    pub(super) fn new(element_max: usize) -> Self {
        Self {
            element_max: element_max.max(1),
            elements: RecordList::default(),
            cut_total: 0,
            elements_total: 0,
            element: Vec::new(),
            cut: Cut::Whole,
            place: Place::Before,
            depth: 0,
            at: 0,
        }
    }

    pub(super) fn push(&mut self, data: &[u8]) -> Result<(), NotAnArray> {
        for &byte in data {
            self.step(byte)?;
            self.at += 1;
        }
        Ok(())
    }

    /// The text has ended.
    pub(super) fn finish(&mut self) -> Result<(), NotAnArray> {
        if self.place == Place::After { Ok(()) } else { Err(NotAnArray { at: self.at }) }
    }

    pub(super) fn ready_len(&self) -> usize {
        self.elements.bytes_len()
    }

    pub(super) fn cut_total(&self) -> u64 {
        self.cut_total
    }

    /// Elements that have ended so far.
    pub(super) fn elements_total(&self) -> u64 {
        self.elements_total
    }

    /// Whether a comma says that one more element follows.
    pub(super) fn expects_more(&self) -> bool {
        self.place == Place::Between { comma: true }
    }

    pub(super) fn take(&mut self) -> impl Iterator<Item = Ready> + use<> {
        let records = self.elements.len() as u64;
        let ready = Ready { framing: Framing::Records, payload: self.elements.take(), records };
        Some(ready).into_iter().filter(|ready| ready.records > 0)
    }

    fn step(&mut self, byte: u8) -> Result<(), NotAnArray> {
        let wrong = Err(NotAnArray { at: self.at });
        match (self.place, byte) {
            (Place::Before, b'[') => self.place = Place::Between { comma: false },
            (Place::Before | Place::Between { .. } | Place::After, b' ' | b'\t' | b'\r' | b'\n') => (),
            (Place::Between { comma: false }, b']') => self.place = Place::After,
            (Place::Before | Place::After, _) | (Place::Between { .. }, b',' | b']' | b'}' | b':') => return wrong,
            (Place::Between { .. }, _) => {
                self.place = Place::Element;
                return self.in_element(byte);
            }
            (Place::Element, _) => return self.in_element(byte),
            (Place::AfterBackslash, _) => {
                self.keep(byte);
                self.place = Place::InString;
            }
            (Place::InString, _) => {
                self.keep(byte);
                match byte {
                    b'"' => self.place = Place::Element,
                    b'\\' => self.place = Place::AfterBackslash,
                    _ => (),
                }
            }
        }
        Ok(())
    }

    fn in_element(&mut self, byte: u8) -> Result<(), NotAnArray> {
        match byte {
            b',' if self.depth == 0 => {
                self.end_element();
                self.place = Place::Between { comma: true };
                return Ok(());
            }
            b']' if self.depth == 0 => {
                self.end_element();
                self.place = Place::After;
                return Ok(());
            }
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => self.depth = self.depth.checked_sub(1).ok_or(NotAnArray { at: self.at })?,
            b'"' => self.place = Place::InString,
            _ => (),
        }
        self.keep(byte);
        Ok(())
    }

    fn keep(&mut self, byte: u8) {
        if self.element.len() < self.element_max {
            self.element.push(byte);
        } else {
            self.cut = Cut::Truncated;
        }
    }

    fn end_element(&mut self) {
        let element = self.element.trim_ascii_end();
        self.elements.push(element, None, self.cut);
        self.cut_total += u64::from(self.cut == Cut::Truncated);
        self.elements_total += 1;
        self.element.clear();
        self.cut = Cut::Whole;
    }
}

#[cfg(test)]
mod tests {
    use canh_schema::Timestamp;

    use super::*;
    use crate::envelope::{Door, Envelope};

    #[track_caller]
    fn check(text: &str, expected: Result<&[&str], u64>) {
        for piece_len in [1, 7, 1_000] {
            let mut splitter = ArraySplitter::new(12);
            let result = text.as_bytes().chunks(piece_len).try_for_each(|piece| splitter.push(piece));
            let result = result.and_then(|()| splitter.finish());
            let mut elements = Vec::new();
            for ready in splitter.take() {
                let envelope = Envelope::new(Door::Ndjson, Timestamp::default(), ready.framing, ready.payload);
                elements.extend(envelope.records().map(|record| {
                    let mark = if record.cut == Cut::Truncated { "…" } else { "" };
                    format!("{}{mark}", String::from_utf8_lossy(&record.bytes))
                }));
            }
            let elements: Vec<&str> = elements.iter().map(String::as_str).collect();
            let answer = result.map(|()| elements.as_slice()).map_err(|error| error.at);
            assert_eq!(answer, expected, "text: {text}");
        }
    }

    #[test]
    fn arrays() {
        check("[]", Ok(&[]));
        check(" [ 1 , {\"a\":2}\n]\n", Ok(&["1", "{\"a\":2}"]));
        check("[{\"a\":\"],\"},[1,2]]", Ok(&["{\"a\":\"],\"}", "[1,2]"]));
        check(r#"["a\"],",3]"#, Ok(&[r#""a\"],""#, "3"]));
        check("[\"0123456789012\",1]", Ok(&["\"01234567890…", "1"]));
        check("", Err(0));
        check("{}", Err(0));
        check("[1", Err(2));
        check("[1,]", Err(3));
        check("[,1]", Err(1));
        check("[}]", Err(1));
        check("[1}]", Err(2));
        check("[] x", Err(3));
    }
}
