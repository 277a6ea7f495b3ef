//! The versions of files that compiled. A slip in an edit does not switch a detection off: the version before stays in
//! force until the file compiles again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::compile::Compiled;
use crate::load::{RuleFile, RuleFiles};

/// Remembers each file that compiled without a problem. Give it to every load of the same rules.
#[derive(Debug, Default)]
pub struct KeptFiles(BTreeMap<PathBuf, RuleFile>);

impl KeptFiles {
    /// Compiles what was read. A file that has a problem now and had none the last time keeps the version of then, all of
    /// it; so does one that cannot be read any more. A file that is gone from its directory is gone.
    pub fn compile(&mut self, files: RuleFiles) -> Compiled {
        let mut files = files;
        let mut compiled = files.compile_ref();
        let broken: BTreeSet<PathBuf> = compiled
            .problems
            .iter()
            .filter(|problem| !files.problems.contains(problem))
            .map(|one| one.path.clone())
            .collect();
        let mut kept = BTreeSet::new();
        for file in &mut files.files {
            if let Some(before) = self.0.get(&file.path).filter(|_| broken.contains(&file.path)) {
                file.text.clone_from(&before.text);
                kept.insert(file.path.clone());
            }
        }
        let read: BTreeSet<&Path> = files.files.iter().map(|file| file.path.as_path()).collect();
        // A problem of reading is about a file, or about a directory with everything below it.
        let unread = |path: &Path| files.problems.iter().any(|problem| path.starts_with(&problem.path));
        let lost: Vec<RuleFile> =
            self.0.values().filter(|file| !read.contains(file.path.as_path()) && unread(&file.path)).cloned().collect();
        for file in lost {
            kept.insert(file.path.clone());
            files.files.push(file);
        }
        if !kept.is_empty() {
            let problems = std::mem::take(&mut compiled.problems);
            compiled = files.compile_ref();
            compiled.problems = problems;
            for problem in &mut compiled.problems {
                if kept.iter().any(|path| path.starts_with(&problem.path)) {
                    problem.message.push_str("; the version loaded before stays in force");
                }
            }
        }
        let fine = files.files.into_iter().filter(|file| kept.contains(&file.path) || !broken.contains(&file.path));
        self.0 = fine.map(|file| (file.path.clone(), file)).collect();
        compiled
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::scan::{SampleInfo, ScanLimits};

    use super::*;

    /// The rules that match anything, and the problems.
    fn load(kept: &mut KeptFiles, dir: &Path) -> (Vec<String>, Vec<String>) {
        let compiled = kept.compile(RuleFiles::load([dir]));
        let report = compiled.scanner.scan(b"x", &SampleInfo::of_path("x"), &ScanLimits::default());
        let mut names: Vec<String> = report.matches.into_iter().map(|found| found.rule).collect();
        names.sort();
        assert_eq!(names.len(), compiled.rules);
        (names, compiled.problems.iter().map(|problem| format!("{}: {}", problem.at, problem.message)).collect())
    }

    #[test]
    fn a_slip_in_an_edit_leaves_the_old_version_in_force() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path();
        let write = |name: &str, text: &str| fs::write(path.join(name), text).expect("can be written");
        let mut kept = KeptFiles::default();
        write("a.yar", "rule a1 { condition: true }\nrule a2 { condition: true }");
        write("b.yar", "rule b { condition: true }");
        assert_eq!(load(&mut kept, path), (vec!["a1".into(), "a2".into(), "b".into()], vec![]));

        // The whole file is as it was, and its neighbour is new.
        write("a.yar", "rule a1 { condition: true }\nrule a3 { condition: tru }");
        write("b.yar", "rule b2 { condition: true }");
        for _ in 0..2 {
            let (names, problems) = load(&mut kept, path);
            assert_eq!(names, ["a1", "a2", "b2"]);
            assert_eq!(problems, ["2:22: unknown identifier \"tru\"; the version loaded before stays in force"]);
        }
        write("a.yar", "rule a4 { condition: true }");
        assert_eq!(load(&mut kept, path), (vec!["a4".into(), "b2".into()], vec![]));

        // A file that never compiled gives what it can.
        write("c.yar", "rule c1 { condition: true }\nrule c2 { condition: tru }");
        let (names, problems) = load(&mut kept, path);
        assert_eq!(names, ["a4", "b2", "c1"]);
        assert_eq!(problems, ["2:22: unknown identifier \"tru\""]);

        // It cannot be read any more, then it is gone.
        fs::write(path.join("a.yar"), vec![b' '; (8 << 20) + 1]).expect("can be written");
        let (names, problems) = load(&mut kept, path);
        assert_eq!(names, ["a4", "b2", "c1"]);
        assert!(
            problems[0].ends_with("bytes, more than 8388608; the version loaded before stays in force"),
            "{problems:?}"
        );
        fs::remove_file(path.join("a.yar")).expect("can be removed");
        assert_eq!(load(&mut kept, path).0, ["b2", "c1"]);
    }
}
