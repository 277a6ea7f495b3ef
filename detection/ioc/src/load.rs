//! Reads lists from files and directories. The only part that does I/O.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::builder::{Builder, LoadOptions};
use crate::problem::Report;
use crate::set::IndicatorSet;

/// Directories inside directories that are looked into.
const DEPTH_MAX: usize = 8;

/// Names of files with an allow-list, without their ending.
const ALLOW: &str = "allow";

/// Endings of files that are no lists.
const SKIPPED: &[&str] = &["md", "rst", "html", "pdf", "gz", "zst", "zip", "xz", "asc", "sig", "tmp", "swp"];

/// What came of it.
#[derive(Debug)]
pub struct Loaded {
    pub set: IndicatorSet,
    pub report: Report,
}

/// Loads every list at these paths. Files that are named `allow` or `allow.txt` hold the allow-list for all of them.
/// Hidden files and those that are plainly no lists (`README.md`, archives) are left out when a directory is read.
pub fn load(paths: &[PathBuf], options: LoadOptions) -> Loaded {
    let mut builder = Builder::new(options);
    let mut files: Vec<(PathBuf, String)> = Vec::new();
    for path in paths {
        collect(path, path, 0, &mut files, &mut builder);
    }
    let max = builder.options.files_max;
    if files.len() > max {
        let reason = format!("there are {} files, and at most {max} are read; the others are left out", files.len());
        builder.add_unreadable(&files[max].1, reason);
        files.truncate(max);
    }
    // An allow-list holds for every list, so it comes first.
    files.sort_by_key(|(path, _)| !is_allow(path));
    for (path, shown) in &files {
        match read(path, builder.options.file_len_max) {
            Ok(text) if is_allow(path) => builder.add_allowed(shown, &text),
            Ok(text) => builder.add_text(shown, &text),
            Err(reason) => builder.add_unreadable(shown, reason),
        }
    }
    let (set, report) = builder.finish();
    Loaded { set, report }
}

fn is_allow(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem.eq_ignore_ascii_case(ALLOW))
}

fn collect(root: &Path, path: &Path, depth: usize, files: &mut Vec<(PathBuf, String)>, builder: &mut Builder) {
    // From the directory that the user named, so that reports read well.
    let inside = path.strip_prefix(root).unwrap_or(path);
    let shown = if inside.as_os_str().is_empty() { path } else { inside }.display().to_string();
    if !path.is_dir() {
        files.push((path.to_owned(), shown));
        return;
    }
    if depth > DEPTH_MAX {
        return builder.add_unreadable(&shown, format!("directories are nested more than {DEPTH_MAX} deep"));
    }
    let entries = fs::read_dir(path).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let mut entries: Vec<PathBuf> = match entries {
        Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
        Err(error) => return builder.add_unreadable(&shown, format!("cannot read the directory: {error}")),
    };
    entries.sort();
    for entry in entries.iter().filter(|entry| is_list(entry)) {
        collect(root, entry, depth + 1, files, builder);
    }
}

fn is_list(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    let skipped = path.extension().is_some_and(|end| SKIPPED.iter().any(|skipped| end.eq_ignore_ascii_case(skipped)));
    !hidden && (!skipped || path.is_dir())
}

fn read(path: &Path, len_max: u64) -> Result<String, String> {
    let file = File::open(path).map_err(|error| format!("cannot open the file: {error}"))?;
    let kind = file.metadata().map_err(|error| format!("cannot read the file: {error}"))?;
    if !kind.is_file() {
        return Err("it is neither a file nor a directory".to_owned());
    }
    let mut bytes = Vec::new();
    let read = file.take(len_max.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| format!("cannot read the file: {error}"))?;
    if bytes.len() as u64 > len_max {
        return Err(format!("the file is longer than {len_max} bytes; split it"));
    }
    // Comments in another encoding are no reason to lose the values.
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
