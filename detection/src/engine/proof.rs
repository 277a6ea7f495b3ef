//! Why a rule holds or does not: its condition as a tree with a verdict at each part and the value at each comparison.

use canh_schema::{Compared, ConditionPart, Event, Explained, FieldMatch, Value};
use compact_str::CompactString;

use super::fields::Table;
use super::program::{Condition, Node};

/// Comparisons listed for a finding.
const PROOF_LEAVES_MAX: usize = 64;

/// Comparisons listed when somebody asks why.
const WHOLE_LEAVES_MAX: usize = 1_024;

/// Patterns listed of a comparison that did not hold.
const PATTERNS_MAX: usize = 8;

/// Characters of a value kept in a finding; the event itself has the whole.
const VALUE_CHARS_MAX: usize = 4_096;

/// Which parts are listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Extent {
    /// Those that decide: all parts of an `and` that holds, the first of an `or`, and the other way round.
    Decisive,
    Whole,
}

/// Judges the whole condition again, comparison by comparison.
pub(crate) fn explain(rule: Condition<'_>, event: &Event, table: &mut Table, extent: Extent) -> Explained {
    let leaves = match extent {
        Extent::Decisive => PROOF_LEAVES_MAX,
        Extent::Whole => WHOLE_LEAVES_MAX,
    };
    Explainer { rule, event, extent, leaves }.node(rule.root, table)
}

struct Explainer<'a> {
    rule: Condition<'a>,
    event: &'a Event,
    extent: Extent,
    /// How many comparisons may still be listed.
    leaves: usize,
}

impl Explainer<'_> {
    fn node(&mut self, node: u32, table: &mut Table) -> Explained {
        match self.rule.node(node) {
            Node::Leaf(leaf) => self.leaf(leaf, table),
            Node::Not(child) => {
                let child = self.node(child, table);
                Explained { holds: !child.holds, part: ConditionPart::Not(Box::new(child)) }
            }
            Node::All(begin, end) => {
                let (holds, parts) = self.parts(begin, end, table, false);
                Explained { holds, part: ConditionPart::All(parts) }
            }
            Node::Any(begin, end) => {
                let (fails, parts) = self.parts(begin, end, table, true);
                Explained { holds: !fails, part: ConditionPart::Any(parts) }
            }
            Node::AtLeast(wanted, begin, end) => {
                let children = self.rule.children(begin, end).to_vec();
                let mut parts: Vec<Explained> = children.into_iter().map(|child| self.node(child, table)).collect();
                let holds = parts.iter().filter(|part| part.holds).count() >= wanted as usize;
                if self.extent == Extent::Decisive {
                    let before = parts.len();
                    parts.retain(|part| part.holds == holds);
                    left_out(&mut parts, before);
                }
                Explained { holds, part: ConditionPart::AtLeast(wanted, parts) }
            }
        }
    }

    /// The parts of an `and` (`decisive` is false) or an `or` (true), and whether none of them decides it.
    fn parts(&mut self, begin: u32, end: u32, table: &mut Table, decisive: bool) -> (bool, Vec<Explained>) {
        let children = self.rule.children(begin, end).to_vec();
        let total = children.len();
        let mut parts = Vec::with_capacity(total.min(16));
        let mut decided = false;
        for child in children {
            let part = self.node(child, table);
            let decides = part.holds == decisive;
            decided |= decides;
            if decides && self.extent == Extent::Decisive {
                parts.clear();
                parts.push(part);
                break;
            }
            if self.leaves > 0 || decides {
                parts.push(part);
            }
        }
        left_out(&mut parts, total);
        (!decided, parts)
    }

    fn leaf(&mut self, leaf: u32, table: &mut Table) -> Explained {
        self.leaves = self.leaves.saturating_sub(1);
        let found = self.rule.leaf_match(leaf, self.event, table);
        let slot = self.rule.leaf_slot(leaf);
        let leaf = self.rule.leaf(leaf);
        let holds = found.is_some();
        let (patterns, value) = match found {
            Some((pattern, value)) => (vec![pattern], Some(cut(value))),
            None => (
                leaf.patterns.iter().take(PATTERNS_MAX).cloned().collect(),
                table.value(slot, self.event).cloned().map(cut),
            ),
        };
        let compared = Compared {
            selection: leaf.selection.clone(),
            field: leaf.field.clone(),
            modifiers: leaf.modifiers.clone(),
            patterns,
            patterns_total: u32::try_from(leaf.patterns.len()).unwrap_or(u32::MAX),
            value,
        };
        Explained { holds, part: ConditionPart::Compared(compared) }
    }
}

fn left_out(parts: &mut Vec<Explained>, total: usize) {
    let missing = total.saturating_sub(parts.len());
    if missing > 0 {
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        parts.push(Explained { holds: false, part: ConditionPart::LeftOut(missing) });
    }
}

/// The comparisons that made a condition hold. What holds because something else does not (`not filter`) leaves none
/// behind, unless there is nothing else: then the values that did not match are listed, under `not` and the name of the
/// selection.
pub(crate) fn matches(condition: &Explained) -> Vec<FieldMatch> {
    let mut held = Vec::new();
    collect(condition, &mut |compared, holds, negated| {
        if holds && !negated {
            held.push(field_match(compared, compared.selection.clone()));
        }
    });
    if held.is_empty() {
        collect(condition, &mut |compared, _, _| {
            held.push(field_match(compared, compact_str::format_compact!("not {}", compared.selection)));
        });
    }
    held
}

fn collect(condition: &Explained, take: &mut impl FnMut(&Compared, bool, bool)) {
    fn walk(part: &Explained, negated: bool, take: &mut impl FnMut(&Compared, bool, bool)) {
        match &part.part {
            ConditionPart::All(parts) | ConditionPart::Any(parts) | ConditionPart::AtLeast(_, parts) => {
                parts.iter().for_each(|part| walk(part, negated, take));
            }
            ConditionPart::Not(part) => walk(part, !negated, take),
            ConditionPart::Compared(compared) => take(compared, part.holds, negated),
            ConditionPart::LeftOut(_) => (),
        }
    }
    walk(condition, false, take);
}

fn field_match(compared: &Compared, selection: CompactString) -> FieldMatch {
    FieldMatch {
        selection,
        field: compared.field.clone(),
        modifiers: compared.modifiers.clone(),
        pattern: compared.patterns.join(", ").into(),
        value: compared.value.clone().unwrap_or(Value::Null),
    }
}

fn cut(value: Value) -> Value {
    match value {
        Value::Text(text) if text.len() > VALUE_CHARS_MAX => {
            Value::text(text.chars().take(VALUE_CHARS_MAX).chain(['…']).collect::<String>())
        }
        other => other,
    }
}
