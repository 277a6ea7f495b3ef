//! The console's own counters, and those of everybody that the overview shows.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

/// Family of the drop counters of every stage, with the labels `stage` and `reason`.
const DROPPED: &str = "canh_dropped_total";

pub(crate) struct Metrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    pub(crate) tail_dropped: prometheus::IntCounter,
    pub(crate) logins_failed: prometheus::IntCounter,
}

impl Metrics {
    /// A second console on one registry counts into the void, which only tests have.
    pub(crate) fn new(registry: &Registry) -> Self {
        let requests = Opts::new("canh_console_requests_total", "requests by route and status");
        let duration = HistogramOpts::new("canh_console_request_seconds", "time from request to answer's head")
            .buckets(vec![0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 30.0]);
        let tail_dropped = Opts::new("canh_console_tail_dropped_total", "events that slow live tails did not get");
        let logins_failed = Opts::new("canh_console_logins_failed_total", "sign-ins with a wrong name or password");
        // Names, help and labels are constants: making these fails for no input.
        let metrics = Self {
            requests: IntCounterVec::new(requests, &["route", "method", "status"]).expect("valid metric"),
            duration: HistogramVec::new(duration, &["route"]).expect("valid metric"),
            tail_dropped: prometheus::IntCounter::with_opts(tail_dropped).expect("valid metric"),
            logins_failed: prometheus::IntCounter::with_opts(logins_failed).expect("valid metric"),
        };
        let collectors: [Box<dyn prometheus::core::Collector>; 4] = [
            Box::new(metrics.requests.clone()),
            Box::new(metrics.duration.clone()),
            Box::new(metrics.tail_dropped.clone()),
            Box::new(metrics.logins_failed.clone()),
        ];
        for collector in collectors {
            if let Err(error) = registry.register(collector) {
                tracing::warn!(%error, "a metric of the console is not shown");
            }
        }
        metrics
    }

    /// `route` is the pattern, never the path: paths are made up by callers and would make endless series.
    pub(crate) fn count(&self, route: &str, method: &http::Method, status: u16, took: Duration) {
        let method = match *method {
            http::Method::GET | http::Method::HEAD => "GET",
            http::Method::POST => "POST",
            http::Method::PUT => "PUT",
            _ => "other",
        };
        self.requests.with_label_values(&[route, method, &status.to_string()]).inc();
        self.duration.with_label_values(&[route]).observe(took.as_secs_f64());
    }
}

/// What every stage dropped so far: stage, reason, count. Those that never happened are left out.
pub(crate) fn dropped(registry: &Registry) -> Vec<(String, String, u64)> {
    let mut dropped = Vec::new();
    for family in registry.gather().iter().filter(|family| family.name() == DROPPED) {
        for metric in family.get_metric() {
            let label = |name: &str| {
                metric.get_label().iter().find(|label| label.name() == name).map_or("", |label| label.value())
            };
            // Counters are floats in the exchange format and whole numbers in fact.
            let count = metric.get_counter().get_value() as u64;
            if count > 0 {
                dropped.push((label("stage").to_owned(), label("reason").to_owned(), count));
            }
        }
    }
    dropped.sort();
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_of_every_stage_are_found() {
        let registry = Registry::new();
        let drops = IntCounterVec::new(Opts::new(DROPPED, "dropped"), &["stage", "reason"]).expect("valid metric");
        registry.register(Box::new(drops.clone())).expect("registered");
        drops.with_label_values(&["udp", "queue_full"]).inc_by(7);
        drops.with_label_values(&["udp", "too_long"]).inc_by(0);
        drops.with_label_values(&["journal", "disk_full"]).inc_by(1);
        let expected = [("journal", "disk_full", 1), ("udp", "queue_full", 7)];
        let found = dropped(&registry);
        let found: Vec<_> =
            found.iter().map(|(stage, reason, count)| (stage.as_str(), reason.as_str(), *count)).collect();
        assert_eq!(found, expected);
    }
}
