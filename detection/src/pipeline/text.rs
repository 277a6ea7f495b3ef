//! A value of a rule as a pipeline sees it: with the wildcards that its modifiers stand for, escapes read.

use crate::matching::{Part, parse_glob};
use crate::rule::{Item, Literal, Modifier};

/// Modifiers whose values are no plain texts.
const NOT_TEXT: &[Modifier] = &[
    Modifier::Re,
    Modifier::Cidr,
    Modifier::Exists,
    Modifier::FieldRef,
    Modifier::Lt,
    Modifier::Lte,
    Modifier::Gt,
    Modifier::Gte,
    Modifier::Minute,
    Modifier::Hour,
    Modifier::Day,
    Modifier::Week,
    Modifier::Month,
    Modifier::Year,
];

/// Modifiers that make another text of a value, which a pipeline would have to see.
const ENCODING: &[Modifier] = &[
    Modifier::Windash,
    Modifier::Base64,
    Modifier::Base64Offset,
    Modifier::Utf16Le,
    Modifier::Utf16Be,
    Modifier::Utf16,
];

/// Modifiers that are wildcards.
pub(super) const AROUND: &[Modifier] = &[Modifier::Contains, Modifier::StartsWith, Modifier::EndsWith];

pub(super) fn is_text(item: &Item) -> bool {
    !NOT_TEXT.iter().any(|modifier| item.has(*modifier))
}

pub(super) fn encoding(item: &Item) -> Option<Modifier> {
    ENCODING.iter().copied().find(|modifier| item.has(*modifier))
}

/// The pieces of a text value, `None` if it is no text.
pub(super) fn parts(item: &Item, value: &Literal) -> Option<Vec<Part>> {
    let Literal::Text(text) = value else { return None };
    if !is_text(item) {
        return None;
    }
    let mut parts = parse_glob(text);
    let (contains, starts, ends) =
        (item.has(Modifier::Contains), item.has(Modifier::StartsWith), item.has(Modifier::EndsWith));
    if (contains || ends) && parts.first() != Some(&Part::Many) {
        parts.insert(0, Part::Many);
    }
    if (contains || starts) && parts.last() != Some(&Part::Many) {
        parts.push(Part::Many);
    }
    Some(parts)
}

/// For comparison: wildcards as `*` and `?`, nothing escaped.
pub(super) fn shown(parts: &[Part]) -> String {
    let each = parts.iter().map(|part| match part {
        Part::Text(text) => text.as_str(),
        Part::Many => "*",
        Part::One => "?",
    });
    each.collect()
}

/// For expressions that replace: like [`shown`], but a backslash before `*` and `?` says whether that is a wildcard.
/// Backslashes elsewhere are single, so that expressions can be written over them.
pub(super) fn marked(parts: &[Part]) -> String {
    let mut out = String::new();
    let mut backslashes = 0;
    let special = |out: &mut String, backslashes: &mut usize, c: char, escaped: bool| {
        out.extend(std::iter::repeat_n('\\', *backslashes + usize::from(escaped)));
        out.push(c);
        *backslashes = 0;
    };
    for part in parts {
        match part {
            Part::Many => special(&mut out, &mut backslashes, '*', false),
            Part::One => special(&mut out, &mut backslashes, '?', false),
            Part::Text(text) => {
                for c in text.chars() {
                    match c {
                        '\\' => {
                            out.push(c);
                            backslashes += 1;
                        }
                        '*' | '?' => special(&mut out, &mut backslashes, c, true),
                        other => {
                            out.push(other);
                            backslashes = 0;
                        }
                    }
                }
            }
        }
    }
    out
}

/// The pattern, as a rule writes it, of a text as [`marked`] makes it.
pub(super) fn unmarked(text: &str) -> String {
    let mut out = String::new();
    let mut backslashes = 0;
    for c in text.chars() {
        match c {
            '\\' => backslashes += 1,
            // The run says the same in a rule: two are one backslash, one more is an escape.
            '*' | '?' => {
                out.extend(std::iter::repeat_n('\\', backslashes));
                out.push(c);
                backslashes = 0;
            }
            other => {
                out.extend(std::iter::repeat_n('\\', backslashes * 2));
                out.push(other);
                backslashes = 0;
            }
        }
    }
    out.extend(std::iter::repeat_n('\\', backslashes * 2));
    out
}

/// The pattern that means these pieces.
pub(super) fn written(parts: &[Part]) -> String {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Many => out.push('*'),
            Part::One => out.push('?'),
            Part::Text(text) => {
                for c in text.chars() {
                    if matches!(c, '\\' | '*' | '?') {
                        out.push('\\');
                    }
                    out.push(c);
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Neither way of writing changes what a pattern means.
        #[test]
        fn patterns_survive(text in r"[a\\*?]{0,12}") {
            let parts = parse_glob(&text);
            prop_assert_eq!(parse_glob(&unmarked(&marked(&parts))), parts.clone());
            prop_assert_eq!(parse_glob(&written(&parts)), parts);
        }
    }
}
