//! Which files have been looked at already, kept on disk so that a restart offers nothing twice.
//!
//! A file is known by a keyed hash of its path; of its content and of what the system says of it (inode, size, times) 64
//! bits of a hash are kept. That makes 40 bytes of memory for each file, whatever its name. Two files: `samples.known` is written as
//! a whole now and then, `samples.log` gets a record whenever the server has taken a file, so that not even a kill makes
//! the agent offer it again.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::item::FileState;

/// What is known of one file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// Stands for inode, size and times.
    pub(super) stat: u64,
    /// Stands for the content that the server has taken; 0 if it was not offered.
    pub(super) content: u64,
    /// Stands for the rules that it was scanned with.
    pub(super) rules: u64,
    /// Day on which it was last there, counted from 1970.
    day: u16,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// There when last looked.
    There,
    /// Seen in the present look at the trees.
    Seen,
    /// Not there when last looked. If it is back, and not as it was, it is a new file even with the same content.
    Gone,
}

impl Entry {
    pub(super) fn is_gone(&self) -> bool {
        self.state == State::Gone
    }
}

/// A keyed hash of a path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct PathKey(u64);

#[cfg(test)]
impl PathKey {
    pub(super) fn of_number(number: u64) -> Self {
        Self(number)
    }
}

/// Days after which a file that is gone is forgotten. Until then it may be on a disk that is not mounted.
const GONE_DAYS: u16 = 30;
const RECORD_LEN: usize = 8 * 4 + 2 + 1;
const LOG_RECORD_LEN: usize = RECORD_LEN + 8;
/// Entries that are new are put among the others when there are so many.
const FRESH_MAX: usize = 8_192;
const VERSION: u32 = 1;

/// The first line of `samples.known`.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    version: u32,
    key: [u8; 32],
    rules: u64,
    /// Paths of the configuration whose files of the first look are all in here.
    baselined: BTreeSet<String>,
    entries: usize,
}

#[derive(Debug)]
pub(super) struct Known {
    path: PathBuf,
    log_path: PathBuf,
    log: Option<File>,
    /// Makes the hashes of this agent unlike those of others, so that nobody can make two paths alike.
    key: [u8; 32],
    /// Ordered by key.
    entries: Vec<(PathKey, Entry)>,
    fresh: HashMap<PathKey, Entry>,
    entries_max: usize,
    /// The server's rules as far as is known; 0 if it was never asked.
    pub(super) rules: u64,
    baselined: BTreeSet<String>,
    baseline_unstored: bool,
    dirty: bool,
}

/// What became of the files on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Opened {
    Empty,
    Read,
    /// It could not be read, and begins again.
    Damaged,
}

impl Known {
    pub(super) fn open(state_dir: &Path, entries_max: usize) -> io::Result<(Self, Opened)> {
        let path = state_dir.join("samples.known");
        let log_path = state_dir.join("samples.log");
        let mut known = Self {
            path,
            log_path,
            log: None,
            key: rand::random(),
            entries: Vec::new(),
            fresh: HashMap::new(),
            entries_max,
            rules: 0,
            baselined: BTreeSet::new(),
            baseline_unstored: false,
            dirty: false,
        };
        let opened = match known.read() {
            Ok(()) => Opened::Read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Opened::Empty,
            Err(error) => {
                let aside = known.path.with_extension("damaged");
                warn!(%error, kept_as = %aside.display(), "what was known of files is damaged; they are looked at as at the first start");
                fs::rename(&known.path, aside)?;
                (known.entries, known.baselined, known.rules) = (Vec::new(), BTreeSet::new(), 0);
                Opened::Damaged
            }
        };
        if opened == Opened::Read {
            known.read_log()?;
        } else {
            // Its key is lost, so nothing in it means anything.
            known.cut_log()?;
            known.write()?;
        }
        Ok((known, opened))
    }

    pub(super) fn key_of(&self, path: &Path) -> PathKey {
        PathKey(self.hash(&[path.as_os_str().as_encoded_bytes()]))
    }

    /// What the system says of a file. Not its device, whose number may be another one after a restart.
    pub(super) fn print(&self, state: &FileState) -> u64 {
        let FileState { inode, size, modified, changed, .. } = *state;
        let times = [modified.0, modified.1, changed.0, changed.1].map(i64::to_le_bytes);
        self.hash(&[&inode.to_le_bytes(), &size.to_le_bytes(), times.as_flattened()])
    }

