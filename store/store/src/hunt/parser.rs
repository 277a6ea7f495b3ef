//! Puts the words of a hunt together to a tree.

use std::ops::Bound;

use super::Hunt;
use super::check::nearest;
use super::error::HuntError;
use super::pattern::{Regexp, Sign};
use super::phrase::Phrase;
use super::scan::{Scanner, Until};
use super::tree::{Expr, Test};
use crate::field::FieldRef;

/// Deepest nesting of parentheses and negations.
const DEPTH_MAX: usize = 64;
/// Most conditions in one hunt.
const CONDITIONS_MAX: usize = 1_024;

/// The operators that may follow a `|` in Kusto. None is there yet; each is refused by name.
const OPERATORS: [&str; 22] = [
    "where",
    "summarize",
    "top",
    "sort",
    "order",
    "take",
    "limit",
    "distinct",
    "count",
    "project",
    "project-away",
    "project-rename",
    "extend",
    "rename",
    "parse",
    "mv-expand",
    "join",
    "union",
    "let",
    "render",
    "sample",
    "search",
];

pub(super) fn parse(text: &str) -> Result<Expr, HuntError> {
    if text.len() > Hunt::LEN_MAX {
        let message = format!("the hunt is longer than {} bytes", Hunt::LEN_MAX);
        return Err(HuntError::at(text, 0, 0, message).suggest("split it into several hunts"));
    }
    let mut parser = Parser { scan: Scanner::new(text), depth: 0, conditions: 0 };
    parser.scan.skip_white();
    if parser.scan.rest().is_empty() {
        return Ok(Expr::All);
    }
    let expr = parser.either(None)?;
    parser.scan.skip_white();
    match parser.scan.peek() {
        None => Ok(expr),
        Some('|') => Err(parser.pipe()),
        Some(_) => Err(parser.error_here("this `)` closes nothing").suggest("remove it, or add a `(` before")),
    }
}

pub(super) struct Parser<'a> {
    scan: Scanner<'a>,
    depth: usize,
    conditions: usize,
}

/// The field that bare words in parentheses belong to, as in `user.name:(root OR admin)`.
type Within<'f> = Option<&'f FieldRef>;

