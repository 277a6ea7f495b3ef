//! Reads records in order, on any thread, while the writer goes on.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::{Doing, SpoolError};
use crate::segment::{self, Codec, HEADER_LEN, Parsed, RECORD_HEADER_LEN};
use crate::shared::Shared;

const CHUNK_LEN: usize = 256 * 1024;

/// One record, as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub sequence: u64,
    pub payload: Vec<u8>,
}

/// A place in the log. Holds its own file handle, so a segment that is released meanwhile can still be read to its end.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    /// Number of the record that is read next.
    next: u64,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    first: u64,
    path: PathBuf,
    file: File,
    /// Where the next record starts in the file.
    offset: u64,
    /// Bytes of the file from `offset - at`.
    buffer: Vec<u8>,
    at: usize,
    /// Records up to this number were visible when `buffer` was filled; later bytes may have been rewritten since.
    trusted: u64,
    /// Least number that the record at `offset` can have.
    expected: u64,
    /// Damage was met and `offset` is not the start of a record.
    lost: bool,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, after: u64) -> Self {
        Self { shared, next: after.saturating_add(1), open: None }
    }

    /// The next visible record, or `None` if there is none yet.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Gap`] once for each damaged range; the call after that goes on behind it.
    /// [`SpoolError::Io`] if the disk cannot be read; the place is kept.
    #[allow(clippy::should_implement_trait)] // an iterator could not answer `None` and go on later
    pub fn next(&mut self) -> Result<Option<Record>, SpoolError> {
        loop {
            if let Some((sequence, place)) = self.step()? {
                if sequence < self.next {
                    continue; // passed on the way to the wanted place
                }
                let payload = self.open.as_ref().and_then(|open| open.buffer.get(place)).unwrap_or_default().to_vec();
                self.next = sequence + 1;
                return Ok(Some(Record { sequence, payload }));
            }
            if self.next > self.shared.visible() {
                return Ok(None);
            }
        }
    }

    /// Goes to the first record after `after`.
    pub fn seek(&mut self, after: u64) {
        let next = after.saturating_add(1);
        let stays = next >= self.next && self.open.as_ref().map(|open| open.first) == self.shared.segment_for(next);
        if !stays {
            self.open = None;
        }
        self.next = next;
    }

    /// Number of the last record that was read, or the place given to `seek`.
    pub fn position(&self) -> u64 {
        self.next - 1
    }

    /// Moves by one record or to another segment: its number and its payload's place in the buffer.
    ///
    /// `None` means: nothing here, look again.
    fn step(&mut self) -> Result<Option<(u64, Range<usize>)>, SpoolError> {
        let sealed_by = self.open.as_ref().and_then(|open| self.shared.segment_after(open.first));
        // Read after `sealed_by`: everything in a sealed segment is visible by then.
        let visible = self.shared.visible();
        if self.next > visible {
            return Ok(None);
        }
        if self.open.is_none() || sealed_by.is_some_and(|next_first| self.next >= next_first) {
            self.open_segment()?;
            return Ok(None);
        }
        let high = sealed_by.map_or(visible, |next_first| next_first - 1);
        let Some(open) = self.open.as_mut() else { return Ok(None) };
        if open.trusted < open.expected {
            open.forget_buffer(visible);
        }
        let found = if open.lost { None } else { open.parse(&self.shared.codec)? };
        let (sequence, len) = match found {
            Some((sequence, len)) if (open.expected..=high).contains(&sequence) => (sequence, len),
            _ => {
                self.search(high, visible)?;
                return Ok(None);
            }
        };
        open.expected = sequence;
        if sequence > self.next {
            return Err(self.gap_before(sequence));
        }
        let start = open.at + RECORD_HEADER_LEN;
        open.expected += 1;
        open.offset += (RECORD_HEADER_LEN + len) as u64;
        open.at = start + len;
        Ok(Some((sequence, start..start + len)))
    }

    fn open_segment(&mut self) -> Result<(), SpoolError> {
        let Some(first) = self.shared.segment_for(self.next) else { return Ok(()) };
        let path = segment::path_of(&self.shared.dir, first);
        let file = match File::open(&path) {
            Ok(file) => file,
            // Released between the look-up and the opening: the next look-up finds a later one.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && self.shared.segment_for(self.next) != Some(first) =>
            {
                return Ok(());
            }
            Err(error) => return Err(error).doing("open segment", &path),
        };
        self.next = self.next.max(first);
        self.open = Some(Open {
            first,
            path,
            file,
            offset: HEADER_LEN as u64,
            buffer: Vec::new(),
            at: 0,
            trusted: 0,
            expected: first,
            lost: false,
        });
        Ok(())
    }

    /// After damage: finds the next whole record of this segment and reports what lies between.
    fn search(&mut self, high: u64, visible: u64) -> Result<(), SpoolError> {
        let Some(open) = self.open.as_mut() else { return Ok(()) };
        let found =
            self.shared.codec.search(&open.file, open.offset, open.expected, high).doing("read segment", &open.path)?;
        open.lost = found.is_none();
        open.expected = high + 1;
        if let Some((offset, sequence)) = found {
            open.offset = offset;
            open.expected = sequence;
            open.forget_buffer(visible);
        }
        let resume = open.expected;
        // Damage before the wanted place is nobody's loss.
        if resume > self.next { Err(self.gap_before(resume)) } else { Ok(()) }
    }

    /// Counts the records from the wanted one up to the one before `resume` as damaged, and goes on with `resume`.
    fn gap_before(&mut self, resume: u64) -> SpoolError {
        let path = self.open.as_ref().map(|open| open.path.clone()).unwrap_or_default();
        let gap = SpoolError::Gap { first: self.next, last: resume - 1, path };
        self.shared.gap_records.fetch_add(resume - self.next, Ordering::Relaxed);
        self.next = resume;
        gap
    }
}

impl Open {
    fn forget_buffer(&mut self, visible: u64) {
        self.buffer.clear();
        self.at = 0;
        self.trusted = visible;
    }

    /// The record at `offset`: its number and its length. `None` if there is no whole record.
    fn parse(&mut self, codec: &Codec) -> Result<Option<(u64, usize)>, SpoolError> {
        loop {
            let need = match codec.parse(&self.buffer[self.at..]) {
                Parsed::Whole { sequence, len } => return Ok(Some((sequence, len))),
                Parsed::Bad => return Ok(None),
                Parsed::Short { need } => need,
            };
            self.buffer.drain(..self.at);
            self.at = 0;
            let kept = self.buffer.len();
            self.buffer.resize(need.max(CHUNK_LEN), 0);
            let read = segment::read_up_to(&self.file, &mut self.buffer[kept..], self.offset + kept as u64);
            self.buffer.truncate(kept + read.as_ref().copied().unwrap_or(0));
            read.doing("read segment", &self.path)?;
            if self.buffer.len() < need {
                return Ok(None);
            }
        }
    }
}
