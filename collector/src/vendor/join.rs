//! Joins messages of syslog that are the lines of one record: stack traces, statements of several lines. Only within one
//! batch, because what is decoded must not depend on what was decoded before; see docs/decisions/records-of-several-lines.md.

use bytes::{BufMut, BytesMut};
use canh_schema::{Event, Value, field};
use compact_str::CompactString;
use regex::Regex;
use rustc_hash::FxHashMap;

/// Which messages of a program belong to the one before them.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) which: Which,
    /// Values of the first message that go on in the others, besides the message itself.
    pub(super) into: Vec<CompactString>,
    pub(super) lines_max: u32,
    pub(super) bytes_max: usize,
}

#[derive(Debug)]
pub(super) enum Which {
    /// Those that the expression fits; its first group, if it has one, is what is added.
    Continues(Regex),
    /// All that the expression does not fit.
    NotStart(Regex),
}

/// What a message that goes on is marked with, as its first attribute, until the batch is whole.
const MARK: &str = "canh.continues";
/// Between the number of the rule and the text that is added.
const BETWEEN: char = '\u{1f}';

impl Rule {
    /// What the message adds to the one before it, if it belongs to it.
    fn added<'t>(&self, message: &'t str) -> Option<&'t str> {
        match &self.which {
            Which::Continues(regex) => {
                let groups = regex.captures(message)?;
                Some(groups.get(1).map_or(message, |rest| rest.as_str()))
            }
            Which::NotStart(regex) => (!regex.is_match(message)).then_some(message),
        }
    }
}

/// Marks the message if it belongs to the one before it.
pub(super) fn mark(event: &mut Event, rule: &Rule, number: usize, message: &str) {
    if let Some(text) = rule.added(message) {
        let marked = format!("{number}{BETWEEN}{text}");
        event.attrs.insert(0, (CompactString::const_new(MARK), Value::from(marked)));
    }
}

fn is_marked(event: &Event) -> bool {
    event.attrs.first().is_some_and(|(name, _)| name == MARK)
}

/// Who wrote a message: sender, host, program, process.
type Writer = [CompactString; 4];

fn writer(event: &Event) -> Option<Writer> {
    let text = |id| event.get(id).and_then(Value::as_text).map(CompactString::from).unwrap_or_default();
    event.get(field::PROCESS_NAME)?;
    Some([field::CANH_SOURCE, field::HOST_NAME, field::PROCESS_NAME, field::PROCESS_PID].map(text))
}

/// A record that may go on.
struct Open {
    at: usize,
    lines: u32,
    raw: BytesMut,
}

/// Adds marked messages to the record that they belong to, which keeps all lines. One whose beginning is in another batch
/// stays an event of its own, and so does one that would make its record too long.
pub(super) fn join<'r>(events: &mut Vec<Event>, rule: impl Fn(usize) -> Option<&'r Rule>) {
    if !events.iter().any(is_marked) {
        return;
    }
    let mut open: FxHashMap<Writer, Open> = FxHashMap::default();
    let mut joined = vec![false; events.len()];
    for (at, is_joined) in joined.iter_mut().enumerate() {
        let Some(writer) = events.get(at).and_then(writer) else { continue };
        let Some((rule, text)) =
            events.get_mut(at).and_then(take_mark).and_then(|(number, text)| Some((rule(number)?, text)))
        else {
            close(events, open.insert(writer, Open { at, lines: 1, raw: BytesMut::new() }));
            continue;
        };
        let raw = events.get(at).map(|event| event.raw.clone()).unwrap_or_default();
        let Some(record) = open.get_mut(&writer) else {
            // Its beginning is in another batch. What follows may belong to it all the same.
            open.insert(writer, Open { at, lines: 1, raw: BytesMut::new() });
            continue;
        };
        let Some(first) = events.get_mut(record.at) else { continue };
        let len = first.raw.len().max(record.raw.len());
        if record.lines >= rule.lines_max || len + 1 + raw.len() > rule.bytes_max {
            close(events, open.insert(writer, Open { at, lines: 1, raw: BytesMut::new() }));
            continue;
        }
        if record.raw.is_empty() {
            record.raw.extend_from_slice(&first.raw);
        }
        record.raw.put_u8(b'\n');
        record.raw.extend_from_slice(&raw);
        record.lines += 1;
        add(first, rule, &text);
        *is_joined = true;
    }
    open.into_values().for_each(|record| close(events, Some(record)));
    let mut joined = joined.into_iter();
    events.retain(|_| !joined.next().unwrap_or_default());
}

