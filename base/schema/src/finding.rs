//! What detection says: this rule, for these events, because of these values.

use compact_str::CompactString;

use crate::{EventId, FindingId, Level, Proof, RuleHash, RuleId, Timestamp, Value};

/// One rule that held for one or more events.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Derived from rule and events: finding it again changes nothing.
    pub id: FindingId,
    pub rule: RuleInfo,
    /// Time of the newest event.
    pub time: Timestamp,
    pub events: Vec<EventId>,
    /// Where it happened, if the event says: `host.name`, `user.name`, `source.ip`.
    pub host: Option<CompactString>,
    pub user: Option<CompactString>,
    pub source_ip: Option<CompactString>,
    /// Each comparison that held, with the value that made it hold: the proof in short.
    pub matches: Vec<FieldMatch>,
    pub proof: Proof,
}

/// What is kept of a rule in each finding, so that an old alert can be read after the rule has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleInfo {
    pub id: RuleId,
    pub hash: RuleHash,
    pub title: CompactString,
    pub description: CompactString,
    pub level: Level,
    /// Sigma tags, for example `attack.t1110.001`.
    pub tags: Vec<CompactString>,
    /// What is usually behind it when it is not an attack.
    pub false_positives: Vec<CompactString>,
    pub references: Vec<CompactString>,
    /// What to do about it, by language (`en`, `vi`), in the order of the rule.
    pub guide: Vec<(CompactString, CompactString)>,
}

/// One condition of a rule that held.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldMatch {
    /// Name of the selection in the rule, for example `selection_img`.
    pub selection: CompactString,
    /// Field as the rule writes it; empty for a keyword.
    pub field: CompactString,
    /// Modifiers as the rule writes them, for example `contains|all`.
    pub modifiers: CompactString,
    /// The pattern that matched, as the rule writes it.
    pub pattern: CompactString,
    /// The value of the event.
    pub value: Value,
}