    fn hash(&self, parts: &[&[u8]]) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize().as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() + self.fresh.len()
    }

    pub(super) fn get(&self, key: PathKey) -> Option<&Entry> {
        self.fresh.get(&key).or_else(|| self.place(key).ok().map(|at| &self.entries[at].1))
    }

    fn place(&self, key: PathKey) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&key, |(key, _)| *key)
    }

    /// Notes that a file is there, as it is in the memory. Answers whether it was noted before in this look.
    pub(super) fn note_seen(&mut self, key: PathKey, day: u16) -> bool {
        let entry = match self.place(key) {
            Ok(at) => Some(&mut self.entries[at].1),
            Err(_) => self.fresh.get_mut(&key),
        };
        let Some(entry) = entry else { return false };
        let before = entry.state;
        (entry.state, entry.day) = (State::Seen, day);
        self.dirty |= before == State::Gone;
        before == State::Seen
    }

    /// Whether another file can be remembered.
    pub(super) fn has_room(&self) -> bool {
        self.len() < self.entries_max
    }

    /// Remembers a file as it is now.
    pub(super) fn put(&mut self, key: PathKey, stat: u64, content: u64, day: u16) {
        let entry = Entry { stat, content, rules: if content == 0 { 0 } else { self.rules }, day, state: State::Seen };
        self.put_entry(key, entry);
    }

    /// A file with another time or other permissions, and the same content.
    pub(super) fn touch(&mut self, key: PathKey, stat: u64) {
        if let Some(entry) = self.get(key).copied() {
            self.put_entry(key, Entry { stat, ..entry });
        }
    }

    /// Learns which rules the server has.
    pub(super) fn note_rules(&mut self, text: &str) {
        let rules = self.hash(&[text.as_bytes()]).max(1);
        self.dirty |= rules != self.rules;
        self.rules = rules;
    }

    /// The same, on disk before this returns: the server has taken it.
    pub(super) fn put_taken(&mut self, key: PathKey, stat: u64, content: u64, day: u16) {
        self.put(key, stat, content, day);
        if let Err(error) = self.get(key).copied().map_or(Ok(()), |entry| self.append(key, &entry)) {
            warn!(path = %self.log_path.display(), %error, "cannot write; after a crash files are offered again");
        }
    }

    fn put_entry(&mut self, key: PathKey, entry: Entry) {
        self.dirty = true;
        match self.place(key) {
            Ok(at) => self.entries[at].1 = entry,
            Err(_) => drop(self.fresh.insert(key, entry)),
        }
        if self.fresh.len() >= FRESH_MAX {
            self.merge();
        }
    }

    fn merge(&mut self) {
        if !self.fresh.is_empty() {
            self.entries.reserve_exact(self.fresh.len());
            self.entries.extend(self.fresh.drain());
            self.entries.sort_unstable_by_key(|(key, _)| *key);
        }
    }

    pub(super) fn is_baselined(&self, path: &str) -> bool {
        self.baselined.contains(path)
    }

    pub(super) fn set_baselined(&mut self, paths: impl IntoIterator<Item = String>) {
        let before = self.baselined.len();
        self.baselined.extend(paths);
        self.baseline_unstored |= before != self.baselined.len();
        self.dirty |= self.baseline_unstored;
    }

    /// Whether a first look is over and not on disk: after a crash it would be made again.
    pub(super) fn is_baseline_unstored(&self) -> bool {
        self.baseline_unstored
    }

    /// Ends a look at all trees: what was not seen is gone.
    pub(super) fn end_look(&mut self, day: u16) {
        self.merge();
        let (mut changed, mut forgotten) = (false, false);
        self.entries.retain_mut(|(_, entry)| {
            let next = if entry.state == State::Seen { State::There } else { State::Gone };
            changed |= entry.state == State::There && next == State::Gone;
            entry.state = next;
            let kept = next == State::There || day.saturating_sub(entry.day) <= GONE_DAYS;
            forgotten |= !kept;
            kept
        });
        self.dirty |= changed || forgotten;
    }

    /// Writes everything if there is something new. It survives a power cut.
    pub(super) fn store(&mut self) -> io::Result<()> {
        if !self.dirty {
            return Ok(());
        }
        self.merge();
        self.write()?;
        // What is in the log is in there now.
        self.cut_log()?;
        (self.dirty, self.baseline_unstored) = (false, false);
        Ok(())
    }

    fn write(&self) -> io::Result<()> {
        let beside = self.path.with_extension("tmp");
        let file = File::create(&beside)?;
        let mut out = BufWriter::new(file);
        let mut sum = blake3::Hasher::new();
        let header = Header {
            version: VERSION,
            key: self.key,
            rules: self.rules,
            baselined: self.baselined.clone(),
            entries: self.entries.len(),
        };
        let mut line = serde_json::to_vec(&header)?;
        line.push(b'\n');
        sum.update(&line);
        out.write_all(&line)?;
        for (key, entry) in &self.entries {
            let bytes = encode(*key, entry);
            sum.update(&bytes);
            out.write_all(&bytes)?;
        }
        out.write_all(sum.finalize().as_bytes())?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        // The new name must be on disk before the log is cut.
        self.path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    }

    fn read(&mut self) -> io::Result<()> {
        const LINE_MAX: u64 = 16 << 20;
        let damaged = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
        let mut file = BufReader::new(File::open(&self.path)?);
        let mut line = Vec::new();
        io::BufRead::read_until(&mut (&mut file).take(LINE_MAX), b'\n', &mut line)?;
        let header: Header = serde_json::from_slice(&line)?;
        if header.version != VERSION {
            return Err(damaged("it was written by another version"));
        }
        let mut sum = blake3::Hasher::new();
        sum.update(&line);
        // The number may be wrong; the memory for it is taken as it comes in.
        for _ in 0..header.entries {
            let mut bytes = [0; RECORD_LEN];
            file.read_exact(&mut bytes)?;
            sum.update(&bytes);
            self.entries.push(decode(&bytes));
        }
        let mut expected = [0; 32];
        file.read_exact(&mut expected)?;
        if *sum.finalize().as_bytes() != expected || !self.entries.is_sorted_by_key(|(key, _)| *key) {
            return Err(damaged("its checksum does not match"));
        }
        self.entries.shrink_to_fit();
        (self.key, self.rules, self.baselined) = (header.key, header.rules, header.baselined);
        Ok(())
    }

    /// Takes over what the server took since the last `store`. A half-written record ends it.
    fn read_log(&mut self) -> io::Result<()> {
        let bytes = match fs::read(&self.log_path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for record in bytes.as_chunks::<LOG_RECORD_LEN>().0 {
            let (body, sum) = record.split_at(RECORD_LEN);
            let Some(body) = body.first_chunk() else { break };
            if self.hash(&[body]).to_le_bytes() != sum {
                break;
            }
            let (key, entry) = decode(body);
            self.rules = entry.rules;
            self.put_entry(key, entry);
        }
        Ok(())
    }

    fn append(&mut self, key: PathKey, entry: &Entry) -> io::Result<()> {
        let body = encode(key, entry);
        let mut record = [0; LOG_RECORD_LEN];
        record[..RECORD_LEN].copy_from_slice(&body);
        record[RECORD_LEN..].copy_from_slice(&self.hash(&[&body]).to_le_bytes());
        let log = match &mut self.log {
            Some(log) => log,
            None => self.log.insert(File::options().create(true).append(true).open(&self.log_path)?),
        };
        log.write_all(&record)
    }

    fn cut_log(&mut self) -> io::Result<()> {
        self.log = None;
        match fs::remove_file(&self.log_path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn encode(PathKey(key): PathKey, entry: &Entry) -> [u8; RECORD_LEN] {
    let mut bytes = [0; RECORD_LEN];
    for (at, number) in [key, entry.stat, entry.content, entry.rules].into_iter().enumerate() {
        bytes[at * 8..at * 8 + 8].copy_from_slice(&number.to_le_bytes());
    }
    bytes[32..34].copy_from_slice(&entry.day.to_le_bytes());
    bytes[34] = u8::from(entry.state == State::Gone);
    bytes
}

fn decode(bytes: &[u8; RECORD_LEN]) -> (PathKey, Entry) {
    let number = |at: usize| bytes[at * 8..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let day = u16::from_le_bytes([bytes[32], bytes[33]]);
    let state = if bytes[34] == 1 { State::Gone } else { State::There };
    (PathKey(number(0)), Entry { stat: number(1), content: number(2), rules: number(3), day, state })
}
