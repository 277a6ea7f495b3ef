//! Joins the lines of one record: stack traces, statements of several lines. A record waits until the next one begins, or
//! until nothing has come for a while. What belongs together is told by the lines alone, so that a file that is read
//! again is cut in the same way.

use serde::Deserialize;

use super::{Line, LineSplitter};

/// Which lines belong to the one before them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Multiline {
    /// None: every line is a record.
    #[default]
    Off,
    /// Lines that begin with a blank or a tab.
    Indented,
    /// Those, and what Java, .NET, Python and Go write around a stack trace.
    Traces,
    /// Every line that does not begin with a time, `TID:`, or a priority of syslog.
    Undated,
}

/// Most lines of one record. What follows is the next record.
const LINES_MAX: u32 = 1_000;

impl Multiline {
    /// Whether the line belongs to the one before it.
    fn continues(self, line: &[u8]) -> bool {
        match self {
            Self::Off => false,
            Self::Indented => line.first().is_some_and(|first| matches!(first, b' ' | b'\t')),
            Self::Traces => Self::Indented.continues(line) || is_trace(line),
            Self::Undated => !is_dated(line),
        }
    }
}

/// What stands at the left edge inside of stack traces.
const TRACE_STARTS: [&[u8]; 8] = [
    b"Caused by: ",
    b"Suppressed: ",
    b"... ",
    b"Traceback (most recent call last)",
    b"During handling of the above exception",
    b"The above exception was the direct cause",
    b"--- End of ",
    b"goroutine ",
];

fn is_trace(line: &[u8]) -> bool {
    TRACE_STARTS.iter().any(|start| line.starts_with(start)) || is_exception(line)
}

/// `java.lang.OutOfMemoryError: Java heap space`, `KeyError: 'x'`: one word that ends so, and a colon or nothing.
fn is_exception(line: &[u8]) -> bool {
    let end = line.iter().take(256).position(|byte| matches!(byte, b':' | b' ')).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$');
    word.len() <= 256
        && (word.ends_with(b"Exception") || word.ends_with(b"Error") || word.ends_with(b"Throwable"))
        && word.iter().all(is_word)
        && (rest.is_empty() || rest.starts_with(b": "))
}

/// Whether the line begins as records of logs do.
fn is_dated(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"[").unwrap_or(line);
    if line.starts_with(b"TID:") || line.starts_with(b"<") || line.starts_with(b"{") {
        return true;
    }
    // Four digits of a year or a day's and month's two, then a mark: `2026-`, `22/11`, `22-Nov`, `1795336308.`
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if matches!(digits, 1..=19) {
        return line.get(digits).is_some_and(|mark| matches!(mark, b'-' | b'/' | b'.' | b':' | b' '));
    }
    const MONTHS: [&[u8; 3]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    matches!(line, [a, b, c, b' ' | b'-', ..] if MONTHS.contains(&&[*a, *b, *c]))
}

/// Cuts a stream of bytes into records.
#[derive(Debug)]
pub struct RecordSplitter {
    lines: LineSplitter,
    rule: Multiline,
    record_max: usize,
    /// The record that may go on, and how many lines it has.
    held: Option<(Line, u32)>,
}

impl RecordSplitter {
    pub fn new(record_max: usize, rule: Multiline) -> Self {
        Self { lines: LineSplitter::new(record_max), rule, record_max, held: None }
    }

    /// Bytes taken from the stream since the end of the last record that was handed out.
    pub fn pending_len(&self) -> u64 {
        self.lines.pending_len() + self.held.as_ref().map_or(0, |(line, _)| line.stream_len)
    }

    /// Takes the next bytes and hands out each record that is known to be complete.
    pub fn feed<E>(&mut self, bytes: &[u8], mut record: impl FnMut(Line) -> Result<(), E>) -> Result<(), E> {
        let Self { lines, rule, record_max, held } = self;
        lines.feed(bytes, |line| match join(held, *rule, *record_max, line) {
            Some(whole) => record(whole),
            None => Ok(()),
        })
    }

    /// The record that waits for more lines, as if the next one had begun.
    pub fn release(&mut self) -> Option<Line> {
        self.held.take().map(|(line, _)| line)
    }

    /// What is left, as if its end had come; asked again until there is nothing.
    pub fn finish(&mut self) -> Option<Line> {
        match self.lines.finish() {
            Some(rest) => join(&mut self.held, self.rule, self.record_max, rest).or_else(|| self.release()),
            None => self.release(),
        }
    }
}

