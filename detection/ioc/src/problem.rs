//! What is wrong with a list, and what became of it. A broken row is named and never stops the others.

use std::fmt;

use canh_schema::Timestamp;

use crate::kind::IndicatorKind;

/// Problems of one file that are kept; the others are counted.
pub(crate) const PROBLEMS_PER_FILE_MAX: usize = 100;
/// Problems kept of all files together.
pub(crate) const PROBLEMS_MAX: usize = 10_000;

/// Where in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// The file as a whole.
    File,
    /// Counted from 1.
    Line(u64),
    /// Path in JSON, for example `objects[3].pattern`.
    Path(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("the whole file"),
            Self::Line(line) => write!(f, "line {line}"),
            Self::Path(path) => f.write_str(path),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProblemKind {
    /// The row cannot be read or cannot be held.
    Error,
    /// The row is fine and was left out on purpose: it is on the allow-list.
    Allowed,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    pub file: String,
    pub place: Place,
    pub kind: ProblemKind,
    /// What it is, in a few words; may quote the list, so it is hostile where it is shown.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        match &self.place {
            Place::File => (),
            Place::Line(line) => write!(f, ":{line}")?,
            Place::Path(path) => write!(f, ": {path}")?,
        }
        write!(f, ": {}", self.reason)
    }
}

/// One file that was read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FileReport {
    pub file: String,
    /// Name of the format, empty if there is none that fits.
    pub format: &'static str,
    /// Indicators taken, those that were known included.
    pub taken: u64,
    /// Rows that cannot be read.
    pub errors: u64,
    /// Rows left out because of the allow-list.
    pub allowed: u64,
    /// Rows that are not meant for detection: `to_ids` is false, revoked, deleted, of another type of object.
    pub skipped: u64,
}

/// What became of all files.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    pub files: Vec<FileReport>,
    pub problems: Vec<Problem>,
    /// Problems beyond those kept.
    pub problems_more: u64,
    /// Rows whose value was known in the same list; what they say was merged.
    pub duplicates: u64,
    /// Indicators taken without their description because the memory for texts is used up.
    pub texts_dropped: u64,
}

impl Report {
    pub fn errors(&self) -> u64 {
        self.files.iter().map(|file| file.errors).sum()
    }

    pub fn allowed(&self) -> u64 {
        self.files.iter().map(|file| file.allowed).sum()
    }

    pub fn skipped(&self) -> u64 {
        self.files.iter().map(|file| file.skipped).sum()
    }

    pub(crate) fn note(&mut self, place: Place, kind: ProblemKind, reason: String) {
        let Some(file) = self.files.last_mut() else { return };
        match kind {
            ProblemKind::Error => file.errors += 1,
            ProblemKind::Allowed => file.allowed += 1,
        }
        let of_file = usize::try_from(file.errors + file.allowed).unwrap_or(usize::MAX);
        if of_file > PROBLEMS_PER_FILE_MAX || self.problems.len() >= PROBLEMS_MAX {
            self.problems_more += 1;
            return;
        }
        self.problems.push(Problem { file: file.file.clone(), place, kind, reason });
    }
}

/// How many indicators of a kind there are, and how many have expired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KindCount {
    pub kind: IndicatorKind,
    pub count: u64,
    pub expired: u64,
}

/// Seconds since 1970 in four bytes; 0 is "not said". Reaches the year 2106.
pub(crate) fn pack_time(at: Option<Timestamp>) -> u32 {
    at.map_or(0, |at| u32::try_from(at.secs().max(1)).unwrap_or(0))
}

pub(crate) fn unpack_time(packed: u32) -> Option<Timestamp> {
    (packed != 0).then(|| Timestamp::from_secs(i64::from(packed)))
}
