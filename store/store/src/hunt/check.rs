//! What may be a mistake in a hunt that can be understood: names that nearly are those of the catalogue.

use canh_schema::CATALOGUE;

use super::tree::Expr;
use crate::field::{FieldRef, Pseudo};

/// A remark about a hunt. The hunt runs all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    pub field: String,
    /// The name that was perhaps meant.
    pub suggestion: &'static str,
}

pub(super) fn hints(expr: &Expr) -> Vec<Hint> {
    let mut hints = Vec::new();
    visit(expr, &mut hints);
    hints
}

fn visit(expr: &Expr, hints: &mut Vec<Hint>) {
    match expr {
        Expr::Field(FieldRef::Attr(name), _) => {
            let names = CATALOGUE.iter().map(|spec| spec.name).chain(Pseudo::ALL.map(Pseudo::name));
            if let Some(suggestion) = nearest(name, names) {
                let hint = Hint { field: name.to_string(), suggestion };
                if !hints.contains(&hint) {
                    hints.push(hint);
                }
            }
        }
        Expr::Not(inner) => visit(inner, hints),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| visit(part, hints)),
        Expr::All | Expr::Words(_) | Expr::Text(_) | Expr::Field(..) => (),
    }
}

/// The name that differs least from `name`: by case alone, or by at most two signs if the name is long enough for that
/// to mean something.
pub(super) fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if name.len() > 64 {
        return None;
    }
    let lower = name.to_lowercase();
    let most = match name.chars().count() {
        0..=3 => 0,
        4..=6 => 1,
        _ => 2,
    };
    let distances = names.into_iter().map(|other| (distance(&lower, other), other));
    distances.filter(|(distance, _)| *distance <= most).min_by_key(|(distance, _)| *distance).map(|(_, other)| other)
}

/// Signs to insert, remove or replace to get from one text to the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (n, sign) in left.chars().enumerate() {
        let mut diagonal = n;
        let mut beside = n + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(&right) {
            let replaced = diagonal + usize::from(sign != *other);
            diagonal = *cell;
            *cell = replaced.min(diagonal + 1).min(beside + 1);
            beside = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = n + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(left: &str, right: &str, expected: usize) {
        assert_eq!(distance(left, right), expected, "{left:?} to {right:?}");
        assert_eq!(distance(right, left), expected, "{right:?} to {left:?}");
    }

    #[test]
    fn distances() {
        check("", "", 0);
        check("abc", "", 3);
        check("source.ip", "sorce.ip", 1);
        check("kitten", "sitting", 3);
        check("ab", "ba", 2);
    }
}
