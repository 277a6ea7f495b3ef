//! A rule while pipelines change it, before it is compiled.

use compact_str::CompactString;

use super::when::any_item;
use crate::diagnostic::{Diagnostic, Place};
use crate::rule::{Alias, Condition, Detection, Item, RuleSource, Selection};

/// Memory that the lines of one rule may take after a transformation.
const BYTES_MAX: usize = 4 << 20;

/// Lines inside lines, deeper than which a rule is refused.
const DEPTH_MAX: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DraftKind {
    Event,
    Filter,
    Correlation,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Attribute {
    Text(CompactString),
    Number(f64),
    List(Vec<CompactString>),
}

#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub kind: DraftKind,
    pub source: RuleSource,
    pub selections: Vec<Selection>,
    pub condition: Condition,
    pub tags: &'a [String],
    pub attributes: &'a [(CompactString, Attribute)],
    pub at: Place,
    /// Of a rule over other rules only.
    pub linked: Linked,
}

/// What a rule over other rules says of the events of these.
#[derive(Debug, Default)]
pub(crate) struct Linked {
    /// Log sources of the rules over single events that feed it, as pipelines leave them.
    pub sources: Vec<RuleSource>,
    pub group_by: Vec<CompactString>,
    pub fields: Vec<CompactString>,
    pub aliases: Vec<Alias>,
}

impl Draft<'_> {
    pub(super) fn any_item(&self, test: &impl Fn(&Item) -> bool) -> bool {
        self.selections.iter().any(|selection| any_item(&selection.detection, test))
    }

    /// Every line goes through `change`; what it gives takes the line's place, nothing takes the line out.
    pub(super) fn change_items(
        &mut self,
        change: &mut impl FnMut(Item) -> Result<Option<Detection>, Diagnostic>,
    ) -> Result<(), Diagnostic> {
        let mut budget = BYTES_MAX;
        let mut gone = vec![false; self.selections.len()];
        for (index, selection) in self.selections.iter_mut().enumerate() {
            let at = self.at;
            let mut spend = |item: Item| {
                let place = item.at;
                let changed = change(item)?;
                let cost = changed.as_ref().map_or(0, cost);
                budget = budget.checked_sub(cost).ok_or_else(|| too_large(place))?;
                Ok(changed)
            };
            let detection = std::mem::replace(&mut selection.detection, Detection::All(Vec::new()));
            match changed(detection, 0, at, &mut spend)? {
                Some(detection) => selection.detection = detection,
                None => gone[index] = true,
            }
        }
        if gone.contains(&true) {
            self.take_out(&gone)?;
        }
        Ok(())
    }

    /// Selections of which nothing is left go out of the condition, as if they had not been written.
    fn take_out(&mut self, gone: &[bool]) -> Result<(), Diagnostic> {
        let mut places = Vec::with_capacity(gone.len());
        let mut next = 0;
        for gone in gone {
            places.push((!gone).then_some(next));
            next += usize::from(!gone);
        }
        let without = without(&self.condition, &places).map_err(|text| Diagnostic::error(self.at, text))?;
        let Some(condition) = without else {
            let text = "`drop_detection_item` of a pipeline leaves nothing of the rule's condition";
            return Err(Diagnostic::error(self.at, text));
        };
        self.condition = condition;
        let mut kept = gone.iter();
        self.selections.retain(|_| kept.next() == Some(&false));
        Ok(())
    }
}

pub(super) fn too_large(at: Place) -> Diagnostic {
    Diagnostic::error(at, format!("a pipeline makes more than {BYTES_MAX} bytes of this rule"))
}

/// Bytes of one text that a transformation may make.
pub(super) const TEXT_BYTES_MAX: usize = 1 << 16;

fn cost(detection: &Detection) -> usize {
    match detection {
        Detection::All(parts) | Detection::Any(parts) => 24 + parts.iter().map(cost).sum::<usize>(),
        Detection::Item(item) => {
            let field = item.field.as_ref().map_or(0, |field| field.len());
            128 + field + item.values.iter().map(|value| 32 + value.to_text().len()).sum::<usize>()
        }
    }
}

fn changed(
    detection: Detection,
    depth: usize,
    at: Place,
    change: &mut impl FnMut(Item) -> Result<Option<Detection>, Diagnostic>,
) -> Result<Option<Detection>, Diagnostic> {
    if depth > DEPTH_MAX {
        return Err(Diagnostic::error(at, format!("pipelines nest this rule deeper than {DEPTH_MAX} levels")));
    }
    let mut each = |parts: Vec<Detection>| {
        let mut out = Vec::with_capacity(parts.len());
        for part in parts {
            out.extend(changed(part, depth + 1, at, change)?);
        }
        Ok(out)
    };
    let (parts, join): (Vec<Detection>, fn(Vec<Detection>) -> Detection) = match detection {
        Detection::Item(item) => return change(item),
        Detection::All(parts) => (each(parts)?, Detection::All),
        Detection::Any(parts) => (each(parts)?, Detection::Any),
    };
    Ok((!parts.is_empty()).then(|| join(parts)))
}

fn without(condition: &Condition, places: &[Option<usize>]) -> Result<Option<Condition>, String> {
    let each = |parts: &[Condition]| {
        let parts = parts.iter().map(|part| without(part, places)).collect::<Result<Vec<_>, _>>()?;
        Ok::<Vec<Condition>, String>(parts.into_iter().flatten().collect())
    };
    let some = |parts: Vec<Condition>, join: fn(Vec<Condition>) -> Condition| {
        if parts.is_empty() { None } else { Some(join(parts)) }
    };
    Ok(match condition {
        Condition::Selection(index) => places.get(*index).copied().flatten().map(Condition::Selection),
        Condition::Not(part) => without(part, places)?.map(|part| Condition::Not(Box::new(part))),
        Condition::All(parts) => some(each(parts)?, Condition::All),
        Condition::Any(parts) => some(each(parts)?, Condition::Any),
        Condition::AtLeast(wanted, parts) => {
            let left = each(parts)?;
            if left.len() < *wanted && !left.is_empty() {
                return Err(format!(
                    "`drop_detection_item` of a pipeline leaves {} of the selections of which {wanted} must hold",
                    left.len()
                ));
            }
            (!left.is_empty()).then_some(Condition::AtLeast(*wanted, left))
        }
    })
}
