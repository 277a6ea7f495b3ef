//! Gives values the type of their field: addresses, numbers, times, ranges of them. What does not fit is refused.

use std::net::IpAddr;
use std::ops::Bound;

use canh_schema::{FieldKind, Timestamp};
use ipnet::IpNet;

use super::error::HuntError;
use super::evaluate::address_number;
use super::parser::Parser;
use super::pattern::{Sign, Wildcard};
use super::phrase::Phrase;
use super::scan::Raw;
use super::tree::{Literal, Test};
use crate::field::FieldRef;
use crate::tokens::fold_case;

impl Parser<'_> {
    /// A value in quotes: no wildcards.
    pub(super) fn exactly(&self, field: &FieldRef, text: &str, start: usize) -> Result<Test, HuntError> {
        match field.kind() {
            Some(FieldKind::Text) => Phrase::of_text(text).map(Test::Words).ok_or_else(|| self.no_words(start)),
            Some(
                kind @ (FieldKind::Ip | FieldKind::Integer | FieldKind::Float | FieldKind::Time | FieldKind::Bool),
            ) => self.typed(field, kind, text, start),
            Some(FieldKind::Keyword) | None => Ok(Test::Is(Literal::new(text))),
        }
    }

    /// A value as it was written, perhaps with wildcards.
    pub(super) fn written(&self, field: &FieldRef, raw: &Raw) -> Result<Test, HuntError> {
        if raw.is_any() {
            return Ok(Test::Exists);
        }
        if field.kind() == Some(FieldKind::Text) {
            let phrase = Phrase::of_signs(&raw.signs);
            return match phrase.is_empty() {
                false => Ok(Test::Words(phrase)),
                true if raw.signs.contains(&Sign::Any) => Ok(Test::Exists),
                true => Err(self.no_words(raw.start)),
            };
        }
        let Some(text) = raw.literal() else {
            return match field.kind() {
                Some(kind @ (FieldKind::Integer | FieldKind::Float | FieldKind::Time | FieldKind::Bool)) => {
                    let message = format!("`{field}` holds a {}, which wildcards do not fit", kind.name());
                    Err(self.error(raw.start, message).suggest(format!("use a range such as `{field}:[400 TO 499]`")))
                }
                _ => Ok(Test::Like(Wildcard::new(folded(&raw.signs)))),
            };
        };
        if field.kind().is_none()
            && let Ok(net) = text.parse::<IpNet>()
        {
            return Ok(Test::Net(net.trunc()));
        }
        self.exactly(field, &text, raw.start)
    }

    fn typed(&self, field: &FieldRef, kind: FieldKind, text: &str, start: usize) -> Result<Test, HuntError> {
        let test = match kind {
            FieldKind::Ip => text
                .parse::<IpNet>()
                .map(|net| net.trunc())
                .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
                .map(Test::Net)
                .ok(),
            FieldKind::Integer => text.parse().ok().map(|number| Test::Integer { first: number, last: number }),
            FieldKind::Float => finite(text)
                .map(|number| Test::Float { lower: Bound::Included(number), upper: Bound::Included(number) }),
            FieldKind::Time => time_span(text).map(|(first, last)| Test::Time { first, last }),
            FieldKind::Bool => {
                matches!(text.to_ascii_lowercase().as_str(), "true" | "false").then(|| Test::Is(Literal::new(text)))
            }
            FieldKind::Keyword | FieldKind::Text => None,
        };
        test.ok_or_else(|| self.mistyped(field, kind, text, start))
    }

    fn mistyped(&self, field: &FieldRef, kind: FieldKind, text: &str, start: usize) -> HuntError {
        let (what, example) = match kind {
            FieldKind::Ip => ("an address or network", "10.0.0.0/8"),
            FieldKind::Integer => ("a whole number", "443"),
            FieldKind::Float => ("a number", "0.5"),
            FieldKind::Time => ("a time", "2026-01-31T08:00:00+07:00"),
            FieldKind::Bool => ("`true` or `false`", "true"),
            FieldKind::Keyword | FieldKind::Text => ("a text", "\"a text\""),
        };
        self.error(start, format!("`{text}` is not {what}, and `{field}` holds nothing else"))
            .suggest(format!("write for example `{field}:{example}`"))
    }

    pub(super) fn between(
        &self,
        field: &FieldRef,
        lower: Bound<String>,
        upper: Bound<String>,
        start: usize,
    ) -> Result<Test, HuntError> {
        let kind = field.kind();
        let wrong = |kind: FieldKind| move |text: &str| self.mistyped(field, kind, text, start);
        if lower == Bound::Unbounded && upper == Bound::Unbounded {
            return Ok(Test::Exists);
        }
        match kind {
            Some(FieldKind::Integer) => {
                let read = |text: &str| text.parse::<i64>().ok().map(|number| (number, number));
                let (first, last) = span(&lower, &upper, read).map_err(|text| wrong(FieldKind::Integer)(&text))?;
                Ok(Test::Integer { first, last })
            }
            Some(FieldKind::Time) => {
                let (first, last) = span(&lower, &upper, time_span).map_err(|text| wrong(FieldKind::Time)(&text))?;
                Ok(Test::Time { first, last })
            }
            Some(FieldKind::Ip) => {
                let read =
                    |bound: Bound<String>| try_map(bound, |text| text.parse::<IpAddr>().ok().map(address_number));
                let lower = read(lower).map_err(|text| wrong(FieldKind::Ip)(&text))?;
                let upper = read(upper).map_err(|text| wrong(FieldKind::Ip)(&text))?;
                Ok(addresses(lower, upper))
            }
            Some(FieldKind::Float) => {
                let lower = try_map(lower, finite).map_err(|text| wrong(FieldKind::Float)(&text))?;
                let upper = try_map(upper, finite).map_err(|text| wrong(FieldKind::Float)(&text))?;
                Ok(Test::Float { lower, upper })
            }
            Some(kind @ (FieldKind::Text | FieldKind::Bool)) => Err(self
                .error(start, format!("`{field}` holds a {}, which ranges do not fit", kind.name()))
                .suggest("search for words")),
            Some(FieldKind::Keyword) | None => {
                Ok(Test::Between { lower: lower.map(Literal::new), upper: upper.map(Literal::new) })
            }
        }
    }
}

