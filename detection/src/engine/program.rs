//! All rules over single events, compiled into one tree: equal items of different rules are one item, compared once for
//! an event. Which rules are worth looking at is the business of an [`Index`].

mod builder;

use std::borrow::Cow;
use std::sync::Arc;

use canh_schema::{Event, Value};
use compact_str::CompactString;

pub(crate) use self::builder::ProgramBuilder;
use super::fields::{Slot, Table};
use super::index::Index;
use crate::matching::{Matcher, TextKind};
use crate::rule::RuleSource;

/// The compiled rules.
#[derive(Debug, Default)]
pub(crate) struct Program {
    /// Each log source that rules name, and its rules.
    pub(super) groups: Vec<Group>,
    pub(super) rules: Vec<ProgramRule>,
    nodes: Vec<Node>,
    /// Children of the nodes, as ranges.
    children: Vec<u32>,
    pub(super) items: Vec<ProgramItem>,
    leaves: Vec<Leaf>,
}

/// Rules with the same log source.
#[derive(Debug)]
pub(crate) struct Group {
    pub source: RuleSource,
    /// Their places in the program.
    pub rules: Vec<u32>,
    /// Different items that they compare.
    pub items: usize,
}

#[derive(Debug)]
pub(super) struct ProgramRule {
    /// The place of the rule in the engine.
    rule: u32,
    group: u32,
    root: u32,
    /// Items of which at least one must be announced for the rule to hold; `None` if no literal can announce it.
    pub announced_by: Option<Box<[u32]>>,
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
pub(super) struct ProgramItem {
    pub slot: Slot,
    pub matchers: Box<[Prepared]>,
    /// Some matcher is not decided by the index alone.
    lazy: bool,
    /// Some matcher is not in the index at all.
    unindexed: bool,
}

/// A matcher and, for a field reference, the slot of the other field.
#[derive(Debug)]
pub(super) struct Prepared {
    pub matcher: Matcher,
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
    pub patterns: Box<[CompactString]>,
}

/// What is known about the items and rules for the current event. Kept between events.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    round: u32,
    items: Vec<(u32, State)>,
    rules: Vec<u32>,
    candidates: Vec<u32>,
    /// Which index is looked through, and by its items whether they were announced by it.
    part: u32,
    announced: Vec<u32>,
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

    /// Another index is looked through now. Items may be in several, and each announces rules of its own.
    pub(super) fn begin_part(&mut self, items: usize) {
        if self.announced.len() < items {
            self.announced.resize(items, 0);
        }
        self.part = self.part.wrapping_add(1);
        if self.part == 0 {
            self.announced.iter_mut().for_each(|part| *part = 0);
            self.part = 1;
        }
    }

    /// An index found a literal of the item; that alone is enough if `sure`.
    pub(super) fn announce(&mut self, item: u32, sure: bool) {
        let before = self.state(item);
        if sure && before != Some(State::True) {
            self.set(item, State::True);
        } else if before.is_none() {
            self.set(item, State::Announced);
        }
    }

    /// Whether this index has not announced the item of this number before.
    pub(super) fn is_news(&mut self, number: u32) -> bool {
        std::mem::replace(&mut self.announced[number as usize], self.part) != self.part
    }

    pub(super) fn add_candidate(&mut self, rule: u32) {
        let round = &mut self.rules[rule as usize];
        if *round != self.round {
            *round = self.round;
            self.candidates.push(rule);
        }
    }
}

impl Program {
    /// Calls `fires` with each rule of the indexes that holds for the event in `table` and the root of its condition; counts
    /// the rules looked at.
    pub(crate) fn evaluate(
        &self,
        indexes: &[Arc<Index>],
        event: &Event,
        table: &mut Table,
        verdicts: &mut Verdicts,
        looked_at: &mut u64,
        mut fires: impl FnMut(u32, u32),
    ) {
        verdicts.begin(self.items.len(), self.rules.len());
        indexes.iter().for_each(|index| index.announce(event, table, verdicts));
        *looked_at += verdicts.candidates.len() as u64;
        for place in 0..verdicts.candidates.len() {
            let rule = &self.rules[verdicts.candidates[place] as usize];
            if self.holds(rule.root, event, table, verdicts) {
                fires(rule.rule, rule.root);
            }
        }
    }

