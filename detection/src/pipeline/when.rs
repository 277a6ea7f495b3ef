//! The conditions of a transformation: about the rule, about a line of a selection, about the name of a field.

use compact_str::CompactString;
use regex::Regex;

use super::draft::{Attribute, Draft, DraftKind};
use super::raw::{RawCondition, Scalar};
use super::{compile_regex, text};
use crate::diagnostic::nearest;
use crate::matching::{Part, parse_glob};
use crate::rule::{Detection, Item, Literal, Modifier, RuleSource};

/// Name, and the keys that belong to it.
pub(super) type Known = &'static [(&'static str, &'static [&'static str])];

pub(super) const RULE_CONDITIONS: Known = &[
    ("logsource", &["category", "product", "service"]),
    ("contains_field", &["field"]),
    ("contains_detection_item", &["field", "value"]),
    ("is_sigma_rule", &[]),
    ("is_sigma_correlation_rule", &[]),
    ("rule_attribute", &["attribute", "value", "op"]),
    ("tag", &["tag"]),
];

pub(super) const ITEM_CONDITIONS: Known = &[
    ("match_string", &["cond", "pattern", "negate"]),
    ("match_value", &["cond", "value"]),
    ("contains_wildcard", &["cond"]),
    ("is_null", &["cond"]),
];

pub(super) const FIELD_CONDITIONS: Known =
    &[("include_fields", &["fields", "mode"]), ("exclude_fields", &["fields", "mode"])];

const OPERATORS: &[&str] = &["eq", "ne", "gte", "gt", "lte", "lt", "in", "not_in"];

/// From least to most.
const LEVELS: &[&str] = &["informational", "low", "medium", "high", "critical"];
const STATUSES: &[&str] = &["unsupported", "deprecated", "experimental", "test", "stable"];

#[derive(Clone, Debug)]
pub(super) enum RuleTest {
    Source(RuleSource),
    Field(String),
    Item { field: String, value: Literal },
    IsRule,
    IsCorrelation,
    Attribute { name: String, value: Scalar, op: String },
    Tag(String),
}

/// A key that must be there.
pub(super) fn need<T>(value: Option<T>, kind: &str, key: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("`{kind}` needs `{key}`"))
}

/// A word of a list.
pub(super) fn one_of(word: &str, key: &str, known: &[&str]) -> Result<(), String> {
    if known.contains(&word) {
        return Ok(());
    }
    let hint = nearest(word, known.iter().copied()).map(|word| format!("; did you mean `{word}`?"));
    Err(format!("`{key}` is `{word}`, and can be {}{}", listed(known), hint.unwrap_or_default()))
}

pub(super) fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Names in small letters, as they are in rules that were read.
pub(super) fn source(
    category: Option<&String>,
    product: Option<&String>,
    service: Option<&String>,
) -> Result<RuleSource, String> {
    let lower = |text: Option<&String>| text.map(|text| CompactString::from(text.to_lowercase()));
    let source = RuleSource { product: lower(product), service: lower(service), category: lower(category) };
    if source == RuleSource::default() {
        return Err("a log source needs `category`, `product` or `service`".to_owned());
    }
    Ok(source)
}

impl RuleTest {
    pub(super) fn new(raw: &RawCondition) -> Result<Self, String> {
        let kind = raw.kind.as_str();
        Ok(match kind {
            "logsource" => Self::Source(source(raw.category.as_ref(), raw.product.as_ref(), raw.service.as_ref())?),
            "contains_field" => Self::Field(need(raw.field.clone(), kind, "field")?),
            "contains_detection_item" => Self::Item {
                field: need(raw.field.clone(), kind, "field")?,
                value: need(raw.value.as_ref(), kind, "value")?.literal(),
            },
            "is_sigma_rule" => Self::IsRule,
            "is_sigma_correlation_rule" => Self::IsCorrelation,
            "rule_attribute" => {
                let name = need(raw.attribute.clone(), kind, "attribute")?;
                let value = need(raw.value.clone(), kind, "value")?;
                let op = raw.op.clone().unwrap_or_else(|| "eq".to_owned());
                one_of(&op, "op", OPERATORS)?;
                let word = value.literal().to_text();
                match name.as_str() {
                    "level" => one_of(&word.to_lowercase(), "value", LEVELS)?,
                    "status" => one_of(&word.to_lowercase(), "value", STATUSES)?,
                    _ => (),
                }
                Self::Attribute { name, value, op }
            }
            "tag" => Self::Tag(need(raw.tag.clone(), kind, "tag")?),
            other => return Err(format!("the condition `{other}` is not supported for rules")),
        })
    }

