//! Common Event Format: `CEF:0|vendor|product|version|id|name|severity|a=1 b=two words`.

use canh_schema::Event;
use compact_str::CompactString;

use super::{Context, Fit, Format, Text};
use crate::source::vendor_event::{self, Dialect, Record};

/// CEF without a head of syslog; behind one it is found by `source::syslog`.
pub(super) struct Cef;

impl Format for Cef {
    fn name(&self) -> &'static str {
        "cef"
    }

    fn about(&self) -> &'static str {
        "Common Event Format (ArcSight), also behind a head of syslog"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r"CEF:0|Security\|Works|Gate|1.0|100|worm stopped \\ cleaned|10|src=10.0.0.1 dst=203.0.113.9 spt=1232 dpt=443 proto=TCP act=blocked msg=Detected a \= sign\nand a second line rt=1795336308123 cs1Label=Rule Name cs1=no worms cn1Label=hits cn1=3 request=http://www.example/?a=b&c=d fileHash=900150983cd24fb0d6963f7d28e17f72",
            "CEF:0|Trend Micro|Deep Security Manager|20.0|600|User Signed In|3|suser=quantri src=10.20.0.5 end=Nov 22 2026 15:31:48 ICT outcome=success",
            "CEF:1|X|Y|1|2|three||",
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        match text.as_str().strip_prefix("CEF:").and_then(|body| parse(body, context.settings.fields_max)) {
            Some(record) => {
                vendor_event::apply(event, context, record);
                Fit::Yes
            }
            None => Fit::No,
        }
    }
}

/// Reads what follows `CEF:`.
pub(crate) fn parse(body: &str, pairs_max: usize) -> Option<Record> {
    let mut rest = body;
    let version = head(&mut rest)?;
    if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let mut next = || head(&mut rest);
    let (vendor, product, device_version, code) = (next()?, next()?, next()?, next()?);
    let (name, severity) = (next()?, next().unwrap_or_default());
    let (pairs, complete) = extension(rest, pairs_max);
    Some(Record {
        dialect: Dialect::Cef,
        vendor,
        product,
        version: device_version,
        code,
        name: Some(name),
        severity: Some(severity),
        pairs,
        complete,
    })
}

/// The next part of the head, `\|` and `\\` undone; the rest moves behind its bar. The last may lack the bar.
pub(super) fn head(rest: &mut &str) -> Option<CompactString> {
    if rest.is_empty() {
        return None;
    }
    let mut part = CompactString::default();
    let mut text = *rest;
    loop {
        let Some(at) = memchr::memchr2(b'|', b'\\', text.as_bytes()) else {
            part.push_str(text);
            *rest = "";
            return Some(part);
        };
        part.push_str(&text[..at]);
        if text.as_bytes()[at] == b'|' {
            *rest = &text[at + 1..];
            return Some(part);
        }
        let next = text[at + 1..].chars().next();
        match next {
            Some(mark @ ('|' | '\\')) => part.push(mark),
            Some(other) => {
                part.push('\\');
                part.push(other);
            }
            None => part.push('\\'),
        }
        text = &text[at + 1 + next.map_or(0, char::len_utf8)..];
    }
}

/// The longest name of a value, in bytes.
const NAME_LEN_MAX: usize = 128;

/// The pairs, and whether all of them fitted. A value reaches to the name of the next one.
fn extension(text: &str, pairs_max: usize) -> (Vec<(CompactString, CompactString)>, bool) {
    let mut pairs = Vec::new();
    let Some((mut name_start, mut name_end)) = next_name(text, 0) else { return (pairs, true) };
    loop {
        let value_start = name_end + 1;
        let next = next_name(text, value_start);
        let value_end = next.map_or(text.len(), |(start, _)| start);
        if pairs.len() >= pairs_max {
            return (pairs, false);
        }
        pairs.push((text[name_start..name_end].into(), unescaped(text[value_start..value_end].trim())));
        match next {
            Some((start, end)) => (name_start, name_end) = (start, end),
            None => return (pairs, true),
        }
    }
}

/// Where the next name begins and ends, from `from` on: the word before a `=` that is not written `\=`.
fn next_name(text: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        at += memchr::memchr(b'=', bytes.get(at..)?)?;
        let floor = from.max(at.saturating_sub(NAME_LEN_MAX));
        let word = memchr::memrchr(b' ', &bytes[floor..at]).map(|blank| floor + blank + 1);
        // The very first name has no blank before it; every other one has.
        let start = word.or((from == 0 && floor == 0).then_some(0));
        if let Some(start) = start.filter(|start| is_name(&bytes[*start..at])) {
            return Some((start, at));
        }
        at += 1;
    }
}

fn is_name(word: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']');
    !word.is_empty() && word.iter().all(is_part)
}

fn unescaped(text: &str) -> CompactString {
    let mut value = CompactString::default();
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        value.push_str(&rest[..at]);
        let next = rest[at + 1..].chars().next();
        match next {
            Some(mark @ ('=' | '\\' | '|')) => value.push(mark),
            Some('n') => value.push('\n'),
            Some('r') => value.push('\r'),
            Some(other) => {
                value.push('\\');
                value.push(other);
            }
            None => value.push('\\'),
        }
        rest = &rest[at + 1 + next.map_or(0, char::len_utf8)..];
    }
    value.push_str(rest);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Option<(&str, &str, &[(&str, &str)])>) {
        let found = parse(body, 8);
        let shown = found.as_ref().map(|record| {
            let pairs: Vec<_> = record.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            (record.vendor.as_str(), record.name.as_deref().unwrap_or_default(), pairs)
        });
        let expected = expected.map(|(vendor, name, pairs)| (vendor, name, pairs.to_vec()));
        assert_eq!(shown, expected, "input: {body:?}");
    }

    #[test]
    fn records() {
        check(r"0|a\|b|p|1|2|n\\m|5|x=1 y=2", Some(("a|b", r"n\m", &[("x", "1"), ("y", "2")])));
        check("0|a|p|1|2|n|5|x=one two y=a\\=b", Some(("a", "n", &[("x", "one two"), ("y", "a=b")])));
        check("0|a|p|1|2|n|5|u=http://h/?a=b&c=d e=f", Some(("a", "n", &[("u", "http://h/?a=b&c=d"), ("e", "f")])));
        check("0|a|p|1|2|n|5|x= y=2", Some(("a", "n", &[("x", ""), ("y", "2")])));
        check("0|a|p|1|2|n|5", Some(("a", "n", &[])));
        check("0|a|p|1|2|n", Some(("a", "n", &[])));
        check(r"0|a|p|1|2|n|5|x=C:\dir\", Some(("a", "n", &[("x", r"C:\dir\")])));
        check("x|a|p|1|2|n|5|", None);
        check("0|a|p", None);
        check("é", None);
        check("", None);
    }
}
