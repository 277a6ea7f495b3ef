//! Finds the line and column of a word in a rule's text. The parser gives a tree without places, so the text is
//! looked at a second time, and only when there is something to report or a place to remember.

use crate::diagnostic::Place;

/// The text of one document and the line of the file at which it begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub text: &'a str,
    /// Line of the file, counted from 1.
    pub first_line: u32,
}

impl Source<'_> {
    fn place(&self, line: usize, byte: usize, line_text: &str) -> Place {
        let column = line_text.get(..byte).map_or(0, |before| before.chars().count());
        Place {
            line: self.first_line + u32::try_from(line).unwrap_or(0),
            column: u32::try_from(column).unwrap_or(0) + 1,
        }
    }

    /// The first line that begins so.
    pub(super) fn begins(&self, words: &str) -> Option<Place> {
        self.find(0, |line| line.starts_with(words.trim_end()).then_some(0)).map(|(_, place)| place)
    }

    pub(super) fn start(&self) -> Place {
        Place { line: self.first_line, column: 1 }
    }

    /// A place that the parser counted from the beginning of `text`.
    pub(super) fn at(&self, line: u32, column: u32) -> Place {
        Place { line: self.first_line + line.saturating_sub(1), column: column.max(1) }
    }

    /// The first place of `word`, or else the beginning.
    pub(super) fn word(&self, word: &str) -> Place {
        self.find(0, |line| line.find(word)).map_or(self.start(), |(_, place)| place)
    }

    /// The key `key:` at any depth, from the line `from` on.
    fn key_from(&self, from: usize, key: &str) -> Option<(usize, Place)> {
        self.find(from, |line| {
            let trimmed = line.trim_start_matches([' ', '-', '\'', '"']);
            let rest = trimmed.strip_prefix(key)?.trim_start_matches(['\'', '"']).trim_start();
            rest.starts_with(':').then(|| line.len() - trimmed.len())
        })
    }

    /// The key of the top level or below it; the beginning if it is not there.
    pub(crate) fn key(&self, key: &str) -> Place {
        self.key_from(0, key).map_or(self.start(), |(_, place)| place)
    }

    /// The line of an entry of the list below a key, counted from 0 like the entry.
    pub(crate) fn entry(&self, section: &str, index: usize) -> Option<usize> {
        let (section_line, _) = self.key_from(0, section)?;
        let mut indent = None;
        let mut left = index;
        for (number, line) in self.text.lines().enumerate().skip(section_line + 1) {
            let trimmed = line.trim_start();
            let depth = line.len() - trimmed.len();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let is_entry = trimmed == "-" || trimmed.starts_with("- ");
            match indent {
                Some(indent) if depth < indent || depth == indent && !is_entry => return None,
                Some(indent) if depth > indent => continue,
                None if !is_entry => return None,
                _ => indent = Some(depth),
            }
            if left == 0 {
                return Some(number);
            }
            left -= 1;
        }
        None
    }

    /// The first place of `word` in the entry of the list below `section` that begins at this line, or else the
    /// beginning of the entry.
    pub(crate) fn below(&self, line: usize, section: &str, word: &str) -> Place {
        let next = (0..).map_while(|index| self.entry(section, index)).find(|next| *next > line).unwrap_or(usize::MAX);
        let word = Some(word).filter(|word| !word.is_empty());
        let found = word.and_then(|word| {
            let (place, found) = self.find(line, |text| text.find(word))?;
            (place < next).then_some(found)
        });
        let begin = || self.find(line, |text| Some(text.len() - text.trim_start().len()));
        found.or_else(|| begin().map(|(_, place)| place)).unwrap_or_else(|| self.start())
    }

    /// The key inside the selection inside the section (`detection`, `filter`), or as near to it as can be found.
    pub(super) fn item(&self, section: &str, selection: &str, key: &str) -> Place {
        let Some((section_line, section_place)) = self.key_from(0, section) else { return self.start() };
        let Some((line, place)) = self.key_from(section_line + 1, selection) else { return section_place };
        if key.is_empty() {
            return place;
        }
        self.key_from(line + 1, key).map_or(place, |(_, place)| place)
    }

    fn find(&self, from: usize, in_line: impl Fn(&str) -> Option<usize>) -> Option<(usize, Place)> {
        self.text
            .lines()
            .enumerate()
            .skip(from)
            .find_map(|(number, line)| in_line(line).map(|byte| (number, self.place(number, byte, line))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "title: é x\ndetection:\n  sel:\n    - 'A|contains': 1\n      B: 2\n  other:\n    B: 3\n";

    #[track_caller]
    fn check(selection: &str, key: &str, expected: &str) {
        let source = Source { text: TEXT, first_line: 11 };
        assert_eq!(source.item("detection", selection, key).to_string(), expected);
    }

    #[test]
    fn items_are_found() {
        check("sel", "A|contains", "14:8");
        check("sel", "B", "15:7");
        check("other", "B", "17:5");
        check("other", "", "16:3");
        check("missing", "B", "12:1");
        assert_eq!(Source { text: TEXT, first_line: 1 }.word("x").to_string(), "1:10");
    }
}
