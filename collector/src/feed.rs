//! Hands out decoded batches in the order of the journal. Consumers pull, each at its own pace.
//!
//! A batch is decoded once for all consumers that ask for it while it is in the cache. One that falls behind reads the
//! journal again; nobody waits for it. Damage in the journal is skipped and counted.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use canh_schema::{ByteSize, Event, EventBatch, FieldId, Position, Value};
use compact_str::CompactString;
use parking_lot::{Condvar, Mutex};
use tracing::{error, warn};

use crate::drops::{DropReason, Drops};
use crate::envelope::Envelope;
use crate::journal::{Journal, JournalError, JournalReader};

const STAGE: &str = "journal";
/// Readers that are kept open for consumers that come back.
const READERS_MAX: usize = 4;
/// Consumers that keep up ask for a batch within moments; whoever comes later reads the disk.
const KEEP: Duration = Duration::from_secs(10);
/// How long to wait before the disk is asked again after it failed.
const RETRY: Duration = Duration::from_millis(500);

/// Makes events of an envelope. The number is the journal's id.
pub type Decoder = Arc<dyn Fn(&Envelope, Position, u64) -> EventBatch + Send + Sync>;

/// Decoded batches, shared by all consumers. Clones are the same feed.
#[derive(Clone)]
pub struct Feed {
    inner: Arc<Inner>,
}

/// What [`Feed::pull`] found.
#[derive(Clone, Debug)]
pub enum Pull {
    Batch(Arc<EventBatch>),
    /// Nothing new yet.
    Idle,
    /// The journal is closed and everything in it has been handed out.
    Closed,
}

struct Inner {
    journal: Arc<Journal>,
    decode: Decoder,
    drops: Drops,
    cache_bytes: usize,
    cache: Mutex<Cache>,
    decoded: Condvar,
    disk_failing: AtomicBool,
}

/// Batches by the position that they were asked for with, which is the one before them.
#[derive(Default)]
struct Cache {
    slots: BTreeMap<Position, Slot>,
    bytes: usize,
    readers: Vec<JournalReader>,
}

enum Slot {
    /// A thread is reading and decoding it.
    Decoding,
    Ready {
        batch: Arc<EventBatch>,
        bytes: usize,
        since: Instant,
    },
}

enum Looked {
    Batch(Arc<EventBatch>),
    /// The caller decodes it; the slot is marked.
    Mine,
}

