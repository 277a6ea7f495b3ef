//! What the store counts.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) appended: IntCounter,
    pub(crate) write_errors: IntCounter,
    pub(crate) damaged: IntCounter,
    pub(crate) open_writers: IntGauge,
    pub(crate) commit_seconds: Histogram,
    pub(crate) search_seconds: Histogram,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let seconds = |name: &str, help: &str| {
            Histogram::with_opts(
                HistogramOpts::new(name, help).buckets(vec![0.002, 0.01, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0]),
            )
        };
        let metrics = Self {
            appended: IntCounter::new("canh_store_events_total", "events handed to the writers, replays included")?,
            write_errors: IntCounter::new("canh_store_write_errors_total", "failed appends and commits")?,
            damaged: IntCounter::new("canh_store_damaged_partitions_total", "partitions that were moved aside")?,
            open_writers: IntGauge::new("canh_store_open_writers", "partitions open for writing")?,
            commit_seconds: seconds("canh_store_commit_seconds", "time of commits that had something to write")?,
            search_seconds: seconds("canh_store_search_seconds", "time of searches, counts and lists")?,
        };
        registry.register(Box::new(metrics.appended.clone()))?;
        registry.register(Box::new(metrics.write_errors.clone()))?;
        registry.register(Box::new(metrics.damaged.clone()))?;
        registry.register(Box::new(metrics.open_writers.clone()))?;
        registry.register(Box::new(metrics.commit_seconds.clone()))?;
        registry.register(Box::new(metrics.search_seconds.clone()))?;
        Ok(metrics)
    }
}
