//! A small file with one number in it: how far somebody has come. Written whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Doing, SpoolError};

/// A durable `u64`, kept in a text file of its own: the number and its checksum.
#[derive(Debug)]
pub struct CursorFile {
    path: PathBuf,
    value: u64,
}

impl CursorFile {
    /// Opens or makes the file; a new one holds 0.
    ///
    /// # Errors
    ///
    /// [`SpoolError::BadCursor`] if the file holds anything but a cursor.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, SpoolError> {
        let path = path.into();
        let value = match fs::read(&path) {
            Ok(bytes) => parse(&bytes).ok_or_else(|| SpoolError::BadCursor { path: path.clone() })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error).doing("read cursor", &path),
        };
        Ok(Self { path, value })
    }

    /// The number as it was last stored or opened.
    pub fn load(&self) -> u64 {
        self.value
    }

    /// Writes `value` so that it survives a power cut; the old value stays if this fails.
    pub fn store(&mut self, value: u64) -> Result<(), SpoolError> {
        if value == self.value && self.path.exists() {
            return Ok(());
        }
        write_atomically(&self.path, text(value).as_bytes())?;
        self.value = value;
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn text(value: u64) -> String {
    format!("{value} {:08x}\n", crc32fast::hash(&value.to_le_bytes()))
}

fn parse(bytes: &[u8]) -> Option<u64> {
    let (digits, _) = str::from_utf8(bytes).ok()?.split_once(' ')?;
    let value = digits.parse().ok()?;
    (text(value).as_bytes() == bytes).then_some(value)
}

/// Writes a file beside `path`, makes it durable and renames it over `path`: the old content or the new, never a part.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), SpoolError> {
    let beside = path.with_extension("tmp");
    let mut file = File::create(&beside).doing("create", &beside)?;
    file.write_all(bytes).doing("write", &beside)?;
    file.sync_all().doing("sync", &beside)?;
    fs::rename(&beside, path).doing("replace", path)?;
    match path.parent() {
        Some(dir) => sync_dir(dir),
        None => Ok(()),
    }
}

pub(crate) fn sync_dir(dir: &Path) -> Result<(), SpoolError> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir).and_then(|file| file.sync_all()).doing("sync folder", dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Option<u64>) {
        assert_eq!(parse(bytes), expected, "bytes: {:?}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn only_a_whole_cursor_is_read() {
        check(text(0).as_bytes(), Some(0));
        check(text(u64::MAX).as_bytes(), Some(u64::MAX));
        check(b"", None);
        check(b"12", None);
        check(b"12 00000000\n", None);
        check(format!("0{}", text(7)).as_bytes(), None);
        check(&text(7).as_bytes()[..5], None);
        check(&[0xff, b' ', b'1'], None);
    }

    #[test]
    fn a_stored_value_is_there_after_opening_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("acked");
        let mut cursor = CursorFile::open(&path).unwrap();
        assert_eq!(cursor.load(), 0);
        cursor.store(41).unwrap();
        cursor.store(42).unwrap();
        assert_eq!(CursorFile::open(&path).unwrap().load(), 42);
        fs::write(&path, "junk").unwrap();
        assert!(matches!(CursorFile::open(&path), Err(SpoolError::BadCursor { .. })));
    }
}
