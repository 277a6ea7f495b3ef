//! Rules over what is usual, their memory over restarts, and why a rule holds or does not.

#[expect(unreachable_pub, reason = "shared by the tests and the example")]
mod support;

use canh_detection::{CorrelationLimits, Engine, EngineConfig, RuleSet};
use canh_schema::{ConditionPart, Event, Explanation, Finding, RuleId, Timestamp};
use serde_json::{Value as Json, json};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// A Monday at midnight UTC.
const START: i64 = 1_699_833_600;

fn rules(behaviour: &str) -> String {
    format!(
        "title: base\nname: base\nlogsource: {{category: test}}\ndetection: {{s: {{k: x}}, condition: s}}\n---\n\
         title: usual\nid: usual\ncorrelation:\n  rules: [base]\n{behaviour}"
    )
}

fn engine(text: &str) -> Engine {
    let engine = Engine::new(RuleSet::from_text("case.yml", text), EngineConfig::default());
    assert_eq!(engine.problems(), []);
    engine
}

fn event(index: usize, second: i64, object: &Json) -> Event {
    let object = object.as_object().expect("an event is an object").clone();
    let mut event = support::event_of(index, Timestamp::from_secs(START + second), object);
    event.logsource.categories.push("test".into());
    event
}

/// Evaluates `(second, event)`, every event with `k: x`, and answers the places at which the rule was found.
fn fires(engine: &mut Engine, events: &[(i64, Json)]) -> Vec<usize> {
    let mut at = Vec::new();
    for (index, (second, object)) in events.iter().enumerate() {
        let mut object = object.clone();
        object["k"] = json!("x");
        let mut found = Vec::new();
        engine.evaluate(&support::batch(vec![event(index, *second, &object)]), &mut found);
        at.extend(found.iter().map(|_| index));
    }
    at
}

#[track_caller]
fn check(behaviour: &str, events: &[(i64, Json)], expected: &[usize]) {
    let text = rules(behaviour);
    assert_eq!(fires(&mut engine(&text), events), expected, "{behaviour}");
    judged_again(&text, events);
}

/// Each finding, with its own events and what it says that was remembered, is found again by an engine that knows nothing.
#[track_caller]
fn judged_again(text: &str, events: &[(i64, Json)]) {
    let stream = (0..).zip(events).map(|(index, (second, object))| {
        let mut object = object.clone();
        object["k"] = json!("x");
        event(index, *second, &object)
    });
    let (mut before, mut found) = (engine(text), Vec::new());
    let stream: Vec<Event> = stream.collect();
    for event in &stream {
        before.evaluate(&support::batch(vec![event.clone()]), &mut found);
    }
    for finding in found {
        let mut fresh = engine(text);
        if let Some(remembered) = &finding.proof.remembered {
            assert!(fresh.recall(&finding.rule.id, remembered));
            assert!(!fresh.recall(&finding.rule.id, &remembered[..remembered.len() / 2]));
        }
        let own = stream.iter().filter(|event| finding.events.contains(&event.id)).cloned().collect();
        let mut again = Vec::new();
        fresh.evaluate(&support::batch(own), &mut again);
        let again = again.iter().find(|again| again.id == finding.id).expect("it is found again");
        assert_eq!(again.proof.condition, finding.proof.condition);
        assert_eq!(again.proof.remembered, finding.proof.remembered);
    }
}

fn value(second: i64, host: &str, value: &str) -> (i64, Json) {
    (second, json!({"h": host, "v": value}))
}

const NEW: &str = "  type: new_terms\n  group-by: [h]\n  timespan: 30d\n  condition: {field: v, learning: 7d}\n";

#[test]
fn new_terms() {
    // While a group is learning, everything is new and nothing is said.
    check(NEW, &[value(0, "a", "1"), value(DAY, "a", "2"), value(6 * DAY, "a", "3")], &[]);
    check(
        NEW,
        &[value(0, "a", "1"), value(8 * DAY, "a", "1"), value(8 * DAY, "a", "2"), value(9 * DAY, "a", "2")],
        &[2],
    );
    // Another group learns for itself.
    check(NEW, &[value(0, "a", "1"), value(8 * DAY, "b", "1"), value(9 * DAY, "b", "2")], &[]);
    // Forgotten after the timespan.
    check(NEW, &[value(0, "a", "1"), value(8 * DAY, "a", "0"), value(39 * DAY, "a", "1")], &[1, 2]);
    // An event without the field says nothing.
    check(NEW, &[value(0, "a", "1"), (8 * DAY, json!({"h": "a"}))], &[]);
}

