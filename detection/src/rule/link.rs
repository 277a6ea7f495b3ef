//! Rules that refer to each other: correlations to rules, filters to rules.

use std::sync::Arc;

use compact_str::CompactString;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{Condition, EventRule, Filter, Rule, RuleKind, RuleSet, RuleSource, Selection};
use crate::diagnostic::{Diagnostic, RuleError, nearest};

impl RuleSet {
    /// Takes out rules whose id another rule has already, and correlations over rules that are not there or that lead
    /// back to themselves. Doing it again changes nothing.
    pub fn link(&mut self) {
        self.remove_duplicates();
        // A correlation over a correlation that was taken out goes too, hence the loop.
        loop {
            let broken: Vec<(usize, RuleError)> = self.broken_correlations();
            if broken.is_empty() {
                if self.pipe() {
                    continue;
                }
                self.hash_wholes();
                return;
            }
            for (index, error) in broken.into_iter().rev() {
                self.rules.remove(index);
                self.errors.push(error);
            }
        }
    }

    fn remove_duplicates(&mut self) {
        let mut seen: FxHashMap<CompactString, String> = FxHashMap::default();
        let errors = &mut self.errors;
        self.rules.retain(|rule| {
            let here = format!("{}:{}", rule.path.display(), rule.at);
            match seen.get(rule.info.id.as_str()) {
                None => {
                    seen.insert(rule.info.id.as_str().into(), here);
                    true
                }
                Some(first) => {
                    let text = format!("rule id `{}` is already used at {first}; give this rule its own", rule.info.id);
                    errors.push(RuleError { path: rule.path.clone(), diagnostic: Diagnostic::error(rule.at, text) });
                    false
                }
            }
        });
    }

    /// The rule with this id or name.
    pub(crate) fn find(&self, reference: &str) -> Option<(usize, &Rule)> {
        let by_id = self.rules.iter().enumerate().find(|(_, rule)| rule.info.id.as_str() == reference);
        by_id.or_else(|| self.rules.iter().enumerate().find(|(_, rule)| rule.name.as_deref() == Some(reference)))
    }

