//! A pipeline's text to its parts. Every key and every name is known here, or refused with its place.

use super::change::{Added, Change, Renaming};
use super::expression::Joined;
use super::raw::{Many, Ordered, RawCondition, RawConditions, RawPipeline, RawStep, Scalar};
use super::values::{Filling, Replacing};
use super::when::{
    FIELD_CONDITIONS, FieldTest, ITEM_CONDITIONS, ItemTest, Known, RULE_CONDITIONS, RuleTest, need, one_of, source,
};
use super::{Pipeline, Step, compile_regex};
use crate::diagnostic::{Diagnostic, Place, nearest};
use crate::rule::{Modifier, Source};

/// Transformations in one pipeline.
const STEPS_MAX: usize = 1_000;

const TRANSFORMATIONS: Known = &[
    ("field_name_mapping", &["mapping"]),
    ("field_name_prefix_mapping", &["mapping"]),
    ("field_name_prefix", &["prefix"]),
    ("field_name_suffix", &["suffix"]),
    ("drop_detection_item", &[]),
    ("add_condition", &["conditions", "name", "template", "negated"]),
    ("change_logsource", &["category", "product", "service"]),
    ("replace_string", &["regex", "replacement", "skip_special", "interpret_special"]),
    ("map_string", &["mapping"]),
    ("value_placeholders", &["include", "exclude"]),
    ("wildcard_placeholders", &["include", "exclude"]),
    ("set_state", &["key", "val"]),
    ("rule_failure", &["message"]),
    ("detection_item_failure", &["message"]),
];

/// Those that look at whole rules.
const OVER_RULES: &[&str] = &["add_condition", "change_logsource", "set_state", "rule_failure"];

/// Part of the format, and not of this reader.
const NOT_HERE: &[&str] = &[
    "query_expression_placeholders",
    "field_name_transform",
    "hashes_fields",
    "add_field",
    "remove_field",
    "set_field",
    "regex",
    "set_value",
    "convert_type",
    "strict_field_mapping_failure",
    "set_custom_attribute",
    "nest",
    "case",
    "processing_item_applied",
    "processing_state",
    "field_name_processing_item_applied",
    "field_name_processing_state",
    "is_sigma_correlation_rule_applied",
    "python",
];

const TOP: &[&str] = &["name", "priority", "vars", "transformations"];
const TOP_NOT_HERE: &[&str] = &["postprocessing", "finalizers", "allowed_backends"];

const GROUPS: &[(&str, &str, Known)] = &[
    ("rule_conditions", "condition", RULE_CONDITIONS),
    ("detection_item_conditions", "condition of detection items", ITEM_CONDITIONS),
    ("field_name_conditions", "condition of names of fields", FIELD_CONDITIONS),
];

pub(super) fn pipeline(name: &str, text: &str) -> Result<Pipeline, Vec<Diagnostic>> {
    let source = Source { text, first_line: 1 };
    let broken = |error: &yaml_serde::Error| {
        let at = error.location().map(|at| {
            let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).max(1);
            Place { line: number(at.line()), column: number(at.column()) }
        });
        let message = error.to_string();
        let reason = message.rsplit_once(" at line ").map_or(message.as_str(), |(reason, _)| reason);
        // The list of all keys of all types is no help.
        let reason = reason.split_once(", expected one of `").map_or(reason, |(reason, _)| reason);
        vec![Diagnostic::error(at.unwrap_or(Place::START), format!("cannot read the pipeline: {reason}"))]
    };
    let value: yaml_serde::Value = yaml_serde::from_str(text).map_err(|error| broken(&error))?;
    let unknown = names(&value, source);
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let raw: RawPipeline = yaml_serde::from_str(text).map_err(|error| broken(&error))?;
    checked(name, raw).map_err(|(index, message)| {
        let line = index.and_then(|index| source.entry("transformations", index));
        let word = message.split('`').nth(1).unwrap_or("");
        let at = line.map_or_else(|| source.key("vars"), |line| source.below(line, "transformations", word));
        vec![Diagnostic::error(at, message)]
    })
}

