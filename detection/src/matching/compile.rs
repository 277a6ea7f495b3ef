//! One line of a selection made ready to compare: modifiers applied, patterns read, expressions compiled.

use std::net::IpAddr;

use canh_schema::Value;
use compact_str::CompactString;
use ipnet::IpNet;
use regex::{Regex, RegexBuilder};
use smallvec::{SmallVec, smallvec};

use super::encode;
use super::glob::{self, Glob, Part};
use super::required::{Flags, required};
use super::value::lower_into;
use crate::diagnostic::Diagnostic;
use crate::rule::{Comparison, Item, Literal, Modifier};

/// Memory that one compiled expression may take.
const REGEX_BYTES_MAX: usize = 4 << 20;

/// A rule item ready to compare: one entry for each value that the rule writes.
#[derive(Debug)]
pub(crate) struct CompiledItem {
    /// All values must match, not any.
    pub all: bool,
    /// The item holds when none matches (`neq`).
    pub negate: bool,
    /// A value may stand for several patterns (`windash`, `base64offset`); any of them will do.
    pub values: Vec<Vec<Matcher>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum TextKind {
    Exact,
    StartsWith,
    EndsWith,
    Contains,
}

impl TextKind {
    pub(crate) fn matches(self, text: &str, pattern: &str) -> bool {
        match self {
            Self::Exact => text == pattern,
            Self::StartsWith => text.starts_with(pattern),
            Self::EndsWith => text.ends_with(pattern),
            Self::Contains => memchr::memmem::find(text.as_bytes(), pattern.as_bytes()).is_some(),
        }
    }
}

/// What a single value of an event is compared with.
#[derive(Debug)]
pub(crate) enum Matcher {
    /// Lower-case text.
    Text {
        kind: TextKind,
        literal: Box<str>,
    },
    /// Lower-case text with wildcards.
    Glob(Glob),
    /// Text with wildcards, case respected.
    CasedGlob(Glob),
    /// With texts in lower case of which every match has one, if any are known.
    Regex(Regex, Box<[Box<str>]>),
    Cidr(IpNet),
    Compare(Comparison, f64),
    TimePart(Modifier, Comparison, f64),
    /// `*`: any value but null.
    AnyValue,
    /// Missing or null.
    Null,
    Exists(bool),
    FieldRef {
        field: CompactString,
        kind: TextKind,
        cased: bool,
    },
}

impl Matcher {
    /// Compares one single value. [`Matcher::Null`], [`Matcher::Exists`] and [`Matcher::FieldRef`] are about the
    /// event, not the value, and never hold here.
    pub(crate) fn matches(&self, value: &Value, lower: &str) -> bool {
        match self {
            Self::Text { kind, literal } => kind.matches(lower, literal),
            Self::Glob(glob) => glob.matches(lower),
            Self::CasedGlob(glob) => value.as_text().is_some_and(|text| glob.matches(&text)),
            Self::Regex(regex, _) => value.as_text().is_some_and(|text| regex.is_match(&text)),
            Self::Cidr(network) => value.as_ip().is_some_and(|address| network.contains(&canonical(address))),
            Self::Compare(comparison, right) => value.as_f64().is_some_and(|left| comparison.holds(left, *right)),
            Self::TimePart(part, comparison, right) => {
                time_part(value, *part).is_some_and(|left| comparison.holds(left, *right))
            }
            Self::AnyValue => true,
            Self::Null | Self::Exists(_) | Self::FieldRef { .. } => false,
        }
    }

