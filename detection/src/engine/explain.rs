//! Why a rule fired on an event, or why it did not.

use canh_schema::{Event, Explanation, RuleId};
use compact_str::CompactString;

use super::Engine;
use super::matcher::fits;
use super::proof::{self, Extent};
use crate::rule::RuleSource;

impl Engine {
    /// Judges one event by one rule, with every part of the condition listed (up to a limit), and changes no memory.
    /// `None` if there is no such rule.
    pub fn explain(&mut self, rule: &RuleId, event: &Event) -> Option<Explanation> {
        let place = self.rules.iter().position(|known| known.info.id == *rule)?;
        self.explain_at(u32::try_from(place).ok()?, event, 0)
    }

    fn explain_at(&mut self, place: u32, event: &Event, depth: usize) -> Option<Explanation> {
        let feeders = self.rules.get(place as usize)?.feeders.clone();
        if !feeders.is_empty() {
            // Circles are refused when rules are linked; the depth is a second wall.
            let each = feeders.into_iter().filter_map(|feeder| {
                let id = self.rules.get(feeder as usize)?.info.id.clone();
                let said = if depth < 8 { self.explain_at(feeder, event, depth + 1) } else { None };
                Some((id, said))
            });
            return Some(Explanation::Feeders(each.collect()));
        }
        let look = self.looks.first_mut()?;
        look.load_all(&self.matcher, event);
        let (source, condition) = self.matcher.program.condition_of(place)?;
        let source_fits = fits(source, &event.logsource);
        let condition = proof::explain(condition, event, &mut look.table, Extent::Whole);
        Some(Explanation::Event { wanted: source_text(source), source_fits, condition })
    }
}

/// A log source as people write it: `product=linux service=sshd`.
fn source_text(source: &RuleSource) -> CompactString {
    let parts = [("product", &source.product), ("service", &source.service), ("category", &source.category)];
    let named: Vec<String> =
        parts.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={value}"))).collect();
    if named.is_empty() { CompactString::const_new("any") } else { named.join(" ").into() }
}
