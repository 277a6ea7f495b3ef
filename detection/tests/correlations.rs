//! Correlations against the cases of the detection data, and what they promise about memory and repetition.

#[expect(unreachable_pub, reason = "shared by the tests and the example")]
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use canh_detection::{CorrelationLimits, Engine, EngineConfig, RuleSet};
use canh_schema::{Event, Timestamp};
use serde_json::{Value as Json, json};

const SECOND: i64 = 1;

fn engine(rules: &str, config: EngineConfig) -> Engine {
    let engine = Engine::new(RuleSet::from_text("case.yml", rules), config);
    assert_eq!(engine.problems(), []);
    engine
}

fn event(index: usize, second: i64, object: &Json) -> Event {
    let object = object.as_object().expect("an event is an object").clone();
    let mut event = support::event_of(index, Timestamp::from_secs(second), object);
    event.logsource.categories.push("test".into());
    event
}

/// Titles and groups with the number of the event at which they were first found.
fn first_fires(engine: &mut Engine, events: &[Event]) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut first: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    let mut found = Vec::new();
    for (index, event) in events.iter().enumerate() {
        engine.evaluate(&support::batch(vec![event.clone()]), &mut found);
        for finding in found.drain(..) {
            let groups = finding.matches.iter().filter(|part| part.modifiers == "group-by");
            let key: Vec<String> = groups.map(|part| part.value.as_text().unwrap_or_default().into_owned()).collect();
            first.entry(finding.rule.title.to_string()).or_default().entry(key.join(",")).or_insert(index);
        }
    }
    first
}

#[test]
fn all_cases_of_the_detection_data() {
    let Some(data) = support::data() else { return };
    let mut disagreements = Vec::new();
    let mut cases = 0;
    for line in support::lines(&data.join("correlation.jsonl")) {
        cases += 1;
        let case: Json = serde_json::from_str(&line).expect("a case is JSON");
        let rules = case["rules"].as_str().expect("a case has rules");
        let mut engine = engine(rules, EngineConfig::default());
        let events: Vec<Event> = case["events"]
            .as_array()
            .expect("a case has events")
            .iter()
            .enumerate()
            .map(|(index, entry)| event(index, entry["t"].as_i64().expect("seconds"), &entry["event"]))
            .collect();
        let found = first_fires(&mut engine, &events);
        for (title, groups) in case["expect_first_fire"].as_object().expect("a case has expectations") {
            let groups: BTreeMap<String, usize> = serde_json::from_value(groups.clone()).expect("groups and numbers");
            if found.get(title).cloned().unwrap_or_default() != groups {
                disagreements.push(format!("{}: `{title}` wants {groups:?}, found {found:?}", case["name"]));
            }
        }
    }
    assert_eq!(cases, 25);
    assert!(disagreements.is_empty(), "{disagreements:#?}");
}

fn rules(correlation: &str) -> String {
    format!(
        "title: failed\nname: failed\nlogsource: {{category: test}}\ndetection: {{s: {{k: f}}, condition: s}}\n---\n\
         title: ok\nname: ok\nlogsource: {{category: test}}\ndetection: {{s: {{k: o}}, condition: s}}\n---\n\
         title: corr\ncorrelation:\n{correlation}"
    )
}

const COUNT: &str = "  type: event_count\n  rules: [failed]\n  group-by: [h]\n  timespan: 10s\n  condition: {gte: 3}\n";

/// Evaluates `(second, kind, host)` and expects findings of `corr` at these places.
#[track_caller]
fn check(correlation: &str, events: &[(i64, &str, &str)], expected: &[usize]) {
    let mut engine = engine(&rules(correlation), EngineConfig::default());
    assert_eq!(fires(&mut engine, events), expected, "{correlation}{events:?}");
}