    /// The log source that the rule at this place among the engine's rules wants, and its condition.
    pub(crate) fn condition_of(&self, rule: u32) -> Option<(&RuleSource, Condition<'_>)> {
        let found = self.rules.iter().find(|known| known.rule == rule)?;
        let group = self.groups.get(found.group as usize)?;
        Some((&group.source, self.condition(found.root)))
    }

    /// For the proof of a rule that held.
    pub(crate) fn condition(&self, root: u32) -> Condition<'_> {
        Condition { program: self, root }
    }

    /// Every item that the rules at these places compare, in order and once.
    pub(super) fn items_of_rules(&self, rules: &[u32]) -> Vec<u32> {
        let mut out = Vec::new();
        let mut waiting: Vec<u32> = rules.iter().map(|rule| self.rules[*rule as usize].root).collect();
        while let Some(node) = waiting.pop() {
            match self.nodes[node as usize] {
                Node::Leaf(leaf) => out.push(self.leaves[leaf as usize].item),
                Node::Not(child) => waiting.push(child),
                Node::All(begin, end) | Node::Any(begin, end) | Node::AtLeast(_, begin, end) => {
                    waiting.extend(self.children(begin, end));
                }
            }
        }
        out.sort_unstable();
        out.dedup();
        out
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
    fn finds<'e>(&self, slot: Slot, event: &'e Event, table: &mut Table) -> Option<Cow<'e, Value>> {
        match &self.matcher {
            Matcher::Null => table.is_null(slot, event).then_some(Cow::Owned(Value::Null)),
            Matcher::Exists(wanted) => (table.exists(slot) == *wanted)
                .then(|| table.value(slot, event).map_or(Cow::Owned(Value::Null), Cow::Borrowed)),
            Matcher::FieldRef { kind, cased, .. } => self.refers(*kind, *cased, slot, event, table),
            matcher => {
                let mut members = table.lower(slot, event);
                let values = table.values(slot, event);
                let found =
                    members.clone().zip(&values).find(|(member, value)| matcher.matches(value, table.member(*member)));
                if let Some((_, value)) = found {
                    return Some(Cow::Borrowed(*value));
                }
                // Keywords of an event without attributes also look into its raw text, the last member.
                let raw = members.nth(values.len())?;
                let value = Value::text(String::from_utf8_lossy(&event.raw));
                matcher.matches(&value, table.member(raw)).then_some(Cow::Owned(value))
            }
        }
    }

    fn refers<'e>(
        &self,
        kind: TextKind,
        cased: bool,
        slot: Slot,
        event: &'e Event,
        table: &mut Table,
    ) -> Option<Cow<'e, Value>> {
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
                    return Some(Cow::Borrowed(*value));
                }
            }
        }
        None
    }
}

/// The condition of a rule, and the way to find out why it holds.
#[derive(Clone, Copy)]
pub(crate) struct Condition<'a> {
    program: &'a Program,
    pub(super) root: u32,
}

impl Condition<'_> {
    pub(super) fn node(&self, node: u32) -> Node {
        self.program.nodes[node as usize]
    }

    pub(super) fn children(&self, begin: u32, end: u32) -> &[u32] {
        self.program.children(begin, end)
    }

    pub(super) fn leaf(&self, leaf: u32) -> &Leaf {
        &self.program.leaves[leaf as usize]
    }

    pub(super) fn leaf_slot(&self, leaf: u32) -> Slot {
        self.program.items[self.leaf(leaf).item as usize].slot
    }

    /// The pattern and the value that make the leaf hold.
    pub(super) fn leaf_match(&self, leaf: u32, event: &Event, table: &mut Table) -> Option<(CompactString, Value)> {
        let leaf = self.leaf(leaf);
        let item = &self.program.items[leaf.item as usize];
        item.matchers.iter().zip(&leaf.patterns).find_map(|(prepared, pattern)| {
            prepared.finds(item.slot, event, table).map(|value| (pattern.clone(), value.into_owned()))
        })
    }
}
