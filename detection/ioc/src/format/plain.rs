//! Plain text: one indicator per line. `#` begins a comment; lines that begin with `#!` say something about what
//! follows.

use super::Format;
use super::csv::CsvColumn;
use crate::about::{self, About};
use crate::builder::{Reading, quoted};
use crate::kind::IndicatorKind;
use crate::problem::Place;

pub(super) struct Plain;

impl Format for Plain {
    fn name(&self) -> &'static str {
        "text"
    }

    fn about(&self) -> &'static str {
        "one value per line; `#` begins a comment, `#! key: value` says something about the values that follow"
    }

    fn fits(&self, _name: &str, _text: &str) -> bool {
        true
    }

    fn sample(&self) -> &'static str {
        "#! confidence: 80\n#! tags: tlp:green, T1071\nevil[.]example # beacon\n198.51.100.7\nja3:e7d705a3286e19ea42f587b344ee6865\n"
    }

    fn read(&self, text: &str, into: &mut Reading<'_>) {
        let mut state = Directives::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            let place = Place::Line(number);
            if let Some(directive) = line.strip_prefix("#!") {
                if let Err(reason) = state.apply(directive, into) {
                    into.refuse(place, reason);
                }
            } else if !line.is_empty() && !line.starts_with(['#', ';']) && !line.starts_with("//") {
                row(line, place, &state, into);
            }
        }
    }
}

fn row(line: &str, place: Place, state: &Directives, into: &mut Reading<'_>) {
    // A fragment has no blank before its `#`.
    let (value, comment) = line.split_once(" #").or_else(|| line.split_once("\t#")).unwrap_or((line, ""));
    let mut value = value.trim();
    let mut kind = state.kind;
    if kind.is_none()
        && let Some((name, rest)) = value.split_once(':')
        && let Some(named) = IndicatorKind::from_name(name)
        // `host://` is no type, and `dns:53` no value of one.
        && !rest.starts_with("//")
    {
        kind = Some(named);
        value = rest.trim();
    }
    // Lists in the form of a hosts file.
    if kind.is_none()
        && let Some((sink, name)) = value.split_once([' ', '\t'])
        && matches!(sink, "0.0.0.0" | "127.0.0.1" | "::" | "::1")
    {
        value = name.trim();
    }
    if comment.is_empty() {
        into.take(place, kind, value, &state.about);
    } else {
        let mut about = state.about.clone();
        about.description.clear();
        about.describe(comment);
        into.take(place, kind, value, &about);
    }
}

/// What the lines that begin with `#!` have said so far. The same words are used in CSV files.
#[derive(Default)]
pub(super) struct Directives {
    pub(super) about: About,
    pub(super) kind: Option<IndicatorKind>,
}

impl Directives {
    /// Answers whether it was one; a comment that only looks like one is an error with what to write instead.
    pub(super) fn apply(&mut self, text: &str, into: &mut Reading<'_>) -> Result<(), String> {
        let (key, value) = text
            .split_once(':')
            .ok_or_else(|| format!("{} is not `key: value`; a comment begins with `# `", quoted(text.trim())))?;
        let value = value.trim();
        let bad = |what: &str| format!("{} is not {what}", quoted(value));
        match key.trim().to_ascii_lowercase().as_str() {
            "type" => {
                self.kind = Some(IndicatorKind::from_name(value).ok_or_else(|| bad("a type of indicator"))?);
            }
            "list" => self.about.list = Some(about::list_name(value)).filter(|name| !name.is_empty()),
            "confidence" => {
                self.about.confidence = Some(about::confidence(value).ok_or_else(|| bad("a number from 0 to 100"))?);
            }
            "severity" => self.about.severity = Some(about::severity(value).ok_or_else(|| bad("a level"))?),
            "expires" | "expiry" => self.about.expiry = Some(about::time(value).ok_or_else(|| bad("a time"))?),
            "first_seen" => self.about.first_seen = Some(about::time(value).ok_or_else(|| bad("a time"))?),
            "last_seen" => self.about.last_seen = Some(about::time(value).ok_or_else(|| bad("a time"))?),
            "description" => {
                self.about.description.clear();
                self.about.describe(value);
            }
            "tlp" => self.about.add_tag(&format!("tlp:{value}")),
            "tags" => {
                self.about.tags.clear();
                self.about.add_tags(value, &[',']);
            }
            "column" => {
                let (name, meaning) = value.rsplit_once('=').ok_or_else(|| bad("`name = meaning`"))?;
                let column = CsvColumn::from_name(meaning.trim()).ok_or_else(|| bad("a meaning of a column"))?;
                into.columns.push((name.trim().to_owned(), column));
            }
            other => {
                return Err(format!(
                    "{} is not known; known are type, list, confidence, severity, expires, first_seen, last_seen, \
                     description, tlp, tags and column",
                    quoted(other)
                ));
            }
        }
        Ok(())
    }
}
