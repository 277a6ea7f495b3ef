//! Reads rule files from disk. The only part of this crate that does I/O.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Place, RuleError};
use crate::pipeline::Pipelines;
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
    load_paths_with(paths, Arc::default())
}

/// The same with pipelines that change the rules before they are compiled.
pub fn load_paths_with<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>, pipelines: Arc<Pipelines>) -> RuleSet {
    let mut set = RuleSet::with_pipelines(pipelines);
    each_file(paths, &mut |path, text| match text {
        Ok(text) => set.add_text(path, &text),
        Err(diagnostic) => set.errors.push(RuleError { path: path.to_owned(), diagnostic }),
    });
    set.link();
    set
}

/// Files and directories with pipelines.
pub fn load_pipelines<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Pipelines {
    let mut pipelines = Pipelines::default();
    each_file(paths, &mut |path, text| match text {
        Ok(text) => pipelines.add_text(path, &text),
        Err(diagnostic) => pipelines.refuse(path, vec![diagnostic]),
    });
    pipelines
}

/// Takes a file's text, or what is wrong with the file or directory.
type Take<'a> = dyn FnMut(&Path, Result<String, Diagnostic>) + 'a;

fn each_file<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>, take: &mut Take<'_>) {
    for path in paths {
        let path = path.as_ref();
        if path.is_dir() {
            walk(path, 0, take);
        } else {
            take(path, read(path));
        }
    }
}

fn walk(dir: &Path, depth: usize, take: &mut Take<'_>) {
    let refuse = |message: String| Err(Diagnostic::error(Place::START, message));
    let entries = match fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) if depth <= DEPTH_MAX => entries,
        Ok(_) => return take(dir, refuse(format!("the directory is nested deeper than {DEPTH_MAX} levels"))),
        Err(error) => return take(dir, refuse(format!("cannot read the directory: {error}"))),
    };
    let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk(&path, depth + 1, take);
        } else if path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml") {
            take(&path, read(&path));
        }
    }
}

fn read(path: &Path) -> Result<String, Diagnostic> {
    let bytes = || {
        let len = fs::metadata(path)?.len();
        if len > FILE_BYTES_MAX {
            return Err(io::Error::other(format!("it has {len} bytes, more than {FILE_BYTES_MAX}")));
        }
        fs::read(path)
    };
    let bytes = bytes().map_err(|error| Diagnostic::error(Place::START, format!("cannot read the file: {error}")))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.trim_start_matches('\u{feff}').to_owned()),
        Err(error) => {
            let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
            let at = Place { line: u32::try_from(line).unwrap_or(u32::MAX), column: 1 };
            Err(Diagnostic::error(at, "the file is not UTF-8; save it as UTF-8"))
        }
    }
}
