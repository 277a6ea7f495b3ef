//! Pipelines over rules over other rules. They may ask for the log sources of the rules that feed these, so they come when
//! all rules are known.

use compact_str::CompactString;
use rustc_hash::FxHashSet;

use super::{Condition, Rule, RuleKind, RuleSet, RuleSource};
use crate::diagnostic::{Diagnostic, RuleError};
use crate::pipeline::{Attribute, Draft, DraftKind, Linked, Pipelines};

impl RuleSet {
    /// Changes those that have not been changed yet. `true` if one was refused and taken out.
    pub(super) fn pipe(&mut self) -> bool {
        let waiting: Vec<usize> = (0..self.rules.len()).filter(|index| !self.rules[*index].is_piped).collect();
        let mut refused = Vec::new();
        for index in waiting {
            let mut sources = Vec::new();
            self.sources_of(index, &mut FxHashSet::default(), &mut sources);
            let rule = &mut self.rules[index];
            match rule.apply(&self.pipelines, sources) {
                Ok(record) if record.is_empty() => (),
                Ok(record) => rule.text = format!("{}\n{record}", rule.text.trim_end()).into(),
                Err(diagnostic) => {
                    self.errors.push(RuleError { path: rule.path.clone(), diagnostic });
                    refused.push(index);
                }
            }
        }
        for index in refused.iter().rev() {
            self.rules.remove(*index);
        }
        !refused.is_empty()
    }

    /// Log sources of the rules over single events that feed a rule, over others or at once.
    fn sources_of(&self, index: usize, seen: &mut FxHashSet<usize>, out: &mut Vec<RuleSource>) {
        let Some(rule) = self.rules.get(index).filter(|_| seen.insert(index)) else { return };
        if let RuleKind::Event(event_rule) = &rule.kind {
            out.push(event_rule.source.clone());
        }
        for (feeder, _) in rule.kind.feeders().0.iter().filter_map(|reference| self.find(reference)) {
            self.sources_of(feeder, seen, out);
        }
    }
}

impl Rule {
    /// Changes a rule over other rules, and gives the record of that.
    pub(super) fn apply(&mut self, pipelines: &Pipelines, sources: Vec<RuleSource>) -> Result<String, Diagnostic> {
        self.is_piped = true;
        if pipelines.is_empty() {
            return Ok(String::new());
        }
        let text = |name: &str, value: &str| (name.into(), Attribute::Text(value.into()));
        let mut attributes: Vec<(CompactString, Attribute)> = vec![
            text("id", self.info.id.as_str()),
            text("title", &self.info.title),
            text("level", self.info.level.name()),
        ];
        attributes.extend(self.name.as_deref().map(|name| text("name", name)));
        attributes.extend(self.status.as_deref().map(|status| text("status", status)));
        let tags: Vec<String> = self.info.tags.iter().map(ToString::to_string).collect();
        let linked = match &mut self.kind {
            RuleKind::Event(_) => return Ok(String::new()),
            RuleKind::Correlation(correlation) => Linked {
                sources,
                group_by: std::mem::take(&mut correlation.group_by),
                fields: std::mem::take(&mut correlation.fields),
                aliases: std::mem::take(&mut correlation.aliases),
            },
            RuleKind::Behaviour(behaviour) => Linked {
                sources,
                group_by: std::mem::take(&mut behaviour.group_by),
                fields: std::mem::take(&mut behaviour.fields),
                aliases: Vec::new(),
            },
        };
        let mut draft = Draft {
            kind: DraftKind::Correlation,
            source: RuleSource::default(),
            selections: Vec::new(),
            condition: Condition::All(Vec::new()),
            tags: &tags,
            attributes: &attributes,
            at: self.at,
            linked,
        };
        let record = pipelines.apply(&mut draft);
        let Linked { group_by, fields, aliases, .. } = draft.linked;
        match &mut self.kind {
            RuleKind::Event(_) => (),
            RuleKind::Correlation(correlation) => {
                (correlation.group_by, correlation.fields, correlation.aliases) = (group_by, fields, aliases);
            }
            RuleKind::Behaviour(behaviour) => (behaviour.group_by, behaviour.fields) = (group_by, fields),
        }
        record
    }
}
