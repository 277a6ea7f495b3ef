//! Loads detection rules, for the server and for `canh rules check`; proves them by their samples.

pub(crate) mod ask;
pub(crate) mod bench;
pub(crate) mod decide;
pub(crate) mod desk;
pub(crate) mod import;
pub(crate) mod proving;
pub(crate) mod review;
pub(crate) mod samples;
mod show;
pub(crate) mod test;
pub(crate) mod tune;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use canh_detection::{
    Engine, EngineConfig, IndicatorSource, Pipelines, Rule, RuleError, load_paths_with, load_pipelines,
};
use canh_schema::{RuleId, Timestamp};
use canh_store::state::{RuleLoadError, RuleStatus, RuleText, RulesStatus};
use tracing::warn;

use self::desk::RuleFiles;
use self::proving::Canary;
use self::review::{Policy, Reviews};
use crate::canary::Flock;
use crate::cli::{PipelineArgs, must_exist};
use crate::config::ReviewPolicy;
use crate::terminal::safe_lines;

/// Rules ready to use, and what the console shows of them.
pub(crate) struct Loaded {
    pub(crate) engine: Engine,
    pub(crate) status: RulesStatus,
    /// What each rule's hash stands for.
    pub(crate) texts: Vec<RuleText>,
    /// A positive sample of each rule that has one and is in force.
    pub(crate) canaries: Vec<Canary>,
    /// Where each rule was read from.
    pub(crate) files: HashMap<RuleId, PathBuf>,
    pub(crate) pipelines: Arc<Pipelines>,
}

impl Loaded {
    /// Where they are, for whoever runs their samples.
    pub(crate) fn rule_files(&self) -> RuleFiles {
        RuleFiles { files: Arc::new(self.files.clone()), pipelines: Arc::clone(&self.pipelines) }
    }

    /// Texts of the rules of the kind `indicator` that are in force, each with what feeds it.
    pub(crate) fn indicator_rules(&self) -> Arc<Vec<String>> {
        let in_force: HashSet<&RuleId> = self.engine.rules().map(|(info, _)| &info.id).collect();
        let is_one = |rule: &&RuleStatus| rule.kind == "indicator" && in_force.contains(&rule.id);
        let hashes: HashSet<_> = self.status.rules.iter().filter(is_one).map(|rule| rule.hash).collect();
        Arc::new(self.texts.iter().filter(|text| hashes.contains(&text.hash)).map(|text| text.text.clone()).collect())
    }

    /// The canaries of these rules.
    pub(crate) fn flock(&self) -> Flock {
        let texts: HashMap<_, _> = self.texts.iter().map(|text| (text.hash, text)).collect();
        let of = |rule: &RuleStatus| Some((rule.id.clone(), (*texts.get(&rule.hash)?).clone()));
        let wanted: HashSet<&RuleId> = self.canaries.iter().flat_map(|canary| &canary.rules).collect();
        Flock {
            canaries: Arc::new(self.canaries.clone()),
            texts: Arc::new(self.status.rules.iter().filter(|rule| wanted.contains(&rule.id)).filter_map(of).collect()),
        }
    }
}

/// The rules of a running server. Remembers the text of each file that was fine, so that a slip in an edit does not
/// switch a detection off.
#[derive(Debug)]
pub(crate) struct Rules {
    paths: Vec<PathBuf>,
    pipeline_paths: Vec<PathBuf>,
    review: ReviewPolicy,
    /// The pipelines that were read last without an error among them.
    pipelines: Option<Arc<Pipelines>>,
    fine: HashMap<PathBuf, String>,
    /// What rules of the kind `indicator` ask.
    indicators: Option<Arc<dyn IndicatorSource>>,
}

impl Rules {
    pub(crate) fn new(paths: Vec<PathBuf>, pipeline_paths: Vec<PathBuf>, review: ReviewPolicy) -> Self {
        Self { paths, pipeline_paths, review, pipelines: None, fine: HashMap::new(), indicators: None }
    }

    pub(crate) fn with_indicators(self, indicators: Arc<dyn IndicatorSource>) -> Self {
        Self { indicators: Some(indicators), ..self }
    }

    /// Pipelines, and what is wrong with their files. If anything is, those loaded before stay in force together.
    fn pipelines(&mut self) -> (Arc<Pipelines>, Vec<RuleError>) {
        let loaded = load_pipelines(&self.pipeline_paths);
        if loaded.errors.is_empty() {
            let loaded = Arc::new(loaded);
            self.pipelines = Some(Arc::clone(&loaded));
            return (loaded, Vec::new());
        }
        let Some(before) = &self.pipelines else { return (Arc::new(loaded), Vec::new()) };
        let mut errors = loaded.errors;
        for error in &mut errors {
            error.diagnostic.message.push_str("; the pipelines loaded before stay in force");
        }
        (Arc::clone(before), errors)
    }

