//! What the writer and its readers know together: which segments there are and how far reading may go.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::reader::Reader;
use crate::segment::Codec;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) id: u64,
    pub(crate) codec: Codec,
    /// First sequence number of every segment, and the bytes in it; those of the last one are not kept up to date.
    pub(crate) segments: RwLock<BTreeMap<u64, u64>>,
    /// Last sequence number that readers may see.
    pub(crate) visible: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) gap_records: AtomicU64,
}

impl Shared {
    pub(crate) fn visible(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
    }

    /// The segment that holds `sequence`, or the oldest one if that has been released already.
    pub(crate) fn segment_for(&self, sequence: u64) -> Option<u64> {
        let segments = self.segments.read();
        let found = segments.range(..=sequence).next_back().or_else(|| segments.first_key_value());
        found.map(|(&first, _)| first)
    }

    /// First sequence number of the segment after the one that starts with `first`.
    pub(crate) fn segment_after(&self, first: u64) -> Option<u64> {
        self.segments.read().range(first + 1..).next().map(|(&next, _)| next)
    }

    pub(crate) fn first(&self) -> u64 {
        self.segments.read().first_key_value().map_or(1, |(&first, _)| first)
    }
}

/// A view of the log for other threads: makes readers and answers how full the log is.
#[derive(Clone, Debug)]
pub struct SpoolHandle {
    pub(crate) shared: Arc<Shared>,
}

impl SpoolHandle {
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// Reads from the first record after `after` that is still kept; 0 starts with the oldest.
    pub fn reader(&self, after: u64) -> Reader {
        Reader::new(self.shared.clone(), after)
    }

    /// Oldest sequence number that may still be kept.
    pub fn first(&self) -> u64 {
        self.shared.first()
    }

    /// Last sequence number that a reader can see; 0 if there is none yet.
    pub fn visible(&self) -> u64 {
        self.shared.visible()
    }

    /// Bytes on disk and waiting to be written.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Records that readers found damaged since the log was opened, each counted once per reader.
    pub fn gap_records(&self) -> u64 {
        self.shared.gap_records.load(Ordering::Relaxed)
    }
}
