//! Each door against a client in the same process, and the ways in which a client can misbehave.

mod flow;
mod foreign;
mod forward;
mod grpc;
mod http;
mod kafka;
mod real;
mod relp;
mod samples;
mod syslog;
mod tls;
mod tls_http;
mod writes;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use canh_schema::{ByteSize, Position};
use prometheus::Registry;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::DOORS;
use crate::collector::{Collector, CollectorError, CollectorParts};
use crate::config::CollectorConfig;
use crate::door::samples::SampleSink;
use crate::drops::{DropReason, Drops};
use crate::envelope::{Cut, Envelope};
use crate::journal::{Journal, JournalConfig};
use crate::sources::Sources;
use crate::token::TokenSet;

const TOKEN: &str = "correct-horse";
/// Only a broken program takes so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// All doors open on free ports of this machine, with one token.
struct Bench {
    dir: TempDir,
    journal: std::sync::Arc<Journal>,
    drops: Drops,
    registry: Registry,
    sources: std::sync::Arc<Sources>,
    addresses: Vec<(&'static str, SocketAddr)>,
    tls: Option<std::sync::Arc<crate::Tls>>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

fn bench() -> Bench {
    bench_with(CollectorConfig::default(), JournalConfig::default())
}

/// A journal that holds about three batches of 16 KiB.
fn small_journal() -> JournalConfig {
    JournalConfig { bytes_max: ByteSize::kib(64), ..JournalConfig::default() }
}

fn bench_with(config: CollectorConfig, journal: JournalConfig) -> Bench {
    bench_for_samples(config, journal, None)
}

fn bench_for_samples(
    mut config: CollectorConfig,
    mut journal: JournalConfig,
    samples: Option<std::sync::Arc<dyn SampleSink>>,
) -> Bench {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    config.otlp_grpc.listen = any;
    config.http.listen = any;
    config.syslog_udp.listen = any;
    config.syslog_tcp.listen = any;
    config.syslog_tls.listen = any;
    config.relp.listen = any;
    config.relp_tls.listen = any;
    config.flow.listen = vec![any];
    let dir = tempfile::tempdir().unwrap();
    journal.dir = dir.path().to_owned();
    if config.snmp.state_file.is_relative() {
        config.snmp.state_file = dir.path().join(&config.snmp.state_file);
    }
    if config.flow.state_file.is_relative() {
        config.flow.state_file = dir.path().join(&config.flow.state_file);
    }
    let registry = Registry::new();
    let journal = Journal::open(&journal, &registry).unwrap();
    let drops = Drops::new(&registry).unwrap();
    let sources = std::sync::Arc::new(Sources::new(100, &registry).unwrap());
    let parts = CollectorParts {
        journal: journal.clone(),
        tokens: std::sync::Arc::new(TokenSet::single("test", TOKEN)),
        drops: drops.clone(),
        sources: sources.clone(),
        samples,
    };
    let collector = Collector::bind(&config, parts, &registry).unwrap();
    let (addresses, tls) = (collector.addresses(), collector.tls());
    let stop = CancellationToken::new();
    let running = tokio::spawn(collector.run(stop.clone()));
    Bench { dir, journal, drops, registry, sources, addresses, tls, stop, running }
}

impl Bench {
    fn address(&self, door: &str) -> SocketAddr {
        self.addresses.iter().find(|(name, _)| *name == door).unwrap().1
    }

    /// Ends the collector and answers everything that it has journaled.
    async fn finish(self) -> Vec<Envelope> {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.running).await.expect("the doors do not close").unwrap();
        self.journal.close().await;
        let mut reader = self.journal.reader(Position::START);
        let mut envelopes = Vec::new();
        while let Some((_, envelope)) = reader.next_batch().unwrap() {
            envelopes.push(envelope);
        }
        drop(self.dir);
        envelopes
    }

    /// Waits until this many records are in the journal and answers them.
    async fn records(&self, count: usize) -> Vec<String> {
        let journal = self.journal.clone();
        tokio::task::spawn_blocking(move || {
            let deadline = Instant::now() + PATIENCE;
            let mut reader = journal.reader(Position::START);
            let mut records = Vec::new();
            while records.len() < count {
                match reader.next_batch().unwrap() {
                    Some((_, envelope)) => records.extend(shown(&envelope)),
                    None => {
                        assert!(
                            Instant::now() < deadline,
                            "only {} of {count} records came: {records:?}",
                            records.len()
                        );
                        journal.wait(reader.position(), Some(deadline));
                    }
                }
            }
            records
        })
        .await
        .unwrap()
    }

    /// Fills the journal to its limit.
    async fn fill(&self) {
        let filler = vec![b'x'; 16 * 1024];
        loop {
            let now = canh_schema::Timestamp::from_secs(1);
            let payload = bytes::Bytes::from(filler.clone());
            let envelope = Envelope::new(crate::envelope::Door::Import, now, crate::envelope::Framing::Lines, payload);
            if self.journal.append(envelope).await.is_err() {
                return;
            }
        }
    }

    /// Frees everything that is in the journal.
    fn free(&self) {
        self.journal.release(self.journal.durable());
    }

    fn dropped(&self, door: &str, reason: DropReason) -> u64 {
        self.drops.get(door, reason)
    }

    /// Requests or records that were refused, so that their sender still has them.
    fn refused(&self, door: &str, reason: &str) -> u64 {
        self.counted("canh_door_refused_total", &[("door", door), ("reason", reason)])
    }

    /// A counter with these labels.
    fn counted(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let has = |metric: &&prometheus::proto::Metric| {
            labels.iter().all(|(name, value)| {
                metric.get_label().iter().any(|pair| pair.name() == *name && pair.value() == *value)
            })
        };
        let metrics = family.map(|family| family.get_metric()).unwrap_or_default();
        metrics.iter().filter(has).map(|metric| metric.get_counter().get_value() as u64).sum()
    }

    /// Connections of the door that were closed for a limit, by reason.
    fn refused_connections(&self, door: &str) -> Vec<(String, u64)> {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == "canh_door_connections_refused_total");
        let mut reasons = Vec::new();
        for metric in family.map(|family| family.get_metric()).unwrap_or_default() {
            let label = |name: &str| metric.get_label().iter().find(|pair| pair.name() == name).unwrap().value();
            if label("door") == door {
                reasons.push((label("reason").to_owned(), metric.get_counter().get_value() as u64));
            }
        }
        reasons
    }
}

