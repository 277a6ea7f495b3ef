//! Takes events from the feed through the rules, and writes what they find together with how far detection is.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use canh_collector::{Feed, Pull};
use canh_detection::Engine;
use canh_schema::{EventBatch, Finding, Position, Timestamp};
use canh_store::state::{StateError, StateStore};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Registry};
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tracing::{error, info};

use crate::canary::{self, Seen};
use crate::health::Health;
use crate::indicators::IndicatorStream;
use crate::memory::MemoryFile;
use crate::release::KEEP_BEHIND;

/// Findings wait at most this long to be written, so that one transaction holds many.
const WRITE_EVERY: Duration = Duration::from_millis(50);
/// Without findings only the cursor is written; that can wait longer, because reading a batch again changes nothing.
const CURSOR_EVERY: Duration = Duration::from_secs(1);
/// What rules remember is kept this often; after a restart the journal is read again from there.
const REMEMBER_EVERY: Duration = Duration::from_secs(60);
const HEALTH_EVERY: Duration = Duration::from_secs(30);
const FINDINGS_MAX: usize = 2_000;
const RETRY_AFTER: Duration = Duration::from_secs(1);
const TICK_EVERY: Duration = Duration::from_secs(1);

pub(crate) struct Detector {
    pub(crate) feed: Feed,
    pub(crate) state: Arc<dyn StateStore>,
    /// Every batch passes here on its way, for whoever follows events live.
    pub(crate) live: broadcast::Sender<Arc<EventBatch>>,
    /// New rules, compiled, and the position up to which they know the journal.
    pub(crate) reload: Receiver<(Engine, Position)>,
    /// Told once, when new events are looked at.
    pub(crate) started: Option<tokio::sync::oneshot::Sender<()>>,
    /// Asked beside the rules, for each event.
    pub(crate) indicators: IndicatorStream,
    pub(crate) metrics: DetectorMetrics,
    pub(crate) memory: MemoryFile,
    pub(crate) health: Health,
    pub(crate) canaries: Seen,
    /// Findings of one rule in one hour that are kept.
    pub(crate) budget: u32,
}

pub(crate) struct DetectorMetrics {
    position: IntGauge,
    events: IntCounter,
    findings: IntCounter,
    suppressed: IntCounter,
    /// From receipt of the newest event of a finding to the finding being on disk.
    latency: Histogram,
}

impl DetectorMetrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let buckets = vec![0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
        let this = Self {
            position: IntGauge::new("canh_detection_position", "Journal position that detection has finished.")?,
            events: IntCounter::new("canh_detection_events_total", "Events that went through the rules.")?,
            findings: IntCounter::new("canh_detection_findings_total", "Findings written.")?,
            suppressed: IntCounter::new(
                "canh_detection_suppressed_total",
                "Findings that were counted and not kept, because their rule was over its budget.",
            )?,
            latency: Histogram::with_opts(
                HistogramOpts::new(
                    "canh_finding_latency_seconds",
                    "From receipt of the newest batch of a write to its findings being on disk.",
                )
                .buckets(buckets),
            )?,
        };
        registry.register(Box::new(this.position.clone()))?;
        registry.register(Box::new(this.events.clone()))?;
        registry.register(Box::new(this.findings.clone()))?;
        registry.register(Box::new(this.suppressed.clone()))?;
        registry.register(Box::new(this.latency.clone()))?;
        Ok(this)
    }
}

/// What has been found and not been written yet.
struct Pending {
    findings: Vec<Finding>,
    after: Position,
    written: Position,
    /// When the oldest of it was found.
    since: Instant,
    /// Receipt of the oldest batch with a finding.
    received: Option<Timestamp>,
    /// When rules were last told that time has passed.
    ticked: Timestamp,
    /// Something was found without a batch, and should not wait for one.
    overdue: bool,
}

impl Detector {
    /// Runs on a thread of its own until the journal is closed and everything in it has been looked at.
    pub(crate) fn run(mut self, mut engine: Engine, handle: &Handle) {
        let after = self.cursor(handle);
        self.metrics.position.set(i64::try_from(after.get()).unwrap_or(i64::MAX));
        match self.memory.restore(&mut engine, after) {
            // However long ago it was: a memory may reach back for months.
            Some(known) => warm(&self.feed, &mut engine, known, after, Timestamp::MIN),
            None => warm(&self.feed, &mut engine, Position::START, after, recent()),
        }
        info!(%after, "detecting");
        if let Some(started) = self.started.take() {
            // Nobody waiting is not an error.
            let _ = started.send(());
        }
        let mut pending = Pending {
            findings: Vec::new(),
            after,
            written: after,
            since: Instant::now(),
            received: None,
            ticked: Timestamp::MIN,
            overdue: false,
        };
        let (mut remembered, mut told) = (Instant::now(), Instant::now());
        loop {
            if let Ok((newer, known)) = self.reload.try_recv() {
                engine = self.replace(&engine, newer, known, pending.after);
            }
            match self.feed.pull(pending.after, self.patience(&pending)) {
                Pull::Batch(batch) => self.look(&mut engine, &batch, &mut pending),
                // Everything that came was looked at, so what has not come by now is missing.
                Pull::Idle => self.tick(&mut engine, Timestamp::now(), &mut pending),
                Pull::Closed => {
                    self.write(&mut pending, handle);
                    self.memory.save(&engine, pending.written);
                    self.tell_health(handle);
                    return;
                }
            }
            if self.due(&pending) {
                self.write(&mut pending, handle);
            }
            if remembered.elapsed() >= REMEMBER_EVERY {
                // What is remembered must not be ahead of what is written: a rule that remembers that it fired does not fire
                // again, and the finding would be lost with the process.
                self.write(&mut pending, handle);
                self.memory.save(&engine, pending.written);
                remembered = Instant::now();
            }
            if told.elapsed() >= HEALTH_EVERY {
                self.tell_health(handle);
                told = Instant::now();
            }
        }
    }

