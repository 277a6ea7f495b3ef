//! Splits a stream into messages that each end with a zero byte. A message longer than the limit is cut and marked.

use crate::envelope::{Cut, Framing, RecordList};

use super::lines::Ready;

#[derive(Debug)]
pub(super) struct NulSplitter {
    message_max: usize,
    messages: RecordList,
    cut_total: u64,
    /// The message that has begun, and whether it is too long already.
    partial: Vec<u8>,
    is_long: bool,
}

impl NulSplitter {
    pub(super) fn new(message_max: usize) -> Self {
        let messages = RecordList::default();
        Self { message_max: message_max.max(1), messages, cut_total: 0, partial: Vec::new(), is_long: false }
    }

    pub(super) fn push(&mut self, mut data: &[u8]) {
        while let Some(end) = memchr::memchr(0, data) {
            let (message, rest) = data.split_at(end);
            data = rest.get(1..).unwrap_or_default();
            self.extend(message);
            self.end();
        }
        self.extend(data);
    }

    fn extend(&mut self, data: &[u8]) {
        let room = self.message_max - self.partial.len();
        self.is_long |= data.len() > room;
        self.partial.extend_from_slice(&data[..data.len().min(room)]);
    }

    fn end(&mut self) {
        let cut = if std::mem::take(&mut self.is_long) { Cut::Truncated } else { Cut::Whole };
        self.cut_total += u64::from(cut == Cut::Truncated);
        // Some senders write a line feed behind the zero byte.
        if !self.partial.trim_ascii().is_empty() {
            self.messages.push(&self.partial, None, cut);
        }
        self.partial.clear();
    }

    /// The stream has ended: many senders close it without a last zero byte.
    pub(super) fn finish(&mut self) {
        self.end();
    }

    pub(super) fn ready_len(&self) -> usize {
        self.messages.bytes_len()
    }

    pub(super) fn partial_len(&self) -> usize {
        self.partial.len()
    }

    pub(super) fn cut_total(&self) -> u64 {
        self.cut_total
    }

    pub(super) fn take(&mut self) -> impl Iterator<Item = Ready> + use<> {
        let records = self.messages.len() as u64;
        let ready = Ready { framing: Framing::Records, payload: self.messages.take(), records };
        Some(ready).into_iter().filter(|ready| ready.records > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        let check = |pieces: &[&str], expected: u64, cut: u64| {
            let mut splitter = NulSplitter::new(5);
            pieces.iter().for_each(|piece| splitter.push(piece.as_bytes()));
            splitter.finish();
            let records: u64 = splitter.take().map(|ready| ready.records).sum();
            assert_eq!((records, splitter.cut_total()), (expected, cut), "{pieces:?}");
        };
        check(&["a\0b\0"], 2, 0);
        check(&["a", "b\0", "\0", "c"], 2, 0);
        check(&["{\n}\0\n"], 1, 0);
        check(&["123456\0ab\0"], 2, 1);
        check(&["123", "456", "789\0"], 1, 1);
        check(&["1234567"], 1, 1);
        check(&[""], 0, 0);
    }
}