const ABSENCE: &str = "  type: absence\n  group-by: [h]\n  timespan: 10m\n";

#[test]
fn absence_is_said_once_until_something_comes() {
    let mut engine = engine(&rules(ABSENCE));
    let at = |second: i64| Timestamp::from_secs(START + second);
    let tick = |engine: &mut Engine, second: i64| -> Vec<(i64, usize)> {
        let mut found: Vec<Finding> = Vec::new();
        engine.tick(at(second), &mut found);
        found.iter().map(|finding| (finding.time.secs() - START, finding.events.len())).collect()
    };
    assert_eq!(fires(&mut engine, &[value(0, "a", ""), value(60, "b", "")]), [0_usize; 0]);
    assert_eq!(tick(&mut engine, 599), [(0_i64, 0_usize); 0]);
    assert_eq!(tick(&mut engine, 630), [(600, 1)]);
    assert_eq!(tick(&mut engine, 659), [(0_i64, 0_usize); 0]);
    assert_eq!(tick(&mut engine, 9_000), [(660, 1)]);
    assert_eq!(fires(&mut engine, &[value(9_100, "a", "")]), [0_usize; 0]);
    assert_eq!(tick(&mut engine, 9_101), [(0_i64, 0_usize); 0]);
    assert_eq!(tick(&mut engine, 9_800), [(9_700, 1)]);
}

const BASELINE: &str =
    "  type: baseline\n  group-by: [h]\n  timespan: 1h\n  condition: {deviations: 4, minimum: 20, weeks: 3}\n";

/// `count` events in the hour that begins at `begin`.
fn hour(begin: i64, count: i64) -> impl Iterator<Item = (i64, Json)> {
    (0..count).map(move |n| value(begin + n * HOUR / count.max(1), "a", ""))
}

#[test]
fn baseline_by_hour_of_week() {
    let usual = |weeks: i64| (0..weeks).flat_map(|week| hour(week * WEEK, 30).chain(hour(week * WEEK + DAY, 3)));
    let after = |weeks: i64, begin: i64, count: i64| -> Vec<(i64, Json)> {
        usual(weeks).chain(hour(weeks * WEEK + begin, count)).collect()
    };
    let said = |events: &[(i64, Json)]| {
        judged_again(&rules(BASELINE), events);
        fires(&mut engine(&rules(BASELINE)), events).len()
    };
    assert_eq!(said(&after(4, 0, 35)), 0, "a little more than usual");
    assert_eq!(said(&after(4, 0, 90)), 1, "three times the usual, said once");
    assert_eq!(said(&after(2, 0, 90)), 0, "not known well enough yet");
    assert_eq!(said(&after(4, DAY, 15)), 0, "far more than usual, but few");
    assert_eq!(said(&after(4, DAY, 30)), 1, "usual on Mondays, not on Tuesdays");
}

#[test]
fn baseline_below() {
    let below = BASELINE.replace("weeks: 3", "weeks: 3, side: below");
    let usual = (0..4).flat_map(|week| hour(week * WEEK, 40));
    // Two events in the hour of the fifth week; the verdict comes with the next event after it.
    let events: Vec<_> = usual.chain(hour(4 * WEEK, 2)).chain([value(4 * WEEK + 2 * HOUR, "a", "")]).collect();
    check(&below, &events, &[events.len() - 1]);
}

const RARE: &str =
    "  type: rare_value\n  group-by: [h]\n  timespan: 8h\n  condition: {field: v, percent: 2, minimum: 100}\n";

