//! Why the log could not do what it was asked.

use std::io;
use std::path::{Path, PathBuf};

/// Why a log call failed.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("cannot {doing} `{}`", .path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },

    #[error("`{}` is open in another process; stop it or use another folder", .path.display())]
    Locked { path: PathBuf },

    #[error("log is full: {bytes} of {bytes_max} bytes; it takes records again once older ones are released")]
    Full { bytes: u64, bytes_max: u64 },

    #[error("record of {len} bytes is longer than the limit of {record_max} bytes")]
    TooLarge { len: usize, record_max: u32 },

    #[error("records {first} to {last} in `{}` are damaged and were skipped", .path.display())]
    Gap { first: u64, last: u64, path: PathBuf },

    #[error("`{}` is not a cursor file; delete it to start from the oldest record", .path.display())]
    BadCursor { path: PathBuf },
}

impl SpoolError {
    /// Whether waiting and trying again may help: the log is full, or the disk is.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
            ),
            _ => false,
        }
    }
}

/// Adds what was being done, and where, to the operating system's words.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str, path: &Path) -> Result<T, SpoolError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: &'static str, path: &Path) -> Result<T, SpoolError> {
        self.map_err(|source| SpoolError::Io { doing, path: path.to_owned(), source })
    }
}
