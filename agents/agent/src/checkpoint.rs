//! Where each source has been read to, kept so that a crash at any moment neither loses nor doubles a record.
//!
//! A spool record holds a batch *and* the places that its sources have been read to: both become durable in the same
//! write, or neither does. Now and then all places are written to a snapshot that names the last spool record in it.
//! After a start the places are: the snapshot, then what the later spool records say. Segments of the spool are
//! released only up to the snapshot, so nothing between the two can be missing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use canh_spool::{Spool, SpoolError, write_atomically};
use canh_wire::BatchKind;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::queue::Mark;

/// How far one source has been read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Place {
    /// A log file, named by device and inode in the key.
    File {
        path: String,
        /// End of the last whole line that was read.
        offset: u64,
        /// The first `print_len` bytes hash to `print`: if they do not any more, it is another file.
        print_len: u64,
        print: u64,
    },
    /// The systemd journal.
    Journal { cursor: String },
    /// A capture file: `records` of it have been taken, and all of them if `done`.
    Capture { size: u64, mtime_ns: i64, records: u64, done: bool },
}

pub type Marks = BTreeMap<String, Place>;

const RECORD_VERSION: u8 = 1;
const HEAD_LEN: usize = 10;

/// One spool record: a message for the server and the marks that go with it.
#[derive(Debug, PartialEq)]
pub struct SpoolRecord<'a> {
    pub kind: BatchKind,
    /// Log records or measurements in the message.
    pub count: u32,
    pub marks: Vec<(String, Option<Place>)>,
    pub message: &'a [u8],
}

/// The bytes that stand before the message: version, kind, count, length of the marks, marks.
pub fn encode_head<'a>(kind: BatchKind, count: u32, marks: impl IntoIterator<Item = &'a Mark>) -> io::Result<Vec<u8>> {
    let pairs: Vec<_> = marks.into_iter().map(|mark| (&*mark.key, &mark.place)).collect();
    let json = if pairs.is_empty() { Vec::new() } else { serde_json::to_vec(&pairs)? };
    let len = u32::try_from(json.len()).map_err(io::Error::other)?;
    let mut head = Vec::with_capacity(HEAD_LEN + json.len());
    head.extend([RECORD_VERSION, kind.code()]);
    head.extend(count.to_le_bytes());
    head.extend(len.to_le_bytes());
    head.extend(json);
    Ok(head)
}

/// Reads a spool record. `None` if it was written by a version that this one does not know.
pub fn decode(payload: &[u8]) -> Option<SpoolRecord<'_>> {
    let head = payload.get(..HEAD_LEN)?;
    if head[0] != RECORD_VERSION {
        return None;
    }
    let kind = BatchKind::from_code(head[1])?;
    let count = u32::from_le_bytes(head[2..6].try_into().ok()?);
    let marks_len = u32::from_le_bytes(head[6..10].try_into().ok()?) as usize;
    let (json, message) = payload[HEAD_LEN..].split_at_checked(marks_len)?;
    let marks = if json.is_empty() { Vec::new() } else { serde_json::from_slice(json).ok()? };
    Some(SpoolRecord { kind, count, marks, message })
}

/// The snapshot file.
#[derive(Debug, Serialize, Deserialize)]
struct Snapshot {
    /// The spool's id: the sequence number means nothing in another one.
    spool: u64,
    /// Last spool record whose marks are in here.
    sequence: u64,
    marks: Marks,
}

/// All places, and the file they are written to.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    spool: u64,
    marks: Marks,
    /// Last spool record that is in `marks`, and in the file.
    sequence: u64,
    stored: u64,
    /// Marks that came with no record are only in memory.
    unstored: bool,
}

impl Checkpoint {
    /// Reads the snapshot and brings it up to date from the spool.
    pub fn recover(path: impl Into<PathBuf>, spool: &mut Spool) -> Result<Self, SpoolError> {
        let path = path.into();
        let snapshot = read(&path)?;
        let (mut marks, mut after) = (Marks::new(), 0);
        if let Some(snapshot) = snapshot {
            marks = snapshot.marks;
            if snapshot.spool == spool.id() {
                after = snapshot.sequence;
                spool.advance_past(after)?;
            }
        }
        let stored = after;
        let mut reader = spool.reader(after);
        loop {
            match reader.next() {
                Ok(Some(record)) => match decode(&record.payload) {
                    Some(decoded) => decoded.marks.into_iter().for_each(|(key, place)| apply(&mut marks, key, place)),
                    None => warn!(sequence = record.sequence, "spool record of an unknown version"),
                },
                Ok(None) => break,
                Err(SpoolError::Gap { first, last, .. }) => {
                    warn!(first, last, "spool is damaged: some lines may be read again");
                }
                Err(error) => return Err(error),
            }
        }
        let sequence = spool.last();
        Ok(Self { path, spool: spool.id(), marks, sequence, stored, unstored: false })
    }

    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Takes over the marks of spool record `sequence`, which is durable.
    pub fn advance(&mut self, sequence: u64, marks: impl IntoIterator<Item = Mark>) {
        self.sequence = sequence;
        for mark in marks {
            apply(&mut self.marks, mark.key.to_string(), mark.place);
        }
    }

    /// Takes over marks that belong to no record. They are durable after `store`.
    pub fn advance_alone(&mut self, marks: impl IntoIterator<Item = Mark>) {
        self.unstored = true;
        self.advance(self.sequence, marks);
    }

    /// Last spool record that the file on disk covers: the spool may be released up to here.
    pub fn stored(&self) -> u64 {
        self.stored
    }

