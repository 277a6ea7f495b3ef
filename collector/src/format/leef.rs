//! Log Event Extended Format: `LEEF:2.0|vendor|product|version|id|^|a=1^b=2`; in version 1.0 a tab stands between the
//! pairs and the head has no place for another mark.

use canh_schema::Event;
use compact_str::CompactString;

use super::cef::head;
use super::{Context, Fit, Format, Text};
use crate::source::vendor_event::{self, Dialect, Record};

/// LEEF without a head of syslog; behind one it is found by `source::syslog`.
pub(super) struct Leef;

impl Format for Leef {
    fn name(&self) -> &'static str {
        "leef"
    }

    fn about(&self) -> &'static str {
        "Log Event Extended Format 1.0 and 2.0 (QRadar), also behind a head of syslog"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            "LEEF:1.0|Vendor|Gate|4.0|deny|devTime=Nov 22 2026 15:31:48\tdevTimeFormat=MMM dd yyyy HH:mm:ss\tsrc=203.0.113.9\tsrcPort=40022\tdst=10.10.1.2\tdstPort=22\tproto=TCP\tsev=5\tcat=firewall\tusrName=minh",
            "LEEF:2.0|Vendor|Gate|4.0|login|^|devTime=2026-11-22T15:31:48.250+0700^devTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ^usrName=quantri^name=a = b^src=10.20.0.5",
            "LEEF:2.0|Vendor|Gate|4.0|login|0x7c|src=10.20.0.5|usrName=quantri",
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        match text.as_str().strip_prefix("LEEF:").and_then(|body| parse(body, context.settings.fields_max)) {
            Some(record) => {
                vendor_event::apply(event, context, record);
                Fit::Yes
            }
            None => Fit::No,
        }
    }
}

/// Reads what follows `LEEF:`.
pub(crate) fn parse(body: &str, pairs_max: usize) -> Option<Record> {
    let mut rest = body.trim_start_matches(' ');
    let version = head(&mut rest)?;
    if !matches!(version.as_bytes(), [b'1' | b'2', ..]) {
        return None;
    }
    let mut next = || head(&mut rest);
    let (vendor, product, device_version, code) = (next()?, next()?, next()?, next()?);
    let mut mark = '\t';
    if version.starts_with('2')
        && let Some((written, after)) = rest.split_once('|')
        && let Some(named) = delimiter(written)
    {
        (mark, rest) = (named, after);
    }
    let mut pairs = Vec::new();
    let mut complete = true;
    // Servers of syslog write a tab out on the way.
    let escaped = mark == '\t' && !rest.contains('\t');
    let separator: CompactString = match escaped {
        true if rest.contains("#011") => "#011".into(),
        true if rest.contains("\\t") => "\\t".into(),
        _ => {
            let mut text = CompactString::default();
            text.push(mark);
            text
        }
    };
    for (name, value) in rest.split(separator.as_str()).filter_map(|pair| pair.split_once('=')) {
        if pairs.len() >= pairs_max {
            complete = false;
            break;
        }
        let name = name.trim();
        if !name.is_empty() {
            pairs.push((name.into(), value.trim().into()));
        }
    }
    Some(Record {
        dialect: Dialect::Leef,
        vendor,
        product,
        version: device_version,
        code,
        name: None,
        severity: None,
        pairs,
        complete,
    })
}

/// The mark between pairs: itself, or its number as `x09` or `0x09`. Nothing stands for a tab.
fn delimiter(written: &str) -> Option<char> {
    if written.is_empty() {
        return Some('\t');
    }
    if let Some(digits) = written.strip_prefix("0x").or_else(|| written.strip_prefix('x')).filter(|it| !it.is_empty()) {
        return u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
    }
    let mut letters = written.chars();
    letters.next().filter(|_| letters.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Option<(&str, &[(&str, &str)])>) {
        let found = parse(body, 8);
        let shown = found.as_ref().map(|record| {
            let pairs: Vec<_> = record.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            (record.code.as_str(), pairs)
        });
        assert_eq!(shown, expected.map(|(code, pairs)| (code, pairs.to_vec())), "input: {body:?}");
    }

    #[test]
    fn records() {
        check("1.0|v|p|1|id|a=1\tb=two = 2", Some(("id", &[("a", "1"), ("b", "two = 2")])));
        check(" 1.0|v|p|1|id|a=1#011b=2", Some(("id", &[("a", "1"), ("b", "2")])));
        check("2.0|v|p|1|id|^|a=1^b=2", Some(("id", &[("a", "1"), ("b", "2")])));
        check("2.0|v|p|1|id||a=1\tb=2", Some(("id", &[("a", "1"), ("b", "2")])));
        check("2.0|v|p|1|id|a=1\tb=x|y", Some(("id", &[("a", "1"), ("b", "x|y")])));
        check("2.0|v|p|1|id|x5E|a=1^b=2", Some(("id", &[("a", "1"), ("b", "2")])));
        check("2.0|v|p|1|id|xD800|a=1", Some(("id", &[("xD800|a", "1")])));
        check("1.0|v|p|1|id", Some(("id", &[])));
        check("3.0|v|p|1|id|", None);
        check("1.0|v", None);
        check("", None);
    }
}