    /// The new engine takes over what the old one remembers for the rules that did not change. For the others it was shown
    /// the journal up to `known`.
    fn replace(&self, old: &Engine, mut newer: Engine, known: Position, after: Position) -> Engine {
        warm(&self.feed, &mut newer, known, after, recent());
        match newer.restore(&old.save()) {
            Ok(rules) => info!(rules, "new rules are in force; unchanged ones go on with what they remember"),
            Err(error) => error!(error = &error as &dyn std::error::Error, "what rules remember was lost"),
        }
        newer
    }

    fn tick(&self, engine: &mut Engine, now: Timestamp, pending: &mut Pending) {
        if now < pending.ticked + TICK_EVERY {
            return;
        }
        pending.ticked = now;
        let before = pending.findings.len();
        engine.tick(now, &mut pending.findings);
        self.keep_within_budget(pending, before);
        if pending.findings.len() > before {
            // Written with the next batch, or at once if there is nothing else to wait for.
            pending.overdue = true;
        }
    }

    fn keep_within_budget(&self, pending: &mut Pending, from: usize) {
        let suppressed = self.health.within_budget(&mut pending.findings, from, self.budget, Timestamp::now());
        self.metrics.suppressed.inc_by(suppressed);
    }

    fn tell_health(&self, handle: &Handle) {
        let changed = self.health.changed();
        if changed.is_empty() {
            return;
        }
        if let Err(error) = handle.block_on(self.state.put_rule_health(&changed)) {
            error!(error = &error as &dyn std::error::Error, "cannot write how the rules do");
        }
    }

    fn look(&mut self, engine: &mut Engine, batch: &Arc<EventBatch>, pending: &mut Pending) {
        if canary::is_canary(batch) {
            self.canaries.saw(engine, batch);
            pending.after = batch.position;
            return;
        }
        if pending.after == pending.written && pending.findings.is_empty() {
            pending.since = Instant::now();
        }
        let before = pending.findings.len();
        engine.evaluate(batch, &mut pending.findings);
        self.indicators.evaluate(batch, engine.take_claims(), &mut pending.findings);
        if let Some(received) = batch.events.first().map(|event| event.received) {
            self.tick(engine, received, pending);
        }
        self.keep_within_budget(pending, before);
        if pending.findings.len() > before && pending.received.is_none() {
            pending.since = Instant::now();
            pending.received = batch.events.first().map(|event| event.received);
        }
        pending.after = batch.position;
        self.metrics.events.inc_by(batch.events.len() as u64);
        if self.live.receiver_count() > 0 {
            // Nobody listening any more is not an error.
            let _ = self.live.send(batch.clone());
        }
    }

    fn patience(&self, pending: &Pending) -> Duration {
        let every = if pending.findings.is_empty() { CURSOR_EVERY } else { WRITE_EVERY };
        if pending.overdue {
            return Duration::ZERO;
        }
        if pending.after == pending.written { CURSOR_EVERY } else { every.saturating_sub(pending.since.elapsed()) }
    }

    fn due(&self, pending: &Pending) -> bool {
        pending.overdue
            || pending.after != pending.written
                && (pending.findings.len() >= FINDINGS_MAX || self.patience(pending).is_zero())
    }

    /// Writes until it succeeds: a finding must not be lost because a disk is full.
    fn write(&self, pending: &mut Pending, handle: &Handle) {
        if pending.after == pending.written && pending.findings.is_empty() {
            return;
        }
        loop {
            let now = Timestamp::now();
            match handle.block_on(self.state.put_findings(&pending.findings, pending.after, now)) {
                Ok(_) => break,
                Err(StateError::Closed) => return,
                Err(error) => error!(error = &error as &dyn std::error::Error, "cannot write findings; trying again"),
            }
            std::thread::sleep(RETRY_AFTER);
        }
        if let Some(received) = pending.received.take() {
            self.metrics.latency.observe((Timestamp::now() - received).as_secs_f64());
        }
        self.metrics.findings.inc_by(pending.findings.len() as u64);
        self.metrics.position.set(i64::try_from(pending.after.get()).unwrap_or(i64::MAX));
        pending.findings.clear();
        pending.written = pending.after;
        pending.overdue = false;
    }

    fn cursor(&self, handle: &Handle) -> Position {
        loop {
            match handle.block_on(self.state.detection_cursor()) {
                Ok(cursor) => return cursor,
                Err(error) => {
                    error!(error = &error as &dyn std::error::Error, "cannot read the detection cursor; trying again")
                }
            }
            std::thread::sleep(RETRY_AFTER);
        }
    }
}

/// Since when events are shown to rules that remember nothing.
pub(crate) fn recent() -> Timestamp {
    Timestamp::now().saturating_sub(KEEP_BEHIND)
}

/// Shows the engine what came before, since `oldest` by their receipt, so that windows of correlations that were open go on.
pub(crate) fn warm(feed: &Feed, engine: &mut Engine, after: Position, through: Position, oldest: Timestamp) {
    let first = Position::new(feed.journal().first().get().saturating_sub(1));
    feed.replay(after.max(first), through, |batch| {
        if batch.events.first().is_some_and(|event| event.received >= oldest) {
            engine.warm(batch);
        }
    });
}
