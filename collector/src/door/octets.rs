//! Splits a stream with octet counts into messages: `LENGTH SP MESSAGE`, again and again (RFC 6587, section 3.4.1).

use crate::envelope::{Cut, Framing, RecordList};

use super::lines::Ready;

/// Most digits that a length may have.
const DIGITS_MAX: usize = 9;

/// How a sender frames its messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StreamFraming {
    /// Octet counts.
    Counted,
    /// One message per line (RFC 6587, section 3.4.2).
    Lines,
    /// A zero byte behind each message, as GELF has it.
    Nul,
}

/// Tells the framing from the first bytes of a connection. `None` until there are enough of them.
///
/// A message begins with `<`, so a number, a space and `<` are an octet count; a line of text may begin with a number.
pub(super) fn detect(start: &[u8]) -> Option<StreamFraming> {
    let digits = start.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let counted = match (start.first(), start.get(digits), start.get(digits + 1)) {
        (None, ..) => return None,
        (Some(b'1'..=b'9'), None, _) if digits <= DIGITS_MAX => return None,
        (Some(b'1'..=b'9'), Some(b' '), None) if digits <= DIGITS_MAX => return None,
        (Some(b'1'..=b'9'), Some(b' '), Some(b'<')) => digits <= DIGITS_MAX,
        _ => false,
    };
    Some(if counted { StreamFraming::Counted } else { StreamFraming::Lines })
}

/// The stream is not `LENGTH SP MESSAGE`; where the next message starts is unknown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadFrame;

#[derive(Debug)]
pub(super) struct OctetSplitter {
    message_max: usize,
    messages: RecordList,
    cut_total: u64,
    state: State,
    /// The message that has begun.
    partial: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Reading a length; the digits so far.
    Length { value: usize, digits: usize },
    /// Reading a message of which this many bytes are still to come.
    Message { left: usize, cut: Cut },
}

const START: State = State::Length { value: 0, digits: 0 };

impl OctetSplitter {
    pub(super) fn new(message_max: usize) -> Self {
        Self {
            message_max: message_max.max(1),
            messages: RecordList::default(),
            cut_total: 0,
            state: START,
            partial: Vec::new(),
        }
    }

    /// # Errors
    ///
    /// [`BadFrame`]; the messages before it can still be taken.
    pub(super) fn push(&mut self, mut data: &[u8]) -> Result<(), BadFrame> {
        while let Some((&byte, rest)) = data.split_first() {
            match self.state {
                State::Length { value, digits } => {
                    data = rest;
                    self.state = match byte {
                        b'0' if digits == 0 => return Err(BadFrame),
                        b'0'..=b'9' if digits < DIGITS_MAX => {
                            State::Length { value: value * 10 + usize::from(byte - b'0'), digits: digits + 1 }
                        }
                        b' ' if digits > 0 => State::Message { left: value, cut: Cut::Whole },
                        // Some senders end a message with a line feed or a zero byte that they do not count.
                        b'\n' | b'\r' | 0 if digits == 0 => START,
                        _ => return Err(BadFrame),
                    };
                }
                State::Message { left, cut } => {
                    let (now, rest) = data.split_at(left.min(data.len()));
                    data = rest;
                    let room = self.message_max - self.partial.len();
                    self.partial.extend_from_slice(&now[..now.len().min(room)]);
                    let cut = if now.len() > room { Cut::Truncated } else { cut };
                    let left = left - now.len();
                    self.state = State::Message { left, cut };
                    if left == 0 {
                        self.end_message(cut);
                    }
                }
            }
        }
        Ok(())
    }

    /// The stream has ended: what there is of the last message is kept, marked as cut. Answers whether there was one.
    pub(super) fn finish(&mut self) -> bool {
        let begun = !self.partial.is_empty();
        if begun {
            self.end_message(Cut::Truncated);
        }
        begun
    }

    pub(super) fn ready_len(&self) -> usize {
        self.messages.bytes_len()
    }

    pub(super) fn partial_len(&self) -> usize {
        match self.state {
            State::Length { digits, .. } => digits,
            State::Message { .. } => self.partial.len() + 1,
        }
    }

    pub(super) fn cut_total(&self) -> u64 {
        self.cut_total
    }

    pub(super) fn take(&mut self) -> impl Iterator<Item = Ready> + use<> {
        let records = self.messages.len() as u64;
        let ready = Ready { framing: Framing::Records, payload: self.messages.take(), records };
        Some(ready).into_iter().filter(|ready| ready.records > 0)
    }

    fn end_message(&mut self, cut: Cut) {
        self.messages.push(&self.partial, None, cut);
        self.cut_total += u64::from(cut == Cut::Truncated);
        self.partial.clear();
        self.state = START;
    }
}

#[cfg(test)]
mod tests {
    use canh_schema::Timestamp;

    use super::*;
    use crate::envelope::{Door, Envelope};

    #[track_caller]
    fn check_detect(start: &str, expected: Option<StreamFraming>) {
        assert_eq!(detect(start.as_bytes()), expected, "start: {start:?}");
    }

    #[test]
    fn the_framing_is_told_from_the_first_bytes() {
        check_detect("", None);
        check_detect("1", None);
        check_detect("12 ", None);
        check_detect("12 <", Some(StreamFraming::Counted));
        check_detect("<34>1 ", Some(StreamFraming::Lines));
        check_detect("2026-01-01 text", Some(StreamFraming::Lines));
        check_detect("12 monkeys", Some(StreamFraming::Lines));
        check_detect("0 <", Some(StreamFraming::Lines));
        check_detect("1234567890 <", Some(StreamFraming::Lines));
        check_detect("\n", Some(StreamFraming::Lines));
    }

    #[track_caller]
    fn check(stream: &str, expected: &[&str], good: bool) {
        for piece_len in [1, 2, 3, 100] {
            let mut splitter = OctetSplitter::new(5);
            let result = stream.as_bytes().chunks(piece_len).try_for_each(|piece| splitter.push(piece));
            assert_eq!(result.is_ok(), good, "stream: {stream:?}");
            splitter.finish();
            let mut messages = Vec::new();
            for ready in splitter.take() {
                let envelope = Envelope::new(Door::SyslogTcp, Timestamp::default(), ready.framing, ready.payload);
                messages.extend(envelope.records().map(|record| {
                    let mark = if record.cut == Cut::Truncated { "…" } else { "" };
                    format!("{}{mark}", String::from_utf8_lossy(&record.bytes))
                }));
            }
            assert_eq!(messages, expected, "stream: {stream:?} in pieces of {piece_len}");
        }
    }

    #[test]
    fn messages() {
        check("", &[], true);
        check("3 abc2 de", &["abc", "de"], true);
        check("3 a\nc\n2 de\0", &["a\nc", "de"], true);
        check("7 abcdefg1 x", &["abcde…", "x"], true);
        check("9 abc", &["abc…"], true);
        check("3 abcx", &["abc"], false);
        check("0 ", &[], false);
        check("1234567890 x", &[], false);
        check(" abc", &[], false);
    }
}
