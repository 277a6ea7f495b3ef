//! Which rules raise findings: those that are shipped or were enabled, and not those that wait for somebody to look at
//! them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use canh_schema::RuleId;
use canh_store::state::{RuleReview, RuleState, RuleStatus, StateError, StateStore};

use crate::config::ReviewPolicy;

/// A directory with this file holds rules of others, here and below, which wait for a review.
pub(crate) const MARKER: &str = ".needs-review";

/// What is written into the marker, for whoever finds it.
pub(crate) const MARKER_TEXT: &str = "The rules in this directory raise nothing until somebody has enabled them, on the Rules page or with\n\
     `canh rules enable`. Without this file they are enabled from the start.\n";

/// What people decided, by rule.
pub(crate) type Reviews = HashMap<RuleId, RuleReview>;

pub(crate) async fn load(state: &dyn StateStore) -> Result<Reviews, StateError> {
    Ok(state.rule_reviews().await?.into_iter().collect())
}

/// Whether rules of a file wait for a review. Looks for markers from the file's directory up to the directory of rules.
#[derive(Debug)]
pub(crate) struct Policy<'a> {
    policy: ReviewPolicy,
    roots: &'a [PathBuf],
    marked: HashMap<PathBuf, bool>,
}

impl<'a> Policy<'a> {
    pub(crate) fn new(policy: ReviewPolicy, roots: &'a [PathBuf]) -> Self {
        Self { policy, roots, marked: HashMap::new() }
    }

    pub(crate) fn needs_review(&mut self, file: &Path) -> bool {
        match self.policy {
            ReviewPolicy::All => true,
            ReviewPolicy::None => false,
            ReviewPolicy::Marked => file.parent().is_some_and(|folder| self.is_marked(folder)),
        }
    }

    fn is_marked(&mut self, folder: &Path) -> bool {
        if let Some(known) = self.marked.get(folder) {
            return *known;
        }
        // A marker above the directory of rules is somebody else's.
        let is_root = self.roots.iter().any(|root| root == folder);
        let inside = self.roots.iter().any(|root| folder.starts_with(root));
        let above = !is_root && inside && folder.parent().is_some_and(|parent| self.is_marked(parent));
        let marked = above || folder.join(MARKER).is_file();
        self.marked.insert(folder.to_owned(), marked);
        marked
    }
}

/// The rules that raise nothing. One that only feeds others follows these: it is not decided about.
pub(crate) fn held(rules: &[RuleStatus], reviews: &Reviews) -> HashSet<RuleId> {
    let waits = |rule: &&RuleStatus| rule.state(reviews.get(&rule.id)) != RuleState::Enabled;
    rules.iter().filter(|rule| !rule.quiet).filter(waits).map(|rule| rule.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_marker_holds_for_everything_below_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (own, imported) = (dir.path().join("own/linux"), dir.path().join("imported/linux/auth"));
        fs::create_dir_all(&own).expect("a directory");
        fs::create_dir_all(&imported).expect("a directory");
        fs::write(dir.path().join("imported").join(MARKER), MARKER_TEXT).expect("a marker");
        let check = |policy, roots: &[&str], file: PathBuf, expected: bool| {
            let roots: Vec<PathBuf> = roots.iter().map(|root| dir.path().join(root)).collect();
            assert_eq!(Policy::new(policy, &roots).needs_review(&file), expected, "{policy:?} {}", file.display());
        };
        check(ReviewPolicy::Marked, &["."], own.join("a.yml"), false);
        check(ReviewPolicy::Marked, &[""], imported.join("a.yml"), true);
        check(ReviewPolicy::Marked, &["imported"], imported.join("a.yml"), true);
        // The directory of rules lies below the marker.
        check(ReviewPolicy::Marked, &["imported/linux"], imported.join("a.yml"), false);
        // One file is named alone.
        check(ReviewPolicy::Marked, &["imported/a.yml"], dir.path().join("imported/a.yml"), true);
        check(ReviewPolicy::All, &[""], own.join("a.yml"), true);
        check(ReviewPolicy::None, &[""], imported.join("a.yml"), false);
    }
}
