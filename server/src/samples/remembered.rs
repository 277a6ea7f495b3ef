//! Results of scans, so that a file that is on many machines is sent once. They are kept in memory and in a log on disk,
//! hold for one set of rules, and are bounded: the oldest go first. What is lost of them is asked for again.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;

use canh_collector::SampleOrigin;
use canh_spool::{Spool, SpoolConfig, SpoolError, Visible};
use canh_yara::{Asked, GapReason, ScanReport};
use parking_lot::Mutex;
use tracing::{info, warn};

/// Results in memory; one of a clean file takes about 250 bytes with everything around it.
const RESULTS_MAX: usize = 100_000;
/// Bytes of all results together, without what is around them.
const BYTES_MAX: usize = 32 << 20;
const LOG_BYTES_MAX: u64 = 48 << 20;
const SEGMENT_MAX: u64 = 4 << 20;
/// A longer result is kept in memory only.
const RECORD_MAX: u32 = 4 << 20;
/// Records of the log that a power cut may take.
const UNSYNCED_MAX: u32 = 64;

pub(super) type Hash = [u8; 32];

/// The rules in force, as far as results depend on them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct RuleSetKey {
    pub(super) hash: Hash,
    pub(super) asked: BTreeSet<Asked>,
}

impl RuleSetKey {
    /// Stands for everything that a result depends on: the bytes, and what the rules may ask beside them.
    fn key(&self, sha256: &str, origin: &SampleOrigin) -> Hash {
        let info = super::info_of(origin);
        let mut hash = blake3::Hasher::new();
        hash.update(&self.hash);
        hash.update(&canh_yara::OPENING.to_le_bytes());
        hash.update(sha256.as_bytes());
        for asked in &self.asked {
            let text = match asked {
                Asked::Filename => &info.filename,
                Asked::Filepath => &info.filepath,
                Asked::Extension => &info.extension,
                Asked::Owner => &info.owner,
            };
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        *hash.finalize().as_bytes()
    }
}

/// What was scanned. Asked by the door, written by the scanner.
#[derive(Debug)]
pub(super) struct Remembered {
    results: Mutex<Results>,
    /// `None` if it cannot be used; then results end with the program.
    log: Mutex<Option<Log>>,
}

#[derive(Debug, Default)]
struct Results {
    by_key: HashMap<Hash, Box<[u8]>>,
    /// Oldest first.
    order: VecDeque<Hash>,
    bytes: usize,
}

impl Results {
    fn put(&mut self, key: Hash, value: Box<[u8]>) {
        self.bytes += value.len();
        match self.by_key.insert(key, value) {
            Some(before) => self.bytes -= before.len(),
            None => self.order.push_back(key),
        }
        while self.by_key.len() > RESULTS_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(gone) = self.by_key.remove(&oldest) {
                self.bytes -= gone.len();
            }
        }
    }
}

impl Remembered {
    /// Reads what an earlier run left in `dir`. Results of other rules are never asked for, and go with age.
    pub(super) fn open(dir: PathBuf) -> Self {
        let mut results = Results::default();
        let log = match Log::open(dir, |key, value| results.put(key, value)) {
            Ok(log) => {
                info!(results = results.by_key.len(), "results of earlier scans are loaded");
                Some(log)
            }
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "results of scans are kept until the next start only");
                None
            }
        };
        Self { results: Mutex::new(results), log: Mutex::new(log) }
    }

    pub(super) fn get(&self, rules: &RuleSetKey, sha256: &str, origin: &SampleOrigin) -> Option<ScanReport> {
        let key = rules.key(sha256, origin);
        let results = self.results.lock();
        postcard::from_bytes(results.by_key.get(&key)?).ok()
    }

    /// Keeps a result. One that the time or a fault of the engine cut short is not kept: another try may say more.
    pub(super) fn put(&self, rules: &RuleSetKey, origin: &SampleOrigin, report: &ScanReport) {
        if [GapReason::Time, GapReason::Engine].iter().any(|reason| report.gaps.contains_key(reason)) {
            return;
        }
        let Ok(value) = postcard::to_allocvec(report) else { return };
        let key = rules.key(&report.hashes.sha256, origin);
        let mut log = self.log.lock();
        if let Some(Err(error)) = log.as_mut().map(|log| log.append(&key, &value)) {
            warn!(error = &error as &dyn std::error::Error, "results of scans are kept until the next start only");
            *log = None;
        }
        drop(log);
        self.results.lock().put(key, value.into_boxed_slice());
    }

    /// Forgets everything, because other rules are in force.
    pub(super) fn clear(&self) {
        *self.results.lock() = Results::default();
        let mut log = self.log.lock();
        if let Some(Err(error)) = log.as_mut().map(Log::clear) {
            warn!(error = &error as &dyn std::error::Error, "results of scans are kept until the next start only");
            *log = None;
        }
    }
}

#[derive(Debug)]
struct Log {
    spool: Spool,
    unsynced: u32,
}

