//! Patterns: wildcards and bounded regular expressions.

use compact_str::CompactString;
use regex::{Regex, RegexBuilder};

/// One sign of a word as it was written, special meanings resolved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sign {
    Char(char),
    /// `?`
    One,
    /// `*`
    Any,
}

/// A text with `*` and `?` in it, in lower case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wildcard {
    signs: Vec<Sign>,
}

impl Wildcard {
    /// `signs` must be folded already by whoever knows how the text to compare with is folded.
    pub(super) fn new(mut signs: Vec<Sign>) -> Self {
        signs.dedup_by(|right, left| *right == Sign::Any && *left == Sign::Any);
        Self { signs }
    }

    pub(super) fn signs(&self) -> &[Sign] {
        &self.signs
    }

    /// Whether it fits anything at all.
    pub fn is_any(&self) -> bool {
        self.signs == [Sign::Any]
    }

    /// What every text that fits begins with.
    pub fn prefix(&self) -> String {
        self.signs
            .iter()
            .map_while(|sign| match sign {
                Sign::Char(sign) => Some(*sign),
                Sign::One | Sign::Any => None,
            })
            .collect()
    }

    /// Whether a folded text fits. Takes time in proportion to both lengths multiplied, at worst.
    pub fn matches(&self, text: &str) -> bool {
        let mut text = text.chars();
        let mut at = 0;
        // Where to go on when what follows the last `*` does not fit.
        let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let before = text.clone();
            match (self.signs.get(at), text.next()) {
                (Some(Sign::Any), _) => {
                    at += 1;
                    if at == self.signs.len() {
                        return true;
                    }
                    text = before.clone();
                    retry = Some((at, before));
                    continue;
                }
                (Some(Sign::One), Some(_)) => at += 1,
                (Some(Sign::Char(sign)), Some(found)) if *sign == found => at += 1,
                (None, None) => return true,
                _ => {
                    let Some((start, mut rest)) = retry.take() else { return false };
                    if rest.next().is_none() {
                        return false;
                    }
                    at = start;
                    text = rest.clone();
                    retry = Some((start, rest));
                }
            }
        }
    }
}

/// A regular expression, bounded in size, found anywhere in a text in lower case.
#[derive(Clone, Debug)]
pub struct Regexp {
    source: CompactString,
    regex: Regex,
}

impl Regexp {
    const COMPILED_LEN_MAX: usize = 1 << 20;

    pub(super) fn new(source: &str) -> Result<Self, regex::Error> {
        let regex = RegexBuilder::new(source)
            .case_insensitive(true)
            .size_limit(Self::COMPILED_LEN_MAX)
            .dfa_size_limit(Self::COMPILED_LEN_MAX)
            .nest_limit(64)
            .build()?;
        Ok(Self { source: source.into(), regex })
    }

    /// As it was written between the slashes.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it is found in a folded text.
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl PartialEq for Regexp {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}
