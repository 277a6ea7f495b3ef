//! MIME: mail with its parts, and bodies `multipart/*` as browsers, SOAP and interfaces for programs send them.
//!
//! Own code, because a scanner must not be stricter than the strangest program that reads the same bytes, and must hold
//! its limits while it decodes: parts are cut where a line says so, whatever is said about lengths elsewhere, and bytes
//! that do not belong into an encoding are stepped over. Sources: RFC 2045, RFC 2046, RFC 2047, RFC 5322, RFC 7578.

use std::io::Read;

use super::base64::{Quoted, base64};
use super::{Sink, member};
use crate::report::GapReason;

/// Longest block of header fields that is read.
const HEADER_MAX: usize = 64 * 1024;
/// Longest boundary that is believed. The standard says 70 characters.
const BOUNDARY_MAX: usize = 200;
const NAME_MAX: usize = 512;

/// Whether the bytes are a message with something packed in it, or parts.
pub(crate) fn is_mime(bytes: &[u8]) -> bool {
    if let Some(boundary) = bare_boundary(bytes) {
        let rest = after_blank_lines(bytes).get(2 + boundary.len()..).unwrap_or_default();
        let head = Head::read(after_line(rest));
        return head.is_some_and(|head| head.fields().any(|(name, _)| starts_with(name, b"content-")));
    }
    Head::read(message(bytes)).is_some_and(|head| head.is_packed())
}

pub(super) fn open(bytes: &[u8], sink: &mut dyn Sink) {
    if let Some(boundary) = bare_boundary(bytes) {
        return split(bytes, boundary, sink);
    }
    let Some(head) = Head::read(message(bytes)) else { return sink.gap(GapReason::Damaged, "") };
    match head.boundary() {
        Some(boundary) => split(head.body, &boundary, sink),
        None => part(&head, sink),
    }
}

/// Each part between lines that begin with the boundary.
fn split(bytes: &[u8], boundary: &[u8], sink: &mut dyn Sink) {
    let mark = [b"--", boundary].concat();
    let mut begun: Option<usize> = None;
    let mut closed = false;
    for at in memchr::memmem::find_iter(bytes, &mark) {
        let is_line = at == 0 || bytes.get(at - 1) == Some(&b'\n');
        let rest = bytes.get(at + mark.len()..).unwrap_or_default();
        let is_last = rest.starts_with(b"--");
        if !is_line || !(is_last || matches!(rest.first(), None | Some(b'\r' | b'\n' | b' ' | b'\t'))) {
            continue;
        }
        if let Some(from) = begun.take() {
            let whole = bytes.get(from..at).unwrap_or_default();
            let whole = whole.strip_suffix(b"\n").unwrap_or(whole);
            whole_part(whole.strip_suffix(b"\r").unwrap_or(whole), sink);
            if sink.is_over() {
                return;
            }
        }
        // What follows the last part is nothing; some programs go on nevertheless.
        closed = is_last;
        begun = Some(bytes.len() - after_line(rest).len());
    }
    let rest = begun.and_then(|from| bytes.get(from..)).unwrap_or_default();
    if !closed {
        sink.gap(GapReason::Damaged, "");
        whole_part(rest, sink);
    }
}

fn whole_part(bytes: &[u8], sink: &mut dyn Sink) {
    if bytes.is_empty() {
        return;
    }
    match Head::read(bytes) {
        // Its own parts are looked at one level deeper.
        Some(head) if head.boundary().is_some() => member(bytes, "multipart", sink),
        Some(head) => part(&head, sink),
        None => member(bytes, "part", sink),
    }
}

/// One part that has no parts.
fn part(head: &Head<'_>, sink: &mut dyn Sink) {
    let name = head.name();
    let encoding = head.value(b"content-transfer-encoding").unwrap_or_default().to_ascii_lowercase();
    let reader: Box<dyn Read + '_> = match encoding.trim_ascii() {
        b"base64" => Box::new(base64(head.body)),
        b"quoted-printable" => Box::new(Quoted::new(head.body)),
        _ => Box::new(head.body),
    };
    member(reader, &name, sink);
}

/// Header fields, and what follows them.
struct Head<'a> {
    fields: Vec<(&'a [u8], Vec<u8>)>,
    body: &'a [u8],
}

