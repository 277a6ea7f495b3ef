//! One cluster: who leads which partition, and a reader for each of these brokers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use canh_kafka::{Code, Metadata};
use canh_schema::AgentId;
use parking_lot::Mutex;
use rustc_hash::FxHashSet;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::super::intake::Intake;
use super::super::log_limit::LogLimit;
use super::broker::Reader;
use super::connection::{Connection, Problem, host_and_port};
use super::partition::{Id, Known};
use super::{ClusterConfig, KafkaConfig, NAME};
use crate::journal::PLACE_PREFIX;

/// However often readers want the cluster to be asked, it is asked only so often.
const ASK_EVERY_MIN: Duration = Duration::from_secs(1);
/// How long to wait after a failure, and after many.
pub(super) const RETRY_MIN: Duration = Duration::from_millis(250);
pub(super) const RETRY_MAX: Duration = Duration::from_secs(30);

/// What all readers of a cluster share.
pub(super) struct Shared {
    pub(super) all: Arc<KafkaConfig>,
    pub(super) config: ClusterConfig,
    pub(super) intake: Intake,
    pub(super) log: LogLimit,
    /// Fires when a reader has found that the cluster has changed.
    pub(super) changed: Notify,
    /// Partitions that are read in the whole program, so that none is read twice under two names.
    pub(super) read: Arc<Mutex<FxHashSet<(AgentId, u64)>>>,
}

impl Shared {
    pub(super) fn count(&self, reason: &str) {
        self.intake.metrics.kafka.errors.with_label_values(&[&self.config.name, reason]).inc();
    }

    /// Counts a problem and says it, not too often.
    pub(super) fn trouble(&self, broker: &str, problem: &Problem) {
        self.count(problem.reason());
        let cluster = &self.config.name;
        self.log.warn(NAME, || warn!(door = NAME, cluster, broker, "broker cannot be read from: {problem}"));
    }

    pub(super) async fn open(&self, address: (&str, u16)) -> Result<Connection, Problem> {
        let fetch_max = self.all.fetch_max.as_len();
        Connection::open(&self.config, address, self.all.request_timeout, fetch_max).await
    }
}

/// Waits longer after each failure. Answers whether to go on.
pub(super) async fn pause(failures: u32, stop: &CancellationToken) -> bool {
    let wait = RETRY_MIN.saturating_mul(1 << failures.min(10)).min(RETRY_MAX);
    stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some()
}

/// A broker, by its number and address.
type BrokerKey = (i32, String, u16);

struct Running {
    partitions: BTreeSet<Id>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

pub(super) struct Cluster {
    shared: Arc<Shared>,
    readers: BTreeMap<BrokerKey, Running>,
    /// Partitions of the first look; later ones are new, and are read from their beginning.
    known: Option<BTreeSet<Id>>,
    /// Brokers of the last answer, to be asked when those of the configuration are gone.
    brokers: Vec<(String, u16)>,
}

impl Cluster {
    pub(super) fn new(
        all: Arc<KafkaConfig>,
        config: ClusterConfig,
        intake: Intake,
        read: Arc<Mutex<FxHashSet<(AgentId, u64)>>>,
    ) -> Self {
        let (log, changed) = (LogLimit::default(), Notify::new());
        let shared = Arc::new(Shared { all, config, intake, log, changed, read });
        Self { shared, readers: BTreeMap::new(), known: None, brokers: Vec::new() }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            let asked = Instant::now();
            match stop.run_until_cancelled(self.ask()).await {
                None => break,
                Some(Some(metadata)) => {
                    failures = 0;
                    self.assign(&metadata, &stop).await;
                }
                Some(None) => {
                    // Readers that have a connection go on meanwhile.
                    failures += 1;
                    if !pause(failures, &stop).await {
                        break;
                    }
                    continue;
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(self.shared.all.metadata_every) => (),
                () = self.shared.changed.notified() => {
                    let wait = ASK_EVERY_MIN.saturating_sub(asked.elapsed());
                    stop.run_until_cancelled(tokio::time::sleep(wait)).await;
                }
            }
        }
        let all: Vec<_> = self.readers.keys().cloned().collect();
        self.end(&all).await;
    }