    /// Loads and compiles. Rules that do not load are listed in the status; they never stop the others, and the
    /// version of their file that was loaded before stays in force. Rules that wait for a review, or that somebody
    /// disabled, are listed and not in force.
    pub(crate) fn load(&mut self, now: Timestamp, reviews: &Reviews) -> Loaded {
        let (pipelines, problems) = self.pipelines();
        let mut set = load_paths_with(&self.paths, Arc::clone(&pipelines));
        set.errors.extend(problems);
        let broken: HashSet<PathBuf> = set.errors.iter().map(|error| error.path.clone()).collect();
        let mut kept = HashSet::new();
        for path in &broken {
            let gone = !set.rules.iter().any(|rule| rule.path == *path);
            if let Some(text) = self.fine.get(path).filter(|_| gone) {
                let before = set.errors.len();
                set.add_text(path, text);
                if set.errors.len() > before {
                    // It is a pipeline that does not suit it any more.
                    set.errors.truncate(before);
                } else {
                    kept.insert(path.clone());
                }
            }
        }
        let mut files: HashMap<RuleId, PathBuf> = HashMap::new();
        for rule in &set.rules {
            files.insert(rule.info.id.clone(), rule.path.clone());
        }
        self.fine.retain(|path, _| kept.contains(path));
        for path in files.values().filter(|path| !broken.contains(*path)) {
            if !self.fine.contains_key(path)
                && let Ok(text) = fs::read_to_string(path)
            {
                self.fine.insert(path.clone(), text);
            }
        }
        let proven = proving::prove(&mut set);
        set.link();
        let texts = (0..set.rules.len())
            .map(|index| RuleText { hash: set.rules[index].info.hash, text: set.whole_text(index) })
            .collect();
        let mut errors: Vec<RuleLoadError> = set.errors.iter().map(shown).collect();
        for error in &mut errors {
            if kept.contains(Path::new(&error.file)) {
                error.message.push_str("; the version loaded before stays in force");
            }
            error.file = self.relative(Path::new(&error.file));
            warn!(file = error.file, line = error.line, message = error.message, "a rule does not load");
        }
        let mut policy = Policy::new(self.review, &self.paths);
        let status = |(rule, quiet): (&Rule, bool)| RuleStatus {
            id: rule.info.id.clone(),
            hash: rule.info.hash,
            title: rule.info.title.clone(),
            level: rule.info.level,
            tags: rule.info.tags.clone(),
            file: self.relative(&rule.path),
            kind: rule.kind.name().into(),
            quiet,
            samples: proven.samples.get(&rule.path).copied().unwrap_or(0),
            needs_review: !quiet && policy.needs_review(&rule.path),
        };
        let rules: Vec<RuleStatus> = set.rules.iter().zip(set.quiet()).map(status).collect();
        let held = review::held(&rules, reviews);
        if !held.is_empty() {
            set.hold_back(|rule| held.contains(&rule.info.id));
        }
        // The store and the doors need processors too; more threads than this gain little.
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(4);
        let engine =
            Engine::new(set, EngineConfig { threads, indicators: self.indicators.clone(), ..EngineConfig::default() });
        let raising: HashSet<&RuleId> =
            engine.rules().filter(|(_, raises)| *raises).map(|(info, _)| &info.id).collect();
        let mut canaries = proven.canaries;
        canaries.iter_mut().for_each(|canary| canary.rules.retain(|rule| raising.contains(rule)));
        canaries.retain(|canary| !canary.rules.is_empty());
        let status = RulesStatus { loaded_at: now, rules, errors };
        Loaded { engine, status, texts, canaries, files, pipelines }
    }

    /// A path as people know it: from the directory of rules that it was found in.
    fn relative(&self, path: &Path) -> String {
        let mut inside = self.paths.iter().filter_map(|root| path.strip_prefix(root).ok());
        let inside = inside.find(|inside| !inside.as_os_str().is_empty());
        inside.unwrap_or(path).display().to_string()
    }
}

fn shown(error: &RuleError) -> RuleLoadError {
    RuleLoadError {
        file: error.path.display().to_string(),
        line: Some(error.diagnostic.at.line),
        column: Some(error.diagnostic.at.column),
        message: match &error.diagnostic.suggestion {
            Some(word) => format!("{}; did you mean `{word}`?", error.diagnostic.message),
            None => error.diagnostic.message.clone(),
        },
    }
}

