//! Opening: the lock, the id, the list of segments, and what a crash left in the last one.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::cursor::{sync_dir, write_atomically};
use crate::disk::Disk;
use crate::error::{Doing, SpoolError};
use crate::segment::{self, Codec, HEADER_LEN, Parsed, RECORD_HEADER_LEN};
use crate::spool::{Active, DamagedRange, Recovery};

pub(crate) fn lock(dir: &Path) -> Result<File, SpoolError> {
    let path = dir.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).doing("open", &path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SpoolError::Locked { path: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(error).doing("lock", &path),
    }
}

pub(crate) fn list_segments(dir: &Path) -> Result<BTreeMap<u64, u64>, SpoolError> {
    let mut segments = BTreeMap::new();
    for entry in fs::read_dir(dir).doing("list folder", dir)? {
        let entry = entry.doing("list folder", dir)?;
        if let Some(first) = entry.file_name().to_str().and_then(segment::first_of) {
            let len = entry.metadata().doing("look at", &entry.path())?.len();
            segments.insert(first, len);
        }
    }
    Ok(segments)
}

/// The log's number. A log without segments gets a new one, because its record numbers start again.
pub(crate) fn load_id(dir: &Path, segments: &BTreeMap<u64, u64>) -> Result<u64, SpoolError> {
    let path = dir.join("id");
    if !segments.is_empty() {
        let kept = fs::read_to_string(&path).ok();
        if let Some(id) = kept.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()) {
            return Ok(id);
        }
        for &first in segments.keys().rev() {
            let header = File::open(segment::path_of(dir, first)).ok().and_then(|file| segment::read_header(&file));
            if let Some((id, _)) = header {
                write_atomically(&path, format!("{id:016x}\n").as_bytes())?;
                return Ok(id);
            }
        }
        warn!(dir = %dir.display(), "log has lost its id: its records cannot be read");
    }
    let id = rand::random::<u64>();
    write_atomically(&path, format!("{id:016x}\n").as_bytes())?;
    Ok(id)
}

/// The last segment after recovery. Without `active` it is left as it is and a new one starts with `next`.
pub(crate) struct Tail {
    pub(crate) active: Option<Active>,
    pub(crate) next: u64,
}

pub(crate) fn recover_tail(dir: &Path, first: u64, codec: &Codec, recovery: &mut Recovery) -> Result<Tail, SpoolError> {
    let path = segment::path_of(dir, first);
    let file = OpenOptions::new().read(true).write(true).open(&path).doing("open segment", &path)?;
    let len = file.metadata().doing("look at", &path)?.len();
    let mut next = first;
    let mut end = HEADER_LEN as u64;
    if len < end {
        recovery.torn_bytes += len;
        let id_header = segment::header(read_id(dir)?, first);
        let disk = Disk::new(file);
        disk.truncate(0).doing("cut unfinished write off", &path)?;
        disk.write_all_at(&id_header, 0).doing("write segment", &path)?;
        disk.sync().doing("sync segment", &path)?;
        return Ok(Tail { active: Some(active(first, path, disk, HEADER_LEN as u64)), next });
    }
    while let Some((sequence, record_len)) = read_record(&file, end, len, codec).doing("read segment", &path)? {
        if sequence != next {
            break;
        }
        next += 1;
        end += record_len;
    }
    // Whole records behind the damage: not an unfinished write. Keep the file for the reader and number on behind it.
    let mut after = end;
    let mut high = next;
    let mut damaged = false;
    while let Some((offset, sequence)) =
        codec.search(&file, after, high, high.saturating_add(len)).doing("read segment", &path)?
    {
        if sequence > high {
            recovery.damaged.push(DamagedRange { first: high, last: sequence - 1, path: path.clone() });
        }
        damaged = true;
        (after, high) = (offset, sequence);
        while let Some((found, record_len)) = read_record(&file, after, len, codec).doing("read segment", &path)? {
            if found != high {
                break;
            }
            high += 1;
            after += record_len;
        }
        if after >= len {
            break;
        }
    }
    if damaged {
        // What follows the last whole record may be records too; none of their numbers is used again.
        let most = (len - after).div_ceil(RECORD_HEADER_LEN as u64);
        if most > 0 {
            recovery.damaged.push(DamagedRange { first: high, last: high + most - 1, path: path.clone() });
        }
        warn!(path = %path.display(), ranges = recovery.damaged.len(), "log is damaged; reading skips the ranges");
        return Ok(Tail { active: None, next: high + most });
    }
    let disk = Disk::new(file);
    if end < len {
        recovery.torn_bytes += len - end;
        disk.truncate(end).doing("cut unfinished write off", &path)?;
        disk.sync().doing("sync segment", &path)?;
    }
    Ok(Tail { active: Some(active(first, path, disk, end)), next })
}

fn read_id(dir: &Path) -> Result<u64, SpoolError> {
    let path = dir.join("id");
    let text = fs::read_to_string(&path).doing("read", &path)?;
    u64::from_str_radix(text.trim(), 16).map_err(io::Error::other).doing("read", &path)
}

fn active(first: u64, path: PathBuf, disk: Disk, len: u64) -> Active {
    Active { first, path, disk, durable_len: len, written_len: len, buffer: Vec::new(), counted_len: len }
}

/// Number and encoded length of the record at `offset`, if there is a whole one.
fn read_record(file: &File, offset: u64, file_len: u64, codec: &Codec) -> io::Result<Option<(u64, u64)>> {
    let mut bytes = vec![0; RECORD_HEADER_LEN];
    loop {
        let read = segment::read_up_to(file, &mut bytes, offset)?;
        match codec.parse(&bytes[..read]) {
            Parsed::Whole { sequence, len } => return Ok(Some((sequence, (RECORD_HEADER_LEN + len) as u64))),
            Parsed::Short { need } if need > read && offset + need as u64 <= file_len => bytes.resize(need, 0),
            _ => return Ok(None),
        }
    }
}

/// Makes an empty segment that survives a power cut.
pub(crate) fn create_segment(dir: &Path, id: u64, first: u64) -> Result<Active, SpoolError> {
    let path = segment::path_of(dir, first);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .doing("create segment", &path)?;
    let disk = Disk::new(file);
    let made = disk
        .write_all_at(&segment::header(id, first), 0)
        .and_then(|()| disk.sync())
        .doing("create segment", &path)
        .and_then(|()| sync_dir(dir));
    if let Err(error) = made {
        let _ = fs::remove_file(&path);
        return Err(error);
    }
    Ok(active(first, path, disk, HEADER_LEN as u64))
}
