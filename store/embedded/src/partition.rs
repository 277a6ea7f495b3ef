//! One partition: a Tantivy index in a directory of its own, with the events of one class and one span of time.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use canh_schema::{Event, EventClass, Position, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tantivy::directory::MmapDirectory;
use tantivy::merge_policy::LogMergePolicy;
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, TantivyError};

use crate::document::EventDoc;
use crate::schema::{self, Fields};

/// Events further in the past of their receipt than this do not get a partition of their day.
const PAST_MAX: Duration = Duration::from_secs(7 * 86_400);
/// The same for the future.
const FUTURE_MAX: Duration = Duration::from_secs(2 * 86_400);

/// Which partition an event belongs to. A function of the event alone, so that a replay finds the same one.
///
/// Events with a time near their receipt lie by their time. The others (clocks that are wrong, old logs read in late)
/// lie by their receipt in a `far` partition, so that a sender who makes up times cannot make partitions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct PartitionKey {
    pub(crate) class: EventClass,
    far: bool,
    /// Start of the span.
    start: Timestamp,
    width_secs: u64,
}

impl PartitionKey {
    pub(crate) fn of(event: &Event, window: Duration) -> Self {
        let near = event.time >= event.received.saturating_sub(PAST_MAX) && event.time <= event.received + FUTURE_MAX;
        let at = if near { event.time } else { event.received };
        let width_secs = window.as_secs().clamp(1, 1_000_000_000);
        let width = i64::try_from(width_secs).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
        let start = Timestamp::from_nanos(at.nanos().saturating_sub(at.nanos().rem_euclid(width)));
        Self { class: event.class, far: !near, start, width_secs }
    }

    /// Name of the directory, for example `log-20260131T000000Z-86400` or `flow-far-20260131T000000Z-86400`.
    pub(crate) fn name(&self) -> String {
        let far = if self.far { "-far" } else { "" };
        let start = jiff::Timestamp::from(self.start).strftime("%Y%m%dT%H%M%SZ");
        format!("{}{far}-{start}-{}", self.class.name(), self.width_secs)
    }
}

/// What a commit remembers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Payload {
    /// Of the journal: what belongs here up to this position is here.
    pub(crate) position: u64,
    /// Newest receipt, in nanoseconds since 1970.
    pub(crate) received_max: i64,
}

impl Default for Payload {
    fn default() -> Self {
        Self { position: Position::START.get(), received_max: i64::MIN }
    }
}

pub(crate) struct Partition {
    pub(crate) name: String,
    pub(crate) class: EventClass,
    pub(crate) path: PathBuf,
    pub(crate) fields: Arc<Fields>,
    index: Index,
    reader: IndexReader,
    /// Of the last commit.
    payload: Mutex<Payload>,
    /// What searches see.
    view: Mutex<Arc<View>>,
}

impl Partition {
    /// Opens what is there, or makes a new partition.
    ///
    /// # Errors
    ///
    /// The directory cannot be read or written, or its files are damaged.
    pub(crate) fn open(path: PathBuf) -> Result<Self, TantivyError> {
        // Damaged files may have parts of Tantivy panic; that must not take the other partitions along.
        catch_unwind(AssertUnwindSafe(|| Self::open_inner(path)))
            .unwrap_or_else(|_| Err(TantivyError::SystemError("the index files cannot be understood".to_owned())))
    }

