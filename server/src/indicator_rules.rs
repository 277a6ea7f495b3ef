//! Lists of indicators as rules of the kind `indicator` ask them, and the lists that a rule brings with its samples.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use canh_detection::{IndicatorMatch, IndicatorQuery, IndicatorSource};
use canh_ioc::{Builder, Expired, Indicator, IndicatorSet, LoadOptions, PrivateAddresses, proof};
use canh_schema::{Event, FieldMatch, Value};
use compact_str::{CompactString, format_compact};
use serde_json::Value as Json;

/// How ids of rules begin that stand for a list and a type.
pub(crate) const LISTED: &str = "ioc:";
/// What stands before the id of a rule whose finding comes of a look back.
pub(crate) const RETRO: &str = "retro:";
/// Beginning of the names of files with the indicators of a rule's samples.
const SAMPLE_LISTS: &str = "indicators.";

/// A set that stays as it is.
#[derive(Debug)]
pub(crate) struct Fixed(Arc<IndicatorSet>);

impl Fixed {
    pub(crate) fn source(set: IndicatorSet) -> Arc<dyn IndicatorSource> {
        Arc::new(Self(Arc::new(set)))
    }
}

impl IndicatorSource for Fixed {
    fn matches(&self, event: &Event, query: &IndicatorQuery<'_>) -> Vec<IndicatorMatch> {
        matches(&self.0, event, query)
    }
}

/// What the set has of what the rule wants.
pub(crate) fn matches(set: &IndicatorSet, event: &Event, query: &IndicatorQuery<'_>) -> Vec<IndicatorMatch> {
    matches_where(set, event, query, &|_| true)
}

/// The same for some indicators of the set.
pub(crate) fn matches_where(
    set: &IndicatorSet,
    event: &Event,
    query: &IndicatorQuery<'_>,
    counts: &dyn Fn(&Indicator) -> bool,
) -> Vec<IndicatorMatch> {
    let found = set.evaluate_where(event, event.time, Expired::Skip, &|field| query.wants_field(field));
    let wanted = |indicator: &Indicator| {
        query.types.has(indicator.kind.name())
            && indicator.confidence >= query.confidence
            && query.wants_list(&indicator.list)
            && counts(indicator)
    };
    let matches = found.into_iter().filter(|one| wanted(&one.indicator)).map(|one| IndicatorMatch {
        key: format_compact!("{}\n{}\n{}", one.indicator.list, one.indicator.kind, one.indicator.value),
        proof: proof(&one),
        value: one.value,
    });
    matches.collect()
}

/// The indicators that a proof names, as a source: with them the verdict can be had again without the lists.
pub(crate) fn of_proof(indicators: &[Indicator]) -> IndicatorSet {
    let mut builder = Builder::new(LoadOptions { private: PrivateAddresses::Take, ..LoadOptions::default() });
    indicators.iter().for_each(|indicator| builder.add_indicator(indicator));
    builder.finish().0
}

/// The indicators that the condition of a finding names, as the API shows it.
pub(crate) fn indicators_of(condition: &Json) -> Vec<Indicator> {
    let line = |part: &Json| {
        let compared = &part["compared"];
        let text = |value: &Json| value.as_str().map(CompactString::from);
        Some(FieldMatch {
            selection: text(&compared["selection"])?,
            field: text(&compared["field"])?,
            modifiers: text(&compared["modifiers"])?,
            pattern: text(&compared["patterns"][0])?,
            value: match &compared["value"] {
                Json::Number(number) => Value::Integer(number.as_i64()?),
                value => Value::Text(text(value)?),
            },
        })
    };
    let lines: Vec<FieldMatch> = condition["parts"].as_array().into_iter().flatten().filter_map(line).collect();
    canh_ioc::indicators_of(&lines)
}

/// The lists beside a rule, which its samples are held against. `None` if there are none.
pub(crate) fn beside(folder: &Path) -> anyhow::Result<Option<Arc<dyn IndicatorSource>>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read the directory `{}`", folder.display()))?;
    let mut files = entries.collect::<Result<Vec<_>, _>>()?;
    files.retain(|entry| entry.file_name().to_string_lossy().starts_with(SAMPLE_LISTS));
    if files.is_empty() {
        return Ok(None);
    }
    files.sort_by_key(fs::DirEntry::file_name);
    let mut builder = Builder::new(LoadOptions::default());
    for entry in files {
        let path = entry.path();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        builder.add_text(&entry.file_name().to_string_lossy(), &text);
    }
    let (set, report) = builder.finish();
    if let Some(problem) = report.problems.first() {
        anyhow::bail!("{}: {problem}", folder.display());
    }
    Ok(Some(Fixed::source(set)))
}

#[cfg(test)]
mod tests {
    use canh_detection::INDICATOR_TYPES;
    use canh_ioc::IndicatorKind;

    #[test]
    fn rules_and_lists_know_the_same_types() {
        let kinds: Vec<_> = IndicatorKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(kinds, INDICATOR_TYPES);
    }
}
