//! Takes a stream of systemd's journal export format apart into entries. Fields of an entry that would make it longer than
//! the limit are left out, and the entry is marked.

use bytes::Bytes;

use crate::envelope::{Cut, RecordList};

/// The stream is not of this format; where the next entry starts is unknown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadEntry;

#[derive(Debug)]
pub(super) struct EntrySplitter {
    entry_max: usize,
    entries: RecordList,
    cut_total: u64,
    /// The fields of the entry that has begun.
    entry: Vec<u8>,
    cut: Cut,
    state: State,
    /// An entry has ended since this was last asked.
    ended: bool,
}

#[derive(Debug)]
enum State {
    /// In a line: `NAME=value`, the name of a field that is counted, or nothing, which ends the entry.
    Line { line: Vec<u8>, is_long: bool },
    /// In the eight bytes of a length, behind this name.
    Length { name: Vec<u8>, digits: Vec<u8> },
    /// In a value of which so much is to come, with the line feed behind it.
    Value { left: u64, is_kept: bool },
}

const START: State = State::Line { line: Vec::new(), is_long: false };

impl EntrySplitter {
    pub(super) fn new(entry_max: usize) -> Self {
        let entries = RecordList::default();
        Self { entry_max, entries, cut_total: 0, entry: Vec::new(), cut: Cut::Whole, state: START, ended: false }
    }

