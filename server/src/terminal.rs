//! What is printed on a terminal: colours only where a person looks, and nothing from a log that a terminal obeys.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::IsTerminal;

use canh_messages::{Key, Language, render};
use canh_schema::Level;

/// The language of the terminal, as POSIX names it (`vi_VN.UTF-8`); English if it names another.
pub(crate) fn language() -> Language {
    let set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter();
    let set = set.filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty());
    if set.is_some_and(|value| value.starts_with("vi")) { Language::Vi } else { Language::En }
}

/// A text of the catalogue in the language of the terminal.
pub(crate) fn say(key: Key, values: &[(&str, &str)]) -> String {
    render(key, language(), values)
}

/// Whether to colour what goes to `stream`: a terminal, and `NO_COLOR` not set (no-color.org).
pub(crate) fn wants_colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

pub(crate) fn colours() -> Colours {
    if wants_colours(&std::io::stdout()) { Colours::On } else { Colours::Off }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Colours {
    On,
    Off,
}

impl Colours {
    fn wrap(self, code: &str, text: &str) -> String {
        match self {
            Self::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Off => text.to_owned(),
        }
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    pub(crate) fn warning(self, text: &str) -> String {
        self.wrap("33", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    pub(crate) fn level(self, level: Level) -> String {
        let text = format!("{level:<13}");
        match level {
            Level::Critical | Level::High => self.bad(&text),
            Level::Medium => self.warning(&text),
            Level::Low | Level::Informational => self.dim(&text),
        }
    }
}

/// Makes a text of unknown origin safe to print: control characters and characters that reorder or hide text are
/// written as `\u{..}`. A terminal would obey the first; a reader would be deceived by the others (Unicode TR 36).
pub(crate) fn safe(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        match char {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            char if is_unsafe(char) => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(char));
            }
            char => out.push(char),
        }
    }
    Cow::Owned(out)
}

/// As [`safe`], but lines stay lines: for texts of our own that quote others.
pub(crate) fn safe_lines(text: &str) -> String {
    text.lines().map(safe).collect::<Vec<_>>().join("\n")
}

fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{feff}')
        || matches!(char, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(safe(text), expected, "input: {text:?}");
    }

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        check("Failed password for root", "Failed password for root");
        check("Nguyễn Đình", "Nguyễn Đình");
        check("\x1b[2J\x1b]0;owned\x07", "\\u{1b}[2J\\u{1b}]0;owned\\u{7}");
        check("a\r\nb\tc", "a\\r\\nb\\tc");
        check("\u{9b}31m", "\\u{9b}31m"); // a control character of one code point (C1)
        check("user\u{202e}txt.exe", "user\\u{202e}txt.exe");
    }
}
