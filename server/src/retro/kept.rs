//! What has been hunted for, in files of the data directory: which indicators are known, and how far the hunt is that runs.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use canh_schema::Timestamp;
use canh_store::PageKey;
use serde::{Deserialize, Serialize};
use tracing::warn;

const DIRECTORY: &str = "retro-hunt";
/// Indicators that were hunted for: eight bytes each.
const KNOWN: &str = "known";
/// Those of the hunt that runs.
const NEW: &str = "new";
/// How far it is.
const PROGRESS: &str = "progress.json";
/// Indicators that are remembered, twice as many as are loaded. With more, those that are in no list any more are forgotten.
const KNOWN_MAX: usize = 4_000_000;

/// A hunt.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) new: HashSet<u64>,
    pub(super) from: Timestamp,
    /// Goes down when a part of the store is left out.
    pub(super) to: Timestamp,
    /// When the lists were loaded.
    pub(super) loaded: Timestamp,
    pub(super) before: Option<PageKey>,
    pub(super) events: u64,
    pub(super) findings: u64,
    pub(super) left_out: u64,
}

impl Job {
    pub(super) fn new(new: HashSet<u64>, from: Timestamp, to: Timestamp) -> Self {
        Self { new, from, to, loaded: to, before: None, events: 0, findings: 0, left_out: 0 }
    }
}

#[derive(Serialize, Deserialize)]
struct Progress {
    from: i64,
    to: i64,
    loaded: i64,
    before: Option<String>,
    events: u64,
    findings: u64,
    left_out: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Kept {
    directory: PathBuf,
}

impl Kept {
    pub(super) fn new(data: &Path) -> Self {
        Self { directory: data.join(DIRECTORY) }
    }

    pub(super) fn known(&self) -> anyhow::Result<HashSet<u64>> {
        self.numbers(KNOWN)
    }

    /// The hunt that a restart broke off. One that cannot be read begins anew, with whatever is not known.
    pub(super) fn job(&self) -> anyhow::Result<Option<Job>> {
        let path = self.directory.join(PROGRESS);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
        };
        let Ok(progress) = serde_json::from_str::<Progress>(&text) else {
            warn!(file = %path.display(), "the progress of a hunt is damaged; it begins anew");
            return Ok(None);
        };
        let time = Timestamp::from_nanos;
        Ok(Some(Job {
            new: self.numbers(NEW)?,
            from: time(progress.from),
            to: time(progress.to),
            loaded: time(progress.loaded),
            before: super::page_key(progress.before.as_deref()),
            events: progress.events,
            findings: progress.findings,
            left_out: progress.left_out,
        }))
    }

    pub(super) fn begin(&self, job: &Job) -> anyhow::Result<()> {
        fs::create_dir_all(&self.directory)
            .with_context(|| format!("cannot make the directory `{}`", self.directory.display()))?;
        self.write_numbers(NEW, &job.new)?;
        self.progress(job)
    }

    pub(super) fn progress(&self, job: &Job) -> anyhow::Result<()> {
        let progress = Progress {
            from: job.from.nanos(),
            to: job.to.nanos(),
            loaded: job.loaded.nanos(),
            before: job.before.map(|key| key.to_string()),
            events: job.events,
            findings: job.findings,
            left_out: job.left_out,
        };
        self.write(PROGRESS, &serde_json::to_vec(&progress)?)
    }

    /// These have been hunted for. `listed` says which are in a list, if it has to be known.
    pub(super) fn finish(&self, new: &HashSet<u64>, listed: impl FnOnce() -> HashSet<u64>) -> anyhow::Result<()> {
        let mut known = self.known()?;
        if known.len() + new.len() > KNOWN_MAX {
            let listed = listed();
            known.retain(|one| listed.contains(one));
        }
        known.extend(new);
        self.write_numbers(KNOWN, &known)?;
        for name in [PROGRESS, NEW] {
            let path = self.directory.join(name);
            fs::remove_file(&path).with_context(|| format!("cannot remove `{}`", path.display()))?;
        }
        Ok(())
    }

    fn numbers(&self, name: &str) -> anyhow::Result<HashSet<u64>> {
        let path = self.directory.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(bytes.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number)).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(HashSet::new()),
            Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())),
        }
    }

    fn write_numbers(&self, name: &str, numbers: &HashSet<u64>) -> anyhow::Result<()> {
        self.write(name, &numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>())
    }

    /// The whole file or none of it.
    fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.directory.join(name);
        let write = || {
            let fresh = path.with_extension("fresh");
            let mut file = File::create(&fresh)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)
        };
        write().with_context(|| format!("cannot write `{}`; is the disk full?", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hunt_is_kept_until_it_is_done() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let kept = Kept::new(dir.path());
        assert!(kept.job().expect("read").is_none() && kept.known().expect("read").is_empty());
        let new = HashSet::from([1, u64::MAX]);
        let mut job = Job::new(new.clone(), Timestamp::from_secs(1), Timestamp::from_secs(9));
        kept.begin(&job).expect("written");
        job.before = super::super::page_key(Some("5.00000000000000000000000000000007"));
        job.events = 500;
        kept.progress(&job).expect("written");
        let back = kept.job().expect("read").expect("it is there");
        assert_eq!((back.new, back.before, back.events, back.to), (new.clone(), job.before, 500, job.to));
        kept.finish(&new, HashSet::new).expect("written");
        assert!(kept.job().expect("read").is_none());
        assert_eq!(kept.known().expect("read"), new);
        fs::write(dir.path().join(DIRECTORY).join(PROGRESS), "torn").expect("written");
        assert!(kept.job().expect("read").is_none());
    }
}