    /// Texts in lower case: without one of them this cannot match. With each, whether finding it (in the right place) is
    /// enough.
    pub(crate) fn index_literals(&self) -> SmallVec<[(TextKind, &str, bool); 1]> {
        let part = |text| (TextKind::Contains, text, false);
        match self {
            Self::Text { kind, literal } => smallvec![(*kind, &**literal, true)],
            Self::Glob(glob) => glob.literal().map(part).into_iter().collect(),
            Self::Regex(_, needed) => needed.iter().map(|text| part(&**text)).collect(),
            _ => SmallVec::new(),
        }
    }
}

/// An IPv4 address in IPv6 clothes (`::ffff:10.0.0.1`) is the IPv4 address.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// A value on its way through the modifiers.
enum Stage {
    Pattern(Vec<Part>),
    /// Encoded, and perhaps no text.
    Bytes(Vec<u8>),
}

/// # Errors
///
/// A modifier that does not fit the value or its neighbours, a broken expression, network or number.
pub(crate) fn compile_item(item: &Item) -> Result<CompiledItem, Diagnostic> {
    check_combination(item)?;
    let all = item.has(Modifier::All);
    let values = item.values.iter().map(|value| compile_value(item, value)).collect::<Result<Vec<_>, _>>()?;
    Ok(CompiledItem { all, negate: item.has(Modifier::Neq), values })
}

fn check_combination(item: &Item) -> Result<(), Diagnostic> {
    let flags = [Modifier::RegexIgnoreCase, Modifier::RegexMultiline, Modifier::RegexDotAll];
    if let Some(flag) = flags.into_iter().find(|flag| item.has(*flag) && !item.has(Modifier::Re)) {
        let text = format!("`{}` belongs behind `re`", flag.name());
        return Err(Diagnostic::error(item.at, text));
    }
    let operators = [
        Modifier::Re,
        Modifier::Cidr,
        Modifier::Exists,
        Modifier::FieldRef,
        Modifier::Lt,
        Modifier::Lte,
        Modifier::Gt,
        Modifier::Gte,
    ];
    let mut used = operators.into_iter().filter(|operator| item.has(*operator));
    if let (Some(one), Some(other)) = (used.next(), used.next()) {
        let text = format!("`{}` and `{}` cannot be used together", one.name(), other.name());
        return Err(Diagnostic::error(item.at, text));
    }
    if item.field.is_none() && (item.has(Modifier::Exists) || item.has(Modifier::FieldRef)) {
        return Err(Diagnostic::error(item.at, "`exists` and `fieldref` need a field"));
    }
    Ok(())
}

fn compile_value(item: &Item, value: &Literal) -> Result<Vec<Matcher>, Diagnostic> {
    let error = |text: String| Diagnostic::error(item.at, text);
    let written = value.to_text();
    if item.has(Modifier::Exists) {
        return match value {
            Literal::Bool(present) => Ok(vec![Matcher::Exists(*present)]),
            _ => Err(error(format!("`exists` takes true or false, not `{written}`"))),
        };
    }
    if *value == Literal::Null {
        return Ok(vec![Matcher::Null]);
    }
    if item.has(Modifier::FieldRef) {
        let kind = match () {
            () if item.has(Modifier::Contains) => TextKind::Contains,
            () if item.has(Modifier::StartsWith) => TextKind::StartsWith,
            () if item.has(Modifier::EndsWith) => TextKind::EndsWith,
            () => TextKind::Exact,
        };
        return Ok(vec![Matcher::FieldRef { field: written, kind, cased: item.has(Modifier::Cased) }]);
    }
    if item.has(Modifier::Re) {
        return regex(item, &written).map(|matcher| vec![matcher]);
    }
    if item.has(Modifier::Cidr) {
        let network = written.parse::<IpNet>().ok().or_else(|| written.parse::<IpAddr>().ok().map(IpNet::from));
        let network = network.ok_or_else(|| error(format!("`{written}` is not a network such as `10.0.0.0/8`")))?;
        return Ok(vec![Matcher::Cidr(network)]);
    }
    let comparison = comparison(item);
    let part = item.modifiers.iter().copied().find(|modifier| is_time_part(*modifier));
    if comparison.is_some() || part.is_some() {
        let number = match value {
            // Beyond 2^53 neighbouring numbers are equal, as they are in the events (`Value::as_f64`).
            Literal::Integer(number) => Some(*number as f64),
            Literal::Float(number) => Some(*number),
            _ => written.trim().parse().ok(),
        };
        let number = number.ok_or_else(|| error(format!("`{written}` is not a number")))?;
        let comparison = comparison.unwrap_or(Comparison::Equal);
        return Ok(vec![match part {
            Some(part) => Matcher::TimePart(part, comparison, number),
            None => Matcher::Compare(comparison, number),
        }]);
    }
    let parts = match value {
        Literal::Text(text) => glob::parse(text),
        _ => vec![Part::Text(written.to_string())],
    };
    let stages = apply_modifiers(item, &written, parts)?;
    let cased = item.has(Modifier::Cased);
    Ok(stages.into_iter().map(|parts| finish(parts, cased, item.field.is_none())).collect())
}

fn apply_modifiers(item: &Item, written: &str, parts: Vec<Part>) -> Result<Vec<Vec<Part>>, Diagnostic> {
    let error = |text: String| Diagnostic::error(item.at, text);
    let mut stages = vec![Stage::Pattern(parts)];
    for modifier in &item.modifiers {
        let mut next = Vec::with_capacity(stages.len());
        for stage in stages {
            let bytes = |stage: Stage| match stage {
                Stage::Bytes(bytes) => Ok(bytes),
                Stage::Pattern(parts) => plain(parts)
                    .map(String::into_bytes)
                    .ok_or_else(|| error(format!("`{}` cannot encode the wildcards of `{written}`", modifier.name()))),
            };
            match modifier {
                Modifier::Contains => next.push(Stage::Pattern(surround(stage, true, true))),
                Modifier::StartsWith => next.push(Stage::Pattern(surround(stage, false, true))),
                Modifier::EndsWith => next.push(Stage::Pattern(surround(stage, true, false))),
                Modifier::Windash => {
                    let variants = encode::windash(&into_parts(stage));
                    let variants = variants.ok_or_else(|| error(format!("`{written}` has too many dashes")))?;
                    next.extend(variants.into_iter().map(Stage::Pattern));
                }
                Modifier::Utf16Le => next.push(Stage::Bytes(encode::utf16(&bytes(stage)?, false, false))),
                Modifier::Utf16Be => next.push(Stage::Bytes(encode::utf16(&bytes(stage)?, true, false))),
                Modifier::Utf16 => next.push(Stage::Bytes(encode::utf16(&bytes(stage)?, false, true))),
                Modifier::Base64 => next.push(text_stage(encode::base64(&bytes(stage)?))),
                Modifier::Base64Offset => {
                    next.extend(encode::base64_offsets(&bytes(stage)?).into_iter().map(text_stage));
                }
                Modifier::Expand => {
                    let parts = into_parts(stage);
                    if let Some(name) = parts.iter().find_map(placeholder) {
                        return Err(error(format!("placeholder `%{name}%` has no values here")));
                    }
                    next.push(Stage::Pattern(parts));
                }
                _ => next.push(stage),
            }
        }
        stages = next;
    }
    Ok(stages.into_iter().map(into_parts).collect())
}

fn text_stage(text: String) -> Stage {
    Stage::Pattern(vec![Part::Text(text)])
}

/// Encoded bytes that are not text are compared as if each byte were a character.
fn into_parts(stage: Stage) -> Vec<Part> {
    match stage {
        Stage::Pattern(parts) => parts,
        Stage::Bytes(bytes) => vec![Part::Text(
            String::from_utf8(bytes).unwrap_or_else(|error| error.as_bytes().iter().copied().map(char::from).collect()),
        )],
    }
}

fn surround(stage: Stage, before: bool, after: bool) -> Vec<Part> {
    let mut parts = into_parts(stage);
    if before && parts.first() != Some(&Part::Many) {
        parts.insert(0, Part::Many);
    }
    if after && parts.last() != Some(&Part::Many) {
        parts.push(Part::Many);
    }
    parts
}

/// The text of a pattern without wildcards.
fn plain(parts: Vec<Part>) -> Option<String> {
    parts
        .into_iter()
        .map(|part| match part {
            Part::Text(text) => Some(text),
            _ => None,
        })
        .collect()
}

fn placeholder(part: &Part) -> Option<&str> {
    let Part::Text(text) = part else { return None };
    let name = text.split('%').nth(1).filter(|_| text.matches('%').count() >= 2)?;
    (!name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))).then_some(name)
}