/// Takes the mark off: the number of the rule, and the text that is added.
fn take_mark(event: &mut Event) -> Option<(usize, CompactString)> {
    if !is_marked(event) {
        return None;
    }
    let (_, marked) = event.attrs.remove(0);
    let (number, text) = marked.as_str()?.split_once(BETWEEN)?;
    Some((number.parse().ok()?, text.into()))
}

fn close(events: &mut [Event], record: Option<Open>) {
    if let Some(record) = record
        && !record.raw.is_empty()
        && let Some(first) = events.get_mut(record.at)
    {
        first.raw = record.raw.freeze();
    }
}

fn add(first: &mut Event, rule: &Rule, text: &str) {
    let append = |value: &mut Value| {
        if let Value::Text(whole) = value {
            whole.push('\n');
            whole.push_str(text);
        }
    };
    if let Some((_, message)) = first.fields.iter_mut().find(|(id, _)| *id == field::MESSAGE) {
        append(message);
    }
    first.attrs.iter_mut().filter(|(name, _)| rule.into.contains(name)).for_each(|(_, value)| append(value));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use canh_schema::{Position, Timestamp};

    use super::*;
    use crate::{DecodeSettings, Door, Envelope, Framing, Vendors, decode};

    fn raws(lines: &[&str], join: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("acme-gate")).unwrap();
        let text = format!("about = 'x'\n[recognise]\nprograms = ['acmed']\n[join]\n{join}");
        std::fs::write(dir.path().join("acme-gate/source.toml"), text).unwrap();
        let vendors = Vendors::load(dir.path());
        assert_eq!(vendors.problems(), []);
        let settings = DecodeSettings { vendors: Arc::new(vendors), ..DecodeSettings::default() };
        let payload =
            Bytes::from(lines.iter().map(|line| format!("<134>Nov 22 15:31:48 {line}\n")).collect::<String>());
        let envelope = Envelope::new(Door::SyslogTcp, Timestamp::from_secs(1_795_340_000), Framing::Lines, payload);
        let events = decode(&envelope, Position::new(1), 1, &settings).events;
        assert!(events.iter().all(|event| event.attr(MARK).is_none()));
        let again = decode(&envelope, Position::new(1), 1, &settings).events;
        assert_eq!(events, again, "decoding again gives the same");
        let bare = |event: &Event| String::from_utf8_lossy(&event.raw).replace("<134>Nov 22 15:31:48 ", "");
        events.iter().map(bare).collect()
    }

    #[track_caller]
    fn check(join: &str, lines: &[&str], expected: &[&str]) {
        assert_eq!(raws(lines, join), expected, "join: {join}");
    }

    #[test]
    fn messages_of_one_writer_are_joined() {
        let indented = "continues = '^ +'";
        check(
            indented,
            &["h acmed[1]: a", "h acmed[1]:   b", "h acmed[1]: c"],
            &["h acmed[1]: a\nh acmed[1]:   b", "h acmed[1]: c"],
        );
        // Others may speak in between.
        check(
            indented,
            &["h acmed[1]: a", "h acmed[2]: x", "h cron[3]:   y", "h acmed[1]:   b", "g acmed[2]:   z"],
            &["h acmed[1]: a\nh acmed[1]:   b", "h acmed[2]: x", "h cron[3]:   y", "g acmed[2]:   z"],
        );
        // The beginning is in another batch.
        check(
            indented,
            &["h acmed[1]:   b", "h acmed[1]:   c", "h acmed[1]: d"],
            &["h acmed[1]:   b\nh acmed[1]:   c", "h acmed[1]: d"],
        );
        check(
            "start = '^[0-9]'",
            &["h acmed: 1 a", "h acmed: b", "h acmed: 2 c"],
            &["h acmed: 1 a\nh acmed: b", "h acmed: 2 c"],
        );
    }

    #[test]
    fn a_record_is_bounded_and_nothing_is_lost() {
        let lines = ["h acmed: a", "h acmed:  b", "h acmed:  c", "h acmed:  d"];
        check("continues = '^ '\nlines_max = 2", &lines, &["h acmed: a\nh acmed:  b", "h acmed:  c\nh acmed:  d"]);
        check("continues = '^ '\nbytes_max = 70", &lines, &["h acmed: a\nh acmed:  b", "h acmed:  c\nh acmed:  d"]);
    }
}