impl Log {
    fn open(dir: PathBuf, mut take: impl FnMut(Hash, Box<[u8]>)) -> Result<Self, SpoolError> {
        let config = SpoolConfig { dir, segment_max: SEGMENT_MAX, bytes_max: LOG_BYTES_MAX, record_max: RECORD_MAX };
        let (mut spool, _) = Spool::open(config)?;
        spool.set_visible(Visible::Written);
        let mut reader = spool.reader(0);
        loop {
            match reader.next() {
                Ok(Some(record)) => {
                    if let Some((key, value)) = record.payload.split_first_chunk() {
                        take(*key, value.into());
                    }
                }
                Ok(None) => break,
                // The files are asked for again.
                Err(SpoolError::Gap { .. }) => (),
                Err(error) => return Err(error),
            }
        }
        Ok(Self { spool, unsynced: 0 })
    }

    fn append(&mut self, key: &Hash, value: &[u8]) -> Result<(), SpoolError> {
        match self.spool.append(&[key, value]) {
            Err(SpoolError::TooLarge { .. }) => return Ok(()),
            Err(SpoolError::Full { .. }) => {
                let last = self.spool.sync()?;
                let first = self.spool.first();
                // A quarter of the records, and at least one segment.
                let mut through = first + (last - first) / 4;
                while self.spool.release(through)? == 0 && through < last {
                    through = last.min(through + (last - first) / 4 + 1);
                }
                self.spool.append(&[key, value])?;
            }
            other => drop(other?),
        }
        self.unsynced += 1;
        if self.unsynced >= UNSYNCED_MAX {
            self.unsynced = 0;
            self.spool.sync()?;
        }
        self.spool.flush()
    }

    fn clear(&mut self) -> Result<(), SpoolError> {
        let last = self.spool.sync()?;
        self.spool.release(last).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(number: u8, asked: &[Asked]) -> RuleSetKey {
        RuleSetKey { hash: [number; 32], asked: asked.iter().copied().collect() }
    }

    fn origin(path: &str, owner: &str) -> SampleOrigin {
        SampleOrigin { path: path.to_owned(), owner: owner.to_owned(), ..SampleOrigin::default() }
    }

    fn report(sha256: &str) -> ScanReport {
        let mut report = ScanReport { size: 7, ..ScanReport::default() };
        report.hashes.sha256 = sha256.to_owned();
        report
    }

    #[test]
    fn a_result_holds_for_the_same_rules_bytes_and_what_the_rules_ask() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let memory = Remembered::open(dir.path().join("results"));
        let deaf = rules(1, &[]);
        memory.put(&deaf, &origin("/a.php", "www-data"), &report("s1"));
        let curious = rules(2, &[Asked::Extension, Asked::Owner]);
        memory.put(&curious, &origin("/a.php", "www-data"), &report("s1"));
        for (rules, sha256, path, owner, known) in [
            (&deaf, "s1", "/a.php", "www-data", true),
            (&deaf, "s1", "/b.txt", "root", true),
            (&deaf, "s2", "/a.php", "www-data", false),
            (&rules(3, &[]), "s1", "/a.php", "www-data", false),
            (&curious, "s1", "/srv/b.php", "www-data", true),
            (&curious, "s1", "/a.txt", "www-data", false),
            (&curious, "s1", "/a.php", "root", false),
        ] {
            let found = memory.get(rules, sha256, &origin(path, owner));
            assert_eq!(found.is_some(), known, "{rules:?} {sha256} {path} {owner}");
        }
        drop(memory);
        let memory = Remembered::open(dir.path().join("results"));
        assert_eq!(memory.get(&deaf, "s1", &origin("", "")), Some(report("s1")));
        memory.clear();
        assert_eq!(memory.get(&deaf, "s1", &origin("", "")), None);
    }

    #[test]
    fn a_result_that_was_cut_short_is_not_kept() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let memory = Remembered::open(dir.path().join("results"));
        let rules = rules(1, &[]);
        let mut cut = report("s1");
        cut.gaps.insert(GapReason::Time, canh_yara::Gap { first: String::new(), count: 1 });
        memory.put(&rules, &SampleOrigin::default(), &cut);
        assert_eq!(memory.get(&rules, "s1", &SampleOrigin::default()), None);
    }

    #[test]
    fn the_oldest_go_first_in_memory_and_on_disk() {
        let mut results = Results::default();
        for number in 0..5_u8 {
            results.put([number; 32], vec![0; BYTES_MAX / 4].into());
        }
        assert_eq!((results.by_key.len(), results.by_key.contains_key(&[0; 32])), (4, false));

        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut log = Log::open(dir.path().join("log"), |_, _| ()).expect("can be opened");
        let value = vec![7; 3 << 20];
        for number in 0..40_u8 {
            log.append(&[number; 32], &value).expect("can be written");
        }
        drop(log);
        let mut keys = Vec::new();
        Log::open(dir.path().join("log"), |key, _| keys.push(key[0])).expect("can be opened");
        assert!(keys.len() > 5 && keys.len() < 17 && keys.last() == Some(&39) && keys.is_sorted(), "{keys:?}");
    }
}
