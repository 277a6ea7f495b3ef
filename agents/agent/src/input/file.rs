//! Follows log files: globs, rotation by rename, copytruncate and truncation. Remembers its place.
//!
//! A file is known by device and inode, and checked by a hash of its first bytes, so neither a new name nor a used
//! inode number deceives it. A renamed file is read to its end. The last line waits until its end has been written.

mod header;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use canh_schema::{Timestamp, Value};
use canh_wire::{LogEntry, attribute};
use glob::{MatchOptions, Pattern};
use serde::Deserialize;
use tracing::{debug, info, warn};

use super::{Context, Input, InputError, Mode, Multiline, wait};
use crate::checkpoint::{Marks, Place};
use crate::counters::{DropReason, Source};
use crate::queue::{ChunkSender, Item, Mark, Payload};
pub use header::Header;
pub(crate) use tail::open_regular;
use tail::{Found, Reading, Tail};

/// Names that are skipped unless a path names them: compressed rotations are not lines.
const NOT_LINES: [&str; 6] = ["*.gz", "*.xz", "*.zst", "*.bz2", "*.zip", "*.journal"];
/// Files that are followed at a time.
const FILES_MAX: usize = 4_096;
const POLL_PAUSE: Duration = Duration::from_millis(200);
const SCAN_PAUSE: Duration = Duration::from_secs(1);
/// A file that is gone from disk, or no longer has a name that is looked for, is closed after this long without
/// a new line.
const GONE_DELETED: Duration = Duration::from_secs(5);
const GONE_RENAMED: Duration = Duration::from_secs(600);

/// `[[input.file]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// Files to follow; `*`, `?`, `[...]` and `**` stand for parts of names.
    pub path: Vec<String>,
    /// Names or paths that are left out.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Format of the lines, or `auto` to let the collector find it.
    #[serde(default = "auto")]
    pub format: String,
    /// Where to begin in files that were there before the first start.
    #[serde(default)]
    pub start: Start,
    /// Which lines belong to the record before them: `off`; `indented`, those that begin with a blank; `traces`, those and
    /// what surrounds stack traces; `undated`, all that do not begin with a time.
    #[serde(default)]
    pub multiline: Multiline,
    /// What the first lines say about the others: `off`; `zeek`, Zeek's own logs with `#fields`; `w3c`, logs of IIS with
    /// `#Fields:`; `csv`, the first line has the names. They go with the lines to the collector.
    #[serde(default)]
    pub header: Header,
}

/// Where reading begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    #[default]
    Beginning,
    End,
}

fn auto() -> String {
    "auto".to_owned()
}

impl FileConfig {
    /// The first path or exclusion that is not a pattern, with the reason.
    pub fn bad_pattern(&self) -> Option<(String, String)> {
        let mut patterns = self.path.iter().chain(&self.exclude);
        patterns.find_map(|text| Pattern::new(text).err().map(|error| (text.clone(), error.to_string())))
    }

    /// Files that are there now.
    pub fn matches(&self) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for pattern in &self.path {
            let Ok(found) = glob::glob(pattern) else { continue };
            paths.extend(found.flatten().filter(|path| path.to_str() == Some(pattern) || !self.excludes(path)));
        }
        paths.sort();
        paths.dedup();
        paths
    }

    /// Whether an earlier run has a place in any of these files. Then a file without a place is a new one.
    fn was_followed(&self, marks: &Marks) -> bool {
        marks.values().any(|place| match place {
            Place::File { path, .. } => self.path.iter().any(|pattern| covers(pattern, path)),
            _ => false,
        })
    }

    fn excludes(&self, path: &Path) -> bool {
        let name = path.file_name().map(Path::new).unwrap_or(path);
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::default() };
        NOT_LINES.into_iter().chain(self.exclude.iter().map(String::as_str)).any(|text| {
            let subject = if text.contains('/') { path } else { name };
            Pattern::new(text).is_ok_and(|pattern| pattern.matches_path_with(subject, options))
        })
    }
}

/// Device and inode.
type FileId = (u64, u64);

/// Follows the files of every `[[input.file]]`.
pub struct FileInput {
    configs: Vec<FileConfig>,
    tails: BTreeMap<FileId, Tail>,
    /// Files without a place are new, and read from their beginning, once the first scan is over.
    scanned: bool,
    warned_full: bool,
}