    pub(super) fn holds(&self, draft: &Draft<'_>) -> Result<bool, String> {
        let same = |wanted: &Option<CompactString>, found: &Option<CompactString>| wanted.is_none() || wanted == found;
        Ok(match self {
            Self::Source(wanted) => {
                let fits = |source: &RuleSource| {
                    same(&wanted.product, &source.product)
                        && same(&wanted.service, &source.service)
                        && same(&wanted.category, &source.category)
                };
                if draft.kind == DraftKind::Correlation {
                    draft.linked.sources.iter().any(fits)
                } else {
                    fits(&draft.source)
                }
            }
            Self::Field(field) => draft.any_item(&|item| item.field.as_deref() == Some(field)),
            Self::Item { field, value } => draft.any_item(&|item| {
                item.field.as_deref() == Some(field) && item.values.iter().any(|found| equal(item, found, value))
            }),
            Self::IsRule => draft.kind != DraftKind::Correlation,
            Self::IsCorrelation => draft.kind == DraftKind::Correlation,
            Self::Attribute { name, value, op } => {
                let found = draft.attributes.iter().find(|(known, _)| known == name);
                match found {
                    None => false,
                    Some((_, attribute)) => compare(name, attribute, op, value)?,
                }
            }
            Self::Tag(tag) => draft.tags.iter().any(|found| found == tag),
        })
    }
}

/// Texts are compared with the wildcards of the modifiers, as they are written; numbers as numbers.
fn equal(item: &Item, found: &Literal, wanted: &Literal) -> bool {
    match wanted {
        Literal::Text(wanted) => text::parts(item, found).is_some_and(|parts| parts == parse_glob(wanted)),
        wanted => text::is_text(item) && number(found).map_or(found == wanted, |a| number(wanted) == Some(a)),
    }
}

fn number(value: &Literal) -> Option<f64> {
    match value {
        // Beyond 2^53 neighbouring numbers are equal, as they are in the events.
        Literal::Integer(value) => Some(*value as f64),
        Literal::Float(value) => Some(*value),
        _ => None,
    }
}

fn compare(name: &str, attribute: &Attribute, op: &str, wanted: &Scalar) -> Result<bool, String> {
    let wanted_text = wanted.literal().to_text();
    let order = match attribute {
        Attribute::List(list) => {
            let inside = list.contains(&wanted_text);
            return Ok(match op {
                "in" => inside,
                "not_in" => !inside,
                other => other == "ne",
            });
        }
        Attribute::Number(value) => {
            let wanted: f64 = wanted_text.parse().map_err(|_| format!("`{wanted_text}` is not a number"))?;
            value.partial_cmp(&wanted)
        }
        Attribute::Text(text) if name == "level" || name == "status" => {
            let words = if name == "level" { LEVELS } else { STATUSES };
            let rank = |word: &str| words.iter().position(|known| known.eq_ignore_ascii_case(word));
            rank(text).partial_cmp(&rank(&wanted_text))
        }
        // Dates are written so that the order of their letters is theirs.
        Attribute::Text(text) if name == "date" || name == "modified" => {
            let plain = |text: &str| text.replace('/', "-");
            plain(text).partial_cmp(&plain(&wanted_text))
        }
        Attribute::Text(text) => match op {
            "eq" => return Ok(*text == wanted_text),
            "ne" => return Ok(*text != wanted_text),
            other => return Err(format!("`{other}` cannot compare the attribute `{name}`, which is a text")),
        },
    };
    let Some(order) = order else { return Ok(false) };
    Ok(match op {
        "eq" => order.is_eq(),
        "ne" => order.is_ne(),
        "gte" => order.is_ge(),
        "gt" => order.is_gt(),
        "lte" => order.is_le(),
        "lt" => order.is_lt(),
        other => return Err(format!("`{other}` needs a list, and the attribute `{name}` is none")),
    })
}

