//! The writer: opens a log, appends in groups, makes groups durable, releases old segments.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use tracing::warn;

use crate::disk::Disk;
use crate::error::{Doing, SpoolError};
use crate::reader::Reader;
use crate::recover::{Tail, create_segment, list_segments, load_id, lock, recover_tail};
use crate::segment::{self, Codec, HEADER_LEN, RECORD_HEADER_LEN};
use crate::shared::{Shared, SpoolHandle};

/// Bytes of one group that are held in memory before they are written ahead of `sync`.
const GROUP_BUFFER_LEN: usize = 4 * 1024 * 1024;
/// An active segment whose records are all released is replaced by an empty one when it is at least this long.
const RELEASE_ACTIVE_LEN: u64 = 1024 * 1024;

/// Where the log is and how large it may grow. All sizes are in bytes.
#[derive(Clone, Debug)]
pub struct SpoolConfig {
    pub dir: PathBuf,
    /// A segment is closed after the group that reaches this size. At most a quarter of `bytes_max` is used.
    pub segment_max: u64,
    /// Size of all segments together. When it is reached, `append` answers [`SpoolError::Full`].
    pub bytes_max: u64,
    /// Longest payload of one record.
    pub record_max: u32,
}

/// Which records a reader sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Visible {
    /// Only what survives a power cut.
    #[default]
    Durable,
    /// Also what was written by [`Spool::flush`]. If a later `sync` fails, such records are gone from the disk and their
    /// numbers are not used again.
    Written,
}

/// A range of records that is known to be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRange {
    pub first: u64,
    pub last: u64,
    pub path: PathBuf,
}

/// What was found when the log was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The log did not exist.
    pub created: bool,
    /// Bytes of an unfinished write that were cut off at the end.
    pub torn_bytes: u64,
    /// Damage in the last segment. Damage in earlier ones is found when they are read.
    pub damaged: Vec<DamagedRange>,
    /// Oldest sequence number kept, and the last one; `last` is `first - 1` if there is no record.
    pub first: u64,
    pub last: u64,
}

/// The one writer of a log.
#[derive(Debug)]
pub struct Spool {
    config: SpoolConfig,
    shared: Arc<Shared>,
    visible: Visible,
    active: Active,
    next: u64,
    durable: u64,
    /// A failed write could not be undone yet; it is tried again before anything else is written.
    dirty: bool,
    _lock: File,
}

#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) first: u64,
    pub(crate) path: PathBuf,
    pub(crate) disk: Disk,
    /// Length of the file up to the last durable record, and up to the last whole write.
    pub(crate) durable_len: u64,
    pub(crate) written_len: u64,
    /// Encoded records that are not written yet.
    pub(crate) buffer: Vec<u8>,
    /// Length that is in the shared figure.
    pub(crate) counted_len: u64,
}

impl Active {
    fn len(&self) -> u64 {
        self.written_len + self.buffer.len() as u64
    }

    fn has_group(&self) -> bool {
        self.len() > self.durable_len
    }
}

impl Spool {
    /// Opens the log in `config.dir`, or makes it. Reads the last segment only.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Locked`] if another `Spool` has it open, [`SpoolError::Io`] if the folder cannot be used. Damaged
    /// records are not an error; they are in [`Recovery`].
    pub fn open(mut config: SpoolConfig) -> Result<(Self, Recovery), SpoolError> {
        config.segment_max = config.segment_max.min(config.bytes_max / 4).max(HEADER_LEN as u64 + 1);
        let dir = config.dir.clone();
        fs::create_dir_all(&dir).doing("create folder", &dir)?;
        let lock = lock(&dir)?;

        let mut segments = list_segments(&dir)?;
        let created = segments.is_empty();
        let id = load_id(&dir, &segments)?;
        let codec = Codec::new(id, config.record_max);

        // A crash while a segment was being made leaves a last file that is shorter than its header.
        while let Some((&first, &len)) = segments.last_key_value()
            && len < HEADER_LEN as u64
            && segments.len() > 1
        {
            let path = segment::path_of(&dir, first);
            fs::remove_file(&path).doing("remove unfinished segment", &path)?;
            segments.remove(&first);
        }

        let mut recovery = Recovery { created, ..Recovery::default() };
        let tail = match segments.last_key_value() {
            Some((&first, _)) => Some(recover_tail(&dir, first, &codec, &mut recovery)?),
            None => None,
        };
        let (active, next) = match tail {
            Some(Tail { active: Some(active), next }) => (active, next),
            Some(Tail { active: None, next }) => (create_segment(&dir, id, next)?, next),
            None => (create_segment(&dir, id, 1)?, 1),
        };
        segments.insert(active.first, active.durable_len);

        recovery.first = segments.first_key_value().map_or(next, |(&first, _)| first);
        recovery.last = next - 1;
        let bytes = segments.values().sum();
        let shared = Shared {
            dir,
            id,
            codec,
            segments: RwLock::new(segments),
            visible: AtomicU64::new(next - 1),
            bytes: AtomicU64::new(bytes),
            gap_records: AtomicU64::new(0),
        };
        let spool = Self {
            config,
            shared: Arc::new(shared),
            visible: Visible::Durable,
            active,
            next,
            durable: next - 1,
            dirty: false,
            _lock: lock,
        };
        Ok((spool, recovery))
    }

