//! The server's configuration file. Each part is defined where it is used; this puts them together.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};
use std::time::Duration;

use canh_collector::{CollectorConfig, JournalConfig};
use canh_config::ConfigError;
use serde::Deserialize;

/// Shorter pauses between commits cost more than they give.
const COMMIT_EVERY_MIN: Duration = Duration::from_millis(50);

/// Each round costs one write of the journal for each rule.
const CANARY_EVERY_MIN: Duration = Duration::from_secs(60);

/// Ten years; nothing is kept longer.
const RETRO_HUNT_DAYS_MAX: u32 = 3_650;

/// A value that cannot work.
#[derive(Debug, thiserror::Error)]
#[error("`{key}` in the configuration (or the option for it) cannot be used: {problem}")]
pub(crate) struct ValueError {
    key: &'static str,
    problem: String,
}

/// The whole file. Every key may be left out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerConfig {
    /// Data directory: journal, events, state, tokens. Other paths in this file start here if they are relative.
    pub(crate) data: PathBuf,
    pub(crate) console: ConsoleConfig,
    pub(crate) collector: CollectorConfig,
    pub(crate) journal: JournalConfig,
    pub(crate) detection: DetectionConfig,
    pub(crate) store: StoreConfig,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            data: PathBuf::from("data"),
            console: ConsoleConfig::default(),
            collector: CollectorConfig::default(),
            journal: JournalConfig::default(),
            detection: DetectionConfig::default(),
            store: StoreConfig::default(),
        }
    }
}

/// `[console]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ConsoleConfig {
    /// Address of the web page and the API. There is no TLS yet: put a proxy in front before you leave loopback.
    #[serde(with = "canh_config::socket_addr")]
    pub(crate) listen: SocketAddr,
    /// Batches that a live tail may fall behind before it misses some, and is told so.
    pub(crate) tail_queue_len: NonZeroU16,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8_686)),
            tail_queue_len: const { NonZeroU16::new(64).unwrap() },
        }
    }
}

/// `[detection]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DetectionConfig {
    /// Directories or files with Sigma rules. They start at the working directory if they are relative.
    pub(crate) rules: Vec<PathBuf>,
    /// Directories or files with processing pipelines in the format of pySigma, which change rules before they are
    /// compiled. They start at the working directory if they are relative.
    pub(crate) pipelines: Vec<PathBuf>,
    /// Which rules raise nothing until somebody has looked at them in the console and enabled them. `marked`: those in a
    /// directory with a file `.needs-review`, which `canh rules import` writes, or below one. `all`, or `none`.
    pub(crate) review: ReviewPolicy,
    /// Findings of one rule in one hour that are kept. More are counted and shown on the Rules page, so that a rule that
    /// goes wild does not bury the others.
    pub(crate) findings_per_hour: NonZeroU32,
    /// How often a sample of each rule is sent through the journal and the rules, to see that the rule still fires. At
    /// least 1m.
    #[serde(with = "canh_config::duration")]
    pub(crate) canary_every: Duration,
    /// Directories or files with indicators of compromise: text, CSV, STIX 2.1, MISP. A file `allow.txt` among them
    /// names what is never an indicator. They start at the working directory if they are relative.
    pub(crate) indicators: Vec<PathBuf>,
    /// Whether indicators that are private addresses (10.0.0.0/8 and its like) are taken.
    pub(crate) indicators_private: bool,
    /// When lists of indicators are loaded, those that are new are looked for in what was stored in so many days. 0 is none.
    pub(crate) retro_hunt_days: u32,
    /// Directories or files with YARA rules, for files that are sent to `/v1/samples`. They start at the working
    /// directory if they are relative. Without any, no files are taken.
    pub(crate) yara: Vec<PathBuf>,
}

impl Default for DetectionConfig {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            pipelines: Vec::new(),
            review: ReviewPolicy::Marked,
            findings_per_hour: const { NonZeroU32::new(2_000).unwrap() },
            canary_every: Duration::from_secs(3_600),
            indicators: Vec::new(),
            indicators_private: false,
            retro_hunt_days: 30,
            yara: Vec::new(),
        }
    }
}

/// Which rules wait for a review.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReviewPolicy {
    Marked,
    All,
    None,
}

/// `[store]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StoreConfig {
    /// Events older than this are deleted, whole days at a time.
    pub(crate) retention_days: NonZeroU32,
    /// Received events can be searched after this time at the latest, the time of one commit added.
    /// At least 50ms.
    #[serde(with = "canh_config::duration")]
    pub(crate) commit_every: Duration,
}

impl Default for StoreConfig {
    fn default() -> Self {
        // Twelve months are what the highest common duty to keep logs asks for.
        Self { retention_days: const { NonZeroU32::new(365).unwrap() }, commit_every: Duration::from_millis(800) }
    }
}

impl ServerConfig {
    /// Reads the file, or takes the defaults.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        path.map_or_else(|| Ok(Self::default()), canh_config::load)
    }

    /// Values that are well formed and still cannot work.
    pub(crate) fn check(&self) -> Result<(), ValueError> {
        if self.store.commit_every < COMMIT_EVERY_MIN {
            return Err(ValueError { key: "store.commit_every", problem: "it is shorter than 50ms".to_owned() });
        }
        if self.detection.canary_every < CANARY_EVERY_MIN {
            return Err(ValueError { key: "detection.canary_every", problem: "it is shorter than 1m".to_owned() });
        }
        if self.detection.retro_hunt_days > RETRO_HUNT_DAYS_MAX {
            let problem = format!("it is more than {RETRO_HUNT_DAYS_MAX}");
            return Err(ValueError { key: "detection.retro_hunt_days", problem });
        }
        let rules = self.detection.rules.iter().map(|path| ("detection.rules", path));
        let pipelines = self.detection.pipelines.iter().map(|path| ("detection.pipelines", path));
        let indicators = self.detection.indicators.iter().map(|path| ("detection.indicators", path));
        let yara = self.detection.yara.iter().map(|path| ("detection.yara", path));
        let geo = &self.collector.geo;
        let networks = geo.networks.iter().map(|path| ("collector.geo.networks", path));
        let databases = geo.databases.iter().map(|path| ("collector.geo.databases", path));
        for (key, path) in rules.chain(pipelines).chain(indicators).chain(yara).chain(networks).chain(databases) {
            if !path.exists() {
                let problem = format!("there is no `{}`", path.display());
                return Err(ValueError { key, problem });
            }
        }
        Ok(())
    }

    pub(crate) fn in_data(&self, path: &Path) -> PathBuf {
        self.data.join(path)
    }
}
