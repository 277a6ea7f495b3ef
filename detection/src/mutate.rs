//! Changes rules in small ways, to see whether their samples notice. A change that no sample notices stands for a part of
//! the rule that nothing proves.

use compact_str::CompactString;

use crate::diagnostic::Place;
use crate::indicator::IndicatorTypes;
use crate::rule::{
    Behaviour, BehaviourKind, Condition, Correlation, CorrelationCondition, CorrelationKind, Detection, EventRule,
    Item, Modifier, RuleKind, RuleSet,
};

/// A rule set with one thing changed.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// Title of the rule that was changed.
    pub rule: String,
    /// What was changed, in words.
    pub what: String,
    /// Where the changed part stands, as near as is known.
    pub at: Place,
    pub rules: RuleSet,
}

/// Every change of every rule in the set, one at a time:
///
/// - each selection, each line of a selection and each part of the condition taken as always or as never true,
/// - each value of a list left out, and `all` taken off,
/// - each limit of a correlation moved by one to both sides, its time halved and doubled, each of its fields and rules
///   left out, its order ignored; likewise the time, groups and fields of a behaviour rule, whose limits are halved and doubled,
/// - each type, list and field of an indicator rule left out or not asked for, its confidence moved by one.
///
/// What would be the same as another change, or could not run, is left out.
pub fn mutants(rules: &RuleSet) -> Vec<Mutant> {
    let mut out = Vec::new();
    for (index, rule) in rules.rules.iter().enumerate() {
        let mut add = |what: String, at: Place, kind: RuleKind| {
            let mut changed = rules.clone();
            changed.rules[index].kind = kind;
            out.push(Mutant { rule: rule.info.title.to_string(), what, at, rules: changed });
        };
        match &rule.kind {
            RuleKind::Event(event_rule) => {
                condition_mutants(event_rule, rule.at, &mut |what, at, rule| add(what, at, RuleKind::Event(rule)));
                selection_mutants(event_rule, &mut |what, at, rule| add(what, at, RuleKind::Event(rule)));
            }
            RuleKind::Correlation(correlation) => {
                correlation_mutants(correlation, &mut |what, changed| {
                    add(what, rule.at, RuleKind::Correlation(changed));
                });
            }
            RuleKind::Behaviour(behaviour) => {
                behaviour_mutants(behaviour, &mut |what, changed| add(what, rule.at, RuleKind::Behaviour(changed)));
            }
        }
    }
    out
}

const ALWAYS: Condition = Condition::All(Vec::new());
const NEVER: Condition = Condition::Any(Vec::new());

/// A node of a tree by the places of its children, from the root.
type Path = Vec<usize>;

fn condition_mutants(rule: &EventRule, at: Place, add: &mut impl FnMut(String, Place, EventRule)) {
    let mut paths = Vec::new();
    condition_paths(&rule.condition, &mut Vec::new(), &mut paths);
    for path in paths {
        for (put, word) in [(ALWAYS, "always"), (NEVER, "never")] {
            let mut changed = rule.clone();
            let Some(node) = condition_at(&mut changed.condition, &path) else { continue };
            let shown = describe(node, rule);
            *node = put;
            add(format!("{shown} taken as {word} true"), at, changed);
        }
    }
}

fn describe(condition: &Condition, rule: &EventRule) -> String {
    let each = |parts: &[Condition], word: &str| {
        let each: Vec<String> = parts.iter().map(|part| describe(part, rule)).collect();
        format!("({})", each.join(word))
    };
    match condition {
        Condition::Selection(index) => {
            format!("`{}`", rule.selections.get(*index).map_or("?", |selection| &selection.name))
        }
        Condition::Not(part) => format!("not {}", describe(part, rule)),
        Condition::All(parts) => each(parts, " and "),
        Condition::Any(parts) => each(parts, " or "),
        Condition::AtLeast(wanted, parts) => format!("{wanted} of {}", each(parts, ", ")),
    }
}

