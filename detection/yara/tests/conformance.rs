//! The engine against the shared conformance rules, and against everything that the two large public collections ask
//! of it.

mod support;

use std::collections::BTreeSet;
use std::fs;

use canh_yara::{RuleFiles, SampleInfo, ScanLimits};

#[test]
fn every_pair_of_rule_and_sample_is_as_expected() {
    let Some(shared) = support::shared() else { return };
    let dir = shared.join("conformance");
    let compiled = RuleFiles::load([dir.join("conformance.yar")]).compile();
    assert_eq!((compiled.rules, compiled.problems.as_slice()), (36, [].as_slice()));
    // Members are left out: the expected pairs are about the files themselves.
    let limits = ScanLimits { depth_max: 0, ..ScanLimits::default() };
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir.join("samples")).expect("samples") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::read(&path).expect("a sample");
        let report = compiled.scanner.scan(&bytes, &SampleInfo::of_path(&name), &limits);
        found.extend(report.matches.iter().map(|found| format!("{}\t{name}", found.rule)));
    }
    let expected = fs::read_to_string(dir.join("expected.tsv")).expect("the expected pairs");
    let expected: BTreeSet<String> = expected.lines().map(str::to_owned).collect();
    assert_eq!(expected.len(), 49);
    assert_eq!(found, expected);
}

/// Archive, files, rules in force, and each rule that is not: `file:line:column: reason`.
const COLLECTIONS: &[(&str, usize, usize, &[&str])] =
    &[("signature-base-8a89b3b.tar.zst", 741, 5_883, &[]), ("reversinglabs-d5a78f3.tar.zst", 274, 1_204, &[])];

#[test]
fn public_collections_load_but_for_a_known_list() {
    let Some(shared) = support::shared() else { return };
    for (archive, files, rules, broken) in COLLECTIONS {
        let dir = tempfile::tempdir().expect("a temporary directory");
        support::unpack(&shared.join(archive), dir.path());
        let compiled = RuleFiles::load([dir.path()]).compile();
        let problems: Vec<String> = compiled
            .problems
            .iter()
            .map(|problem| problem.to_string().replace(&format!("{}/", dir.path().display()), ""))
            .collect();
        assert_eq!(problems, *broken, "{archive}");
        assert_eq!((compiled.files, compiled.rules), (*files, *rules), "{archive}");
    }
}

/// Rules hold the texts that they look for, so the collections find a lot in their own files. The number of pairs is
/// that of libyara 4.5.4 and of YARA-X 1.23.0; `docs/decisions/yara-engine.md` says how it was compared.
#[test]
fn collections_find_as_much_in_their_own_files_as_other_engines() {
    let Some(shared) = support::shared() else { return };
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (archive, ..) in COLLECTIONS {
        support::unpack(&shared.join(archive), dir.path());
    }
    let files = RuleFiles::load([dir.path()]);
    let samples = files.files.clone();
    let compiled = files.compile();
    let limits = ScanLimits { depth_max: 0, rules_max: 10_000, ..ScanLimits::default() };
    let mut pairs = BTreeSet::new();
    for sample in &samples {
        let name = format!("{}.txt", sample.namespace.replace('/', "_"));
        let report = compiled.scanner.scan(sample.text.as_bytes(), &SampleInfo::of_path(&name), &limits);
        pairs.extend(report.matches.into_iter().map(|found| (found.rule, name.clone())));
    }
    assert_eq!(pairs.len(), 1_100);
}