impl FileInput {
    pub fn new(configs: Vec<FileConfig>) -> Self {
        Self { configs, tails: BTreeMap::new(), scanned: false, warned_full: false }
    }

    /// Looks for files that came, went or have another name.
    fn scan(&mut self, context: &Context) -> Result<(), InputError> {
        let now = Instant::now();
        for tail in self.tails.values_mut() {
            tail.named = false;
        }
        for at in 0..self.configs.len() {
            for path in self.configs[at].matches() {
                self.found(&path, at, context)?;
            }
        }
        if !self.scanned {
            self.find_renamed(context)?;
            self.scanned = true;
        }
        for tail in self.tails.values_mut() {
            tail.note_named(now);
        }
        Ok(())
    }

    fn found(&mut self, path: &Path, config_at: usize, context: &Context) -> Result<(), InputError> {
        let Ok(meta) = fs::metadata(path) else { return Ok(()) };
        if !meta.is_file() {
            return Ok(());
        }
        let id = (meta.dev(), meta.ino());
        if let Some(tail) = self.tails.get_mut(&id) {
            tail.named = true;
            if tail.path() != path {
                debug!("file has a new name");
                tail.rename(path);
            }
            return Ok(());
        }
        if self.tails.len() >= FILES_MAX {
            if !self.warned_full {
                self.warned_full = true;
                context.counters.count_dropped(DropReason::TooManyFiles, 1);
                warn!(files_max = FILES_MAX, "too many files: some are not followed; name fewer in `path`");
            }
            return Ok(());
        }
        let key = key_of(id);
        let mark = context.marks.get(&*key).filter(|_| !self.scanned);
        let config = &self.configs[config_at];
        let format = Some(config.format.as_str()).filter(|&format| format != "auto").map(str::to_owned);
        let first_start = !self.scanned && !config.was_followed(&context.marks);
        let from_end = first_start && config.start == Start::End && context.mode == Mode::Follow;
        let reading = Reading { format, multiline: config.multiline, header: config.header };
        match Tail::open(path, id, key.clone(), mark, from_end, reading) {
            Ok(tail) => {
                info!(files = self.tails.len() + 1, "file followed");
                if from_end {
                    // Kept at once: after a crash the lines from here on must be read, not skipped again.
                    let mark = Mark { key, place: Some(tail.place()) };
                    context.sink.send(vec![Item {
                        source: Source::File,
                        payload: Payload::Nothing,
                        mark: Some(mark),
                    }])?;
                }
                self.tails.insert(id, tail);
            }
            Err(error) => debug!(%error, "file cannot be opened; it is tried again at the next scan"),
        }
        Ok(())
    }

    /// Files with a place that were renamed while the agent was away are looked for in their old folder.
    fn find_renamed(&mut self, context: &Context) -> Result<(), InputError> {
        for (key, place) in context.marks.iter() {
            let (Some(id), Place::File { path, .. }) = (id_of(key), place) else { continue };
            if self.tails.contains_key(&id) {
                continue;
            }
            let config_at =
                self.configs.iter().position(|config| config.path.iter().any(|pattern| covers(pattern, path)));
            let folder = Path::new(path).parent().unwrap_or(Path::new("/"));
            let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let renamed = entries
                .find(|entry| entry.metadata().is_ok_and(|meta| meta.is_file() && (meta.dev(), meta.ino()) == id));
            match (renamed, config_at) {
                (Some(entry), Some(config_at)) if Tail::is_same(&entry.path(), place) => {
                    self.found(&entry.path(), config_at, context)?;
                    if let Some(tail) = self.tails.get_mut(&id) {
                        tail.named = false;
                    }
                }
                _ => {
                    let mark = Mark { key: Arc::from(key.as_str()), place: None };
                    context.sink.send(vec![Item {
                        source: Source::File,
                        payload: Payload::Nothing,
                        mark: Some(mark),
                    }])?;
                }
            }
        }
        Ok(())
    }

