//! The tree that a hunt becomes. Values are typed by the catalogue here, once, so that backends need not guess.

use std::ops::Bound;

use compact_str::CompactString;
use ipnet::IpNet;

use super::pattern::{Regexp, Wildcard};
use super::phrase::Phrase;
use crate::field::FieldRef;
use crate::tokens::fold_case;

#[derive(Clone, PartialEq, Debug)]
pub enum Expr {
    All,
    /// These words in one text of the event: a value of any field or attribute, or the raw bytes read as text.
    Words(Phrase),
    /// A text of the event that the expression is found in.
    Text(Regexp),
    /// One value of the field that passes.
    Field(FieldRef, Test),
    Not(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
}

/// What a value must be like.
#[derive(Clone, PartialEq, Debug)]
pub enum Test {
    /// Any value but null.
    Exists,
    /// Its text is this, in any case.
    Is(Literal),
    /// Its text is like this, in any case.
    Like(Wildcard),
    /// The expression is found in its text, in any case.
    Found(Regexp),
    /// Its text has these words.
    Words(Phrase),
    /// It is an address of this network. A single address is a network of one.
    Net(IpNet),
    /// It is an address in this range, both ends included, IPv4 mapped into IPv6.
    Addresses { first: u128, last: u128 },
    /// It is a whole number in this range, both ends included.
    Integer { first: i64, last: i64 },
    /// It is a number in this range.
    Float { lower: Bound<f64>, upper: Bound<f64> },
    /// It is a time in this range, both ends included, in nanoseconds since 1970.
    Time { first: i64, last: i64 },
    /// Between two texts: as numbers against a bound that is a number, else by the order of their signs in lower case.
    Between { lower: Bound<Literal>, upper: Bound<Literal> },
}

/// A text to compare with.
#[derive(Clone, PartialEq, Debug)]
pub struct Literal {
    text: CompactString,
    folded: CompactString,
    number: Option<f64>,
}

impl Literal {
    pub fn new(text: impl Into<CompactString>) -> Self {
        let text = text.into();
        let folded = fold_case(&text).into();
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        Self { text, folded, number }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// In the form in which it is compared.
    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// The number that it spells.
    pub fn number(&self) -> Option<f64> {
        self.number
    }
}
