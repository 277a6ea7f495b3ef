//! Writes a tree in a form that is read back to the same tree.

use std::fmt::{self, Display, Formatter, Write};
use std::net::{IpAddr, Ipv6Addr};
use std::ops::Bound;

use canh_schema::Timestamp;
use ipnet::IpNet;

use super::pattern::{Regexp, Sign, Wildcard};
use super::phrase::{Phrase, Piece};
use super::scan::is_special;
use super::tree::{Expr, Literal, Test};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Words(phrase) => phrase.fmt(f),
            Self::Text(regexp) => regexp.fmt(f),
            Self::Field(field, test) => {
                let name = field.name();
                let plain = |sign: char| sign.is_ascii_alphanumeric() || "._-@".contains(sign);
                if !name.is_empty() && name.chars().all(plain) {
                    write!(f, "{name}:{test}")
                } else {
                    write!(f, "{}:{test}", Quoted(&name))
                }
            }
            Self::Not(inner) => write!(f, "NOT {}", Nested(inner)),
            Self::And(parts) => join(f, parts, " AND "),
            Self::Or(parts) => join(f, parts, " OR "),
        }
    }
}

/// In parentheses if it has several parts.
struct Nested<'a>(&'a Expr);

impl Display for Nested<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expr::And(_) | Expr::Or(_) => write!(f, "({})", self.0),
            single => single.fmt(f),
        }
    }
}

fn join(f: &mut Formatter<'_>, parts: &[Expr], between: &str) -> fmt::Result {
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            f.write_str(between)?;
        }
        Nested(part).fmt(f)?;
    }
    Ok(())
}

impl Display for Test {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let address = |number: u128| IpAddr::V6(Ipv6Addr::from(number)).to_canonical();
        match self {
            Self::Exists => f.write_str("*"),
            Self::Is(literal) => literal.fmt(f),
            Self::Like(wildcard) => wildcard.fmt(f),
            Self::Found(regexp) => regexp.fmt(f),
            Self::Words(phrase) => phrase.fmt(f),
            Self::Net(net) if net.prefix_len() == net.max_prefix_len() && !matches!(net, IpNet::V6(_)) => {
                net.addr().fmt(f)
            }
            Self::Net(net) => net.fmt(f),
            Self::Addresses { first, last } => write!(f, "[{} TO {}]", address(*first), address(*last)),
            Self::Integer { first, last } => span(f, *first, *last, |number| number.to_string()),
            Self::Float { lower: Bound::Included(lower), upper: Bound::Included(upper) } if lower == upper => {
                lower.fmt(f)
            }
            Self::Float { lower, upper } => range(f, lower.as_ref(), upper.as_ref()),
            Self::Time { first, last } => span(f, *first, *last, |nanos| Timestamp::from_nanos(nanos).to_string()),
            Self::Between { lower, upper } => {
                range(f, lower.as_ref().map(QuotedLiteral), upper.as_ref().map(QuotedLiteral))
            }
        }
    }
}

fn span(f: &mut Formatter<'_>, first: i64, last: i64, text: impl Fn(i64) -> String) -> fmt::Result {
    match (first, last) {
        (first, last) if first == last => f.write_str(&text(first)),
        (first, i64::MAX) => write!(f, ">={}", text(first)),
        (i64::MIN, last) => write!(f, "<={}", text(last)),
        (first, last) => write!(f, "[{} TO {}]", text(first), text(last)),
    }
}

fn range<T: Display>(f: &mut Formatter<'_>, lower: Bound<T>, upper: Bound<T>) -> fmt::Result {
    match lower {
        Bound::Unbounded => f.write_str("[*")?,
        Bound::Included(value) => write!(f, "[{value}")?,
        Bound::Excluded(value) => write!(f, "{{{value}")?,
    }
    f.write_str(" TO ")?;
    match upper {
        Bound::Unbounded => f.write_str("*]"),
        Bound::Included(value) => write!(f, "{value}]"),
        Bound::Excluded(value) => write!(f, "{value}}}"),
    }
}

impl Display for Literal {
    /// Without quotes only where nothing but a word can be meant.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let plain = |sign: char| sign.is_ascii_alphanumeric() || "._-".contains(sign);
        if !self.as_str().is_empty() && self.as_str().chars().all(plain) {
            f.write_str(self.as_str())
        } else {
            Quoted(self.as_str()).fmt(f)
        }
    }
}

struct QuotedLiteral<'a>(&'a Literal);

impl Display for QuotedLiteral<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Quoted(self.0.as_str()).fmt(f)
    }
}

struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for sign in self.0.chars() {
            if matches!(sign, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(sign)?;
        }
        f.write_char('"')
    }
}

impl Display for Wildcard {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for sign in self.signs() {
            match sign {
                Sign::Any => f.write_char('*')?,
                Sign::One => f.write_char('?')?,
                Sign::Char(sign) if is_special(*sign) => write!(f, "\\{sign}")?,
                Sign::Char(sign) => f.write_char(*sign)?,
            }
        }
        Ok(())
    }
}

impl Display for Regexp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.source().replace('/', "\\/"))
    }
}

impl Display for Phrase {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let all_words = self.pieces().iter().all(|piece| matches!(piece, Piece::Word(_)));
        let (quote, between) = if all_words && self.pieces().len() != 1 { ("\"", " ") } else { ("", "-") };
        f.write_str(quote)?;
        for (n, piece) in self.pieces().iter().enumerate() {
            if n > 0 {
                f.write_str(between)?;
            }
            match piece {
                Piece::Word(word) => f.write_str(word)?,
                Piece::Like(wildcard) => wildcard.fmt(f)?,
            }
        }
        f.write_str(quote)
    }
}