impl Feed {
    /// A feed of everything in `journal`, with `cache` for decoded batches.
    pub fn new(journal: Arc<Journal>, decode: Decoder, cache: ByteSize, drops: Drops) -> Self {
        let inner = Inner {
            journal,
            decode,
            drops,
            cache_bytes: cache.as_len(),
            cache: Mutex::new(Cache::default()),
            decoded: Condvar::new(),
            disk_failing: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The batch after `after`, for threads outside the runtime: blocks until there is one. `None` when the journal is
    /// closed and everything has been handed out.
    pub fn next_blocking(&self, after: Position) -> Option<Arc<EventBatch>> {
        loop {
            match self.pull_until(after, None) {
                Pull::Batch(batch) => return Some(batch),
                Pull::Closed => return None,
                Pull::Idle => std::thread::sleep(RETRY), // only after the disk could not be read
            }
        }
    }

    /// As [`Feed::next_blocking`], but waits for a new batch at most `wait`.
    pub fn pull(&self, after: Position, wait: Duration) -> Pull {
        self.pull_until(after, Some(Instant::now() + wait))
    }

    /// The batch after `after` if it is there; never waits for a new one.
    pub fn try_next(&self, after: Position) -> Pull {
        self.pull_until(after, Some(Instant::now()))
    }

    /// As [`Feed::next_blocking`], for tasks. Decodes on a thread for blocking work.
    pub async fn next(&self, after: Position) -> Option<Arc<EventBatch>> {
        let mut progress = self.inner.journal.subscribe();
        loop {
            if let Some(batch) = self.inner.cached(after) {
                return Some(batch);
            }
            let _ = progress.wait_for(|progress| progress.durable > after || progress.closed).await;
            let feed = self.clone();
            match tokio::task::spawn_blocking(move || feed.try_next(after)).await {
                Ok(Pull::Batch(batch)) => return Some(batch),
                Ok(Pull::Closed) | Err(_) => return None,
                Ok(Pull::Idle) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    /// Shows `visit` every batch after `after` up to `through`, past the cache. For readers that look at what has been
    /// handed out before: what is damaged or gone is passed over and not counted again.
    pub fn replay(&self, after: Position, through: Position, mut visit: impl FnMut(&EventBatch)) {
        let mut reader = self.inner.journal.reader(after);
        loop {
            match reader.next_batch() {
                Ok(Some((position, _))) if position > through => return,
                Ok(Some((position, envelope))) => visit(&self.inner.decode(&envelope, position)),
                Ok(None) => return,
                Err(JournalError::Unreadable { .. } | JournalError::Gap { .. }) => (),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    return warn!(error, "older journal records cannot be read now");
                }
            }
        }
    }

    /// The last batch that can be pulled now.
    pub fn durable(&self) -> Position {
        self.inner.journal.durable()
    }

    pub fn journal(&self) -> &Arc<Journal> {
        &self.inner.journal
    }

    fn pull_until(&self, after: Position, until: Option<Instant>) -> Pull {
        let inner = &*self.inner;
        let progress = inner.journal.wait(after, until);
        if progress.durable <= after {
            inner.cache.lock().evict(inner.cache_bytes, inner.journal.released());
            return if progress.closed { Pull::Closed } else { Pull::Idle };
        }
        match inner.look(after) {
            Looked::Batch(batch) => Pull::Batch(batch),
            Looked::Mine => {
                let mark = Mark { inner, after, done: false };
                match inner.read(after, progress.durable) {
                    Some(batch) => {
                        mark.fill(batch.clone());
                        Pull::Batch(batch)
                    }
                    None if progress.closed => Pull::Closed, // the disk fails; the rest is read after a restart
                    None => Pull::Idle,
                }
            }
        }
    }
}

impl Inner {
    fn cached(&self, after: Position) -> Option<Arc<EventBatch>> {
        match self.cache.lock().slots.get(&after) {
            Some(Slot::Ready { batch, .. }) => Some(batch.clone()),
            _ => None,
        }
    }

    /// The batch from the cache, waiting for another thread that decodes it; or the task to decode it.
    fn look(&self, after: Position) -> Looked {
        let mut cache = self.cache.lock();
        loop {
            match cache.slots.get(&after) {
                Some(Slot::Ready { batch, .. }) => return Looked::Batch(batch.clone()),
                Some(Slot::Decoding) => self.decoded.wait(&mut cache),
                None => {
                    cache.slots.insert(after, Slot::Decoding);
                    return Looked::Mine;
                }
            }
        }
    }

    /// Reads and decodes the batch after `after`. `None` if the disk cannot be read now, or nothing readable follows.
    fn read(&self, after: Position, durable: Position) -> Option<Arc<EventBatch>> {
        let mut reader = self.take_reader(after);
        let batch = loop {
            match reader.next_batch() {
                Ok(Some((position, envelope))) => break Some(self.decode(&envelope, position)),
                Ok(None) => break None,
                Err(JournalError::Unreadable { position, source }) => {
                    self.drops.add(STAGE, DropReason::Unreadable, 1);
                    warn!(%position, error = &source as &dyn std::error::Error, "journal record skipped");
                    // Empty, so that the consumer's place moves on.
                    break Some(EventBatch::unreadable(position));
                }
                Err(JournalError::Gap { first, last }) => {
                    self.drops.add(STAGE, DropReason::Damaged, last.saturating_sub(first).saturating_add(1));
                    error!(first, last, "journal records are damaged and were skipped");
                    if last >= durable.get() {
                        break Some(EventBatch::unreadable(Position::new(last)));
                    }
                }
                Err(error) => {
                    if !self.disk_failing.swap(true, Ordering::Relaxed) {
                        let error = &error as &dyn std::error::Error;
                        error!(error, "journal cannot be read; trying again until it can");
                    }
                    return None;
                }
            }
        };
        self.disk_failing.store(false, Ordering::Relaxed);
        let mut cache = self.cache.lock();
        if cache.readers.len() >= READERS_MAX {
            cache.readers.remove(0);
        }
        cache.readers.push(reader);
        batch.map(Arc::new)
    }

    fn take_reader(&self, after: Position) -> JournalReader {
        let mut cache = self.cache.lock();
        match cache.readers.iter().position(|reader| reader.position() == after) {
            Some(at) => cache.readers.swap_remove(at),
            None => self.journal.reader(after),
        }
    }

    /// A decoder must not fail, whatever it is given. If it does, the batch stays in the journal's count of losses and
    /// everything else goes on.
    fn decode(&self, envelope: &Envelope, position: Position) -> EventBatch {
        let result = catch_unwind(AssertUnwindSafe(|| (self.decode)(envelope, position, self.journal.id())));
        result.unwrap_or_else(|_| {
            self.drops.add("decode", DropReason::DecoderFailed, 1);
            error!(%position, door = envelope.door.name(), "decoder failed on a batch; please report it");
            EventBatch::unreadable(position)
        })
    }
}

/// The promise to fill a slot. Given up, it frees the slot so that nobody waits for ever.
struct Mark<'a> {
    inner: &'a Inner,
    after: Position,
    done: bool,
}

impl Mark<'_> {
    fn fill(mut self, batch: Arc<EventBatch>) {
        self.done = true;
        let bytes = memory_of(&batch);
        let released = self.inner.journal.released();
        let mut cache = self.inner.cache.lock();
        cache.slots.insert(self.after, Slot::Ready { batch, bytes, since: Instant::now() });
        cache.bytes += bytes;
        cache.evict(self.inner.cache_bytes, released);
        drop(cache);
        self.inner.decoded.notify_all();
    }
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.inner.cache.lock().slots.remove(&self.after);
            self.inner.decoded.notify_all();
        }
    }
}

