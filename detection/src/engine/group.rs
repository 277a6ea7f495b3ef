//! The rules of one log source, compiled together: equal items of different rules are compared once, and an index
//! over their literals says which rules are worth looking at.

mod builder;

use canh_schema::{Event, Value};
use compact_str::CompactString;

pub(crate) use self::builder::GroupBuilder;
use super::fields::{KEYWORDS, Slot, Table};
use super::literals::{Literals, Mark};
use crate::matching::{Matcher, TextKind};
use crate::rule::RuleSource;

/// Rules with the same log source.
#[derive(Debug)]
pub(crate) struct Group {
    pub source: RuleSource,
    rules: Vec<GroupRule>,
    nodes: Vec<Node>,
    /// Children of the nodes, as ranges.
    children: Vec<u32>,
    items: Vec<GroupItem>,
    leaves: Vec<Leaf>,
    /// By slot; most slots are not used by a group.
    literals: Vec<Option<Box<Literals>>>,
    /// Slots with literals, for groups that use fewer slots than an event has.
    keyword_literals: bool,
    /// Rules that no literal can announce.
    always: Vec<u32>,
}

#[derive(Debug)]
struct GroupRule {
    /// The place of the rule in the engine.
    rule: u32,
    root: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Node {
    Leaf(u32),
    All(u32, u32),
    Any(u32, u32),
    Not(u32),
    AtLeast(u32, u32, u32),
}

/// A field compared with some patterns, any of which will do.
#[derive(Debug)]
struct GroupItem {
    slot: Slot,
    matchers: Vec<Prepared>,
    /// Some matcher is not decided by the index alone.
    lazy: bool,
    /// Some matcher is not in the index at all.
    unindexed: bool,
    /// Rules to look at when the index announces this item.
    triggers: Vec<u32>,
}

/// A matcher and, for a field reference, the slot of the other field.
#[derive(Debug)]
struct Prepared {
    matcher: Matcher,
    other: Slot,
}

/// An item as one rule writes it, for the proof.
#[derive(Debug)]
pub(super) struct Leaf {
    item: u32,
    pub selection: CompactString,
    pub field: CompactString,
    pub modifiers: CompactString,
    /// For each matcher of the item, the value as written.
    pub patterns: Vec<CompactString>,
}

/// What is known about the items and rules of a group for the current event. Kept between events.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    round: u32,
    items: Vec<(u32, State)>,
    rules: Vec<u32>,
    candidates: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// The index found a piece of it.
    Announced,
    True,
    False,
}

impl Verdicts {
    fn begin(&mut self, items: usize, rules: usize) {
        if self.items.len() < items {
            self.items.resize(items, (0, State::False));
        }
        if self.rules.len() < rules {
            self.rules.resize(rules, 0);
        }
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.items.iter_mut().for_each(|(round, _)| *round = 0);
            self.rules.iter_mut().for_each(|round| *round = 0);
            self.round = 1;
        }
        self.candidates.clear();
    }

    fn state(&self, item: u32) -> Option<State> {
        let (round, state) = self.items[item as usize];
        (round == self.round).then_some(state)
    }

    fn set(&mut self, item: u32, state: State) {
        self.items[item as usize] = (self.round, state);
    }

    fn add_candidate(&mut self, rule: u32) {
        let round = &mut self.rules[rule as usize];
        if *round != self.round {
            *round = self.round;
            self.candidates.push(rule);
        }
    }
}

impl Group {
    /// Calls `fires` with each rule that holds for the event in `table` and the root of its condition; counts the
    /// rules looked at.
    pub(crate) fn evaluate(
        &self,
        event: &Event,
        table: &mut Table,
        verdicts: &mut Verdicts,
        looked_at: &mut u64,
        mut fires: impl FnMut(u32, u32),
    ) {
        verdicts.begin(self.items.len(), self.rules.len());
        if self.keyword_literals {
            self.scan(KEYWORDS, event, table, verdicts);
        }
        for index in 0..table.present().len() {
            let slot = table.present()[index];
            self.scan(slot, event, table, verdicts);
        }
        self.always.iter().for_each(|rule| verdicts.add_candidate(*rule));
        *looked_at += verdicts.candidates.len() as u64;
        for index in 0..verdicts.candidates.len() {
            let rule = &self.rules[verdicts.candidates[index] as usize];
            if self.holds(rule.root, event, table, verdicts) {
                fires(rule.rule, rule.root);
            }
        }
    }

    /// The condition of the rule at this place among the engine's rules, if it is in this group.
    pub(crate) fn root_of(&self, rule: u32) -> Option<u32> {
        self.rules.iter().find(|known| known.rule == rule).map(|known| known.root)
    }

