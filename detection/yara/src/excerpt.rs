//! A short look at the bytes that a string matched.

use std::fmt;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// Bytes as people can read them: as text if all of them are printable ASCII, otherwise as hex.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Excerpt {
    Text(String),
    Hex(String),
}

impl Excerpt {
    /// The first `len_max` bytes.
    pub(crate) fn of(bytes: &[u8], len_max: usize) -> Self {
        let bytes = bytes.get(..len_max).unwrap_or(bytes);
        if bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            return Self::Text(bytes.iter().map(|byte| char::from(*byte)).collect());
        }
        let mut hex = String::with_capacity(bytes.len() * 3);
        for byte in bytes {
            // Writing to a string does not fail.
            let _ = write!(hex, "{}{byte:02x}", if hex.is_empty() { "" } else { " " });
        }
        Self::Hex(hex)
    }
}

/// Text in quotes, hex in braces, as YARA writes them.
impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Hex(hex) => write!(f, "{{ {hex} }}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], len_max: usize, expected: &str) {
        assert_eq!(Excerpt::of(bytes, len_max).to_string(), expected, "bytes: {bytes:?}");
    }

    #[test]
    fn excerpts() {
        check(b"eval(", 32, "\"eval(\"");
        check(b"MZ\x90\x00", 32, "{ 4d 5a 90 00 }");
        check(b"abcdef\x00", 3, "\"abc\"");
        check(b"\x1b[2J", 32, "{ 1b 5b 32 4a }"); // nothing that a terminal obeys
        check(b"", 32, "\"\"");
    }
}