impl Cache {
    /// Removes what every consumer has passed and what is old, then the oldest until the rest fits.
    fn evict(&mut self, bytes_max: usize, released: Position) {
        loop {
            let oldest = self.slots.iter().find_map(|(after, slot)| match slot {
                Slot::Decoding => None,
                Slot::Ready { bytes, since, .. } => Some((*after, *bytes, *since)),
            });
            match oldest {
                Some((after, bytes, since)) if after < released || self.bytes > bytes_max || since.elapsed() > KEEP => {
                    self.slots.remove(&after);
                    self.bytes -= bytes;
                }
                _ => return,
            }
        }
    }
}

/// What an allocation costs beside its bytes, about.
const ALLOCATION: usize = 16;

/// About how much memory a batch holds. Texts of up to 24 bytes are inside their value.
fn memory_of(batch: &EventBatch) -> usize {
    let events = batch.events.capacity() * size_of::<Event>();
    events + batch.events.iter().map(heap_of_event).sum::<usize>() + size_of::<EventBatch>()
}

fn heap_of_event(event: &Event) -> usize {
    let fields: usize = event.fields.iter().map(|(_, value)| heap_of(value)).sum();
    let attrs: usize = event.attrs.iter().map(|(name, value)| heap_of_text(name) + heap_of(value)).sum();
    let spilled = if event.fields.spilled() { event.fields.capacity() * size_of::<(FieldId, Value)>() } else { 0 };
    event.raw.len()
        + fields
        + spilled
        + attrs
        + event.attrs.capacity() * size_of::<(CompactString, Value)>()
        + 2 * ALLOCATION
}

fn heap_of(value: &Value) -> usize {
    match value {
        Value::Text(text) => heap_of_text(text),
        Value::List(values) => {
            ALLOCATION + values.iter().map(|value| size_of::<Value>() + heap_of(value)).sum::<usize>()
        }
        _ => 0,
    }
}

fn heap_of_text(text: &CompactString) -> usize {
    if text.is_heap_allocated() { text.capacity() + ALLOCATION } else { 0 }
}

#[cfg(test)]
mod tests;
