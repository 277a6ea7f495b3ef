//! Files whose first lines say what the values of the others are called: Zeek's own logs, W3C logs of IIS, CSV. The header
//! goes with the lines to the collector, so that each batch can be read for itself.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use serde::Deserialize;

/// What the header of a file looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Header {
    /// There is none.
    #[default]
    Off,
    /// Lines that begin with `#separator`, `#fields` and the like.
    Zeek,
    /// Lines that begin with `#Fields:` and the like, also in the middle of a file.
    W3c,
    /// The first line.
    Csv,
}

/// Longest header that is kept, in bytes. One that is longer is none.
pub(super) const HEADER_LEN_MAX: usize = 16 * 1024;
/// How much of a file is looked through for the header that counts where reading goes on.
const SEARCH_LEN_MAX: u64 = 1 << 30;
const CHUNK_LEN: usize = 256 * 1024;

/// The header that counts for the next line.
#[derive(Debug)]
pub(super) struct Current {
    kind: Header,
    gathered: Vec<u8>,
    /// The last line was one of the header.
    in_header: bool,
    pub(super) text: Option<Arc<str>>,
}

impl Current {
    pub(super) fn new(kind: Header) -> Self {
        Self { kind, gathered: Vec::new(), in_header: false, text: None }
    }

    /// What counts at `offset` of the file.
    pub(super) fn at(kind: Header, file: &File, offset: u64) -> io::Result<Self> {
        let mut current = Self::new(kind);
        if kind == Header::Off || offset == 0 {
            return Ok(current);
        }
        let end = offset.min(SEARCH_LEN_MAX);
        let (mut at, mut line_start, mut line) = (0_u64, 0_u64, Vec::new());
        let mut buffer = vec![0; CHUNK_LEN];
        while at < end {
            let len = file.read_at(&mut buffer, at)?;
            if len == 0 {
                break;
            }
            let known = usize::try_from(end - at).map_or(len, |left| left.min(len));
            for piece in buffer[..known].split_inclusive(|byte| *byte == b'\n') {
                let room = HEADER_LEN_MAX.saturating_sub(line.len());
                line.extend_from_slice(&piece[..piece.len().min(room)]);
                if piece.ends_with(b"\n") {
                    current.take(line.trim_ascii_end(), line_start);
                    line.clear();
                }
                at += piece.len() as u64;
                if line.is_empty() {
                    line_start = at;
                }
            }
            if kind == Header::Csv && current.text.is_some() {
                break;
            }
        }
        Ok(current)
    }

    /// Whether the line, which starts at `position`, belongs to the header and not to the records.
    pub(super) fn take(&mut self, line: &[u8], position: u64) -> bool {
        let is_header = match self.kind {
            Header::Off => return false,
            Header::Csv => position == 0,
            Header::Zeek | Header::W3c => line.starts_with(b"#"),
        };
        if !is_header {
            self.in_header = false;
            return false;
        }
        if !std::mem::replace(&mut self.in_header, true) {
            self.gathered.clear();
        }
        let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        let counts = match self.kind {
            Header::W3c => line.starts_with(b"#Fields:") || line.starts_with(b"#Software:"),
            Header::Zeek => !line.starts_with(b"#open") && !line.starts_with(b"#close"),
            _ => true,
        };
        if counts && self.gathered.len() + line.len() < HEADER_LEN_MAX {
            if !self.gathered.is_empty() {
                self.gathered.push(b'\n');
            }
            self.gathered.extend_from_slice(line);
            self.text = Some(Arc::from(String::from_utf8_lossy(&self.gathered)));
        }
        true
    }

    /// The file begins anew.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.kind);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[track_caller]
    fn check(kind: Header, text: &str, expected: &[(&str, Option<&str>)]) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let mut current = Current::new(kind);
        let mut position = 0;
        let mut found = Vec::new();
        for line in text.split_inclusive('\n') {
            let resumed = Current::at(kind, &file, position).unwrap();
            assert_eq!(resumed.text, current.text, "before byte {position} of {text:?}");
            if !current.take(line.trim_end().as_bytes(), position) {
                found.push((line.trim_end(), current.text.as_deref().map(str::to_owned)));
            }
            position += line.len() as u64;
        }
        let expected: Vec<_> = expected.iter().map(|(line, header)| (*line, header.map(str::to_owned))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn headers() {
        check(Header::Off, "#a\nb\n", &[("#a", None), ("b", None)]);
        check(Header::Csv, "a,b\n1,2\n#3,4\n", &[("1,2", Some("a,b")), ("#3,4", Some("a,b"))]);
        check(
            Header::Zeek,
            "#separator \\x09\n#open\tx\n#fields\ta\n1\n2\n#close\tx\n",
            &[("1", Some("#separator \\x09\n#fields\ta")), ("2", Some("#separator \\x09\n#fields\ta"))],
        );
        check(
            Header::W3c,
            "#Software: x\n#Version: 1.0\n#Fields: a b\n1 2\n#Fields: b a\n2 1\n",
            &[("1 2", Some("#Software: x\n#Fields: a b")), ("2 1", Some("#Fields: b a"))],
        );
    }
}
