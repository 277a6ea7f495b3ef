//! What a transformation does to a rule.

use compact_str::CompactString;
use rustc_hash::FxHashSet;

use super::draft::{Draft, DraftKind, Linked, too_large};
use super::expression::Joined;
use super::raw::{Many, Ordered, Scalar};
use super::text;
use super::values::{Filling, LINE_BYTES_MAX, Replacing, VALUES_MAX, change_values};
use super::when::{FieldTest, ItemTest};
use crate::diagnostic::{Diagnostic, Place};
use crate::rule::{Condition, Detection, Item, Literal, Modifier, RuleSource, Selection};

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

/// Keys of the mapping and variables that a transformation made use of.
pub(super) type Used = FxHashSet<String>;

/// Whether a line of a selection is meant.
pub(super) struct Wanted<'a> {
    pub items: &'a Joined<ItemTest>,
    pub fields: &'a Joined<FieldTest>,
}

impl Wanted<'_> {
    pub(super) fn field(&self, field: Option<&str>) -> bool {
        self.fields.holds(|test| Ok::<_, ()>(test.holds(field))) == Ok(true)
    }

    fn item(&self, item: &Item) -> bool {
        self.items.holds(|test| Ok::<_, ()>(test.holds(item))) == Ok(true)
    }

    pub(super) fn whole(&self, item: &Item) -> bool {
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
            Self::Rename(renaming) => {
                renaming.apply_linked(draft.at, &mut draft.linked, wanted, used, &mut any)?;
                draft.change_items(&mut |item| {
                    if !wanted.item(&item) {
                        return Ok(Some(Detection::Item(item)));
                    }
                    renaming.apply(item, wanted, used, &mut any)
                })?;
            }
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

    /// Renames what a rule over other rules says of their events, as pySigma does: a field of `group-by` may become
    /// several, which are then all grouped by; one of an alias or of the condition may not.
    fn apply_linked(
        &self,
        at: Place,
        linked: &mut Linked,
        wanted: &Wanted<'_>,
        used: &mut Used,
        any: &mut bool,
    ) -> Result<(), Diagnostic> {
        let mut renamed = |field: &CompactString| {
            let names = if wanted.field(Some(field)) { self.names(field, used) } else { None };
            *any |= names.is_some();
            names.unwrap_or_else(|| vec![field.clone()])
        };
        let mut one = |field: &mut CompactString, what: &str| match renamed(field).as_slice() {
            [name] => {
                *field = name.clone();
                Ok(())
            }
            names => {
                let text = format!("`{field}` of the {what} becomes {} fields, and can only be one", names.len());
                Err(Diagnostic::error(at, text))
            }
        };
        for alias in &mut linked.aliases {
            alias.fields.iter_mut().try_for_each(|(_, field)| one(field, "rule's aliases"))?;
        }
        linked.fields.iter_mut().try_for_each(|field| one(field, "rule's condition"))?;
        let is_alias = |field: &CompactString| linked.aliases.iter().any(|alias| alias.name == *field);
        let group_by = linked.group_by.iter();
        let group_by: Vec<CompactString> =
            group_by.flat_map(|field| if is_alias(field) { vec![field.clone()] } else { renamed(field) }).collect();
        if group_by.len() > VALUES_MAX {
            return Err(too_large(at));
        }
        linked.group_by = group_by;
        Ok(())
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
        if names.len() > VALUES_MAX || bytes > LINE_BYTES_MAX {
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

pub(super) fn names(modifiers: &[Modifier]) -> CompactString {
    modifiers.iter().map(|modifier| modifier.name()).collect::<Vec<_>>().join("|").into()
}
