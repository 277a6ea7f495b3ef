//! Events and rules that somebody made to hurt: they cost bounded time and memory, and the answer is still right.

use canh_detection::{Engine, EngineConfig, RuleSet, check_rule};
use canh_schema::{BatchId, Event, EventBatch, EventId, LogSource, Position, Timestamp, Value};

fn event(attrs: Vec<(String, Value)>) -> Event {
    let id = EventId::new(BatchId::from_journal(1, 1), 0);
    let mut event = Event::new(id, Timestamp::from_secs(0), bytes::Bytes::new());
    event.attrs = attrs.into_iter().map(|(name, value)| (name.into(), value)).collect();
    event
}

fn rule(selection: &str) -> String {
    format!("title: t\nlogsource: {{}}\ndetection:\n  s: {selection}\n  condition: s\n")
}

#[track_caller]
fn check(selection: &str, event: Event, expected: bool) {
    let mut engine = Engine::new(RuleSet::from_text("rule.yml", &rule(selection)), EngineConfig::default());
    assert_eq!(engine.problems(), []);
    let mut found = Vec::new();
    engine.evaluate(&EventBatch::new(Position::START, vec![event]), &mut found);
    assert_eq!(!found.is_empty(), expected, "{selection}");
    for part in found.iter().flat_map(|finding| &finding.matches) {
        assert!(part.value.as_text().is_none_or(|text| text.len() < 20_000), "the finding has a copy of a huge value");
    }
}

#[test]
fn a_value_of_a_megabyte() {
    let long = "ab".repeat(1 << 19);
    let attrs = |end: &str| event(vec![("f".to_owned(), Value::from(format!("{long}{end}")))]);
    check("{f|contains: needle}", attrs("needle"), true);
    check("{f|contains: needle}", attrs(""), false);
    check("{f: 'a*b*a*b*a*b*c'}", attrs(""), false);
    check("{f: 'a*b?b*needle'}", attrs("needle"), true);
    check("{f|contains: 'a?a?a?a?x'}", attrs("aaaaaaaax"), true);
    check("{f|re: '(a|b|ab)*c'}", attrs("d"), false);
    check("[needle]", attrs("needle"), true);
}

#[test]
fn ten_thousand_fields() {
    let attrs = |last: &str| {
        let many = (0..10_000).map(|n| (format!("field.{n}.name"), Value::from("x")));
        event(many.chain([("last".to_owned(), Value::from(last))]).collect())
    };
    check("{last: needle}", attrs("needle"), true);
    check("{last: needle}", attrs("other"), false);
    check("[needle]", attrs("needle"), true);
    check("{field|exists: true}", attrs(""), true);
    check("{field.9999.name: x}", attrs(""), true);
}

#[test]
fn lists_inside_lists() {
    let nested = (0..200).fold(Value::from("needle"), |inner, _| Value::List(vec![inner]));
    let shallow = (0..8).fold(Value::from("needle"), |inner, _| Value::List(vec![inner]));
    check("{f: needle}", event(vec![("f".to_owned(), nested)]), false);
    check("{f: needle}", event(vec![("f".to_owned(), shallow)]), true);
    let wide = Value::List((0..100_000).map(Value::Integer).collect());
    check("{f: 99999}", event(vec![("f".to_owned(), wide)]), true);
}

#[test]
fn text_that_is_not_ascii() {
    let text = "İ\u{fffd}ß🜲".repeat(1_000);
    check("{f|endswith: '🜲'}", event(vec![("f".to_owned(), Value::from(text.clone()))]), true);
    check("{f|contains: 'ß🜲i̇'}", event(vec![("f".to_owned(), Value::from(text))]), true);
}

#[test]
fn invented_log_sources_do_not_fill_the_memory() {
    let mut engine = Engine::new(RuleSet::from_text("rule.yml", &rule("{f: x}")), EngineConfig::default());
    let mut found = Vec::new();
    for n in 0..10_000 {
        let mut event = event(vec![("f".to_owned(), Value::from("x"))]);
        event.logsource = LogSource::product(&format!("p{n}")).with_category("c");
        engine.evaluate(&EventBatch::new(Position::START, vec![event]), &mut found);
    }
    assert_eq!(found.len(), 10_000);
}

