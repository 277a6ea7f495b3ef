//! Takes events from the feed into the event store, and commits often enough that they can be found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use canh_collector::{Feed, Pull};
use canh_schema::{EventBatch, Position, Timestamp};
use canh_store::state::StoreMark;
use canh_store::{EventStore, StoreError};
use prometheus::{IntCounter, IntGauge, Registry};
use tokio::runtime::Handle;
use tracing::{error, info, warn};

use crate::canary;
use crate::ledger::StoreSample;

/// How long to wait before the store is tried again after it could not write.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Batches between two commits at the most, so that a flood does not grow what one commit has to do.
const BATCHES_MAX: u32 = 2_000;
/// How often the ledger is told what the store has. That reads the sizes of all files.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);

pub(crate) struct Indexer {
    feed: Feed,
    store: Arc<dyn EventStore>,
    commit_every: Duration,
    sample: StoreSample,
    position: IntGauge,
    failures: IntCounter,
}

impl Indexer {
    pub(crate) fn new(
        feed: Feed,
        store: Arc<dyn EventStore>,
        commit_every: Duration,
        sample: StoreSample,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let position = IntGauge::new("canh_store_position", "Journal position that the event store has committed.")?;
        let failures = IntCounter::new(
            "canh_store_failures_total",
            "Times that the event store could not write and was tried again.",
        )?;
        registry.register(Box::new(position.clone()))?;
        registry.register(Box::new(failures.clone()))?;
        Ok(Self { feed, store, commit_every, sample, position, failures })
    }

    /// Runs on a thread of its own until the journal is closed and everything in it is stored.
    pub(crate) fn run(&self, handle: &Handle) {
        let mut after = self.store.cursor();
        info!(%after, "storing events");
        while let Err(error) = self.run_from(after, handle) {
            self.failures.inc();
            error!(error = &error as &dyn std::error::Error, "the event store cannot write; trying again");
            std::thread::sleep(RETRY_AFTER);
            after = match error {
                StoreError::Retry { cursor, .. } => cursor,
                _ => self.store.cursor(),
            };
        }
    }

    fn run_from(&self, mut after: Position, handle: &Handle) -> Result<(), StoreError> {
        let mut waiting = 0;
        let mut sampled = None::<Instant>;
        let mut next_commit = Instant::now() + self.commit_every;
        loop {
            let wait =
                if waiting == 0 { self.commit_every } else { next_commit.saturating_duration_since(Instant::now()) };
            match self.feed.pull(after, wait) {
                Pull::Batch(batch) => {
                    if waiting == 0 {
                        next_commit = Instant::now() + self.commit_every;
                    }
                    after = batch.position;
                    let batch = if canary::is_canary(&batch) {
                        // Samples of rules are no events; only the place in the journal counts.
                        Arc::new(EventBatch::new(batch.position, Vec::new()))
                    } else {
                        batch
                    };
                    self.append(batch, handle)?;
                    waiting += 1;
                }
                // A commit of nothing is cheap, and lets the store put away what it has not used for a while.
                Pull::Idle if waiting == 0 => drop(self.commit(handle)?),
                Pull::Idle => (),
                Pull::Closed => {
                    let cursor = self.commit(handle)?;
                    self.sample(cursor, handle)?;
                    return Ok(());
                }
            }
            if waiting > 0 && (waiting >= BATCHES_MAX || Instant::now() >= next_commit) {
                let cursor = self.commit(handle)?;
                waiting = 0;
                if sampled.is_none_or(|at| at.elapsed() >= SAMPLE_EVERY) {
                    self.sample(cursor, handle)?;
                    sampled = Some(Instant::now());
                }
            }
        }
    }

    fn append(&self, batch: Arc<EventBatch>, handle: &Handle) -> Result<(), StoreError> {
        handle.block_on(self.store.append(batch))
    }

    /// Tells the ledger how many events there are, now that everything up to `cursor` is stored and nothing after it.
    fn sample(&self, cursor: Position, handle: &Handle) -> Result<(), StoreError> {
        let stats = handle.block_on(self.store.stats())?;
        let oldest = stats.oldest.map_or(i64::MAX, Timestamp::nanos);
        self.sample.set(StoreMark { position: cursor, events: stats.events, oldest });
        Ok(())
    }

    fn commit(&self, handle: &Handle) -> Result<Position, StoreError> {
        let begin = Instant::now();
        let cursor = handle.block_on(self.store.commit())?;
        self.position.set(i64::try_from(cursor.get()).unwrap_or(i64::MAX));
        if begin.elapsed() > Duration::from_secs(5) {
            warn!(seconds = begin.elapsed().as_secs_f64(), "a commit of the event store took long; is the disk slow?");
        }
        Ok(cursor)
    }
}