    /// # Errors
    ///
    /// [`BadEntry`]; the entries before it can still be taken.
    pub(super) fn push(&mut self, mut data: &[u8]) -> Result<(), BadEntry> {
        while !data.is_empty() {
            let room = self.entry_max.saturating_sub(self.entry.len());
            match &mut self.state {
                State::Line { line, is_long } => {
                    let end = memchr::memchr(b'\n', data);
                    let (part, rest) = data.split_at(end.unwrap_or(data.len()));
                    data = rest.get(1..).unwrap_or_default();
                    *is_long |= line.len() + part.len() + 1 > room;
                    // Enough of a line that is too long is kept to see whether it has a value.
                    let kept = if *is_long { part.len().min(256_usize.saturating_sub(line.len())) } else { part.len() };
                    line.extend_from_slice(&part[..kept]);
                    if end.is_some() {
                        let (line, is_long) = (std::mem::take(line), *is_long);
                        self.end_line(line, is_long)?;
                    }
                }
                State::Length { name, digits } => {
                    let (part, rest) = data.split_at(data.len().min(8 - digits.len()));
                    data = rest;
                    digits.extend_from_slice(part);
                    if let Ok(len) = <[u8; 8]>::try_from(digits.as_slice()) {
                        let len = u64::from_le_bytes(len);
                        let all = len.checked_add(name.len() as u64 + 10).ok_or(BadEntry)?;
                        let is_kept = all <= room as u64;
                        if is_kept {
                            self.entry.extend_from_slice(name);
                            self.entry.push(b'\n');
                            self.entry.extend_from_slice(digits);
                        } else {
                            self.cut = Cut::Truncated;
                        }
                        self.state = State::Value { left: len + 1, is_kept };
                    }
                }
                State::Value { left, is_kept } => {
                    let len = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len());
                    let (part, rest) = data.split_at(len);
                    data = rest;
                    *left -= len as u64;
                    if *is_kept {
                        self.entry.extend_from_slice(part);
                    }
                    if *left == 0 {
                        if part.last() != Some(&b'\n') {
                            return Err(BadEntry);
                        }
                        self.state = START;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether an entry has ended since the last call.
    pub(super) fn take_ended(&mut self) -> bool {
        std::mem::take(&mut self.ended)
    }

    fn end_line(&mut self, line: Vec<u8>, is_long: bool) -> Result<(), BadEntry> {
        self.state = START;
        if line.is_empty() {
            self.end_entry();
        } else if memchr::memchr(b'=', &line).is_some() {
            if is_long {
                self.cut = Cut::Truncated;
            } else {
                self.entry.extend_from_slice(&line);
                self.entry.push(b'\n');
            }
        } else if line.len() > 64 || !line.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
            return Err(BadEntry); // names are short and of letters, digits and underscores
        } else {
            self.state = State::Length { name: line, digits: Vec::new() };
        }
        Ok(())
    }

    fn end_entry(&mut self) {
        let cut = std::mem::replace(&mut self.cut, Cut::Whole);
        if !self.entry.is_empty() || cut == Cut::Truncated {
            self.ended = true;
            self.cut_total += u64::from(cut == Cut::Truncated);
            self.entries.push(&self.entry, None, cut);
        }
        self.entry.clear();
    }

    /// The stream has ended. An entry that has begun is kept if it ends with a field; senders may leave out the last line.
    pub(super) fn finish(&mut self) -> Result<(), BadEntry> {
        match &self.state {
            State::Line { line, .. } if line.is_empty() => {
                self.end_entry();
                Ok(())
            }
            _ => Err(BadEntry),
        }
    }

    pub(super) fn ready_len(&self) -> usize {
        self.entries.bytes_len()
    }

    pub(super) fn cut_total(&self) -> u64 {
        self.cut_total
    }

    /// All whole entries so far, and how many they are.
    pub(super) fn take(&mut self) -> (Bytes, u64) {
        let records = self.entries.len() as u64;
        (self.entries.take(), records)
    }
}

/// A stream in pieces of seven bytes.
pub(super) fn fuzz(bytes: &[u8]) {
    let mut splitter = EntrySplitter::new(200);
    let outcome = bytes.chunks(7).try_for_each(|piece| splitter.push(piece)).and_then(|()| splitter.finish());
    let (payload, records) = splitter.take();
    let received = canh_schema::Timestamp::from_secs(1_793_000_000);
    let door = crate::envelope::Door::JournaldUpload;
    let envelope = crate::Envelope::new(door, received, crate::envelope::Framing::JournalExport, payload);
    let batch = crate::decode(&envelope, canh_schema::Position::new(1), 1, &crate::DecodeSettings::default());
    assert_eq!(batch.events.len() as u64, records, "each entry is an event: {outcome:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(stream: &[u8], piece: usize) -> (Vec<String>, Result<(), BadEntry>) {
        let mut splitter = EntrySplitter::new(60);
        let outcome = stream.chunks(piece).try_for_each(|piece| splitter.push(piece)).and_then(|()| splitter.finish());
        let (payload, _) = splitter.take();
        let door = crate::envelope::Door::JournaldUpload;
        let framing = crate::envelope::Framing::JournalExport;
        let envelope = crate::Envelope::new(door, canh_schema::Timestamp::default(), framing, payload);
        let shown = |record: crate::Record| {
            let mark = if record.cut == Cut::Truncated { "…" } else { "" };
            format!("{}{mark}", String::from_utf8_lossy(&record.bytes))
        };
        (envelope.records().map(shown).collect(), outcome)
    }

    #[track_caller]
    fn check(stream: &[u8], expected: &[&str], is_good: bool) {
        for piece in [1, 3, 1_000] {
            let (shown, outcome) = entries(stream, piece);
            assert_eq!(shown, expected, "in pieces of {piece}");
            assert_eq!(outcome.is_ok(), is_good);
        }
        fuzz(stream);
    }

    #[test]
    fn a_stream_comes_apart() {
        check(b"A=1\nB=2\n\nA=3\n\n", &["A=1\nB=2\n", "A=3\n"], true);
        check(b"A=1\n\n\n\nB=2\n", &["A=1\n", "B=2\n"], true);
        check(b"", &[], true);
        let binary = b"A=1\nM\n\x03\0\0\0\0\0\0\0x\n\n\nB=2\n\n";
        check(binary, &["A=1\nM\n\u{3}\0\0\0\0\0\0\0x\n\n\nB=2\n"], true);
        let long = [b"A=1\nM\n\x64\0\0\0\0\0\0\0".as_slice(), &[b'x'; 100], b"\nB=2\n\n"].concat();
        check(&long, &["A=1\nB=2\n…"], true);
        let line = [b"A=1\nM=".as_slice(), &[b'x'; 400], b"\nB=2\n\n"].concat();
        check(&line, &["A=1\nB=2\n…"], true);
        check(b"A=1\n\nM\n\x01\0\0\0\0\0\0\0xx", &["A=1\n"], false);
        check(b"A=1\n\nB=", &["A=1\n"], false);
        check(b"A=1\n\nno field\n", &["A=1\n"], false);
        check(b"M\n\xff\xff\xff\xff\xff\xff\xff\xffx", &[], false);
    }
}