#[test]
fn rare_values() {
    let common = |count: i64| (0..count).map(|n| value(n, "a", "common"));
    let with = |count: i64, more: &[(i64, Json)]| -> Vec<(i64, Json)> { common(count).chain(more.to_vec()).collect() };
    check(RARE, &with(50, &[value(60, "a", "odd")]), &[]);
    check(RARE, &with(120, &[value(130, "a", "odd"), value(140, "a", "odd")]), &[120]);
    check(RARE, &with(120, &[value(130, "b", "odd")]), &[]);
    // The common ones have been forgotten.
    check(RARE, &with(120, &[value(20 * HOUR, "a", "odd")]), &[]);
}

const TRAVEL: &str = "  type: impossible_travel\n  group-by: [u]\n  timespan: 24h\n  condition: {field: geo, speed: 900, distance: 200}\n";

#[test]
fn impossible_travel() {
    let stay = |second: i64, user: &str, geo: Json| (second, json!({"u": user, "geo": geo}));
    let (hanoi, saigon, paris) = (json!("21.03,105.85"), json!("10.78,106.70"), json!([2.35, 48.86]));
    check(TRAVEL, &[stay(0, "a", hanoi.clone()), stay(HOUR, "a", paris.clone())], &[1]);
    check(TRAVEL, &[stay(0, "a", hanoi.clone()), stay(3 * HOUR, "a", saigon.clone())], &[]);
    check(TRAVEL, &[stay(0, "a", hanoi.clone()), stay(HOUR, "b", paris.clone())], &[]);
    check(TRAVEL, &[stay(0, "a", hanoi.clone()), stay(25 * HOUR, "a", paris.clone())], &[]);
    check(TRAVEL, &[stay(0, "a", hanoi.clone()), stay(60, "a", json!("21.04,105.80"))], &[]);
    check(TRAVEL, &[stay(0, "a", json!("nowhere")), stay(60, "a", json!("91,0")), stay(61, "a", paris)], &[]);
    let fields = (120, json!({"u": "a", "geo.lat": 10.78, "geo.lon": "106.70"}));
    check(TRAVEL, &[stay(0, "a", hanoi), fields], &[1]);
}

#[test]
fn memory_survives_in_a_snapshot_and_belongs_to_one_text() {
    let count = "  type: event_count\n  group-by: [h]\n  timespan: 1h\n  condition: {gte: 3}\n";
    for (behaviour, first, second) in [
        (NEW, vec![value(0, "a", "1"), value(8 * DAY, "a", "1")], vec![value(9 * DAY, "a", "2")]),
        (count, vec![value(0, "a", ""), value(1, "a", "")], vec![value(2, "a", "")]),
        (TRAVEL, vec![(0, json!({"u": "a", "geo": "21.03,105.85"}))], vec![(9, json!({"u": "a", "geo": "48,2"}))]),
    ] {
        let mut before = engine(&rules(behaviour));
        assert_eq!(fires(&mut before, &first), [0_usize; 0]);
        let saved = before.save();
        let mut after = engine(&rules(behaviour));
        assert_eq!(after.restore(&saved).expect("our own bytes"), 1);
        assert_eq!(fires(&mut after, &second), [0], "{behaviour}");
        // Without the memory it would not have been found.
        assert_eq!(fires(&mut engine(&rules(behaviour)), &second), [0_usize; 0], "{behaviour}");
        // A rule whose feeder has changed begins anew.
        let changed = rules(behaviour).replace("k: x", "k: [x, y]");
        assert_eq!(engine(&changed).restore(&saved).expect("our own bytes"), 0);
        for cut in 0..saved.len() {
            let _ = engine(&rules(behaviour)).restore(&saved[..cut]);
        }
    }
    assert!(engine(&rules(NEW)).restore(b"\x09\0\0\0").is_err());
    assert!(engine(&rules(NEW)).restore(b"").is_err());
}

