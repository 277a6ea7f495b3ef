//! What is wrong with a rule, and where. Does not decide what to do about it.

use std::fmt;
use std::path::PathBuf;

/// A place in a rule's text. Lines and columns are counted from 1, columns in characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

impl Place {
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Whether the rule still runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// The rule is not loaded.
    Error,
    /// The rule is loaded; something in it is probably not meant as it stands.
    Warning,
}

/// One thing that is wrong with a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    pub severity: Severity,
    pub at: Place,
    /// Lower case, without a final full stop; values in back-ticks.
    pub message: String,
    /// The word that was probably meant.
    pub suggestion: Option<String>,
}

impl Diagnostic {
    pub(crate) fn error(at: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, at, message: message.into(), suggestion: None }
    }

    pub(crate) fn warning(at: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, at, message: message.into(), suggestion: None }
    }

    #[must_use]
    pub(crate) fn suggest(mut self, word: Option<&str>) -> Self {
        self.suggestion = word.map(str::to_owned);
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)?;
        match &self.suggestion {
            Some(word) => write!(f, "; did you mean `{word}`?"),
            None => Ok(()),
        }
    }
}

/// A diagnostic with the file that it is about. Prints as `file:line:column: message`.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}:{diagnostic}", .path.display())]
pub struct RuleError {
    pub path: PathBuf,
    pub diagnostic: Diagnostic,
}

/// The word of `known` that is most like `word`, if any is like it at all.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let limit = 1 + lower.chars().count() / 3;
    known
        .into_iter()
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits of one character that turn `a` into `b` (Levenshtein). Words longer than 64 characters are never alike.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let cost = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expected: Option<&str>) {
        assert_eq!(nearest(word, ["contains", "startswith", "re"]), expected, "word: {word:?}");
    }

    #[test]
    fn suggestions() {
        check("contain", Some("contains"));
        check("Startwith", Some("startswith"));
        check("regexp", None);
        check("", None);
    }
}
