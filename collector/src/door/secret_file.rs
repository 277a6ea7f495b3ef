//! Secrets of doors in files of their own, so that they stand neither in the configuration nor in the journal.

use std::fs;
use std::path::Path;

/// A file that is longer than this holds no secret.
const LEN_MAX: u64 = 4_096;

/// The text of the file without the white space around it. The error says what is wrong with the file.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("cannot be read ({error})");
    if fs::metadata(path).map_err(cannot)?.len() > LEN_MAX {
        return Err(format!("is longer than {LEN_MAX} bytes"));
    }
    let text = fs::read_to_string(path).map_err(cannot)?;
    match text.trim() {
        "" => Err("is empty".to_owned()),
        secret => Ok(secret.to_owned()),
    }
}
