//! What pipelines refuse and are refused for, with its place.

use super::{check_all, rule, set, steps};

/// All errors and warnings.
#[track_caller]
fn refused(pipeline: &str, rule: &str, expected: &[&str]) {
    let set = set(&[pipeline], rule);
    let found: Vec<String> = set.errors.iter().chain(&set.warnings).map(ToString::to_string).collect();
    assert_eq!(found, expected, "{pipeline}");
}

#[test]
fn what_is_refused() {
    let broken = |pipeline: &str, expected: &[&str]| refused(pipeline, &rule("{A: 1}"), expected);
    broken("a: [", &["p.yml:2:1: cannot read the pipeline: did not find expected node content"]);
    broken("[]", &["p.yml:1:1: a pipeline is a mapping with `name`, `priority`, `vars` and `transformations`"]);
    broken("name: x\nvras: {}\n", &["p.yml:2:1: a pipeline has no `vras`; did you mean `vars`?"]);
    broken("finalizers: []\n", &["p.yml:1:1: `finalizers` of pipelines is not supported; there is no query here"]);
    broken(
        "transformations:\n- type: nest\n  items: []\n- id: b\n  type: field_name_maping\n  rule_conditions:\n  - type: processing_state\n",
        &[
            "p.yml:2:9: the transformation `nest` is not supported",
            "p.yml:5:9: there is no transformation `field_name_maping`; did you mean `field_name_mapping`?",
            "p.yml:7:11: the condition `processing_state` is not supported",
        ],
    );
    broken(
        "transformations:\n- type: query_expression_placeholders\n  expression: x\n",
        &["p.yml:2:9: the transformation `query_expression_placeholders` is not supported"],
    );
    broken(
        "transformations:\n- type: field_name_prefix\n  prefix: a\n- type: field_name_prefix\n  prefix: a\n  suffix: b\n",
        &["p.yml:6:3: `suffix` does not belong to `field_name_prefix`"],
    );
    broken(
        "transformations:\n- type: set_state\n  kye: a\n",
        &["p.yml:3:3: cannot read the pipeline: transformations[0]: unknown field `kye`"],
    );
    broken(
        "vars:\n  a: {b: c}\n",
        &["p.yml:2:6: cannot read the pipeline: vars.a: invalid type: map, expected a value or a list of values"],
    );
    let step = |step: &str, message: &str| {
        let set = set(&[&steps(&[step])], &rule("{A: 1}"));
        let found: Vec<String> = set.errors.iter().map(|error| error.diagnostic.message.clone()).collect();
        assert_eq!(found, [message], "{step}");
    };
    step("type: field_name_mapping", "`field_name_mapping` needs `mapping`");
    step("type: field_name_mapping, mapping: {A: []}", "`A` of `mapping` has an empty list");
    step("id: x", "the transformation has no `type`");
    step(
        "type: replace_string, regex: '(?=a)', replacement: b",
        "cannot compile the expression `(?=a)`: look-around, including look-ahead and look-behind, is not supported",
    );
    step(
        r"type: replace_string, regex: 'a', replacement: '\1'",
        "`replacement` names the group `1`, which `regex` does not have",
    );
    step("type: add_condition, conditions: {A|x: 1}", "`x` of `A|x` is not a modifier");
    step("type: change_logsource", "a log source needs `category`, `product` or `service`");
    step(
        "type: rule_failure, message: no, field_name_conditions: [{type: include_fields, fields: [A]}]",
        "`rule_failure` is about whole rules and takes `rule_conditions` only",
    );
    step("type: drop_detection_item, rule_cond_op: or", "`rule_cond_…` without `rule_conditions` has no effect");
    step(
        "type: drop_detection_item, rule_cond_op: xor, rule_conditions: [{type: is_sigma_rule}]",
        "`rule_cond_op` is `xor`, and can be `and`, `or`; did you mean `or`?",
    );
    step("type: drop_detection_item, detection_item_conditions: [{type: is_null}]", "`is_null` needs `cond`");
    step("type: rule_failure, message: not here", "pipeline `p`: the rule is refused: not here");
    step("type: detection_item_failure, message: not here", "pipeline `p`: the line is refused: not here");
    step(
        "type: drop_detection_item",
        "pipeline `p`: `drop_detection_item` of a pipeline leaves nothing of the rule's condition",
    );
    step(
        "type: set_state, key: a, val: b, unknown: 1",
        "cannot read the pipeline: transformations[0]: unknown field `unknown`",
    );
}

