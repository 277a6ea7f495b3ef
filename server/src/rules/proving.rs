//! A rule that brings samples is enabled only if they prove it. Its first positive sample is its canary.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use canh_detection::{Diagnostic, Pipelines, Place, RuleError, RuleSet, Severity};
use canh_schema::RuleId;

use super::samples::{Clock, Expected, RULE_FILE, RuleFolder, Runner, Sample, Surroundings};

/// Samples that failed which an error names.
const NAMED_MAX: usize = 3;

/// What came of the samples.
#[derive(Debug, Default)]
pub(crate) struct Proven {
    /// For each rule file with samples, how many there are; all of them hold.
    pub(crate) samples: HashMap<PathBuf, u32>,
    pub(crate) canaries: Vec<Canary>,
}

/// Records that a rule must find, as a device would send them.
#[derive(Clone, Debug)]
pub(crate) struct Canary {
    /// The rules of the file that find them.
    pub(crate) rules: Vec<RuleId>,
    pub(crate) raw: Vec<String>,
    pub(crate) format: Option<String>,
    /// Lists and places that its samples suppose.
    pub(crate) around: Surroundings,
    pub(crate) clock: Clock,
}

/// Runs the samples of every rule that has some. A rule whose samples do not hold is taken out of the set, with an error
/// that says which; so is a rule whose samples cannot be read.
pub(crate) fn prove(set: &mut RuleSet) -> Proven {
    let mut files: Vec<PathBuf> = set.rules.iter().map(|rule| rule.path.clone()).collect();
    files.sort();
    files.dedup();
    let mut proven = Proven::default();
    for file in files.iter().filter(|file| file.file_name().is_some_and(|name| name == RULE_FILE)) {
        let Some(folder) = file.parent().filter(|folder| folder.join(Expected::Fires.file()).is_file()) else {
            continue;
        };
        match check(folder, &set.pipelines) {
            Ok((samples, canary)) => {
                proven.samples.insert(file.clone(), samples);
                proven.canaries.extend(canary);
            }
            Err(message) => {
                set.rules.retain(|rule| rule.path != *file);
                let diagnostic = Diagnostic { severity: Severity::Error, at: Place::START, message, suggestion: None };
                set.errors.push(RuleError { path: file.clone(), diagnostic });
            }
        }
    }
    proven
}

fn check(folder: &Path, pipelines: &Arc<Pipelines>) -> Result<(u32, Option<Canary>), String> {
    let folder = RuleFolder::load_with(folder, Arc::clone(pipelines))
        .map_err(|error| format!("its samples cannot be read: {error:#}"))?;
    let mut runner = Runner::new(&folder.rules);
    let failed: Vec<&Sample> = folder.samples.iter().filter(|sample| !runner.holds(sample)).collect();
    if !failed.is_empty() {
        let named: Vec<String> = failed
            .iter()
            .take(NAMED_MAX)
            .map(|sample| format!("{} ({})", sample.about, sample.expected.file()))
            .collect();
        let more = if failed.len() > NAMED_MAX { ", …" } else { "" };
        return Err(format!(
            "it is not enabled, because {} of its {} samples fail: {}{more}; run `canh rules test` on its folder",
            failed.len(),
            folder.samples.len(),
            named.join(", ")
        ));
    }
    // One for which no time has to pass, if there is one.
    let firing = folder.samples.iter().filter(|sample| sample.expected == Expected::Fires);
    let canary = firing.min_by_key(|sample| sample.clock.after.is_some());
    let canary = canary.map(|sample| {
        let mut rules = runner.fired(sample);
        rules.sort();
        rules.dedup();
        Canary {
            rules,
            raw: sample.raw.clone(),
            format: sample.format.clone(),
            around: sample.around.clone(),
            clock: sample.clock,
        }
    });
    Ok((u32::try_from(folder.samples.len()).unwrap_or(u32::MAX), canary))
}

impl Canary {
    /// Its records as one payload.
    pub(crate) fn payload(&self) -> String {
        self.raw.join("\n")
    }
}