/// A correlation over rules over what is usual: its events alone do not say that they were unusual, so the finding carries
/// what those rules remembered, over a restart as well.
#[test]
fn a_correlation_over_what_is_unusual_is_judged_again() {
    let chain = "---\ntitle: chain\nid: chain\nname: chain\ncorrelation:\n  type: event_count\n  rules: [usual]\n  \
                 group-by: [h]\n  timespan: 1h\n  condition: {gte: 2}\n";
    let above = "---\ntitle: above\nid: above\ncorrelation:\n  type: event_count\n  rules: [chain]\n  group-by: [h]\n  \
                 timespan: 1d\n  condition: {gte: 1}\n";
    let late = 8 * DAY;
    let places = "  type: impossible_travel\n  group-by: [h]\n  timespan: 1d\n  condition: {field: v, speed: 900}\n";
    let new =
        [value(0, "a", "1"), value(late, "a", "2"), value(late + 60, "a", "1"), value(late + 120, "a", "3")].to_vec();
    let far = [
        value(0, "a", "21.03,105.85"),
        value(60, "a", "48.85,2.35"),
        value(120, "a", "48.85,2.35"),
        value(180, "a", "21.03,105.85"),
    ];
    let cases = [(NEW, &new, ""), (NEW, &new, above), (places, &far.to_vec(), ""), (places, &far.to_vec(), above)];
    for (behaviour, events, above) in cases {
        let text = format!("{}{chain}{above}", rules(behaviour));
        let stream = (0..).zip(events).map(|(index, (second, object))| {
            let mut object = object.clone();
            object["k"] = json!("x");
            event(index, *second, &object)
        });
        let stream: Vec<Event> = stream.collect();
        let (mut before, mut found) = (engine(&text), Vec::new());
        for event in &stream {
            before.evaluate(&support::batch(vec![event.clone()]), &mut found);
            let saved = before.save();
            before = engine(&text);
            before.restore(&saved).expect("our own bytes");
        }
        let of_chains: Vec<&Finding> =
            found.iter().filter(|finding| ["chain", "above"].contains(&finding.rule.id.as_str())).collect();
        assert_eq!(of_chains.len(), 1, "{behaviour}{above}: {found:?}");
        for finding in of_chains {
            let own: Vec<Event> = stream.iter().filter(|event| finding.events.contains(&event.id)).cloned().collect();
            let judge = |remembered: Option<&[u8]>| {
                let (mut fresh, mut again) = (engine(&text), Vec::new());
                if let Some(remembered) = remembered {
                    assert!(fresh.recall(&finding.rule.id, remembered));
                }
                fresh.evaluate(&support::batch(own.clone()), &mut again);
                again.into_iter().find(|again| again.id == finding.id)
            };
            let remembered = finding.proof.remembered.as_deref().expect("it says what was remembered");
            let again = judge(Some(remembered)).expect("it is found again");
            assert_eq!(again.proof, finding.proof);
            assert!(judge(None).is_none(), "without it the events say nothing");
            assert!(!engine(&text).recall(&finding.rule.id, &remembered[..remembered.len() / 2]));
        }
    }
    judged_again(&rules(places), &far);
}

#[test]
fn chains_name_the_same_events_after_a_snapshot() {
    let count = "  type: event_count\n  group-by: [h]\n  timespan: 10s\n  condition: {gte: 3}\n";
    let chain = "---\ntitle: chain\nid: chain\ncorrelation:\n  type: event_count\n  rules: [usual]\n  group-by: [h]\n  \
                 timespan: 1h\n  condition: {gte: 2}\n";
    let text = format!("{}{chain}", rules(count));
    let events: Vec<Event> = [0, 1, 2, 3, 600, 601, 602]
        .iter()
        .zip(0..)
        .map(|(second, index)| event(index, *second, &json!({"h": "a", "k": "x"})))
        .collect();
    let named = |snapshot_after: &[usize]| {
        let (mut engine, mut found) = (self::engine(&text), Vec::new());
        for (index, event) in events.iter().enumerate() {
            engine.evaluate(&support::batch(vec![event.clone()]), &mut found);
            if snapshot_after.contains(&index) {
                let saved = engine.save();
                engine = self::engine(&text);
                assert_eq!(engine.restore(&saved).expect("our own bytes"), 2);
            }
        }
        found.into_iter().map(|finding| (finding.rule.id.to_string(), finding.events)).collect::<Vec<_>>()
    };
    let straight = named(&[]);
    assert_eq!(straight.iter().filter(|(rule, _)| rule == "chain").count(), 1, "{straight:?}");
    for at in 0..events.len() {
        assert_eq!(named(&[at]), straight, "snapshot after event {at}");
    }
    assert_eq!(named(&[0, 1, 2, 3, 4, 5]), straight);
}

