//! A proposal as a Sigma filter document.

use std::fmt::Write;

use canh_detection::{RuleKind, RuleSet};
use canh_schema::{RuleHash, RuleId};

use super::search::{Pair, Plain, Selected};

/// The filter, complete. It names the rules over single events that decide: the rule itself, or those that feed it.
pub(super) fn document(set: &RuleSet, rule: &RuleId, selected: &Selected) -> String {
    let title = set.rules.iter().find(|one| one.info.id == *rule).map_or(rule.as_str(), |one| &one.info.title);
    let mut body = source(set);
    body.push_str("filter:\n  rules:\n");
    for one in set.rules.iter().filter(|one| matches!(one.kind, RuleKind::Event(_))) {
        let _ = writeln!(body, "    - {}", quoted(one.info.id.as_str()));
    }
    body.push_str("  selection:\n");
    match selected.0.as_slice() {
        [pairs] => {
            for pair in pairs {
                let _ = writeln!(body, "    {}", line(pair));
            }
        }
        parts => {
            for part in parts {
                for (index, pair) in part.iter().enumerate() {
                    let _ = writeln!(body, "    {} {}", if index == 0 { '-' } else { ' ' }, line(pair));
                }
            }
        }
    }
    body.push_str("  condition: not selection\n");
    let title = quoted(&format!("Known Noise of {title}"));
    format!("title: {title}\nid: {}\nstatus: experimental\n{body}", id_of(&body))
}

/// The log source that all of the rules share; a filter applies only within it.
fn source(set: &RuleSet) -> String {
    let sources: Vec<_> = set
        .rules
        .iter()
        .filter_map(|rule| match &rule.kind {
            RuleKind::Event(event_rule) => Some(&event_rule.source),
            RuleKind::Correlation(_) | RuleKind::Behaviour(_) => None,
        })
        .collect();
    let Some(first) = sources.first() else { return String::new() };
    let mut text = String::new();
    for (name, value, shared) in [
        ("product", &first.product, sources.iter().all(|one| one.product == first.product)),
        ("category", &first.category, sources.iter().all(|one| one.category == first.category)),
        ("service", &first.service, sources.iter().all(|one| one.service == first.service)),
    ] {
        if let Some(value) = value.as_ref().filter(|_| shared) {
            let _ = writeln!(text, "  {name}: {}", quoted(value));
        }
    }
    if text.is_empty() { text } else { format!("logsource:\n{text}") }
}

fn line(pair: &Pair) -> String {
    let value = match &pair.value {
        Plain::Bool(value) => value.to_string(),
        Plain::Integer(value) => value.to_string(),
        Plain::Text(text) => {
            // A wildcard in a value is a character like any other.
            let mut escaped = String::with_capacity(text.len());
            for character in text.chars() {
                if matches!(character, '*' | '?' | '\\') {
                    escaped.push('\\');
                }
                escaped.push(character);
            }
            quoted(&escaped)
        }
    };
    format!("{}: {value}", key(&pair.field))
}

fn key(field: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let starts = field.chars().next().is_some_and(|first| first.is_ascii_alphabetic());
    if starts && field.chars().all(plain) { field.to_owned() } else { quoted(field) }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The same for the same filter: a UUID of version 8, which is for hashes.
fn id_of(body: &str) -> String {
    let hash = RuleHash::of(body.as_bytes()).to_string();
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default();
    format!("{}-{}-8{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use canh_schema::Value;

    use super::*;

    const RULE: &str = "title: It's\nid: base\nlogsource: {category: test}\ndetection: {s: {k: x}, condition: s}\n";

    #[test]
    fn what_is_written_is_a_filter_that_loads() {
        let pair = |field: &str, value: Value| Pair::new(field, &value).expect("a pair");
        let selected = Selected(vec![
            vec![pair("host.name", Value::text("it's *\\?: #")), pair("odd name:", Value::Integer(-3))],
            vec![pair("flag", Value::Bool(true))],
        ]);
        let text = document(&RuleSet::from_text("rule", RULE), &RuleId::new("base"), &selected);
        let wanted = "  selection:\n    - host.name: 'it''s \\*\\\\\\?: #'\n      'odd name:': -3\n    - flag: true\n";
        assert!(text.contains(wanted), "{text}");
        let mut set = RuleSet::from_text("both", &format!("{RULE}---\n{text}"));
        set.link();
        assert!(set.errors.is_empty() && set.filters.len() == 1, "{:?}\n{text}", set.errors);
        assert_eq!(text, document(&set, &RuleId::new("base"), &selected));
    }
}
