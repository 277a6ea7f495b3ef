//! Files in XML and JSON as base64: the attachments of SOAP messages, of interfaces for programs, and `data:` addresses.
//!
//! A text between two signs that end it (quotes, or the brackets of XML) is one if it holds nothing but digits of base64,
//! blanks and escapes, and enough of them. What is decoded is looked at like a member of an archive, so a document in a
//! document is one too.

use super::base64::{Digits, digit};
use super::{Sink, member};

/// Fewer digits than this are no file: 60 bytes.
const DIGITS_MIN: usize = 80;
/// Digits that are all hexadecimal are a hash or a key, unless they are this many.
const HEX_MAX: usize = 1_024;

/// Whether the bytes are a document with such a text in it.
pub(crate) fn is_document(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    matches!(text.trim_ascii_start().first(), Some(b'<' | b'{' | b'[' | b'"')) && texts(bytes).next().is_some()
}

pub(super) fn open(bytes: &[u8], sink: &mut dyn Sink) {
    for (at, text) in texts(bytes).enumerate() {
        if sink.is_over() {
            return;
        }
        member(Digits::new(Signs { rest: text }.flatten()), &format!("base64-{}", at + 1), sink);
    }
}

/// Everything that is a file in base64.
fn texts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| matches!(byte, b'<' | b'>' | b'"' | b'\'')).filter_map(|text| {
        if text.len() < DIGITS_MIN {
            return None;
        }
        let text = text.strip_prefix(b"![CDATA[").map_or(text, |inner| inner.strip_suffix(b"]]").unwrap_or(inner));
        let text = if text.starts_with(b"data:") {
            let head = text.get(..256).unwrap_or(text);
            text.get(memchr::memmem::find(head, b";base64,")? + 8..)?
        } else {
            text
        };
        is_base64(text).then_some(text)
    })
}

fn is_base64(text: &[u8]) -> bool {
    let (mut digits, mut hex) = (0_usize, 0_usize);
    for sign in (Signs { rest: text }) {
        let Some(sign) = sign else { return false };
        if digit(sign).is_some() {
            digits += 1;
            hex += usize::from(sign.is_ascii_hexdigit());
        } else if !(sign == b'=' || sign.is_ascii_whitespace()) {
            return false;
        }
    }
    digits >= DIGITS_MIN && (hex < digits || digits > HEX_MAX)
}

/// Signs of a text without the escapes of JSON and XML; `None` for an escape that is no sign of ASCII.
struct Signs<'a> {
    rest: &'a [u8],
}

impl Iterator for Signs<'_> {
    type Item = Option<u8>;

    fn next(&mut self) -> Option<Option<u8>> {
        let (first, after) = self.rest.split_first()?;
        let (sign, len) = match first {
            b'\\' => json_escape(after),
            b'&' => xml_escape(after),
            other => (Some(*other), 0),
        };
        self.rest = after.get(len..).unwrap_or_default();
        Some(sign)
    }
}

/// What follows a backslash, and how long it is. A document inside of another has them doubled.
fn json_escape(after: &[u8]) -> (Option<u8>, usize) {
    match after.first() {
        Some(b'n' | b'r' | b't' | b'f' | b'b') => (Some(b' '), 1),
        Some(b'/') => (Some(b'/'), 1),
        Some(b'u') => (number(after.get(1..5), 16), 5),
        // The next one is a backslash again, or the text ends here.
        Some(b'\\') | None => (Some(b' '), 0),
        Some(_) => (None, 0),
    }
}

/// What follows an ampersand: `#43;` or `#x2B;`.
fn xml_escape(after: &[u8]) -> (Option<u8>, usize) {
    let head = after.get(..10).unwrap_or(after);
    let Some(end) = memchr::memchr(b';', head) else { return (None, 0) };
    let sign = match head.get(..end) {
        Some([b'#', b'x' | b'X', digits @ ..]) => number(Some(digits), 16),
        Some([b'#', digits @ ..]) => number(Some(digits), 10),
        _ => None,
    };
    (sign, end + 1)
}

fn number(digits: Option<&[u8]>, radix: u32) -> Option<u8> {
    let text = std::str::from_utf8(digits?).ok()?;
    let number = u32::from_str_radix(text, radix).ok()?;
    u8::try_from(number).ok().filter(u8::is_ascii)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    const WORD: &str = "aGVsbG8gdGhlcmUgLyBhbmQg+/8hISEgc29tZXRoaW5nIGxvbmcgZW5vdWdoIHRvIGJlIGEgZmlsZSwgb3IgbW9yZQ==";

    #[track_caller]
    fn check(text: &str, expected: usize) {
        let mut plain = Vec::new();
        Digits::new(WORD.bytes()).read_to_end(&mut plain).unwrap();
        let found: Vec<_> = texts(text.as_bytes())
            .map(|text| {
                let mut out = Vec::new();
                Digits::new(Signs { rest: text }.flatten()).read_to_end(&mut out).unwrap();
                out
            })
            .collect();
        assert_eq!(found, vec![plain; expected], "{text}");
        assert_eq!(is_document(text.as_bytes()), expected > 0, "{text}");
    }

    #[test]
    fn texts_of_documents() {
        let (start, end) = WORD.split_at(40);
        check(&format!("<a><b>{WORD}</b></a>"), 1);
        check(&format!("<a b='{WORD}' c=\"{WORD}\"/>"), 2);
        check(&format!("<a>\r\n  {start}\r\n  {end}\r\n</a>"), 1);
        check(&format!("<a>{start}&#xD;\n{end}</a>"), 1);
        check(&format!("<a>{}</a>", WORD.replace('+', "&#43;")), 1);
        check(&format!("<a><![CDATA[{WORD}]]></a>"), 1);
        check(&format!("<img src=\"data:image/png;base64,{WORD}\">"), 1);
        check(&format!("{{\"f\":\"{WORD}\",\"g\":1}}"), 1);
        check(&format!("\u{feff}[\"{}\"]", WORD.replace('/', "\\/").replace('=', "\\u003d")), 1);
        check(&format!("{{\"f\":\"{start}\\r\\n{end}\"}}"), 1);
        check(&format!("{{\"f\":\"{{\\\"g\\\":\\\"{WORD}\\\"}}\"}}"), 1);
        check(&format!("{{\"f\":\"{}\"}}", "0123456789abcdef".repeat(8)), 0);
        check(&format!("{{\"f\":\"{}\"}}", &WORD[..76]), 0);
        check(&format!("{{\"f\":\"{WORD}.\"}}"), 0);
        check(&format!("{{\"f\":\"{WORD}\\u00e1\"}}"), 0);
        check("{}", 0);
        check("", 0);
    }
}
