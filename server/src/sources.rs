//! Writes what the collector knows of its senders into the state, so that the console shows it after a restart too.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use canh_collector::{CLOCK_OFF_MS, Door, SourceKey, SourceStatus, Sources};
use canh_store::state::{SourceKind, SourceReport, StateStore};
use compact_str::{CompactString, format_compact};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::demo;

const EVERY: Duration = Duration::from_secs(5);

/// What was reported of a sender already.
#[derive(Clone, Copy, Default)]
struct Reported {
    records: u64,
    bytes: u64,
}

/// Reports until `stop`, and once more after it.
pub(crate) async fn run(sources: Arc<Sources>, state: Arc<dyn StateStore>, data: PathBuf, stop: CancellationToken) {
    let mut demo = None;
    let mut reported: HashMap<SourceKey, Reported> = HashMap::new();
    let mut seen_last = None;
    let mut clocks_off = 0;
    loop {
        let stopping = tokio::time::timeout(EVERY, stop.cancelled()).await.is_ok();
        if demo.is_none() {
            demo = demo::played(&data);
            if let Some(run) = demo
                && let Err(error) = state.put_demo_run(run).await
            {
                error!(error = &error as &dyn std::error::Error, "cannot write when the demo was played");
                demo = None;
            }
        }
        let lines = sources.snapshot();
        let is_off = |line: &&SourceStatus| line.clock_skew_ms.is_some_and(|skew| skew.abs() >= CLOCK_OFF_MS);
        let off = lines.iter().filter(is_off).count();
        if off > clocks_off {
            warn!(
                senders = off,
                "clocks of senders are a minute or more away; `canh ledger` and the page Deliveries say whose"
            );
        }
        clocks_off = off;
        let newest = lines.first().map(|line| line.last_seen);
        let changed: Vec<SourceReport> = lines
            .iter()
            .filter(|line| Some(line.last_seen) >= seen_last)
            .map(|line| report(line, reported.get(&line.key).copied().unwrap_or_default()))
            .collect();
        match state.put_sources(&changed).await {
            Ok(()) => {
                seen_last = newest;
                let known =
                    |line: &SourceStatus| (line.key.clone(), Reported { records: line.records, bytes: line.bytes });
                reported = lines.iter().map(known).collect();
            }
            // The next report holds what this one would have.
            Err(error) => error!(error = &error as &dyn std::error::Error, "cannot write the senders into the state"),
        }
        if stopping {
            return;
        }
    }
}

fn report(line: &SourceStatus, before: Reported) -> SourceReport {
    // A sender that was forgotten and came back counts from zero again.
    let since = |now: u64, then: u64| if now >= then { now - then } else { now };
    SourceReport {
        id: line.key.name(),
        kind: kind(&line.key, line.door),
        host: line.about.host.clone(),
        version: line.about.version.clone(),
        seen: line.last_seen,
        events: since(line.records, before.records),
        bytes: since(line.bytes, before.bytes),
        dropped: dropped(line),
        spool_bytes: metric(line, SPOOL_BYTES).map(whole),
        clock_behind_ms: line.clock_skew_ms,
    }
}

fn kind(key: &SourceKey, door: Door) -> SourceKind {
    match (key, door) {
        (SourceKey::Agent(_), _) => SourceKind::Agent,
        (_, Door::OtlpGrpc | Door::OtlpHttp) => SourceKind::Otlp,
        (_, Door::SyslogTcp | Door::SyslogUdp | Door::SyslogTls | Door::Relp | Door::RelpTls) => SourceKind::Syslog,
        (_, Door::Ndjson | Door::Samples | Door::Elasticsearch | Door::SplunkHec | Door::GelfHttp) => SourceKind::Http,
        (_, Door::Flow) => SourceKind::Flow,
        (_, Door::PrometheusWrite | Door::JournaldUpload) => SourceKind::Http,
        (_, Door::Snmp) => SourceKind::Snmp,
        (_, Door::Forward) => SourceKind::Fluent,
        (_, Door::Kafka) => SourceKind::Kafka,
        (_, Door::GelfUdp | Door::GelfTcp) => SourceKind::Gelf,
        (_, Door::Import | Door::Canary | Door::Ledger) => SourceKind::File,
    }
}

/// The agent's own metrics that the Agents page shows. Their labels are part of the name, as Prometheus writes them.
const SPOOL_BYTES: &str = "canh_agent_spool_bytes";
const DROPPED: &str = "canh_agent_dropped_total";

fn metric(line: &SourceStatus, name: &str) -> Option<f64> {
    line.about.metrics.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
}

/// A counter as a whole number; what is no count at all becomes zero, as casting does.
fn whole(value: f64) -> u64 {
    value as u64
}

/// Drops that the agent counted itself, by stage and reason.
fn dropped(line: &SourceStatus) -> Option<Vec<(CompactString, u64)>> {
    let counts = line.about.metrics.iter().filter_map(|(name, value)| {
        let labels = name.strip_prefix(DROPPED)?;
        let reason = format_compact!("{}.{}", label(labels, "stage")?, label(labels, "reason")?);
        (*value > 0.0).then(|| (reason, whole(*value)))
    });
    let drops: Vec<_> = counts.collect();
    (!drops.is_empty()).then_some(drops)
}

/// The value of a label in `{stage="file",reason="line_too_long"}`.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let mut parts = labels.trim_matches(['{', '}']).split(',');
    parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('=')?.strip_prefix('"')?.strip_suffix('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(labels: &str, expected: Option<&str>) {
        assert_eq!(label(labels, "reason"), expected, "labels: {labels}");
    }

    #[test]
    fn labels() {
        check(r#"{stage="file",reason="line_too_long"}"#, Some("line_too_long"));
        check(r#"{reason="kernel"}"#, Some("kernel"));
        check(r#"{reasons="kernel"}"#, None);
        check("", None);
    }
}