fn fires(engine: &mut Engine, events: &[(i64, &str, &str)]) -> Vec<usize> {
    let mut at = Vec::new();
    for (index, (second, kind, host)) in events.iter().enumerate() {
        let mut found = Vec::new();
        let event = event(index, 1_700_000_000 + second * SECOND, &json!({"k": kind, "h": host}));
        engine.evaluate(&support::batch(vec![event]), &mut found);
        at.extend(found.iter().filter(|finding| finding.rule.title == "corr").map(|_| index));
    }
    at
}

#[test]
fn a_window_that_holds_is_reported_once() {
    check(COUNT, &[(0, "f", "a"), (1, "f", "a"), (2, "f", "a"), (3, "f", "a"), (4, "f", "a")], &[2]);
    // It stopped holding in between.
    check(
        COUNT,
        &[(0, "f", "a"), (1, "f", "a"), (2, "f", "a"), (30, "f", "a"), (31, "f", "a"), (32, "f", "a")],
        &[2, 5],
    );
    // It goes on for longer than the timespan.
    let long: Vec<(i64, &str, &str)> = (0..25).map(|second| (second, "f", "a")).collect();
    check(COUNT, &long, &[2, 12, 22]);
}

#[test]
fn late_and_unordered_events_count() {
    check(COUNT, &[(0, "f", "a"), (9, "f", "a"), (5, "f", "a")], &[2]);
    check(COUNT, &[(100, "f", "a"), (1, "f", "a"), (3, "f", "a"), (2, "f", "a")], &[3]);
    // Later than the lateness and the timespan together.
    check(COUNT, &[(1_000, "f", "a"), (1, "f", "a"), (3, "f", "a"), (2, "f", "a")], &[]);
    let ordered = "  type: temporal_ordered\n  rules: [failed, ok]\n  group-by: [h]\n  timespan: 10s\n";
    check(ordered, &[(5, "o", "a"), (1, "f", "a")], &[1]);
    check(ordered, &[(1, "o", "a"), (5, "f", "a")], &[]);
    check(ordered, &[(5, "o", "a"), (1, "f", "b")], &[]);
}

#[test]
fn ranges_values_and_rule_conditions() {
    let range = COUNT.replace("{gte: 3}", "{gt: 1, lt: 3}");
    check(&range, &[(0, "f", "a"), (1, "f", "a"), (2, "f", "a")], &[1]);
    let either = "  type: temporal\n  rules: [failed, ok]\n  timespan: 10s\n  condition: failed and not ok\n";
    check(either, &[(0, "o", "a"), (1, "f", "a")], &[]);
    check(either, &[(0, "o", "a"), (20, "f", "a")], &[1]);
    let distinct = "  type: value_count\n  rules: [failed]\n  timespan: 10s\n  condition: {field: h, gte: 3}\n";
    check(distinct, &[(0, "f", "a"), (1, "f", "b"), (2, "f", "a"), (3, "f", "c")], &[3]);
    check(distinct, &[(0, "f", "a"), (1, "f", "b"), (10, "f", "c")], &[2]);
    check(distinct, &[(0, "f", "a"), (1, "f", "b"), (11, "f", "c")], &[]);
}

#[test]
fn rules_that_feed_a_correlation_are_quiet_unless_it_generates() {
    for (generate, expected) in [("", 0), ("  generate: true\n", 1)] {
        let mut engine = engine(&rules(&format!("{COUNT}{generate}")), EngineConfig::default());
        let mut found = Vec::new();
        engine.evaluate(&support::batch(vec![event(0, 0, &json!({"k": "f", "h": "a"}))]), &mut found);
        assert_eq!(found.len(), expected, "{generate:?}");
    }
}

#[test]
fn warming_rebuilds_the_memory_and_finds_nothing() {
    let mut engine = engine(&rules(COUNT), EngineConfig::default());
    let old = (0..2).map(|index| event(index, 1_700_000_000, &json!({"k": "f", "h": "a"}))).collect();
    engine.warm(&support::batch(old));
    assert_eq!(engine.stats().findings, 0);
    assert_eq!(fires(&mut engine, &[(1, "f", "a")]), [0]);
}