    /// For the proof of a rule that held.
    pub(crate) fn hit(&self, root: u32) -> Hit<'_> {
        Hit { group: self, root }
    }

    fn scan(&self, slot: Slot, event: &Event, table: &mut Table, verdicts: &mut Verdicts) {
        let Some(literals) = self.literals.get(slot as usize).and_then(Option::as_ref) else { return };
        for member in table.lower(slot, event) {
            literals.scan(table.member(member).as_bytes(), |Mark { item, sure }| {
                let before = verdicts.state(item);
                if sure && before != Some(State::True) {
                    verdicts.set(item, State::True);
                } else if before.is_none() {
                    verdicts.set(item, State::Announced);
                }
                if before.is_none() {
                    self.items[item as usize].triggers.iter().for_each(|rule| verdicts.add_candidate(*rule));
                }
            });
        }
    }

    fn children(&self, begin: u32, end: u32) -> &[u32] {
        &self.children[begin as usize..end as usize]
    }

    fn holds(&self, node: u32, event: &Event, table: &mut Table, verdicts: &mut Verdicts) -> bool {
        match self.nodes[node as usize] {
            Node::Leaf(leaf) => self.item_holds(self.leaves[leaf as usize].item, event, table, verdicts),
            Node::All(begin, end) => {
                self.children(begin, end).iter().all(|child| self.holds(*child, event, table, verdicts))
            }
            Node::Any(begin, end) => {
                self.children(begin, end).iter().any(|child| self.holds(*child, event, table, verdicts))
            }
            Node::Not(child) => !self.holds(child, event, table, verdicts),
            Node::AtLeast(wanted, begin, end) => {
                let children = self.children(begin, end).iter();
                children.filter(|child| self.holds(**child, event, table, verdicts)).take(wanted as usize).count()
                    == wanted as usize
            }
        }
    }

    fn item_holds(&self, index: u32, event: &Event, table: &mut Table, verdicts: &mut Verdicts) -> bool {
        let item = &self.items[index as usize];
        match verdicts.state(index) {
            Some(State::True) => return true,
            Some(State::False) => return false,
            Some(State::Announced) => (),
            None if !item.unindexed => return false,
            None => (),
        }
        let found = item.lazy && item.matchers.iter().any(|prepared| prepared.finds(item.slot, event, table).is_some());
        verdicts.set(index, if found { State::True } else { State::False });
        found
    }
}

impl Prepared {
    /// The value that matches; null stands for an absent one.
    fn finds(&self, slot: Slot, event: &Event, table: &mut Table) -> Option<Value> {
        match &self.matcher {
            Matcher::Null => table.is_null(slot, event).then_some(Value::Null),
            Matcher::Exists(wanted) => {
                (table.exists(slot) == *wanted).then(|| table.value(slot, event).cloned().unwrap_or(Value::Null))
            }
            Matcher::FieldRef { kind, cased, .. } => self.refers(*kind, *cased, slot, event, table),
            matcher => {
                let mut members = table.lower(slot, event);
                let values = table.values(slot, event);
                let found =
                    members.clone().zip(&values).find(|(member, value)| matcher.matches(value, table.member(*member)));
                if let Some((_, value)) = found {
                    return Some((*value).clone());
                }
                // Keywords of an event without attributes also look into its raw text, the last member.
                let raw = members.nth(values.len())?;
                let value = Value::text(String::from_utf8_lossy(&event.raw));
                matcher.matches(&value, table.member(raw)).then_some(value)
            }
        }
    }

    fn refers(&self, kind: TextKind, cased: bool, slot: Slot, event: &Event, table: &mut Table) -> Option<Value> {
        let (left, right) = (table.lower(slot, event), table.lower(self.other, event));
        let (left_values, right_values) = (table.values(slot, event), table.values(self.other, event));
        for (a, value) in left.zip(&left_values) {
            for (b, other) in right.clone().zip(&right_values) {
                let found = if cased {
                    kind.matches(&value.as_text().unwrap_or_default(), &other.as_text().unwrap_or_default())
                } else {
                    kind.matches(table.member(a), table.member(b))
                };
                if found {
                    return Some((*value).clone());
                }
            }
        }
        None
    }
}

/// A rule that held, and the way to find out why.
#[derive(Clone, Copy)]
pub(crate) struct Hit<'a> {
    pub(super) group: &'a Group,
    pub(super) root: u32,
}

impl Hit<'_> {
    pub(super) fn node(&self, node: u32) -> Node {
        self.group.nodes[node as usize]
    }

    pub(super) fn children(&self, begin: u32, end: u32) -> &[u32] {
        self.group.children(begin, end)
    }

    pub(super) fn leaf(&self, leaf: u32) -> &Leaf {
        &self.group.leaves[leaf as usize]
    }

    pub(super) fn leaf_slot(&self, leaf: u32) -> Slot {
        self.group.items[self.leaf(leaf).item as usize].slot
    }

    /// The pattern and the value that make the leaf hold.
    pub(super) fn leaf_match(&self, leaf: u32, event: &Event, table: &mut Table) -> Option<(CompactString, Value)> {
        let leaf = self.leaf(leaf);
        let item = &self.group.items[leaf.item as usize];
        item.matchers.iter().zip(&leaf.patterns).find_map(|(prepared, pattern)| {
            prepared.finds(item.slot, event, table).map(|value| (pattern.clone(), value))
        })
    }
}
