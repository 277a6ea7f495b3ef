//! Documents whose `correlation.type` is one of ours. The parser crate does not know these types, so they are read here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use canh_schema::{RuleHash, RuleInfo};
use compact_str::CompactString;
use serde::Deserialize;

use super::{level_named, rule_id};
use crate::diagnostic::{Diagnostic, nearest};
use crate::indicator::{INDICATOR_TYPE_GROUPS, INDICATOR_TYPES, IndicatorTypes};
use crate::rule::behaviour::{BEHAVIOURS, Behaviour, BehaviourKind, Side};
use crate::rule::locate::Source;
use crate::rule::{Rule, RuleKind};

/// How long an indicator is not said again of its group, if the rule does not say.
const INDICATOR_TIMESPAN: &str = "1h";

/// The keys of a rule that matter here; others are free text of the author.
#[derive(Debug, Deserialize)]
struct Document {
    title: String,
    id: Option<String>,
    name: Option<String>,
    status: Option<String>,
    description: Option<String>,
    level: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    falsepositives: Vec<String>,
    #[serde(default)]
    references: Vec<String>,
    guide: Option<yaml_serde::Value>,
    correlation: Written,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    #[serde(rename = "type")]
    kind: String,
    rules: Texts,
    #[serde(default)]
    group_by: Texts,
    timespan: Option<String>,
    #[serde(default)]
    condition: Condition,
    #[serde(default)]
    generate: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    field: Option<Texts>,
    learning: Option<String>,
    deviations: Option<f64>,
    minimum: Option<f64>,
    weeks: Option<u32>,
    side: Option<String>,
    percent: Option<f64>,
    speed: Option<f64>,
    distance: Option<f64>,
    indicator: Option<Texts>,
    list: Option<Texts>,
    confidence: Option<u8>,
}

/// One text or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Default for Texts {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Texts {
    fn list(&self) -> Vec<CompactString> {
        match self {
            Self::One(text) => vec![text.into()],
            Self::Many(texts) => texts.iter().map(CompactString::from).collect(),
        }
    }
}

/// Whether the document is for this module. A look at the text, because most documents are not.
pub(super) fn is_behaviour(text: &str) -> bool {
    let named = |line: &str| {
        let kind = line.trim_start().strip_prefix("type:")?.split('#').next()?.trim().trim_matches(['\'', '"']);
        BEHAVIOURS.iter().find(|(name, _)| *name == kind)
    };
    text.contains("\ncorrelation:") && text.lines().any(|line| named(line).is_some())
}

pub(super) fn behaviour(hash: RuleHash, source: Source<'_>) -> Result<Rule, Diagnostic> {
    let document: Document = yaml_serde::from_str(source.text).map_err(|error| {
        let at = error.location().map_or(source.start(), |at| {
            source.at(u32::try_from(at.line()).unwrap_or(1), u32::try_from(at.column()).unwrap_or(1))
        });
        let whole = error.to_string();
        Diagnostic::error(at, whole.split(" at line ").next().unwrap_or("this is not YAML").to_owned())
    })?;
    let written = &document.correlation;
    let error = |key: &str, text: String| Diagnostic::error(source.key(key), text);
    let rules = written.rules.list();
    if rules.is_empty() {
        return Err(error("rules", "the correlation names no rules".to_owned()));
    }
    let condition = &written.condition;
    let kind = kind(written, source)?;
    let is_indicator = matches!(kind, BehaviourKind::Indicator { .. });
    let text = written.timespan.as_deref().or(is_indicator.then_some(INDICATOR_TIMESPAN));
    let text = text.ok_or_else(|| error("correlation", format!("`{}` needs `timespan:`", kind.name())))?;
    let timespan = duration(text).filter(|span| !span.is_zero()).ok_or_else(|| error("timespan", not_a_time(text)))?;
    let mut group_by = written.group_by.list();
    if is_indicator && group_by.is_empty() {
        group_by.push("host.name".into());
    }
    let mut fields = condition.field.as_ref().map(Texts::list).unwrap_or_default();
    match kind {
        BehaviourKind::NewTerms { .. } | BehaviourKind::RareValue { .. } if fields.is_empty() => {
            return Err(error("condition", format!("`{}` needs `field:` in its condition", kind.name())));
        }
        BehaviourKind::ImpossibleTravel { .. } if fields.is_empty() => fields.push("source.geo.location".into()),
        BehaviourKind::Absence if !fields.is_empty() => {
            return Err(error("field", "`absence` looks at no field; name it under `group-by`".to_owned()));
        }
        BehaviourKind::Baseline { .. } | BehaviourKind::ImpossibleTravel { .. } if fields.len() > 1 => {
            return Err(error("field", format!("`{}` takes one field", kind.name())));
        }
        _ => (),
    }
    let text = |text: &Option<String>| CompactString::from(text.as_deref().unwrap_or("").trim());
    let texts = |texts: &[String]| texts.iter().map(CompactString::from).collect();
    let info = RuleInfo {
        id: rule_id(document.id.as_deref(), &document.title),
        hash,
        title: document.title.as_str().into(),
        description: text(&document.description),
        level: level_named(document.level.as_deref()),
        tags: texts(&document.tags),
        false_positives: texts(&document.falsepositives),
        references: texts(&document.references),
        guide: super::guide_of(document.guide.as_ref()),
    };
    Ok(Rule {
        info: Arc::new(info),
        name: document.name.as_deref().map(CompactString::from),
        status: document.status.as_deref().map(CompactString::from),
        kind: RuleKind::Behaviour(Behaviour {
            kind,
            rules,
            group_by,
            fields,
            lists: condition.list.as_ref().map(Texts::list).unwrap_or_default(),
            timespan,
            generate: written.generate,
        }),
        path: PathBuf::new(),
        at: source.start(),
        text: source.text.into(),
        is_piped: false,
    })
}

