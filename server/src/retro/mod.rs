//! Looks back for indicators that are new: when lists are loaded, the store is searched for what would have matched in the
//! past days, newest first, with pauses, so that nothing else waits for it. It goes on after a restart where it was.

mod judge;
mod kept;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use canh_ioc::{Indicator, IndicatorSet};
use canh_schema::{Event, Position, TimeRange, Timestamp};
use canh_store::state::StateStore;
use canh_store::{EventStore, Filter, Hunt, Limit, Outcome, PageKey, SearchPage, SearchRequest, StoreError};
use prometheus::{IntCounter, IntGauge, Registry};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::judge::Judge;
use self::kept::{Job, Kept};
use crate::indicators::Indicators;
use crate::ioc_query;

/// Lists that are loaded one after the other are hunted together, and the store has committed what came before them.
const SETTLE: Duration = Duration::from_secs(5);
const PAGE: u32 = 500;
/// Events of one hunt. With more, the older ones are left out, and that is told.
const EVENTS_MAX: u64 = 50_000_000;
/// Findings of one hunt. More are counted; a list that matches everything should not bury other alerts.
const FINDINGS_MAX: u64 = 2_000;
/// After a page the hunt waits so many times as long as the page took.
const REST: u32 = 3;
const REST_MAX: Duration = Duration::from_secs(2);
/// How often progress is kept and told.
const TELL_EVERY: Duration = Duration::from_secs(5);
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Tries of one page before the hunt goes on with an hour earlier.
const TRIES_MAX: u32 = 5;

#[derive(Clone, Debug)]
pub(crate) struct RetroMetrics {
    running: IntGauge,
    indicators: IntGauge,
    hunts: IntCounter,
    events: IntCounter,
    findings: IntCounter,
    left_out: IntCounter,
}

impl RetroMetrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let this = Self {
            running: IntGauge::new("canh_retro_hunt_running", "Whether the store is searched for new indicators.")?,
            indicators: IntGauge::new("canh_retro_hunt_indicators", "New indicators of the hunt that runs.")?,
            hunts: IntCounter::new("canh_retro_hunts_total", "Hunts for new indicators that came to their end.")?,
            events: IntCounter::new("canh_retro_hunt_events_total", "Stored events that were looked at again.")?,
            findings: IntCounter::new("canh_retro_hunt_findings_total", "Findings in stored events.")?,
            left_out: IntCounter::new(
                "canh_retro_hunt_left_out_total",
                "Findings beyond the most of one hunt, and hours of the store that could not be read.",
            )?,
        };
        registry.register(Box::new(this.running.clone()))?;
        registry.register(Box::new(this.indicators.clone()))?;
        registry.register(Box::new(this.hunts.clone()))?;
        registry.register(Box::new(this.events.clone()))?;
        registry.register(Box::new(this.findings.clone()))?;
        registry.register(Box::new(this.left_out.clone()))?;
        Ok(this)
    }
}

pub(crate) struct Hunter {
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) state: Arc<dyn StateStore>,
    pub(crate) indicators: Indicators,
    /// Texts of the rules of the kind `indicator` that are in force.
    pub(crate) rules: watch::Receiver<Arc<Vec<String>>>,
    pub(crate) past: Duration,
    pub(crate) metrics: RetroMetrics,
    kept: Kept,
}

/// What a hunt looks for.
struct Task {
    set: Arc<IndicatorSet>,
    new: Arc<HashSet<u64>>,
    hunt: Hunt,
}