#[test]
fn what_rules_are_told() {
    let values = steps(&["type: value_placeholders"]);
    refused(
        &values,
        &rule("{A|expand: '%who%'}"),
        &["r.yml:7:7: pipeline `p`: placeholder `%who%` has no values; add `who` to `vars`"],
    );
    refused(
        &values,
        &rule("{A|re|expand: '%port%'}"),
        &["r.yml:7:7: pipeline `p`: placeholder `%port%` inside an expression is not supported"],
    );
    refused(
        &steps(&["type: set_state, key: a, val: b"]),
        &rule("{A|expand: '%who%'}"),
        &["r.yml:7:7: placeholder `%who%` has no values here"],
    );
    refused(
        &steps(&["type: map_string, mapping: {a: b}"]),
        &rule("{A|base64: a}"),
        &["r.yml:7:7: pipeline `p`: the value has `base64`, and cannot be changed before it is encoded"],
    );
    let reserved = format!("#canh-pipeline {{}}\n{}", rule("{A: 1}"));
    refused(
        &values,
        &reserved,
        &["r.yml:1:1: lines that begin with `#canh-pipeline` are kept for pipelines; change the comment"],
    );
    let over = format!(
        "{}---\ntitle: c\ncorrelation:\n  type: event_count\n  rules: [t]\n  group-by: [A]\n  timespan: 1m\n  condition: {{gte: 2}}\n",
        rule("{A: 1}")
    );
    refused(
        &steps(&["type: field_name_mapping, mapping: {C: [D, E]}"]),
        &over.replace("{gte: 2}", "{gte: 2, field: C}").replace("event_count", "value_count"),
        &["r.yml:10:1: pipeline `p`: `C` of the rule's condition becomes 2 fields, and can only be one"],
    );
    refused(
        &steps(&["type: field_name_mapping, mapping: {C: [D, E]}"]),
        &over.replace("group-by: [A]", "group-by: [X]\n  aliases: {X: {t: C}}"),
        &["r.yml:10:1: pipeline `p`: `C` of the rule's aliases becomes 2 fields, and can only be one"],
    );
    refused(
        &steps(&["type: rule_failure, message: no, rule_conditions: [{type: is_sigma_correlation_rule}]"]),
        &over,
        &["r.yml:10:1: pipeline `p`: the rule is refused: no"],
    );
    let closed = "title: t\nlogsource: {product: linux, service: sshd}\ndetection:\n  s: {usr: a}\n  condition: s\n";
    check_all(
        &[&steps(&["type: field_name_mapping, mapping: {usr: user.name}"])],
        closed,
        r#"{"_product": "linux", "_service": "sshd", "user.name": "a"}"#,
        true,
    );
}

#[test]
fn growth_is_bounded() {
    let many: Vec<String> = (0..200).map(|n| format!("f{n}")).collect();
    let many = format!("type: field_name_mapping, mapping: {{A: [A, {}]}}", many.join(", "));
    let twice = "type: field_name_mapping, mapping: {A: [A, A]}";
    let bomb = |steps_of: &[&str], selection: &str| {
        let set = set(&[&steps(steps_of)], &rule(selection));
        assert_eq!(set.rules.len(), 0);
        assert_eq!(set.errors.len(), 1, "{:?}", set.errors);
    };
    bomb(&[twice; 100], "{A: 1}");
    bomb(
        &[
            many.as_str(),
            "type: field_name_prefix, prefix: '', id: x",
            twice,
            twice,
            twice,
            twice,
            twice,
            twice,
            twice,
            twice,
            twice,
            twice,
            twice,
            twice,
            twice,
            twice,
            twice,
            twice,
        ],
        "{A: 1}",
    );
    bomb(&["type: replace_string, regex: a, replacement: aaaaaaaaaaaaaaaaaaaa"; 20], "{A: a}");
    bomb(&["type: value_placeholders"], &format!("{{A|expand: '{}'}}", "%admins%".repeat(40)));
}