/// Which keys of `condition` a kind takes.
const KEYS: &[(&str, &[&str])] = &[
    ("new_terms", &["field", "learning"]),
    ("absence", &[]),
    ("baseline", &["field", "deviations", "minimum", "weeks", "side"]),
    ("rare_value", &["field", "percent", "minimum"]),
    ("impossible_travel", &["field", "speed", "distance"]),
    ("indicator", &["indicator", "list", "confidence", "field"]),
];

fn kind(written: &Written, source: Source<'_>) -> Result<BehaviourKind, Diagnostic> {
    let condition = &written.condition;
    let error = |key: &str, text: String| Diagnostic::error(source.key(key), text);
    let used = [
        ("field", condition.field.is_some()),
        ("learning", condition.learning.is_some()),
        ("deviations", condition.deviations.is_some()),
        ("minimum", condition.minimum.is_some()),
        ("weeks", condition.weeks.is_some()),
        ("side", condition.side.is_some()),
        ("percent", condition.percent.is_some()),
        ("speed", condition.speed.is_some()),
        ("distance", condition.distance.is_some()),
        ("indicator", condition.indicator.is_some()),
        ("list", condition.list.is_some()),
        ("confidence", condition.confidence.is_some()),
    ];
    let (name, keys) = KEYS.iter().find(|(name, _)| *name == written.kind).copied().ok_or_else(|| {
        let known = BEHAVIOURS.iter().map(|(name, _)| *name);
        error("type", format!("unknown type `{}`", written.kind)).suggest(nearest(&written.kind, known))
    })?;
    if let Some((key, _)) = used.iter().find(|(key, used)| *used && !keys.contains(key)) {
        let known = if keys.is_empty() { "it takes none".to_owned() } else { format!("it takes {}", keys.join(", ")) };
        return Err(error(key, format!("`{key}` has no meaning for `{name}`; {known}")));
    }
    let positive = |key: &str, value: Option<f64>, usual: f64| match value.unwrap_or(usual) {
        value if value > 0.0 && value.is_finite() => Ok(value),
        value => Err(error(key, format!("`{key}` must be above zero, not `{value}`"))),
    };
    Ok(match name {
        "new_terms" => {
            let text = condition.learning.as_deref().unwrap_or("7d");
            let learning = duration(text).ok_or_else(|| error("learning", not_a_time(text)))?;
            BehaviourKind::NewTerms { learning }
        }
        "absence" => BehaviourKind::Absence,
        "baseline" => BehaviourKind::Baseline {
            deviations: positive("deviations", condition.deviations, 4.0)?,
            minimum: positive("minimum", condition.minimum, 20.0)?,
            weeks: condition.weeks.unwrap_or(3).max(2),
            side: match condition.side.as_deref().unwrap_or("above") {
                "above" => Side::Above,
                "below" => Side::Below,
                "both" => Side::Both,
                other => {
                    let text = format!("`side` is above, below or both, not `{other}`");
                    return Err(error("side", text).suggest(nearest(other, ["above", "below", "both"])));
                }
            },
        },
        "rare_value" => BehaviourKind::RareValue {
            percent: positive("percent", condition.percent, 1.0)?,
            // Whole events; a fraction is cut off.
            minimum: positive("minimum", condition.minimum, 1_000.0)? as u64,
        },
        "indicator" => BehaviourKind::Indicator {
            types: types(condition.indicator.as_ref(), source)?,
            confidence: match condition.confidence.unwrap_or(0) {
                value @ 0..=100 => value,
                value => return Err(error("confidence", format!("`confidence` is 0 to 100, not `{value}`"))),
            },
        },
        _ => BehaviourKind::ImpossibleTravel {
            speed: positive("speed", condition.speed, 900.0)?,
            distance: positive("distance", condition.distance, 500.0)?,
        },
    })
}

/// The types that a rule names; all of them if it names none.
fn types(written: Option<&Texts>, source: Source<'_>) -> Result<IndicatorTypes, Diagnostic> {
    let Some(written) = written else { return Ok(IndicatorTypes::ALL) };
    let mut types = IndicatorTypes::NONE;
    for word in written.list() {
        let known = INDICATOR_TYPES.iter().copied().chain(INDICATOR_TYPE_GROUPS.iter().map(|(name, _)| *name));
        let named = IndicatorTypes::named(&word).ok_or_else(|| {
            let text = format!("`{word}` is no type of indicator");
            Diagnostic::error(source.key("indicator"), text).suggest(nearest(&word, known))
        })?;
        types = types.with(named);
    }
    Ok(types)
}

fn not_a_time(text: &str) -> String {
    format!("`{text}` is not a time such as `90s`, `15m`, `12h`, `30d` or `2w`")
}

fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?))
}
