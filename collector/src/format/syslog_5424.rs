//! Syslog as RFC 5424 defines it: `<34>1 TIME HOST APP PROCID MSGID [SD] MSG`.

use canh_schema::{Event, IssueKind, Value, field};
use compact_str::CompactString;

use super::syslog_3164::split_pri;
use super::{Context, Fit, Format, Text, rfc3339};
use crate::source;

/// Syslog with version 1.
pub(super) struct Syslog5424;

impl Format for Syslog5424 {
    fn name(&self) -> &'static str {
        "syslog_5424"
    }

    fn about(&self) -> &'static str {
        "syslog of RFC 5424, with structured data"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            "<38>1 2026-11-22T08:59:57.003+07:00 QuanTri-Svr sshd 2211 - - Accepted publickey for admin from 10.10.9.4 port 50122 ssh2: ED25519 SHA256:iXhZ2Wm0n8",
            r#"<165>1 2026-11-22T01:59:57.003Z esb.example.vn wso2 - ID47 [exampleSDID@32473 iut="3" eventSource="App\"1\"" path="C:\\x\]"][origin ip="10.10.2.3"] request failed"#,
            "<13>1 - - - - - -",
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let Some((pri, rest)) = split_pri(text.as_str()) else { return Fit::No };
        let Some(rest) = rest.strip_prefix("1 ") else { return Fit::No };
        let mut words = rest.splitn(6, ' ');
        let mut word = || words.next().map(|word| (word != "-").then_some(word));
        let (Some(time), Some(host), Some(program), Some(pid), Some(msgid)) = (word(), word(), word(), word(), word())
        else {
            return Fit::No;
        };
        let rest = words.next().unwrap_or("-");

        source::syslog::priority(event, pri);
        match time.map(|time| (time, rfc3339(time, &context.settings.zone))) {
            Some((_, Some(at))) => event.time = at,
            Some((time, None)) => event.push_issue(IssueKind::BadTime, time.get(..64).unwrap_or(time)),
            None => (),
        }
        if let Some(host) = host {
            event.set(field::HOST_NAME, host);
        }
        if let Some(msgid) = msgid {
            event.set(field::LOG_SYSLOG_MSGID, msgid);
        }
        let message = structured_data(rest, context.settings.fields_max, event);
        let message = message.strip_prefix('\u{feff}').unwrap_or(message);
        source::syslog::apply(event, context, program, pid, message);
        Fit::Yes
    }
}

/// Reads the structured data into attributes named `id.parameter` and returns the message behind it.
///
/// Source: RFC 5424, section 6.3.
fn structured_data<'t>(text: &'t str, fields_max: usize, event: &mut Event) -> &'t str {
    let mut rest = text;
    if let Some(after) = rest.strip_prefix('-') {
        return after.strip_prefix(' ').unwrap_or(after);
    }
    while let Some(element) = rest.strip_prefix('[') {
        // `[action:"Accept"; …]` of Check Point is a message: the name of an element has no quotation mark.
        if element.find(['"', '=']).is_some_and(|at| !element[..at].contains(' ') && element.as_bytes()[at] == b'"') {
            return rest;
        }
        let Some((after, complete)) = one_element(element, fields_max, event) else {
            event.push_issue(IssueKind::Malformed, "structured data");
            return rest;
        };
        rest = after;
        if !complete {
            event.push_issue(IssueKind::TooManyFields, "structured data");
        }
    }
    rest.strip_prefix(' ').unwrap_or(rest)
}

/// The longest id of an element that is taken for one, in bytes. The standard says 32.
const ID_LEN_MAX: usize = 128;

/// One element after its `[`. What follows its `]`, and whether all of its parameters fitted.
fn one_element<'t>(text: &'t str, fields_max: usize, event: &mut Event) -> Option<(&'t str, bool)> {
    let id_len = text.find([' ', ']'])?;
    let (id, mut rest) = text.split_at(id_len);
    if id_len > ID_LEN_MAX {
        return None;
    }
    let mut complete = true;
    loop {
        rest = rest.trim_start_matches(' ');
        if let Some(after) = rest.strip_prefix(']') {
            return Some((after, complete));
        }
        let (name, value) = rest.split_once("=\"")?;
        if name.contains(['"', ']', ' ']) {
            return None;
        }
        let (value, after) = quoted(value)?;
        if event.attrs.len() < fields_max {
            let mut key = CompactString::from(id);
            key.push('.');
            key.push_str(name);
            event.attrs.push((key, Value::Text(value)));
        } else {
            complete = false;
        }
        rest = after;
    }
}

/// The value up to its closing quote, `\"`, `\\` and `\]` undone, and what follows.
fn quoted(text: &str) -> Option<(CompactString, &str)> {
    let mut value = CompactString::default();
    let mut rest = text;
    loop {
        let stop = memchr::memchr2(b'"', b'\\', rest.as_bytes())?;
        value.push_str(&rest[..stop]);
        let mut after = rest[stop..].chars();
        if after.next() == Some('"') {
            return Some((value, after.as_str()));
        }
        match after.next()? {
            escaped @ ('"' | '\\' | ']') => value.push(escaped),
            other => {
                value.push('\\');
                value.push(other);
            }
        }
        rest = after.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, attrs: &[(&str, &str)], message: &str, issues: usize) {
        let mut event = Event::new(canh_schema::EventId::from_bytes([0; 16]), Default::default(), bytes::Bytes::new());
        assert_eq!(structured_data(text, 3, &mut event), message, "input: {text:?}");
        let found: Vec<_> = event.attrs.iter().map(|(k, v)| (k.as_str(), v.as_str().unwrap_or("?"))).collect();
        assert_eq!(found, attrs, "input: {text:?}");
        assert_eq!(event.issues.len(), issues, "input: {text:?}");
    }

    #[test]
    fn structured_data_is_read() {
        check("- text", &[], "text", 0);
        check("-", &[], "", 0);
        check("[a x=\"1\"] text", &[("a.x", "1")], "text", 0);
        check("[a x=\"1\" y=\"\"][b z=\"\\]\\\\\\n\"]", &[("a.x", "1"), ("a.y", ""), ("b.z", "]\\\\n")], "", 0);
        check("[a] text", &[], "text", 0);
        check("[a x=\"1\" b=\"2\" c=\"3\" d=\"4\"] text", &[("a.x", "1"), ("a.b", "2"), ("a.c", "3")], "text", 1);
        check("[a x=1] text", &[], "[a x=1] text", 1); // not quoted
        check("[a x=\"1", &[], "[a x=\"1", 1);
        check("[a x=\"\\", &[], "[a x=\"\\", 1);
        check("text", &[], "text", 0);
        check("", &[], "", 0);
    }
}