impl<'a> Head<'a> {
    /// `None` if the bytes do not begin with fields. A blank line first means that there are none.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut fields: Vec<(&[u8], Vec<u8>)> = Vec::new();
        let mut rest = bytes;
        loop {
            if rest.is_empty() || bytes.len() - rest.len() > HEADER_MAX {
                return (!fields.is_empty()).then_some(Self { fields, body: rest });
            }
            let after = after_line(rest);
            let line = rest.get(..rest.len() - after.len()).unwrap_or_default();
            if line.len() > HEADER_MAX {
                return None;
            }
            let text = line.trim_ascii_end();
            if text.is_empty() {
                return Some(Self { fields, body: after });
            }
            if matches!(text.first(), Some(b' ' | b'\t')) {
                let (_, value) = fields.last_mut()?;
                value.push(b' ');
                value.extend_from_slice(text.trim_ascii_start());
            } else {
                let colon = text.iter().position(|byte| *byte == b':')?;
                let name = text.get(..colon)?.trim_ascii_end();
                if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
                    return None;
                }
                fields.push((name, text.get(colon + 1..)?.trim_ascii_start().to_vec()));
            }
            rest = after;
        }
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|(name, value)| (*name, value.as_slice()))
    }

    fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether it says that the body is anything but plain text.
    fn is_packed(&self) -> bool {
        let encoding = self.value(b"content-transfer-encoding").unwrap_or_default();
        let is_encoded = [&b"base64"[..], b"quoted-printable"].iter().any(|one| starts_with(encoding, one));
        let content_type = self.value(b"content-type").unwrap_or_default();
        is_encoded || starts_with(content_type, b"message/") || self.boundary().is_some()
    }

    fn boundary(&self) -> Option<Vec<u8>> {
        let content_type = self.value(b"content-type").filter(|value| starts_with(value, b"multipart/"))?;
        let boundary = parameter(content_type, b"boundary")?;
        (!boundary.is_empty() && boundary.len() <= BOUNDARY_MAX).then_some(boundary)
    }

    fn name(&self) -> String {
        let disposition = self.value(b"content-disposition").unwrap_or_default();
        let content_type = self.value(b"content-type").unwrap_or_default();
        let encoded = |value: &[u8], name: &[u8]| {
            let text = parameter(value, &[name, b"*"].concat())?;
            let text = text.splitn(3, |byte| *byte == b'\'').nth(2).map(<[u8]>::to_vec).unwrap_or(text);
            Some(percent_decoded(&text))
        };
        let plain = |value: &[u8], name: &[u8]| parameter(value, name).map(|text| words_decoded(&text));
        let name = encoded(disposition, b"filename")
            .or_else(|| plain(disposition, b"filename"))
            .or_else(|| encoded(content_type, b"name"))
            .or_else(|| plain(content_type, b"name"));
        let name = name.map(|name| String::from_utf8_lossy(&name).chars().take(NAME_MAX).collect::<String>());
        name.filter(|name| !name.is_empty()).unwrap_or_else(|| {
            if starts_with(content_type, b"message/") { "message.eml".to_owned() } else { "part".to_owned() }
        })
    }
}