    /// Spool records since the last `store`.
    pub fn behind(&self) -> u64 {
        self.sequence - self.stored
    }

    pub fn needs_store(&self) -> bool {
        self.unstored || self.behind() > 0
    }

    /// Writes the snapshot so that it survives a power cut.
    pub fn store(&mut self) -> Result<(), SpoolError> {
        let snapshot = Snapshot { spool: self.spool, sequence: self.sequence, marks: self.marks.clone() };
        let json = serde_json::to_vec(&snapshot).map_err(|source| SpoolError::Io {
            doing: "encode places for",
            path: self.path.clone(),
            source: source.into(),
        })?;
        write_atomically(&self.path, &json)?;
        self.stored = self.sequence;
        self.unstored = false;
        Ok(())
    }
}

fn apply(marks: &mut Marks, key: String, place: Option<Place>) {
    match place {
        Some(place) => marks.insert(key, place),
        None => marks.remove(&key),
    };
}

/// A snapshot that cannot be read is put aside: what the spool still holds says where to go on.
fn read(path: &Path) -> Result<Option<Snapshot>, SpoolError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(SpoolError::Io { doing: "read places from", path: path.to_owned(), source }),
    };
    match serde_json::from_slice(&bytes) {
        Ok(snapshot) => Ok(Some(snapshot)),
        Err(error) => {
            let aside = path.with_extension("damaged");
            warn!(path = %path.display(), kept_as = %aside.display(), %error, "places are damaged: lines may be read again");
            let _ = fs::rename(path, aside);
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use canh_spool::SpoolConfig;

    use super::*;

    fn mark(key: &str, offset: Option<u64>) -> Mark {
        let place = offset.map(|offset| Place::File { path: "a.log".to_owned(), offset, print_len: 0, print: 0 });
        Mark { key: Arc::from(key), place }
    }

    fn open(dir: &Path) -> Spool {
        let config =
            SpoolConfig { dir: dir.join("spool"), segment_max: 1 << 20, bytes_max: 1 << 24, record_max: 1 << 20 };
        Spool::open(config).unwrap().0
    }

    fn append(spool: &mut Spool, marks: &[Mark]) -> u64 {
        let head = encode_head(BatchKind::Logs, 1, marks).unwrap();
        spool.append(&[&head, b"message"]).unwrap();
        spool.sync().unwrap()
    }

    #[track_caller]
    fn check(checkpoint: &Checkpoint, expected: &[(&str, u64)]) {
        let offsets: Vec<_> = checkpoint
            .marks()
            .iter()
            .map(|(key, place)| match place {
                Place::File { offset, .. } => (key.as_str(), *offset),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(offsets, expected);
    }

    #[test]
    fn a_record_is_read_back_and_a_broken_one_is_refused() {
        let marks = [mark("f", Some(9)), mark("g", None)];
        let mut bytes = encode_head(BatchKind::Metrics, 7, &marks).unwrap();
        bytes.extend(b"message");
        let record = decode(&bytes).unwrap();
        assert_eq!((record.kind, record.count, record.message), (BatchKind::Metrics, 7, &b"message"[..]));
        assert_eq!(record.marks[1], ("g".to_owned(), None));
        for len in 0..HEAD_LEN + 5 {
            assert_eq!(decode(&bytes[..len]), None, "cut to {len}");
        }
        bytes[0] = 2;
        assert_eq!(decode(&bytes), None);
    }

    #[test]
    fn places_are_the_snapshot_and_then_the_spool() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("places.json");
        let mut spool = open(dir.path());
        let mut checkpoint = Checkpoint::recover(&path, &mut spool).unwrap();
        let sequence = append(&mut spool, &[mark("a", Some(10)), mark("b", Some(20))]);
        checkpoint.advance(sequence, [mark("a", Some(10)), mark("b", Some(20))]);
        checkpoint.store().unwrap();
        assert_eq!((checkpoint.stored(), checkpoint.behind()), (1, 0));
        append(&mut spool, &[mark("a", Some(30))]);
        append(&mut spool, &[mark("b", None), mark("c", Some(5))]);
        drop(spool); // crash: the snapshot knows nothing of the last two

        let mut spool = open(dir.path());
        let checkpoint = Checkpoint::recover(&path, &mut spool).unwrap();
        check(&checkpoint, &[("a", 30), ("c", 5)]);
        assert_eq!((checkpoint.stored(), checkpoint.behind()), (1, 2));

        // A damaged snapshot: what the spool holds is enough here.
        fs::write(&path, "{").unwrap();
        check(&Checkpoint::recover(&path, &mut spool).unwrap(), &[("a", 30), ("c", 5)]);
        assert!(path.with_extension("damaged").exists());
    }

    #[test]
    fn a_new_spool_keeps_the_places_and_starts_its_own_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("places.json");
        let mut spool = open(dir.path());
        let mut checkpoint = Checkpoint::recover(&path, &mut spool).unwrap();
        checkpoint.advance_alone([mark("a", Some(10))]);
        assert!(checkpoint.needs_store());
        checkpoint.advance(7, []);
        checkpoint.store().unwrap();
        drop(spool);
        let mut spool = open(dir.path());
        Checkpoint::recover(&path, &mut spool).unwrap();
        assert_eq!(spool.last(), 7); // numbers that the snapshot has seen are not used again
        drop(spool);
        fs::remove_dir_all(dir.path().join("spool")).unwrap();
        let mut spool = open(dir.path());
        let checkpoint = Checkpoint::recover(&path, &mut spool).unwrap();
        check(&checkpoint, &[("a", 10)]);
        assert_eq!((spool.last(), checkpoint.stored()), (0, 0));
    }
}
