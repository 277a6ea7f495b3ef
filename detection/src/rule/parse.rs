//! Text to rules. The only module that knows the parser crate; what it gives is turned into our own tree here, with
//! the places that it does not keep.

mod behaviour;
mod correlation;
mod describe;
mod piped;
mod selection;

use std::path::PathBuf;
use std::sync::Arc;

use canh_schema::{Level, RuleHash, RuleId, RuleInfo};
use compact_str::CompactString;
use rsigma_parser as sigma;

use self::correlation::correlation;
use self::describe::describe;
use self::piped::{Piped, attributes};
use self::selection::{condition, selections};
use super::locate::Source;
use super::{Condition, EventRule, Filter, Rule, RuleKind, RuleSource};
use crate::diagnostic::{Diagnostic, nearest};
use crate::mapping;
use crate::pipeline::{Draft, DraftKind, Linked, MARK, Pipelines};

#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub rules: Vec<Rule>,
    pub filters: Vec<Filter>,
    pub diagnostics: Vec<Diagnostic>,
}

/// Which pipelines change the rules.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Applied<'a> {
    Given(&'a Pipelines),
    /// Those that the text itself names, which it has from an earlier reading.
    Recorded,
}

/// Reads the documents of one file one by one, so that each has its own errors, places and hash.
pub(crate) fn parse_documents(text: &str, applied: Applied<'_>) -> Parsed {
    let mut out = Parsed::default();
    // Documents with `action: global` and `reset`, which change those that follow.
    let mut context = String::new();
    let mut previous = String::new();
    for source in split_documents(text) {
        match action(source.text) {
            None => {
                previous = source.text.to_owned();
                parse_one(&context, source, applied, &mut out);
            }
            Some("global" | "reset") => {
                context.push_str(source.text);
                context.push_str("\n---\n");
            }
            Some("repeat") if previous.is_empty() => {
                let message = "`action: repeat` has no document before it; put the rule that it repeats first";
                out.diagnostics.push(Diagnostic::error(source.key("action"), message));
            }
            Some("repeat") => {
                let before = format!("{context}{previous}\n---\n");
                parse_one(&before, source, applied, &mut out);
                previous = format!("{previous}\n---\n{}", source.text);
            }
            Some(other) => {
                let error = Diagnostic::error(source.key("action"), format!("unknown action `{other}`"));
                out.diagnostics.push(error.suggest(nearest(other, ["global", "reset", "repeat"])));
            }
        }
    }
    out
}

fn split_documents(text: &str) -> Vec<Source<'_>> {
    let mut documents = Vec::new();
    let (mut begin, mut begin_line, mut offset) = (0, 1_u32, 0);
    for (number, line) in (1_u32..).zip(text.split_inclusive('\n')) {
        let separator = line.strip_prefix("---").is_some_and(|rest| rest.trim().is_empty());
        if separator {
            documents.push(Source { text: &text[begin..offset], first_line: begin_line });
            begin = offset + line.len();
            begin_line = number + 1;
        }
        offset += line.len();
    }
    documents.push(Source { text: &text[begin..], first_line: begin_line });
    let has_content = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    documents.retain(|document| document.text.lines().any(has_content));
    documents
}

/// The word after `action:` at the beginning of a line.
fn action(text: &str) -> Option<&str> {
    let line = text.lines().find_map(|line| line.strip_prefix("action:"))?;
    Some(line.split('#').next().unwrap_or("").trim().trim_matches(['\'', '"']))
}

fn parse_one(before: &str, source: Source<'_>, applied: Applied<'_>, out: &mut Parsed) {
    let whole = format!("{before}{}", source.text);
    let recorded;
    let pipelines = match applied {
        Applied::Given(given) => {
            if let Some(place) = source.begins(MARK) {
                let text =
                    format!("lines that begin with `{}` are kept for pipelines; change the comment", MARK.trim());
                out.diagnostics.push(Diagnostic::error(place, text));
                return;
            }
            given
        }
        Applied::Recorded => match Pipelines::recorded(source.text, source.start()) {
            Ok(found) => {
                recorded = found;
                &recorded
            }
            Err(error) => {
                out.diagnostics.push(error);
                return;
            }
        },
    };
    let piped = Piped { pipelines, applied, before, source };
    if behaviour::is_behaviour(source.text) {
        match behaviour::behaviour(hash_of(&whole), source) {
            Ok(mut rule) => match piped.other(&mut rule) {
                Ok(()) => out.rules.push(rule),
                Err(error) => out.diagnostics.push(error),
            },
            Err(error) => out.diagnostics.push(error),
        }
        return;
    }
    let (earlier_errors, earlier_rules) = if before.is_empty() {
        (0, (0, 0, 0))
    } else {
        sigma::parse_sigma_yaml(before).map_or((0, (0, 0, 0)), |earlier| {
            (earlier.errors.len(), (earlier.rules.len(), earlier.correlations.len(), earlier.filters.len()))
        })
    };
    let collection = match sigma::parse_sigma_yaml(&whole) {
        Ok(collection) => collection,
        Err(error) => {
            out.diagnostics.push(describe(&error.to_string(), before, source));
            return;
        }
    };
    let hash = hash_of(&whole);
    let loaded = out.rules.len() + out.filters.len();
    let mut found = Vec::new();
    for rule in collection.rules.into_iter().skip(earlier_rules.0) {
        match event_rule(&rule, &piped, &mut found) {
            Ok(rule) => out.rules.push(rule),
            Err(error) => found.push(error),
        }
    }
    for rule in collection.correlations.into_iter().skip(earlier_rules.1) {
        let read = correlation(&rule, hash, source).map(|rule| Rule { text: whole.as_str().into(), ..rule });
        match read.and_then(|mut rule| piped.other(&mut rule).map(|()| rule)) {
            Ok(rule) => out.rules.push(rule),
            Err(error) => found.push(error),
        }
    }
    for rule in collection.filters.into_iter().skip(earlier_rules.2) {
        match filter(&rule, &piped) {
            Ok(filter) => out.filters.push(filter),
            Err(error) => found.push(error),
        }
    }
    let did_load = out.rules.len() + out.filters.len() > loaded;
    for message in collection.errors.iter().skip(earlier_errors) {
        let mut diagnostic = describe(message, before, source);
        if did_load {
            diagnostic.severity = crate::diagnostic::Severity::Warning;
        }
        found.push(diagnostic);
    }
    out.diagnostics.extend(found);
}