impl Parser<'_> {
    pub(super) fn error(&self, start: usize, message: impl Into<String>) -> HuntError {
        HuntError::at(self.scan.text, start, self.scan.at.max(start), message)
    }

    fn error_here(&self, message: impl Into<String>) -> HuntError {
        self.error(self.scan.at, message)
    }

    fn either(&mut self, within: Within<'_>) -> Result<Expr, HuntError> {
        let mut parts = vec![self.all_of(within)?];
        loop {
            self.scan.skip_white();
            if !self.scan.eat_keyword("OR") && !self.scan.eat("||") {
                break;
            }
            parts.push(self.all_of(within)?);
        }
        Ok(joined(parts, Expr::Or))
    }

    fn all_of(&mut self, within: Within<'_>) -> Result<Expr, HuntError> {
        let mut parts = vec![self.negated(within)?];
        loop {
            self.scan.skip_white();
            if self.scan.eat_keyword("AND") || self.scan.eat("&&") {
                parts.push(self.negated(within)?);
                continue;
            }
            let rest = self.scan.rest();
            let at_or = Scanner { ..Scanner::new(rest) }.eat_keyword("OR");
            if rest.is_empty() || at_or || rest.starts_with([')', '|']) {
                break;
            }
            parts.push(self.negated(within)?);
        }
        Ok(joined(parts, Expr::And))
    }

    fn negated(&mut self, within: Within<'_>) -> Result<Expr, HuntError> {
        self.scan.skip_white();
        let start = self.scan.at;
        if self.scan.eat_keyword("NOT") || self.scan.eat("!") {
            let inner = self.deeper(start, |parser| parser.negated(within))?;
            return Ok(Expr::Not(Box::new(inner)));
        }
        for keyword in ["AND", "OR"] {
            if self.scan.eat_keyword(keyword) {
                let message = format!("`{keyword}` needs a condition on both sides");
                return Err(self
                    .error(start, message)
                    .suggest(format!("to search for the word, write \"{keyword}\" in quotes")));
            }
        }
        self.condition(within)
    }

    fn deeper<T>(
        &mut self,
        start: usize,
        read: impl FnOnce(&mut Self) -> Result<T, HuntError>,
    ) -> Result<T, HuntError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self
                .error(start, format!("nested more than {DEPTH_MAX} deep"))
                .suggest("use fewer parentheses"));
        }
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn condition(&mut self, within: Within<'_>) -> Result<Expr, HuntError> {
        let start = self.scan.at;
        self.conditions += 1;
        if self.conditions > CONDITIONS_MAX {
            return Err(self.error(start, format!("more than {CONDITIONS_MAX} conditions")).suggest("split the hunt"));
        }
        match self.scan.peek() {
            None => Err(self
                .error(start, "a condition is missing at the end")
                .suggest("write one, or remove what is before")),
            Some('(') => self.group(within),
            Some(')') => {
                Err(self.error(start, "a condition is missing before this `)`").suggest("write one, or remove it"))
            }
            Some('|') => Err(self.pipe()),
            Some('"') => {
                let text = self.scan.quoted()?;
                if self.scan.peek() == Some(':') && within.is_none() {
                    return self.field(&text, start);
                }
                self.quoted_condition(&text, start, within)
            }
            Some(_) => self.word_condition(start, within),
        }
    }

    fn group(&mut self, within: Within<'_>) -> Result<Expr, HuntError> {
        let start = self.scan.at;
        self.scan.bump();
        let inner = self.deeper(start, |parser| parser.either(within))?;
        self.scan.skip_white();
        if self.scan.eat(")") {
            return Ok(inner);
        }
        if self.scan.peek() == Some('|') {
            return Err(self.pipe());
        }
        Err(HuntError::at(self.scan.text, start, start + 1, "this `(` is not closed").suggest("add a `)`"))
    }

    fn quoted_condition(&self, text: &str, start: usize, within: Within<'_>) -> Result<Expr, HuntError> {
        if let Some(field) = within {
            return self.exactly(field, text, start).map(|test| Expr::Field(field.clone(), test));
        }
        Phrase::of_text(text).map(Expr::Words).ok_or_else(|| self.no_words(start))
    }

    pub(super) fn no_words(&self, start: usize) -> HuntError {
        self.error(start, "there is no letter or digit to search for")
            .suggest("search is by words; for signs use a regular expression such as `/\\$\\{/`")
    }

    fn word_condition(&mut self, start: usize, within: Within<'_>) -> Result<Expr, HuntError> {
        if self.scan.peek() == Some('/')
            && let Some(source) = self.scan.regex()
        {
            let regexp = self.regexp(&source, start)?;
            return Ok(match within {
                Some(field) => Expr::Field(field.clone(), Test::Found(regexp)),
                None => Expr::Text(regexp),
            });
        }
        if let Some(field) = within {
            return self.value(field, start).map(|test| Expr::Field(field.clone(), test));
        }
        let raw = self.scan.word(Until::Colon);
        if self.scan.peek() == Some(':') {
            let Some(name) = raw.literal().filter(|name| !name.is_empty()) else {
                self.scan.bump();
                return Err(self
                    .error(start, "a name of a field is missing before `:`, or has a wildcard in it")
                    .suggest("write `field:value`, or put the whole word in quotes"));
            };
            return self.field(&name, start);
        }
        if raw.signs.is_empty() {
            self.scan.bump();
            return Err(self.error(start, "this sign cannot stand here").suggest("put it in quotes"));
        }
        let phrase = Phrase::of_signs(&raw.signs);
        match phrase.is_empty() {
            false => Ok(Expr::Words(phrase)),
            true if raw.signs.contains(&Sign::Any) => Ok(Expr::All),
            true => Err(self.no_words(start)),
        }
    }

    /// What follows the name of a field, the colon first.
    fn field(&mut self, name: &str, start: usize) -> Result<Expr, HuntError> {
        self.scan.bump();
        let field = FieldRef::named(name);
        match self.scan.peek() {
            Some('(') => return self.group(Some(&field)),
            Some('/') => {
                let at = self.scan.at;
                if let Some(source) = self.scan.regex() {
                    return Ok(Expr::Field(field, Test::Found(self.regexp(&source, at)?)));
                }
            }
            Some(sign) if !sign.is_whitespace() && !")|".contains(sign) => (),
            _ => {
                let message = format!("`{name}:` has no value");
                return Err(self.error(start, message).suggest(format!("write `{name}:*` for any value")));
            }
        }
        let test = self.value(&field, self.scan.at)?;
        Ok(Expr::Field(field, test))
    }

    /// A value: quoted, compared, a range or a word.
    fn value(&mut self, field: &FieldRef, start: usize) -> Result<Test, HuntError> {
        match self.scan.peek() {
            Some('"') => {
                let text = self.scan.quoted()?;
                return self.exactly(field, &text, start);
            }
            Some('[' | '{') => return self.range(field, start),
            _ => (),
        }
        for (sign, upper, included) in
            [(">=", false, true), (">", false, false), ("<=", true, true), ("<", true, false)]
        {
            if self.scan.eat(sign) {
                let text = self
                    .bound(Until::End)?
                    .ok_or_else(|| self.error(start, format!("nothing to compare with after `{sign}`")))?;
                let bound = if included { Bound::Included(text) } else { Bound::Excluded(text) };
                let (lower, upper) = if upper { (Bound::Unbounded, bound) } else { (bound, Bound::Unbounded) };
                return self.between(field, lower, upper, start);
            }
        }
        let raw = self.scan.word(Until::End);
        if raw.signs.is_empty() {
            return Err(self
                .error_here(format!("`{field}:` has no value"))
                .suggest(format!("write `{field}:*` for any value")));
        }
        self.written(field, &raw)
    }

    /// `[a TO b]`; a curly bracket leaves the bound itself out.
    fn range(&mut self, field: &FieldRef, start: usize) -> Result<Test, HuntError> {
        let wrong = |parser: &Self| {
            parser
                .error(start, "this is not a range")
                .suggest("write `[1 TO 5]`, with `{` or `}` to leave the bound out and `*` for no bound")
        };
        let lower_included = self.scan.bump() == Some('[');
        self.scan.skip_white();
        let lower = self.bound(Until::Range)?;
        self.scan.skip_white();
        if !self.scan.eat_keyword("TO") {
            return Err(wrong(self));
        }
        self.scan.skip_white();
        let upper = self.bound(Until::Range)?;
        self.scan.skip_white();
        let upper_included = match self.scan.bump() {
            Some(']') => true,
            Some('}') => false,
            _ => return Err(wrong(self)),
        };
        let bound = |text: Option<String>, included| match text {
            None => Bound::Unbounded,
            Some(text) if included => Bound::Included(text),
            Some(text) => Bound::Excluded(text),
        };
        self.between(field, bound(lower, lower_included), bound(upper, upper_included), start)
    }

    /// One bound; `*` is none.
    fn bound(&mut self, until: Until) -> Result<Option<String>, HuntError> {
        if self.scan.peek() == Some('"') {
            return self.scan.quoted().map(Some);
        }
        let raw = self.scan.word(until);
        if raw.is_any() {
            return Ok(None);
        }
        let error = || self.error(raw.start, "a bound must be a value without wildcards");
        raw.literal()
            .filter(|text| !text.is_empty())
            .map(Some)
            .ok_or_else(|| error().suggest("write a number, address, time or word"))
    }

    fn regexp(&self, source: &str, start: usize) -> Result<Regexp, HuntError> {
        Regexp::new(source).map_err(|error| {
            // The last line says what is wrong; the lines before draw the expression.
            let message = error.to_string();
            let reason = message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            self.error(start, format!("this regular expression cannot be used: {reason}"))
                .suggest("to search for the text itself, put it in quotes")
        })
    }

    /// What is said about everything that follows a `|`.
    fn pipe(&mut self) -> HuntError {
        let bar = self.scan.at;
        self.scan.bump();
        self.scan.skip_white();
        let start = self.scan.at;
        let len = self.scan.rest().find(|sign: char| !sign.is_alphanumeric() && sign != '-' && sign != '_');
        let name = &self.scan.rest()[..len.unwrap_or(self.scan.rest().len())];
        self.scan.at += name.len();
        if OPERATORS.contains(&name) {
            return self
                .error(start, format!("the operator `{name}` is not available in this version"))
                .suggest("use only what stands before the `|`");
        }
        let error = self.error(bar, "this version has no operators after `|`");
        match nearest(name, OPERATORS) {
            _ if name.is_empty() => error.suggest("for either of two conditions write `OR` or `||`"),
            Some(operator) => {
                error.suggest(format!("`{name}` looks like `{operator}`; use only what stands before the `|`"))
            }
            None => error
                .suggest("for either of two conditions write `OR` or `||`; to search for the sign, put it in quotes"),
        }
    }
}

fn joined(mut parts: Vec<Expr>, join: impl FnOnce(Vec<Expr>) -> Expr) -> Expr {
    if parts.len() > 1 { join(parts) } else { parts.pop().unwrap_or(Expr::All) }
}
