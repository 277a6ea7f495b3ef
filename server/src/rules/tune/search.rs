//! Which values separate noise from what must be kept. A search over (field, value) pairs; what it finds is only a
//! proposal until the engine has judged with it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use canh_schema::{Event, Value};
use compact_str::CompactString;

/// Longer values are texts, which no filter should compare as a whole.
const VALUE_LEN_MAX: usize = 200;
/// Events of one alert that are looked at; more say nothing new.
const EVENTS_MAX: usize = 200;
/// Pairs that are tried in twos, those that cover most noise first.
const FREQUENT_MAX: usize = 200;
const PROPOSALS_MAX: usize = 5;
/// Parts of one filter, any of which is enough.
const PARTS_MAX: usize = 3;

/// Fields whose values come again by chance and mean nothing.
const MEANINGLESS: &[&str] = &[
    "message",
    "source.port",
    "process.pid",
    "process.parent.pid",
    "pid",
    "ppid",
    "ses",
    "event.sequence",
    "event.duration",
    "EventRecordID",
    "ProcessId",
    "ParentProcessId",
    "correlationId",
    "requestTimestamp",
    "@timestamp",
];

/// A field and its value. Equal as Sigma compares: without regard to case, numbers by how they are written.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) field: CompactString,
    pub(super) value: Plain,
    key: CompactString,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Plain {
    Bool(bool),
    Integer(i64),
    Text(CompactString),
}

impl Pair {
    pub(super) fn new(field: &str, value: &Value) -> Option<Self> {
        let text = value.as_text()?;
        let fits =
            |text: &str, max: usize| !text.is_empty() && text.len() <= max && !text.chars().any(char::is_control);
        if !fits(&text, VALUE_LEN_MAX) || !fits(field, 100) || field.contains('|') || MEANINGLESS.contains(&field) {
            return None;
        }
        let key = text.to_lowercase().into();
        let value = match value {
            Value::Bool(value) => Plain::Bool(*value),
            Value::Integer(value) => Plain::Integer(*value),
            Value::Float(_) => return None,
            _ => Plain::Text(text.as_ref().into()),
        };
        Some(Self { field: field.into(), value, key })
    }

    /// Catalogue fields mean the same for every source, so they are shown rather than native names.
    fn is_native(&self) -> bool {
        canh_schema::field_by_name(&self.field).is_none()
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.field, &self.key).cmp(&(&other.field, &other.key))
    }
}

pub(super) type Pairs = BTreeSet<Pair>;

/// Everything of an event that a filter could name.
pub(super) fn pairs_of(event: &Event) -> Pairs {
    let fields = event.fields.iter().map(|(id, value)| (id.name(), value));
    let attrs = event.attrs.iter().map(|(name, value)| (name.as_str(), value));
    fields.chain(attrs).filter_map(|(name, value)| Pair::new(name, value)).collect()
}

/// What all events of an alert have: a filter that names it takes the whole alert.
pub(super) fn common(events: &[Event]) -> Pairs {
    let mut events = events.iter().take(EVENTS_MAX).map(pairs_of);
    let Some(mut common) = events.next() else { return Pairs::new() };
    for pairs in events {
        common.retain(|pair| pairs.contains(pair));
    }
    common
}

/// A set of places.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
struct Places(Vec<u64>);

impl Places {
    fn add(&mut self, place: usize) {
        if self.0.len() <= place / 64 {
            self.0.resize(place / 64 + 1, 0);
        }
        self.0[place / 64] |= 1 << (place % 64);
    }

    fn both(&self, other: &Self) -> Self {
        let mut words: Vec<u64> = self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect();
        while words.last() == Some(&0) {
            words.pop();
        }
        Self(words)
    }

    fn add_all(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }

    fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }
}

/// Pairs that hold together, and where they do.
#[derive(Clone, Debug, Default)]
struct Candidate {
    pairs: Vec<Pair>,
    noise: Places,
    keep: Places,
    unknown: Places,
}

impl Candidate {
    fn order(&self, other: &Self) -> Ordering {
        let natives = |candidate: &Self| candidate.pairs.iter().filter(|pair| pair.is_native()).count();
        (other.noise.count().cmp(&self.noise.count()))
            .then_with(|| self.unknown.count().cmp(&other.unknown.count()))
            .then_with(|| self.pairs.len().cmp(&other.pairs.len()))
            .then_with(|| natives(self).cmp(&natives(other)))
            .then_with(|| self.pairs.cmp(&other.pairs))
    }

    fn with(&self, other: &Self) -> Self {
        Self {
            pairs: [&self.pairs[..], &other.pairs[..]].concat(),
            noise: self.noise.both(&other.noise),
            keep: self.keep.both(&other.keep),
            unknown: self.unknown.both(&other.unknown),
        }
    }
}

/// What a filter would select: any of the parts, each of which is all of its pairs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Selected(pub(super) Vec<Vec<Pair>>);

/// Proposals, the one that takes most noise first. `noise` and `unknown` are what the events of each alert have in common;
/// `keep` is every event that no filter may name.
pub(super) fn search(noise: &[Pairs], keep: &[Pairs], unknown: &[Pairs]) -> Vec<Selected> {
    let least = noise.len().div_ceil(10).max(2);
    let frequent = frequent(noise, keep, unknown, least);
    let mut good: Vec<Candidate> = frequent.iter().filter(|one| one.keep.count() == 0).cloned().collect();
    for (index, first) in frequent.iter().enumerate() {
        for second in &frequent[index + 1..] {
            let together = first.with(second);
            // Two are only better than one if they keep what one would take.
            let needed = |one: &Candidate| one.keep.count() > 0 || together.unknown.count() < one.unknown.count();
            if together.noise.count() >= least && together.keep.count() == 0 && needed(first) && needed(second) {
                good.push(together);
            }
        }
    }
    good.sort_by(Candidate::order);
    let mut seen = BTreeSet::new();
    good.retain(|candidate| seen.insert((candidate.noise.clone(), candidate.unknown.clone())));
    let mut proposals = Vec::new();
    let joined = join(&good, least);
    if joined.len() > 1 {
        proposals.push(Selected(joined));
    }
    proposals.extend(good.into_iter().map(|candidate| Selected(vec![candidate.pairs])));
    proposals.truncate(PROPOSALS_MAX);
    proposals
}

