//! The two encodings of mail as streams. Both step over what does not belong into them, as the programs that open
//! attachments do. Sources: RFC 2045, sections 6.7 and 6.8; RFC 4648, section 5.

use std::io::{self, Read};

/// The six bits of a digit, of either alphabet.
pub(super) const fn digit(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// Base64 of digits that an iterator gives.
pub(super) struct Digits<I> {
    bytes: I,
    bits: u32,
    len: u32,
}

impl<I: Iterator<Item = u8>> Digits<I> {
    pub(super) const fn new(bytes: I) -> Self {
        Self { bytes, bits: 0, len: 0 }
    }
}

impl<I: Iterator<Item = u8>> Read for Digits<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(place) = buffer.get_mut(filled) {
            let Some(byte) = self.bytes.next() else { break };
            if byte == b'=' {
                // Another text may follow, from a program that joins them.
                self.len = 0;
                continue;
            }
            let Some(digit) = digit(byte) else { continue };
            self.bits = self.bits << 6 | u32::from(digit);
            self.len += 6;
            if self.len >= 8 {
                self.len -= 8;
                *place = (self.bits >> self.len) as u8;
                filled += 1;
            }
        }
        Ok(filled)
    }
}

/// Base64 of bytes as they are.
pub(super) type Base64<'a> = Digits<std::iter::Copied<std::slice::Iter<'a, u8>>>;

pub(super) fn base64(bytes: &[u8]) -> Base64<'_> {
    Digits::new(bytes.iter().copied())
}

/// Quoted-printable.
pub(super) struct Quoted<'a> {
    rest: &'a [u8],
}

impl<'a> Quoted<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl Read for Quoted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(place) = buffer.get_mut(filled) {
            let Some((first, after)) = self.rest.split_first() else { break };
            let hex = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
            let (byte, skip) = match (first, after) {
                (b'=', [b'\n', ..]) => (None, 1),
                (b'=', [b'\r', b'\n', ..]) => (None, 2),
                (b'=', _) => match (hex(0), hex(1)) {
                    (Some(high), Some(low)) => (Some((high * 16 + low) as u8), 2),
                    _ => (Some(b'='), 0),
                },
                (other, _) => (Some(*other), 0),
            };
            self.rest = after.get(skip..).unwrap_or_default();
            if let Some(byte) = byte {
                *place = byte;
                filled += 1;
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut reader: impl Read) -> String {
        let mut out = Vec::new();
        reader.read_to_end(&mut out).unwrap();
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn what_does_not_belong_is_stepped_over() {
        for (text, expected) in [
            ("aGVsbG8=", "hello"),
            ("aGVs\r\nbG8", "hello"),
            ("a*G V!s\0bG8", "hello"),
            ("aGVsbG8=aGVsbG8=", "hellohello"),
            ("", ""),
            ("====", ""),
        ] {
            assert_eq!(read(base64(text.as_bytes())), expected, "{text}");
        }
        for (text, expected) in
            [("a=3Db", "a=b"), ("soft=\r\n break=\nx", "soft breakx"), ("=zz=", "=zz="), ("=e1", "\u{fffd}")]
        {
            assert_eq!(read(Quoted::new(text.as_bytes())), expected, "{text}");
        }
    }
}