#[test]
fn rules_that_are_made_to_hurt_are_refused() {
    let refused = |text: &str, expected: &str| {
        let found: Vec<String> = check_rule(text).iter().map(ToString::to_string).collect();
        assert!(found.iter().any(|message| message.contains(expected)), "{found:?}");
    };
    refused(&rule("{f|re: '((a{1,100}){1,100}){1,100}'}"), "it would need too much memory");
    refused(&rule(&format!("{}{{f: x}}{}", "[".repeat(60), "]".repeat(60))), "nested deeper than");
    let text = rule("{f: x}").replace("condition: s", &format!("condition: {}s{}", "(".repeat(500), ")".repeat(500)));
    refused(&text, "condition");
    refused(&rule("{f|windash|contains: ' -a -b -c -d -e -f -g -h'}"), "too many dashes");
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n\
                g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: &h [*g,*g,*g,*g,*g,*g,*g,*g,*g]\ni: [*h,*h,*h,*h,*h,*h,*h,*h,*h]\n";
    refused(bomb, "not valid YAML");
}

#[test]
fn an_engine_moves_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<Engine>();
}

#[test]
fn no_reader_panics() {
    use proptest::test_runner::{Config, TestRunner};
    let seeds: [&[u8]; 4] = [
        b"title: t\nlogsource: {}\ndetection:\n  s: {a|re: '(x'}\n  condition: s\n",
        b"title: t\ncorrelation:\n  type: new_terms\n  rules: [t]\n  timespan: 1d\n  condition: {field: a}\n",
        b"\x01\0\0\0\x01\x01t",
        b"needle hay stack 10.1.2.3 a-x \xff\xfe",
    ];
    for (name, target) in canh_detection::fuzz_targets() {
        seeds.iter().for_each(|seed| target(seed));
        let mut runner = TestRunner::new(Config { cases: 256, failure_persistence: None, ..Config::default() });
        let changed = (0..seeds.len(), 0..200_usize, proptest::prelude::any::<Vec<u8>>());
        let done = runner.run(&changed, |(seed, at, bytes)| {
            let mut input = seeds[seed].to_vec();
            let at = at % (input.len() + 1);
            input.splice(at..at, bytes);
            target(&input);
            Ok(())
        });
        assert!(done.is_ok(), "{name}: {done:?}");
    }
}

/// Whoever may send lines chooses their log source. Kinds without end must not take memory without end, and every rule that
/// wants an event must see it, whichever others do.
#[test]
fn log_sources_that_nobody_has() {
    const KINDS: usize = 11;
    let rules: Vec<String> = (0..KINDS)
        .map(|kind| {
            // The first item is the same in all of them.
            format!(
                "title: t{kind}\nid: t{kind}\nlogsource: {{category: c{kind}}}\ndetection:\n  s: {{k: x}}\n  \
                 t: {{f|contains: 'needle{kind}'}}\n  condition: s or t\n"
            )
        })
        .collect();
    let mut engine = Engine::new(RuleSet::from_text("rules.yml", &rules.join("---\n")), EngineConfig::default());
    assert_eq!(engine.problems(), []);
    for kinds in 0..1_usize << KINDS {
        let wanted: Vec<usize> = (0..KINDS).filter(|kind| kinds >> kind & 1 == 1).collect();
        for (attrs, expected) in [
            (vec![("k".to_owned(), Value::from("X"))], wanted.clone()),
            (
                vec![("f".to_owned(), Value::from("a Needle7 b"))],
                wanted.iter().copied().filter(|kind| *kind == 7).collect(),
            ),
            (vec![("k".to_owned(), Value::from("y"))], Vec::new()),
        ] {
            let mut event = event(attrs);
            event.logsource.categories.extend(wanted.iter().map(|kind| format!("c{kind}").into()));
            let mut found = Vec::new();
            engine.evaluate(&EventBatch::new(Position::START, vec![event]), &mut found);
            let mut found: Vec<String> = found.iter().map(|finding| finding.rule.id.to_string()).collect();
            found.sort();
            let mut expected: Vec<String> = expected.iter().map(|kind| format!("t{kind}")).collect();
            expected.sort();
            assert_eq!(found, expected, "{kinds:b}");
        }
    }
    // Two items in each rule, one of them shared; without a bound there would be thousands.
    assert!(engine.index_items() <= (4 + 2) * (KINDS + 1), "{} items in indexes", engine.index_items());
}