    /// Random number made when the log was created.
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// Chooses which records readers see; [`Visible::Durable`] unless this is called.
    pub fn set_visible(&mut self, visible: Visible) {
        self.visible = visible;
    }

    /// Adds a record made of `parts` to the present group and answers its sequence number. Not durable before `sync`.
    ///
    /// # Errors
    ///
    /// After any error this record is not in the log, and everything before it is as it was.
    pub fn append(&mut self, parts: &[&[u8]]) -> Result<u64, SpoolError> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let record_max = self.config.record_max;
        let len =
            u32::try_from(len).ok().filter(|&len| len <= record_max).ok_or(SpoolError::TooLarge { len, record_max })?;
        let grows = (RECORD_HEADER_LEN as u64) + u64::from(len);
        let bytes = self.bytes();
        if bytes + grows > self.config.bytes_max {
            return Err(SpoolError::Full { bytes, bytes_max: self.config.bytes_max });
        }
        self.undo_failed_write()?;
        if !self.active.has_group() && self.active.durable_len >= self.config.segment_max {
            self.roll(self.next)?;
        }
        if self.active.buffer.len() >= GROUP_BUFFER_LEN {
            self.write_buffer()?;
        }
        let sequence = self.next;
        self.shared.codec.encode(sequence, parts, len, &mut self.active.buffer);
        self.next += 1;
        self.count_active();
        Ok(sequence)
    }

    /// Writes the group so far without making it durable. Readers see it if [`Visible::Written`] is set.
    pub fn flush(&mut self) -> Result<(), SpoolError> {
        self.undo_failed_write()?;
        self.write_buffer()?;
        if self.visible == Visible::Written {
            self.shared.visible.store(self.next - 1, Ordering::Release);
        }
        Ok(())
    }

    /// Makes every appended record durable and answers the last durable sequence number.
    ///
    /// # Errors
    ///
    /// On an error the whole group since the last successful `sync` is taken back: none of it is in the log, and the
    /// log can be used again.
    pub fn sync(&mut self) -> Result<u64, SpoolError> {
        self.undo_failed_write()?;
        if !self.active.has_group() {
            return Ok(self.durable);
        }
        let result =
            self.write_buffer().and_then(|()| self.active.disk.sync().doing("sync segment", &self.active.path));
        if let Err(error) = result {
            self.take_back_group();
            return Err(error);
        }
        self.active.durable_len = self.active.written_len;
        self.durable = self.next - 1;
        self.shared.visible.store(self.durable, Ordering::Release);
        Ok(self.durable)
    }

    /// Oldest sequence number that may still be kept.
    pub fn first(&self) -> u64 {
        self.shared.first()
    }

    /// Last sequence number given out; 0 if the log has never held a record.
    pub fn last(&self) -> u64 {
        self.next - 1
    }

    /// Last sequence number that survives a power cut.
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// Bytes on disk and waiting to be written.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Deletes the segments whose records are all at or below `through`. Answers the bytes that this made free.
    pub fn release(&mut self, through: u64) -> Result<u64, SpoolError> {
        let through = through.min(self.durable);
        let active_is_old = through == self.durable && !self.active.has_group() && !self.dirty;
        let large_enough = RELEASE_ACTIVE_LEN.min(self.config.segment_max);
        if active_is_old && self.active.durable_len >= large_enough && self.next > self.active.first {
            self.roll(self.next)?;
        }
        let mut freed = 0;
        loop {
            let oldest = {
                let segments = self.shared.segments.read();
                let mut iter = segments.iter();
                match (iter.next(), iter.next()) {
                    (Some((&first, &len)), Some((&next_first, _))) if next_first <= through + 1 => Some((first, len)),
                    _ => None,
                }
            };
            let Some((first, len)) = oldest else { break };
            let path = segment::path_of(&self.shared.dir, first);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).doing("remove segment", &path);
                }
                _ => (),
            }
            self.shared.segments.write().remove(&first);
            self.shared.bytes.fetch_sub(len, Ordering::Relaxed);
            freed += len;
        }
        Ok(freed)
    }

    /// Makes sure that the next record gets a number above `through`.
    ///
    /// Somebody who kept a cursor calls this after `open`: if damage cut off records that the cursor has passed, their
    /// numbers must not be used for other records. The numbers left out are a gap to readers.
    pub fn advance_past(&mut self, through: u64) -> Result<(), SpoolError> {
        if through < self.next {
            return Ok(());
        }
        self.sync()?;
        warn!(from = self.next, to = through, "log numbers skipped: records after a cursor's place are missing");
        self.roll(through + 1)?;
        self.next = through + 1;
        self.durable = through;
        self.shared.visible.store(through, Ordering::Release);
        Ok(())
    }

    /// Reads from the first record after `after` that is still kept; 0 starts with the oldest.
    pub fn reader(&self, after: u64) -> Reader {
        Reader::new(self.shared.clone(), after)
    }

    /// For threads that make their own readers.
    pub fn handle(&self) -> SpoolHandle {
        SpoolHandle { shared: self.shared.clone() }
    }

    /// Starts a segment with `first`. The present one is durable to its end.
    fn roll(&mut self, first: u64) -> Result<(), SpoolError> {
        if self.active.first == first {
            return Ok(());
        }
        let active = create_segment(&self.shared.dir, self.shared.id, first)?;
        let sealed = std::mem::replace(&mut self.active, active);
        let len = self.active.durable_len;
        let mut segments = self.shared.segments.write();
        segments.insert(sealed.first, sealed.counted_len);
        segments.insert(first, len);
        drop(segments);
        self.shared.bytes.fetch_add(len, Ordering::Relaxed);
        Ok(())
    }

    fn write_buffer(&mut self) -> Result<(), SpoolError> {
        let active = &mut self.active;
        if active.buffer.is_empty() {
            return Ok(());
        }
        if let Err(error) = active.disk.write_all_at(&active.buffer, active.written_len) {
            self.dirty = true;
            let path = self.active.path.clone();
            // What was half written must not stay: free its space now if possible, else before the next write.
            let _ = self.undo_failed_write();
            return Err(error).doing("write segment", &path);
        }
        active.written_len += active.buffer.len() as u64;
        active.buffer.clear();
        if active.buffer.capacity() > GROUP_BUFFER_LEN {
            active.buffer = Vec::new();
        }
        Ok(())
    }

    fn undo_failed_write(&mut self) -> Result<(), SpoolError> {
        if self.dirty {
            let active = &self.active;
            active.disk.truncate(active.written_len).doing("cut unfinished write off", &active.path)?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Forgets every record after the last durable one.
    fn take_back_group(&mut self) {
        self.active.buffer = Vec::new();
        self.active.written_len = self.active.durable_len;
        self.dirty = true;
        if self.undo_failed_write().is_err() {
            warn!("the log could not be cut back to its last durable record; it is tried again before the next write");
        }
        self.count_active();
        let seen = self.shared.visible();
        if seen > self.durable {
            // Readers have seen these numbers (`Visible::Written`), so they are left out rather than used again.
            let first = self.next;
            if self.roll(first).is_ok() {
                self.durable = first - 1;
            }
        }
        self.next = self.durable + 1;
        self.shared.visible.store(self.durable, Ordering::Release);
    }

    /// Brings the size of the active segment into the shared figure.
    fn count_active(&mut self) {
        let (before, len) = (self.active.counted_len, self.active.len());
        self.active.counted_len = len;
        if len >= before {
            self.shared.bytes.fetch_add(len - before, Ordering::Relaxed);
        } else {
            self.shared.bytes.fetch_sub(before - len, Ordering::Relaxed);
        }
    }

    #[cfg(test)]
    pub(crate) fn limit_disk(&mut self, bytes: Option<u64>) {
        self.active.disk.set_limit(bytes);
    }
}