/// The simplest matcher for a pattern. A keyword is looked for anywhere in a text.
fn finish(parts: Vec<Part>, cased: bool, keyword: bool) -> Matcher {
    let mut parts = if keyword { surround(Stage::Pattern(parts), true, true) } else { parts };
    if parts == [Part::Many] {
        return Matcher::AnyValue;
    }
    if cased {
        return Matcher::CasedGlob(Glob::new(&parts));
    }
    for part in &mut parts {
        if let Part::Text(text) = part {
            let mut lower = String::with_capacity(text.len());
            lower_into(text, &mut lower);
            *text = lower;
        }
    }
    let text = |kind, text: &str| Matcher::Text { kind, literal: text.into() };
    match parts.as_slice() {
        [] => text(TextKind::Exact, ""),
        [Part::Text(one)] => text(TextKind::Exact, one),
        [Part::Many, Part::Text(one)] => text(TextKind::EndsWith, one),
        [Part::Text(one), Part::Many] => text(TextKind::StartsWith, one),
        [Part::Many, Part::Text(one), Part::Many] => text(TextKind::Contains, one),
        _ => Matcher::Glob(Glob::new(&parts)),
    }
}

fn regex(item: &Item, pattern: &str) -> Result<Matcher, Diagnostic> {
    let flags = Flags {
        ignore_case: item.has(Modifier::RegexIgnoreCase),
        multi_line: item.has(Modifier::RegexMultiline),
        dot_all: item.has(Modifier::RegexDotAll),
    };
    RegexBuilder::new(pattern)
        .case_insensitive(flags.ignore_case)
        .multi_line(flags.multi_line)
        .dot_matches_new_line(flags.dot_all)
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map(|regex| Matcher::Regex(regex, required(pattern, flags)))
        .map_err(|error| {
            let reason = match &error {
                regex::Error::CompiledTooBig(_) => "it would need too much memory; use smaller repetitions".to_owned(),
                other => other.to_string().lines().last().unwrap_or("").trim_start_matches("error: ").to_owned(),
            };
            Diagnostic::error(item.at, format!("cannot compile the expression `{pattern}`: {reason}"))
        })
}

