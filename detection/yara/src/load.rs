//! Reads files of rules from disk. The only part of this crate that does I/O.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::problem::{Place, RuleProblem};

/// A file of rules larger than this is not read. The largest public ones have a twentieth of it.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// All files of rules together.
const TOTAL_BYTES_MAX: u64 = 256 << 20;

/// Directories inside directories deeper than this are not entered, so that a link to itself ends.
const DEPTH_MAX: usize = 24;

/// One file with rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleFile {
    pub path: PathBuf,
    /// The rules' namespace: the path below the directory that was asked for. Two rules of the same name in different
    /// files are different rules.
    pub namespace: String,
    pub text: String,
}

/// Files with rules, not compiled yet, and those that cannot be read.
#[derive(Clone, Debug, Default)]
pub struct RuleFiles {
    pub files: Vec<RuleFile>,
    pub problems: Vec<RuleProblem>,
    namespaces: HashSet<String>,
    bytes: u64,
}

impl RuleFiles {
    /// Every `*.yar` and `*.yara` file below these directories, and these files whatever their names are. What cannot
    /// be read is listed in the problems; nothing stops the others.
    pub fn load<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        let mut set = Self::default();
        for path in paths {
            let path = path.as_ref();
            if path.is_dir() {
                set.walk(path, path, 0);
            } else {
                set.read(path.parent().unwrap_or(path), path);
            }
        }
        set
    }

    /// Adds a file that is in memory. A namespace that is taken gets the whole path instead.
    pub fn add(&mut self, path: &Path, namespace: &str, text: String) {
        let mut name = namespace.to_owned();
        if self.namespaces.contains(&name) {
            name = path.display().to_string();
        }
        while !self.namespaces.insert(name.clone()) {
            name.push('\'');
        }
        self.files.push(RuleFile { path: path.to_owned(), namespace: name, text });
    }

    fn walk(&mut self, root: &Path, dir: &Path, depth: usize) {
        let entries = match fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) if depth <= DEPTH_MAX => entries,
            Ok(_) => return self.refuse(dir, format!("the directory is nested deeper than {DEPTH_MAX} levels")),
            Err(error) => return self.refuse(dir, format!("cannot read the directory: {error}")),
        };
        let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                self.walk(root, &path, depth + 1);
            } else if path.extension().is_some_and(|extension| extension == "yar" || extension == "yara") {
                self.read(root, &path);
            }
        }
    }

    fn read(&mut self, root: &Path, path: &Path) {
        let read = || {
            let about = fs::metadata(path)?;
            if !about.is_file() {
                return Err(io::Error::other("it is not a regular file"));
            }
            if about.len() > FILE_BYTES_MAX {
                return Err(io::Error::other(format!("it has {} bytes, more than {FILE_BYTES_MAX}", about.len())));
            }
            fs::read(path)
        };
        let bytes = match read() {
            Ok(bytes) => bytes,
            Err(error) => return self.refuse(path, format!("cannot read the file: {error}")),
        };
        self.bytes += bytes.len() as u64;
        if self.bytes > TOTAL_BYTES_MAX {
            return self.refuse(path, format!("all rules together have more than {TOTAL_BYTES_MAX} bytes"));
        }
        // A comment in another encoding is no reason to lose the rules. A text of a rule would be another one, though.
        let text = String::from_utf8_lossy(&bytes);
        if let Err(error) = std::str::from_utf8(&bytes) {
            let at = Place::of(&text, error.valid_up_to());
            let message = "the file is not UTF-8; its rules are in force, but texts in another encoding do not match: save \
                           it as UTF-8";
            self.problems.push(RuleProblem { path: path.to_owned(), at, message: message.to_owned() });
        }
        let text = text.trim_start_matches('\u{feff}').to_owned();
        let inside = path.strip_prefix(root).unwrap_or(path);
        self.add(path, &inside.display().to_string(), text);
    }

    fn refuse(&mut self, path: &Path, message: String) {
        self.problems.push(RuleProblem { path: path.to_owned(), at: Place::START, message });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_encoding_is_listed_and_the_rules_are_kept() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::write(dir.path().join("a.yar"), b"// Gr\xfc\xdfe\nrule a { condition: true }").expect("can be written");
        let compiled = RuleFiles::load([dir.path()]).compile();
        assert_eq!(compiled.rules, 1);
        let [problem] = compiled.problems.as_slice() else { panic!("{:?}", compiled.problems) };
        assert_eq!(problem.at, Place { line: 1, column: 6 });
    }

    #[test]
    fn namespaces_are_paths_and_never_clash() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let rule = "rule same { condition: true }";
        for name in ["one/a.yar", "two/a.yar", "two/b.yara", "two/c.txt"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("it is inside")).expect("can be made");
            fs::write(path, rule).expect("can be written");
        }
        let set = RuleFiles::load([dir.path().join("one"), dir.path().join("two"), dir.path().join("none.yar")]);
        let names: Vec<&str> = set.files.iter().map(|file| file.namespace.as_str()).collect();
        let full = dir.path().join("two/a.yar").display().to_string();
        assert_eq!(names, ["a.yar", full.as_str(), "b.yara"]);
        assert_eq!(set.problems.len(), 1, "{:?}", set.problems);
        assert!(set.problems[0].message.starts_with("cannot read the file"));
    }
}