/// Single pairs that cover enough noise; of several that hold at the same places, the one that is named best.
fn frequent(noise: &[Pairs], keep: &[Pairs], unknown: &[Pairs], least: usize) -> Vec<Candidate> {
    let mut by_pair: BTreeMap<&Pair, Candidate> = BTreeMap::new();
    for (place, pair) in noise.iter().enumerate().flat_map(|(place, pairs)| pairs.iter().map(move |pair| (place, pair)))
    {
        by_pair.entry(pair).or_default().noise.add(place);
    }
    by_pair.retain(|_, candidate| candidate.noise.count() >= least);
    for (pair, candidate) in &mut by_pair {
        candidate.pairs.push((*pair).clone());
        keep.iter().enumerate().filter(|(_, has)| has.contains(*pair)).for_each(|(at, _)| candidate.keep.add(at));
        unknown.iter().enumerate().filter(|(_, has)| has.contains(*pair)).for_each(|(at, _)| candidate.unknown.add(at));
    }
    let mut found: Vec<Candidate> = by_pair.into_values().collect();
    found.sort_by(Candidate::order);
    let mut seen = BTreeSet::new();
    found.retain(|one| seen.insert((one.noise.clone(), one.keep.clone(), one.unknown.clone())));
    found.truncate(FREQUENT_MAX);
    found
}

/// The few candidates that cover most together, each adding enough to be worth its line.
fn join(good: &[Candidate], least: usize) -> Vec<Vec<Pair>> {
    let mut covered = Places::default();
    let mut parts = Vec::new();
    while parts.len() < PARTS_MAX {
        let adds = |candidate: &Candidate| candidate.noise.count() - candidate.noise.both(&covered).count();
        // The first of those that add most: the order prefers what takes fewer unknown ones.
        let best = good.iter().rev().max_by_key(|candidate| adds(candidate));
        let Some(best) = best.filter(|best| adds(best) >= least) else { break };
        covered.add_all(&best.noise);
        parts.push(best.pairs.clone());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Pairs {
        let pair = |word: &str| {
            let (field, value) = word.split_once('=').expect("field=value");
            Pair::new(field, &Value::text(value))
        };
        text.split_whitespace().filter_map(pair).collect()
    }

    /// Each proposal as `a=1&b=2|c=3`.
    #[track_caller]
    fn check(noise: &[&str], keep: &[&str], unknown: &[&str], expected: &[&str]) {
        let of = |texts: &[&str]| -> Vec<Pairs> { texts.iter().map(|text| pairs(text)).collect() };
        let shown = |pair: &Pair| format!("{}={}", pair.field, pair.key);
        let part = |pairs: &Vec<Pair>| pairs.iter().map(shown).collect::<Vec<_>>().join("&");
        let found: Vec<String> = search(&of(noise), &of(keep), &of(unknown))
            .iter()
            .map(|selected| selected.0.iter().map(part).collect::<Vec<_>>().join("|"))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn one_value_separates() {
        check(&["h=a u=x", "h=a u=x", "h=a u=y"], &["h=b u=x"], &[], &["h=a"]);
        // Sigma compares without regard to case.
        check(&["h=a", "h=a"], &["h=A"], &[], &[]);
    }

    #[test]
    fn two_values_where_one_would_take_too_much() {
        check(&["h=a u=x", "h=a u=x"], &["h=a u=y", "h=b u=x"], &[], &["h=a&u=x"]);
        // The same for alerts that nobody has decided about, but there the single value remains a choice.
        let noise = ["h=a u=x", "h=a u=x", "h=a u=z"];
        check(&noise, &["h=b u=x"], &["h=a u=y"], &["h=a", "h=a&u=x"]);
    }

    #[test]
    fn several_parts_cover_more() {
        let noise = ["h=a", "h=a", "h=a", "u=x", "u=x", "z=1"];
        check(&noise, &["h=b u=y"], &[], &["h=a|u=x", "h=a", "u=x"]);
    }

    #[test]
    fn nothing_separates() {
        check(&["h=a", "h=a"], &["h=a"], &[], &[]);
        check(&["h=a", "h=b"], &["h=c"], &[], &[]);
        check(&[], &["h=c"], &[], &[]);
        // One alert is no pattern.
        check(&["h=a"], &["h=b"], &[], &[]);
    }

    #[test]
    fn names_that_mean_the_same_everywhere_are_preferred() {
        check(&["Computer=a host.name=a", "Computer=a host.name=a"], &["host.name=b"], &[], &["host.name=a"]);
        check(&["pid=1 message=m", "pid=1 message=m"], &["pid=2"], &[], &[]);
    }

    #[test]
    fn hostile_values_are_left_out() {
        for value in ["", "a\nb", &"x".repeat(201), "\u{1b}[2J"] {
            assert!(Pair::new("h", &Value::text(value)).is_none(), "{value:?}");
        }
        assert!(Pair::new("h|contains", &Value::text("a")).is_none());
        assert!(Pair::new("h", &Value::Null).is_none());
    }
}
