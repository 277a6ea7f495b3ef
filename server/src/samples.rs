//! Scans the files that are sent to the server, and remembers the results. The result is a few ordinary log lines (product `canh`, service `yara`)
//! that the collector journals: they are searched, and Sigma rules make alerts of them, like any others.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use canh_collector::{Sample, SampleOrigin, SampleRefused, SampleSink, Scanned};
use canh_schema::Timestamp;
use canh_yara::{Compiled, KeptFiles, RuleFiles, SampleInfo, ScanLimits, ScanReport, Scanner};
use parking_lot::Mutex;
use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGaugeVec, Opts, Registry};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use crate::samples::line::{Told, lines};
use crate::samples::remembered::{Remembered, RuleSetKey};

mod line;
mod remembered;

/// Files that wait for the scanner. When full, senders are told to come again.
const QUEUE_LEN: usize = 4;
/// The rules' time for one file with everything inside it. The door's `request_timeout` is longer.
const TIME_MAX: Duration = Duration::from_secs(30);
/// Lines of one file, so that they fit into one batch of the journal whatever the names in them are.
const RULES_MAX: usize = 128;
/// The engine reads hostile structures; room is cheaper than an overflow.
const STACK_LEN: usize = 8 << 20;

/// The rules of a running server. Clones are the same.
#[derive(Clone)]
pub(crate) struct Yara {
    paths: Arc<[PathBuf]>,
    /// Swapped when rules are loaded again; a scan that is under way keeps the ones that it began with.
    in_force: Arc<RwLock<Arc<InForce>>>,
    remembered: Arc<Remembered>,
    metrics: Metrics,
    /// The versions of rule files that compiled; only loading uses it.
    kept: Arc<Mutex<KeptFiles>>,
}

struct InForce {
    scanner: Scanner,
    key: RuleSetKey,
}

impl InForce {
    fn new(compiled: Compiled) -> Self {
        Self { key: RuleSetKey { hash: compiled.rules_hash, asked: compiled.asked }, scanner: compiled.scanner }
    }
}

/// Directory in the data directory with the results of scans.
const RESULTS_DIR: &str = "scanned";

#[derive(Clone)]
struct Metrics {
    rules: IntGaugeVec,
    samples: IntCounterVec,
    gaps: IntCounterVec,
    offers: IntCounterVec,
    seconds: Histogram,
}

impl Metrics {
    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let rules = Opts::new("canh_yara_rules", "YARA rules in force, and problems that keep others out of it.");
        let samples =
            Opts::new("canh_yara_samples_total", "Files that were scanned, or refused because too many waited.");
        let gaps = Opts::new("canh_yara_gaps_total", "Files of which something was not looked at, by reason.");
        let offers = Opts::new("canh_yara_offers_total", "Files that were offered by their hashes.");
        let buckets = vec![0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0];
        let seconds = HistogramOpts::new("canh_yara_scan_seconds", "Time for one file with everything inside it.");
        let this = Self {
            rules: IntGaugeVec::new(rules, &["state"])?,
            samples: IntCounterVec::new(samples, &["outcome"])?,
            gaps: IntCounterVec::new(gaps, &["reason"])?,
            offers: IntCounterVec::new(offers, &["outcome"])?,
            seconds: Histogram::with_opts(seconds.buckets(buckets))?,
        };
        registry.register(Box::new(this.rules.clone()))?;
        registry.register(Box::new(this.samples.clone()))?;
        registry.register(Box::new(this.gaps.clone()))?;
        registry.register(Box::new(this.offers.clone()))?;
        registry.register(Box::new(this.seconds.clone()))?;
        Ok(this)
    }
}

impl Yara {
    /// Loads the rules below these paths; `None` without any path. Rules that do not load are logged and counted, and
    /// never stop the others.
    pub(crate) async fn load(paths: &[PathBuf], data: &Path, registry: &Registry) -> anyhow::Result<Option<Self>> {
        if paths.is_empty() {
            return Ok(None);
        }
        let metrics = Metrics::new(registry)?;
        let paths: Arc<[PathBuf]> = paths.into();
        let kept = Arc::new(Mutex::new(KeptFiles::default()));
        let compiled = compile(paths.clone(), kept.clone()).await.context("cannot load YARA rules")?;
        metrics.took(&compiled);
        let in_force = Arc::new(RwLock::new(Arc::new(InForce::new(compiled))));
        let remembered = Arc::new(Remembered::open(data.join(RESULTS_DIR)));
        Ok(Some(Self { paths, in_force, remembered, metrics, kept }))
    }

    /// The way in for files, with a thread behind it that ends when the last sender has gone.
    pub(crate) fn sink(&self) -> anyhow::Result<Arc<dyn SampleSink>> {
        let (queue, waiting) = sync_channel(QUEUE_LEN);
        let worker = self.clone();
        std::thread::Builder::new()
            .name("canh-yara".to_owned())
            .stack_size(STACK_LEN)
            .spawn(move || worker.work(&waiting))
            .context("cannot start the thread `canh-yara`")?;
        Ok(Arc::new(Sink { queue, yara: self.clone() }))
    }

