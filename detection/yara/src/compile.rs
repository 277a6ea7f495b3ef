//! Compiles files of rules. A rule that does not compile is taken out and the rest of its file is compiled all the same.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use boreal::compiler::{AddRuleError, CompilerBuilder, CompilerParams};
use boreal::module::{Dex, Dotnet, Elf, Hash, MachO, Math, Pe, String_};
use boreal_parser::file::YaraFileComponent;
use regex::Regex;
use sha2::{Digest, Sha256};

use crate::load::{RuleFile, RuleFiles};
use crate::problem::{Place, RuleProblem};
use crate::scan::Scanner;

/// The variables that public rules take from outside, all of them texts. See [`crate::SampleInfo`].
pub(crate) const EXTERNALS: [&str; 5] = ["filename", "filepath", "extension", "filetype", "owner"];

/// Rules of one file that are taken out before the file is given up.
const TRIES_MAX: usize = 64;

/// What became of the files.
#[derive(Debug)]
pub struct Compiled {
    pub scanner: Scanner,
    /// Files that were read, those with problems included.
    pub files: usize,
    /// Rules in force.
    pub rules: usize,
    /// What is not in force, and why, ordered by place.
    pub problems: Vec<RuleProblem>,
    /// Stands for everything that a result depends on beside the sample: the texts of the rules, and this program.
    pub rules_hash: [u8; 32],
    /// What of [`crate::SampleInfo`] the texts mention. Only a difference in these can make a difference in the result.
    pub asked: BTreeSet<Asked>,
}

/// What rules may ask about a sample beside its bytes; the type of the file follows from its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Asked {
    Filename,
    Filepath,
    Extension,
    Owner,
}

/// Goes up when the same rules give other results because this crate or its engine changed.
const RESULTS_VERSION: u32 = 1;

impl RuleFiles {
    /// Compiles what was read. Includes are off: a file of rules names no other file on this machine.
    pub fn compile(self) -> Compiled {
        self.compile_ref()
    }

    pub(crate) fn compile_ref(&self) -> Compiled {
        let mut compiler = compiler();
        let mut problems = self.problems.clone();
        for file in &self.files {
            add_file(&mut compiler, file, &mut problems);
        }
        problems.sort();
        let scanner = Scanner::new(compiler.finalize());
        Compiled {
            rules: scanner.rule_count(),
            scanner,
            files: self.files.len(),
            problems,
            rules_hash: self.hash(),
            asked: self.asked(),
        }
    }

    fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(RESULTS_VERSION.to_le_bytes());
        hash.update(env!("CARGO_PKG_VERSION"));
        for text in self.files.iter().flat_map(|file| [&file.namespace, &file.text]) {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        hash.finalize().into()
    }

    /// A word in a comment counts as well: that costs a scan, and never a wrong result.
    fn asked(&self) -> BTreeSet<Asked> {
        const WORDS: [(&str, Asked); 4] = [
            ("filename", Asked::Filename),
            ("filepath", Asked::Filepath),
            ("extension", Asked::Extension),
            ("owner", Asked::Owner),
        ];
        let mentions = |word: &str| self.files.iter().any(|file| has_word(&file.text, word));
        WORDS.into_iter().filter(|(word, _)| mentions(word)).map(|(_, asked)| asked).collect()
    }
}

fn has_word(text: &str, word: &str) -> bool {
    let joins = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !joins(before.chars().next_back()) && !joins(after.chars().next())
    })
}

fn compiler() -> boreal::Compiler {
    // Without `time`, which would make a result depend on a clock, and without `console`, which prints.
    let builder = CompilerBuilder::default().add_module(Math).add_module(String_).add_module(Hash);
    let builder = builder.add_module(Pe).add_module(Elf).add_module(MachO).add_module(Dotnet).add_module(Dex);
    let mut compiler = builder.build();
    compiler.set_params(CompilerParams::default().disable_includes(true));
    for name in EXTERNALS {
        compiler.define_symbol(name, "");
    }
    compiler
}

/// Text with everything of `range` blanked, so that what follows keeps its places.
fn blank(text: &str, range: std::ops::Range<usize>) -> String {
    let bytes = text.bytes().enumerate();
    let bytes = bytes.map(|(at, byte)| if range.contains(&at) && byte != b'\n' { b' ' } else { byte });
    // The ranges end where a rule begins, so no character is cut in two; if one were, the parser would say so.
    String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
}

fn add_file(compiler: &mut boreal::Compiler, file: &RuleFile, problems: &mut Vec<RuleProblem>) {
    let mut text = file.text.clone();
    let mut refuse = |at: Place, message: String| problems.push(RuleProblem { path: file.path.clone(), at, message });
    for _ in 0..TRIES_MAX {
        let Err(error) = compiler.add_rules_str_in_namespace(&text, &file.namespace) else { return };
        let (offset, message) = explain(&error);
        refuse(Place::of(&text, offset), message);
        let Some(rest) = without(&text, offset) else { return };
        text = rest;
    }
    refuse(Place::START, format!("{TRIES_MAX} rules of this file do not compile; the rest of it is not loaded"));
}

/// Where the error is, and its words.
fn explain(error: &AddRuleError) -> (usize, String) {
    let diagnostic = error.to_diagnostic();
    let label = diagnostic.labels.iter().min_by_key(|label| label.range.start);
    let mut message = diagnostic.message.clone();
    if let Some(label) = label.filter(|label| !label.message.is_empty()) {
        message = format!("{message}: {}", label.message);
    }
    (label.map_or(0, |label| label.range.start), message)
}

