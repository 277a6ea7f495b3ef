//! Splits a stream of bytes into lines and gathers them into batches. A line longer than the limit is cut and marked.

use bytes::{Bytes, BytesMut};

use crate::envelope::{Cut, Framing, RecordList};

/// Records that are ready to be journaled together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Ready {
    pub(super) framing: Framing,
    pub(super) payload: Bytes,
    pub(super) records: u64,
}

#[derive(Debug)]
pub(super) struct LineSplitter {
    framing: Framing,
    line_max: usize,
    /// Whole lines, then the start of the next one.
    buffer: BytesMut,
    whole_len: usize,
    lines: u64,
    /// Lines that have ended or were cut, with those that are empty.
    lines_total: u64,
    /// Lines of these that are records.
    records_total: u64,
    /// Lines that were cut.
    cut: RecordList,
    cut_total: u64,
    /// The rest of a line that was cut is being passed over.
    skipping: bool,
}

impl LineSplitter {
    /// `framing` is [`Framing::Lines`] or [`Framing::NdJson`].
    pub(super) fn new(framing: Framing, line_max: usize) -> Self {
        Self {
            framing,
            line_max: line_max.max(1),
            buffer: BytesMut::new(),
            whole_len: 0,
            lines: 0,
            lines_total: 0,
            records_total: 0,
            cut: RecordList::default(),
            cut_total: 0,
            skipping: false,
        }
    }

    pub(super) fn push(&mut self, mut data: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', data) {
            let (line, rest) = data.split_at(end);
            data = rest.get(1..).unwrap_or_default();
            self.extend_line(line);
            self.end_line();
        }
        self.extend_line(data);
    }

    /// The stream has ended: what there is of the last line is a line.
    pub(super) fn finish(&mut self) {
        if self.partial_len() > 0 || self.skipping {
            self.end_line();
        }
    }

    /// Bytes that [`LineSplitter::take`] would give.
    pub(super) fn ready_len(&self) -> usize {
        self.whole_len + self.cut.bytes_len()
    }

    /// Bytes of the line that has begun.
    pub(super) fn partial_len(&self) -> usize {
        self.buffer.len() - self.whole_len
    }

    /// How many lines were cut so far.
    pub(super) fn cut_total(&self) -> u64 {
        self.cut_total
    }

    /// Lines so far, with those that are empty, and without the one that has begun unless it is cut already.
    pub(super) fn lines_total(&self) -> u64 {
        self.lines_total
    }

    /// Records so far.
    pub(super) fn records_total(&self) -> u64 {
        self.records_total
    }

    /// Whether what comes up to the next line feed is the rest of a line that was cut.
    pub(super) fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// All whole lines so far, at most two batches.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Ready> + use<> {
        let lines = std::mem::take(&mut self.lines);
        let payload = self.buffer.split_to(self.whole_len).freeze();
        self.whole_len = 0;
        let whole = Ready { framing: self.framing, payload, records: lines };
        let records = self.cut.len() as u64;
        let cut = Ready { framing: Framing::Records, payload: self.cut.take(), records };
        [whole, cut].into_iter().filter(|ready| ready.records > 0)
    }

    fn extend_line(&mut self, data: &[u8]) {
        if self.skipping {
            return;
        }
        let room = self.line_max - self.partial_len().min(self.line_max);
        if data.len() <= room {
            self.buffer.extend_from_slice(data);
            return;
        }
        self.buffer.extend_from_slice(&data[..room]);
        let head = self.buffer.split_off(self.whole_len);
        self.cut.push(&head, None, Cut::Truncated);
        self.cut_total += 1;
        self.lines_total += 1;
        self.records_total += 1;
        self.skipping = true;
    }

    fn end_line(&mut self) {
        if std::mem::take(&mut self.skipping) {
            return;
        }
        self.lines_total += 1;
        let line = self.buffer.get(self.whole_len..).unwrap_or_default();
        if line.is_empty() || line == b"\r" {
            self.buffer.truncate(self.whole_len);
            return;
        }
        self.buffer.extend_from_slice(b"\n");
        self.whole_len = self.buffer.len();
        self.lines += 1;
        self.records_total += 1;
    }
}

#[cfg(test)]
mod tests {
    use canh_schema::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::envelope::{Door, Envelope};

    /// What comes out of the journal for a stream that came in pieces: the lines, and `…` after those that were cut.
    fn split(pieces: &[&[u8]], line_max: usize) -> Vec<String> {
        let mut splitter = LineSplitter::new(Framing::Lines, line_max);
        let mut out = Vec::new();
        let mut gather = |splitter: &mut LineSplitter| {
            for ready in splitter.take() {
                let envelope = Envelope::new(Door::SyslogTcp, Timestamp::default(), ready.framing, ready.payload);
                let records: Vec<_> = envelope.records().collect();
                assert_eq!(records.len() as u64, ready.records);
                out.extend(records.iter().map(|record| {
                    let mark = if record.cut == Cut::Truncated { "…" } else { "" };
                    format!("{}{mark}", String::from_utf8_lossy(&record.bytes))
                }));
            }
        };
        for piece in pieces {
            splitter.push(piece);
            gather(&mut splitter);
        }
        splitter.finish();
        gather(&mut splitter);
        out
    }

    #[track_caller]
    fn check(pieces: &[&str], expected: &[&str]) {
        let pieces: Vec<_> = pieces.iter().map(|piece| piece.as_bytes()).collect();
        assert_eq!(split(&pieces, 5), expected, "pieces: {pieces:?}");
    }

    #[test]
    fn lines() {
        check(&["a\nb\n"], &["a", "b"]);
        check(&["a\nb"], &["a", "b"]);
        check(&["a", "b\n", "\n", "c"], &["ab", "c"]);
        check(&["\r\n\r\na\r\n"], &["a"]);
        check(&["12345\n"], &["12345"]);
        check(&["123456\nab\n"], &["ab", "12345…"]);
        check(&["123", "456", "789\nab\n"], &["12345…", "ab"]);
        check(&["1234567"], &["12345…"]);
        check(&[""], &[]);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in "[ab\\n]{0,60}", at in prop::collection::vec(0usize..60, 0..6)) {
            let mut at: Vec<_> = at.into_iter().map(|at| at.min(text.len())).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let pieces: Vec<_> = at.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
            let mut whole = split(&[text.as_bytes()], 4);
            let mut parts = split(&pieces, 4);
            // Cut lines are handed out behind the whole ones of the same call, so only the set is the same.
            whole.sort();
            parts.sort();
            prop_assert_eq!(whole, parts);
        }
    }
}
