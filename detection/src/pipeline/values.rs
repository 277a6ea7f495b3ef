//! Values of a rule by others: replaced, mapped, filled into placeholders.

use regex::Regex;

use super::change::{Used, Wanted, names};
use super::draft::{TEXT_BYTES_MAX, too_large};
use super::raw::{Many, Ordered, Scalar};
use super::text;
use crate::diagnostic::Diagnostic;
use crate::matching::{Part, parse_glob};
use crate::rule::{Detection, Item, Literal, Modifier};

/// Values that one value of a rule may become.
pub(super) const VALUES_MAX: usize = 10_000;

/// Bytes that the values of one line may become.
pub(super) const LINE_BYTES_MAX: usize = 4 << 20;

#[derive(Debug)]
pub(super) struct Replacing {
    pub regex: Regex,
    /// As the expression crate writes it.
    pub replacement: String,
    pub skip_special: bool,
    pub interpret_special: bool,
}

#[derive(Debug)]
pub(super) struct Filling {
    /// With the values of `vars`, or with a wildcard.
    pub values: bool,
    pub include: Option<Vec<String>>,
    pub exclude: Option<Vec<String>>,
}

fn without(item: &mut Item, modifiers: &[Modifier]) {
    item.modifiers.retain(|modifier| !modifiers.contains(modifier));
    item.written = names(&item.modifiers);
}

/// Values by others. What `change` gives are whole patterns, so the modifiers that are wildcards become wildcards.
pub(super) fn change_values(
    mut item: Item,
    wanted: &Wanted<'_>,
    any: &mut bool,
    change: &mut impl FnMut(&Item, &Literal) -> Result<Option<Vec<Literal>>, Diagnostic>,
) -> Result<Option<Detection>, Diagnostic> {
    if !text::is_text(&item) || !wanted.whole(&item) {
        return Ok(Some(Detection::Item(item)));
    }
    let changed = item.values.iter().map(|value| change(&item, value)).collect::<Result<Vec<_>, _>>()?;
    if changed.iter().all(Option::is_none) {
        return Ok(Some(Detection::Item(item)));
    }
    if let Some(modifier) = text::encoding(&item) {
        let text = format!("the value has `{}`, and cannot be changed before it is encoded", modifier.name());
        return Err(Diagnostic::error(item.at, text));
    }
    *any = true;
    let around = text::AROUND.iter().any(|modifier| item.has(*modifier));
    let kept = |value: &Literal| match value {
        Literal::Null => Literal::Null,
        value if around => {
            let text = match value {
                Literal::Text(text) => text.clone(),
                other => other.to_text().into(),
            };
            text::parts(&item, &Literal::Text(text)).map_or(Literal::Null, |parts| Literal::Text(text::written(&parts)))
        }
        value => value.clone(),
    };
    let values = item.values.iter().zip(changed).map(|(value, new)| new.unwrap_or_else(|| vec![kept(value)])).collect();
    without(&mut item, text::AROUND);
    with_values(item, values).map(Some)
}

/// One value may have become several, any of which will do, also where all values must match.
fn with_values(mut item: Item, values: Vec<Vec<Literal>>) -> Result<Detection, Diagnostic> {
    if !item.has(Modifier::All) || values.iter().all(|values| values.len() == 1) {
        item.values = values.into_iter().flatten().collect();
        return Ok(Detection::Item(item));
    }
    if item.has(Modifier::Neq) {
        return Err(Diagnostic::error(item.at, "`all` with `neq` cannot take several values in the place of one"));
    }
    item.values = Vec::new();
    without(&mut item, &[Modifier::All]);
    let each = values.into_iter().map(|values| Detection::Item(Item { values, ..item.clone() }));
    Ok(Detection::All(each.collect()))
}

impl Replacing {
    pub(super) fn value(&self, item: &Item, value: &Literal) -> Result<Option<Vec<Literal>>, Diagnostic> {
        let changed = match value {
            Literal::Text(_) => match text::parts(item, value) {
                None => None,
                Some(parts) if self.skip_special => self.pieces(item, parts)?,
                Some(parts) => self.replace(item, &text::marked(&parts))?.map(|text| text::unmarked(&text)),
            },
            Literal::Integer(_) | Literal::Float(_) => self.replace(item, &value.to_text())?,
            Literal::Bool(_) | Literal::Null => None,
        };
        Ok(changed.map(|text| vec![Literal::Text(text)]))
    }