/// The text that is still to be compiled after an error at `offset`. `None` if there is nothing left.
fn without(text: &str, offset: usize) -> Option<String> {
    match boreal_parser::parse(text) {
        // The text can be read, so everything before the error is compiled already, and the part with the error ends
        // where the next one begins.
        Ok(file) => {
            let starts = file.components.iter().map(|component| start(text, component));
            starts.filter(|start| *start > offset).min().map(|next| blank(text, 0..next))
        }
        // Nothing of it is compiled. The rule that cannot be read goes.
        Err(_) => without_unreadable(text, offset),
    }
}

fn start(text: &str, component: &YaraFileComponent) -> usize {
    match component {
        YaraFileComponent::Include(include) => include.span.start,
        YaraFileComponent::Import(import) => import.span.start,
        // The name is known; `rule`, `private` and `global` stand before it.
        YaraFileComponent::Rule(rule) => {
            let mut start = rule.name_span.start;
            for word in ["rule", "private", "global", "private"] {
                let before = text.get(..start).unwrap_or_default().trim_end();
                if let Some(rest) = before.strip_suffix(word) {
                    start = rest.len();
                }
            }
            start
        }
    }
}

/// Lines on which a rule probably begins.
static RULE_LINE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?m)^[ \t]*(?:(?:private|global)[ \t]+)*rule[ \t]+[A-Za-z_]").ok());

fn without_unreadable(text: &str, offset: usize) -> Option<String> {
    let lines = RULE_LINE.as_ref()?.find_iter(text).map(|found| found.start());
    // An error at the first word of a rule is usually about the end of the one before.
    let word = |start: &usize| text.get(*start..).map_or(*start, |rest| text.len() - rest.trim_start().len());
    let mut starts: Vec<usize> = lines.collect();
    starts.push(text.len());
    let next = starts.iter().position(|start| word(start) >= offset)?;
    let at = next.checked_sub(1);
    let (from, to) = match at {
        Some(at) if word(&starts[next]) == offset && next + 1 < starts.len() => (starts[at], starts[next]),
        Some(at) => (starts[at], starts[next]),
        // Before the first rule, or the first rule itself when nothing readable stands before it.
        None if word(&starts[next]) == offset => (starts[next], *starts.get(next + 1)?),
        None => (0, starts[next]),
    };
    let rest = blank(text, from..to);
    (rest.trim() != "" && rest != text).then_some(rest)
}

/// Adds one text, for tests and fuzzing.
pub(crate) fn one(text: &str) -> Compiled {
    let mut files = RuleFiles::default();
    files.add(Path::new("test.yar"), "test", text.to_owned());
    files.compile()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, rules: usize, problems: &[(u32, u32, &str)]) {
        let compiled = one(text);
        let found: Vec<(u32, u32, &str)> = compiled
            .problems
            .iter()
            .map(|problem| (problem.at.line, problem.at.column, problem.message.as_str()))
            .collect();
        assert_eq!((compiled.rules, found), (rules, problems.to_vec()), "text: {text}");
    }

    #[test]
    fn a_rule_that_does_not_compile_does_not_stop_its_neighbours() {
        check("rule a { condition: true }", 1, &[]);
        check(
            "rule a { condition: true }\nrule b { condition: $x }\nprivate  rule c { condition: a }",
            2,
            &[(2, 21, "unknown variable $x")],
        );
        check(
            "rule a { condition: a_word }\nimport \"pe\"\nrule b { condition: pe.is_pe }",
            1,
            &[(1, 21, "unknown identifier \"a_word\"")],
        );
    }

    #[test]
    fn a_rule_that_cannot_be_read_does_not_stop_its_neighbours() {
        check(
            "rule a { condition: true }\nrule b { condition: ( }\nrule c { condition: true }",
            2,
            &[(2, 23, "syntax error")],
        );
        check(
            "rule a { condition: true \nrule b { condition: true }\nrule c { condition: b }",
            2,
            &[(2, 1, "syntax error")],
        );
        check("what is this\nrule b { condition: true }", 1, &[(1, 1, "syntax error")]);
        check("rule", 0, &[(1, 5, "syntax error")]);
    }

    #[test]
    fn what_the_rules_ask_and_their_hash_follow_from_the_texts() {
        use Asked::{Extension, Filename, Owner};
        for (condition, asked) in [
            ("true", vec![]),
            ("filename == \"a\"", vec![Filename]),
            ("filesize > 1 and owner == \"www-data\" and extension == \".php\"", vec![Extension, Owner]),
            ("a_filename", vec![]),
            ("true // the filename", vec![Filename]),
        ] {
            let found = one(&format!("rule a {{ condition: {condition}\n}}")).asked;
            assert_eq!(found.into_iter().collect::<Vec<_>>(), asked, "condition: {condition}");
        }
        let hash = |text| one(text).rules_hash;
        assert_eq!(hash("rule a { condition: true }"), hash("rule a { condition: true }"));
        assert_ne!(hash("rule a { condition: true }"), hash("rule a { condition: false }"));
    }

    #[test]
    fn nothing_outside_the_file_is_read() {
        check("include \"/etc/passwd\"\nrule b { condition: true }", 1, &[(1, 1, "includes are not allowed")]);
        check(
            "import \"time\"\nrule b { condition: time.now() > 0 }",
            0,
            &[(1, 1, "unknown import time"), (2, 21, "unknown identifier \"time\"")],
        );
    }
}
