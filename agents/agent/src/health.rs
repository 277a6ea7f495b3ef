//! The agent about itself: as `status.json` for `doctor`, and as metrics for the server.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use canh_schema::{Timestamp, Value};
use canh_spool::SpoolHandle;
use canh_wire::{Counting, MetricsBuilder, Origin};
use serde::{Deserialize, Serialize};

use crate::counters::{Counters, DropReason, Source};

/// How the connection to the server is doing. Shared between the shipper and whoever reports.
#[derive(Debug, Default)]
pub struct Link {
    state: std::sync::Mutex<LinkState>,
}

#[derive(Clone, Debug, Default)]
struct LinkState {
    last_ack: Option<Instant>,
    failure: Option<String>,
}

impl Link {
    pub fn note_ack(&self) {
        let mut state = self.lock();
        state.last_ack = Some(Instant::now());
        if state.failure.take().is_some() {
            tracing::info!("server takes batches again");
        }
    }

    /// Answers whether this is news.
    pub fn note_failure(&self, text: &str) -> bool {
        let mut state = self.lock();
        let news = state.failure.as_deref() != Some(text);
        state.failure = Some(text.to_owned());
        news
    }

    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    fn last_ack_age(&self) -> Option<Duration> {
        self.lock().last_ack.map(|at| at.elapsed())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LinkState> {
        // A panic elsewhere leaves plain data here.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Everything there is to report.
#[derive(Clone)]
pub struct Health {
    pub origin: Origin,
    pub started: Timestamp,
    pub server_url: String,
    pub counters: Arc<Counters>,
    pub spool: SpoolHandle,
    pub spool_bytes_max: u64,
    pub acked: Arc<AtomicU64>,
    pub link: Arc<Link>,
}

/// `status.json`
#[derive(Debug, Serialize, Deserialize)]
pub struct StatusFile {
    pub at: String,
    pub started: String,
    pub pid: u32,
    pub version: String,
    pub agent_id: String,
    pub host_name: String,
    pub server_url: String,
    /// Why the server does not take batches now; absent if it does.
    pub server_failure: Option<String>,
    pub spool_bytes: u64,
    pub spool_bytes_max: u64,
    pub batches_waiting: u64,
    pub batches_acked: u64,
    pub records_acked: u64,
    /// Why the server does not take files to be scanned now; absent if it does.
    #[serde(default)]
    pub samples_failure: Option<String>,
    #[serde(default)]
    pub samples_waiting: u64,
    #[serde(default)]
    pub samples_sent: u64,
    /// Files seen in traffic that wait, and that were sent.
    #[serde(default)]
    pub transfers_waiting: u64,
    #[serde(default)]
    pub transfers_sent: u64,
    pub read: Vec<(String, u64)>,
    pub dropped: Vec<(String, String, u64)>,
}

impl Health {
    fn waiting(&self) -> u64 {
        self.spool.visible().saturating_sub(self.acked.load(Ordering::Acquire))
    }

    /// The agent's own counters as an OTLP message, and how many there are.
    pub fn metrics(&self, now: Timestamp) -> (Vec<u8>, usize) {
        let mut metrics = MetricsBuilder::new(self.origin.clone(), self.started, now);
        let counters = &self.counters;
        let integer = |value: u64| Value::Integer(i64::try_from(value).unwrap_or(i64::MAX));
        let load = |counter: &AtomicU64| integer(counter.load(Ordering::Relaxed));
        for source in Source::ALL {
            let input = [("input", source.name())];
            metrics.add(
                Counting::Counter,
                "canh_agent_read_total",
                "{record}",
                &integer(counters.read(source)),
                &input,
            );
        }
        for reason in DropReason::ALL {
            let (stage, why) = reason.labels();
            let labels = [("stage", stage), ("reason", why)];
            let count = integer(counters.dropped(reason));
            metrics.add(Counting::Counter, "canh_agent_dropped_total", "{record}", &count, &labels);
        }
        let totals = [
            ("canh_agent_batches_spooled_total", &counters.spooled_batches),
            ("canh_agent_batches_acked_total", &counters.acked_batches),
            ("canh_agent_records_acked_total", &counters.acked_records),
            ("canh_agent_retries_total", &counters.retries),
            ("canh_agent_spool_waits_total", &counters.spool_waits),
            ("canh_agent_samples_offered_total", &counters.samples.offered),
            ("canh_agent_samples_known_total", &counters.samples.known),
            ("canh_agent_samples_sent_total", &counters.samples.sent),
            ("canh_agent_samples_sent_bytes_total", &counters.samples.sent_bytes),
            ("canh_agent_transfers_offered_total", &counters.transfers.offered),
            ("canh_agent_transfers_known_total", &counters.transfers.known),
            ("canh_agent_transfers_sent_total", &counters.transfers.sent),
            ("canh_agent_transfers_sent_bytes_total", &counters.transfers.sent_bytes),
        ];
        for (name, counter) in totals {
            metrics.add(Counting::Counter, name, "1", &load(counter), &[]);
        }
        let states = [
            ("canh_agent_spool_bytes", "By", self.spool.bytes()),
            ("canh_agent_spool_bytes_max", "By", self.spool_bytes_max),
            ("canh_agent_batches_waiting", "{batch}", self.waiting()),
            ("canh_agent_samples_remembered", "{file}", counters.samples.remembered.load(Ordering::Relaxed)),
            ("canh_agent_samples_waiting", "{file}", counters.samples.waiting.load(Ordering::Relaxed)),
            ("canh_agent_transfers_waiting", "{file}", counters.transfers.waiting.load(Ordering::Relaxed)),
        ];
        for (name, unit, value) in states {
            metrics.add(Counting::Gauge, name, unit, &integer(value), &[]);
        }
        if let Some(age) = self.link.last_ack_age() {
            metrics.add(Counting::Gauge, "canh_agent_ack_age_seconds", "s", &Value::Float(age.as_secs_f64()), &[]);
        }
        let count = metrics.len();
        (metrics.finish(), count)
    }

    /// Writes `status.json`. It need not survive a power cut, so nothing is synced.
    pub fn write_status(&self, path: &Path, now: Timestamp) -> std::io::Result<()> {
        let counters = &self.counters;
        let status = StatusFile {
            at: now.to_string(),
            started: self.started.to_string(),
            pid: std::process::id(),
            version: self.origin.agent_version.clone(),
            agent_id: self.origin.agent.to_string(),
            host_name: self.origin.host_name.clone(),
            server_url: self.server_url.clone(),
            server_failure: self.link.failure(),
            spool_bytes: self.spool.bytes(),
            spool_bytes_max: self.spool_bytes_max,
            batches_waiting: self.waiting(),
            batches_acked: counters.acked_batches.load(Ordering::Relaxed),
            records_acked: counters.acked_records.load(Ordering::Relaxed),
            samples_failure: counters.samples.failure().or_else(|| counters.transfers.failure()),
            samples_waiting: counters.samples.waiting.load(Ordering::Relaxed),
            samples_sent: counters.samples.sent.load(Ordering::Relaxed),
            transfers_waiting: counters.transfers.waiting.load(Ordering::Relaxed),
            transfers_sent: counters.transfers.sent.load(Ordering::Relaxed),
            read: Source::ALL.map(|source| (source.name().to_owned(), counters.read(source))).to_vec(),
            dropped: DropReason::ALL
                .map(|reason| {
                    let (stage, why) = reason.labels();
                    (stage.to_owned(), why.to_owned(), counters.dropped(reason))
                })
                .to_vec(),
        };
        let beside = path.with_extension("tmp");
        fs::write(&beside, serde_json::to_vec_pretty(&status)?)?;
        fs::rename(beside, path)
    }
}
