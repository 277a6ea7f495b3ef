//! Rules of the kind `indicator`, with a list that is a table here.

#[expect(unreachable_pub, reason = "shared by the tests and the example")]
mod support;

use std::sync::Arc;

use canh_detection::{
    Engine, EngineConfig, IndicatorMatch, IndicatorQuery, IndicatorSource, RuleSet, check_rule, mutate,
};
use canh_schema::{Event, FieldMatch, Timestamp, Value};
use serde_json::json;

/// Value, type, list, confidence.
#[derive(Debug)]
struct Lists(Vec<(&'static str, &'static str, &'static str, u8)>);

impl IndicatorSource for Lists {
    fn matches(&self, event: &Event, query: &IndicatorQuery<'_>) -> Vec<IndicatorMatch> {
        let mut found = Vec::new();
        for name in ["source.ip", "destination.ip", "dns.question.name"] {
            let text = event.attr(name).and_then(Value::as_text);
            let Some(text) = text.filter(|_| query.wants_field(name)) else { continue };
            for (value, kind, list, confidence) in &self.0 {
                if *value == text && query.types.has(kind) && *confidence >= query.confidence && query.wants_list(list)
                {
                    found.push(IndicatorMatch {
                        value: text.as_ref().into(),
                        key: format!("{list}:{value}").into(),
                        proof: vec![FieldMatch {
                            selection: "indicator".into(),
                            field: name.into(),
                            modifiers: (*kind).into(),
                            pattern: (*value).into(),
                            value: Value::from(*list),
                        }],
                    });
                }
            }
        }
        found
    }
}

fn lists() -> Arc<dyn IndicatorSource> {
    Arc::new(Lists(vec![
        ("203.0.113.7", "ip", "cert-vn", 80),
        ("203.0.113.8", "ip", "feed", 40),
        ("evil.example", "domain", "cert-vn", 80),
    ]))
}

fn rule(correlation: &str) -> String {
    format!(
        "title: base\nname: base\nlogsource: {{category: test}}\ndetection: {{s: {{k: x}}, condition: s}}\n---\n\
         title: listed\nid: listed\nlevel: high\ncorrelation:\n  type: indicator\n  rules: [base]\n{correlation}"
    )
}

fn engine(text: &str) -> Engine {
    let config = EngineConfig { indicators: Some(lists()), ..EngineConfig::default() };
    let engine = Engine::new(RuleSet::from_text("case.yml", text), config);
    assert_eq!(engine.problems(), []);
    engine
}

/// An event of a host that the base rule holds for.
fn event(index: usize, second: i64, host: &str, field: &str, value: &str) -> Event {
    let object = json!({"k": "x", "host.name": host, field: value});
    let object = object.as_object().expect("an object").clone();
    let mut event = support::event_of(index, Timestamp::from_secs(1_699_833_600 + second), object);
    event.logsource.categories.push("test".into());
    event
}

#[track_caller]
fn check(correlation: &str, field: &str, value: &str, expected: bool) {
    let mut engine = engine(&rule(correlation));
    let mut found = Vec::new();
    engine.evaluate(&support::batch(vec![event(0, 0, "a", field, value)]), &mut found);
    assert_eq!(!found.is_empty(), expected, "{correlation:?} {field}={value}");
    assert_eq!(!engine.take_claims().is_empty(), expected, "{correlation:?} {field}={value}");
}

#[test]
fn conditions() {
    let (ip, name) = ("destination.ip", "dns.question.name");
    check("", ip, "203.0.113.7", true);
    check("", ip, "203.0.113.9", false);
    check("  condition: {indicator: address}\n", ip, "203.0.113.7", true);
    check("  condition: {indicator: [hash, domain]}\n", ip, "203.0.113.7", false);
    check("  condition: {indicator: [hash, domain]}\n", name, "evil.example", true);
    check("  condition: {confidence: 40}\n", ip, "203.0.113.8", true);
    check("  condition: {confidence: 41}\n", ip, "203.0.113.8", false);
    check("  condition: {list: CERT-*}\n", ip, "203.0.113.7", true);
    check("  condition: {list: [cert-*, own]}\n", ip, "203.0.113.8", false);
    check("  condition: {field: destination.ip}\n", ip, "203.0.113.7", true);
    check("  condition: {field: source.ip}\n", ip, "203.0.113.7", false);
    // By the name that Sigma rules use.
    check("  condition: {field: DestinationIp}\n", ip, "203.0.113.7", true);
}

#[test]
fn an_indicator_is_said_once_for_each_group_and_time() {
    let mut engine = engine(&rule("  timespan: 1h\n"));
    let mut found = Vec::new();
    let at = [(0, "a", "203.0.113.7"), (10, "a", "203.0.113.7"), (20, "b", "203.0.113.7"), (30, "a", "203.0.113.8")];
    let again = [(3_600, "a", "203.0.113.7"), (7_201, "a", "203.0.113.7")];
    let events = at.iter().chain(&again).enumerate();
    let events = events.map(|(index, (second, host, ip))| event(index, *second, host, "source.ip", ip)).collect();
    engine.evaluate(&support::batch(events), &mut found);
    let seconds: Vec<i64> = found.iter().map(|one| one.time.secs() - 1_699_833_600).collect();
    assert_eq!(seconds, [0, 20, 30, 7_201]);
    // Those that are not said again are taken too.
    assert_eq!(engine.take_claims().len(), 6);
    assert!(engine.take_claims().is_empty());
    let proof: Vec<_> = found[0].matches.iter().map(|line| (line.field.as_str(), line.pattern.as_str())).collect();
    assert_eq!(proof, [("host.name", ""), ("source.ip", "203.0.113.7")]);
    // What was said stays said after a restart.
    let saved = engine.save();
    let mut next = self::engine(&rule("  timespan: 1h\n"));
    assert_eq!(next.restore(&saved).ok(), Some(1));
    let mut more = Vec::new();
    next.evaluate(&support::batch(vec![event(9, 7_300, "a", "source.ip", "203.0.113.7")]), &mut more);
    assert!(more.is_empty());
}

#[test]
fn without_lists_it_is_silent_and_a_rule_that_only_feeds_takes_nothing() {
    let mut engine = Engine::new(RuleSet::from_text("case.yml", &rule("")), EngineConfig::default());
    let mut found = Vec::new();
    let batch = support::batch(vec![event(0, 0, "a", "source.ip", "203.0.113.7")]);
    engine.evaluate(&batch, &mut found);
    assert!(found.is_empty() && engine.take_claims().is_empty());
    let fed = format!(
        "{}---\ntitle: many\nid: many\ncorrelation:\n  type: event_count\n  rules: [listed]\n  group-by: [host.name]\n  \
         timespan: 1h\n  condition: {{gte: 1}}\n",
        rule("")
    );
    let mut engine = self::engine(&fed);
    engine.evaluate(&batch, &mut found);
    assert_eq!(found.iter().map(|one| one.rule.id.as_str()).collect::<Vec<_>>(), ["many"]);
    assert!(engine.take_claims().is_empty());
}

#[track_caller]
fn check_refused(correlation: &str, words: &str) {
    let said: Vec<String> = check_rule(&rule(correlation)).iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|one| one.contains(words)), "{correlation:?}: {said:?}");
}

