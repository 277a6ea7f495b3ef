//! The event store over Tantivy.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use canh_schema::{Event, EventBatch, EventId, Position, Timestamp};
use canh_store::hunt::{Expr, Hunt, Literal, Test};
use canh_store::{
    EventStore, FieldCounts, FieldCountsRequest, FieldRef, Filter, Histogram, HistogramRequest, Pseudo, Removed,
    SearchPage, SearchRequest, StoreError, StoreStats, TopValues, TopValuesRequest, tally,
};
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tracing::info;

use crate::control::Control;
use crate::newest::newest;
use crate::partition::View;
use crate::partitions::Partitions;
use crate::scan::Plan;
use crate::writers::{Writers, read_cursor, write_cursor};
use crate::{EmbeddedConfig, Metrics, count};

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot use the directory `{}` for the event store", .path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("the event store in `{}` is in use by another program; stop that one first", .path.display())]
    InUse { path: PathBuf },
    #[error("cannot register the metrics of the event store")]
    Metrics(#[from] prometheus::Error),
}

/// Events on the local disk. Cheap to share behind an `Arc`.
pub struct EmbeddedStore {
    partitions: Arc<Partitions>,
    writers: Arc<Mutex<Writers>>,
    /// A copy of the writers' cursor that can be read while they are at work.
    cursor: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
    searches: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
    /// Keeps other programs out.
    _lock: File,
}

impl EmbeddedStore {
    /// Opens the store, or makes an empty one. Blocks while it reads the directory.
    ///
    /// Partitions that are damaged are moved to `damaged/`, counted, and the cursor is set back to the beginning so that
    /// the journal fills in what it still has.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if the directory cannot be used at all.
    pub fn open(config: EmbeddedConfig, registry: &Registry) -> Result<Self, OpenError> {
        let path = config.path.clone();
        let error = |source| OpenError::Directory { path: path.clone(), source };
        fs::create_dir_all(&path).map_err(error)?;
        let lock = File::create(path.join("lock")).map_err(error)?;
        match lock.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path }),
            Err(TryLockError::Error(source)) => return Err(error(source)),
        }
        let metrics = Arc::new(Metrics::new(registry)?);
        let cursor = read_cursor(&path).map_err(error)?;
        let partitions = Arc::new(Partitions::open(path.clone()).map_err(error)?);
        let damaged = partitions.newly_damaged();
        let cursor = if damaged > 0 {
            metrics.damaged.inc_by(damaged);
            write_cursor(&path, Position::START).map_err(error)?;
            Position::START
        } else {
            cursor
        };
        info!(partitions = partitions.all().len(), damaged, cursor = cursor.get(), "event store opened");
        let searches = config.searches_max.max(1);
        Ok(Self {
            writers: Arc::new(Mutex::new(Writers::new(config, partitions.clone(), metrics.clone(), cursor))),
            partitions,
            cursor: Arc::new(AtomicU64::new(cursor.get())),
            metrics,
            searches: Arc::new(Semaphore::new(searches)),
            waiting: AtomicUsize::new(0),
            waiting_max: searches * 8,
            _lock: lock,
        })
    }

    /// Does something with the writers on a thread that may block.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writers) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (writers, cursor) = (self.writers.clone(), self.cursor.clone());
        let done = spawn_blocking(move || {
            let mut writers = writers.lock();
            let result = work(&mut writers);
            cursor.store(writers.cursor().get(), Ordering::Release);
            result
        });
        done.await.map_err(|error| StoreError::failed("finish writing", error))?
    }

    /// Does something with what is committed, on a thread that may block, a few at a time. Dropping the future ends it.
    async fn look<T: Send + 'static>(
        &self,
        deadline: std::time::Duration,
        work: impl FnOnce(&[Arc<View>], &Control) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _leave = Leave(&self.waiting);
        if waiting >= self.waiting_max {
            return Err(StoreError::Busy);
        }
        let permit = self.searches.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let control = Control::new(deadline);
        let _cancel = control.guard();
        let (partitions, metrics) = (self.partitions.clone(), self.metrics.clone());
        let done = spawn_blocking(move || {
            let _permit = permit;
            let _timer = metrics.search_seconds.start_timer();
            work(&partitions.views(), &control)
        });
        let done = done.await.map_err(|error| StoreError::failed("finish the search", error))?;
        done.map_err(|error| match error {
            StoreError::Deadline { .. } => StoreError::Deadline { limit: deadline },
            error => error,
        })
    }
}

struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl EventStore for EmbeddedStore {
    async fn append(&self, batch: Arc<EventBatch>) -> Result<(), StoreError> {
        self.write(move |writers| writers.append(&batch)).await
    }

    async fn commit(&self) -> Result<Position, StoreError> {
        self.write(Writers::commit).await
    }

    fn cursor(&self) -> Position {
        Position::new(self.cursor.load(Ordering::Acquire))
    }

    async fn search(&self, request: SearchRequest) -> Result<SearchPage, StoreError> {
        self.look(request.filter.deadline, move |views, control| {
            let plan = Plan::new(views, &request.filter, control)?;
            let found = newest(&plan, &request.filter.hunt, request.before, request.limit.get())?;
            Ok(SearchPage { events: found.events, next: found.next, outcome: found.outcome })
        })
        .await
    }

    async fn histogram(&self, request: HistogramRequest) -> Result<Histogram, StoreError> {
        let layout = request.layout()?;
        self.look(request.filter.deadline, move |views, control| {
            let plan = Plan::new(views, &request.filter, control)?;
            let (counts, outcome) = count::histogram(&plan, &request.filter.hunt, layout)?;
            let total = counts.iter().sum();
            Ok(Histogram { width: request.width, buckets: layout.fill(&counts), total, outcome })
        })
        .await
    }

    async fn top_values(&self, request: TopValuesRequest) -> Result<TopValues, StoreError> {
        self.look(request.filter.deadline, move |views, control| count::top_values(views, &request, control)).await
    }

    async fn field_counts(&self, request: FieldCountsRequest) -> Result<FieldCounts, StoreError> {
        self.look(request.filter.deadline, move |views, control| {
            let plan = Plan::new(views, &request.filter, control)?;
            let found = newest(&plan, &request.filter.hunt, None, request.sample.get())?;
            Ok(tally::field_counts(&found.events))
        })
        .await
    }

    async fn get(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        let test = Test::Is(Literal::new(id.to_string()));
        let hunt = Hunt::from(Expr::Field(FieldRef::Pseudo(Pseudo::Id), test));
        let filter = Filter { hunt, ..Filter::all() };
        self.look(filter.deadline, move |views, control| {
            let plan = Plan::new(views, &filter, control)?;
            Ok(newest(&plan, &filter.hunt, None, 1)?.events.pop())
        })
        .await
    }

    async fn expire(&self, cutoff: Timestamp) -> Result<Removed, StoreError> {
        let partitions = self.partitions.clone();
        self.write(move |writers| {
            // What waits may be newer than what is there.
            writers.commit()?;
            let mut removed = Removed::default();
            for partition in partitions.all() {
                let view = partition.view();
                let Some((_, newest)) = view.span else { continue };
                if newest.max(partition.payload().received_max) >= cutoff.nanos() {
                    continue;
                }
                let bytes = partition.bytes();
                writers.forget(&partition.name);
                partitions
                    .remove(&partition.name)
                    .map_err(|error| StoreError::failed(format!("remove partition `{}`", partition.name), error))?;
                info!(
                    partition = partition.name,
                    events = view.searcher.num_docs(),
                    bytes,
                    "partition removed by retention"
                );
                removed.events += view.searcher.num_docs();
                removed.bytes += bytes;
                removed.partitions += 1;
            }
            Ok(removed)
        })
        .await
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        let partitions = self.partitions.clone();
        self.look(Filter::DEADLINE, move |views, _| {
            let spans = || views.iter().filter_map(|view| view.span);
            Ok(StoreStats {
                events: views.iter().map(|view| view.searcher.num_docs()).sum(),
                bytes: partitions.bytes(),
                partitions: views.len() as u64,
                damaged: partitions.damaged(),
                oldest: spans().map(|span| span.0).min().map(Timestamp::from_nanos),
                newest: spans().map(|span| span.1).max().map(Timestamp::from_nanos),
            })
        })
        .await
    }
}