    fn open_inner(path: PathBuf) -> Result<Self, TantivyError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let class = name.split('-').next().and_then(EventClass::from_name);
        let class =
            class.ok_or_else(|| TantivyError::InvalidArgument(format!("`{name}` is no name of a partition")))?;
        fs::create_dir_all(&path)?;
        let directory = MmapDirectory::open(&path)?;
        let index = if Index::exists(&directory)? {
            let mut index = Index::open(directory)?;
            index.set_tokenizers(schema::tokenizers());
            index
        } else {
            if has_segments(&path)? {
                return Err(TantivyError::SystemError("`meta.json` is missing".to_owned()));
            }
            let builder = Index::builder().schema(schema::build()).settings(schema::settings());
            builder.tokenizers(schema::tokenizers()).open_or_create(directory)?
        };
        let fields = Arc::new(Fields::of(&index.schema())?);
        let payload = read_payload(&index)?;
        let reader: IndexReader =
            index.reader_builder().reload_policy(ReloadPolicy::Manual).doc_store_cache_num_blocks(4).try_into()?;
        let view = Mutex::new(Arc::new(View::new(class, fields.clone(), reader.searcher())?));
        Ok(Self { name, class, path, fields, index, reader, payload: Mutex::new(payload), view })
    }

    pub(crate) fn payload(&self) -> Payload {
        *self.payload.lock()
    }

    pub(crate) fn writer(&self, arena: usize) -> Result<IndexWriter<EventDoc>, TantivyError> {
        let options = tantivy::indexer::IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(arena)
            .build();
        let writer = self.index.writer_with_options(options)?;
        let mut policy = LogMergePolicy::default();
        policy.set_min_layer_size(20_000);
        policy.set_max_docs_before_merge(20_000_000);
        writer.set_merge_policy(Box::new(policy));
        Ok(writer)
    }

    /// Makes what the writer has durable and visible.
    pub(crate) fn commit(&self, writer: &mut IndexWriter<EventDoc>, payload: Payload) -> Result<(), TantivyError> {
        let text = serde_json::to_string(&payload).map_err(io::Error::from)?;
        let mut prepared = writer.prepare_commit()?;
        prepared.set_payload(&text);
        prepared.commit()?;
        *self.payload.lock() = payload;
        self.reload()
    }

    /// What searches see now.
    pub(crate) fn view(&self) -> Arc<View> {
        self.view.lock().clone()
    }

    /// Looks again at what is on the disk, for example after the writer has merged.
    pub(crate) fn reload(&self) -> Result<(), TantivyError> {
        self.reader.reload()?;
        let view = View::new(self.class, self.fields.clone(), self.reader.searcher())?;
        *self.view.lock() = Arc::new(view);
        Ok(())
    }

    /// Bytes on disk.
    pub(crate) fn bytes(&self) -> u64 {
        directory_bytes(&self.path)
    }
}

/// Whether there are events although nothing tells which. A new index writes its `meta.json` before any segment.
fn has_segments(path: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        if entry?.path().extension().is_some_and(|extension| extension == "store" || extension == "fast") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read_payload(index: &Index) -> Result<Payload, TantivyError> {
    let Some(text) = index.load_metas()?.payload else { return Ok(Payload::default()) };
    serde_json::from_str(&text).map_err(|error| TantivyError::SystemError(format!("commit without position: {error}")))
}

/// A partition as it was at one moment.
pub(crate) struct View {
    pub(crate) class: EventClass,
    pub(crate) fields: Arc<Fields>,
    pub(crate) searcher: Searcher,
    /// Times of the oldest and newest event; `None` when there is none.
    pub(crate) span: Option<(i64, i64)>,
    /// The same for each segment.
    pub(crate) segments: Vec<(i64, i64)>,
}

impl View {
    fn new(class: EventClass, fields: Arc<Fields>, searcher: Searcher) -> Result<Self, TantivyError> {
        let mut segments = Vec::new();
        for segment in searcher.segment_readers() {
            let times = segment.fast_fields().i64(schema::TIME)?;
            segments.push((times.min_value(), times.max_value()));
        }
        let first = segments.iter().map(|span| span.0).min();
        let last = segments.iter().map(|span| span.1).max();
        Ok(Self { class, fields, searcher, span: first.zip(last), segments })
    }
}

/// Bytes of all files below a directory. What vanishes meanwhile does not count.
pub(crate) fn directory_bytes(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => directory_bytes(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

#[cfg(test)]
mod tests {
    use canh_schema::EventId;

    use super::*;

    #[track_caller]
    fn check(time: &str, received: &str, expected: &str) {
        let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
        let mut event = Event::new(EventId::from_bytes([0; 16]), at(received), Vec::new().into());
        event.time = at(time);
        assert_eq!(PartitionKey::of(&event, Duration::from_secs(86_400)).name(), expected);
    }

    #[test]
    fn partitions_of_events() {
        check("2026-01-31T23:59:59Z", "2026-02-01T00:00:01Z", "log-20260131T000000Z-86400");
        check("2026-01-25T12:00:00Z", "2026-02-01T00:00:01Z", "log-20260125T000000Z-86400");
        check("1970-01-01T00:00:00Z", "2026-02-01T00:00:01Z", "log-far-20260201T000000Z-86400");
        check("2100-01-01T00:00:00Z", "2026-02-01T00:00:01Z", "log-far-20260201T000000Z-86400");
        check("1677-10-01T00:00:00Z", "1677-10-01T00:00:00Z", "log-16771001T000000Z-86400");
    }

    #[test]
    fn the_ends_of_time_have_partitions() {
        for at in [Timestamp::MIN, Timestamp::MAX] {
            let event = Event::new(EventId::from_bytes([0; 16]), at, Vec::new().into());
            assert!(PartitionKey::of(&event, Duration::from_secs(86_400)).name().starts_with("log-"));
        }
    }
}
