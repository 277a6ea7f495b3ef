//! The delivery ledger: counts, by sender and hour, what is in the journal, what detection and the store have finished,
//! and what was lost where.
//!
//! It reads the journal as detection and the store do, so its counts are of what is on disk, and a restart neither loses
//! nor doubles any: they are written together with how far they go. What is missing becomes a line of the server's own
//! log ([`line`]), of which a rule makes an alert.

mod book;
mod gaps;
mod line;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use canh_collector::{Door, Envelope, Feed, Framing, Pull, SourceKey, Sources};
use canh_schema::{Position, Timestamp};
use canh_store::EventStore;
use canh_store::state::{LedgerGap, LedgerMarks, StateError, StateStore, StoreMark};
use parking_lot::Mutex;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use self::book::Book;

const PULL: Duration = Duration::from_millis(250);
/// How often it is looked how far the others are.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const WRITE_EVERY: Duration = Duration::from_secs(2);
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How often writing is tried when the server stops.
const STOP_TRIES: u32 = 5;
const FORGET_EVERY: Duration = Duration::from_secs(3_600);
/// Gaps told at once; the others follow with the next look.
const TOLD_MAX: usize = 100;

/// What the store had after its last commit, for the ledger to compare. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct StoreSample {
    mark: Arc<Mutex<Option<StoreMark>>>,
    expiries: Arc<AtomicU64>,
}

impl StoreSample {
    pub(crate) fn set(&self, mark: StoreMark) {
        *self.mark.lock() = Some(mark);
    }

    /// Told before old events are deleted and after it: a comparison across that says nothing.
    pub(crate) fn expires(&self) {
        self.expiries.fetch_add(1, Ordering::AcqRel);
    }

    fn take(&self) -> Option<StoreMark> {
        self.mark.lock().take()
    }

    fn expiries(&self) -> u64 {
        self.expiries.load(Ordering::Acquire)
    }
}

/// From which position on the ledger needs the journal. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Known(Arc<AtomicU64>);

impl Known {
    pub(crate) fn get(&self) -> Position {
        Position::new(self.0.load(Ordering::Acquire))
    }
}

pub(crate) struct LedgerMetrics {
    position: IntGauge,
    waiting: IntGaugeVec,
    gaps: IntCounterVec,
}

impl LedgerMetrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let waiting = Opts::new("canh_ledger_waiting_events", "Events in the journal that a stage has not finished.");
        let gaps = Opts::new("canh_ledger_gaps_total", "Gaps in what was delivered that were told of, by kind.");
        let this = Self {
            position: IntGauge::new("canh_ledger_position", "Journal position up to which deliveries are counted.")?,
            waiting: IntGaugeVec::new(waiting, &["stage"])?,
            gaps: IntCounterVec::new(gaps, &["kind"])?,
        };
        registry.register(Box::new(this.position.clone()))?;
        registry.register(Box::new(this.waiting.clone()))?;
        registry.register(Box::new(this.gaps.clone()))?;
        Ok(this)
    }
}

pub(crate) struct Ledger {
    pub(crate) feed: Feed,
    pub(crate) state: Arc<dyn StateStore>,
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) sample: StoreSample,
    pub(crate) known: Known,
    pub(crate) metrics: LedgerMetrics,
    /// How long lines are kept.
    pub(crate) keep: Duration,
    /// The marks of the last update.
    pub(crate) written: Mutex<LedgerMarks>,
}

impl Ledger {
    /// Runs on a thread of its own. After the journal is closed it waits for `stop`, when detection and the store have
    /// finished, and writes a last time.
    pub(crate) fn run(self, handle: &Handle, stop: &CancellationToken) {
        let Some(mut book) = self.open(handle) else { return };
        let mut after = book.marks().oldest();
        let (mut looked, mut written, mut forgotten) = (Instant::now(), Instant::now(), None::<Instant>);
        let mut closed = false;
        loop {
            // Before the last look, so that it sees everything that was done until then.
            let stopping = stop.is_cancelled();
            if closed || !book.has_room() {
                std::thread::sleep(if stopping { Duration::ZERO } else { PULL });
            } else {
                match self.feed.pull(after, PULL) {
                    Pull::Batch(batch) => {
                        book.count(&batch, after, Timestamp::now());
                        after = batch.position;
                    }
                    Pull::Idle => (),
                    Pull::Closed => closed = true,
                }
            }
            let last = stopping && closed;
            if last || looked.elapsed() >= LOOK_EVERY || !book.has_room() {
                self.look(&mut book, handle, !closed);
                looked = Instant::now();
            }
            if last || written.elapsed() >= WRITE_EVERY {
                let forget = forgotten.is_none_or(|at| at.elapsed() >= FORGET_EVERY);
                self.write(&mut book, forget, handle, stop);
                written = Instant::now();
                forgotten = if forget { Some(written) } else { forgotten };
            }
            if last {
                return;
            }
        }
    }

