//! Indicators of compromise in the running server: loaded at start and on SIGHUP, asked for each event.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use canh_detection::{IndicatorClaim, IndicatorMatch, IndicatorQuery, IndicatorSource};
use canh_ioc::{IndicatorSet, LoadOptions, PrivateAddresses, Report, Stream, load};
use canh_schema::{Event, EventBatch, EventId, Finding, Timestamp};
use prometheus::{IntCounter, IntGauge, IntGaugeVec, Opts, Registry};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::config::DetectionConfig;
use crate::indicator_rules;

/// The lists of a running server. Cloning gives another handle to the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Indicators {
    paths: Arc<[PathBuf]>,
    private: PrivateAddresses,
    current: Arc<RwLock<Arc<IndicatorSet>>>,
    /// Changes when lists were loaded.
    loaded: Arc<watch::Sender<u64>>,
    metrics: IndicatorMetrics,
}

#[derive(Clone, Debug)]
struct IndicatorMetrics {
    indicators: IntGaugeVec,
    refused: IntGauge,
    matches: IntCounter,
}

impl Indicators {
    /// Loads the lists. What cannot be read is logged and counted, and stops nothing.
    pub(crate) async fn start(config: &DetectionConfig, registry: &Registry) -> anyhow::Result<Self> {
        let metrics = IndicatorMetrics {
            indicators: IntGaugeVec::new(
                Opts::new("canh_indicators", "Indicators of compromise in force."),
                &["type"],
            )?,
            refused: IntGauge::new(
                "canh_indicators_refused",
                "Rows of indicator lists that could not be read when they were loaded last.",
            )?,
            matches: IntCounter::new(
                "canh_indicator_matches_total",
                "Values of events that an indicator named, those already reported in the same hour included.",
            )?,
        };
        registry.register(Box::new(metrics.indicators.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.matches.clone()))?;
        let this = Self {
            paths: config.indicators.clone().into(),
            private: if config.indicators_private { PrivateAddresses::Take } else { PrivateAddresses::Allow },
            current: Arc::new(RwLock::new(Arc::new(load(&[], LoadOptions::default()).set))),
            loaded: Arc::new(watch::channel(0).0),
            metrics,
        };
        this.reload().await?;
        Ok(this)
    }

    /// Reads the lists again. Those in force go on meanwhile.
    async fn reload(&self) -> anyhow::Result<()> {
        if self.paths.is_empty() {
            return Ok(());
        }
        let (paths, private) = (self.paths.clone(), self.private);
        let options = LoadOptions { private, ..LoadOptions::default() };
        let loaded = tokio::task::spawn_blocking(move || load(&paths, options)).await?;
        report(&loaded.report);
        self.metrics.refused.set(i64::try_from(loaded.report.errors()).unwrap_or(i64::MAX));
        self.metrics.indicators.reset();
        for count in loaded.set.counts(Timestamp::now()) {
            let gauge = self.metrics.indicators.with_label_values(&[count.kind.name()]);
            gauge.set(i64::try_from(count.count).unwrap_or(i64::MAX));
        }
        info!(
            indicators = loaded.set.len(),
            lists = loaded.set.lists().len(),
            refused = loaded.report.errors(),
            allowed = loaded.report.allowed(),
            bytes = loaded.set.memory_bytes(),
            "indicators are loaded"
        );
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded.set);
        self.loaded.send_modify(|times| *times += 1);
        Ok(())
    }

    /// Loads again at each SIGHUP.
    pub(crate) async fn reload_on_hangup(self) {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
        while hangup.recv().await.is_some() {
            if let Err(error) = self.reload().await {
                error!(error = %format!("{error:#}"), "loading indicators failed; those in force stay; please report it");
            }
        }
    }

    /// Tells that lists were loaded again.
    pub(crate) fn loaded(&self) -> watch::Receiver<u64> {
        self.loaded.subscribe()
    }

    pub(crate) fn current(&self) -> Arc<IndicatorSet> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What rules of the kind `indicator` ask: always the lists in force.
    pub(crate) fn source(&self) -> Arc<dyn IndicatorSource> {
        Arc::new(self.clone())
    }

    /// What the detector asks.
    pub(crate) fn stream(&self) -> IndicatorStream {
        IndicatorStream { stream: Stream::new(self.current()), indicators: self.clone() }
    }
}

impl IndicatorSource for Indicators {
    fn matches(&self, event: &Event, query: &IndicatorQuery<'_>) -> Vec<IndicatorMatch> {
        indicator_rules::matches(&self.current(), event, query)
    }
}

/// The indicators as the detector uses them, with the memory of what has been found.
#[derive(Debug)]
pub(crate) struct IndicatorStream {
    indicators: Indicators,
    stream: Stream,
}

impl IndicatorStream {
    /// Appends what the batch holds to `out`.
    ///
    /// Values that rules took are left out.
    pub(crate) fn evaluate(&mut self, batch: &EventBatch, claims: Vec<IndicatorClaim>, out: &mut Vec<Finding>) {
        let claims: HashSet<IndicatorClaim> = claims.into_iter().collect();
        let taken = |event: EventId, value: &str| {
            !claims.is_empty() && claims.contains(&IndicatorClaim { event, value: value.into() })
        };
        self.stream.replace(self.indicators.current());
        let before = self.stream.matches();
        self.stream.evaluate(batch, &taken, out);
        self.indicators.metrics.matches.inc_by(self.stream.matches() - before);
    }
}

fn report(report: &Report) {
    for problem in &report.problems {
        warn!(file = problem.file, place = %problem.place, reason = problem.reason, "an indicator is left out");
    }
    if report.problems_more > 0 {
        warn!(count = report.problems_more, "more indicators are left out; `canh ioc check` counts them");
    }
    if report.texts_dropped > 0 {
        warn!(
            count = report.texts_dropped,
            "the memory for descriptions is used up; indicators are taken without theirs"
        );
    }
}
