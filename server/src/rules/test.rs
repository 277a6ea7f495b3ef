//! `canh rules test`: every rule finds its own samples and none of its near misses, and no part of a rule can be changed
//! without a sample that notices.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use canh_detection::{Pipelines, mutate};

use super::samples::{Expected, RuleFolder, Runner, folders};
use crate::cli::must_exist;
use crate::terminal::safe_lines;

/// Changes of a rule that its samples must notice, in percent.
pub(crate) const SCORE_MIN: f64 = 95.0;

/// What came out for one folder.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) samples: usize,
    pub(crate) failures: Vec<String>,
    /// Changes of the rule that were tried.
    pub(crate) mutants: usize,
    /// Those that no sample noticed.
    pub(crate) survivors: Vec<String>,
}

impl Report {
    /// Percent of the changes that were noticed.
    pub(crate) fn score(&self) -> f64 {
        if self.mutants == 0 {
            return 100.0;
        }
        (self.mutants - self.survivors.len()) as f64 / self.mutants as f64 * 100.0
    }
}

/// Whether rules are changed to see if their samples notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mutation {
    Tried,
    LeftOut,
}

pub(crate) fn report(folder: &RuleFolder, mutation: Mutation) -> Report {
    let mut report = Report { samples: folder.samples.len(), ..Report::default() };
    report.failures.extend(folder.rules.errors.iter().map(ToString::to_string));
    let mut runner = Runner::new(&folder.rules);
    for sample in &folder.samples {
        if !runner.holds(sample) {
            let what = match sample.expected {
                Expected::Fires => "nothing was found in",
                Expected::Silent => "should be silent, but fired on",
            };
            report.failures.push(format!("{what}: {} ({})", sample.about, sample.expected.file()));
        }
    }
    if mutation == Mutation::LeftOut || !report.failures.is_empty() {
        return report;
    }
    for mutant in mutate::mutants(&folder.rules) {
        report.mutants += 1;
        let mut runner = Runner::new(&mutant.rules);
        if folder.samples.iter().all(|sample| runner.holds(sample)) {
            report.survivors.push(format!("{}: `{}`: {}", mutant.at, mutant.rule, mutant.what));
        }
    }
    report
}

/// Sums over all folders.
#[derive(Debug, Default)]
struct Sums {
    folders: usize,
    samples: usize,
    failures: usize,
    mutants: usize,
    survivors: usize,
    /// Folders below [`SCORE_MIN`].
    weak: usize,
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rules, {} samples, {} failures", self.folders, self.samples, self.failures)?;
        if self.mutants > 0 {
            let score = (self.mutants - self.survivors) as f64 / self.mutants as f64 * 100.0;
            let seen = self.mutants - self.survivors;
            write!(f, "; {seen} of {} changes noticed ({score:.1} %)", self.mutants)?;
        }
        if self.weak > 0 {
            write!(f, "; {} rules below {SCORE_MIN} %", self.weak)?;
        }
        Ok(())
    }
}

/// `true` if all samples do what they should and enough changes are noticed.
pub(crate) fn run(paths: &[PathBuf], mutation: Mutation, pipelines: &Arc<Pipelines>) -> anyhow::Result<bool> {
    must_exist(paths)?;
    let mut sums = Sums::default();
    for path in folders(paths)? {
        let shown = path.display();
        let report = match RuleFolder::load_with(&path, Arc::clone(pipelines)) {
            Ok(folder) => report(&folder, mutation),
            Err(error) => Report { failures: vec![format!("{error:#}")], ..Report::default() },
        };
        for failure in &report.failures {
            println!("{shown}: failed: {}", safe_lines(failure));
        }
        for survivor in &report.survivors {
            println!("{shown}: not noticed: {}", safe_lines(survivor));
        }
        sums.folders += 1;
        sums.samples += report.samples;
        sums.failures += report.failures.len();
        sums.mutants += report.mutants;
        sums.survivors += report.survivors.len();
        sums.weak += usize::from(report.score() < SCORE_MIN);
    }
    anyhow::ensure!(sums.folders > 0, "there is no folder with a `rule.yml` here");
    println!("{sums}");
    Ok(sums.failures == 0 && sums.weak == 0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A correlation finds the rules that feed it by name, so a name that two rules have would mean either.
    #[test]
    fn no_two_shipped_rules_have_the_same_name() {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
        let set = canh_detection::load_dir(shipped);
        let mut seen = std::collections::BTreeMap::new();
        for rule in &set.rules {
            if let Some(name) = &rule.name {
                let first = seen.insert(name.clone(), rule.path.clone());
                assert_eq!(first, None, "`{name}` is also in {}", rule.path.display());
            }
        }
    }

    /// Everything that is shipped does what it should, and its samples prove every part of it.
    #[test]
    fn every_shipped_rule_is_proven_by_its_samples() {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
        let found = folders(&[shipped]).expect("the rules can be read");
        assert!(found.len() >= 11, "where are the rules?");
        let mut wrong = Vec::new();
        for path in found {
            let folder = RuleFolder::load(&path).unwrap_or_else(|error| panic!("{error:#}"));
            let report = report(&folder, Mutation::Tried);
            wrong.extend(report.failures.iter().map(|failure| format!("{}: {failure}", path.display())));
            if report.score() < SCORE_MIN {
                wrong.extend(report.survivors.iter().map(|what| format!("{}: not noticed: {what}", path.display())));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