/// About one line of a selection.
#[derive(Clone, Debug)]
pub(super) struct ItemTest {
    all: bool,
    what: ValueTest,
}

#[derive(Clone, Debug)]
enum ValueTest {
    Pattern { regex: Regex, negate: bool },
    Value(Literal),
    Wildcard,
    Null,
}

impl ItemTest {
    pub(super) fn new(raw: &RawCondition) -> Result<Self, String> {
        let kind = raw.kind.as_str();
        let what = match kind {
            "match_string" => ValueTest::Pattern {
                regex: anchored(&need(raw.pattern.clone(), kind, "pattern")?)?,
                negate: raw.negate.unwrap_or(false),
            },
            "match_value" => ValueTest::Value(need(raw.value.as_ref(), kind, "value")?.literal()),
            "contains_wildcard" => ValueTest::Wildcard,
            "is_null" => ValueTest::Null,
            other => return Err(format!("the condition `{other}` is not supported for detection items")),
        };
        let cond = need(raw.cond.as_deref(), kind, "cond")?;
        one_of(cond, "cond", &["any", "all"])?;
        Ok(Self { all: cond == "all", what })
    }

    pub(super) fn holds(&self, item: &Item) -> bool {
        let mut each = item.values.iter();
        if self.all { each.all(|value| self.value(item, value)) } else { each.any(|value| self.value(item, value)) }
    }

    fn value(&self, item: &Item, value: &Literal) -> bool {
        match &self.what {
            ValueTest::Pattern { regex, negate } => {
                let matches = text::parts(item, value).is_some_and(|parts| regex.is_match(&text::shown(&parts)));
                matches != *negate
            }
            ValueTest::Value(wanted) => equal(item, value, wanted),
            ValueTest::Wildcard => {
                text::parts(item, value).is_some_and(|parts| parts.iter().any(|part| !matches!(part, Part::Text(_))))
            }
            ValueTest::Null => *value == Literal::Null && !item.has(Modifier::Exists),
        }
    }
}

/// About the name of a field; keywords have none.
#[derive(Clone, Debug)]
pub(super) struct FieldTest {
    names: Vec<String>,
    patterns: Vec<Regex>,
    exclude: bool,
}

impl FieldTest {
    pub(super) fn new(raw: &RawCondition) -> Result<Self, String> {
        let kind = raw.kind.as_str();
        if !FIELD_CONDITIONS.iter().any(|(known, _)| *known == kind) {
            return Err(format!("the condition `{kind}` is not supported for names of fields"));
        }
        let names = need(raw.fields.clone(), kind, "fields")?;
        let mode = raw.mode.as_deref().unwrap_or("plain");
        one_of(mode, "mode", &["plain", "re"])?;
        let exclude = kind == "exclude_fields";
        if mode == "plain" {
            return Ok(Self { names, patterns: Vec::new(), exclude });
        }
        let patterns = names.iter().map(|pattern| anchored(pattern)).collect::<Result<_, _>>()?;
        Ok(Self { names: Vec::new(), patterns, exclude })
    }

    pub(super) fn holds(&self, field: Option<&str>) -> bool {
        let listed = field.is_some_and(|field| {
            self.names.iter().any(|name| name == field) || self.patterns.iter().any(|pattern| pattern.is_match(field))
        });
        listed != self.exclude
    }
}

/// Expressions of conditions begin at the beginning of the text.
fn anchored(pattern: &str) -> Result<Regex, String> {
    compile_regex(pattern)?;
    compile_regex(&format!("\\A(?:{pattern})"))
}

/// Whether the test holds for any line below.
pub(super) fn any_item(detection: &Detection, test: &impl Fn(&Item) -> bool) -> bool {
    match detection {
        Detection::All(parts) | Detection::Any(parts) => parts.iter().any(|part| any_item(part, test)),
        Detection::Item(item) => test(item),
    }
}
