//! The hunt language: one parser, one tree, for every backend, the live view and the command line.
//!
//! | written | finds events |
//! |---|---|
//! | `failed password` | with both words, anywhere in their text or values, in any case, accents or not |
//! | `"failed password"` | with these words one after the other |
//! | `fail*`, `r??t` | with a word like this; `*` is any letters, `?` is one |
//! | `/fail(ed\|ure)/` | with a text that the regular expression is found in, in any case |
//! | `user.name:root` | whose field has this value, whole and in any case |
//! | `process.executable:*\cmd.exe` | whose field has a value like this |
//! | `message:"failed password"` | whose text field has these words one after the other |
//! | `source.ip:10.0.0.0/8` | whose address is in this network |
//! | `destination.port:>=1024`, `:[20 TO 25]`, `:{20 TO *]` | whose number, time or text lies there |
//! | `user.name:*` | that have the field |
//! | `user.name:(root OR admin)` | whose field has one of the values |
//! | `a b`, `a AND b`, `a && b`, `a OR b`, `a \|\| b`, `NOT a`, `!a`, `(a OR b) c` | put together |
//!
//! A name of a field is one of the catalogue, or the native name of an attribute, or one of the
//! [`Pseudo`](crate::Pseudo) fields. Odd names are quoted: `"my field":1`. A backslash takes the special meaning from
//! the sign after it, and is itself before any other sign, so that Windows paths can be written as they are.

mod check;
mod error;
mod evaluate;
mod parser;
mod pattern;
mod phrase;
mod print;
mod scan;
#[cfg(test)]
mod tests;
mod tree;
mod values;

use std::fmt;
use std::sync::Arc;

use canh_schema::Event;

pub use check::Hint;
pub use error::HuntError;
pub use evaluate::{address_number, for_each_text, time_number};
pub use pattern::{Regexp, Wildcard};
pub use phrase::{Phrase, Piece};
pub use tree::{Expr, Literal, Test};

/// A hunt that was understood. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hunt {
    expr: Arc<Expr>,
}

impl Hunt {
    /// Longest hunt in bytes.
    pub const LEN_MAX: usize = 16 * 1024;

    /// Understands a text. An empty one means every event.
    ///
    /// # Errors
    ///
    /// [`HuntError`] says in which column, why, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, HuntError> {
        parser::parse(text).map(Self::from)
    }

    /// Every event.
    pub fn all() -> Self {
        Self::from(Expr::All)
    }

    /// The events that both find.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        match (&*self.expr, &*other.expr) {
            (Expr::All, _) => other.clone(),
            (_, Expr::All) => self.clone(),
            (left, right) => Self::from(Expr::And(vec![left.clone(), right.clone()])),
        }
    }

    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// Whether an event is found. This is the meaning of a hunt; an index may only be faster.
    pub fn matches(&self, event: &Event) -> bool {
        self.expr.matches(event)
    }

    /// What may be a mistake although it can be understood.
    pub fn hints(&self) -> Vec<Hint> {
        check::hints(&self.expr)
    }
}

impl From<Expr> for Hunt {
    fn from(expr: Expr) -> Self {
        Self { expr: Arc::new(expr) }
    }
}

/// In a form that is read back to the same hunt.
impl fmt::Display for Hunt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)
    }
}
