//! What a transformation does to a rule.

use compact_str::CompactString;
use regex::Regex;
use rustc_hash::FxHashSet;

use super::draft::{Draft, DraftKind, TEXT_BYTES_MAX, too_large};
use super::expression::Joined;
use super::raw::{Many, Ordered, Scalar};
use super::text;
use super::when::{FieldTest, ItemTest};
use crate::diagnostic::Diagnostic;
use crate::matching::{Part, parse_glob};
use crate::rule::{Condition, Detection, Item, Literal, Modifier, RuleSource, Selection};

/// Values that one value of a rule may become.
const VALUES_MAX: usize = 10_000;

#[derive(Debug)]
pub(super) enum Change {
    Rename(Renaming),
    Drop,
    Add(Added),
    Source(RuleSource),
    Replace(Replacing),
    Map(Ordered<Many<String>>),
    Placeholders(Filling),
    /// State is for later conditions, and these are refused.
    State,
    FailRule(String),
    FailItem(String),
}

#[derive(Debug)]
pub(super) enum Renaming {
    Exact(Ordered<Many<String>>),
    Begin(Ordered<Many<String>>),
    Before(String),
    After(String),
}

/// A selection that must hold as well.
#[derive(Debug)]
pub(super) struct Added {
    pub name: String,
    pub negated: bool,
    pub template: bool,
    pub items: Vec<(CompactString, Vec<Modifier>, Vec<Literal>)>,
}

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

/// Keys of the mapping and variables that a transformation made use of.
pub(super) type Used = FxHashSet<String>;

/// Whether a line of a selection is meant.
pub(super) struct Wanted<'a> {
    pub items: &'a Joined<ItemTest>,
    pub fields: &'a Joined<FieldTest>,
}

impl Wanted<'_> {
    fn field(&self, field: Option<&str>) -> bool {
        self.fields.holds(|test| Ok::<_, ()>(test.holds(field))) == Ok(true)
    }

    fn item(&self, item: &Item) -> bool {
        self.items.holds(|test| Ok::<_, ()>(test.holds(item))) == Ok(true)
    }

    fn whole(&self, item: &Item) -> bool {
        let named = |value: &Literal| self.field(Some(&value.to_text()));
        self.item(item)
            && (self.field(item.field.as_deref()) || item.has(Modifier::FieldRef) && item.values.iter().any(named))
    }
}

impl Change {
    /// `true` if the rule is another one now.
    pub(super) fn apply(
        &self,
        draft: &mut Draft<'_>,
        wanted: &Wanted<'_>,
        vars: &Ordered<Many<Scalar>>,
        used: &mut Used,
    ) -> Result<bool, Diagnostic> {
        let mut any = false;
        match self {
            Self::State => (),
            Self::FailRule(message) => {
                if draft.kind != DraftKind::Filter {
                    return Err(Diagnostic::error(draft.at, format!("the rule is refused: {message}")));
                }
            }
            Self::Source(source) => {
                any = draft.kind != DraftKind::Correlation && draft.source != *source;
                draft.source = source.clone();
            }
            Self::Add(added) => {
                any = draft.kind == DraftKind::Event;
                if any {
                    added.apply(draft);
                }
            }
            Self::Rename(renaming) => draft.change_items(&mut |item| {
                if !wanted.item(&item) {
                    return Ok(Some(Detection::Item(item)));
                }
                renaming.apply(item, wanted, used, &mut any)
            })?,
            Self::Drop => draft.change_items(&mut |item| {
                let dropped = wanted.whole(&item);
                any |= dropped;
                Ok((!dropped).then_some(Detection::Item(item)))
            })?,
            Self::FailItem(message) => draft.change_items(&mut |item| {
                if wanted.whole(&item) {
                    return Err(Diagnostic::error(item.at, format!("the line is refused: {message}")));
                }
                Ok(Some(Detection::Item(item)))
            })?,
            Self::Replace(replacing) => draft.change_items(&mut |item| {
                change_values(item, wanted, &mut any, &mut |item, value| replacing.value(item, value))
            })?,
            Self::Map(mapping) => draft.change_items(&mut |item| {
                change_values(item, wanted, &mut any, &mut |item, value| {
                    let Some(parts) = text::parts(item, value) else { return Ok(None) };
                    let key = text::shown(&parts);
                    let Some(Many(values)) = mapping.get(&key) else { return Ok(None) };
                    used.insert(key);
                    Ok(Some(values.iter().map(|value| Literal::Text(value.clone())).collect()))
                })
            })?,
            Self::Placeholders(filling) => draft.change_items(&mut |item| {
                if !item.has(Modifier::Expand) || !wanted.whole(&item) {
                    return Ok(Some(Detection::Item(item)));
                }
                filling.apply(item, vars, used, &mut any).map(Some)
            })?,
        }
        Ok(any)
    }
}

