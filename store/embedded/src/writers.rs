//! The writing side: which partitions are open for writing, what was appended, what is durable.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use canh_schema::{Event, EventBatch, Position};
use canh_store::StoreError;
use tantivy::{IndexWriter, TantivyError};
use tracing::{error, info, warn};

use crate::document::{EventDoc, documents};
use crate::partition::{Partition, PartitionKey, Payload};
use crate::partitions::Partitions;
use crate::throttle::Throttle;
use crate::{EmbeddedConfig, Metrics};

/// How long a document waits for room before it goes without. A writer that has ended (its disk is full) no longer makes
/// room, and only giving it a document tells.
const PATIENCE: Duration = Duration::from_secs(2);
/// Documents that found no room in a row before a writer that takes them all the same counts as stuck.
const WITHOUT_ROOM_MAX: u32 = 60;
const CURSOR_FILE: &str = "cursor";

pub(crate) struct Writers {
    config: EmbeddedConfig,
    partitions: Arc<Partitions>,
    metrics: Arc<Metrics>,
    open: HashMap<String, OpenWriter>,
    /// Writers that finish their merges before their directory can be written again.
    closing: HashMap<String, JoinHandle<()>>,
    throttle: Arc<Throttle>,
    appended: Position,
    cursor: Position,
}

struct OpenWriter {
    partition: Arc<Partition>,
    writer: IndexWriter<EventDoc>,
    used: Instant,
    /// What a commit now would remember.
    payload: Payload,
    dirty: bool,
}

/// What went wrong with one partition.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error("partition `{name}`")]
    Partition { name: String, source: TantivyError },
    #[error("a writer did not finish any event for {} s", PATIENCE.as_secs() * u64::from(WITHOUT_ROOM_MAX))]
    Stuck,
    #[error("cursor file")]
    Cursor(#[source] io::Error),
}

impl Writers {
    pub(crate) fn new(
        config: EmbeddedConfig,
        partitions: Arc<Partitions>,
        metrics: Arc<Metrics>,
        cursor: Position,
    ) -> Self {
        let throttle = Throttle::new(config.queue.as_len().max(1));
        Self {
            config,
            partitions,
            metrics,
            open: HashMap::new(),
            closing: HashMap::new(),
            throttle,
            appended: cursor,
            cursor,
        }
    }

    pub(crate) fn cursor(&self) -> Position {
        self.cursor
    }

    pub(crate) fn append(&mut self, batch: &EventBatch) -> Result<(), StoreError> {
        if batch.position <= self.appended {
            return Ok(());
        }
        self.try_append(batch).map_err(|error| self.give_up(error))?;
        self.appended = batch.position;
        Ok(())
    }

    fn try_append(&mut self, batch: &EventBatch) -> Result<(), WriteError> {
        let mut groups: HashMap<PartitionKey, Vec<&Event>> = HashMap::new();
        for event in &batch.events {
            groups.entry(PartitionKey::of(event, self.config.window)).or_default().push(event);
        }
        for (key, events) in groups {
            let name = key.name();
            let error = |source| WriteError::Partition { name: name.clone(), source };
            let partition = self.partitions.get_or_create(&name).map_err(error)?;
            // After a crash some partitions may be ahead of the cursor.
            if partition.payload().position >= batch.position.get() {
                continue;
            }
            self.write(&partition, &events, batch.position)?;
        }
        Ok(())
    }

    fn write(&mut self, partition: &Arc<Partition>, events: &[&Event], position: Position) -> Result<(), WriteError> {
        let error = |source| WriteError::Partition { name: partition.name.clone(), source };
        let throttle = self.throttle.clone();
        let writer = self.writer(partition)?;
        let mut without_room = 0;
        for mut doc in documents(events.iter().copied(), partition.fields.clone()) {
            match throttle.acquire(doc.size(), PATIENCE) {
                Some(permit) => {
                    doc.hold(permit);
                    without_room = 0;
                }
                None if without_room == WITHOUT_ROOM_MAX => return Err(WriteError::Stuck),
                None => without_room += 1,
            }
            writer.writer.add_document(doc).map_err(error)?;
        }
        let received = events.iter().map(|event| event.received.nanos()).max().unwrap_or(i64::MIN);
        writer.payload.received_max = writer.payload.received_max.max(received);
        writer.payload.position = position.get();
        writer.dirty = true;
        self.metrics.appended.inc_by(events.len() as u64);
        Ok(())
    }

