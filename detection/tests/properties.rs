//! The compiled matcher against an evaluator that is too simple to be wrong, and against another engine, over
//! generated rules and events.

use canh_detection::{
    Condition, Detection, Engine, EngineConfig, EventRule, Item, Literal, Modifier, RuleKind, RuleSet,
};
use canh_schema::{BatchId, Event, EventBatch, EventId, Position, Timestamp, Value};
use proptest::prelude::*;

// --- the simple evaluator ---------------------------------------------------------------------------------------

fn lower(text: &str) -> Vec<char> {
    text.chars().flat_map(char::to_lowercase).collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Token {
    Char(char),
    Many,
    One,
}

/// Characters of a pattern; an escaped wildcard is a character.
fn tokens(pattern: &str) -> Vec<Token> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let next = chars.get(at + 1).copied();
        match chars[at] {
            '\\' if matches!(next, Some('*' | '?' | '\\')) => {
                out.extend(next.map(Token::Char));
                at += 1;
            }
            '*' => out.push(Token::Many),
            '?' => out.push(Token::One),
            other => out.push(Token::Char(other)),
        }
        at += 1;
    }
    out
}

fn glob(pattern: &[Token], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((Token::Many, rest)) => (0..=text.len()).any(|skip| glob(rest, &text[skip..])),
        Some((Token::One, rest)) => !text.is_empty() && glob(rest, &text[1..]),
        Some((Token::Char(c), rest)) => text.first() == Some(c) && glob(rest, &text[1..]),
    }
}

fn members(value: &Value) -> Vec<&Value> {
    match value {
        Value::List(values) => values.iter().flat_map(members).collect(),
        single => vec![single],
    }
}

fn value_matches(item: &Item, literal: &Literal, found: Option<&Value>) -> bool {
    if item.has(Modifier::Exists) {
        return (*literal == Literal::Bool(true)) == found.is_some();
    }
    if *literal == Literal::Null {
        return matches!(found, None | Some(Value::Null));
    }
    let mut pattern = match literal {
        Literal::Text(text) => tokens(text),
        other => other.to_text().chars().map(Token::Char).collect(),
    };
    let keyword = item.field.is_none();
    if keyword || item.has(Modifier::Contains) || item.has(Modifier::EndsWith) {
        pattern.insert(0, Token::Many);
    }
    if keyword || item.has(Modifier::Contains) || item.has(Modifier::StartsWith) {
        pattern.push(Token::Many);
    }
    let cased = item.has(Modifier::Cased);
    if !cased {
        pattern = pattern
            .into_iter()
            .flat_map(|token| match token {
                Token::Char(c) => c.to_lowercase().map(Token::Char).collect(),
                other => vec![other],
            })
            .collect();
    }
    found.into_iter().flat_map(members).any(|value| {
        let number = literal.to_text().parse::<f64>();
        if item.has(Modifier::Gt) {
            return value.as_f64().zip(number.ok()).is_some_and(|(left, right)| left > right);
        }
        if item.has(Modifier::Lte) {
            return value.as_f64().zip(number.ok()).is_some_and(|(left, right)| left <= right);
        }
        value.as_text().is_some_and(|text| {
            let text = if cased { text.chars().collect() } else { lower(&text) };
            glob(&pattern, &text)
        })
    })
}

fn item_holds(item: &Item, event: &Event) -> bool {
    let matches = |literal: &Literal| match &item.field {
        Some(field) => value_matches(item, literal, event.attr(field)),
        None => event
            .attrs
            .iter()
            .flat_map(|(_, value)| members(value))
            .any(|value| matches!(value, Value::Text(_)) && value_matches(item, literal, Some(value))),
    };
    let holds = if item.has(Modifier::All) { item.values.iter().all(matches) } else { item.values.iter().any(matches) };
    holds != item.has(Modifier::Neq)
}

fn detection_holds(detection: &Detection, event: &Event) -> bool {
    match detection {
        Detection::All(parts) => parts.iter().all(|part| detection_holds(part, event)),
        Detection::Any(parts) => parts.iter().any(|part| detection_holds(part, event)),
        Detection::Item(item) => item_holds(item, event),
    }
}