impl Renaming {
    pub(super) fn names(&self, field: &str, used: &mut Used) -> Option<Vec<CompactString>> {
        match self {
            Self::Exact(mapping) => mapping.get(field).map(|Many(names)| {
                used.insert(field.to_owned());
                names.iter().map(CompactString::from).collect()
            }),
            Self::Begin(mapping) => mapping.0.iter().find_map(|(begin, Many(begins))| {
                let rest = field.strip_prefix(begin.as_str())?;
                used.insert(begin.clone());
                Some(begins.iter().map(|begin| format!("{begin}{rest}").into()).collect())
            }),
            Self::Before(before) => Some(vec![format!("{before}{field}").into()]),
            Self::After(after) => Some(vec![format!("{field}{after}").into()]),
        }
    }

    fn apply(
        &self,
        mut item: Item,
        wanted: &Wanted<'_>,
        used: &mut Used,
        any: &mut bool,
    ) -> Result<Option<Detection>, Diagnostic> {
        if item.has(Modifier::FieldRef) {
            let mut values = Vec::with_capacity(item.values.len());
            for value in std::mem::take(&mut item.values) {
                let name = value.to_text();
                match self.names(&name, used).filter(|_| wanted.field(Some(&name))) {
                    None => values.push(value),
                    Some(names) => {
                        *any = true;
                        values.extend(names.into_iter().map(|name| Literal::Text(name.into())));
                    }
                }
            }
            item.values = values;
        }
        let names = item.field.as_deref().filter(|field| wanted.field(Some(field)));
        let Some(names) = names.and_then(|field| self.names(field, used)) else {
            return Ok(Some(Detection::Item(item)));
        };
        *any = true;
        let bytes =
            item.values.iter().map(|value| 64 + value.to_text().len()).sum::<usize>().saturating_mul(names.len());
        if names.len() > VALUES_MAX || bytes > 4 << 20 {
            return Err(too_large(item.at));
        }
        if let [name] = names.as_slice() {
            item.field = Some(name.clone());
            return Ok(Some(Detection::Item(item)));
        }
        // Of a negated line, every field must be other.
        let join = if item.has(Modifier::Neq) { Detection::All } else { Detection::Any };
        let each = names.into_iter().map(|name| Detection::Item(Item { field: Some(name), ..item.clone() }));
        Ok(Some(join(each.collect())))
    }
}

impl Added {
    fn apply(&self, draft: &mut Draft<'_>) {
        let fill = |value: &Literal| match value {
            Literal::Text(text) if self.template => {
                let part = |part: &Option<CompactString>| part.as_deref().unwrap_or("").to_owned();
                let source = &draft.source;
                let names =
                    [("category", &source.category), ("product", &source.product), ("service", &source.service)];
                let filled = names.into_iter().fold(text.clone(), |text, (name, value)| {
                    text.replace(&format!("${{{name}}}"), &part(value)).replace(&format!("${name}"), &part(value))
                });
                Literal::Text(filled)
            }
            other => other.clone(),
        };
        let items = self.items.iter().map(|(field, modifiers, values)| {
            Detection::Item(Item {
                field: Some(field.clone()),
                modifiers: modifiers.clone(),
                written: names(modifiers),
                values: values.iter().map(fill).collect(),
                at: draft.at,
            })
        });
        let detection = Detection::All(items.collect());
        let own = Condition::Selection(draft.selections.len());
        draft.selections.push(Selection { name: self.name.as_str().into(), detection });
        let own = if self.negated { Condition::Not(Box::new(own)) } else { own };
        let before = std::mem::replace(&mut draft.condition, Condition::All(Vec::new()));
        draft.condition = Condition::All(vec![own, before]);
    }
}

fn names(modifiers: &[Modifier]) -> CompactString {
    modifiers.iter().map(|modifier| modifier.name()).collect::<Vec<_>>().join("|").into()
}

fn without(item: &mut Item, modifiers: &[Modifier]) {
    item.modifiers.retain(|modifier| !modifiers.contains(modifier));
    item.written = names(&item.modifiers);
}

/// Values by others. What `change` gives are whole patterns, so the modifiers that are wildcards become wildcards.
fn change_values(
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
    fn value(&self, item: &Item, value: &Literal) -> Result<Option<Vec<Literal>>, Diagnostic> {
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
    fn apply(
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
                        if bytes > 16 << 20 {
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
