//! A file on its way to the server: what it was when it was read, and reading it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use canh_schema::Timestamp;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::stat::FileStat;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::config::RootAt;
use super::known::PathKey;

/// Bytes that are read at once.
pub(super) const READ_LEN: usize = 128 * 1024;
/// Longest path that the server takes, in bytes.
const PATH_LEN_MAX: usize = 4_096;

/// What the system says of a file. Two that are equal mean that nobody wrote to it in between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FileState {
    pub(super) inode: u64,
    pub(super) size: u64,
    /// Seconds and nanoseconds; `changed` cannot be set by programs.
    pub(super) modified: (i64, i64),
    pub(super) changed: (i64, i64),
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl FileState {
    pub(super) fn of(stat: &FileStat) -> Self {
        Self {
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
        }
    }

    pub(super) fn of_open(file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Self {
            inode: meta.ino(),
            size: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            mode: meta.mode(),
            uid: meta.uid(),
            gid: meta.gid(),
        })
    }
}

pub(super) type Sha256Bytes = [u8; 32];

/// A file that was read, and that the server has not taken yet.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) root: RootAt,
    pub(super) path: PathBuf,
    pub(super) state: FileState,
    /// Name of the account, if it has one.
    pub(super) owner: String,
    pub(super) sha256: Sha256Bytes,
    pub(super) key: PathKey,
    /// Stands for `state` in the memory of files.
    pub(super) print: u64,
    pub(super) rank: Rank,
}

/// Which files go first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Rank {
    /// It is new, or changed.
    Fresh,
    /// It was there before, and the server has not seen it, or has other rules now.
    Backlog,
}

impl Item {
    /// 64 bits of the hash, never 0.
    pub(super) fn content(&self) -> u64 {
        content_of(&self.sha256)
    }

    pub(super) fn path_text(&self) -> String {
        let mut text = self.path.to_string_lossy().into_owned();
        if text.len() > PATH_LEN_MAX {
            let end = (0..=PATH_LEN_MAX).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            text.truncate(end);
        }
        text
    }

    pub(super) fn mode_text(&self) -> String {
        format!("{:04o}", self.state.mode & 0o7777)
    }

    pub(super) fn modified_text(&self) -> String {
        let (secs, nanos) = self.state.modified;
        Timestamp::from_nanos(secs.saturating_mul(1_000_000_000).saturating_add(nanos)).to_string()
    }

    /// As it is offered.
    pub(super) fn offer(&self) -> Value {
        json!({
            "sha256": hex(&self.sha256),
            "origin": {
                "path": self.path_text(),
                "owner": self.owner,
                "uid": self.state.uid,
                "gid": self.state.gid,
                "mode": self.mode_text(),
                "modified": self.modified_text(),
            },
        })
    }
}

pub(super) fn content_of(sha256: &Sha256Bytes) -> u64 {
    sha256.first_chunk().map_or(1, |bytes| u64::from_le_bytes(*bytes).max(1))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads a whole file for its hash, in pieces. `pace` is told how much comes next, and may stop it. `None` if the file
/// changed meanwhile, or is not the one that `state` was taken of.
pub(super) fn hash_file(
    file: &mut File,
    state: &FileState,
    buffer: &mut [u8],
    mut pace: impl FnMut(u64) -> io::Result<()>,
) -> io::Result<Option<Sha256Bytes>> {
    if FileState::of_open(file)? != *state {
        return Ok(None);
    }
    let mut hash = Sha256::new();
    let mut left = state.size;
    while left > 0 {
        pace(left.min(buffer.len() as u64))?;
        match file.read(buffer) {
            Ok(0) => return Ok(None),
            Ok(len) => {
                hash.update(&buffer[..len]);
                left = left.saturating_sub(len as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
    forget_pages(file);
    Ok((FileState::of_open(file)? == *state).then(|| hash.finalize().into()))
}

/// Nobody else may want these pages, so they need not push out those that somebody does. Only advice.
pub(super) fn forget_pages(file: &File) {
    let _ = posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn hash(path: &std::path::Path, state: &FileState, meanwhile: impl Fn()) -> Option<String> {
        let mut file = File::open(path).unwrap();
        let hashed = hash_file(&mut file, state, &mut [0; 4], |_| {
            meanwhile();
            Ok(())
        });
        hashed.unwrap().map(|hash| hex(&hash))
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_has_no_hash() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let write = |text: &str| {
            fs::write(&path, text).unwrap();
            FileState::of_open(&File::open(&path).unwrap()).unwrap()
        };
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let state = write("abc");
        assert_eq!(hash(&path, &state, || ()).as_deref(), Some(abc));
        assert_eq!(hash(&path, &state, || fs::write(&path, "abcd").unwrap()), None);
        assert_eq!(hash(&path, &state, || ()), None); // not as it was when it was found
        let state = write("abcdefgh");
        assert_eq!(hash(&path, &state, || fs::write(&path, "").unwrap()), None);
    }

    #[test]
    fn what_is_said_of_a_file() {
        let state = FileState {
            inode: 1,
            size: 3,
            modified: (1_790_000_000, 5),
            changed: (0, 0),
            mode: 0o104_755,
            uid: 33,
            gid: 34,
        };
        let root = RootAt { base: "/srv".into(), below: PathBuf::new() };
        let path = PathBuf::from(format!("/srv/{}é", "x".repeat(4_090)));
        let item = Item {
            root,
            path,
            state,
            owner: "www-data".to_owned(),
            sha256: [0xab; 32],
            key: PathKey::of_number(1),
            print: 1,
            rank: Rank::Fresh,
        };
        assert_eq!((item.path_text().len(), item.mode_text().as_str()), (4_095, "4755"));
        assert_eq!(item.modified_text(), "2026-09-21T14:13:20.000000005Z");
        assert_eq!(item.offer()["origin"]["uid"], 33);
        assert_eq!(item.offer()["sha256"], "ab".repeat(32));
    }
}
