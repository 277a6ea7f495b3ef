//! Reads the signs of a hunt: words, quoted texts, regular expressions. Knows nothing of how they are put together.

use super::error::HuntError;
use super::pattern::Sign;

/// A word as it was written, and where.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) signs: Vec<Sign>,
    pub(super) start: usize,
}

impl Raw {
    /// The text, if it has no wildcards.
    pub(super) fn literal(&self) -> Option<String> {
        self.signs
            .iter()
            .map(|sign| match sign {
                Sign::Char(sign) => Some(*sign),
                Sign::One | Sign::Any => None,
            })
            .collect()
    }

    pub(super) fn is_any(&self) -> bool {
        !self.signs.is_empty() && self.signs.iter().all(|sign| *sign == Sign::Any)
    }
}

/// Where a word may end besides at white space, parentheses, quotes and pipes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// At a colon, for what may be the name of a field.
    Colon,
    /// Colons belong to the word, as in times and IPv6 addresses.
    End,
    /// Also at `]` and `}`, inside a range.
    Range,
}

pub(super) struct Scanner<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

/// Signs that a backslash takes the special meaning from; white space is one too.
pub(super) const SPECIAL: &str = "\\\"():*?/[]{}<>!&|";

pub(super) fn is_special(sign: char) -> bool {
    SPECIAL.contains(sign) || sign.is_whitespace()
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let sign = self.peek()?;
        self.at += sign.len_utf8();
        Some(sign)
    }

    pub(super) fn eat(&mut self, what: &str) -> bool {
        let found = self.rest().starts_with(what);
        if found {
            self.at += what.len();
        }
        found
    }

    pub(super) fn skip_white(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Whether a word would end here.
    fn is_boundary(rest: &str) -> bool {
        rest.chars().next().is_none_or(|sign| sign.is_whitespace() || "()\"|".contains(sign))
    }

    /// Takes a word in capitals such as `AND`, if it stands alone.
    pub(super) fn eat_keyword(&mut self, keyword: &str) -> bool {
        let found = self.rest().strip_prefix(keyword).is_some_and(Self::is_boundary);
        if found {
            self.at += keyword.len();
        }
        found
    }

    /// Reads up to the end of the word; it may be empty.
    pub(super) fn word(&mut self, until: Until) -> Raw {
        let start = self.at;
        let mut signs = Vec::new();
        while let Some(sign) = self.peek() {
            let ends = match sign {
                ':' => until == Until::Colon,
                ']' | '}' => until == Until::Range,
                '&' => self.rest().starts_with("&&"),
                sign => sign.is_whitespace() || "()\"|".contains(sign),
            };
            if ends {
                break;
            }
            self.bump();
            match sign {
                '*' => signs.push(Sign::Any),
                '?' => signs.push(Sign::One),
                '\\' => match self.peek().filter(|next| is_special(*next)) {
                    Some(next) => {
                        self.bump();
                        signs.push(Sign::Char(next));
                    }
                    None => signs.push(Sign::Char('\\')),
                },
                sign => signs.push(Sign::Char(sign)),
            }
        }
        Raw { signs, start }
    }

    /// Reads a text in double quotes. Inside, `\"` is a quote and `\\` a backslash; all else is itself.
    pub(super) fn quoted(&mut self) -> Result<String, HuntError> {
        let start = self.at;
        self.bump();
        let mut text = String::new();
        while let Some(sign) = self.bump() {
            match sign {
                '"' => return Ok(text),
                '\\' if matches!(self.peek(), Some('"' | '\\')) => text.extend(self.bump()),
                sign => text.push(sign),
            }
        }
        Err(HuntError::at(self.text, start, start + 1, "this quote is not closed")
            .suggest("add a `\"` where the text ends"))
    }

    /// Reads `/…/` if that is what stands here: the next slash that is not escaped must end the word. A path such as
    /// `/etc/passwd` is left alone.
    pub(super) fn regex(&mut self) -> Option<String> {
        let mut source = String::new();
        let mut signs = self.rest().char_indices().skip(1);
        while let Some((index, sign)) = signs.next() {
            match sign {
                '/' => {
                    let after = self.rest().get(index + 1..).unwrap_or_default();
                    if source.is_empty() || !Self::is_boundary(after) {
                        return None;
                    }
                    self.at += index + 1;
                    return Some(source);
                }
                '\\' => match signs.next() {
                    Some((_, '/')) => source.push('/'),
                    Some((_, next)) => source.extend(['\\', next]),
                    None => return None,
                },
                sign => source.push(sign),
            }
        }
        None
    }
}
