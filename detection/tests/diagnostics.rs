//! What is said about broken rules: the place, the reason, the word that was meant; and that the others still load.

use canh_detection::{RuleSet, check_rule, load_dir};

/// `{}` in the template is where the broken piece goes.
const RULE: &str = "title: t\nlogsource:\n  category: webserver\ndetection:\n  sel:\n    {}\n  condition: sel\n";

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let found: Vec<String> = check_rule(text).iter().map(ToString::to_string).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn items() {
    let line = |line: &str| RULE.replace("{}", line);
    check(&line("cs-method: GET"), &[]);
    check(&line("url.path: /x"), &[]);
    check(
        &line("cs-metod: GET"),
        &["6:5: field `cs-metod` can never arrive from this log source; did you mean `cs-method`?"],
    );
    check(&line("cs-method|contain: GET"), &["6:14: unknown modifier `contain`; did you mean `contains`?"]);
    check(&line("'cs-method|re': '(a'"), &["6:6: cannot compile the expression `(a`: unclosed group"]);
    check(&line("c-ip|cidr: 10.0.0.0/33"), &["6:5: `10.0.0.0/33` is not a network such as `10.0.0.0/8`"]);
    check(&line("cs-method: []"), &["6:5: `cs-method` has an empty list of values and can never match"]);
    check(&line("cs-method: [[a]]"), &["6:5: `cs-method` has a mapping or list inside its list of values"]);
    check(&line("cs-method|base64: 'a*'"), &["6:5: `base64` cannot encode the wildcards of `a*`"]);
    check(
        &line("cs-method|not: a"),
        &["6:14: `not` is not a modifier; negate in the condition, for example `selection and not filter`"],
    );
}

#[test]
fn conditions() {
    let condition = |condition: &str| RULE.replace("{}", "cs-method: GET").replace("condition: sel", condition);
    check(
        &condition("condition: sle"),
        &["7:3: the condition names `sle`, which is not a selection; did you mean `sel`?"],
    );
    check(&condition("condition: 1 of filter_*"), &["7:3: no selection is named like `filter_*`"]);
    check(&condition("condition: 2 of sel*"), &["7:3: `2 of sel*` can never hold: only 1 selections match"]);
    check(
        &condition("condition: sel and"),
        &[
            "7:3: cannot read the condition; it is made of `and`, `or`, `not`, brackets, names of selections and `1 of name_*`",
        ],
    );
    check(
        &condition("condition: sel | count() > 5"),
        &[
            "7:3: cannot read the condition; it is made of `and`, `or`, `not`, brackets, names of selections and `1 of name_*`",
        ],
    );
    check(
        &condition("timeframe: 5m\n  condition: sel"),
        &["7:3: `timeframe` has no effect here; write a correlation rule with `timespan` instead"],
    );
}

#[test]
fn documents() {
    check("", &["1:1: there is no rule in this file"]);
    check("# nothing\n---\n", &["1:1: there is no rule in this file"]);
    check("just text\n", &["1:1: document is not a YAML mapping"]);
    check("title: t\n", &["1:1: the rule has no `detection`"]);
    let good = RULE.replace("{}", "cs-method: GET");
    check(&format!("{good}level: hihg\n"), &["8:1: invalid level: `hihg`; did you mean `high`?"]);
    // The second document is broken, and its lines are counted from the beginning of the file.
    check(
        &format!("{good}---\n{good}\n---\naction: gobal\n"),
        &[
            "9:1: rule id `t` is already used at :1:1; give this rule its own",
            "18:1: unknown action `gobal`; did you mean `global`?",
        ],
    );
    let found = check_rule("title: t\ndetection:\n  sel: {a: [}\n");
    assert_eq!(found[0].at.line, 3, "{found:?}");
    assert!(found[0].message.starts_with("not valid YAML: "), "{found:?}");
}

#[test]
fn a_broken_rule_does_not_stop_the_others() {
    let good = RULE.replace("{}", "cs-method: GET");
    let bad = RULE.replace("{}", "cs-metod: GET").replace("title: t", "title: u");
    let set = RuleSet::from_text("rules.yml", &format!("{bad}---\n{good}"));
    assert_eq!(set.rules.len(), 1);
    assert_eq!(
        set.errors[0].to_string(),
        "rules.yml:6:5: field `cs-metod` can never arrive from this log source; did you mean `cs-method`?"
    );
}

#[test]
fn collections() {
    let text = "action: global\nlogsource: {category: webserver}\nlevel: high\n---\ntitle: a\ndetection: {s: {cs-method: A}, condition: s}\n---\n\
                action: repeat\ntitle: b\n---\naction: reset\n---\ntitle: c\nlogsource: {category: proxy}\ndetection: {s: {c-uri: A}, condition: s}\n";
    let set = RuleSet::from_text("rules.yml", text);
    assert_eq!(set.errors, []);
    let found: Vec<String> =
        set.rules.iter().map(|rule| format!("{} {} {}", rule.info.title, rule.info.level, rule.at)).collect();
    assert_eq!(found, ["a high 5:1", "b high 8:1", "c medium 13:1"]);
    assert_ne!(set.rules[0].info.hash, set.rules[1].info.hash);
}

#[test]
fn unreadable_files_are_listed() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).expect("a file");
    write("a.yml", b"title: t\n\xff\n");
    write("b.yml", &vec![b'#'; (1 << 20) + 1]);
    write("c.yaml", RULE.replace("{}", "cs-method: GET").as_bytes());
    write("d.txt", b"not a rule");
    let set = load_dir(dir.path());
    assert_eq!(set.rules.len(), 1);
    let errors: Vec<String> = set.errors.iter().map(|error| error.diagnostic.to_string()).collect();
    assert_eq!(
        errors,
        [
            "2:1: the file is not UTF-8; save it as UTF-8",
            "1:1: cannot read the file: it has 1048577 bytes, more than 1048576"
        ]
    );
    let set = load_dir(dir.path().join("missing"));
    assert_eq!(set.errors.len(), 1, "{:?}", set.errors);
}