fn folded(signs: &[Sign]) -> Vec<Sign> {
    let mut folded = Vec::with_capacity(signs.len());
    // Run by run, because a letter and its accent may be signs of their own.
    let mut run = String::new();
    let end_run = |run: &mut String, folded: &mut Vec<Sign>| {
        folded.extend(fold_case(run).chars().map(Sign::Char));
        run.clear();
    };
    for sign in signs {
        match *sign {
            Sign::Char(sign) => run.push(sign),
            other => {
                end_run(&mut run, &mut folded);
                folded.push(other);
            }
        }
    }
    end_run(&mut run, &mut folded);
    folded
}

fn finite(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// The first and last nanosecond that a text names: a point in time, or a whole day in UTC.
fn time_span(text: &str) -> Option<(i64, i64)> {
    if let Some(at) = Timestamp::parse_rfc3339(text) {
        return Some((at.nanos(), at.nanos()));
    }
    let day = text.parse::<jiff::civil::Date>().ok()?.at(0, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    let first = Timestamp::from(day.timestamp()).nanos();
    Some((first, first.saturating_add(86_400_000_000_000 - 1)))
}

/// Two bounds as a range with both ends included. `read` gives the first and last number that a text stands for.
/// An empty range is `1..=0`.
fn span(
    lower: &Bound<String>,
    upper: &Bound<String>,
    read: impl Fn(&str) -> Option<(i64, i64)>,
) -> Result<(i64, i64), String> {
    let number = |text: &String| read(text).ok_or_else(|| text.clone());
    let first = match lower {
        Bound::Unbounded => Some(i64::MIN),
        Bound::Included(text) => Some(number(text)?.0),
        Bound::Excluded(text) => number(text)?.1.checked_add(1),
    };
    let last = match upper {
        Bound::Unbounded => Some(i64::MAX),
        Bound::Included(text) => Some(number(text)?.1),
        Bound::Excluded(text) => number(text)?.0.checked_sub(1),
    };
    Ok(first.zip(last).unwrap_or((1, 0)))
}

fn addresses(lower: Bound<u128>, upper: Bound<u128>) -> Test {
    let first = match lower {
        Bound::Unbounded => Some(0),
        Bound::Included(number) => Some(number),
        Bound::Excluded(number) => number.checked_add(1),
    };
    let last = match upper {
        Bound::Unbounded => Some(u128::MAX),
        Bound::Included(number) => Some(number),
        Bound::Excluded(number) => number.checked_sub(1),
    };
    let (first, last) = first.zip(last).unwrap_or((1, 0));
    Test::Addresses { first, last }
}

fn try_map<T>(bound: Bound<String>, read: impl Fn(&str) -> Option<T>) -> Result<Bound<T>, String> {
    let read = |text: String| read(&text).ok_or(text);
    Ok(match bound {
        Bound::Unbounded => Bound::Unbounded,
        Bound::Included(text) => Bound::Included(read(text)?),
        Bound::Excluded(text) => Bound::Excluded(read(text)?),
    })
}