#[test]
fn mistakes_are_named() {
    check_refused("  condition: {indicator: adress}\n", "`adress` is no type of indicator");
    check_refused("  condition: {confidence: 101}\n", "0 to 100");
    check_refused("  condition: {learning: 7d}\n", "`learning` has no meaning for `indicator`");
    check_refused("  timespan: soon\n", "`soon` is not a time");
    let other = "title: t\ncorrelation:\n  type: new_terms\n  rules: [a]\n  condition: {field: f}\n";
    assert!(check_rule(other).iter().any(|one| one.to_string().contains("needs `timespan:`")));
}

#[test]
fn what_is_changed_to_prove_a_rule() {
    let condition =
        "  condition: {indicator: address, confidence: 50, list: own, field: [source.ip, destination.ip]}\n";
    let set = RuleSet::from_text("case.yml", &rule(condition));
    let found: Vec<String> = mutate::mutants(&set).into_iter().skip(2).map(|mutant| mutant.what).collect();
    assert_eq!(
        found,
        [
            "without indicators of the type `ip`",
            "without indicators of the type `cidr`",
            "confidence `50` made `51`",
            "confidence `50` made `49`",
            "of any list",
            "in any field",
            "not of the list `own`",
            "without the field `source.ip`",
            "without the field `destination.ip`",
        ]
    );
}