    fn pieces(&self, item: &Item, parts: Vec<Part>) -> Result<Option<String>, Diagnostic> {
        let mut any = false;
        let mut out = Vec::with_capacity(parts.len());
        for part in parts {
            let replaced = match &part {
                Part::Text(text) => self.replace(item, text)?,
                _ => None,
            };
            any |= replaced.is_some();
            match replaced {
                None => out.push(part),
                Some(text) if self.interpret_special => out.extend(parse_glob(&text)),
                Some(text) => out.push(Part::Text(text)),
            }
        }
        Ok(any.then(|| text::written(&out)))
    }

    /// `None` if nothing matches. Stops when the text becomes too long.
    fn replace(&self, item: &Item, text: &str) -> Result<Option<String>, Diagnostic> {
        let mut out = String::new();
        let mut end = 0;
        let mut any = false;
        for found in self.regex.captures_iter(text) {
            let Some(whole) = found.get(0) else { continue };
            any = true;
            out.push_str(&text[end..whole.start()]);
            found.expand(&self.replacement, &mut out);
            end = whole.end();
            if out.len() > TEXT_BYTES_MAX {
                return Err(too_large(item.at));
            }
        }
        out.push_str(&text[end..]);
        Ok(any.then_some(out))
    }
}

impl Filling {
    pub(super) fn apply(
        &self,
        mut item: Item,
        vars: &Ordered<Many<Scalar>>,
        used: &mut Used,
        any: &mut bool,
    ) -> Result<Detection, Diagnostic> {
        let mut values = Vec::with_capacity(item.values.len());
        let mut left = false;
        let mut bytes = 0;
        for value in &item.values {
            let Literal::Text(text) = value else {
                values.push(vec![value.clone()]);
                continue;
            };
            let mut texts = vec![String::new()];
            for piece in pieces(text) {
                let with: Vec<String> = match piece {
                    Piece::Text(text) => vec![text.to_owned()],
                    Piece::Placeholder(name) if self.handles(name) => {
                        if item.has(Modifier::Re) {
                            let text = format!("placeholder `%{name}%` inside an expression is not supported");
                            return Err(Diagnostic::error(item.at, text));
                        }
                        *any = true;
                        self.values(&item, name, vars, used)?
                    }
                    Piece::Placeholder(name) => {
                        left = true;
                        vec![format!("%{name}%")]
                    }
                };
                if texts.len().saturating_mul(with.len()) > VALUES_MAX {
                    return Err(Diagnostic::error(
                        item.at,
                        format!("placeholders make more than {VALUES_MAX} values of `{text}`"),
                    ));
                }
                let mut longer = Vec::with_capacity(texts.len() * with.len());
                for begin in &texts {
                    for end in &with {
                        bytes += begin.len() + end.len();
                        if bytes > LINE_BYTES_MAX {
                            return Err(too_large(item.at));
                        }
                        longer.push(format!("{begin}{end}"));
                    }
                }
                texts = longer;
            }
            values.push(texts.into_iter().map(Literal::Text).collect());
        }
        if !left && *any {
            without(&mut item, &[Modifier::Expand]);
        }
        with_values(item, values)
    }

    fn handles(&self, name: &str) -> bool {
        let listed = |names: &Option<Vec<String>>| names.as_ref().map(|names| names.iter().any(|known| known == name));
        listed(&self.include).unwrap_or(true) && !listed(&self.exclude).unwrap_or(false)
    }

    fn values(
        &self,
        item: &Item,
        name: &str,
        vars: &Ordered<Many<Scalar>>,
        used: &mut Used,
    ) -> Result<Vec<String>, Diagnostic> {
        if !self.values {
            return Ok(vec!["*".to_owned()]);
        }
        let Some(Many(values)) = vars.get(name) else {
            let text = format!("placeholder `%{name}%` has no values; add `{name}` to `vars`");
            return Err(Diagnostic::error(item.at, text));
        };
        used.insert(name.to_owned());
        Ok(values.iter().map(|value| value.literal().to_text().into()).collect())
    }
}

enum Piece<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

/// `%name%` in a text. Other per cent signs are themselves.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let (mut begin, mut from) = (0, 0);
    while let Some(open) = text[from..].find('%').map(|at| from + at) {
        let Some(close) = text[open + 1..].find('%').map(|at| open + 1 + at) else { break };
        let name = &text[open + 1..close];
        if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')) {
            if begin < open {
                out.push(Piece::Text(&text[begin..open]));
            }
            out.push(Piece::Placeholder(name));
            begin = close + 1;
            from = begin;
        } else {
            from = close;
        }
    }
    if begin < text.len() {
        out.push(Piece::Text(&text[begin..]));
    }
    out
}
