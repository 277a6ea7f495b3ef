//! What is wrong with a file of rules, and where.

use std::fmt;
use std::path::PathBuf;

/// A place in a file. Lines and columns are counted from 1, columns in characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

impl Place {
    pub const START: Self = Self { line: 1, column: 1 };

    /// The place of a byte of `text`.
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        let number = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
        Self { line: number(line), column: number(column) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A rule or a whole file that is not in force. The others are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
#[error("{}:{at}: {message}", .path.display())]
pub struct RuleProblem {
    pub path: PathBuf,
    pub at: Place,
    /// Lower case, without a final full stop.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, offset: usize, line: u32, column: u32) {
        assert_eq!(Place::of(text, offset), Place { line, column }, "offset {offset} of {text:?}");
    }

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        check("rule", 0, 1, 1);
        check("a\nbc", 3, 2, 2);
        check("đổi x", 7, 1, 5);
        check("a", 99, 1, 2);
        check("", 0, 1, 1);
    }
}