    fn in_force(&self) -> Arc<InForce> {
        self.in_force.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From here on files are scanned with these rules. What was scanned with others is asked for again.
    fn replace(&self, compiled: Compiled) {
        let new = Arc::new(InForce::new(compiled));
        let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *in_force, new);
        let changed = before.key != in_force.key;
        drop(in_force);
        if changed {
            self.remembered.clear();
        }
    }

    /// Loads the rules again at each SIGHUP. Files go on being scanned with the old ones meanwhile.
    pub(crate) async fn reload_on_hangup(self) {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
        while hangup.recv().await.is_some() {
            match compile(self.paths.clone(), self.kept.clone()).await {
                Ok(compiled) => {
                    self.metrics.took(&compiled);
                    self.replace(compiled);
                }
                Err(_) => error!("loading YARA rules failed; the old ones stay in force. Please report it"),
            }
        }
    }

    fn work(&self, waiting: &Receiver<Job>) {
        for job in waiting {
            // Whoever has gone away is not told anything, and has to send the file again.
            if job.answer.is_closed() {
                continue;
            }
            let scanned = self.scan(&self.in_force(), &job.sample);
            let _ = job.answer.send(scanned);
        }
    }

    fn scan(&self, rules: &InForce, sample: &Sample) -> Scanned {
        let begun = Instant::now();
        let limits = ScanLimits { time_max: TIME_MAX, rules_max: RULES_MAX, ..ScanLimits::default() };
        let report = rules.scanner.scan(&sample.bytes, &info_of(&sample.origin), &limits);
        self.metrics.seconds.observe(begun.elapsed().as_secs_f64());
        let outcome = if report.matches.is_empty() { "no_match" } else { "match" };
        self.metrics.samples.with_label_values(&[outcome]).inc();
        for reason in report.gaps.keys() {
            self.metrics.gaps.with_label_values(&[reason.name()]).inc();
        }
        self.remembered.put(&rules.key, &sample.origin, &report);
        let (lines, records) = lines(&sample.origin, sample.received, &report, Told::Fresh);
        Scanned { lines: Bytes::from(lines), records, receipt: receipt(&report) }
    }
}

impl Metrics {
    fn took(&self, compiled: &Compiled) {
        for problem in &compiled.problems {
            warn!(problem = %problem, "a YARA rule does not load");
        }
        let gauge = |state: &str, count: usize| {
            self.rules.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
        };
        gauge("loaded", compiled.rules);
        gauge("broken", compiled.problems.len());
        info!(rules = compiled.rules, broken = compiled.problems.len(), "YARA rules are loaded");
    }
}

async fn compile(paths: Arc<[PathBuf]>, kept: Arc<Mutex<KeptFiles>>) -> Result<Compiled, tokio::task::JoinError> {
    tokio::task::spawn_blocking(move || kept.lock().compile(RuleFiles::load(paths.iter()))).await
}

/// What the rules may ask, from what the sender said.
fn info_of(origin: &SampleOrigin) -> SampleInfo {
    let mut info = SampleInfo::of_path(if origin.path.is_empty() { &origin.name } else { &origin.path });
    if !origin.name.is_empty() {
        let SampleInfo { filename, extension, .. } = SampleInfo::of_path(&origin.name);
        (info.filename, info.extension) = (filename, extension);
    }
    info.owner.clone_from(&origin.owner);
    info
}

/// What the sender of a file is told.
fn receipt(report: &ScanReport) -> String {
    let matches = report.matches.iter().map(|found| {
        json!({
            "rule": found.rule,
            "namespace": found.namespace,
            "member": found.member.as_ref().map(|member| &member.path),
        })
    });
    json!({
        "sha256": report.hashes.sha256,
        "size": report.size,
        "matches": matches.collect::<Vec<_>>(),
        "gaps": report.gaps.keys().map(|reason| reason.name()).collect::<Vec<_>>(),
    })
    .to_string()
}

struct Job {
    sample: Sample,
    answer: oneshot::Sender<Scanned>,
}

struct Sink {
    queue: SyncSender<Job>,
    yara: Yara,
}

impl SampleSink for Sink {
    fn offer(&self, sample: Sample) -> Result<oneshot::Receiver<Scanned>, SampleRefused> {
        let (answer, waiting) = oneshot::channel();
        match self.queue.try_send(Job { sample, answer }) {
            Ok(()) => Ok(waiting),
            Err(TrySendError::Full(_)) => {
                self.yara.metrics.samples.with_label_values(&["refused"]).inc();
                Err(SampleRefused::Full)
            }
            Err(TrySendError::Disconnected(_)) => Err(SampleRefused::Stopped),
        }
    }
    fn known(&self, sha256: &str, origin: &SampleOrigin, received: Timestamp) -> Option<Scanned> {
        let report = self.yara.remembered.get(&self.yara.in_force().key, sha256, origin);
        let outcome = match &report {
            None => "wanted",
            Some(report) if report.matches.is_empty() => "known",
            Some(_) => "known_match",
        };
        self.yara.metrics.offers.with_label_values(&[outcome]).inc();
        let report = report?;
        let (lines, records) = lines(origin, received, &report, Told::Known);
        Some(Scanned { lines: Bytes::from(lines), records, receipt: receipt(&report) })
    }

    fn rules(&self) -> String {
        let hash = self.yara.in_force().key.hash;
        hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
