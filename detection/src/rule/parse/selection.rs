//! The `detection` section of a rule: selections, their lines and the condition.

use compact_str::CompactString;
use rsigma_parser as sigma;

use crate::diagnostic::{Diagnostic, nearest};
use crate::matching;
use crate::rule::locate::Source;
use crate::rule::{Condition, Detection, Item, Literal, Modifier, Selection};

/// Lists inside lists inside a selection, deeper than which a rule is refused.
const DEPTH_MAX: usize = 32;

pub(super) fn selections(
    detection: &sigma::Detections,
    section: &str,
    source: Source<'_>,
) -> Result<Vec<Selection>, Diagnostic> {
    let mut selections = Vec::with_capacity(detection.named.len());
    for (name, named) in &detection.named {
        let at = Within { source, section, selection: name };
        selections.push(Selection { name: name.as_str().into(), detection: at.detection(named, 0)? });
    }
    selections.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(selections)
}

/// What is wrong with a line by itself.
pub(super) fn compile(detection: &Detection) -> Result<(), Diagnostic> {
    match detection {
        Detection::All(parts) | Detection::Any(parts) => parts.iter().try_for_each(compile),
        Detection::Item(item) => matching::compile_item(item).map(drop),
    }
}

pub(super) fn conditions(
    detection: &sigma::Detections,
    section: &str,
    selections: &[Selection],
    source: Source<'_>,
) -> Result<Condition, Diagnostic> {
    let mut conditions = Vec::with_capacity(detection.conditions.len());
    for written in &detection.conditions {
        conditions.push(condition(written, selections, source)?);
    }
    // A list of conditions is a list of alternatives. Rules specification, "Condition".
    match conditions.len() {
        0 => Err(Diagnostic::error(source.key(section), "the rule has no condition")),
        1 => Ok(conditions.swap_remove(0)),
        _ => Ok(Condition::Any(conditions)),
    }
}

pub(super) fn condition(
    written: &sigma::ConditionExpr,
    selections: &[Selection],
    source: Source<'_>,
) -> Result<Condition, Diagnostic> {
    let each = |parts: &[sigma::ConditionExpr]| {
        parts.iter().map(|part| condition(part, selections, source)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match written {
        sigma::ConditionExpr::And(parts) => Condition::All(each(parts)?),
        sigma::ConditionExpr::Or(parts) => Condition::Any(each(parts)?),
        sigma::ConditionExpr::Not(part) => Condition::Not(Box::new(condition(part, selections, source)?)),
        sigma::ConditionExpr::Identifier(name) => {
            let found = selections.iter().position(|selection| selection.name == name.as_str());
            Condition::Selection(found.ok_or_else(|| {
                let at = source.key("condition");
                let error = Diagnostic::error(at, format!("the condition names `{name}`, which is not a selection"));
                error.suggest(nearest(name, selections.iter().map(|selection| selection.name.as_str())))
            })?)
        }
        sigma::ConditionExpr::Selector { quantifier, pattern } => {
            let found: Vec<Condition> = (0..selections.len())
                .filter(|index| pattern.matches_detection_name(&selections[*index].name))
                .map(Condition::Selection)
                .collect();
            if found.is_empty() {
                let at = source.key("condition");
                return Err(Diagnostic::error(at, format!("no selection is named like `{pattern}`")));
            }
            match quantifier {
                sigma::Quantifier::Any => Condition::Any(found),
                sigma::Quantifier::All => Condition::All(found),
                sigma::Quantifier::Count(count) => {
                    let count = usize::try_from(*count).unwrap_or(usize::MAX);
                    if count > found.len() {
                        let text =
                            format!("`{count} of {pattern}` can never hold: only {} selections match", found.len());
                        return Err(Diagnostic::error(source.key("condition"), text));
                    }
                    Condition::AtLeast(count, found)
                }
            }
        }
    })
}

/// Where in the rule the tree is being read.
#[derive(Clone, Copy)]
struct Within<'a> {
    source: Source<'a>,
    section: &'a str,
    selection: &'a str,
}

