//! Pipelines of pySigma: what they do to rules, what they refuse, and that a changed rule can be read again.

#[path = "../support/mod.rs"]
#[expect(unreachable_pub, reason = "shared by several tests")]
mod support;

mod refusals;

use std::fs;
use std::sync::Arc;

use canh_detection::{Engine, EngineConfig, Pipelines, RuleKind, RuleSet, load_paths, load_paths_with};
use canh_schema::{Finding, RuleHash};
use proptest::prelude::*;

fn set(pipelines: &[&str], rule: &str) -> RuleSet {
    let mut all = Pipelines::default();
    for text in pipelines {
        all.add_text("p.yml", text);
    }
    let mut set = RuleSet::with_pipelines(Arc::new(all));
    set.add_text("r.yml", rule);
    set.link();
    set
}

fn findings(set: RuleSet, event: &str) -> Vec<Finding> {
    let mut engine = Engine::new(set, EngineConfig::default());
    let mut found = Vec::new();
    engine.evaluate(&support::batch(vec![support::event(0, event)]), &mut found);
    found
}

/// A rule with one selection and a log source without a closed list of fields.
fn rule(selection: &str) -> String {
    format!(
        "title: t\nlogsource: {{product: windows}}\ntags: [attack.t1]\nlevel: high\nteam: blue\ndetection:\n  s: {selection}\n  condition: s\n"
    )
}

/// A pipeline with these steps, each in flow style.
fn steps(steps: &[&str]) -> String {
    let steps: String = steps.iter().map(|step| format!("  - {{{step}}}\n")).collect();
    format!("name: p\nvars:\n  admins: [root, 'ad*']\n  port: 22\ntransformations:\n{steps}")
}

/// What a set makes of its first rule, without the places in the text.
fn placeless(set: &RuleSet) -> String {
    let shown = format!(
        "{:?} {:?}",
        set.rules[0].kind,
        set.filters.iter().map(|filter| &filter.selections).collect::<Vec<_>>()
    );
    let mut parts = shown.split("Place {");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| out + part.split_once('}').map_or("", |(_, rest)| rest))
}

/// The rule as it is after the pipelines fires, or not; and so does the rule that is read from its record.
#[track_caller]
fn check_all(pipelines: &[&str], rule: &str, event: &str, fires: bool) {
    let set = set(pipelines, rule);
    assert_eq!(set.errors, [], "{pipelines:?} {rule}");
    let mut again = RuleSet::from_record("record", &set.whole_text(0));
    again.link();
    assert_eq!(again.errors, [], "{pipelines:?} {rule}");
    // The hash is that of the text, which is what a verification compares.
    assert_eq!(RuleHash::of(set.whole_text(0).trim_end().as_bytes()), set.rules[0].info.hash, "{}", set.whole_text(0));
    assert_eq!(placeless(&again), placeless(&set), "{pipelines:?} {rule}");
    assert_eq!(!findings(again, event).is_empty(), fires, "from the record of {pipelines:?} {rule} {event}");
    assert_eq!(!findings(set, event).is_empty(), fires, "{pipelines:?} {rule} {event}");
}

#[track_caller]
fn check(step: &str, selection: &str, event: &str, fires: bool) {
    check_all(&[&steps(&[step])], &rule(selection), &event.replacen('{', "{\"_product\": \"windows\", ", 1), fires);
}