    /// Asks one broker after the other, until one answers.
    async fn ask(&mut self) -> Option<Metadata> {
        let configured = self.shared.config.brokers.iter().filter_map(|broker| host_and_port(broker));
        let mut brokers: Vec<(String, u16)> = configured.map(|(host, port)| (host.to_owned(), port)).collect();
        brokers.extend(self.brokers.iter().cloned());
        brokers.dedup();
        for (host, port) in brokers {
            let answer = async {
                let mut connection = self.shared.open((&host, port)).await?;
                connection.metadata(&self.shared.config.topics).await
            };
            match answer.await {
                Ok(metadata) => {
                    let brokers = metadata.brokers.iter().map(|broker| (broker.host.clone(), broker.port));
                    self.brokers = brokers.take(64).collect();
                    return Some(metadata);
                }
                Err(problem) => self.shared.trouble(&format!("{host}:{port}"), &problem),
            }
        }
        None
    }

    /// Starts and ends readers, so that each partition is read from its leader.
    async fn assign(&mut self, metadata: &Metadata, stop: &CancellationToken) {
        let shared = &self.shared;
        let cluster = agent_of(shared.intake.journal.id(), metadata.cluster.as_deref().unwrap_or(&shared.config.name));
        let mut wanted: BTreeMap<BrokerKey, BTreeSet<Id>> = BTreeMap::new();
        let mut all = BTreeSet::new();
        for topic in &metadata.topics {
            if topic.code != Code::NONE {
                let problem = Problem::Code(topic.code, None);
                shared.trouble(&format!("topic {}", topic.name), &problem);
                continue;
            }
            for partition in &topic.partitions {
                let id =
                    Id { cluster, topic: topic.name.as_str().into(), topic_id: topic.id, partition: partition.index };
                if all.len() >= shared.all.partitions_max.get() {
                    shared.count("too_many_partitions");
                    let name = &shared.config.name;
                    shared.log.warn(NAME, || {
                        warn!(door = NAME, cluster = name, "not all partitions are read; raise `partitions_max`");
                    });
                    break;
                }
                all.insert(id.clone());
                let leader = metadata.brokers.iter().find(|broker| broker.id == partition.leader);
                let Some(leader) = leader else {
                    shared.count("leader_not_available");
                    continue;
                };
                wanted.entry((leader.id, leader.host.clone(), leader.port)).or_default().insert(id);
            }
        }
        shared.intake.metrics.kafka.partitions.with_label_values(&[&shared.config.name]).set(all.len() as i64);
        let known = self.known.get_or_insert_with(|| all.clone()).clone();
        let over: Vec<_> = self
            .readers
            .iter()
            .filter(|(key, running)| wanted.get(key) != Some(&running.partitions) || running.task.is_finished())
            .map(|(key, _)| key.clone())
            .collect();
        // All that end are waited for, before another one begins with one of their partitions.
        self.end(&over).await;
        for (key, partitions) in wanted {
            if self.readers.contains_key(&key) {
                continue;
            }
            let with = partitions.iter().map(|id| {
                let known = if known.contains(id) { Known::FromTheStart } else { Known::New };
                (id.clone(), known)
            });
            let (_, host, port) = &key;
            info!(
                door = NAME,
                cluster = self.shared.config.name,
                partitions = partitions.len(),
                "reading from a broker"
            );
            let stop = stop.child_token();
            let reader = Reader::new(self.shared.clone(), (host.clone(), *port), with.collect());
            let task = tokio::spawn(reader.run(stop.clone()));
            self.readers.insert(key, Running { partitions, stop, task });
        }
    }

    async fn end(&mut self, keys: &[BrokerKey]) {
        let ending: Vec<_> = keys.iter().filter_map(|key| self.readers.remove(key)).collect();
        ending.iter().for_each(|running| running.stop.cancel());
        for running in ending {
            let _ = running.task.await; // one that panicked holds nothing
        }
    }
}

/// What stands for the cluster where agents' ids stand. Nobody who does not read the journal can know it.
fn agent_of(journal: u64, cluster: &str) -> AgentId {
    let mut hash = blake3::Hasher::new_derive_key("canh 2026-11-27 cluster of Kafka");
    hash.update(&journal.to_le_bytes()).update(cluster.as_bytes());
    let mut id = [0; AgentId::LEN];
    id.copy_from_slice(&hash.finalize().as_bytes()[..AgentId::LEN]);
    id[..PLACE_PREFIX.len()].copy_from_slice(&PLACE_PREFIX);
    AgentId::from_bytes(id)
}