#[test]
fn invented_groups_do_not_fill_the_memory() {
    let limits = CorrelationLimits {
        groups_per_rule: 64,
        entries_per_group: 16,
        entries_per_rule: 128,
        lateness: Duration::from_secs(1),
        ..CorrelationLimits::default()
    };
    let mut engine = engine(&rules(COUNT), EngineConfig { correlation: limits, ..EngineConfig::default() });
    let names: Vec<String> = (0..5_000).map(|n| format!("h{n}")).collect();
    let flood: Vec<(i64, &str, &str)> = names.iter().map(|name| (1, "f", name.as_str())).collect();
    assert_eq!(fires(&mut engine, &flood), Vec::<usize>::new());
    assert!(engine.stats().evictions > 4_000, "{:?}", engine.stats());
    // A group that is busy now is still seen, and one host that floods forgets its oldest events only.
    let busy: Vec<(i64, &str, &str)> = (0..500).map(|_| (2, "f", "busy")).collect();
    assert_eq!(fires(&mut engine, &busy), [2]);
}

#[test]
fn correlations_that_lead_nowhere_are_refused() {
    let check = |text: &str, expected: &str| {
        let engine = Engine::new(RuleSet::from_text("case.yml", text), EngineConfig::default());
        let problems: Vec<String> = engine.problems().iter().map(ToString::to_string).collect();
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{problems:?}");
    };
    check(&rules(&COUNT.replace("[failed]", "[faild]")), "did you mean `failed`?");
    check(&rules(&COUNT.replace("[failed]", "[corr]")), "leads back to itself");
    check(&rules(&COUNT.replace("event_count", "event_cunt")), "unknown correlation type");
    check(&rules(&COUNT.replace("10s", "ten")), "invalid timespan");
    check(&rules(&COUNT.replace("event_count", "value_count")), "needs `field:`");
}

/// Which rules are left when some are held back, those that raise findings with a star.
#[track_caller]
fn check_held(held: &[&str], expected: &str) {
    let event = |name: &str| {
        format!(
            "title: {name}\nid: {name}\nlogsource: {{category: c}}\ndetection: {{s: {{k: {name}}}, condition: s}}\n"
        )
    };
    let over = |name: &str, of: &str, generate: bool| {
        format!(
            "title: {name}\nid: {name}\ncorrelation:\n  type: event_count\n  rules: [{of}]\n  timespan: 1m\n  generate: {generate}\n  condition: {{gte: 2}}\n"
        )
    };
    let documents = [
        event("alone"),
        event("fed"),
        event("both"),
        over("many", "fed", false),
        over("loud", "both", true),
        over("quiet", "both", false),
        over("outer", "many", false),
    ];
    let mut set = RuleSet::from_text("r.yml", &documents.join("---\n"));
    set.link();
    assert_eq!(set.errors, []);
    set.hold_back(|rule| held.contains(&rule.info.id.as_str()));
    let engine = Engine::new(set, EngineConfig::default());
    let shown = engine.rules().map(|(info, raises)| format!("{}{}", info.id, if raises { "*" } else { "" }));
    assert_eq!(shown.collect::<Vec<_>>().join(" "), expected, "held: {held:?}");
}

#[test]
fn what_is_held_back_raises_nothing_and_still_feeds_the_others() {
    check_held(&[], "alone* fed both* many loud* quiet* outer*");
    check_held(&["alone"], "fed both* many loud* quiet* outer*");
    // It goes with everything that only feeds it.
    check_held(&["outer"], "alone* both* loud* quiet*");
    // A rule that raises findings because another one asks for it does so without that one too.
    check_held(&["loud"], "alone* fed both* many quiet* outer*");
    check_held(&["both"], "alone* fed both many loud* quiet* outer*");
    check_held(&["both", "loud", "quiet", "outer", "alone"], "");
}
