//! MIB modules from a folder: `collector.snmp.mibs`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use canh_snmp::{Limits, Mibs};
use tracing::{info, warn};

/// The longest module, and the most modules.
const FILE_LEN_MAX: u64 = 4 << 20;
const FILES_MAX: usize = 4_096;
const ALL_LEN_MAX: u64 = 64 << 20;
/// Lines in the log about modules that cannot be read.
const WARNINGS_MAX: usize = 20;

/// Why names cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum MibError {
    #[error("cannot read the folder `{folder}` of MIB modules", folder = folder.display())]
    Folder { folder: PathBuf, source: io::Error },
    #[error("the folder `{folder}` of MIB modules has more than {FILES_MAX} files or {} MiB", ALL_LEN_MAX >> 20, folder = folder.display())]
    TooMany { folder: PathBuf },
}

/// The usual names, and those of the modules in a folder. What cannot be read of them is logged, and the rest is used.
pub fn load(folder: Option<&Path>) -> Result<Arc<Mibs>, MibError> {
    let Some(folder) = folder else { return Ok(Arc::default()) };
    let failed = |source| MibError::Folder { folder: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.len() > FILES_MAX {
        return Err(MibError::TooMany { folder: folder.to_owned() });
    }
    let mut texts = Vec::new();
    let mut left = ALL_LEN_MAX;
    for path in &paths {
        let shown = path.display();
        let len = fs::metadata(path).map_err(failed)?.len();
        if len > FILE_LEN_MAX {
            warn!(file = %shown, "left out: longer than {} MiB, so it is no MIB module", FILE_LEN_MAX >> 20);
            continue;
        }
        left = left.checked_sub(len).ok_or_else(|| MibError::TooMany { folder: folder.to_owned() })?;
        match fs::read(path) {
            // Descriptions are not always UTF-8; names are ASCII.
            Ok(bytes) => texts.push((shown.to_string(), String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) => warn!(file = %shown, %error, "MIB module left out"),
        }
    }
    let files = texts.iter().map(|(file, text)| (file.as_str(), text.as_str()));
    let (mibs, reading) = Mibs::read(files, &Limits::default());
    for unread in reading.unread.iter().take(WARNINGS_MAX) {
        warn!(folder = %folder.display(), "{unread}");
    }
    info!(folder = %folder.display(), modules = reading.modules, names = reading.names, unread = reading.unread.len(), "MIB modules read");
    Ok(Arc::new(mibs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_names_and_one_that_is_not_there_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let module = "ACME-MIB DEFINITIONS ::= BEGIN\nacme OBJECT IDENTIFIER ::= { enterprises 99999 }\nEND\n";
        fs::write(dir.path().join("acme.txt"), module).unwrap();
        fs::write(dir.path().join("readme"), [0xff, b'\n']).unwrap();
        fs::create_dir(dir.path().join("more")).unwrap();
        let mibs = load(Some(dir.path())).unwrap();
        assert_eq!(mibs.get(&[1, 3, 6, 1, 4, 1, 99_999]).map(|known| &*known.name), Some("acme"));
        let error = load(Some(&dir.path().join("nowhere"))).unwrap_err();
        assert!(error.to_string().contains("nowhere"), "{error}");
        assert!(!load(None).unwrap().is_empty());
    }
}