/// Names that are not known, with their places: all of them, so that somebody sees at once how far a file is usable.
fn names(value: &yaml_serde::Value, source: Source<'_>) -> Vec<Diagnostic> {
    let Some(top) = value.as_mapping() else {
        let text = "a pipeline is a mapping with `name`, `priority`, `vars` and `transformations`";
        return vec![Diagnostic::error(Place::START, text)];
    };
    let mut found = Vec::new();
    for key in top.keys().filter_map(yaml_serde::Value::as_str).filter(|key| !TOP.contains(key)) {
        found.push(if TOP_NOT_HERE.contains(&key) {
            Diagnostic::error(source.key(key), format!("`{key}` of pipelines is not supported; there is no query here"))
        } else {
            Diagnostic::error(source.key(key), format!("a pipeline has no `{key}`"))
                .suggest(nearest(key, TOP.iter().copied()))
        });
    }
    let steps = value.get("transformations").and_then(yaml_serde::Value::as_sequence);
    for (index, step) in steps.into_iter().flatten().enumerate() {
        let line = source.entry("transformations", index);
        let at = |word: &str| {
            line.map_or_else(|| source.key("transformations"), |line| source.below(line, "transformations", word))
        };
        let mut look = |value: &yaml_serde::Value, what: &str, known: Known| {
            let Some(kind) = value.get("type").and_then(yaml_serde::Value::as_str) else { return };
            if known.iter().any(|(name, _)| *name == kind) {
                return;
            }
            found.push(if NOT_HERE.contains(&kind) {
                Diagnostic::error(at(kind), format!("the {what} `{kind}` is not supported"))
            } else {
                let error = Diagnostic::error(at(kind), format!("there is no {what} `{kind}`"));
                error.suggest(nearest(kind, known.iter().map(|(name, _)| *name)))
            });
        };
        look(step, "transformation", TRANSFORMATIONS);
        for (group, what, known) in GROUPS {
            match step.get(*group) {
                Some(yaml_serde::Value::Sequence(list)) => list.iter().for_each(|value| look(value, what, known)),
                Some(yaml_serde::Value::Mapping(map)) => map.values().for_each(|value| look(value, what, known)),
                _ => (),
            }
        }
    }
    found
}

/// What is wrong, and in which transformation.
pub(super) type Wrong = (Option<usize>, String);

pub(super) fn checked(file: &str, raw: RawPipeline) -> Result<Pipeline, Wrong> {
    if raw.transformations.len() > STEPS_MAX {
        return Err((None, format!("the pipeline has more than {STEPS_MAX} transformations")));
    }
    for (name, Many(values)) in &raw.vars.0 {
        let usable = |value: &Scalar| matches!(value, Scalar::Text(_) | Scalar::Integer(_) | Scalar::Float(_));
        if values.is_empty() || !values.iter().all(usable) {
            return Err((None, format!("`{name}` of `vars` needs texts or numbers")));
        }
    }
    let name = if raw.name.is_empty() { file.to_owned() } else { raw.name };
    let steps = raw.transformations.into_iter().enumerate();
    let steps = steps.map(|(index, raw)| step(raw).map_err(|message| (Some(index), message)));
    Ok(Pipeline { name, priority: raw.priority, vars: raw.vars, steps: steps.collect::<Result<_, _>>()? })
}