fn comparison(item: &Item) -> Option<Comparison> {
    item.modifiers.iter().find_map(|modifier| match modifier {
        Modifier::Lt => Some(Comparison::Less),
        Modifier::Lte => Some(Comparison::LessOrEqual),
        Modifier::Gt => Some(Comparison::Greater),
        Modifier::Gte => Some(Comparison::GreaterOrEqual),
        _ => None,
    })
}

fn is_time_part(modifier: Modifier) -> bool {
    use Modifier::{Day, Hour, Minute, Month, Week, Year};
    matches!(modifier, Minute | Hour | Day | Week | Month | Year)
}

/// A part of a date as it is written; zones are not converted (appendix "Modifiers", "Time Modifiers"). Numbers are
/// seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size, in UTC.
fn time_part(value: &Value, part: Modifier) -> Option<f64> {
    let date = match value {
        Value::Text(text) => {
            let digits = text.get(..19).or_else(|| text.get(..10))?;
            digits.replacen(' ', "T", 1).parse::<jiff::civil::DateTime>().ok()?
        }
        Value::Integer(number) => {
            let nanos_per_unit: i128 = match number.unsigned_abs() {
                0..100_000_000_000 => 1_000_000_000,
                100_000_000_000..100_000_000_000_000 => 1_000_000,
                100_000_000_000_000..100_000_000_000_000_000 => 1_000,
                _ => 1,
            };
            let at = jiff::Timestamp::from_nanosecond(i128::from(*number) * nanos_per_unit).ok()?;
            at.to_zoned(jiff::tz::TimeZone::UTC).datetime()
        }
        _ => return None,
    };
    Some(match part {
        Modifier::Minute => f64::from(date.minute()),
        Modifier::Hour => f64::from(date.hour()),
        Modifier::Day => f64::from(date.day()),
        Modifier::Week => f64::from(date.date().iso_week_date().week()),
        Modifier::Month => f64::from(date.month()),
        _ => f64::from(date.year()),
    })
}
