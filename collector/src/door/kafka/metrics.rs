//! What is counted of Kafka beside what every door counts.

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

pub(in crate::door) struct KafkaMetrics {
    /// Records that can be read and were not, of each partition.
    pub(super) lag: IntGaugeVec,
    pub(super) fetches: IntCounterVec,
    pub(super) errors: IntCounterVec,
    pub(super) missing: IntCounterVec,
    pub(super) partitions: IntGaugeVec,
}

impl KafkaMetrics {
    pub(in crate::door) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone())).map(|()| gauge)
        };
        Ok(Self {
            lag: gauge(
                "canh_collector_kafka_lag",
                "Offsets of a partition that can be read and were not yet.",
                &["cluster", "topic", "partition"],
            )?,
            fetches: counter("canh_collector_kafka_fetches_total", "Answers with records or without.", &["cluster"])?,
            errors: counter(
                "canh_collector_kafka_errors_total",
                "What went wrong between this and a cluster; it is tried again.",
                &["cluster", "reason"],
            )?,
            missing: counter(
                "canh_collector_kafka_missing_total",
                "Offsets that were gone, or could not be read, before they were journaled.",
                &["cluster", "topic", "reason"],
            )?,
            partitions: gauge("canh_collector_kafka_partitions", "Partitions that are read.", &["cluster"])?,
        })
    }
}