impl Hunter {
    pub(crate) fn new(
        events: Arc<dyn EventStore>,
        state: Arc<dyn StateStore>,
        indicators: Indicators,
        rules: watch::Receiver<Arc<Vec<String>>>,
        past: Duration,
        metrics: RetroMetrics,
        data: &Path,
    ) -> Self {
        Self { events, state, indicators, rules, past, metrics, kept: Kept::new(data) }
    }

    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut loaded = self.indicators.loaded();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SETTLE) => (),
            }
            loaded.borrow_and_update();
            if let Err(error) = self.round(&stop).await {
                error!(error = %format!("{error:#}"), "the hunt for new indicators stopped; it is tried again when lists are loaded");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = loaded.changed() => if changed.is_err() { return },
            }
        }
    }

    /// One hunt for whatever is new, or the rest of the one that a restart broke off.
    async fn round(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        loop {
            let set = self.indicators.current();
            let job = match self.kept.job()? {
                Some(job) => {
                    info!(indicators = job.new.len(), "the hunt for new indicators goes on");
                    job
                }
                None => {
                    let new = self.new_ones(&set).await?;
                    if new.is_empty() {
                        return Ok(());
                    }
                    let to = Timestamp::now();
                    let job = Job::new(new, to.saturating_sub(self.past), to);
                    self.kept.begin(&job)?;
                    info!(indicators = job.new.len(), from = %job.from, "hunting in the past for new indicators");
                    job
                }
            };
            self.metrics.running.set(1);
            self.metrics.indicators.set(i64::try_from(job.new.len()).unwrap_or(i64::MAX));
            let ended = self.hunt(job, set, stop).await;
            self.metrics.running.set(0);
            self.metrics.indicators.set(0);
            if !ended? {
                return Ok(());
            }
        }
    }

    /// Those that were never hunted for. A list may have a million, so it is not done where others wait.
    async fn new_ones(&self, set: &Arc<IndicatorSet>) -> anyhow::Result<HashSet<u64>> {
        let (kept, set) = (self.kept.clone(), Arc::clone(set));
        let find = move || {
            let known = kept.known()?;
            Ok(set.iter().map(|indicator| fingerprint(&indicator)).filter(|one| !known.contains(one)).collect())
        };
        tokio::task::spawn_blocking(find).await?
    }

    /// `false` if the server stops first.
    async fn hunt(&self, mut job: Job, set: Arc<IndicatorSet>, stop: &CancellationToken) -> anyhow::Result<bool> {
        let new = Arc::new(std::mem::take(&mut job.new));
        let hunt = question(&set, &new).await?;
        let mut task = Task { set, new, hunt };
        let mut judge = Judge::new(&task.set, &task.new, &self.rules.borrow().clone());
        let mut told = Instant::now();
        loop {
            let begin = Instant::now();
            let Some(page) = self.page(&mut job, &mut task, stop).await else { return Ok(false) };
            if page.events.is_empty() && page.next.is_none() {
                break;
            }
            if !self.take(page.events, &mut job, &mut judge, stop).await {
                return Ok(false);
            }
            let Some(next) = page.next else { break };
            job.before = Some(next);
            if job.events >= EVENTS_MAX {
                warn!(events = job.events, back_to = %next.time, "the hunt ends early; hunt for the rest with `canh ioc hunt`");
                break;
            }
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                self.kept.progress(&job)?;
                info!(events = job.events, findings = job.findings, back_to = %next.time, "hunting for new indicators");
            }
            let rest = (begin.elapsed() * REST).min(REST_MAX);
            tokio::select! {
                () = stop.cancelled() => {
                    self.kept.progress(&job)?;
                    return Ok(false);
                }
                () = tokio::time::sleep(rest) => (),
            }
        }
        self.kept.finish(&task.new, || task.set.iter().map(|indicator| fingerprint(&indicator)).collect())?;
        self.metrics.hunts.inc();
        info!(
            indicators = task.new.len(),
            events = job.events,
            findings = job.findings,
            left_out = job.left_out,
            "the hunt for new indicators is done"
        );
        Ok(true)
    }

    /// The next page, newest first. An hour that cannot be read, however often it is tried, is left out. `None` if the server
    /// stops.
    async fn page(&self, job: &mut Job, task: &mut Task, stop: &CancellationToken) -> Option<SearchPage> {
        let mut tries = 0;
        loop {
            let range = TimeRange { start: job.from, end: job.to };
            if range.is_empty() {
                return Some(SearchPage { events: Vec::new(), next: None, outcome: Outcome::Complete });
            }
            let searched = async {
                let request = SearchRequest {
                    filter: Filter::new(task.hunt.clone(), range),
                    limit: Limit::new(PAGE)?,
                    before: job.before,
                };
                self.events.search(request).await
            };
            match searched.await {
                // What is there is the newest part; with a next page nothing is lost.
                Ok(page) if page.outcome == Outcome::Complete || page.next.is_some() => return Some(page),
                Ok(page) => warn!(events = page.events.len(), "the store is too slow for the hunt; trying again"),
                Err(error @ StoreError::BadRequest { .. }) => {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "the store does not take the question; looking at every event"
                    );
                    task.hunt = Hunt::all();
                }
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "the store cannot be searched; trying again");
                }
            }
            tries += 1;
            if tries >= TRIES_MAX {
                let newest = job.before.map_or(job.to, |key| key.time);
                job.to = newest.saturating_sub(Duration::from_secs(3_600));
                job.before = None;
                job.left_out += 1;
                self.metrics.left_out.inc();
                warn!(hour_before = %newest, "an hour of the store is left out of the hunt");
                tries = 0;
            }
            tokio::select! { () = stop.cancelled() => return None, () = tokio::time::sleep(RETRY_AFTER) => () }
        }
    }

    /// Judges a page and writes what is found; only then the page counts as done. `false` if the server stops.
    async fn take(&self, events: Vec<Event>, job: &mut Job, judge: &mut Judge, stop: &CancellationToken) -> bool {
        let count = events.len() as u64;
        // What came after the lists were loaded was held against them when it came.
        let events = events.into_iter().filter(|event| event.received <= job.loaded).collect();
        let mut found = judge.findings(events);
        let room = usize::try_from(FINDINGS_MAX.saturating_sub(job.findings)).unwrap_or(usize::MAX);
        let over = found.len().saturating_sub(room) as u64;
        found.truncate(room);
        if over > 0 && job.left_out == 0 {
            warn!(most = FINDINGS_MAX, "the new indicators match very much; more findings are counted and not kept");
        }
        while !found.is_empty() {
            // The cursor of detection stays where it is.
            match self.state.put_findings(&found, Position::START, Timestamp::now()).await {
                Ok(_) => break,
                Err(error) => {
                    error!(error = &error as &dyn std::error::Error, "cannot write what the hunt found; trying again");
                }
            }
            tokio::select! { () = stop.cancelled() => return false, () = tokio::time::sleep(RETRY_AFTER) => () }
        }
        job.events += count;
        job.findings += found.len() as u64;
        job.left_out += over;
        self.metrics.events.inc_by(count);
        self.metrics.findings.inc_by(found.len() as u64);
        self.metrics.left_out.inc_by(over);
        true
    }
}

/// The hunt for the new values, if they are few; else every event.
async fn question(set: &Arc<IndicatorSet>, new: &Arc<HashSet<u64>>) -> anyhow::Result<Hunt> {
    let (set, new) = (Arc::clone(set), Arc::clone(new));
    let ask = move || ioc_query::narrow(set.iter().filter(|indicator| new.contains(&fingerprint(indicator))));
    let narrow = tokio::task::spawn_blocking(ask).await?;
    Ok(narrow.and_then(|query| Hunt::parse(&query).ok()).unwrap_or_else(Hunt::all))
}

/// What makes an indicator the same after it was loaded again.
fn fingerprint(indicator: &Indicator) -> u64 {
    let text = format!("{}\n{}\n{}", indicator.list, indicator.kind, indicator.value);
    let hash = canh_schema::EventHash::of(text.as_bytes());
    hash.as_bytes().first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

/// A place in the list of events, as it is kept.
fn page_key(text: Option<&str>) -> Option<PageKey> {
    text?.parse().ok()
}