fn step(raw: RawStep) -> Result<Step, String> {
    if raw.kind.is_empty() {
        return Err("the transformation has no `type`".to_owned());
    }
    own_keys(&raw, &raw.kind, TRANSFORMATIONS, |key| key == "id" || key.contains("_cond"))?;
    let rule = joined(
        &raw.rule_conditions,
        "rule",
        (raw.rule_cond_op.as_deref(), raw.rule_cond_expr.as_deref(), raw.rule_cond_not),
        RULE_CONDITIONS,
        RuleTest::new,
    )?;
    let item = joined(
        &raw.detection_item_conditions,
        "detection_item",
        (raw.detection_item_cond_op.as_deref(), raw.detection_item_cond_expr.as_deref(), raw.detection_item_cond_not),
        ITEM_CONDITIONS,
        ItemTest::new,
    )?;
    let field = joined(
        &raw.field_name_conditions,
        "field_name",
        (raw.field_name_cond_op.as_deref(), raw.field_name_cond_expr.as_deref(), raw.field_name_cond_not),
        FIELD_CONDITIONS,
        FieldTest::new,
    )?;
    if OVER_RULES.contains(&raw.kind.as_str()) && !(item.is_empty() && field.is_empty()) {
        return Err(format!("`{}` is about whole rules and takes `rule_conditions` only", raw.kind));
    }
    Ok(Step { change: change(&raw)?, rule, item, field, raw })
}

fn own_keys(
    raw: &impl serde::Serialize,
    kind: &str,
    known: Known,
    common: impl Fn(&str) -> bool,
) -> Result<(), String> {
    let Some((_, own)) = known.iter().find(|(name, _)| *name == kind) else {
        return Err(format!("`{kind}` is not supported"));
    };
    let written = serde_json::to_value(raw).map_err(|error| error.to_string())?;
    let mut keys = written.as_object().into_iter().flat_map(|map| map.keys());
    match keys.find(|key| *key != "type" && !own.contains(&key.as_str()) && !common(key)) {
        Some(key) => Err(format!("`{key}` does not belong to `{kind}`")),
        None => Ok(()),
    }
}

fn joined<T>(
    raw: &RawConditions,
    group: &str,
    (op, expression, negated): (Option<&str>, Option<&str>, bool),
    known: Known,
    new: impl Fn(&RawCondition) -> Result<T, String>,
) -> Result<Joined<T>, String> {
    let mut tests = Vec::with_capacity(raw.list.len());
    for (_, condition) in &raw.list {
        if condition.kind.is_empty() {
            return Err(format!("a condition of `{group}_conditions` has no `type`"));
        }
        own_keys(condition, &condition.kind, known, |_| false)?;
        tests.push(new(condition)?);
    }
    if let Some(op) = op {
        one_of(op, &format!("{group}_cond_op"), &["and", "or"])?;
    }
    if tests.is_empty() && (op.is_some() || expression.is_some() || negated) {
        return Err(format!("`{group}_cond_…` without `{group}_conditions` has no effect"));
    }
    let Some(expression) = expression else { return Ok(Joined::new(tests, op == Some("or"), negated)) };
    if op.is_some() || !raw.named {
        return Err(format!(
            "`{group}_cond_expr` needs `{group}_conditions` as a mapping from names, and no `{group}_cond_op`"
        ));
    }
    let names: Vec<&str> = raw.list.iter().map(|(name, _)| name.as_str()).collect();
    Joined::parse(tests, &names, expression, negated).map_err(|text| format!("`{group}_cond_expr`: {text}"))
}

