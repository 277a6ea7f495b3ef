//! Correlation rules of the parser to ours.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use canh_schema::{RuleHash, RuleInfo};
use compact_str::CompactString;
use rsigma_parser as sigma;

use super::{condition, level, rule_id, text, texts};
use crate::diagnostic::Diagnostic;
use crate::rule::locate::Source;
use crate::rule::{
    Alias, Comparison, Condition, Correlation, CorrelationCondition, CorrelationKind, Detection, Rule, RuleKind,
    Selection,
};

pub(super) fn correlation(
    rule: &sigma::CorrelationRule,
    hash: RuleHash,
    source: Source<'_>,
) -> Result<Rule, Diagnostic> {
    let error = |key: &str, text: String| Diagnostic::error(source.key(key), text);
    if rule.window != sigma::WindowMode::Sliding {
        return Err(error("window", format!("`window: {}` is not supported; windows slide", rule.window.as_str())));
    }
    if rule.rules.is_empty() {
        return Err(error("rules", "the correlation names no rules".to_owned()));
    }
    if rule.timespan.seconds == 0 {
        return Err(error("timespan", "the timespan must be longer than nothing".to_owned()));
    }
    let temporal =
        matches!(rule.correlation_type, sigma::CorrelationType::Temporal | sigma::CorrelationType::TemporalOrdered);
    let (condition, fields, percentile) = match &rule.condition {
        sigma::CorrelationCondition::Extended(written) if temporal => {
            (CorrelationCondition::Rules(rule_condition(written, &rule.rules, source)?), Vec::new(), None)
        }
        sigma::CorrelationCondition::Extended(_) => {
            let text = format!("`{}` needs a comparison such as `gte: 10`", rule.correlation_type.as_str());
            return Err(error("condition", text));
        }
        sigma::CorrelationCondition::Threshold { predicates, field, percentile } => {
            let compare: Vec<(Comparison, f64)> = predicates
                .iter()
                // Thresholds beyond 2^53 are rounded; nobody counts that far.
                .map(|(operator, value)| (comparison(*operator), *value as f64))
                .collect();
            // The parser writes a temporal rule without a condition as `gte: 1`, which on its own would mean nothing.
            let all = temporal && compare == [(Comparison::GreaterOrEqual, 1.0)];
            let condition = if all { CorrelationCondition::AllRules } else { CorrelationCondition::Compare(compare) };
            (condition, texts(field.as_deref().unwrap_or(&[])), *percentile)
        }
    };
    let kind = match rule.correlation_type {
        sigma::CorrelationType::EventCount => CorrelationKind::EventCount,
        sigma::CorrelationType::ValueCount => CorrelationKind::ValueCount,
        sigma::CorrelationType::Temporal => CorrelationKind::Temporal,
        sigma::CorrelationType::TemporalOrdered => CorrelationKind::TemporalOrdered,
        sigma::CorrelationType::ValueSum => CorrelationKind::ValueSum,
        sigma::CorrelationType::ValueAvg => CorrelationKind::ValueAvg,
        sigma::CorrelationType::ValueMedian => CorrelationKind::ValuePercentile(50.0),
        sigma::CorrelationType::ValuePercentile => match percentile.unwrap_or(50) {
            rank @ 0..=100 => CorrelationKind::ValuePercentile(rank as f64),
            rank => return Err(error("percentile", format!("percentile `{rank}` is not between 0 and 100"))),
        },
    };
    let needs_field = !temporal && kind != CorrelationKind::EventCount;
    if needs_field && fields.is_empty() {
        return Err(error("condition", format!("`{}` needs `field:` in its condition", kind.name())));
    }
    if needs_field && fields.len() > 1 && kind != CorrelationKind::ValueCount {
        return Err(error("field", format!("`{}` takes one field", kind.name())));
    }
    let info = RuleInfo {
        id: rule_id(rule.id.as_deref(), &rule.title),
        hash,
        title: rule.title.as_str().into(),
        description: text(rule.description.as_deref()),
        level: level(rule.level),
        tags: texts(&rule.tags),
        false_positives: texts(&rule.falsepositives),
        references: texts(&rule.references),
        guide: super::guide(&rule.custom_attributes),
    };
    let aliases = rule.aliases.iter().map(|alias| {
        let mut fields: Vec<(CompactString, CompactString)> =
            alias.mapping.iter().map(|(rule, field)| (rule.as_str().into(), field.as_str().into())).collect();
        fields.sort();
        Alias { name: alias.alias.as_str().into(), fields }
    });
    let correlation = Correlation {
        kind,
        rules: texts(&rule.rules),
        group_by: texts(&rule.group_by),
        timespan: Duration::from_secs(rule.timespan.seconds),
        condition,
        fields,
        aliases: aliases.collect(),
        generate: rule.generate,
    };
    Ok(Rule {
        info: Arc::new(info),
        name: rule.name.as_deref().map(CompactString::from),
        status: rule.status.map(|status| format!("{status:?}").to_lowercase().into()),
        kind: RuleKind::Correlation(correlation),
        path: PathBuf::new(),
        at: source.start(),
        text: "".into(),
        is_piped: false,
    })
}

/// The extended condition of a temporal correlation: names of rules instead of selections.
fn rule_condition(
    written: &sigma::ConditionExpr,
    rules: &[String],
    source: Source<'_>,
) -> Result<Condition, Diagnostic> {
    let named: Vec<Selection> = rules
        .iter()
        .map(|rule| Selection { name: rule.as_str().into(), detection: Detection::All(Vec::new()) })
        .collect();
    condition(written, &named, source)
}

fn comparison(operator: sigma::ConditionOperator) -> Comparison {
    match operator {
        sigma::ConditionOperator::Lt => Comparison::Less,
        sigma::ConditionOperator::Lte => Comparison::LessOrEqual,
        sigma::ConditionOperator::Gt => Comparison::Greater,
        sigma::ConditionOperator::Gte => Comparison::GreaterOrEqual,
        sigma::ConditionOperator::Eq => Comparison::Equal,
        sigma::ConditionOperator::Neq => Comparison::NotEqual,
    }
}
