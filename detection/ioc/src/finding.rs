//! Findings of matches. The same indicator on the same host is one finding in an hour, however often it is seen.

use std::collections::VecDeque;
use std::sync::Arc;

use canh_schema::{
    Event, EventBatch, EventHash, EventId, Explained, Finding, FindingId, Proof, RuleHash, RuleId, RuleInfo, Value,
    field,
};
use compact_str::{CompactString, format_compact};
use rustc_hash::FxHashSet;

use crate::proof::proof;
use crate::set::{IndicatorSet, Match};

/// Findings that are remembered, so that they are not made again: about 6 MB. When there are more, the ones made first
/// are forgotten. A finding that is made again all the same has the id of the first, and whoever stores findings keeps
/// one of each id: forgetting costs work, and floods nobody.
pub const RECENT_MAX: usize = 100_000;

const HOUR_NANOS: i64 = 3_600_000_000_000;

/// Indicators in the stream.
#[derive(Debug)]
pub struct Stream {
    set: Arc<IndicatorSet>,
    recent: FxHashSet<FindingId>,
    order: VecDeque<FindingId>,
    matches: u64,
}

impl Stream {
    pub fn new(set: Arc<IndicatorSet>) -> Self {
        Self { set, recent: FxHashSet::default(), order: VecDeque::new(), matches: 0 }
    }

    /// Other lists from now on. What was found stays remembered.
    pub fn replace(&mut self, set: Arc<IndicatorSet>) {
        self.set = set;
    }

    /// Matches so far, those of which no finding was made because there had been one included.
    pub fn matches(&self) -> u64 {
        self.matches
    }

    /// Appends what the batch holds to `out`. Values that a rule took (`taken`, by event and value) are counted and said by
    /// that rule alone.
    pub fn evaluate(&mut self, batch: &EventBatch, taken: &dyn Fn(EventId, &str) -> bool, out: &mut Vec<Finding>) {
        if self.set.is_empty() {
            return;
        }
        for event in &batch.events {
            for one in self.set.evaluate(event, event.time) {
                self.matches += 1;
                if taken(event.id, &one.value) {
                    continue;
                }
                let id = finding_id(event, &one);
                if self.remember(id) {
                    out.push(finding(event, &one));
                }
            }
        }
    }

    /// Whether it is new.
    fn remember(&mut self, id: FindingId) -> bool {
        if !self.recent.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > RECENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.recent.remove(&oldest);
        }
        true
    }
}

/// Where it happened: the host, else the address that began it.
fn place(event: &Event) -> CompactString {
    let text = |id| event.get(id).and_then(Value::as_text).map(CompactString::from);
    text(field::HOST_NAME).or_else(|| text(field::SOURCE_IP)).unwrap_or_default()
}

/// The same for the same indicator, host and hour, after a restart and in another process too.
pub fn finding_id(event: &Event, one: &Match) -> FindingId {
    let hour = event.time.floor_to(HOUR_NANOS).secs();
    let indicator = &one.indicator;
    let parts =
        format_compact!("ioc\n{}\n{}\n{}\n{}\n{hour}", indicator.list, indicator.kind, indicator.value, place(event));
    FindingId::new(&RuleId::new(parts), &[])
}

/// A match as a finding of the rule that stands for the list and the type.
pub fn finding(event: &Event, one: &Match) -> Finding {
    let text = |id| event.get(id).and_then(Value::as_text).map(CompactString::from);
    let matches = proof(one);
    // Lists are not rules: there is no mapping of names, and nothing but the match itself to judge.
    let proof = Proof {
        mapping_version: 0,
        condition: Explained::held(&matches),
        event_hashes: vec![EventHash::of(&event.raw)],
    };
    Finding {
        id: finding_id(event, one),
        rule: rule(one),
        time: event.time,
        events: vec![event.id],
        host: text(field::HOST_NAME),
        user: text(field::USER_NAME),
        source_ip: text(field::SOURCE_IP),
        matches,
        proof,
    }
}

fn rule(one: &Match) -> RuleInfo {
    let indicator = &one.indicator;
    let id = format_compact!("ioc:{}:{}", indicator.list, indicator.kind);
    RuleInfo {
        hash: RuleHash::of(id.as_bytes()),
        id: RuleId::new(id),
        title: format_compact!("Indicator of compromise: {} of list {}", indicator.kind, indicator.list),
        description: CompactString::const_new(
            "An event holds a value that a list of indicators names. Which value, how sure the list is and until when it \
             holds is in the proof. The same indicator on the same host is reported once in an hour.",
        ),
        level: indicator.level(),
        tags: indicator.tags.clone(),
        false_positives: vec![
            CompactString::const_new("An address or a name that has another owner since the list was written"),
            CompactString::const_new("A shared host or content network of which only a part is malicious"),
        ],
        references: Vec::new(),
        guide: Vec::new(),
    }
}
