//! Texts without which an expression cannot match, so that it need not be tried on most values.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::value::lower_into;

/// Shorter ones are in nearly every value.
const LEN_MIN: usize = 3;

/// More of them cost more than they save.
const TEXTS_MAX: usize = 16;

/// How an expression is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flags {
    pub ignore_case: bool,
    pub multi_line: bool,
    pub dot_all: bool,
}

/// Texts in lower case of which at least one is in every value (in lower case) that the expression matches. None at all
/// if nothing useful is known.
pub(super) fn required(pattern: &str, flags: Flags) -> Box<[Box<str>]> {
    let mut parser = ParserBuilder::new();
    parser.case_insensitive(flags.ignore_case).multi_line(flags.multi_line).dot_matches_new_line(flags.dot_all);
    let texts = parser.build().parse(pattern).ok().and_then(|hir| any_of(&hir)).unwrap_or_default();
    texts.into_iter().map(String::into_boxed_str).collect()
}

/// Some of the texts; the shorter the shortest, the worse.
fn worth(texts: &[String]) -> (usize, std::cmp::Reverse<usize>) {
    (texts.iter().map(String::len).min().unwrap_or(0), std::cmp::Reverse(texts.len()))
}

fn any_of(hir: &Hir) -> Option<Vec<String>> {
    let texts = match hir.kind() {
        HirKind::Concat(parts) => {
            let mut best: Option<Vec<String>> = None;
            let mut run = String::new();
            let mut consider = |texts: Vec<String>| {
                if best.as_ref().is_none_or(|best| worth(best) < worth(&texts)) {
                    best = Some(texts);
                }
            };
            for part in parts {
                if exact(part, &mut run) {
                    continue;
                }
                consider(vec![std::mem::take(&mut run)]);
                any_of(part).into_iter().for_each(&mut consider);
            }
            consider(vec![run]);
            best?
        }
        HirKind::Alternation(parts) => {
            let each: Option<Vec<Vec<String>>> = parts.iter().map(any_of).collect();
            each?.concat()
        }
        HirKind::Capture(capture) => return any_of(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => return any_of(&repetition.sub),
        _ => {
            let mut text = String::new();
            exact(hir, &mut text).then(|| vec![text])?
        }
    };
    (texts.len() <= TEXTS_MAX && texts.iter().all(|text| text.len() >= LEN_MIN)).then_some(texts)
}

/// Appends the only text (in lower case) that the expression matches; appends nothing if there are several.
fn exact(hir: &Hir, out: &mut String) -> bool {
    let begin = out.len();
    let single = match hir.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).map(|text| lower_into(text, out)).is_ok(),
        HirKind::Class(Class::Unicode(class)) => {
            // A letter in both cases, and nothing that stays another letter in lower case (`ſ` is one for `s`).
            let mut letters = class.iter().flat_map(|range| range.start()..=range.end()).take(4).map(lower);
            let first = letters.next();
            let same = first.is_some() && letters.all(|letter| Some(letter) == first);
            out.push_str(first.filter(|_| same).as_deref().unwrap_or_default());
            same
        }
        HirKind::Concat(parts) => parts.iter().all(|part| exact(part, out)),
        HirKind::Capture(capture) => exact(&capture.sub, out),
        // Places, which are no text, do not tear one apart.
        HirKind::Look(_) | HirKind::Empty => true,
        _ => false,
    };
    if !single {
        out.truncate(begin);
    }
    single
}

fn lower(letter: char) -> String {
    letter.to_lowercase().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, expected: &[&str]) {
        let flags = Flags { ignore_case: false, multi_line: false, dot_all: false };
        let found = required(pattern, flags);
        assert_eq!(found.iter().map(|text| &**text).collect::<Vec<_>>(), expected, "{pattern}");
    }

    #[test]
    fn what_an_expression_needs() {
        check("net\\s+stop SuperBackupMan", &["stop superbackupman"]);
        check("cmd.{0,5}(?:/c|/r).+powershell.+(?:input|noexit)", &["powershell"]);
        check("(?i)invoke-(expression|command)", &["invoke-"]);
        check("(?i)clipboard", &["clipboard"]);
        // The Kelvin sign is `k` in lower case, the long `ſ` stays what it is.
        check("(?i)mark-sky", &["mark-"]);
        check("(foo|barbar|quux)+", &["foo", "barbar", "quux"]);
        check("(foo|ba|quux)+", &[]);
        check("(foobar)?x{2,}", &[]);
        check("^\\\\Device\\b", &["\\device"]);
        check("[a-f0-9]{64}", &[]);
        check("", &[]);
        check("(", &[]);
    }

    #[test]
    fn a_value_that_matches_has_one_of_them() {
        let letters = ["a", "B", "s", "ſ", "K", "k", "é", "É", "-"];
        for pattern in ["(?i)ask", "(?i)éBk|sa-", "a.sſ?K-a|B+", "(?i)(k|s)aé(b)"] {
            let regex = regex::Regex::new(pattern).unwrap();
            let flags = Flags { ignore_case: false, multi_line: false, dot_all: false };
            let needed = required(pattern, flags);
            // Every text of four of the letters.
            for number in 0..letters.len().pow(4) {
                let text: String =
                    (0..4_u32).map(|place| letters[number / letters.len().pow(place) % letters.len()]).collect();
                let mut lowered = String::new();
                lower_into(&text, &mut lowered);
                if regex.is_match(&text) && !needed.is_empty() {
                    assert!(needed.iter().any(|needed| lowered.contains(&**needed)), "{pattern} in {text}: {needed:?}");
                }
            }
        }
    }
}
