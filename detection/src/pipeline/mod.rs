//! Processing pipelines in the format of pySigma: they change rules before these are compiled, where somebody's rules
//! and somebody's events name things differently. What is not supported is refused by name.
//!
//! A rule that was changed carries what changed it, cut down to what had an effect on this rule, as comments in its
//! text. So its hash is another one, and [`RuleSet::from_record`](crate::RuleSet::from_record) reads the same rule again
//! without the files of the pipelines.

mod change;
mod draft;
mod expression;
mod raw;
mod read;
mod text;
mod values;
mod when;

use std::path::{Path, PathBuf};

use regex::{Regex, RegexBuilder};

use self::change::{Change, Used, Wanted};
pub(crate) use self::draft::{Attribute, Draft, DraftKind, Linked};
use self::expression::Joined;
use self::raw::{Many, Ordered, RawPipeline, RawStep, Scalar};
use self::when::{FieldTest, ItemTest, RuleTest};
use crate::diagnostic::{Diagnostic, Place, RuleError};

/// Lines of a rule's text that begin so are pipelines that changed it. Rule files have no such lines.
pub(crate) const MARK: &str = "#canh-pipeline ";

/// Memory that one compiled expression may take.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// Pipelines in the order in which they are applied, and what is wrong with others.
#[derive(Debug, Default)]
pub struct Pipelines {
    list: Vec<Pipeline>,
    pub errors: Vec<RuleError>,
}

#[derive(Debug)]
struct Pipeline {
    /// As it names itself, or else its file.
    name: String,
    priority: i64,
    vars: Ordered<Many<Scalar>>,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    change: Change,
    rule: Joined<RuleTest>,
    item: Joined<ItemTest>,
    field: Joined<FieldTest>,
    /// For the record.
    raw: RawStep,
}

impl Pipelines {
    /// The pipeline of one text. `path` is only printed.
    pub fn from_text(path: impl Into<PathBuf>, text: &str) -> Self {
        let mut pipelines = Self::default();
        pipelines.add_text(path, text);
        pipelines
    }

    /// Adds the pipeline of one file. One that is broken does not stop the others, and has no effect at all.
    pub fn add_text(&mut self, path: impl Into<PathBuf>, text: &str) {
        let path = path.into();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or("pipeline").to_owned();
        match read::pipeline(&name, text) {
            // Those of the same priority stay in the order in which they come.
            Ok(pipeline) => {
                let at = self.list.partition_point(|known| known.priority <= pipeline.priority);
                self.list.insert(at, pipeline);
            }
            Err(found) => self.refuse(&path, found),
        }
    }

    pub(crate) fn refuse(&mut self, path: &Path, found: Vec<Diagnostic>) {
        self.errors.extend(found.into_iter().map(|diagnostic| RuleError { path: path.to_owned(), diagnostic }));
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The pipelines that a text says changed it.
    pub(crate) fn recorded(text: &str, at: Place) -> Result<Self, Diagnostic> {
        let mut list = Vec::new();
        for line in text.lines().filter_map(|line| line.strip_prefix(MARK)) {
            let raw: RawPipeline = serde_json::from_str(line)
                .map_err(|error| Diagnostic::error(at, format!("cannot read the record of a pipeline: {error}")))?;
            list.push(read::checked("pipeline", raw).map_err(|(_, text)| Diagnostic::error(at, text))?);
        }
        Ok(Self { list, errors: Vec::new() })
    }

    /// Changes a rule. Gives what is to be written into its text: nothing if the rule is what it was.
    pub(crate) fn apply(&self, draft: &mut Draft<'_>) -> Result<String, Diagnostic> {
        let mut record = String::new();
        for pipeline in &self.list {
            let said = |diagnostic: Diagnostic| Diagnostic {
                message: format!("pipeline `{}`: {}", pipeline.name, diagnostic.message),
                ..diagnostic
            };
            let mut own = RawPipeline { name: pipeline.name.clone(), ..RawPipeline::default() };
            for step in &pipeline.steps {
                let applies = step.rule.holds(|test| test.holds(draft));
                if !applies.map_err(|text| said(Diagnostic::error(draft.at, text)))? {
                    continue;
                }
                let mut used = Used::default();
                let wanted = Wanted { items: &step.item, fields: &step.field };
                if step.change.apply(draft, &wanted, &pipeline.vars, &mut used).map_err(said)? {
                    let mut raw = cut(&step.raw, &used);
                    if draft.kind == DraftKind::Correlation {
                        // Whether it applies was decided by rules that may be others when the record is read.
                        raw.apply_always();
                    }
                    own.transformations.push(raw);
                    let fresh = |name: &str| used.contains(name) && own.vars.get(name).is_none();
                    let vars: Vec<_> = pipeline.vars.0.iter().filter(|(name, _)| fresh(name)).cloned().collect();
                    own.vars.0.extend(vars);
                }
            }
            if !own.transformations.is_empty() {
                let json = serde_json::to_string(&own)
                    .map_err(|error| said(Diagnostic::error(draft.at, format!("cannot be recorded: {error}"))))?;
                record.push_str(MARK);
                record.push_str(&one_line(&json));
                record.push('\n');
            }
        }
        Ok(record)
    }
}

/// A mapping without the entries that had no effect.
fn cut(raw: &RawStep, used: &Used) -> RawStep {
    let mut raw = raw.clone();
    if let Some(mapping) = &mut raw.mapping {
        mapping.0.retain(|(key, _)| used.contains(key));
    }
    raw
}

/// Characters that YAML takes as the end of a line stand only in texts, where JSON can name them otherwise.
fn one_line(json: &str) -> String {
    json.replace('\u{85}', "\\u0085").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

fn compile_regex(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).build().map_err(|error| {
        let reason = match &error {
            regex::Error::CompiledTooBig(_) => "it would need too much memory; use smaller repetitions".to_owned(),
            other => other.to_string().lines().last().unwrap_or("").trim_start_matches("error: ").to_owned(),
        };
        format!("cannot compile the expression `{pattern}`: {reason}")
    })
}
