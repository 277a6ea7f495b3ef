//! Text to rules. The only module that knows the parser crate; what it gives is turned into our own tree here, with
//! the places that it does not keep.

mod behaviour;
mod correlation;
mod describe;
mod piped;

use std::path::PathBuf;
use std::sync::Arc;

use canh_schema::{Level, RuleHash, RuleId, RuleInfo};
use compact_str::CompactString;
use rsigma_parser as sigma;

use self::correlation::correlation;
use self::describe::describe;
use self::piped::{Piped, attributes};
use super::locate::Source;
use super::{Condition, Detection, EventRule, Filter, Item, Literal, Modifier, Rule, RuleKind, RuleSource, Selection};
use crate::diagnostic::{Diagnostic, nearest};
use crate::pipeline::{Draft, DraftKind, MARK, Pipelines};
use crate::{mapping, matching};

/// Lists inside lists inside a selection, deeper than which a rule is refused.
const DEPTH_MAX: usize = 32;

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
            Ok(rule) => match piped.other(&rule, &[], &mut out.diagnostics) {
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
        let tags = &rule.tags;
        match correlation(&rule, hash, source).and_then(|rule| piped.other(&rule, tags, &mut found).map(|()| rule)) {
            Ok(rule) => out.rules.push(Rule { text: whole.as_str().into(), ..rule }),
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

fn selections(detection: &sigma::Detections, section: &str, source: Source<'_>) -> Result<Vec<Selection>, Diagnostic> {
    let mut selections = Vec::with_capacity(detection.named.len());
    for (name, named) in &detection.named {
        let at = Within { source, section, selection: name };
        selections.push(Selection { name: name.as_str().into(), detection: at.detection(named, 0)? });
    }
    selections.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(selections)
}

/// What is wrong with a line by itself.
fn compile(detection: &Detection) -> Result<(), Diagnostic> {
    match detection {
        Detection::All(parts) | Detection::Any(parts) => parts.iter().try_for_each(compile),
        Detection::Item(item) => matching::compile_item(item).map(drop),
    }
}

fn conditions(
    detection: &sigma::Detections,
    section: &str,
    selections: &[Selection],
    source: Source<'_>,
) -> Result<Condition, Diagnostic> {
    let mut conditions = Vec::with_capacity(detection.conditions.len());
    for written in &detection.conditions {
        conditions.push(condition(written, selections, source)?);
    }
    // A list of conditions is a list of alternatives. Rules specification, "Condition".
    match conditions.len() {
        0 => Err(Diagnostic::error(source.key(section), "the rule has no condition")),
        1 => Ok(conditions.swap_remove(0)),
        _ => Ok(Condition::Any(conditions)),
    }
}

fn condition(
    written: &sigma::ConditionExpr,
    selections: &[Selection],
    source: Source<'_>,
) -> Result<Condition, Diagnostic> {
    let each = |parts: &[sigma::ConditionExpr]| {
        parts.iter().map(|part| condition(part, selections, source)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match written {
        sigma::ConditionExpr::And(parts) => Condition::All(each(parts)?),
        sigma::ConditionExpr::Or(parts) => Condition::Any(each(parts)?),
        sigma::ConditionExpr::Not(part) => Condition::Not(Box::new(condition(part, selections, source)?)),
        sigma::ConditionExpr::Identifier(name) => {
            let found = selections.iter().position(|selection| selection.name == name.as_str());
            Condition::Selection(found.ok_or_else(|| {
                let at = source.key("condition");
                let error = Diagnostic::error(at, format!("the condition names `{name}`, which is not a selection"));
                error.suggest(nearest(name, selections.iter().map(|selection| selection.name.as_str())))
            })?)
        }
        sigma::ConditionExpr::Selector { quantifier, pattern } => {
            let found: Vec<Condition> = (0..selections.len())
                .filter(|index| pattern.matches_detection_name(&selections[*index].name))
                .map(Condition::Selection)
                .collect();
            if found.is_empty() {
                let at = source.key("condition");
                return Err(Diagnostic::error(at, format!("no selection is named like `{pattern}`")));
            }
            match quantifier {
                sigma::Quantifier::Any => Condition::Any(found),
                sigma::Quantifier::All => Condition::All(found),
                sigma::Quantifier::Count(count) => {
                    let count = usize::try_from(*count).unwrap_or(usize::MAX);
                    if count > found.len() {
                        let text =
                            format!("`{count} of {pattern}` can never hold: only {} selections match", found.len());
                        return Err(Diagnostic::error(source.key("condition"), text));
                    }
                    Condition::AtLeast(count, found)
                }
            }
        }
    })
}

/// Where in the rule the tree is being read.
#[derive(Clone, Copy)]
struct Within<'a> {
    source: Source<'a>,
    section: &'a str,
    selection: &'a str,
}

impl Within<'_> {
    fn error(&self, key: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.source.item(self.section, self.selection, key), message)
    }

    fn detection(&self, written: &sigma::Detection, depth: usize) -> Result<Detection, Diagnostic> {
        if depth > DEPTH_MAX {
            return Err(self.error("", format!("the selection is nested deeper than {DEPTH_MAX} levels")));
        }
        let each = |parts: &[sigma::Detection]| {
            parts.iter().map(|part| self.detection(part, depth + 1)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match written {
            sigma::Detection::AllOf(items) => {
                Detection::All(items.iter().map(|item| self.item(item)).collect::<Result<_, _>>()?)
            }
            sigma::Detection::AnyOf(parts) => Detection::Any(each(parts)?),
            sigma::Detection::And(parts) => Detection::All(each(parts)?),
            sigma::Detection::Keywords(values) => self.item_of(None, Vec::new(), values)?,
            sigma::Detection::ArrayMatch { field, .. } => {
                let text = "matching of array members (`sigma-version: 3`) is not supported; a plain field name \
                            matches when any member does";
                return Err(self.error(field, text));
            }
            sigma::Detection::Conditional { .. } => {
                return Err(self.error("", "conditions inside a selection are not supported"));
            }
        })
    }

    fn item(&self, written: &sigma::DetectionItem) -> Result<Detection, Diagnostic> {
        let modifiers = written.field.modifiers.iter().map(|modifier| own_modifier(*modifier)).collect();
        let field = written.field.name.as_deref().map(|name| sigma::fieldpath::unescape_brackets(name).into());
        self.item_of(field, modifiers, &written.values)
    }

    fn item_of(
        &self,
        field: Option<CompactString>,
        modifiers: Vec<Modifier>,
        values: &[sigma::SigmaValue],
    ) -> Result<Detection, Diagnostic> {
        let written = modifiers.iter().map(|modifier| modifier.name()).collect::<Vec<_>>().join("|");
        let mut key = field.as_deref().unwrap_or("").to_owned();
        if !written.is_empty() && field.is_some() {
            key = format!("{key}|{written}");
        }
        let mut at = self.source.item(self.section, self.selection, &key);
        if field.is_some() && at == self.source.item(self.section, self.selection, "") {
            // The rule may write a modifier by its other name, `utf16le` for `wide`; the field alone finds it then.
            at = self.source.word(field.as_deref().unwrap_or(""));
        }
        let values: Vec<Literal> = values.iter().map(literal).collect();
        if values.is_empty() {
            return Err(Diagnostic::error(at, format!("`{key}` has an empty list of values and can never match")));
        }
        let nested = |value: &Literal| {
            // The parser hands over a mapping or list in the place of a value as its debug text.
            matches!(value, Literal::Text(text) if text.starts_with("Mapping {") || text.starts_with("Sequence ["))
        };
        if values.iter().any(nested) {
            return Err(Diagnostic::error(at, format!("`{key}` has a mapping or list inside its list of values")));
        }
        Ok(Detection::Item(Item { field, modifiers, written: written.into(), values, at }))
    }
}

fn literal(value: &sigma::SigmaValue) -> Literal {
    match value {
        sigma::SigmaValue::String(text) => Literal::Text(text.original.clone()),
        sigma::SigmaValue::Integer(value) => Literal::Integer(*value),
        sigma::SigmaValue::Float(value) => Literal::Float(*value),
        sigma::SigmaValue::Bool(value) => Literal::Bool(*value),
        sigma::SigmaValue::Null => Literal::Null,
    }
}

fn own_modifier(modifier: sigma::Modifier) -> Modifier {
    use sigma::Modifier as M;
    match modifier {
        M::Contains => Modifier::Contains,
        M::StartsWith => Modifier::StartsWith,
        M::EndsWith => Modifier::EndsWith,
        M::All => Modifier::All,
        M::Base64 => Modifier::Base64,
        M::Base64Offset => Modifier::Base64Offset,
        M::Wide => Modifier::Utf16Le,
        M::Utf16be => Modifier::Utf16Be,
        M::Utf16 => Modifier::Utf16,
        M::WindAsh => Modifier::Windash,
        M::Re => Modifier::Re,
        M::Cidr => Modifier::Cidr,
        M::Cased => Modifier::Cased,
        M::Exists => Modifier::Exists,
        M::Expand => Modifier::Expand,
        M::FieldRef => Modifier::FieldRef,
        M::Gt => Modifier::Gt,
        M::Gte => Modifier::Gte,
        M::Lt => Modifier::Lt,
        M::Lte => Modifier::Lte,
        M::Neq => Modifier::Neq,
        M::IgnoreCase => Modifier::RegexIgnoreCase,
        M::Multiline => Modifier::RegexMultiline,
        M::DotAll => Modifier::RegexDotAll,
        M::Minute => Modifier::Minute,
        M::Hour => Modifier::Hour,
        M::Day => Modifier::Day,
        M::Week => Modifier::Week,
        M::Month => Modifier::Month,
        M::Year => Modifier::Year,
    }
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