/// The boundary of a body whose header fields are not here: it stands in the first line.
fn bare_boundary(bytes: &[u8]) -> Option<&[u8]> {
    let rest = after_blank_lines(bytes).strip_prefix(b"--")?;
    let line = rest.get(..memchr::memchr(b'\n', rest.get(..BOUNDARY_MAX + 2).unwrap_or(rest))?)?.trim_ascii_end();
    (!line.is_empty() && line.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')).then_some(line)
}

/// Without the line that stands before each message in a mailbox file.
fn message(bytes: &[u8]) -> &[u8] {
    let bytes = after_blank_lines(bytes);
    if bytes.starts_with(b"From ") { after_line(bytes) } else { bytes }
}

fn after_blank_lines(bytes: &[u8]) -> &[u8] {
    let blank = bytes.iter().take(16).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    bytes.get(blank..).unwrap_or_default()
}

fn after_line(bytes: &[u8]) -> &[u8] {
    memchr::memchr(b'\n', bytes).and_then(|at| bytes.get(at + 1..)).unwrap_or_default()
}

fn starts_with(value: &[u8], start: &[u8]) -> bool {
    value.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// A parameter of a header field, without its quotes.
fn parameter(value: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let mut rest = value;
    while let Some(at) = memchr::memchr(b';', rest) {
        rest = rest.get(at + 1..)?.trim_ascii_start();
        let Some(after) = rest.get(name.len()..).filter(|_| starts_with(rest, name)) else { continue };
        let Some(text) = after.trim_ascii_start().strip_prefix(b"=") else { continue };
        let text = text.trim_ascii_start();
        let Some(quoted) = text.strip_prefix(b"\"") else {
            let end = text.iter().position(|byte| matches!(byte, b';' | b' ' | b'\t')).unwrap_or(text.len());
            return Some(text.get(..end)?.to_vec());
        };
        let mut out = Vec::new();
        let mut bytes = quoted.iter();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => break,
                b'\\' => out.extend(bytes.next()),
                byte => out.push(*byte),
            }
        }
        return Some(out);
    }
    None
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let hex = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        rest = match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                after.get(2..).unwrap_or_default()
            }
            _ => {
                out.push(*first);
                after
            }
        };
    }
    out
}

/// `=?charset?B?…?=`, without looking at the charset.
fn words_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, b"=?") {
        let mut parts = rest.get(at + 2..).unwrap_or_default().splitn(3, |byte| *byte == b'?');
        let (_charset, encoding, after) = (parts.next(), parts.next(), parts.next());
        let (Some(encoding), Some(after)) = (encoding, after) else { break };
        let Some(end) = memchr::memmem::find(after, b"?=") else { break };
        let before = rest.get(..at).unwrap_or_default();
        // Blanks between two words are not part of the text.
        if out.is_empty() || !before.trim_ascii().is_empty() {
            out.extend_from_slice(before);
        }
        let word = after.get(..end).unwrap_or_default();
        // Reading from memory does not fail.
        let _ = match encoding {
            b"B" | b"b" => base64(word).read_to_end(&mut out),
            _ => Quoted::new(&word.iter().map(|byte| if *byte == b'_' { b' ' } else { *byte }).collect::<Vec<_>>())
                .read_to_end(&mut out),
        };
        rest = after.get(end + 2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_parameter(value: &str, name: &str, expected: Option<&str>) {
        let found = parameter(value.as_bytes(), name.as_bytes());
        assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{value}");
    }

    #[test]
    fn parameters() {
        check_parameter("multipart/mixed; boundary=abc", "boundary", Some("abc"));
        check_parameter("multipart/mixed;x=y; Boundary = \"a;b c\" ;z", "boundary", Some("a;b c"));
        check_parameter("a; filename=\"x\\\"y\"", "filename", Some("x\"y"));
        check_parameter("a; filename=\"open", "filename", Some("open"));
        check_parameter("a; boundaryless=1", "boundary", None);
        check_parameter("a", "boundary", None);
    }

    #[test]
    fn what_is_mime() {
        for (text, expected) in [
            ("--x\r\nContent-Type: a/b\r\n\r\nx", true),
            ("\r\n--x\ncontent-disposition: form-data\n\nx", true),
            ("MIME-Version: 1.0\nContent-Type: multipart/mixed;\n boundary=\"x\"\n\n", true),
            ("From a@b Mon\nSubject: x\nContent-Transfer-Encoding: BASE64\n\nx", true),
            ("Subject: x\nContent-Type: text/plain\n\nx", false),
            ("-----BEGIN CERTIFICATE-----\nMIIB\n", false),
            ("error: something\nwas here\n", false),
            ("--", false),
            ("", false),
        ] {
            assert_eq!(is_mime(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn encoded_words() {
        for (text, expected) in [
            ("=?UTF-8?B?YS5leGU=?=", "a.exe"),
            ("=?utf-8?q?b=C3=A1o_c=C3=A1o.doc?=", "báo cáo.doc"),
            ("x =?a?b?eQ==?= =?a?b?eg==?= w", "x yz w"),
            ("=?broken", "=?broken"),
            ("=?a?b?broken", "=?a?b?broken"),
        ] {
            assert_eq!(String::from_utf8_lossy(&words_decoded(text.as_bytes())), expected);
        }
    }
}
