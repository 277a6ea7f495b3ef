//! Verdicts against the ground truth of recorded events, with all public rules.

#[expect(unreachable_pub, reason = "shared by the tests and the example")]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use canh_detection::{Engine, EngineConfig, load_paths};

/// Disagreements with the ground truth that are known and explained: corpus, rule, why.
const KNOWN: &[(&str, &str, &str)] = &[
    ("saas-cloud", "26e7c5e2-6545-481e-b7e6-050143459635", OPERATION),
    ("saas-cloud", "50a3c7aa-ec29-44a4-92c1-fce229eef6fc", OPERATION),
];

/// The records are deletions and changes of such a policy, so the rules are right to hold.
const OPERATION: &str =
    "`properties.message` is the portal's word for `operationName`; the truth was made without names of sources";

#[track_caller]
fn check(name: &str, folder: &str, extension: &str) {
    let Some(data) = support::data() else { return };
    let dir = data.join(folder);
    let mut engine = engine(&data);
    let mut found = BTreeSet::new();
    let mut findings = Vec::new();
    for (number, line) in support::lines(&dir.join(format!("{name}.{extension}"))).enumerate() {
        engine.evaluate(&support::batch(vec![support::event(number, &line)]), &mut findings);
        for finding in findings.drain(..) {
            assert!(!finding.matches.is_empty(), "`{}` has no proof", finding.rule.title);
            found.insert((number, finding.rule.id.as_str().to_owned()));
        }
    }
    let expected = support::expected(&dir.join(format!("{name}.expected.tsv.gz")));
    let known = |rule: &str| KNOWN.iter().any(|(corpus, id, _)| *corpus == name && *id == rule);
    let mut missing: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut surplus: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    expected.difference(&found).for_each(|(line, rule)| missing.entry(rule).or_default().push(*line));
    found.difference(&expected).for_each(|(line, rule)| surplus.entry(rule).or_default().push(*line));
    let agreed = expected.intersection(&found).count();
    eprintln!("{name}: {agreed} of {} pairs agree, stats {:?}", expected.len(), engine.stats());
    missing.retain(|rule, _| !known(rule));
    surplus.retain(|rule, _| !known(rule));
    assert!(missing.is_empty() && surplus.is_empty(), "missing: {missing:#?}\nsurplus: {surplus:#?}");
}

fn engine(data: &Path) -> Engine {
    let rules = load_paths(support::public_rules(data));
    assert!(rules.rules.len() > 3_000, "{} rules, errors: {:#?}", rules.rules.len(), rules.errors);
    Engine::new(rules, EngineConfig::default())
}

#[test]
fn regression() {
    check("regression", "regression", "jsonl.gz");
}

#[test]
fn evtx_flat() {
    check("evtx-flat", "corpus", "jsonl.gz");
}

#[test]
fn otrf_balanced() {
    check("otrf-balanced", "corpus", "jsonl.zst");
}

#[test]
fn zeek() {
    check("zeek", "corpus", "jsonl.gz");
}

#[test]
fn cloudtrail() {
    check("cloudtrail", "corpus", "jsonl.gz");
}

#[test]
fn saas_cloud() {
    check("saas-cloud", "corpus", "jsonl.gz");
}

#[test]
fn every_public_rule_loads_or_is_listed() {
    let Some(data) = support::data() else { return };
    let rules = load_paths(support::public_rules(&data));
    let errors: Vec<String> = rules.errors.iter().map(|error| error.diagnostic.to_string()).collect();
    // The ground truth leaves out the same two: the names of their domain controllers are for each user to fill in.
    let placeholder = "9: placeholder `%known_cdcs%` has no values here";
    assert_eq!(errors, [format!("57:{placeholder}"), format!("44:{placeholder}")]);
    assert_eq!(rules.rules.len(), 3_755);
}
