//! Reads rule files from disk. The only part of this crate that does I/O.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Place, RuleError};
use crate::rule::RuleSet;

/// A rule file larger than this is not read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Directories inside directories deeper than this are not entered, so that a link to itself ends.
const DEPTH_MAX: usize = 24;

/// Every `*.yml` and `*.yaml` file below `dir`, in the order of their names.
pub fn load_dir(dir: impl AsRef<Path>) -> RuleSet {
    load_paths([dir])
}

/// Files and directories. What cannot be read is listed in the errors like a broken rule; nothing stops the others.
/// References between rules are resolved over all of them.
pub fn load_paths<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> RuleSet {
    let mut set = RuleSet::default();
    for path in paths {
        let path = path.as_ref();
        if path.is_dir() {
            walk(path, 0, &mut set);
        } else {
            load_file(path, &mut set);
        }
    }
    set.link();
    set
}

fn walk(dir: &Path, depth: usize, set: &mut RuleSet) {
    let entries = match fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) if depth <= DEPTH_MAX => entries,
        Ok(_) => return refuse(dir, format!("the directory is nested deeper than {DEPTH_MAX} levels"), set),
        Err(error) => return refuse(dir, format!("cannot read the directory: {error}"), set),
    };
    let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk(&path, depth + 1, set);
        } else if path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml") {
            load_file(&path, set);
        }
    }
}

fn load_file(path: &Path, set: &mut RuleSet) {
    let read = || {
        let len = fs::metadata(path)?.len();
        if len > FILE_BYTES_MAX {
            return Err(io::Error::other(format!("it has {len} bytes, more than {FILE_BYTES_MAX}")));
        }
        fs::read(path)
    };
    let bytes = match read() {
        Ok(bytes) => bytes,
        Err(error) => return refuse(path, format!("cannot read the file: {error}"), set),
    };
    match String::from_utf8(bytes) {
        Ok(text) => set.add_text(path, text.trim_start_matches('\u{feff}')),
        Err(error) => {
            let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
            let at = Place { line: u32::try_from(line).unwrap_or(u32::MAX), column: 1 };
            let diagnostic = Diagnostic::error(at, "the file is not UTF-8; save it as UTF-8");
            set.errors.push(RuleError { path: path.to_owned(), diagnostic });
        }
    }
}

fn refuse(path: &Path, message: String, set: &mut RuleSet) {
    set.errors.push(RuleError { path: path.to_owned(), diagnostic: Diagnostic::error(Place::START, message) });
}
