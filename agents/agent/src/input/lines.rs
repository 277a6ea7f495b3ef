//! Cuts a stream of bytes into lines, with a limit on what is kept of one line.

/// One line without its line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub bytes: Vec<u8>,
    /// Bytes of the stream that the line took, with its line end and with what was cut off.
    pub stream_len: u64,
    /// Bytes that were cut off because the line was too long.
    pub cut_len: u64,
}

/// Holds the beginning of a line whose end has not come yet.
#[derive(Debug)]
pub struct LineSplitter {
    line_max: usize,
    kept: Vec<u8>,
    stream_len: u64,
}

impl LineSplitter {
    pub fn new(line_max: usize) -> Self {
        Self { line_max, kept: Vec::new(), stream_len: 0 }
    }

    /// Bytes taken from the stream since the last line end.
    pub fn pending_len(&self) -> u64 {
        self.stream_len
    }

    /// Takes the next bytes and hands out each line that they complete.
    pub fn feed<E>(&mut self, mut bytes: &[u8], mut line: impl FnMut(Line) -> Result<(), E>) -> Result<(), E> {
        while let Some(at) = bytes.iter().position(|&byte| byte == b'\n') {
            self.keep(&bytes[..at]);
            self.stream_len += 1;
            bytes = &bytes[at + 1..];
            if let Some(whole) = self.finish() {
                line(whole)?;
            }
        }
        self.keep(bytes);
        Ok(())
    }

    /// The line so far, as if its end had come. `None` if there is nothing.
    pub fn finish(&mut self) -> Option<Line> {
        let stream_len = std::mem::take(&mut self.stream_len);
        let mut bytes = std::mem::take(&mut self.kept);
        // A line end is one byte of the stream that was never kept; without one, everything was.
        let cut_len = stream_len.saturating_sub(1).saturating_sub(bytes.len() as u64);
        if cut_len == 0 && bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        (stream_len > 0).then_some(Line { bytes, stream_len, cut_len })
    }

    /// Forgets the line so far.
    pub fn clear(&mut self) {
        self.kept = Vec::new();
        self.stream_len = 0;
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.line_max - self.kept.len();
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.stream_len += bytes.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]], line_max: usize) -> (Vec<Line>, LineSplitter) {
        let mut splitter = LineSplitter::new(line_max);
        let mut lines = Vec::new();
        for chunk in chunks {
            let fed: Result<(), Infallible> = splitter.feed(chunk, |line| {
                lines.push(line);
                Ok(())
            });
            fed.unwrap();
        }
        (lines, splitter)
    }

    #[track_caller]
    fn check(chunks: &[&str], expected: &[(&str, u64, u64)], pending: u64) {
        let chunks: Vec<_> = chunks.iter().map(|chunk| chunk.as_bytes()).collect();
        let (lines, splitter) = split(&chunks, 5);
        let lines: Vec<_> =
            lines.iter().map(|line| (str::from_utf8(&line.bytes).unwrap(), line.stream_len, line.cut_len)).collect();
        assert_eq!(lines, expected);
        assert_eq!(splitter.pending_len(), pending);
    }

    #[test]
    fn lines() {
        check(&["ab\ncd\n"], &[("ab", 3, 0), ("cd", 3, 0)], 0);
        check(&["a", "b", "\nc"], &[("ab", 3, 0)], 1);
        check(&["ab\r\n\r\n\n"], &[("ab", 4, 0), ("", 2, 0), ("", 1, 0)], 0);
        check(&["12345\n"], &[("12345", 6, 0)], 0);
        check(&["123456\n"], &[("12345", 7, 1)], 0);
        check(&["1234", "5678", "9\nx\n"], &[("12345", 10, 4), ("x", 2, 0)], 0);
        check(&["", "\n"], &[("", 1, 0)], 0);
        check(&["123456789"], &[], 9);
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter_and_no_byte_is_missing(bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200), at in any::<prop::sample::Index>()) {
            let (whole, splitter) = split(&[&bytes], 20);
            let at = at.index(bytes.len() + 1);
            prop_assert_eq!(&whole, &split(&[&bytes[..at], &bytes[at..]], 20).0);
            let total: u64 = whole.iter().map(|line| line.stream_len).sum();
            prop_assert_eq!(total + splitter.pending_len(), bytes.len() as u64);
        }
    }
}