    /// Reads every file a little further. Answers whether any of them has more.
    fn read_round(&mut self, context: &Context, buffer: &mut [u8]) -> Result<bool, InputError> {
        let mut sender = ChunkSender::new(&context.sink);
        let mut more = false;
        let mut closed = Vec::new();
        let now = Instant::now();
        for (&id, tail) in &mut self.tails {
            let found = tail.read(buffer, now, |tail_view, line| push_line(&mut sender, context, tail_view, line))?;
            match found {
                Found::More => more = true,
                Found::Nothing => {
                    let patience = if tail.is_deleted() { GONE_DELETED } else { GONE_RENAMED };
                    if tail.gone_for(now).is_some_and(|gone| gone >= patience) {
                        closed.push(id);
                    }
                }
            }
        }
        for id in closed {
            let Some(mut tail) = self.tails.remove(&id) else { continue };
            tail.finish(|tail_view, line| push_line(&mut sender, context, tail_view, line))?;
            let mark = Some(Mark { key: tail.key(), place: None });
            sender.push(Item { source: Source::File, payload: Payload::Nothing, mark })?;
            info!(files = self.tails.len(), "file closed");
        }
        sender.flush()?;
        Ok(more)
    }

    fn finish_all(&mut self, context: &Context) -> Result<(), InputError> {
        let mut sender = ChunkSender::new(&context.sink);
        for tail in self.tails.values_mut() {
            tail.finish(|tail_view, line| push_line(&mut sender, context, tail_view, line))?;
        }
        sender.flush()?;
        Ok(())
    }
}

impl Input for FileInput {
    fn name(&self) -> String {
        "file".to_owned()
    }

    fn run(&mut self, context: &Context) -> Result<(), InputError> {
        let mut buffer = vec![0; tail::READ_LEN];
        let mut scanned_at: Option<Instant> = None;
        loop {
            if scanned_at.is_none_or(|at| at.elapsed() >= SCAN_PAUSE) {
                self.scan(context)?;
                scanned_at = Some(Instant::now());
            }
            let more = self.read_round(context, &mut buffer)?;
            if more && !context.stop.is_cancelled() {
                continue;
            }
            if context.mode == Mode::Once {
                return self.finish_all(context);
            }
            if !wait(&context.stop, POLL_PAUSE) {
                return Ok(());
            }
        }
    }
}

/// A line's surroundings at the moment it is handed out.
pub(crate) struct LineAt<'a> {
    key: &'a Arc<str>,
    path: &'a str,
    format: Option<&'a str>,
    header: Option<Arc<str>>,
    /// Where the line starts.
    position: u64,
    place: Place,
}

fn push_line(
    sender: &mut ChunkSender<'_>,
    context: &Context,
    at: LineAt<'_>,
    line: super::Line,
) -> Result<(), InputError> {
    let mark = Some(Mark { key: at.key.clone(), place: Some(at.place) });
    if line.bytes.is_empty() {
        sender.push(Item { source: Source::File, payload: Payload::Nothing, mark })?;
        return Ok(());
    }
    let mut attributes = vec![
        (attribute::LOG_FILE_PATH, Value::from(at.path)),
        (attribute::LOG_FILE_OFFSET, Value::Integer(i64::try_from(at.position).unwrap_or(i64::MAX))),
    ];
    if let Some(format) = at.format {
        attributes.push((attribute::FORMAT, Value::from(format)));
    }
    if line.cut_len > 0 {
        context.counters.count_dropped(DropReason::LineTooLong, 1);
        attributes.push((attribute::TRUNCATED, Value::Bool(true)));
    }
    let entry =
        LogEntry { observed: Timestamp::now(), body: line.bytes, attributes, header: at.header, ..LogEntry::default() };
    sender.push(Item { source: Source::File, payload: Payload::Log(entry), mark })?;
    Ok(())
}

fn key_of((device, inode): FileId) -> Arc<str> {
    Arc::from(format!("file:{device:x}:{inode:x}"))
}

fn id_of(key: &str) -> Option<FileId> {
    let (device, inode) = key.strip_prefix("file:")?.split_once(':')?;
    Some((u64::from_str_radix(device, 16).ok()?, u64::from_str_radix(inode, 16).ok()?))
}

fn covers(pattern: &str, path: &str) -> bool {
    pattern == path || Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(path))
}