#[test]
fn invented_groups_do_not_fill_the_memory() {
    let limits = CorrelationLimits { groups_per_rule: 100, entries_per_group: 50, ..CorrelationLimits::default() };
    for behaviour in [NEW, ABSENCE, BASELINE, RARE] {
        let set = RuleSet::from_text("case.yml", &rules(behaviour));
        let mut engine = Engine::new(set, EngineConfig { correlation: limits.clone(), ..EngineConfig::default() });
        let many: Vec<_> = (0..2_000).map(|n| value(n, &format!("h{n}"), &format!("v{n}"))).collect();
        fires(&mut engine, &many);
        assert!(engine.stats().evictions > 1_000, "{behaviour}");
        assert!(engine.save().len() < 60_000, "{behaviour} keeps {} bytes", engine.save().len());
        let one_group: Vec<_> = (0..2_000).map(|n| value(n, "h", &format!("v{n}"))).collect();
        fires(&mut engine, &one_group);
        assert!(engine.save().len() < 60_000, "{behaviour} keeps {} bytes", engine.save().len());
    }
}

#[track_caller]
fn check_error(behaviour: &str, expected: &str) {
    let set = RuleSet::from_text("case.yml", &rules(behaviour));
    let errors: Vec<String> = set.errors.iter().map(ToString::to_string).collect();
    assert!(errors.iter().any(|error| error.contains(expected)), "{behaviour}: {errors:?}");
}

#[test]
fn mistakes_are_named_with_their_place() {
    check_error("  type: new_terms\n  timespan: 1d\n", "case.yml:6:1: `new_terms` needs `field:`");
    check_error("  type: absence\n  timespan: 10\n", "`10` is not a time such as");
    check_error("  type: absence\n  timespan: 1h\n  condition: {weeks: 3}\n", "`weeks` has no meaning for `absence`");
    check_error("  type: baseline\n  timespan: 1h\n  condition: {side: abve}\n", "did you mean `above`?");
    check_error("  type: baseline\n  timespan: 1h\n  condition: {deviations: -1}\n", "must be above zero");
    check_error("  type: absence\n  timespan: 1h\n  groupby: [h]\n", "unknown field `groupby`");
    let lost = rules(ABSENCE).replace("rules: [base]", "rules: [bse]");
    let mut set = RuleSet::from_text("case.yml", &lost);
    set.link();
    assert!(
        set.errors[0].to_string().contains("`bse`, which is not the id or name of a rule here; did you mean `base`")
    );
}

const EXPLAINED: &str = "title: t\nid: t\nlogsource: {product: linux}\ndetection:\n  sel:\n    a|contains: [x, y]\n    b: 1\n  \
                         filter:\n    c: z\n  condition: sel and not filter\n";

fn explained(object: &Json, product: &str) -> (bool, bool, Vec<String>) {
    let mut engine = engine(EXPLAINED);
    let mut event = event(0, 0, object);
    event.logsource.product = Some(product.into());
    let Some(Explanation::Event { source_fits, condition, wanted }) = engine.explain(&RuleId::new("t"), &event) else {
        panic!("the rule is there and looks at single events");
    };
    assert_eq!(wanted, "product=linux");
    let lines = condition.comparisons().into_iter().map(|(holds, compared)| {
        let value = compared.value.as_ref().map(|value| value.as_text().unwrap_or_default().into_owned());
        format!("{}:{}={:?}:{holds}", compared.selection, compared.field, value)
    });
    (source_fits, condition.holds, lines.collect())
}