/// Every node, but `not x` only once: taking `x` as never true is taking `not x` as always true.
fn condition_paths(condition: &Condition, here: &mut Path, out: &mut Vec<Path>) {
    if !matches!(condition, Condition::Not(_)) {
        out.push(here.clone());
    }
    let children = match condition {
        Condition::Selection(_) => &[][..],
        Condition::Not(part) => std::slice::from_ref(part.as_ref()),
        Condition::All(parts) | Condition::Any(parts) | Condition::AtLeast(_, parts) => parts.as_slice(),
    };
    for (index, child) in children.iter().enumerate() {
        here.push(index);
        condition_paths(child, here, out);
        here.pop();
    }
}

fn condition_at<'a>(condition: &'a mut Condition, path: &[usize]) -> Option<&'a mut Condition> {
    let Some((first, rest)) = path.split_first() else { return Some(condition) };
    match condition {
        Condition::Selection(_) => None,
        Condition::Not(part) => condition_at(part, rest),
        Condition::All(parts) | Condition::Any(parts) | Condition::AtLeast(_, parts) => {
            condition_at(parts.get_mut(*first)?, rest)
        }
    }
}

fn selection_mutants(rule: &EventRule, add: &mut impl FnMut(String, Place, EventRule)) {
    for (index, selection) in rule.selections.iter().enumerate() {
        let mut nodes = Vec::new();
        detection_nodes(&selection.detection, true, &mut Vec::new(), &mut nodes);
        for Node { path, detection, covered } in nodes {
            let at = first_place(detection);
            let mut put = |what: String, new: Detection| {
                let mut changed = rule.clone();
                if let Some(node) = detection_at(&mut changed.selections[index].detection, &path) {
                    *node = new;
                    add(format!("{what} in `{}`", selection.name), at, changed);
                }
            };
            if !covered {
                put(format!("{} taken as always true", shown(detection)), Detection::All(Vec::new()));
                put(format!("{} taken as never true", shown(detection)), Detection::Any(Vec::new()));
            }
            if let Detection::Item(item) = detection {
                item_mutants(item, &mut |what, changed| put(what, Detection::Item(changed)));
            }
        }
    }
}

struct Node<'a> {
    path: Path,
    detection: &'a Detection,
    /// Taking it as always or never true is the same as doing so with the group that it is alone in, or with the whole
    /// selection, which is changed as a part of the condition.
    covered: bool,
}

fn detection_nodes<'a>(detection: &'a Detection, covered: bool, here: &mut Path, out: &mut Vec<Node<'a>>) {
    out.push(Node { path: here.clone(), detection, covered });
    let (Detection::All(parts) | Detection::Any(parts)) = detection else { return };
    for (index, child) in parts.iter().enumerate() {
        here.push(index);
        detection_nodes(child, parts.len() == 1, here, out);
        here.pop();
    }
}

fn item_mutants(item: &Item, add: &mut impl FnMut(String, Item)) {
    if item.values.len() < 2 {
        return;
    }
    for (index, value) in item.values.iter().enumerate() {
        let mut changed = item.clone();
        changed.values.remove(index);
        add(format!("`{}` left out of {}", value.to_text(), shown_item(item)), changed);
    }
    if item.has(Modifier::All) {
        let mut changed = item.clone();
        changed.modifiers.retain(|modifier| *modifier != Modifier::All);
        add(format!("any value enough for {}", shown_item(item)), changed);
    }
}

fn shown(detection: &Detection) -> String {
    match detection {
        Detection::Item(item) => shown_item(item),
        Detection::All(parts) => format!("a group of {}", parts.len()),
        Detection::Any(parts) => format!("a list of {}", parts.len()),
    }
}

fn shown_item(item: &Item) -> String {
    let field = item.field.as_deref().unwrap_or("keywords");
    if item.written.is_empty() { format!("`{field}`") } else { format!("`{field}|{}`", item.written) }
}

fn first_place(detection: &Detection) -> Place {
    match detection {
        Detection::Item(item) => item.at,
        Detection::All(parts) | Detection::Any(parts) => parts.first().map_or(Place::START, first_place),
    }
}

