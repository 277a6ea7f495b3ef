//! Loads detection rules, for the server and for `canh rules check`.

use std::path::PathBuf;

use canh_detection::{Engine, EngineConfig, RuleError, load_paths};
use canh_schema::Timestamp;
use canh_store::state::{RuleLoadError, RuleStatus, RulesStatus};
use tracing::warn;

use crate::terminal::safe_lines;

/// Rules ready to use, and what the console shows of them.
pub(crate) struct Loaded {
    pub(crate) engine: Engine,
    pub(crate) status: RulesStatus,
}

/// Loads and compiles. Rules that do not load are listed in the status; they never stop the others.
pub(crate) fn load(paths: &[PathBuf], now: Timestamp) -> Loaded {
    let set = load_paths(paths);
    let files: Vec<(PathBuf, canh_schema::RuleId)> =
        set.rules.iter().map(|rule| (rule.path.clone(), rule.info.id.clone())).collect();
    let engine = Engine::new(set, EngineConfig::default());
    let errors: Vec<RuleLoadError> = engine.problems().iter().map(shown).collect();
    for error in &errors {
        warn!(file = error.file, line = error.line, message = error.message, "a rule does not load");
    }
    let rules = engine
        .rules()
        .map(|info| RuleStatus {
            id: info.id.clone(),
            title: info.title.clone(),
            level: info.level,
            tags: info.tags.clone(),
            file: files
                .iter()
                .find(|(_, id)| *id == info.id)
                .map(|(path, _)| path.display().to_string())
                .unwrap_or_default(),
        })
        .collect();
    Loaded { engine, status: RulesStatus { loaded_at: now, rules, errors } }
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

/// `canh rules check`: `true` if all rules load.
pub(crate) fn check(paths: &[PathBuf]) -> anyhow::Result<bool> {
    for path in paths {
        anyhow::ensure!(path.exists(), "there is no `{}`", path.display());
    }
    let set = load_paths(paths);
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