#[test]
fn explanations_say_which_part_failed_on_which_value() {
    let fits = explained(&json!({"a": "has x", "b": 1}), "linux");
    assert_eq!(
        fits,
        (
            true,
            true,
            vec![
                "sel:a=Some(\"has x\"):true".to_owned(),
                "sel:b=Some(\"1\"):true".to_owned(),
                "filter:c=None:false".to_owned(),
            ]
        )
    );
    let (_, holds, lines) = explained(&json!({"a": "nothing", "b": 1, "c": "Z"}), "linux");
    assert!(!holds);
    assert_eq!(lines, ["sel:a=Some(\"nothing\"):false", "sel:b=Some(\"1\"):true", "filter:c=Some(\"Z\"):true"]);
    let (source_fits, holds, _) = explained(&json!({"a": "x", "b": 1}), "windows");
    assert!(holds && !source_fits);
}

#[test]
fn a_finding_proves_itself() {
    let mut engine = engine(EXPLAINED);
    let mut event = event(0, 0, &json!({"a": "has y", "b": 1}));
    event.logsource.product = Some("linux".into());
    event.raw = bytes::Bytes::from_static(b"as sent");
    let mut found = Vec::new();
    engine.evaluate(&support::batch(vec![event.clone()]), &mut found);
    let proof = &found[0].proof;
    assert_eq!(proof.event_hashes, [canh_schema::EventHash::of(b"as sent")]);
    assert!(proof.condition.holds && matches!(proof.condition.part, ConditionPart::All(_)));
    let matched: Vec<_> = found[0].matches.iter().map(|part| (part.field.as_str(), part.pattern.as_str())).collect();
    assert_eq!(matched, [("a", "y"), ("b", "1")]);
    // Judged again by the text that the hash stands for, the verdict is the same.
    let set = RuleSet::from_text("case.yml", EXPLAINED);
    let mut again = Vec::new();
    Engine::new(RuleSet::from_text("", &set.whole_text(0)), EngineConfig::default())
        .evaluate(&support::batch(vec![event]), &mut again);
    assert_eq!((&again[0].proof, again[0].id, again[0].rule.hash), (proof, found[0].id, found[0].rule.hash));
}

#[test]
fn the_hash_names_everything_that_judged() {
    let filter =
        "title: f\nlogsource: {category: test}\nfilter:\n  rules: [base]\n  s: {h: quiet}\n  condition: not s\n";
    let hash = |text: &str| {
        let mut set = RuleSet::from_text("case.yml", text);
        set.link();
        assert!(set.errors.is_empty(), "{:?}", set.errors);
        let index = set.rules.iter().position(|rule| rule.info.title == "usual").expect("it loads");
        (set.rules[index].info.hash, set.whole_text(index))
    };
    let plain = rules(ABSENCE);
    let (alone, _) = hash(&plain);
    let (narrowed, text) = hash(&format!("{plain}\n---\n{filter}"));
    assert_ne!(alone, narrowed, "a filter changes what the rule finds");
    assert_ne!(alone, hash(&plain.replace("k: x", "k: y")).0, "so does a change of the rule that feeds it");
    // The text stands for itself.
    assert_eq!(hash(&text).0, narrowed);
}

#[test]
fn the_findings_do_not_depend_on_the_number_of_threads() {
    let count = "  type: event_count\n  group-by: [h]\n  timespan: 1m\n  condition: {gte: 3}\n  generate: true\n";
    let found = |threads: usize| {
        let config = EngineConfig { threads, ..EngineConfig::default() };
        let mut engine = Engine::new(RuleSet::from_text("case.yml", &rules(count)), config);
        let events = (0..3_000_i64).map(|n| {
            let object = json!({"k": if n % 3 == 0 { "x" } else { "y" }, "h": format!("h{}", n % 7)});
            let mut event = event(usize::try_from(n).expect("small"), n, &object);
            event.raw = vec![b'x'; 1_000].into();
            event
        });
        let mut found = Vec::new();
        engine.evaluate(&support::batch(events.collect()), &mut found);
        (found, engine.stats(), engine.save())
    };
    let (one, stats, memory) = found(1);
    assert!(one.len() > 1_000 && one.iter().any(|finding| finding.rule.title == "usual"));
    for threads in [2, 3, 4] {
        let (several, their_stats, their_memory) = found(threads);
        assert_eq!(several, one, "{threads} threads");
        assert_eq!((their_stats, their_memory.len()), (stats, memory.len()), "{threads} threads");
    }
}