/// Adds the line to the record that is held, or holds it and answers the record before it.
fn join(held: &mut Option<(Line, u32)>, rule: Multiline, record_max: usize, line: Line) -> Option<Line> {
    if rule == Multiline::Off {
        return Some(line);
    }
    match held {
        Some((record, lines)) if *lines < LINES_MAX && rule.continues(&line.bytes) => {
            *lines += 1;
            record.stream_len += line.stream_len;
            record.cut_len += line.cut_len;
            let room = record_max.saturating_sub(record.bytes.len() + 1);
            if room == 0 {
                record.cut_len += line.bytes.len() as u64;
                return None;
            }
            let kept = room.min(line.bytes.len());
            record.bytes.push(b'\n');
            record.bytes.extend_from_slice(&line.bytes[..kept]);
            record.cut_len += (line.bytes.len() - kept) as u64;
            None
        }
        _ => held.replace((line, 1)).map(|(record, _)| record),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]], rule: Multiline) -> (Vec<Line>, u64) {
        let mut splitter = RecordSplitter::new(64, rule);
        let mut records = Vec::new();
        for chunk in chunks {
            let fed: Result<(), Infallible> = splitter.feed(chunk, |record| {
                records.push(record);
                Ok(())
            });
            fed.unwrap();
        }
        let pending = splitter.pending_len();
        while let Some(rest) = splitter.finish() {
            records.push(rest);
        }
        (records, pending)
    }

    #[track_caller]
    fn check(rule: Multiline, text: &str, expected: &[&str]) {
        let (records, _) = split(&[text.as_bytes()], rule);
        let shown: Vec<_> = records.iter().map(|record| String::from_utf8_lossy(&record.bytes).into_owned()).collect();
        assert_eq!(shown, expected, "input: {text:?}");
        let total: u64 = records.iter().map(|record| record.stream_len).sum();
        assert_eq!(total, text.len() as u64, "input: {text:?}");
    }

    #[test]
    fn records() {
        check(Multiline::Off, "a\n b\n", &["a", " b"]);
        check(Multiline::Indented, "a\n b\n\tc\nd\n", &["a\n b\n\tc", "d"]);
        check(Multiline::Indented, " a\nb", &[" a", "b"]);
        check(Multiline::Indented, "a\n b", &["a\n b"]);
        check(
            Multiline::Traces,
            "ERROR x\njava.lang.Error: y\n\tat a.B\nCaused by: z\n\t... 3 more\nINFO ok\n",
            &["ERROR x\njava.lang.Error: y\n\tat a.B\nCaused by: z\n\t... 3 more", "INFO ok"],
        );
        check(
            Multiline::Traces,
            "failed\nTraceback (most recent call last):\n  F\nKeyError: 'x'\nnext\n",
            &["failed\nTraceback (most recent call last):\n  F\nKeyError: 'x'", "next"],
        );
        check(Multiline::Traces, "an Error: x\nError in y\n", &["an Error: x", "Error in y"]);
        check(
            Multiline::Undated,
            "2026-11-22 LOG: select 1\nfrom x\n\nwhere y\n[2026-11-22] b\nTID: c\nNov 22 d\n",
            &["2026-11-22 LOG: select 1\nfrom x\n\nwhere y", "[2026-11-22] b", "TID: c", "Nov 22 d"],
        );
    }

    #[test]
    fn a_record_is_bounded() {
        let text = [b"a\n".to_vec(), b" 123456789\n".repeat(2_000)].concat();
        let (records, _) = split(&text.chunks(7).collect::<Vec<_>>(), Multiline::Indented);
        assert!(records.iter().all(|record| record.bytes.len() <= 64));
        assert_eq!(records.len(), 3);
        assert!(records[0].cut_len > 0);
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter_and_no_byte_is_missing(bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b' '), Just(b'x'), any::<u8>()], 0..200), at in any::<prop::sample::Index>()) {
            for rule in [Multiline::Off, Multiline::Indented, Multiline::Traces, Multiline::Undated] {
                let whole = split(&[&bytes], rule);
                let at = at.index(bytes.len() + 1);
                prop_assert_eq!(&whole, &split(&[&bytes[..at], &bytes[at..]], rule));
                let total: u64 = whole.0.iter().map(|record| record.stream_len).sum();
                prop_assert_eq!(total, bytes.len() as u64);
            }
        }
    }
}
