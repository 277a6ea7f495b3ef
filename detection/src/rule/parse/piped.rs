//! The seam between reading a rule and compiling it, where pipelines change it.

use compact_str::CompactString;
use rsigma_parser as sigma;

use super::selection::{compile, conditions};
use super::{Applied, texts};
use crate::diagnostic::Diagnostic;
use crate::pipeline::{Attribute, Draft, Pipelines};
use crate::rule::Rule;
use crate::rule::locate::Source;

/// The pipelines at hand, and the document that is being read.
pub(super) struct Piped<'a> {
    pub pipelines: &'a Pipelines,
    pub applied: Applied<'a>,
    /// Documents that this one builds upon.
    pub before: &'a str,
    pub source: Source<'a>,
}

impl Piped<'_> {
    /// Reads the condition, lets the pipelines change the rule, and checks what comes of it. Gives the text that stands
    /// for the rule.
    pub(super) fn finish<'a>(
        &self,
        detection: &sigma::Detections,
        section: &str,
        mut draft: Draft<'a>,
    ) -> Result<(Draft<'a>, String), Diagnostic> {
        let check = |draft: &Draft<'_>| draft.selections.iter().try_for_each(|selection| compile(&selection.detection));
        match conditions(detection, section, &draft.selections, self.source) {
            Ok(condition) => draft.condition = condition,
            // What is wrong with a line is said first.
            Err(error) => return Err(check(&draft).err().unwrap_or(error)),
        }
        let mut record = self.pipelines.apply(&mut draft)?;
        check(&draft)?;
        if matches!(self.applied, Applied::Recorded) {
            // It is in the text already.
            record.clear();
        }
        Ok((draft, format!("{}{record}{}", self.before, self.source.text)))
    }

    /// A rule over other rules that is read from a record is changed as that says. Otherwise it is changed when the rules
    /// that feed it are known.
    pub(super) fn other(&self, rule: &mut Rule) -> Result<(), Diagnostic> {
        match self.applied {
            Applied::Given(_) => Ok(()),
            Applied::Recorded => rule.apply(self.pipelines, Vec::new()).map(drop),
        }
    }
}

/// What conditions of pipelines may ask about a rule.
pub(super) fn attributes(rule: &sigma::SigmaRule) -> Vec<(CompactString, Attribute)> {
    let mut out: Vec<(CompactString, Attribute)> = Vec::new();
    let status = rule.status.map(|status| format!("{status:?}").to_lowercase());
    let single = [
        ("title", Some(rule.title.as_str())),
        ("id", rule.id.as_deref()),
        ("name", rule.name.as_deref()),
        ("taxonomy", rule.taxonomy.as_deref()),
        ("status", status.as_deref()),
        ("description", rule.description.as_deref()),
        ("license", rule.license.as_deref()),
        ("author", rule.author.as_deref()),
        ("date", rule.date.as_deref()),
        ("modified", rule.modified.as_deref()),
        ("level", rule.level.as_ref().map(sigma::Level::as_str)),
    ];
    out.extend(single.into_iter().filter_map(|(name, text)| Some((name.into(), Attribute::Text(text?.into())))));
    let lists = [
        ("tags", &rule.tags),
        ("references", &rule.references),
        ("falsepositives", &rule.falsepositives),
        ("fields", &rule.fields),
        ("scope", &rule.scope),
    ];
    out.extend(lists.into_iter().map(|(name, list)| (name.into(), Attribute::List(texts(list)))));
    for (name, value) in &rule.custom_attributes {
        let attribute = match value {
            yaml_serde::Value::String(text) => Attribute::Text(text.into()),
            yaml_serde::Value::Number(number) => Attribute::Number(number.as_f64().unwrap_or(f64::NAN)),
            yaml_serde::Value::Bool(value) => Attribute::Text(if *value { "true" } else { "false" }.into()),
            yaml_serde::Value::Sequence(list) => {
                Attribute::List(list.iter().filter_map(yaml_serde::Value::as_str).map(Into::into).collect())
            }
            _ => continue,
        };
        if !out.iter().any(|(known, _)| known == name) {
            out.push((name.into(), attribute));
        }
    }
    out
}