/// White space at the end is the business of the file.
pub(super) fn hash_of(text: &str) -> RuleHash {
    RuleHash::of(text.trim_end().as_bytes())
}

fn event_rule(rule: &sigma::SigmaRule, piped: &Piped<'_>, warnings: &mut Vec<Diagnostic>) -> Result<Rule, Diagnostic> {
    let source = piped.source;
    let attributes = attributes(rule);
    let draft = Draft {
        kind: DraftKind::Event,
        source: rule_source(&rule.logsource),
        selections: selections(&rule.detection, "detection", source)?,
        condition: Condition::All(Vec::new()),
        tags: &rule.tags,
        attributes: &attributes,
        at: source.start(),
        linked: Linked::default(),
    };
    let (draft, text_of_rule) = piped.finish(&rule.detection, "detection", draft)?;
    mapping::check_fields(&draft.source, &draft.selections)?;
    if rule.detection.timeframe.is_some() {
        let text = "`timeframe` has no effect here; write a correlation rule with `timespan` instead";
        warnings.push(Diagnostic::warning(source.key("timeframe"), text));
    }
    let info = RuleInfo {
        id: rule_id(rule.id.as_deref(), &rule.title),
        hash: hash_of(&text_of_rule),
        title: rule.title.as_str().into(),
        description: text(rule.description.as_deref()),
        level: level(rule.level),
        tags: texts(&rule.tags),
        false_positives: texts(&rule.falsepositives),
        references: texts(&rule.references),
        guide: guide(&rule.custom_attributes),
    };
    Ok(Rule {
        info: Arc::new(info),
        name: rule.name.as_deref().map(CompactString::from),
        status: rule.status.map(|status| format!("{status:?}").to_lowercase().into()),
        kind: RuleKind::Event(EventRule {
            source: draft.source,
            selections: draft.selections,
            condition: draft.condition,
        }),
        path: PathBuf::new(),
        at: source.start(),
        text: text_of_rule.into(),
        is_piped: true,
    })
}

fn rule_source(source: &sigma::LogSource) -> RuleSource {
    let lower = |text: &Option<String>| text.as_ref().map(|text| CompactString::from(text.to_lowercase()));
    RuleSource { product: lower(&source.product), service: lower(&source.service), category: lower(&source.category) }
}

fn rule_id(id: Option<&str>, title: &str) -> RuleId {
    RuleId::new(id.filter(|id| !id.is_empty()).unwrap_or(title))
}

fn text(text: Option<&str>) -> CompactString {
    text.unwrap_or("").trim().into()
}

fn texts(texts: &[String]) -> Vec<CompactString> {
    texts.iter().map(CompactString::from).collect()
}

/// The rule's own key `guide`: what to do, by language.
fn guide(custom: &std::collections::HashMap<String, yaml_serde::Value>) -> Vec<(CompactString, CompactString)> {
    guide_of(custom.get("guide"))
}

fn guide_of(written: Option<&yaml_serde::Value>) -> Vec<(CompactString, CompactString)> {
    let Some(yaml_serde::Value::Mapping(languages)) = written else { return Vec::new() };
    let each = languages.iter().filter_map(|(name, text)| Some((name.as_str()?.into(), text.as_str()?.trim().into())));
    each.collect()
}

/// A rule without a level is taken as `medium`, so that it is seen and wakes nobody.
fn level(level: Option<sigma::Level>) -> Level {
    level_named(level.map(|level| level.as_str()))
}

fn level_named(name: Option<&str>) -> Level {
    name.and_then(|name| name.parse().ok()).unwrap_or(Level::Medium)
}

fn filter(rule: &sigma::FilterRule, piped: &Piped<'_>) -> Result<Filter, Diagnostic> {
    let source = piped.source;
    let draft = Draft {
        kind: DraftKind::Filter,
        source: rule.logsource.as_ref().map(rule_source).unwrap_or_default(),
        selections: selections(&rule.detection, "filter", source)?,
        condition: Condition::All(Vec::new()),
        tags: &[],
        attributes: &[],
        at: source.start(),
        linked: Linked::default(),
    };
    let (draft, text) = piped.finish(&rule.detection, "filter", draft)?;
    Ok(Filter {
        title: rule.title.as_str().into(),
        rules: match &rule.rules {
            sigma::FilterRuleTarget::Any => None,
            sigma::FilterRuleTarget::Specific(rules) => Some(texts(rules)),
        },
        source: draft.source,
        selections: draft.selections,
        condition: draft.condition,
        path: PathBuf::new(),
        at: source.start(),
        text: text.into(),
    })
}
