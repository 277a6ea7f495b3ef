//! Lines of files that nobody vouches for: one that does not end takes no more memory than the longest that is wanted.

use std::io::{self, BufRead, Read};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LineRead {
    /// There is no more line.
    End,
    Whole,
    /// The line was longer; its rest was passed over.
    Cut,
}

/// Appends the next line to `out` without its line feed, `len_max` bytes at most.
///
/// # Errors
///
/// Those of the reader. What was read before stays in `out`.
pub(crate) fn read_line(input: &mut impl BufRead, len_max: usize, out: &mut Vec<u8>) -> io::Result<LineRead> {
    let begin = out.len();
    let read = input.by_ref().take(len_max as u64 + 1).read_until(b'\n', out)?;
    match (read, out.last()) {
        (0, _) => Ok(LineRead::End),
        (_, Some(b'\n')) => {
            out.pop();
            Ok(LineRead::Whole)
        }
        (read, _) if read <= len_max => Ok(LineRead::Whole), // the file ends without a line feed
        _ => {
            out.truncate(begin + len_max);
            skip_line(input)?;
            Ok(LineRead::Cut)
        }
    }
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = input.fill_buf()?;
        let (len, end) = match memchr::memchr(b'\n', bytes) {
            Some(at) => (at + 1, true),
            None => (bytes.len(), bytes.is_empty()),
        };
        input.consume(len);
        if end {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded() {
        let mut input = io::BufReader::with_capacity(4, &b"one\n\nfour5678\ntwo\nsix789"[..]);
        let mut read = || {
            let mut out = b"<".to_vec();
            let what = read_line(&mut input, 4, &mut out).expect("memory");
            (what, String::from_utf8(out).expect("letters"))
        };
        for (what, text) in [
            (LineRead::Whole, "<one"),
            (LineRead::Whole, "<"),
            (LineRead::Cut, "<four"),
            (LineRead::Whole, "<two"),
            (LineRead::Cut, "<six7"),
            (LineRead::End, "<"),
        ] {
            assert_eq!(read(), (what, text.to_owned()));
        }
        let mut out = Vec::new();
        assert_eq!(read_line(&mut &b"four"[..], 4, &mut out).expect("memory"), LineRead::Whole);
        assert_eq!(out, b"four");
    }
}