/// The records of a batch; one that was cut ends in `…`.
fn shown(envelope: &Envelope) -> Vec<String> {
    let records = envelope.records();
    records
        .map(|record| {
            let mark = if record.cut == Cut::Truncated { "…" } else { "" };
            format!("{}{mark}", String::from_utf8_lossy(&record.bytes))
        })
        .collect()
}

fn localhost() -> Option<IpAddr> {
    Some(IpAddr::from([127, 0, 0, 1]))
}

#[tokio::test]
async fn values_that_cannot_work_are_errors_before_a_door_is_open() {
    let mut config = CollectorConfig::default();
    config.syslog_tcp.format = Some("sylog_3164".to_owned());
    let small = JournalConfig { batch_max: ByteSize::mib(1), ..JournalConfig::default() };
    let cases = [
        (config, JournalConfig::default(), "`syslog_3164`"),
        (CollectorConfig::default(), small, "`journal.batch_max`"),
    ];
    for (config, journal, word) in cases {
        let registry = Registry::new();
        let dir = tempfile::tempdir().unwrap();
        let journal = JournalConfig { dir: dir.path().to_owned(), ..journal };
        let parts = CollectorParts {
            journal: Journal::open(&journal, &registry).unwrap(),
            tokens: std::sync::Arc::new(TokenSet::default()),
            drops: Drops::new(&registry).unwrap(),
            sources: std::sync::Arc::new(Sources::new(100, &registry).unwrap()),
            samples: None,
        };
        let error = match Collector::bind(&config, parts, &registry) {
            Err(CollectorError::Setting(error)) => error.to_string(),
            _ => panic!("bound in spite of {word}"),
        };
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn doors_are_tables_of_the_configuration() {
    let known = toml::from_str::<CollectorConfig>("[nothing]").unwrap_err().to_string();
    for door in DOORS {
        assert!(known.contains(&format!("`{}`", door.name)), "`{}` is not in: {known}", door.name);
        assert!(!door.about.is_empty());
    }
}

#[test]
fn all_doors_can_be_open_with_the_addresses_that_they_have_by_themselves() {
    let config = CollectorConfig::default();
    let addresses = [
        config.otlp_grpc.listen,
        config.http.listen,
        config.syslog_tcp.listen,
        config.syslog_tls.listen,
        config.relp.listen,
        config.relp_tls.listen,
    ];
    let different: std::collections::BTreeSet<_> = addresses.iter().collect();
    assert_eq!(different.len(), addresses.len(), "{addresses:?}");
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_address_and_key() {
    let taken_tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (tcp, udp) = (taken_tcp.local_addr().unwrap(), taken_udp.local_addr().unwrap());
    for (key, address) in [("otlp_grpc", tcp), ("http", tcp), ("syslog_tcp", tcp), ("syslog_udp", udp)] {
        let mut config = CollectorConfig::default();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        config.otlp_grpc.listen = if key == "otlp_grpc" { address } else { any };
        config.http.listen = if key == "http" { address } else { any };
        config.syslog_tcp.listen = if key == "syslog_tcp" { address } else { any };
        config.syslog_udp.listen = if key == "syslog_udp" { address } else { any };
        let registry = Registry::new();
        let dir = tempfile::tempdir().unwrap();
        let journal_config = JournalConfig { dir: dir.path().to_owned(), ..JournalConfig::default() };
        let parts = CollectorParts {
            journal: Journal::open(&journal_config, &registry).unwrap(),
            tokens: std::sync::Arc::new(TokenSet::default()),
            drops: Drops::new(&registry).unwrap(),
            sources: std::sync::Arc::new(Sources::new(100, &registry).unwrap()),
            samples: None,
        };
        let error = match Collector::bind(&config, parts, &registry) {
            Err(CollectorError::Bind(error)) => error.to_string(),
            _ => panic!("{key} was bound twice"),
        };
        assert!(error.contains(&format!("`{address}`")), "{error}");
        assert!(error.contains(&format!("`collector.{key}.listen`")), "{error}");
        assert!(error.contains("choose another port"), "{error}");
    }
}