fn condition_holds(condition: &Condition, rule: &EventRule, event: &Event) -> bool {
    let holds = |part: &Condition| condition_holds(part, rule, event);
    match condition {
        Condition::Selection(index) => detection_holds(&rule.selections[*index].detection, event),
        Condition::Not(part) => !holds(part),
        Condition::All(parts) => parts.iter().all(holds),
        Condition::Any(parts) => parts.iter().any(holds),
        Condition::AtLeast(wanted, parts) => parts.iter().filter(|part| holds(part)).count() >= *wanted,
    }
}

// --- generated rules and events ---------------------------------------------------------------------------------

const FIELDS: [&str; 3] = ["a", "b", "c"];

/// Few characters, so that things match often; texts that are long enough for the index, too.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => r"[abAB.\\é]{0,3}",
        4 => r"(abcd|ABCE|bcda|\\cmd|x){1,3}",
        1 => "[0-3]",
        1 => r"[*?\\a]{1,3}",
    ]
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![3 => text(), 2 => (text(), r"[*?]|\\\*|\?\*", text()).prop_map(|(a, b, c)| a + &b + &c)]
}

/// A line of a selection, as YAML.
fn line(every_modifier: bool) -> BoxedStrategy<String> {
    let quoted = |texts: Vec<String>| {
        texts.iter().map(|text| format!("'{}'", text.replace('\'', "''"))).collect::<Vec<_>>().join(", ")
    };
    const KINDS: &[&str] =
        &["", "|contains", "|startswith", "|endswith", "|cased", "|contains|cased", "|endswith|cased"];
    let texts = (0..3_usize, prop::sample::select(KINDS), prop::collection::vec(pattern(), 1..4), any::<bool>())
        .prop_map(move |(field, kind, mut values, all)| {
            if !every_modifier && !kind.is_empty() {
                // The other engine anchors `startswith: '*x'` at the end as well; the specification adds a `*`.
                values.iter_mut().for_each(|value| *value = value.replace(['*', '?'], "x"));
            }
            let all = if all && values.len() > 1 { "|all" } else { "" };
            format!("{}{kind}{all}: [{}]", FIELDS[field], quoted(values))
        });
    if !every_modifier {
        return texts.boxed();
    }
    let special = (
        0..3_usize,
        prop::sample::select(&[
            "|exists: true",
            "|exists: false",
            ": null",
            "|gt: 1",
            "|lte: 2",
            "|neq: 'ab'",
            ": 1",
            ": true",
        ]),
    )
        .prop_map(|(field, rest)| format!("{}{rest}", FIELDS[field]));
    prop_oneof![5 => texts, 2 => special].boxed()
}

fn selection(every_modifier: bool) -> BoxedStrategy<String> {
    let map = |lines: Vec<String>| format!("{{{}}}", lines.join(", "));
    // The same key twice is not a mapping.
    let lines = prop::collection::vec(line(every_modifier), 1..3).prop_map(|mut lines| {
        let mut seen = std::collections::BTreeSet::new();
        lines.retain(|line| seen.insert(line.split(':').next().unwrap_or("").to_owned()));
        lines
    });
    let one = lines.clone().prop_map(map);
    let many = prop::collection::vec(lines.prop_map(map), 2..3).prop_map(|maps| format!("[{}]", maps.join(", ")));
    if !every_modifier {
        return prop_oneof![3 => one, 1 => many].boxed();
    }
    let keywords =
        prop::collection::vec("[ab]{1,3}|abcd", 1..3).prop_map(|words| format!("['{}']", words.join("', '")));
    prop_oneof![6 => one, 2 => many, 1 => keywords].boxed()
}

const CONDITIONS: &[&str] = &[
    "s1",
    "s1 and s2",
    "s1 or s2 and s3",
    "s1 and not s2",
    "not s1",
    "(s1 or s2) and not (s2 and s3)",
    "1 of s*",
    "all of them",
    "2 of s*",
    "not 1 of s* or s1",
    "s3 and not 1 of s*",
];