fn detection_at<'a>(detection: &'a mut Detection, path: &[usize]) -> Option<&'a mut Detection> {
    let Some((first, rest)) = path.split_first() else { return Some(detection) };
    match detection {
        Detection::Item(_) => None,
        Detection::All(parts) | Detection::Any(parts) => detection_at(parts.get_mut(*first)?, rest),
    }
}

fn behaviour_mutants(behaviour: &Behaviour, add: &mut impl FnMut(String, Behaviour)) {
    let mut change = |what: String, with: &dyn Fn(&mut Behaviour)| {
        let mut changed = behaviour.clone();
        with(&mut changed);
        add(what, changed);
    };
    if let BehaviourKind::Indicator { types, confidence } = behaviour.kind {
        // Time and groups say how often, and not whether, so no sample could notice.
        indicator_mutants(behaviour, types, confidence, &mut change);
        return;
    }
    for (factor, word) in FACTORS {
        change(format!("timespan {word}"), &|changed| changed.timespan = changed.timespan.mul_f64(factor));
    }
    limit_mutants(&behaviour.kind, &mut |what, kind| change(what, &|changed| changed.kind = kind));
    for (index, name) in behaviour.group_by.iter().enumerate() {
        change(format!("not grouped by `{name}`"), &|changed| drop(changed.group_by.remove(index)));
    }
    if behaviour.fields.len() > 1 {
        for (index, name) in behaviour.fields.iter().enumerate() {
            change(format!("without the field `{name}`"), &|changed| drop(changed.fields.remove(index)));
        }
    }
}

/// What a time or a limit is multiplied with.
const FACTORS: [(f64, &str); 2] = [(0.5, "halved"), (2.0, "doubled")];

/// Each number of a behaviour halved and doubled. What is left at its default counts as well: it decides just the same.
fn limit_mutants(kind: &BehaviourKind, add: &mut impl FnMut(String, BehaviourKind)) {
    for (factor, word) in FACTORS {
        let mut change = |name: &str, kind| add(format!("{name} {word}"), kind);
        match *kind {
            BehaviourKind::NewTerms { learning } if !learning.is_zero() => {
                change("learning", BehaviourKind::NewTerms { learning: learning.mul_f64(factor) });
            }
            BehaviourKind::Baseline { deviations, minimum, weeks, side } => {
                let baseline =
                    |deviations, minimum, weeks| BehaviourKind::Baseline { deviations, minimum, weeks, side };
                change("deviations", baseline(deviations * factor, minimum, weeks));
                if minimum > 0.0 {
                    change("minimum", baseline(deviations, minimum * factor, weeks));
                }
                let moved = (f64::from(weeks) * factor) as u32;
                if moved > 0 {
                    change("weeks", baseline(deviations, minimum, moved));
                }
            }
            BehaviourKind::RareValue { percent, minimum } => {
                change("percent", BehaviourKind::RareValue { percent: percent * factor, minimum });
                let moved = minimum as f64 * factor;
                // One of fewer than these is more than the percentage anyway.
                let least = 100.0 / percent;
                if moved.max(least) != (minimum as f64).max(least) {
                    change("minimum", BehaviourKind::RareValue { percent, minimum: moved as u64 });
                }
            }
            BehaviourKind::ImpossibleTravel { speed, distance } => {
                change("speed", BehaviourKind::ImpossibleTravel { speed: speed * factor, distance });
                change("distance", BehaviourKind::ImpossibleTravel { speed, distance: distance * factor });
            }
            BehaviourKind::NewTerms { .. } | BehaviourKind::Absence | BehaviourKind::Indicator { .. } => (),
        }
    }
}

