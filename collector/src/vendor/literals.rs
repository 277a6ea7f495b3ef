//! Which sources a line is worth asking: by its first byte, and by the texts that it has.

use aho_corasick::{AhoCorasick, BuildError};
use canh_schema::Event;
use compact_str::CompactString;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::source::{Recognition, Source};
use crate::format::Context;

/// How far into a line the texts are looked for, in bytes, and how many that are found are followed.
const HEAD_LEN_MAX: usize = 2_048;
const LITERALS_MAX: usize = 16;

/// Texts of many sources, looked for at once.
#[derive(Debug, Default)]
pub(super) struct Literals {
    texts: Option<AhoCorasick>,
    /// Sources by the number of the text.
    sources: Vec<Vec<usize>>,
}

impl Literals {
    pub(super) fn new(wanted: Vec<(CompactString, usize)>) -> Result<Self, BuildError> {
        let mut texts: Vec<CompactString> = Vec::new();
        let mut sources: Vec<Vec<usize>> = Vec::new();
        for (text, number) in wanted {
            match texts.iter().position(|known| *known == text) {
                Some(at) => sources[at].push(number),
                None => {
                    texts.push(text);
                    sources.push(vec![number]);
                }
            }
        }
        let found = match texts.is_empty() {
            true => None,
            false => Some(AhoCorasick::new(texts.iter().map(CompactString::as_bytes))?),
        };
        Ok(Self { texts: found, sources })
    }

    /// Lets the sources whose texts the line has read it, until one does.
    pub(super) fn ask(&self, sources: &[Source], event: &mut Event, context: &Context<'_>, text: &str) -> bool {
        let Some(literals) = &self.texts else { return false };
        let head = &text.as_bytes()[..text.len().min(HEAD_LEN_MAX)];
        let mut asked: smallvec::SmallVec<[usize; 8]> = smallvec::SmallVec::new();
        for found in literals.find_iter(head).take(LITERALS_MAX) {
            for number in self.sources.get(found.pattern().as_usize()).into_iter().flatten() {
                if asked.contains(number) {
                    continue;
                }
                asked.push(*number);
                let Some(source) = sources.get(*number) else { continue };
                if source.recognition.holds(text) && source.apply(event, context, text) {
                    return true;
                }
            }
        }
        false
    }
}

/// Bytes that a line may begin with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct FirstBytes([bool; 256]);

impl Default for FirstBytes {
    fn default() -> Self {
        Self([false; 256])
    }
}

impl FirstBytes {
    /// Those of a source: of its prefixes, or of its regular expression if that holds from the beginning on.
    pub(super) fn of(known: &Recognition) -> Self {
        let mut first = Self::default();
        if !known.prefixes.is_empty() {
            known.prefixes.iter().filter_map(|text| text.bytes().next()).for_each(|byte| first.set(byte));
            return first;
        }
        let hir = known.regex.as_ref().and_then(|regex| regex_syntax::parse(regex.as_str()).ok());
        match hir {
            Some(hir) if hir.properties().look_set_prefix().contains(Look::Start) && !first.read(&hir) => first,
            _ => Self([true; 256]),
        }
    }

    /// Adds what the expression may begin with; answers whether it may be empty, so that what follows it counts too.
    fn read(&mut self, hir: &Hir) -> bool {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => true,
            HirKind::Literal(literal) => literal.0.first().is_none_or(|byte| {
                self.set(*byte);
                false
            }),
            HirKind::Class(Class::Bytes(class)) => {
                class.ranges().iter().for_each(|range| (range.start()..=range.end()).for_each(|byte| self.set(byte)));
                false
            }
            HirKind::Class(Class::Unicode(class)) => {
                for range in class.ranges() {
                    let end = u32::from(range.end()).min(0x7f);
                    (u32::from(range.start())..=end)
                        .filter_map(|code| u8::try_from(code).ok())
                        .for_each(|byte| self.set(byte));
                    if !range.end().is_ascii() {
                        (0x80..=0xff).for_each(|byte| self.set(byte));
                    }
                }
                false
            }
            HirKind::Repetition(repetition) => self.read(&repetition.sub) || repetition.min == 0,
            HirKind::Capture(capture) => self.read(&capture.sub),
            HirKind::Concat(parts) => parts.iter().all(|part| self.read(part)),
            HirKind::Alternation(parts) => {
                // Each of them is read, not only up to the first that may be empty.
                let mut may_be_empty = false;
                for part in parts {
                    may_be_empty |= self.read(part);
                }
                may_be_empty
            }
        }
    }

    fn set(&mut self, byte: u8) {
        self.0[usize::from(byte)] = true;
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine |= theirs);
    }

    /// Nothing is known of the first byte, or hardly anything.
    pub(super) fn is_all(&self) -> bool {
        self.0.iter().filter(|may| **may).count() > 64
    }

    pub(super) fn has(&self, text: &str) -> bool {
        text.bytes().next().is_some_and(|byte| self.0[usize::from(byte)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(regex: &str, expected: Option<&str>) {
        let known = Recognition {
            programs: Vec::new(),
            prefixes: Vec::new(),
            contains: Vec::new(),
            regex: Some(regex::Regex::new(regex).unwrap()),
            cef: Vec::new(),
            leef: Vec::new(),
            json: Vec::new(),
        };
        let first = FirstBytes::of(&known);
        let found: String = (0..=u8::MAX).filter(|byte| first.0[usize::from(*byte)]).map(char::from).collect();
        assert_eq!((!first.is_all()).then_some(found.as_str()), expected, "regex: {regex}");
    }

    #[test]
    fn first_bytes() {
        check("^[0-9]{2},", Some("0123456789"));
        check("^[0-9]*,x", Some(",0123456789"));
        check("^(?:a|bc)?(?P<n>d+)", Some("abd"));
        check("^<(?:x)", Some("<"));
        check(r"^(?:\S+ )?x", None);
        check("x", None);
        check("^a?", None);
        check("^x|y", None);
    }
}