fn rule(every_modifier: bool) -> BoxedStrategy<String> {
    (prop::collection::vec(selection(every_modifier), 3), prop::sample::select(CONDITIONS))
        .prop_map(|(selections, condition)| {
            let named: String =
                (1..).zip(&selections).map(|(number, selection)| format!("  s{number}: {selection}\n")).collect();
            format!("title: t\nlogsource: {{}}\ndetection:\n{named}  condition: {condition}\n")
        })
        .boxed()
}

fn value(every_kind: bool) -> BoxedStrategy<Value> {
    let texts = text().prop_map(Value::from);
    if !every_kind {
        return texts.boxed();
    }
    let scalar = prop_oneof![
        6 => texts,
        2 => (0..4_i64).prop_map(Value::Integer),
        1 => Just(Value::Bool(true)),
        1 => Just(Value::Null),
        1 => Just(Value::Float(1.5)),
    ];
    let list = prop::collection::vec(scalar.clone(), 0..3).prop_map(Value::List);
    prop_oneof![6 => scalar, 1 => list].boxed()
}

fn event(every_kind: bool) -> impl Strategy<Value = Event> {
    prop::collection::vec(prop::option::of(value(every_kind)), 3).prop_map(|values| {
        let id = EventId::new(BatchId::from_journal(1, 1), 0);
        let mut event = Event::new(id, Timestamp::from_secs(0), bytes::Bytes::new());
        let named = FIELDS.iter().zip(values).filter_map(|(name, value)| Some(((*name).into(), value?)));
        event.attrs.extend(named);
        // An event without attributes would have its raw text searched for keywords.
        event.attrs.push(("other".into(), Value::Integer(0)));
        event
    })
}

fn engine_says(text: &str, events: &[Event]) -> Vec<bool> {
    let mut engine = Engine::new(RuleSet::from_text("rule.yml", text), EngineConfig::default());
    assert_eq!(engine.problems(), [], "{text}");
    events
        .iter()
        .map(|event| {
            let mut found = Vec::new();
            engine.evaluate(&EventBatch::new(Position::START, vec![event.clone()]), &mut found);
            assert!(found.iter().all(|finding| !finding.matches.is_empty()), "no proof for {text}");
            !found.is_empty()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_simple_evaluator_agrees(text in rule(true), events in prop::collection::vec(event(true), 8)) {
        let set = RuleSet::from_text("rule.yml", &text);
        prop_assert!(set.errors.is_empty(), "{text}: {:?}", set.errors);
        let RuleKind::Event(rule) = &set.rules[0].kind else { panic!("not a rule over events") };
        let expected: Vec<bool> = events.iter().map(|event| condition_holds(&rule.condition, rule, event)).collect();
        prop_assert_eq!(engine_says(&text, &events), expected, "{}", text);
    }

    /// Texts only: the other engine reads numbers, null and absent fields in its own way.
    #[test]
    fn another_engine_agrees(text in rule(false), events in prop::collection::vec(event(false), 8)) {
        let collection = rsigma_parser::parse_sigma_yaml(&text).expect("the rule is YAML");
        let mut oracle = rsigma_eval::Engine::new();
        oracle.add_collection(&collection).expect("the other engine takes the rule");
        let expected: Vec<bool> = events
            .iter()
            .map(|event| {
                let object: serde_json::Map<String, serde_json::Value> = event
                    .attrs
                    .iter()
                    .filter_map(|(name, value)| Some((name.to_string(), value.as_str()?.into())))
                    .collect();
                let json = serde_json::Value::Object(object);
                !oracle.evaluate(&rsigma_eval::event::JsonEvent::borrow(&json)).is_empty()
            })
            .collect();
        prop_assert_eq!(engine_says(&text, &events), expected, "{}", text);
    }

    #[test]
    fn no_text_breaks_the_reader(text in r"(title: t|logsource: \{\}|detection:|  s: |    a\|re: |'|\*|\[|---|  condition: |s and |\n|é| ){0,24}") {
        canh_detection::check_rule(&text);
    }
}