fn change(raw: &RawStep) -> Result<Change, String> {
    let kind = raw.kind.as_str();
    let mapping = || {
        let mapping = need(raw.mapping.clone(), kind, "mapping")?;
        let empty = mapping.0.iter().find(|(_, Many(values))| values.is_empty()).map(|(key, _)| key);
        empty.map_or(Ok(()), |key| Err(format!("`{key}` of `mapping` has an empty list")))?;
        Ok::<Ordered<Many<String>>, String>(mapping)
    };
    Ok(match kind {
        "field_name_mapping" => Change::Rename(Renaming::Exact(mapping()?)),
        "field_name_prefix_mapping" => Change::Rename(Renaming::Begin(mapping()?)),
        "field_name_prefix" => Change::Rename(Renaming::Before(need(raw.prefix.clone(), kind, "prefix")?)),
        "field_name_suffix" => Change::Rename(Renaming::After(need(raw.suffix.clone(), kind, "suffix")?)),
        "drop_detection_item" => Change::Drop,
        "add_condition" => Change::Add(added(raw)?),
        "change_logsource" => {
            Change::Source(source(raw.category.as_ref(), raw.product.as_ref(), raw.service.as_ref())?)
        }
        "replace_string" => {
            let regex = compile_regex(need(raw.regex.as_deref(), kind, "regex")?)?;
            let replacement = replacement(need(raw.replacement.as_deref(), kind, "replacement")?, &regex)?;
            let (skip_special, interpret_special) =
                (raw.skip_special.unwrap_or(false), raw.interpret_special.unwrap_or(false));
            Change::Replace(Replacing { regex, replacement, skip_special, interpret_special })
        }
        "map_string" => Change::Map(mapping()?),
        "value_placeholders" | "wildcard_placeholders" => {
            if raw.include.is_some() && raw.exclude.is_some() {
                return Err("`include` and `exclude` cannot be used together".to_owned());
            }
            let (include, exclude) = (raw.include.clone(), raw.exclude.clone());
            Change::Placeholders(Filling { values: kind == "value_placeholders", include, exclude })
        }
        "set_state" => Change::State,
        "rule_failure" => Change::FailRule(need(raw.message.clone(), kind, "message")?),
        "detection_item_failure" => Change::FailItem(need(raw.message.clone(), kind, "message")?),
        other => return Err(format!("the transformation `{other}` is not supported")),
    })
}

fn added(raw: &RawStep) -> Result<Added, String> {
    let conditions = need(raw.conditions.as_ref(), &raw.kind, "conditions")?;
    if conditions.is_empty() {
        return Err("`conditions` is empty".to_owned());
    }
    let mut items = Vec::with_capacity(conditions.0.len());
    for (key, Many(values)) in &conditions.0 {
        let mut words = key.split('|');
        let field = words.next().unwrap_or("");
        if field.is_empty() || values.is_empty() {
            return Err(format!("`{key}` of `conditions` needs a field and a value"));
        }
        let modifier =
            |word: &str| Modifier::from_name(word).ok_or_else(|| format!("`{word}` of `{key}` is not a modifier"));
        let modifiers = words.map(modifier).collect::<Result<Vec<_>, _>>()?;
        items.push((field.into(), modifiers, values.iter().map(Scalar::literal).collect()));
    }
    Ok(Added {
        name: raw.name.clone().unwrap_or_else(|| "pipeline".to_owned()),
        negated: raw.negated.unwrap_or(false),
        template: raw.template.unwrap_or(false),
        items,
    })
}

/// Groups as Python names them (`\1`, `\g<name>`) to those of the expression crate.
fn replacement(written: &str, regex: &regex::Regex) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = written;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            out.push(c);
            if c == '$' {
                out.push('$');
            }
            continue;
        }
        let digits = rest.chars().take(2).take_while(char::is_ascii_digit).count();
        let name = rest.strip_prefix("g<").and_then(|rest| rest.split_once('>'));
        if digits > 0 || name.is_some() {
            let (name, after) = name.unwrap_or_else(|| rest.split_at(digits));
            let known = name.parse::<usize>().map_or_else(
                |_| regex.capture_names().flatten().any(|known| known == name),
                |number| number < regex.captures_len(),
            );
            if !known {
                return Err(format!("`replacement` names the group `{name}`, which `regex` does not have"));
            }
            out.push_str(&format!("${{{name}}}"));
            rest = after;
            continue;
        }
        let next = rest.chars().next();
        match next {
            Some('\\') => out.push('\\'),
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some(other) if other.is_ascii_alphabetic() => {
                return Err(format!("`replacement` has the escape `\\{other}`, which is not known"));
            }
            // A backslash before anything else is itself.
            _ => {
                out.push('\\');
                continue;
            }
        }
        rest = &rest[next.map_or(0, char::len_utf8)..];
    }
    Ok(out)
}
