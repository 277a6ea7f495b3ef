//! Makes a [`Program`] out of rules: shares equal items, and chooses what announces each rule.

use compact_str::CompactString;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::{Group, Leaf, Node, Prepared, Program, ProgramItem, ProgramRule};
use crate::engine::fields::{FieldNames, KEYWORDS, Slot};
use crate::matching::{CompiledItem, Matcher, TextKind, compile_item};
use crate::rule::{Condition, Detection, EventRule, Item, RuleSource};

/// Words that are in so many events that they announce nothing.
const COMMON: &[&str] = &[
    "c:\\windows\\system32\\",
    "c:\\windows\\syswow64\\",
    "c:\\program files\\",
    "c:\\program files (x86)\\",
    "c:\\users\\",
    "\\appdata\\local\\temp\\",
    "\\cmd.exe",
    "\\powershell.exe",
    "\\svchost.exe",
    "\\rundll32.exe",
    "\\explorer.exe",
    "\\reg.exe",
    "\\currentversion\\run",
    "hklm\\system\\currentcontrolset\\services\\",
    "hkcu\\software\\microsoft\\windows\\",
    "https://www.",
    "ntdll.dll",
    "http://",
    "/usr/bin/",
    "/bin/bash",
];

/// Collects rules, then compiles them.
#[derive(Debug, Default)]
pub(crate) struct ProgramBuilder {
    program: Program,
    groups: FxHashMap<RuleSource, u32>,
    items: FxHashMap<String, u32>,
}

impl ProgramBuilder {
    pub(crate) fn add(&mut self, rule: u32, event_rule: &EventRule, fields: &mut FieldNames) {
        let selections: Vec<u32> = event_rule
            .selections
            .iter()
            .map(|selection| self.detection(&selection.detection, &selection.name, fields))
            .collect();
        let root = self.condition(&event_rule.condition, &selections);
        let groups = &mut self.program.groups;
        let group = *self.groups.entry(event_rule.source.clone()).or_insert_with(|| {
            groups.push(Group { source: event_rule.source.clone(), rules: Vec::new(), items: 0 });
            place(groups.len() - 1)
        });
        self.program.groups[group as usize].rules.push(place(self.program.rules.len()));
        self.program.rules.push(ProgramRule { rule, group, root, announced_by: None });
    }

    pub(crate) fn build(mut self) -> Program {
        for index in 0..self.program.rules.len() {
            let announced_by = self.required(self.program.rules[index].root).map(|(_, items)| items.into());
            self.program.rules[index].announced_by = announced_by;
        }
        for index in 0..self.program.groups.len() {
            self.program.groups[index].items = self.program.items_of_rules(&self.program.groups[index].rules).len();
        }
        self.program.nodes.shrink_to_fit();
        self.program.children.shrink_to_fit();
        self.program.items.shrink_to_fit();
        self.program.leaves.shrink_to_fit();
        self.program
    }

    fn push(&mut self, node: Node) -> u32 {
        self.program.nodes.push(node);
        place(self.program.nodes.len() - 1)
    }

    /// A node over children; one child stands for itself.
    fn join(&mut self, children: SmallVec<[u32; 4]>, node: impl FnOnce(u32, u32) -> Node) -> u32 {
        if let [only] = children.as_slice() {
            return *only;
        }
        let begin = place(self.program.children.len());
        self.program.children.extend(children);
        let end = place(self.program.children.len());
        self.push(node(begin, end))
    }

    fn condition(&mut self, condition: &Condition, selections: &[u32]) -> u32 {
        match condition {
            Condition::Selection(index) => selections[*index],
            Condition::Not(part) => {
                let child = self.condition(part, selections);
                self.push(Node::Not(child))
            }
            Condition::All(parts) => {
                let children = parts.iter().map(|part| self.condition(part, selections)).collect();
                self.join(children, Node::All)
            }
            Condition::Any(parts) => {
                let children = parts.iter().map(|part| self.condition(part, selections)).collect();
                self.join(children, Node::Any)
            }
            Condition::AtLeast(wanted, parts) => {
                let children: SmallVec<[u32; 4]> = parts.iter().map(|part| self.condition(part, selections)).collect();
                let wanted = u32::try_from(*wanted).unwrap_or(u32::MAX);
                let begin = place(self.program.children.len());
                self.program.children.extend(children);
                let end = place(self.program.children.len());
                self.push(Node::AtLeast(wanted, begin, end))
            }
        }
    }

    fn detection(&mut self, detection: &Detection, selection: &CompactString, fields: &mut FieldNames) -> u32 {
        match detection {
            Detection::All(parts) => {
                let children = parts.iter().map(|part| self.detection(part, selection, fields)).collect();
                self.join(children, Node::All)
            }
            Detection::Any(parts) => {
                let children = parts.iter().map(|part| self.detection(part, selection, fields)).collect();
                self.join(children, Node::Any)
            }
            Detection::Item(item) => self.item(item, selection, fields),
        }
    }

