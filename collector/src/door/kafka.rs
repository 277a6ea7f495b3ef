//! Topics of Kafka, which are read: records go into the journal, and how far a partition was read lives there too, as the
//! number of the batch. So a kill loses nothing and doubles nothing, and no consumer group is needed.
//!
//! One task asks the cluster who leads which partition; one task for each of these brokers fetches, journals what came, and
//! fetches again. While the journal is full nothing is fetched.

mod broker;
mod cluster;
mod connection;
mod metrics;
mod partition;
mod secure;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use canh_schema::ByteSize;
use canh_wire::limit;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::BoundDoor;
use super::intake::Intake;
use crate::config::SettingError;
use crate::envelope::Door;

use cluster::Cluster;
pub(super) use metrics::KafkaMetrics;
use secure::Access;

const NAME: &str = "kafka";
const DOOR: Door = Door::Kafka;
/// A batch is closed at this size.
const BATCH_LEN: usize = 256 * 1024;
/// The longest parts of a record beside its value, in bytes, and the most headers.
const KEY_MAX: usize = 4 * 1024;
const HEADER_MAX: usize = 1_024;
const HEADERS_MAX: usize = 32;
/// The most clusters, and topics of one.
const CLUSTERS_MAX: usize = 64;
const TOPICS_MAX: usize = 1_024;
/// With a topic (249 bytes at most) the name of a cluster makes that of a sender.
const NAME_LEN_MAX: usize = 64;

/// `[collector.kafka]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaConfig {
    /// Whether topics are read. It needs a cluster.
    pub enabled: bool,
    /// Longest value of a record; the rest of a longer one is cut off and counted.
    #[serde(with = "canh_config::byte_size")]
    pub record_max: ByteSize,
    /// Most bytes fetched at once from one broker. A batch that is longer than this and 1 MiB more cannot be read.
    #[serde(with = "canh_config::byte_size")]
    pub fetch_max: ByteSize,
    /// Most partitions that are read of one cluster. More are counted and logged.
    pub partitions_max: NonZeroUsize,
    /// How often a cluster is asked for new partitions and for other leaders.
    #[serde(with = "canh_config::duration")]
    pub metadata_every: Duration,
    /// A broker must answer within this time.
    #[serde(with = "canh_config::duration")]
    pub request_timeout: Duration,
    pub cluster: Vec<ClusterConfig>,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            record_max: limit::LINE_MAX,
            fetch_max: ByteSize::mib(4),
            partitions_max: const { NonZeroUsize::new(4_096).unwrap() },
            metadata_every: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            cluster: Vec::new(),
        }
    }
}

/// `[[collector.kafka.cluster]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// What events and counters call the cluster. The source of a record is `kafka:NAME/TOPIC`.
    pub name: String,
    /// Brokers to ask first, each as `host:port`; they tell of the others.
    pub brokers: Vec<String>,
    /// Topics to read, by their whole names. New partitions are noticed.
    pub topics: Vec<String>,
    /// Where to begin in partitions of which nothing was read yet: `earliest` or `latest`.
    #[serde(default)]
    pub begin: Begin,
    /// Name of the format of the values; left out, it is recognised.
    pub format: Option<String>,
    /// Whether TLS is spoken.
    #[serde(default)]
    pub tls: bool,
    /// Certificates of the authorities that issue the brokers' certificates, PEM. Needed with `tls`.
    pub authorities: Option<PathBuf>,
    /// Own certificate, if brokers ask for one, PEM.
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate, PEM.
    pub key: Option<PathBuf>,
    /// How the user is shown: `plain`, `scram-sha-256` or `scram-sha-512`. Left out, without a user.
    pub sasl: Option<String>,
    /// Name of the user.
    pub user: Option<String>,
    /// File with the user's password.
    pub password_file: Option<PathBuf>,
}

/// Where to begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Begin {
    #[default]
    Earliest,
    Latest,
}

impl KafkaConfig {
    /// Longest payload that the journal is given, in bytes.
    pub(crate) fn batch_len_max(&self) -> u64 {
        let beside = KEY_MAX + HEADERS_MAX * 2 * (HEADER_MAX + 2) + 64;
        self.record_max.bytes().saturating_add((BATCH_LEN + beside) as u64)
    }

    pub(crate) fn check(&self) -> Result<(), SettingError> {
        if !self.enabled {
            return Ok(());
        }
        let key = "collector.kafka";
        let fail = |wrong: String| Err(SettingError::Wrong { key, wrong });
        if self.cluster.is_empty() {
            return fail("nothing is read; add a `[[collector.kafka.cluster]]`".to_owned());
        }
        if self.cluster.len() > CLUSTERS_MAX {
            return fail(format!("there may be {CLUSTERS_MAX} clusters"));
        }
        let fetch_max = self.fetch_max;
        if !(ByteSize::kib(64)..=ByteSize::mib(256)).contains(&fetch_max) {
            return fail(format!("`fetch_max` is `{fetch_max}`; write a size from `64KiB` to `256MiB`"));
        }
        for (at, one) in self.cluster.iter().enumerate() {
            let wrong = |wrong: String| SettingError::Wrong { key, wrong: format!("cluster `{}`: {wrong}", one.name) };
            if self.cluster.iter().take(at).any(|other| other.name == one.name) {
                return Err(wrong("there are two of this name".to_owned()));
            }
            one.check().map_err(wrong)?;
        }
        Ok(())
    }
}

impl ClusterConfig {
    fn check(&self) -> Result<(), String> {
        if self.name.is_empty() || self.name.len() > NAME_LEN_MAX || self.name.contains(['/', ':']) {
            return Err(format!("the name has to have 1 to {NAME_LEN_MAX} bytes, without `/` and `:`"));
        }
        if self.brokers.is_empty() {
            return Err("`brokers` is empty; write one or more as `host:port`".to_owned());
        }
        if let Some(broker) = self.brokers.iter().find(|broker| connection::host_and_port(broker).is_none()) {
            return Err(format!("`{broker}` is no broker; write it as `host:port`, for example `kafka1:9092`"));
        }
        if self.topics.is_empty() || self.topics.len() > TOPICS_MAX {
            return Err(format!("`topics` has {}, and has to have 1 to {TOPICS_MAX}", self.topics.len()));
        }
        let is_name = |topic: &&String| {
            let letters = topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
            letters && (1..=249).contains(&topic.len())
        };
        if let Some(topic) = self.topics.iter().find(|topic| !is_name(topic)) {
            return Err(format!(
                "`{topic}` is no topic; names are of letters, digits, `.`, `_` and `-`, and are not patterns"
            ));
        }
        if let Some((_, topic)) = self.topics.iter().enumerate().find(|(at, topic)| self.topics[..*at].contains(topic))
        {
            return Err(format!("`{topic}` is in `topics` twice"));
        }
        Access::read(self).map(drop)
    }
}

pub(super) fn bind(config: &KafkaConfig, intake: &Intake) -> Option<BoundDoor> {
    if !config.enabled {
        return None;
    }
    let (config, intake) = (Arc::new(config.clone()), intake.clone());
    Some(BoundDoor::without_address(NAME, move |stop| serve(config, intake, stop)))
}

async fn serve(config: Arc<KafkaConfig>, intake: Intake, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    let read = Arc::default();
    for one in &config.cluster {
        let cluster = Cluster::new(config.clone(), one.clone(), intake.clone(), Arc::clone(&read));
        tasks.spawn(cluster.run(stop.clone()));
    }
    tasks.close();
    tasks.wait().await;
}

#[cfg(test)]
mod tests;
