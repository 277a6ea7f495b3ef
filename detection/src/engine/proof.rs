//! Why a rule held: the branch of its condition that was true, with the value for each comparison on it.

use canh_schema::{Event, FieldMatch};

use super::fields::Table;
use super::group::{Hit, Node};

/// Matches kept in a finding.
const MATCHES_MAX: usize = 64;

/// Characters of a value kept in a finding; the event itself has the whole.
const VALUE_CHARS_MAX: usize = 4_096;

/// What holds because something else does not (`not filter`) leaves no match behind, unless there is nothing else:
/// then the values that did not match are listed, under `not` and the name of the selection.
pub(crate) fn prove(hit: Hit<'_>, event: &Event, table: &mut Table) -> Vec<FieldMatch> {
    let mut matches = Vec::new();
    collect(hit, hit.root, event, table, &mut matches);
    if matches.is_empty() {
        collect_absent(hit, hit.root, event, table, &mut matches);
    }
    matches
}

fn collect_absent(hit: Hit<'_>, node: u32, event: &Event, table: &Table, out: &mut Vec<FieldMatch>) {
    match hit.node(node) {
        Node::Leaf(leaf) => {
            let slot = hit.leaf_slot(leaf);
            let leaf = hit.leaf(leaf);
            if out.len() < MATCHES_MAX {
                out.push(FieldMatch {
                    selection: format!("not {}", leaf.selection).into(),
                    field: leaf.field.clone(),
                    modifiers: leaf.modifiers.clone(),
                    pattern: leaf.patterns.join(", ").into(),
                    value: table.value(slot, event).cloned().map_or(canh_schema::Value::Null, cut),
                });
            }
        }
        Node::Not(child) => collect_absent(hit, child, event, table, out),
        Node::All(begin, end) | Node::Any(begin, end) | Node::AtLeast(_, begin, end) => {
            hit.children(begin, end).iter().for_each(|child| collect_absent(hit, *child, event, table, out));
        }
    }
}

/// Adds the matches of a node and says whether it holds; a node that does not hold adds nothing.
fn collect(hit: Hit<'_>, node: u32, event: &Event, table: &mut Table, out: &mut Vec<FieldMatch>) -> bool {
    let before = out.len();
    let holds = match hit.node(node) {
        Node::Leaf(leaf) => match hit.leaf_match(leaf, event, table) {
            Some((pattern, value)) => {
                if out.len() < MATCHES_MAX {
                    let leaf = hit.leaf(leaf);
                    out.push(FieldMatch {
                        selection: leaf.selection.clone(),
                        field: leaf.field.clone(),
                        modifiers: leaf.modifiers.clone(),
                        pattern,
                        value: cut(value),
                    });
                }
                true
            }
            None => false,
        },
        Node::All(begin, end) => hit.children(begin, end).iter().all(|child| collect(hit, *child, event, table, out)),
        Node::Any(begin, end) => hit.children(begin, end).iter().any(|child| collect(hit, *child, event, table, out)),
        Node::Not(child) => !collect(hit, child, event, table, &mut Vec::new()),
        Node::AtLeast(wanted, begin, end) => {
            let children = hit.children(begin, end).iter();
            let held = children.filter(|child| collect(hit, **child, event, table, out)).count();
            held >= wanted as usize
        }
    };
    if !holds {
        out.truncate(before);
    }
    holds
}

fn cut(value: canh_schema::Value) -> canh_schema::Value {
    match value {
        canh_schema::Value::Text(text) if text.len() > VALUE_CHARS_MAX => {
            canh_schema::Value::text(text.chars().take(VALUE_CHARS_MAX).chain(['…']).collect::<String>())
        }
        other => other,
    }
}
