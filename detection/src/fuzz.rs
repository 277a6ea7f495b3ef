//! Every reader of bytes from outside, for the fuzzer and the property tests. Nothing here may panic or run for long,
//! whatever the bytes are.

use canh_schema::{BatchId, Event, EventBatch, EventId, LogSource, Position, Timestamp, Value};

use crate::engine::{Engine, EngineConfig};
use crate::rule::RuleSet;

/// Rules that look at an event in every way there is, for the target `event`.
const RULES: &str = "\
title: every way
logsource: {}
detection:
  texts: {a|contains: x, b|startswith: y, c|endswith: z, d: 'a*b?c'}
  more: {e|re: '(a|b)+c', f|cidr: 10.0.0.0/8, g|gt: 5, h|exists: true, i|fieldref: a}
  encoded: {j|base64offset|contains: secret, k|windash|contains: ' -x', l|wide|base64offset|contains: abc}
  words: [needle, 'hay*stack']
  condition: 1 of texts or not more or encoded or words
";

/// Each by its name.
pub fn fuzz_targets() -> Vec<(&'static str, fn(&[u8]))> {
    vec![("rule", rule), ("event", event), ("snapshot", snapshot)]
}

/// A rule file: what loads is compiled and held against an event.
fn rule(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut set = RuleSet::from_text("fuzz.yml", &text);
    set.link();
    let mut engine = Engine::new(set, EngineConfig::default());
    engine.evaluate(&batch(vec![made_of(bytes)]), &mut Vec::new());
    engine.tick(Timestamp::from_secs(2_000_000_000), &mut Vec::new());
}

/// An event with the bytes in every field.
fn event(bytes: &[u8]) {
    let mut engine = Engine::new(RuleSet::from_text("fuzz.yml", RULES), EngineConfig::default());
    let event = made_of(bytes);
    engine.evaluate(&batch(vec![event.clone()]), &mut Vec::new());
    let rules: Vec<_> = engine.rules().map(|(info, _)| info.id.clone()).collect();
    for rule in rules {
        engine.explain(&rule, &event);
    }
}

/// What rules remember, as bytes that somebody else may have written.
fn snapshot(bytes: &[u8]) {
    const MEMORY: &str = "title: t\nname: t\nlogsource: {}\ndetection: {s: {a: x}, condition: s}\n---\ntitle: c\ncorrelation:\n  \
                          type: event_count\n  rules: [t]\n  timespan: 1h\n  condition: {gte: 2}\n";
    let mut engine = Engine::new(RuleSet::from_text("fuzz.yml", MEMORY), EngineConfig::default());
    // An error is an answer.
    let _ = engine.restore(bytes);
    engine.evaluate(&batch(vec![made_of(b"x")]), &mut Vec::new());
}

fn made_of(bytes: &[u8]) -> Event {
    let id = EventId::new(BatchId::from_journal(1, 1), 0);
    let mut event = Event::new(id, Timestamp::from_secs(1_800_000_000), bytes.to_vec().into());
    event.logsource = LogSource::product("fuzz");
    let text = String::from_utf8_lossy(bytes);
    for name in "abcdefghijkl".chars() {
        event.attrs.push((compact_str::format_compact!("{name}"), Value::from(text.as_ref())));
    }
    event
}

fn batch(events: Vec<Event>) -> EventBatch {
    EventBatch::new(Position::new(1), events)
}
