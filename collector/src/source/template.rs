//! Lines of text as tables. A template is the line with holes: `Invalid user {user.name*} from {source.ip}`.
//!
//! A hole named like a catalogue field fills that field, any other name becomes an attribute. A hole ends where the
//! text behind it in the template begins; with `*` at the last such place, which is what a name chosen by an attacker
//! needs (`x from 192.0.2.1`). Numbers end at the first character that is no digit. A hole at the end of the template
//! takes the rest of the line, or the next word if it is an address. What follows the template in the line is free.

use canh_schema::{Event, FieldId, FieldKind, Value, field, field_by_name};
use compact_str::CompactString;
use smallvec::SmallVec;

use super::project;

/// One kind of line.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) action: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) category: &'static str,
    pub(crate) template: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Success,
    Failure,
    /// The line does not say, or nothing was attempted.
    Unsaid,
}

pub(crate) const fn line(
    action: &'static str,
    outcome: Outcome,
    category: &'static str,
    template: &'static str,
) -> Line {
    Line { action, outcome, category, template }
}

/// Lines ready to be compared, tried in order.
#[derive(Debug)]
pub(crate) struct Table(Vec<(Vec<Piece>, &'static Line)>);

#[derive(Clone, Copy, Debug)]
enum Piece {
    Literal(&'static str),
    Hole { target: Target, reach: Reach },
}

#[derive(Clone, Copy, Debug)]
enum Target {
    Field(FieldId),
    Attr(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reach {
    First,
    Last,
}

impl Table {
    pub(crate) fn new(lines: &'static [Line]) -> Self {
        Self(lines.iter().map(|line| (pieces(line.template), line)).collect())
    }

    /// Fills the event from the first line that fits; answers its action.
    pub(crate) fn apply(&self, event: &mut Event, text: &str) -> Option<&'static str> {
        let (found, line) = self.0.iter().find_map(|(pieces, line)| Some((matched(pieces, text)?, *line)))?;
        for (target, value) in found {
            fill(event, target, value);
        }
        describe(event, line.action, line.outcome, line.category);
        Some(line.action)
    }
}

/// Sets what was done and how it ended.
pub(crate) fn describe(event: &mut Event, action: &'static str, outcome: Outcome, category: &'static str) {
    event.set(field::EVENT_ACTION, CompactString::const_new(action));
    match outcome {
        Outcome::Success => event.set(field::EVENT_OUTCOME, CompactString::const_new("success")),
        Outcome::Failure => event.set(field::EVENT_OUTCOME, CompactString::const_new("failure")),
        Outcome::Unsaid => (),
    }
    if !category.is_empty() {
        event.set(field::EVENT_CATEGORY, CompactString::const_new(category));
    }
}

fn fill(event: &mut Event, target: Target, value: &str) {
    let value = value.trim();
    match target {
        Target::Field(field::SOURCE_IP) if !project::set_text(event, field::SOURCE_IP, value) => {
            // Programs that look names up write the name in the address's place.
            event.set(field::SOURCE_DOMAIN, value);
        }
        Target::Field(field::SOURCE_IP) => (),
        Target::Field(field) if value.is_empty() || project::set_text(event, field, value) => (),
        Target::Field(field) => event.attrs.push((field.name().into(), Value::from(value))),
        Target::Attr(name) => event.attrs.push((CompactString::const_new(name), Value::from(value))),
    }
}

fn pieces(template: &'static str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((literal, after)) = rest.split_once('{') {
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let (name, reach) = match name.strip_suffix('*') {
            Some(name) => (name, Reach::Last),
            None => (name, Reach::First),
        };
        let target = field_by_name(name).map_or(Target::Attr(name), Target::Field);
        pieces.push(Piece::Hole { target, reach });
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest));
    }
    pieces
}

type Found<'t> = SmallVec<[(Target, &'t str); 6]>;

/// How many ends of a hole are tried before the line counts as another one.
const ENDS_MAX: usize = 16;

fn matched<'t>(pieces: &[Piece], text: &'t str) -> Option<Found<'t>> {
    let mut found = Found::new();
    match_from(pieces, text, &mut found).then_some(found)
}

fn match_from<'t>(pieces: &[Piece], text: &'t str, found: &mut Found<'t>) -> bool {
    let (target, reach, after) = match pieces {
        [] => return true,
        [Piece::Literal(literal), after @ ..] => {
            return text.strip_prefix(literal).is_some_and(|rest| match_from(after, rest, found));
        }
        [Piece::Hole { target, reach }, after @ ..] => (*target, *reach, after),
    };
    let kind = match target {
        Target::Field(field) => field.kind(),
        Target::Attr(_) => FieldKind::Keyword,
    };
    let mut fits = |len: usize| {
        let (value, rest) = text.split_at(len);
        // An address is one word; a number is not nothing.
        if kind == FieldKind::Ip && (value.is_empty() || value.contains(' '))
            || kind == FieldKind::Integer && value.is_empty()
        {
            return false;
        }
        let mark = found.len();
        found.push((target, value));
        let fits = match_from(after, rest, found);
        if !fits {
            found.truncate(mark);
        }
        fits
    };
    match (kind, after) {
        (FieldKind::Integer, _) => fits(text.bytes().take_while(u8::is_ascii_digit).count()),
        (_, [Piece::Literal(next), ..]) if reach == Reach::Last => {
            text.rmatch_indices(next).take(ENDS_MAX).any(|(at, _)| fits(at))
        }
        (_, [Piece::Literal(next), ..]) => text.find(next).is_some_and(fits),
        (FieldKind::Ip, _) => fits(text.find(' ').unwrap_or(text.len())),
        _ => fits(text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &'static str, text: &str, expected: Option<&[&str]>) {
        let pieces = pieces(template);
        let found = matched(&pieces, text).map(|found| found.iter().map(|(_, value)| *value).collect::<Vec<_>>());
        assert_eq!(found.as_deref(), expected, "template: {template:?}, text: {text:?}");
    }

    #[test]
    fn templates() {
        check("a {user.name} b", "a x b rest", Some(&["x"]));
        check("a {user.name} b", "a x c", None);
        check(
            "u {user.name*} from {source.ip} port {source.port}",
            "u x from 1.1.1.1 port 1 from 2.2.2.2 port 22 ssh2",
            Some(&["x from 1.1.1.1 port 1", "2.2.2.2", "22"]),
        );
        check(
            "by {user.name*} {source.ip} port {source.port}",
            "by a b 1.1.1.1 port 22 [preauth]",
            Some(&["a b", "1.1.1.1", "22"]),
        );
        check("from {source.ip}", "from 1.1.1.1 tail", Some(&["1.1.1.1"]));
        check("from {source.ip} port", "from a b port", None);
        check("port {source.port}:{code}: {event.reason}", "port 22:11: bye", Some(&["22", "11", "bye"]));
        check("port {source.port}", "port x", None);
        check("{user.name}", "", Some(&[""]));
        check("plain", "plain text", Some(&[]));
    }
}
