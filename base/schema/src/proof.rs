//! Why a rule holds for an event, or why it does not: its condition, part by part, with the values compared.

use compact_str::CompactString;

use crate::{EventHash, FieldMatch, RuleId, Value};

/// A part of a condition and whether it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    pub holds: bool,
    pub part: ConditionPart,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ConditionPart {
    All(Vec<Explained>),
    Any(Vec<Explained>),
    Not(Box<Explained>),
    AtLeast(u32, Vec<Explained>),
    Compared(Compared),
    /// This many parts more that are not listed, because they decide nothing or would be too many.
    LeftOut(u32),
}

/// One line of a selection, held against the event.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// Name of the selection in the rule, for example `selection_img`.
    pub selection: CompactString,
    /// Field as the rule writes it; empty for a keyword.
    pub field: CompactString,
    /// Modifiers as the rule writes them, for example `contains|all`.
    pub modifiers: CompactString,
    /// If it holds, the one pattern that matched; else those that were tried, the first few of them.
    pub patterns: Vec<CompactString>,
    /// How many patterns there are.
    pub patterns_total: u32,
    /// The value that matched, or else what the event has; `None` if it has no such field.
    pub value: Option<Value>,
}

/// What makes a finding verifiable long after: with the rule's text of that hash and the events of these hashes, anybody
/// can judge again and must come to the same condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    /// Version of the table of field mappings.
    pub mapping_version: u32,
    /// The branch of the condition that was true. For a correlation, its measured condition.
    pub condition: Explained,
    /// Hashes of the events of the finding, in their order.
    pub event_hashes: Vec<EventHash>,
    /// For a rule over what is usual: what it remembered of the group before these events, as far as the verdict depends on
    /// it, in the form of the engine.
    pub remembered: Option<Box<[u8]>>,
}

impl Explained {
    /// A condition of which it is only known that these comparisons held together.
    pub fn held(matches: &[FieldMatch]) -> Self {
        let part = |held: &FieldMatch| Self {
            holds: true,
            part: ConditionPart::Compared(Compared {
                selection: held.selection.clone(),
                field: held.field.clone(),
                modifiers: held.modifiers.clone(),
                patterns: vec![held.pattern.clone()],
                patterns_total: 1,
                value: Some(held.value.clone()),
            }),
        };
        Self { holds: true, part: ConditionPart::All(matches.iter().map(part).collect()) }
    }

    /// Every comparison in the tree, in order.
    pub fn comparisons(&self) -> Vec<(bool, &Compared)> {
        let mut out = Vec::new();
        self.collect(&mut out);
        out
    }

    fn collect<'a>(&'a self, out: &mut Vec<(bool, &'a Compared)>) {
        match &self.part {
            ConditionPart::All(parts) | ConditionPart::Any(parts) | ConditionPart::AtLeast(_, parts) => {
                parts.iter().for_each(|part| part.collect(out));
            }
            ConditionPart::Not(part) => part.collect(out),
            ConditionPart::Compared(compared) => out.push((self.holds, compared)),
            ConditionPart::LeftOut(_) => (),
        }
    }
}

/// What a rule says of one event.
#[derive(Clone, PartialEq, Debug)]
pub enum Explanation {
    /// A rule over single events.
    Event {
        /// What the rule wants its events to come from, for example `product=linux service=sshd`.
        wanted: CompactString,
        /// Whether this event does. If not, the rule never looks at it, whatever the condition says.
        source_fits: bool,
        condition: Explained,
    },
    /// A rule over other rules, and what each of these says. Windows and counts are not judged from one event.
    Feeders(Vec<(RuleId, Option<Explanation>)>),
}

impl Explanation {
    /// Whether the rule holds for this event; for a rule over other rules, whether one of these does.
    pub fn holds(&self) -> bool {
        match self {
            Self::Event { source_fits, condition, .. } => *source_fits && condition.holds,
            Self::Feeders(feeders) => feeders.iter().any(|(_, said)| said.as_ref().is_some_and(Self::holds)),
        }
    }
}