/// Pipelines that are named on the command line.
///
/// # Errors
///
/// A path that is not there; otherwise what is wrong with them, because without them the rules would be others.
pub(crate) fn pipelines(args: &PipelineArgs) -> anyhow::Result<Arc<Pipelines>> {
    must_exist(&args.paths)?;
    let loaded = load_pipelines(&args.paths);
    let problems: Vec<String> = loaded.errors.iter().map(ToString::to_string).collect();
    anyhow::ensure!(problems.is_empty(), "a pipeline cannot be used:\n{}", problems.join("\n"));
    Ok(Arc::new(loaded))
}

/// `canh rules check`: `true` if all rules load.
pub(crate) fn check(paths: &[PathBuf], pipelines: &[PathBuf]) -> anyhow::Result<bool> {
    must_exist(paths.iter().chain(pipelines))?;
    let set = load_paths_with(paths, Arc::new(load_pipelines(pipelines)));
    let warnings: Vec<String> = set.warnings.iter().map(ToString::to_string).collect();
    let engine = Engine::new(set, EngineConfig::default());
    let errors = engine.problems();
    for warning in &warnings {
        println!("warning: {}", safe_lines(warning));
    }
    for error in errors {
        println!("error: {}", safe_lines(&error.to_string()));
    }
    println!("{} rules load, {} do not", engine.rules().len(), errors.len());
    Ok(errors.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(field: &str) -> String {
        format!(
            "title: T\nlogsource:\n  product: linux\n  service: sshd\ndetection:\n  selection:\n    {field}: x\n  condition: selection\n"
        )
    }

    #[test]
    fn a_slip_in_an_edit_leaves_the_old_version_in_force() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("a.yml");
        let mut rules = Rules::new(vec![dir.path().to_owned()], Vec::new(), ReviewPolicy::None);
        let mut load = |text: Option<String>| {
            match text {
                Some(text) => fs::write(&path, text),
                None => fs::remove_file(&path),
            }
            .expect("the file can be changed");
            let loaded = rules.load(Timestamp::from_secs(0), &Reviews::new());
            (
                loaded.engine.rules().len(),
                loaded.status.errors.into_iter().map(|error| error.message).collect::<Vec<_>>(),
            )
        };
        assert_eq!(load(Some(rule("user.name"))), (1, vec![]));
        for _ in 0..2 {
            let (count, errors) = load(Some(rule("user.name|contians")));
            assert_eq!((count, errors.len()), (1, 1));
            assert!(errors[0].ends_with("stays in force"), "{errors:?}");
        }
        assert_eq!(load(Some(rule("source.ip"))), (1, vec![]));
        assert_eq!(load(None), (0, vec![]), "a rule that was taken away is gone");
    }

    #[test]
    fn a_slip_in_a_pipeline_leaves_the_old_ones_in_force() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (file, pipeline) = (dir.path().join("a.yml"), dir.path().join("p.yaml"));
        fs::write(&file, rule("usr")).expect("the file can be written");
        let mut rules = Rules::new(vec![file], vec![pipeline.clone()], ReviewPolicy::None);
        let mut load = |mapping: &str| {
            let text = format!("transformations:\n- type: field_name_mapping\n  mapping: {mapping}\n");
            fs::write(&pipeline, text).expect("the file can be written");
            let loaded = rules.load(Timestamp::from_secs(0), &Reviews::new());
            let errors: Vec<_> = loaded.status.errors.into_iter().map(|error| error.message).collect();
            (loaded.engine.rules().len(), errors, loaded.texts)
        };
        let (count, errors, texts) = load("{usr: user.name}");
        assert_eq!((count, errors.as_slice()), (1, [].as_slice()));
        // What judges can be read again without the pipeline.
        assert!(texts[0].text.starts_with("#canh-pipeline "), "{}", texts[0].text);
        let (count, errors, again) = load("[usr]");
        assert_eq!((count, errors.len()), (1, 1), "{errors:?}");
        assert!(errors[0].ends_with("the pipelines loaded before stay in force"), "{errors:?}");
        assert_eq!(again[0].hash, texts[0].hash);
        let (count, errors, _) = load("{usr: usre.name}");
        assert_eq!((count, errors.len()), (0, 1), "{errors:?}");
        assert!(errors[0].contains("can never arrive"), "{errors:?}");
    }
}