    fn open(&self, handle: &Handle) -> Option<Book> {
        loop {
            let start = handle.block_on(async {
                let start = self.state.ledger_start().await?;
                // The first time the ledger begins with what is still to be done. That is written at once: were the
                // server killed now, it would begin later the next time.
                let first = self.state.detection_cursor().await?.min(self.events.cursor());
                let mut book = Book::new(start, first);
                self.state.put_ledger(book.take_update()).await?;
                Ok::<_, StateError>(book)
            });
            match start {
                Ok(book) => {
                    self.known.0.store(book.marks().oldest().get(), Ordering::Release);
                    return Some(book);
                }
                Err(StateError::Closed) => return None,
                Err(error) => {
                    error!(error = &error as &dyn std::error::Error, "cannot read the delivery ledger; trying again");
                }
            }
            std::thread::sleep(RETRY_AFTER);
        }
    }

    /// Learns how far the others are, and tells of what is missing.
    fn look(&self, book: &mut Book, handle: &Handle, tell: bool) {
        let now = Timestamp::now();
        // Both before the sample: whatever is in it was stored by then.
        if let Ok(cursor) = handle.block_on(self.state.detection_cursor()) {
            book.detected(cursor);
        }
        let sample = self.sample.take();
        // After the sample was taken: what was deleted before it is known by now.
        book.expired(self.sample.expiries());
        if let Some(sample) = sample {
            book.compare(sample, now);
        } else {
            book.compare_again(now);
        }
        book.stored(self.events.cursor());
        book.give_up_comparing();
        for note in self.sources.take_notes() {
            book.note(note, now);
        }
        if tell {
            for gap in book.gaps.due(now).into_iter().take(TOLD_MAX) {
                if !self.tell(&gap, now, handle) {
                    break; // the journal takes nothing now; the next look tries again
                }
                book.gaps.told(gap.id, now);
            }
        }
        book.gaps.settle(now);
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (detection, store) = book.waiting();
        self.metrics.waiting.with_label_values(&["detection"]).set(whole(detection));
        self.metrics.waiting.with_label_values(&["store"]).set(whole(store));
        self.metrics.position.set(whole(book.marks().journaled.get()));
    }

    /// Whether the journal has it.
    fn tell(&self, gap: &LedgerGap, now: Timestamp, handle: &Handle) -> bool {
        let line = match line::line(gap, self.host_of(&gap.source).as_deref(), now) {
            Ok(line) => line,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "a gap cannot be written down");
                return true;
            }
        };
        let mut envelope = Envelope::new(Door::Ledger, now, Framing::NdJson, Bytes::from(line));
        envelope.format = Some("json".into());
        let journal = self.feed.journal().clone();
        let told = handle.block_on(async move { journal.append(envelope).await });
        if told.is_ok() {
            self.metrics.gaps.with_label_values(&[gap.kind.name()]).inc();
            warn!(source = %gap.source, kind = gap.kind.name(), missing = gap.missing, "something was not delivered");
        }
        told.is_ok()
    }

    /// The machine that a sender is on, by what it says of itself or by its address.
    fn host_of(&self, source: &str) -> Option<String> {
        if let Ok(agent) = source.parse() {
            return self.sources.get(&SourceKey::Agent(agent))?.about.host.map(String::from);
        }
        source.split_once(':').map(|(_, name)| name.to_owned())
    }

    /// Writes until it succeeds: what was counted must not be lost because a disk is full.
    ///
    /// After `stop` it gives up: the journal still has what would have been written.
    fn write(&self, book: &mut Book, forget: bool, handle: &Handle, stop: &CancellationToken) {
        let mut update = book.take_update();
        let is_new = update.marks != *self.written.lock() || !update.is_empty();
        if !is_new && !forget {
            return;
        }
        if forget {
            update.forget_before = Some(Timestamp::now().saturating_sub(self.keep));
        }
        let marks = update.marks;
        let mut tries = 0;
        loop {
            tries += 1;
            match handle.block_on(self.state.put_ledger(update.clone())) {
                Ok(()) => break,
                Err(StateError::Closed) => return,
                Err(error) => {
                    error!(error = &error as &dyn std::error::Error, "cannot write the delivery ledger; trying again");
                }
            }
            if stop.is_cancelled() && tries >= STOP_TRIES {
                return;
            }
            std::thread::sleep(RETRY_AFTER);
        }
        *self.written.lock() = marks;
        self.known.0.store(marks.oldest().get(), Ordering::Release);
    }
}