    fn broken_correlations(&self) -> Vec<(usize, RuleError)> {
        let names = || {
            let ids = self.rules.iter().map(|rule| rule.info.id.as_str());
            ids.chain(self.rules.iter().filter_map(|rule| rule.name.as_deref()))
        };
        let mut broken = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let (feeders, _) = rule.kind.feeders();
            if feeders.is_empty() {
                continue;
            }
            let missing = feeders.iter().find(|reference| self.find(reference).is_none());
            let diagnostic = match missing {
                Some(missing) => {
                    let text =
                        format!("the correlation is over `{missing}`, which is not the id or name of a rule here");
                    Some(Diagnostic::error(rule.at, text).suggest(nearest(missing, names())))
                }
                None => self
                    .reaches(index, index, &mut FxHashSet::default())
                    .then(|| Diagnostic::error(rule.at, "the correlation leads back to itself")),
            };
            broken.extend(diagnostic.map(|diagnostic| (index, RuleError { path: rule.path.clone(), diagnostic })));
        }
        broken
    }

    fn reaches(&self, from: usize, to: usize, seen: &mut FxHashSet<usize>) -> bool {
        let Some(rule) = self.rules.get(from) else { return false };
        let (feeders, _) = rule.kind.feeders();
        feeders
            .iter()
            .filter_map(|reference| self.find(reference))
            .any(|(next, _)| next == to || (seen.insert(next) && self.reaches(next, to, seen)))
    }

    /// Everything that the verdict of this rule depends on, as one text: the rules that feed it, the filters that narrow
    /// these, and the rule itself. With that text and the events anybody can judge again.
    pub fn whole_text(&self, index: usize) -> String {
        let mut parts: Vec<Arc<str>> = Vec::new();
        self.gather(index, &mut parts);
        joined(&parts)
    }

    /// The same for all rules together, each part once. [`from_record`](Self::from_record) reads it.
    pub fn record(&self) -> String {
        let mut parts: Vec<Arc<str>> = Vec::new();
        (0..self.rules.len()).for_each(|index| self.gather(index, &mut parts));
        joined(&parts)
    }

    fn gather(&self, index: usize, parts: &mut Vec<Arc<str>>) {
        let Some(rule) = self.rules.get(index) else { return };
        let mut add = |text: &Arc<str>| {
            if !parts.contains(text) {
                parts.push(Arc::clone(text));
            }
        };
        if let RuleKind::Event(event_rule) = &rule.kind {
            let narrowing = self.filters.iter().filter(|filter| filter.applies_to(rule, &event_rule.source));
            narrowing.for_each(|filter| add(&filter.text));
        }
        for (feeder, _) in rule.kind.feeders().0.iter().filter_map(|reference| self.find(reference)) {
            self.gather(feeder, parts);
        }
        if !parts.contains(&rule.text) {
            parts.push(Arc::clone(&rule.text));
        }
    }

    /// A rule that others feed or narrow has the hash of all of them, so that the hash names what judged.
    fn hash_wholes(&mut self) {
        for index in 0..self.rules.len() {
            let text = self.whole_text(index);
            if text.trim_end() != self.rules[index].text.trim_end() {
                Arc::make_mut(&mut self.rules[index].info).hash = super::parse::hash_of(&text);
            }
        }
    }

    /// Takes out the rules that `holds` answers true for, and those that only feed them. One that feeds a rule which stays
    /// is kept and raises nothing. Call it after [`link`](Self::link): whether a rule only feeds others is decided by all
    /// of them.
    pub fn hold_back(&mut self, holds: impl Fn(&Rule) -> bool) {
        let quiet = self.quiet();
        let raises: Vec<bool> = self.rules.iter().zip(quiet).map(|(rule, quiet)| !quiet && !holds(rule)).collect();
        let mut wanted = vec![false; self.rules.len()];
        let mut waiting: Vec<usize> = (0..self.rules.len()).filter(|index| raises[*index]).collect();
        while let Some(index) = waiting.pop() {
            if std::mem::replace(&mut wanted[index], true) {
                continue;
            }
            let (feeders, _) = self.rules[index].kind.feeders();
            waiting.extend(feeders.iter().filter_map(|reference| self.find(reference)).map(|(feeder, _)| feeder));
        }
        let raising = self.rules.iter().zip(&raises).filter(|(_, raises)| **raises);
        self.raising = Some(raising.map(|(rule, _)| rule.info.id.clone()).collect());
        let mut kept = wanted.into_iter();
        self.rules.retain(|_| kept.next().unwrap_or(false));
    }

    /// For each rule, whether it raises no findings: it only feeds correlations that do not ask it to raise findings of
    /// its own, or was held back.
    pub fn quiet(&self) -> Vec<bool> {
        if let Some(raising) = &self.raising {
            return self.rules.iter().map(|rule| !raising.contains(&rule.info.id)).collect();
        }
        let mut fed = vec![false; self.rules.len()];
        let mut generates = vec![false; self.rules.len()];
        for rule in &self.rules {
            let (feeders, generate) = rule.kind.feeders();
            for (index, _) in feeders.iter().filter_map(|reference| self.find(reference)) {
                fed[index] = true;
                generates[index] |= generate;
            }
        }
        fed.into_iter().zip(generates).map(|(fed, generates)| fed && !generates).collect()
    }

    /// The rule with the filters that apply to it: each filter's condition must hold as well.
    pub(crate) fn narrowed(&self, rule: &Rule, event_rule: &EventRule) -> EventRule {
        let mut narrowed = event_rule.clone();
        for filter in self.filters.iter().filter(|filter| filter.applies_to(rule, &event_rule.source)) {
            let offset = narrowed.selections.len();
            narrowed.selections.extend(filter.selections.iter().map(|selection| Selection {
                name: format!("{}/{}", filter.title, selection.name).into(),
                detection: selection.detection.clone(),
            }));
            narrowed.condition = Condition::All(vec![narrowed.condition, shifted(&filter.condition, offset)]);
        }
        narrowed
    }
}

fn joined(parts: &[Arc<str>]) -> String {
    let mut text = String::new();
    for part in parts {
        if !text.is_empty() {
            text.push_str("\n---\n");
        }
        text.push_str(part.trim_end());
    }
    text.push('\n');
    text
}

impl Filter {
    /// A filter applies to the rules that it names, or else to all, and only within its log source.
    fn applies_to(&self, rule: &Rule, source: &RuleSource) -> bool {
        let named = self.rules.as_ref().is_none_or(|rules| {
            rules.iter().any(|name| *name == rule.info.id.as_str() || Some(name) == rule.name.as_ref())
        });
        let same = |wanted: &Option<CompactString>, found: &Option<CompactString>| wanted.is_none() || wanted == found;
        named
            && same(&self.source.product, &source.product)
            && same(&self.source.service, &source.service)
            && same(&self.source.category, &source.category)
    }
}

fn shifted(condition: &Condition, offset: usize) -> Condition {
    let each = |parts: &[Condition]| parts.iter().map(|part| shifted(part, offset)).collect();
    match condition {
        Condition::Selection(index) => Condition::Selection(index + offset),
        Condition::Not(part) => Condition::Not(Box::new(shifted(part, offset))),
        Condition::All(parts) => Condition::All(each(parts)),
        Condition::Any(parts) => Condition::Any(each(parts)),
        Condition::AtLeast(wanted, parts) => Condition::AtLeast(*wanted, each(parts)),
    }
}