impl Within<'_> {
    fn error(&self, key: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.source.item(self.section, self.selection, key), message)
    }

    fn detection(&self, written: &sigma::Detection, depth: usize) -> Result<Detection, Diagnostic> {
        if depth > DEPTH_MAX {
            return Err(self.error("", format!("the selection is nested deeper than {DEPTH_MAX} levels")));
        }
        let each = |parts: &[sigma::Detection]| {
            parts.iter().map(|part| self.detection(part, depth + 1)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match written {
            sigma::Detection::AllOf(items) => {
                Detection::All(items.iter().map(|item| self.item(item)).collect::<Result<_, _>>()?)
            }
            sigma::Detection::AnyOf(parts) => Detection::Any(each(parts)?),
            sigma::Detection::And(parts) => Detection::All(each(parts)?),
            sigma::Detection::Keywords(values) => self.item_of(None, Vec::new(), values)?,
            sigma::Detection::ArrayMatch { field, .. } => {
                let text = "matching of array members (`sigma-version: 3`) is not supported; a plain field name \
                            matches when any member does";
                return Err(self.error(field, text));
            }
            sigma::Detection::Conditional { .. } => {
                return Err(self.error("", "conditions inside a selection are not supported"));
            }
        })
    }

    fn item(&self, written: &sigma::DetectionItem) -> Result<Detection, Diagnostic> {
        let modifiers = written.field.modifiers.iter().map(|modifier| own_modifier(*modifier)).collect();
        let field = written.field.name.as_deref().map(|name| sigma::fieldpath::unescape_brackets(name).into());
        self.item_of(field, modifiers, &written.values)
    }

    fn item_of(
        &self,
        field: Option<CompactString>,
        modifiers: Vec<Modifier>,
        values: &[sigma::SigmaValue],
    ) -> Result<Detection, Diagnostic> {
        let written = modifiers.iter().map(|modifier| modifier.name()).collect::<Vec<_>>().join("|");
        let mut key = field.as_deref().unwrap_or("").to_owned();
        if !written.is_empty() && field.is_some() {
            key = format!("{key}|{written}");
        }
        let mut at = self.source.item(self.section, self.selection, &key);
        if field.is_some() && at == self.source.item(self.section, self.selection, "") {
            // The rule may write a modifier by its other name, `utf16le` for `wide`; the field alone finds it then.
            at = self.source.word(field.as_deref().unwrap_or(""));
        }
        let values: Vec<Literal> = values.iter().map(literal).collect();
        if values.is_empty() {
            return Err(Diagnostic::error(at, format!("`{key}` has an empty list of values and can never match")));
        }
        let nested = |value: &Literal| {
            // The parser hands over a mapping or list in the place of a value as its debug text.
            matches!(value, Literal::Text(text) if text.starts_with("Mapping {") || text.starts_with("Sequence ["))
        };
        if values.iter().any(nested) {
            return Err(Diagnostic::error(at, format!("`{key}` has a mapping or list inside its list of values")));
        }
        Ok(Detection::Item(Item { field, modifiers, written: written.into(), values, at }))
    }
}

fn literal(value: &sigma::SigmaValue) -> Literal {
    match value {
        sigma::SigmaValue::String(text) => Literal::Text(text.original.clone()),
        sigma::SigmaValue::Integer(value) => Literal::Integer(*value),
        sigma::SigmaValue::Float(value) => Literal::Float(*value),
        sigma::SigmaValue::Bool(value) => Literal::Bool(*value),
        sigma::SigmaValue::Null => Literal::Null,
    }
}

fn own_modifier(modifier: sigma::Modifier) -> Modifier {
    use sigma::Modifier as M;
    match modifier {
        M::Contains => Modifier::Contains,
        M::StartsWith => Modifier::StartsWith,
        M::EndsWith => Modifier::EndsWith,
        M::All => Modifier::All,
        M::Base64 => Modifier::Base64,
        M::Base64Offset => Modifier::Base64Offset,
        M::Wide => Modifier::Utf16Le,
        M::Utf16be => Modifier::Utf16Be,
        M::Utf16 => Modifier::Utf16,
        M::WindAsh => Modifier::Windash,
        M::Re => Modifier::Re,
        M::Cidr => Modifier::Cidr,
        M::Cased => Modifier::Cased,
        M::Exists => Modifier::Exists,
        M::Expand => Modifier::Expand,
        M::FieldRef => Modifier::FieldRef,
        M::Gt => Modifier::Gt,
        M::Gte => Modifier::Gte,
        M::Lt => Modifier::Lt,
        M::Lte => Modifier::Lte,
        M::Neq => Modifier::Neq,
        M::IgnoreCase => Modifier::RegexIgnoreCase,
        M::Multiline => Modifier::RegexMultiline,
        M::DotAll => Modifier::RegexDotAll,
        M::Minute => Modifier::Minute,
        M::Hour => Modifier::Hour,
        M::Day => Modifier::Day,
        M::Week => Modifier::Week,
        M::Month => Modifier::Month,
        M::Year => Modifier::Year,
    }
}