    fn item(&mut self, item: &Item, selection: &CompactString, fields: &mut FieldNames) -> u32 {
        // An item that does not compile was refused when it was read; an empty one never holds.
        let compiled = compile_item(item).unwrap_or(CompiledItem { all: false, negate: false, values: Vec::new() });
        let slot = item.field.as_deref().map_or(KEYWORDS, |field| fields.slot(field));
        let written: Vec<CompactString> = item.values.iter().map(crate::rule::Literal::to_text).collect();
        let each: Vec<(Vec<Matcher>, CompactString)> = compiled.values.into_iter().zip(written).collect();
        let mut leaf = |builder: &mut Self, values: Vec<(Vec<Matcher>, CompactString)>| {
            let mut matchers = Vec::new();
            let mut patterns = Vec::new();
            for (alternatives, pattern) in values {
                for matcher in alternatives {
                    let other = match &matcher {
                        Matcher::FieldRef { field, .. } => fields.slot(field),
                        _ => KEYWORDS,
                    };
                    matchers.push(Prepared { matcher, other });
                    patterns.push(pattern.clone());
                }
            }
            let item_index = builder.shared_item(slot, matchers);
            let leaf = Leaf {
                item: item_index,
                selection: selection.clone(),
                field: item.field.clone().unwrap_or_default(),
                modifiers: item.written.clone(),
                patterns: patterns.into(),
            };
            builder.program.leaves.push(leaf);
            let index = place(builder.program.leaves.len() - 1);
            builder.push(Node::Leaf(index))
        };
        let node = if compiled.all {
            let children = each.into_iter().map(|value| leaf(self, vec![value])).collect();
            self.join(children, Node::All)
        } else {
            leaf(self, each)
        };
        if compiled.negate { self.push(Node::Not(node)) } else { node }
    }

    fn shared_item(&mut self, slot: Slot, matchers: Vec<Prepared>) -> u32 {
        let text = format!("{slot} {matchers:?}");
        if let Some(index) = self.items.get(&text) {
            return *index;
        }
        let keys = || matchers.iter().map(|prepared| prepared.matcher.index_literals());
        let found_anywhere = |(kind, text, _): &(TextKind, &str, bool)| text.is_empty() && *kind != TextKind::Exact;
        let item = ProgramItem {
            slot,
            lazy: keys().any(|keys| keys.is_empty() || keys.iter().any(|(_, _, sure)| !sure)),
            unindexed: keys().any(|keys| keys.is_empty() || keys.iter().any(found_anywhere)),
            matchers: matchers.into(),
        };
        let index = place(self.program.items.len());
        self.program.items.push(item);
        self.items.insert(text, index);
        index
    }

    /// Items of which at least one must be announced for the node to hold, chosen to be announced seldom; and how
    /// often they probably are.
    fn required(&self, node: u32) -> Option<(f64, Vec<u32>)> {
        let program = &self.program;
        match program.nodes[node as usize] {
            Node::Leaf(leaf) => {
                let index = program.leaves[leaf as usize].item;
                let item = &program.items[index as usize];
                (!item.unindexed).then(|| (item.matchers.iter().map(Prepared::frequency).sum(), vec![index]))
            }
            Node::All(begin, end) => {
                let children = program.children(begin, end).iter().filter_map(|child| self.required(*child));
                children.min_by(|(a, _), (b, _)| a.total_cmp(b))
            }
            Node::Any(begin, end) => self.required_of_any(program.children(begin, end)),
            // At least one must hold only if at least one is wanted.
            Node::AtLeast(wanted, begin, end) if wanted > 0 => self.required_of_any(program.children(begin, end)),
            Node::AtLeast(..) | Node::Not(_) => None,
        }
    }

    fn required_of_any(&self, children: &[u32]) -> Option<(f64, Vec<u32>)> {
        children.iter().try_fold((0.0, Vec::new()), |(sum, mut items), child| {
            let (frequency, more) = self.required(*child)?;
            items.extend(more);
            Some((sum + frequency, items))
        })
    }
}

/// Rules and their parts are counted in 32 bits; nobody has so many.
fn place(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl Prepared {
    /// A guess at how often one of its literals is met.
    fn frequency(&self) -> f64 {
        let frequency = |(kind, literal, _): &(TextKind, &str, bool)| {
            let penalty = if COMMON.iter().any(|word| word.contains(literal)) { 20.0 } else { 1.0 };
            let length = 0.75_f64.powi(i32::try_from(literal.len()).unwrap_or(i32::MAX));
            penalty
                * match kind {
                    TextKind::Exact => 0.02 + 0.1 * length,
                    TextKind::StartsWith | TextKind::EndsWith => 0.01 + 0.5 * length,
                    TextKind::Contains => 0.01 + length,
                }
        };
        let literals = self.matcher.index_literals();
        if literals.is_empty() { 1.0 } else { literals.iter().map(frequency).sum() }
    }
}
