//! The partitions that are there, by name: found when the store is opened, made when events come, removed by retention.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use canh_schema::EventClass;
use parking_lot::RwLock;
use tantivy::TantivyError;
use tracing::{error, info};

use crate::partition::{Partition, View, directory_bytes};

const PARTITIONS: &str = "partitions";
const DAMAGED: &str = "damaged";
const TRASH: &str = "trash";

pub(crate) struct Partitions {
    root: PathBuf,
    open: RwLock<BTreeMap<String, Arc<Partition>>>,
    damaged: u64,
}

impl Partitions {
    /// Opens all partitions. Those that cannot be opened are moved aside and counted.
    ///
    /// # Errors
    ///
    /// The directory itself cannot be read or written.
    pub(crate) fn open(root: PathBuf) -> io::Result<Self> {
        for folder in [PARTITIONS, DAMAGED, TRASH] {
            fs::create_dir_all(root.join(folder))?;
        }
        empty(&root.join(TRASH))?;
        let mut open = BTreeMap::new();
        let mut damaged = 0;
        for entry in fs::read_dir(root.join(PARTITIONS))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let known = name.split('-').next().and_then(EventClass::from_name).is_some();
            if !known || !entry.file_type()?.is_dir() {
                continue;
            }
            match Partition::open(entry.path()) {
                Ok(partition) => {
                    open.insert(name, Arc::new(partition));
                }
                Err(reason) => {
                    let aside = free_name(&root.join(DAMAGED), &name);
                    error!(
                        partition = name,
                        moved_to = %aside.display(),
                        error = &reason as &dyn std::error::Error,
                        "partition is damaged and was moved aside; the journal fills in what it still has"
                    );
                    fs::rename(entry.path(), aside)?;
                    damaged += 1;
                }
            }
        }
        sync(&root.join(PARTITIONS))?;
        Ok(Self { root, open: RwLock::new(open), damaged })
    }

    /// Partitions that were moved aside when the store was opened.
    pub(crate) fn newly_damaged(&self) -> u64 {
        self.damaged
    }

    /// Damaged partitions that lie aside, from earlier times too.
    pub(crate) fn damaged(&self) -> u64 {
        fs::read_dir(self.root.join(DAMAGED)).map_or(0, |entries| entries.count() as u64)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        self.open.read().values().cloned().collect()
    }

    pub(crate) fn get_or_create(&self, name: &str) -> Result<Arc<Partition>, TantivyError> {
        if let Some(partition) = self.open.read().get(name) {
            return Ok(partition.clone());
        }
        let folder = self.root.join(PARTITIONS);
        let partition = Arc::new(Partition::open(folder.join(name))?);
        sync(&folder)?;
        info!(partition = name, "partition made");
        self.open.write().insert(name.to_owned(), partition.clone());
        Ok(partition)
    }

    pub(crate) fn views(&self) -> Vec<Arc<View>> {
        self.open.read().values().map(|partition| partition.view()).collect()
    }

    /// Takes a partition away. Searches that are under way still see it.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        let Some(partition) = self.open.write().remove(name) else { return Ok(()) };
        let trash = free_name(&self.root.join(TRASH), name);
        // In one step, so that a crash leaves the whole partition or none of it.
        fs::rename(&partition.path, &trash)?;
        sync(&self.root.join(PARTITIONS))?;
        fs::remove_dir_all(&trash)
    }

    pub(crate) fn bytes(&self) -> u64 {
        directory_bytes(&self.root.join(PARTITIONS))
    }
}

fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        fs::remove_dir_all(entry?.path())?;
    }
    Ok(())
}

fn free_name(folder: &Path, name: &str) -> PathBuf {
    let numbered = (1..).map(|n: u64| folder.join(format!("{name}.{n}")));
    std::iter::once(folder.join(name)).chain(numbered).find(|path| !path.exists()).unwrap_or_else(|| folder.join(name))
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
