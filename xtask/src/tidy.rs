//! Tidiness that a machine can see: heads of files, lengths, words that promise work instead of doing it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::tree;

/// Lines that a file of code may have. Tests, tables and generated code may be longer; see [`may_be_long`].
const LINES_MAX: usize = 500;
const ARCHITECTURE_LINES_MAX: usize = 300;

/// Written in halves, so that this file passes its own check.
const MARKS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
];

const VAGUE_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc"];

pub(crate) fn problems(files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for path in files {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if VAGUE_NAMES.contains(&stem) {
            problems.push(format!("{}: name the file after what it holds", path.display()));
        }
        if is_code(path) {
            let text = fs::read_to_string(tree::root().join(path))
                .with_context(|| format!("cannot read `{}`", path.display()))?;
            problems.extend(problems_of(path, &text));
        }
    }
    let architecture =
        fs::read_to_string(tree::root().join("ARCHITECTURE.md")).context("cannot read `ARCHITECTURE.md`")?;
    if architecture.lines().count() > ARCHITECTURE_LINES_MAX {
        problems.push(format!("ARCHITECTURE.md: longer than {ARCHITECTURE_LINES_MAX} lines"));
    }
    Ok(problems)
}

fn problems_of(path: &Path, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let shown = path.display();
    if extension(path) == "rs" && !text.starts_with("//!") {
        problems.push(format!("{shown}:1: a file begins with `//!`: what it is for, what it does not do"));
    }
    let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
    if lines > LINES_MAX && !may_be_long(path) {
        problems.push(format!(
            "{shown}: {lines} lines before the tests, at most {LINES_MAX}; split it where a reader would"
        ));
    }
    for (number, line) in text.lines().enumerate() {
        for mark in MARKS.iter().filter(|mark| has_word(line, mark)) {
            problems.push(format!("{shown}:{}: `{mark}` promises work; do it or open an issue", number + 1));
        }
    }
    problems
}

/// Whether `word` stands in the line with no letter right before or after it.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

fn is_code(path: &Path) -> bool {
    matches!(extension(path), "rs" | "ts" | "tsx" | "mjs" | "css" | "sh") && !is_generated(path)
}

fn is_generated(path: &Path) -> bool {
    path.ends_with("schema.d.ts")
}

/// Tests, tables of data and message catalogues: one self-contained thing each.
fn may_be_long(path: &Path) -> bool {
    let text = path.to_string_lossy();
    ["/tests/", "/tests.rs", "/i18n/", "/test/", ".test.ts", "catalogue.rs", "messages/src/", "/mapping/", "_table.rs"]
        .iter()
        .any(|part| text.contains(part))
        || text.starts_with("tests/")
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let files = tree::files().expect("git lists the files of a checkout");
        assert_eq!(problems(&files).expect("every file can be read"), Vec::<String>::new());
    }

    #[track_caller]
    fn check(name: &str, text: &str, expected: &[&str]) {
        assert_eq!(problems_of(Path::new(name), text), expected, "file: {name}");
    }

    #[test]
    fn what_is_found() {
        check("a.rs", "//! Head.\n", &[]);
        check("a.rs", "fn main() {}\n", &["a.rs:1: a file begins with `//!`: what it is for, what it does not do"]);
        let mark = MARKS[0];
        let expected = format!("a.ts:1: `{mark}` promises work; do it or open an issue");
        check("a.ts", &format!("// {mark}: later\n"), &[&expected]);
        check("a.ts", &format!("const {mark}s = 1\n"), &[]);
    }
}