fn indicator_mutants(
    behaviour: &Behaviour,
    types: IndicatorTypes,
    confidence: u8,
    change: &mut impl FnMut(String, &dyn Fn(&mut Behaviour)),
) {
    let kind = |types, confidence| BehaviourKind::Indicator { types, confidence };
    if types != IndicatorTypes::ALL {
        for name in types.names() {
            let rest = IndicatorTypes::named(name).map_or(types, |one| types.without(one));
            change(format!("without indicators of the type `{name}`"), &|changed| {
                changed.kind = kind(rest, confidence)
            });
        }
        // A field often holds values of one type only, and then this changes nothing.
        if behaviour.fields.is_empty() {
            change("indicators of any type".to_owned(), &|changed| {
                changed.kind = kind(IndicatorTypes::ALL, confidence);
            });
        }
    }
    if confidence > 0 {
        for moved in [confidence.saturating_add(1), confidence - 1] {
            change(format!("confidence `{confidence}` made `{moved}`"), &|changed| changed.kind = kind(types, moved));
        }
    }
    if !behaviour.lists.is_empty() {
        change("of any list".to_owned(), &|changed| changed.lists.clear());
    }
    if !behaviour.fields.is_empty() {
        change("in any field".to_owned(), &|changed| changed.fields.clear());
    }
    for (index, name) in behaviour.lists.iter().enumerate() {
        change(format!("not of the list `{name}`"), &|changed| {
            changed.lists.get_mut(index).into_iter().for_each(|list| *list = CompactString::default());
        });
    }
    if behaviour.fields.len() > 1 {
        for (index, name) in behaviour.fields.iter().enumerate() {
            change(format!("without the field `{name}`"), &|changed| drop(changed.fields.remove(index)));
        }
    }
}

fn correlation_mutants(correlation: &Correlation, add: &mut impl FnMut(String, Correlation)) {
    let mut change = |what: String, with: &dyn Fn(&mut Correlation)| {
        let mut changed = correlation.clone();
        with(&mut changed);
        add(what, changed);
    };
    if let CorrelationCondition::Compare(comparisons) = &correlation.condition {
        for (index, (comparison, limit)) in comparisons.iter().enumerate() {
            for moved in [limit + 1.0, limit - 1.0] {
                change(format!("`{} {limit}` made `{} {moved}`", comparison.name(), comparison.name()), &|changed| {
                    if let CorrelationCondition::Compare(comparisons) = &mut changed.condition {
                        comparisons[index].1 = moved;
                    }
                });
            }
        }
    }
    for (factor, word) in FACTORS {
        change(format!("timespan {word}"), &|changed| changed.timespan = changed.timespan.mul_f64(factor));
    }
    for (index, name) in correlation.group_by.iter().enumerate() {
        change(format!("not grouped by `{name}`"), &|changed| drop(changed.group_by.remove(index)));
    }
    if matches!(correlation.condition, CorrelationCondition::AllRules) && correlation.rules.len() > 1 {
        for (index, name) in correlation.rules.iter().enumerate() {
            change(format!("without the rule `{name}`"), &|changed| drop(changed.rules.remove(index)));
        }
    }
    if correlation.kind == CorrelationKind::TemporalOrdered {
        change("in any order".to_owned(), &|changed| changed.kind = CorrelationKind::Temporal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(detection: &str, expected: &[&str]) {
        let text = format!("title: T\nlogsource:\n  product: x\ndetection:\n{detection}\n");
        let set = RuleSet::from_text("t.yml", &text);
        assert!(set.errors.is_empty(), "{:?}", set.errors);
        let found: Vec<String> = mutants(&set).into_iter().map(|mutant| mutant.what).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_part_is_changed_once() {
        check("  s:\n    A: 1\n  condition: s", &["`s` taken as always true", "`s` taken as never true"]);
        check(
            "  s:\n    A: 1\n    B|contains: [x, y]\n  f:\n    C: 1\n  condition: s and not f",
            &[
                "(`s` and not `f`) taken as always true",
                "(`s` and not `f`) taken as never true",
                "`s` taken as always true",
                "`s` taken as never true",
                "`f` taken as always true",
                "`f` taken as never true",
                "`A` taken as always true in `s`",
                "`A` taken as never true in `s`",
                "`B|contains` taken as always true in `s`",
                "`B|contains` taken as never true in `s`",
                "`x` left out of `B|contains` in `s`",
                "`y` left out of `B|contains` in `s`",
            ],
        );
    }
}