#[test]
fn fields() {
    let one = "type: field_name_mapping, mapping: {Image: exe}";
    check(one, "{Image: a}", r#"{"exe": "a"}"#, true);
    check(one, "{Image: a}", r#"{"Image": "a"}"#, false);
    check(one, "{Other: a}", r#"{"Other": "a"}"#, true);
    check(one, "{X|fieldref: Image}", r#"{"X": "a", "exe": "a"}"#, true);
    let several = "type: field_name_mapping, mapping: {Image: [exe, path]}";
    check(several, "{Image|endswith: '\\a'}", r#"{"path": "c:\\a"}"#, true);
    check(several, "{Image: a}", r#"{"exe": "a"}"#, true);
    check(several, "{Image: a}", r#"{"exe": "b"}"#, false);
    check(several, "{Image|neq: a}", r#"{"exe": "a", "path": "b"}"#, false);
    check(several, "{Image|neq: a}", r#"{"exe": "c", "path": "b"}"#, true);
    let begin = "type: field_name_prefix_mapping, mapping: {win.: [w_, v_], win: x}";
    check(begin, "{win.a: 1}", r#"{"v_a": 1}"#, true);
    check(begin, "{win.a: 1}", r#"{"x.a": 1}"#, false);
    check(begin, "{wina: 1}", r#"{"xa": 1}"#, true);
    check("type: field_name_prefix, prefix: 'a.'", "{b: 1}", r#"{"a.b": 1}"#, true);
    check("type: field_name_suffix, suffix: '.a'", "{b: 1}", r#"{"b.a": 1}"#, true);
    check("type: field_name_suffix, suffix: '.a'", "[word]", r#"{"x": "a word"}"#, true);
}

#[test]
fn lines_and_conditions() {
    let drop = "type: drop_detection_item, field_name_conditions: [{type: include_fields, fields: [A]}]";
    check(drop, "{A: 1, B: 2}", r#"{"B": 2}"#, true);
    check(drop, "[{A: 1}, {B: 2}]", r#"{"A": 1}"#, false);
    check(drop, "{A: 1, B: 2}", r#"{"A": 1}"#, false);
    let two = "title: t\nlogsource: {product: windows}\ndetection:\n  x: {A: 1}\n  y: {B: 2}\n  z: {C: 3}\n  condition: y and not x and z\n";
    check_all(&[&steps(&[drop])], two, r#"{"_product": "windows", "A": 1, "B": 2, "C": 3}"#, true);
    let add = "type: add_condition, conditions: {C|startswith: [x, y]}";
    check(add, "{A: 1}", r#"{"A": 1, "C": "yes"}"#, true);
    check(add, "{A: 1}", r#"{"A": 1, "C": "no"}"#, false);
    check("type: add_condition, negated: true, conditions: {C: x}", "{A: 1}", r#"{"A": 1, "C": "x"}"#, false);
    check("type: add_condition, negated: true, conditions: {C: x}", "{A: 1}", r#"{"A": 1, "C": "y"}"#, true);
    check(
        "type: add_condition, template: true, conditions: {C: 'a-$product'}",
        "{A: 1}",
        r#"{"A": 1, "C": "a-windows"}"#,
        true,
    );
    let source = "type: change_logsource, product: Linux, service: sshd";
    check_all(
        &[&steps(&[source])],
        &rule("{user.name: a}"),
        r#"{"_product": "linux", "_service": "sshd", "user.name": "a"}"#,
        true,
    );
    check(source, "{user.name: a}", r#"{"user.name": "a"}"#, false);
}

#[test]
fn texts() {
    let replace = r"type: replace_string, regex: '^\*\\(\w+)', replacement: '/usr/\1'";
    check(replace, r"{A|endswith: '\bin'}", r#"{"A": "/usr/bin"}"#, true);
    check(replace, r"{A|endswith: ['\bin', x]}", r#"{"A": "ax"}"#, true);
    check(replace, r"{A: 'C:\bin'}", r#"{"A": "C:\\bin"}"#, true);
    check("type: replace_string, regex: a, replacement: '$0'", "{A: 'xa?'}", r#"{"A": "x$0y"}"#, true);
    check("type: replace_string, regex: '1', replacement: '2'", "{A: 11}", r#"{"A": "22"}"#, true);
    let plain = r"type: replace_string, skip_special: true, regex: 'a', replacement: '*'";
    check(plain, "{A: 'a*'}", r#"{"A": "*b"}"#, true);
    check(plain, "{A: 'a*'}", r#"{"A": "b"}"#, false);
    let special = r"type: replace_string, skip_special: true, interpret_special: true, regex: 'a', replacement: '*'";
    check(special, "{A: 'ab'}", r#"{"A": "xb"}"#, true);
    let map = "type: map_string, mapping: {a: [x, 'y*'], '*b*': z}";
    check(map, "{A: a}", r#"{"A": "yes"}"#, true);
    check(map, "{A: a}", r#"{"A": "a"}"#, false);
    check(map, "{A|contains: b}", r#"{"A": "z"}"#, true);
    check(map, "{A|contains|all: [b, c]}", r#"{"A": "z"}"#, false);
    check(map, "{A|all: [a, 'y?s']}", r#"{"A": "yes"}"#, true);
}

#[test]
fn placeholders() {
    let values = "type: value_placeholders";
    check(values, "{A|expand: '%admins%'}", r#"{"A": "administrator"}"#, true);
    check(values, "{A|expand: '%admins%'}", r#"{"A": "%admins%"}"#, false);
    check(values, "{A|expand: '%admins%:%port%'}", r#"{"A": "root:22"}"#, true);
    check(values, "{A|contains|expand: 'u=%admins%;'}", r#"{"A": "x u=root; y"}"#, true);
    check(values, "{A|all|contains|expand: ['%admins%', x]}", r#"{"A": "x root"}"#, true);
    check(values, "{A|all|contains|expand: ['%admins%', x]}", r#"{"A": "root"}"#, false);
    check(values, "{A: '%admins%'}", r#"{"A": "%admins%"}"#, true);
    check("type: wildcard_placeholders", "{A|expand: 'a%any%z'}", r#"{"A": "abcz"}"#, true);
    let both = steps(&["type: value_placeholders, include: [port]", "type: wildcard_placeholders, exclude: [port]"]);
    check_all(&[&both], &rule("{A|expand: '%x%:%port%'}"), r#"{"_product": "windows", "A": "b:22"}"#, true);
}

#[test]
fn conditions() {
    let on = |conditions: &str, fires: bool| {
        let step = format!("type: field_name_mapping, mapping: {{A: B}}, {conditions}");
        check(&step, "{A|contains: [yes, x], C: 1, D: null}", r#"{"B": "yes", "C": 1}"#, fires);
    };
    let rule_conditions: &[(&str, bool)] = &[
        ("{type: logsource, product: Windows}", true),
        ("{type: logsource, product: windows, category: x}", false),
        ("{type: contains_field, field: C}", true),
        ("{type: contains_field, field: X}", false),
        ("{type: contains_detection_item, field: C, value: 1}", true),
        ("{type: contains_detection_item, field: A, value: '*yes*'}", true),
        ("{type: contains_detection_item, field: A, value: 'yes'}", false),
        ("{type: is_sigma_rule}", true),
        ("{type: is_sigma_correlation_rule}", false),
        ("{type: rule_attribute, attribute: level, value: medium, op: gt}", true),
        ("{type: rule_attribute, attribute: level, value: critical, op: gte}", false),
        ("{type: rule_attribute, attribute: team, value: blue}", true),
        ("{type: rule_attribute, attribute: tags, value: attack.t1, op: in}", true),
        ("{type: rule_attribute, attribute: nothing, value: x}", false),
        ("{type: tag, tag: attack.t1}", true),
        ("{type: tag, tag: attack.t2}", false),
    ];
    for (condition, holds) in rule_conditions {
        on(&format!("rule_conditions: [{condition}]"), *holds);
        on(&format!("rule_cond_not: true, rule_conditions: [{condition}]"), !holds);
    }
    on("rule_cond_op: or, rule_conditions: [{type: is_sigma_rule}, {type: tag, tag: x}]", true);
    on("rule_cond_op: and, rule_conditions: [{type: is_sigma_rule}, {type: tag, tag: x}]", false);
    on("rule_cond_expr: 'a and not b', rule_conditions: {a: {type: is_sigma_rule}, b: {type: tag, tag: x}}", true);
    on("detection_item_conditions: [{type: match_string, cond: any, pattern: '.yes'}]", true);
    on("detection_item_conditions: [{type: match_string, cond: all, pattern: '.yes'}]", false);
    on("detection_item_conditions: [{type: match_string, cond: any, pattern: 'yes'}]", false);
    on("detection_item_conditions: [{type: is_null, cond: any}]", false);
    on("detection_item_conditions: [{type: match_value, cond: any, value: '*yes*'}]", true);
    on("detection_item_conditions: [{type: contains_wildcard, cond: all}]", true);
    on("field_name_conditions: [{type: include_fields, fields: [A]}]", true);
    on("field_name_conditions: [{type: exclude_fields, fields: [A]}]", false);
    on("field_name_conditions: [{type: include_fields, mode: re, fields: ['[A-B]$']}]", true);
    let null = "type: drop_detection_item, detection_item_conditions: [{type: is_null, cond: all}]";
    check(null, "{A: 1, D: null}", r#"{"A": 1, "D": 2}"#, true);
}

#[test]
fn order_and_filters() {
    let pipeline = |priority: i64, from: &str, to: &str| {
        format!(
            "name: p{priority}\npriority: {priority}\ntransformations:\n- type: field_name_mapping\n  mapping:\n    {from}: {to}\n"
        )
    };
    let (late, early) = (pipeline(20, "B", "C"), pipeline(10, "A", "B"));
    check_all(&[&late, &early], &rule("{A: 1}"), r#"{"_product": "windows", "C": 1}"#, true);
    let late = pipeline(5, "B", "C");
    check_all(&[&late, &early], &rule("{A: 1}"), r#"{"_product": "windows", "B": 1}"#, true);
    let filtered = format!(
        "{}---\ntitle: f\nlogsource: {{product: windows}}\nfilter:\n  rules: any\n  x: {{A: 2}}\n  condition: not x\n",
        rule("{A|gte: 1}")
    );
    check_all(&[&early], &filtered, r#"{"_product": "windows", "B": 3}"#, true);
    check_all(&[&early], &filtered, r#"{"_product": "windows", "B": 2}"#, false);
}

#[test]
fn documents_that_build_upon_others() {
    let mapping = steps(&["type: field_name_mapping, mapping: {A: B}"]);
    let global =
        "action: global\nlogsource: {product: windows}\n---\ntitle: t\ndetection:\n  s: {A: 1}\n  condition: s\n";
    check_all(&[&mapping], global, r#"{"_product": "windows", "B": 1}"#, true);
    check_all(&[&mapping], global, r#"{"_product": "windows", "A": 1}"#, false);
    check_all(&[&mapping], global, r#"{"_product": "linux", "B": 1}"#, false);
}

#[test]
fn what_changes_nothing_leaves_the_hash() {
    let hash = |pipelines: &[&str]| set(pipelines, &rule("{A: 1}")).rules[0].info.hash;
    let before = hash(&[]);
    assert_eq!(
        hash(&[&steps(&["type: field_name_mapping, mapping: {X: Y}", "type: set_state, key: a, val: 1"])]),
        before
    );
    let mapped = hash(&[&steps(&["type: field_name_mapping, mapping: {A: B}"])]);
    assert_ne!(mapped, before);
    // Entries without an effect on this rule are not its business.
    assert_eq!(hash(&[&steps(&["type: field_name_mapping, mapping: {A: B, X: Y}"])]), mapped);
    assert_ne!(hash(&[&steps(&["type: field_name_mapping, mapping: {A: C}"])]), mapped);
}

proptest! {
    /// Without a transformation a rule is what it was.
    #[test]
    fn an_empty_pipeline_changes_nothing(field in "[A-Za-z.]{1,9}", value in r"[ -&(-~]{0,12}", modifier in "(contains|endswith|re|cidr|expand|base64)?") {
        let key = if modifier.is_empty() { field } else { format!("{field}|{modifier}") };
        let rule = rule(&format!("{{'{key}': '{value}'}}"));
        let show = |set: RuleSet| format!("{:?}{:?}", set.rules, set.errors);
        let with = set(&["name: nothing\ntransformations: []\n"], &rule);
        prop_assert_eq!(show(with), show(set(&[], &rule)));
    }

    /// Whatever somebody writes is read or refused.
    #[test]
    fn hostile_texts_do_no_harm(text in r#"(- |  |\n|type: |transformations:\n|rule_conditions|mapping|vars|field_name_mapping|drop_detection_item|value_placeholders|replace_string|regex|replacement|[a-z{}\[\]:,'"&*!|>%\\-]){0,60}"#) {
        let _ = set(&[&text], &rule("{A|expand: '%x%', B: 1}"));
        let _ = set(&[&format!("transformations:\n- {text}")], &rule("{A: x}"));
        let _ = RuleSet::from_record("x", &format!("#canh-pipeline {text}\n{}", rule("{A: 1}")));
    }

    /// Replacing keeps what is not meant.
    #[test]
    fn replacing_a_letter_by_itself_keeps_the_meaning(value in r"[ab\\*?]{1,8}", text in r"[ab\\*?]{1,8}") {
        let step = "type: replace_string, regex: a, replacement: a";
        let rule = rule(&format!("{{A|startswith: '{value}'}}"));
        let event = format!("{{\"_product\": \"windows\", \"A\": {}}}", serde_json::Value::from(text));
        let before = findings(set(&[], &rule), &event).len();
        prop_assert_eq!(findings(set(&[&steps(&[step])], &rule), &event).len(), before);
    }
}

#[test]
fn public_rules_with_placeholders_load() {
    let Some(data) = support::data() else { return };
    let paths = support::public_rules(&data);
    let of = |set: &RuleSet| set.errors.iter().filter(|error| error.diagnostic.message.contains("known_cdcs")).count();
    let before = load_paths(&paths);
    assert_eq!(of(&before), 2, "{:#?}", before.errors);
    let text = "name: hosts\nvars:\n  known_cdcs: [dc1$, dc2$]\ntransformations:\n- type: value_placeholders\n";
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::write(dir.path().join("hosts.yml"), text).expect("the directory is writable");
    let pipelines = canh_detection::load_pipelines([dir.path()]);
    assert_eq!((pipelines.len(), pipelines.errors.as_slice()), (1, [].as_slice()));
    let after = load_paths_with(&paths, Arc::new(pipelines));
    assert_eq!(of(&after), 0, "{:#?}", after.errors);
    assert_eq!(after.rules.len(), before.rules.len() + 2);
}

/// A correlation `c` over the rule `t`, which is about Windows.
fn over(body: &str) -> String {
    let base = rule("{A: 1}").replace("title: t\n", "title: t\nname: t\n");
    format!("{base}---\ntitle: c\ntags: [attack.t2]\ncorrelation:\n  rules: [t]\n  timespan: 1m\n  {body}\n")
}

/// What the correlation is over: `group-by | fields | aliases`; the same when it is read from its record.
#[track_caller]
fn check_over(step: &str, body: &str, expected: &str) {
    let set = set(&[&steps(&[step])], &over(body));
    assert_eq!((set.errors.as_slice(), set.warnings.as_slice()), ([].as_slice(), [].as_slice()), "{step} {body}");
    let shown = |set: &RuleSet| {
        let rule = set.rules.iter().find(|rule| rule.info.title == "c").expect("the correlation");
        let (group_by, fields, aliases) = match &rule.kind {
            RuleKind::Event(_) => panic!("it is a correlation"),
            RuleKind::Correlation(over) => (&over.group_by, &over.fields, over.aliases.clone()),
            RuleKind::Behaviour(over) => (&over.group_by, &over.fields, Vec::new()),
        };
        let aliases: Vec<String> =
            aliases.iter().map(|alias| format!("{}={}", alias.name, alias.fields[0].1)).collect();
        format!("{} | {} | {}", group_by.join(","), fields.join(","), aliases.join(","))
    };
    assert_eq!(shown(&set), expected, "{step} {body}");
    let index = set.rules.iter().position(|rule| rule.info.title == "c").expect("the correlation");
    let whole = set.whole_text(index);
    assert_eq!(RuleHash::of(whole.trim_end().as_bytes()), set.rules[index].info.hash, "{whole}");
    let mut again = RuleSet::from_record("record", &whole);
    again.link();
    assert_eq!(again.errors, [], "{whole}");
    assert_eq!(shown(&again), expected, "{whole}");
    assert_eq!(again.whole_text(again.rules.len() - 1), whole);
}

#[test]
fn rules_over_other_rules() {
    let one = "type: field_name_mapping, mapping: {user: user.name, C: D}";
    let count = "type: event_count\n  group-by: [user, host]\n  condition: {gte: 2}";
    check_over(one, count, "user.name,host |  | ");
    let values = "type: value_count\n  group-by: [user]\n  condition: {gte: 2, field: C}";
    check_over(one, values, "user.name | D | ");
    check_over(one, "type: new_terms\n  group-by: [user]\n  condition: {field: C}", "user.name | D | ");
    // An alias is no field, but what stands behind it is.
    let alias = "type: event_count\n  group-by: [user, C]\n  aliases: {user: {t: C}}\n  condition: {gte: 2}";
    check_over(one, alias, "user,D |  | user=D");
    check_over("type: field_name_mapping, mapping: {user: [a, b]}", count, "a,b,host |  | ");
    check_over("type: field_name_prefix, prefix: 'w.'", values, "w.user | w.C | ");

    // It is of the log sources of the rules that feed it.
    let of = |condition: &str| format!("{one}, rule_conditions: [{condition}]");
    check_over(&of("{type: logsource, product: windows}"), count, "user.name,host |  | ");
    check_over(&of("{type: logsource, product: linux}"), count, "user,host |  | ");
    check_over(&of("{type: is_sigma_correlation_rule}"), count, "user.name,host |  | ");
    check_over(&of("{type: is_sigma_rule}"), count, "user,host |  | ");
    check_over(&of("{type: tag, tag: attack.t2}"), count, "user.name,host |  | ");
    check_over(
        &format!("{one}, field_name_conditions: [{{type: exclude_fields, fields: [user]}}]"),
        values,
        "user | D | ",
    );
}

#[test]
fn a_correlation_over_renamed_fields_fires() {
    let rules = over("type: event_count\n  group-by: [user]\n  condition: {gte: 2}");
    let step = "type: field_name_mapping, mapping: {user: user.name, A: B}";
    let fires = |users: [&str; 2]| {
        let mut engine = Engine::new(set(&[&steps(&[step])], &rules), EngineConfig::default());
        let event = |(n, user): (usize, &str)| {
            support::event(n, &format!(r#"{{"_product": "windows", "B": 1, "user.name": "{user}"}}"#))
        };
        let mut found = Vec::new();
        engine.evaluate(&support::batch((0..).zip(users).map(event).collect()), &mut found);
        found.len()
    };
    assert_eq!(fires(["an", "an"]), 1);
    assert_eq!(fires(["an", "be"]), 0);
}