    fn writer(&mut self, partition: &Arc<Partition>) -> Result<&mut OpenWriter, WriteError> {
        let error = |source| WriteError::Partition { name: partition.name.clone(), source };
        if !self.open.contains_key(&partition.name) {
            while self.open.len() >= self.config.writers_max.max(1) {
                let Some(oldest) = self.open.iter().min_by_key(|(_, open)| open.used).map(|(name, _)| name.clone())
                else {
                    break;
                };
                self.close(&oldest)?;
            }
            if let Some(closing) = self.closing.remove(&partition.name) {
                let _ = closing.join();
            }
            let writer = partition.writer(self.config.arena.as_len()).map_err(error)?;
            let payload = partition.payload();
            let open = OpenWriter { partition: partition.clone(), writer, used: Instant::now(), payload, dirty: false };
            self.open.insert(partition.name.clone(), open);
        }
        self.metrics.open_writers.set(i64::try_from(self.open.len()).unwrap_or(i64::MAX));
        let open = self.open.entry(partition.name.clone());
        let std::collections::hash_map::Entry::Occupied(open) = open else { return Err(WriteError::Stuck) };
        let open = open.into_mut();
        open.used = Instant::now();
        Ok(open)
    }

    /// Commits one writer and lets go of it; its merges finish in the background.
    fn close(&mut self, name: &str) -> Result<(), WriteError> {
        let Some(mut open) = self.open.remove(name) else { return Ok(()) };
        let error = |source| WriteError::Partition { name: name.to_owned(), source };
        if open.dirty {
            open.partition.commit(&mut open.writer, open.payload).map_err(error)?;
        }
        self.closing.retain(|_, handle| !handle.is_finished());
        let partition = open.partition;
        let writer = open.writer;
        let finish = move || {
            if let Err(error) = writer.wait_merging_threads().and_then(|()| partition.reload()) {
                warn!(partition = partition.name, error = &error as &dyn std::error::Error, "merging did not finish");
            }
        };
        let handle = std::thread::Builder::new().name("store-close".to_owned()).spawn(finish);
        match handle {
            Ok(handle) => {
                self.closing.insert(name.to_owned(), handle);
            }
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "cannot wait for merges; they are done later")
            }
        }
        Ok(())
    }

    pub(crate) fn commit(&mut self) -> Result<Position, StoreError> {
        self.try_commit().map_err(|error| self.give_up(error))?;
        Ok(self.cursor)
    }

    fn try_commit(&mut self) -> Result<(), WriteError> {
        let position = self.appended;
        let timer = self.metrics.commit_seconds.start_timer();
        let mut dirty = false;
        for open in self.open.values_mut().filter(|open| open.dirty) {
            let error = |source| WriteError::Partition { name: open.partition.name.clone(), source };
            dirty = true;
            // Nothing that belongs here came after the writer's own position, so the common one is as true.
            open.payload.position = position.get();
            open.partition.commit(&mut open.writer, open.payload).map_err(error)?;
            open.dirty = false;
        }
        if dirty {
            timer.observe_duration();
        } else {
            timer.stop_and_discard();
        }
        if position != self.cursor {
            write_cursor(&self.config.path, position).map_err(WriteError::Cursor)?;
            self.cursor = position;
        }
        let idle: Vec<String> = self
            .open
            .iter()
            .filter(|(_, open)| open.used.elapsed() >= self.config.writer_idle)
            .map(|(name, _)| name.clone())
            .collect();
        for name in idle {
            self.close(&name)?;
        }
        self.metrics.open_writers.set(i64::try_from(self.open.len()).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Lets go of everything that is not durable. What some partitions have committed already is skipped in the replay.
    fn give_up(&mut self, error: WriteError) -> StoreError {
        self.metrics.write_errors.inc();
        error!(error = &error as &dyn std::error::Error, cursor = self.cursor.get(), "cannot write events");
        self.open.clear();
        // A writer that ended may have kept documents, and with them the room that they take.
        self.throttle = Throttle::new(self.config.queue.as_len().max(1));
        self.appended = self.cursor;
        StoreError::Retry { cursor: self.cursor, what: error.to_string(), source: Some(Box::new(error)) }
    }

    /// Takes a partition out of use, so that its directory can be removed.
    pub(crate) fn forget(&mut self, name: &str) {
        self.open.remove(name);
        if let Some(closing) = self.closing.remove(name) {
            let _ = closing.join();
        }
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        for (_, closing) in self.closing.drain() {
            let _ = closing.join();
        }
    }
}

/// The position up to which everything is durable. A file that is missing or damaged means the beginning: replaying too
/// much changes nothing.
pub(crate) fn read_cursor(path: &Path) -> io::Result<Position> {
    let path = path.join(CURSOR_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Position::START),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
        Err(error) => return Err(error),
    };
    let position = text.strip_suffix('\n').and_then(|text| text.parse().ok());
    if position.is_none() {
        warn!(file = %path.display(), "cursor cannot be read; the journal is replayed from its beginning");
    }
    Ok(position.map_or(Position::START, Position::new))
}

pub(crate) fn write_cursor(path: &Path, cursor: Position) -> io::Result<()> {
    let new: PathBuf = path.join("cursor.new");
    let mut file = File::create(&new)?;
    writeln!(file, "{cursor}")?;
    file.sync_all()?;
    fs::rename(&new, path.join(CURSOR_FILE))?;
    File::open(path)?.sync_all()?;
    if cursor == Position::START {
        info!("cursor set back to the beginning");
    }
    Ok(())
}
