//! The agent's configuration file.

use std::path::PathBuf;
use std::time::Duration;

use canh_config::ConfigError;
use canh_schema::ByteSize;
use serde::Deserialize;

use crate::input::capture::{CaptureConfig, filter};
use crate::input::file::FileConfig;
use crate::input::journald::JournaldConfig;
use crate::input::metrics::MetricsConfig;
use crate::input::samples::SamplesConfig;
use crate::tls::TlsConfig;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder for the spool, the places and the status. Only the agent writes there.
    #[serde(default = "state_dir")]
    pub state_dir: PathBuf,
    /// Name of this host in every record; the system's name when left out.
    #[serde(default)]
    pub host_name: Option<String>,
    pub server: ServerConfig,
    #[serde(default)]
    pub spool: SpoolSettings,
    /// Chunks of records that wait for the spool, at most 64 KiB or one line each. When full, inputs wait.
    #[serde(default = "queue_len")]
    pub queue_len: usize,
    /// How long a stop waits for what is in the spool to be sent. The rest is sent after the next start.
    #[serde(default = "stop_grace", with = "canh_config::duration")]
    pub stop_grace: Duration,
    #[serde(default)]
    pub input: InputConfig,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Where the collector takes OTLP over gRPC.
    pub url: String,
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// File with the token that the server gave out for agents.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    #[serde(default)]
    pub compression: Compression,
    /// Longest wait for an answer.
    #[serde(default = "timeout", with = "canh_config::duration")]
    pub timeout: Duration,
    /// First and longest pause before a batch is sent again.
    #[serde(default = "retry_min", with = "canh_config::duration")]
    pub retry_min: Duration,
    #[serde(default = "retry_max", with = "canh_config::duration")]
    pub retry_max: Duration,
}

impl ServerConfig {
    /// Whether others on the network could read what is sent.
    pub fn is_in_clear(&self) -> bool {
        let uri: Option<http::Uri> = self.url.parse().ok();
        let Some(host) = uri.as_ref().and_then(http::Uri::host) else { return false };
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        self.url.starts_with("http://") && !is_here
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    #[default]
    Zstd,
    None,
}

/// `[spool]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpoolSettings {
    /// Disk space for what the server has not taken yet. When it is used up, inputs wait.
    #[serde(default = "bytes_max", with = "canh_config::byte_size")]
    pub bytes_max: ByteSize,
    /// Size of one file of the spool.
    #[serde(default = "segment_max", with = "canh_config::byte_size")]
    pub segment_max: ByteSize,
}

impl Default for SpoolSettings {
    fn default() -> Self {
        Self { bytes_max: bytes_max(), segment_max: segment_max() }
    }
}

/// `[input]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputConfig {
    #[serde(default)]
    pub file: Vec<FileConfig>,
    #[serde(default)]
    pub journald: Option<JournaldConfig>,
    #[serde(default)]
    pub capture: Vec<CaptureConfig>,
    #[serde(default)]
    pub metrics: Option<MetricsConfig>,
    #[serde(default)]
    pub samples: Option<SamplesConfig>,
}

fn state_dir() -> PathBuf {
    PathBuf::from("/var/lib/canh-agent")
}

fn queue_len() -> usize {
    16
}

fn stop_grace() -> Duration {
    Duration::from_secs(10)
}

fn timeout() -> Duration {
    Duration::from_secs(30)
}

fn retry_min() -> Duration {
    Duration::from_millis(250)
}

fn retry_max() -> Duration {
    Duration::from_secs(30)
}

fn bytes_max() -> ByteSize {
    ByteSize::gib(1)
}

fn segment_max() -> ByteSize {
    ByteSize::mib(8)
}

/// Least spool: a few of the longest batches.
const BYTES_MIN: ByteSize = ByteSize::mib(64);

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    ///
    /// The first mistake, with its place where there is one.
    pub fn load(path: &std::path::Path) -> Result<Self, ConfigError> {
        let config: Self = canh_config::load(path)?;
        config.check().map_err(|message| ConfigError::Wrong(format!("{}: {message}", path.display())))?;
        Ok(config)
    }

    /// Has libpcap read every capture filter. Not part of [`Config::load`]: a filter may name hosts, and a name that is
    /// not known for a moment must not keep the agent from its start.
    ///
    /// # Errors
    ///
    /// The first filter that libpcap refuses, with its key.
    pub fn check_filters(&self) -> Result<(), ConfigError> {
        for (at, capture) in self.input.capture.iter().enumerate() {
            let Some(filter) = &capture.filter else { continue };
            filter::check(filter).map_err(|error| {
                ConfigError::Wrong(format!(
                    "`input.capture[{at}].filter` is `{filter}`: {error}; its language is that of `tcpdump`"
                ))
            })?;
        }
        Ok(())
    }

    /// What the types alone cannot say.
    fn check(&self) -> Result<(), String> {
        let url = &self.server.url;
        let uri: http::Uri = url.parse().map_err(|error| format!("`server.url` is `{url}`: {error}"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.authority().is_none() {
            return Err(format!(
                "`server.url` is `{url}`; write it as `https://host:4317`, or with `http` without TLS"
            ));
        }
        if let Some(tls) = &self.server.tls {
            let samples = self.input.samples.iter().map(|samples| samples.base_url(url));
            let files = self.input.capture.iter().filter_map(|capture| capture.files.as_ref());
            let mut urls = samples.chain(files.map(|files| files.base_url(url))).chain([url.clone()]);
            if !urls.any(|url| url.starts_with("https://")) {
                return Err(format!("there is `[server.tls]`, and `server.url` is `{url}`; write it as `https://…`"));
            }
            tls.check()?;
        }
        if self.queue_len == 0 {
            return Err("`queue_len` is 0; nothing could pass, write at least 1".to_owned());
        }
        if self.spool.bytes_max < BYTES_MIN {
            return Err(format!("`spool.bytes_max` is {}; write at least {BYTES_MIN}", self.spool.bytes_max));
        }
        if self.server.retry_min.is_zero() || self.server.retry_max < self.server.retry_min {
            return Err("`server.retry_min` must be above 0 and at most `server.retry_max`".to_owned());
        }
        for file in &self.input.file {
            if let Some((pattern, error)) = file.bad_pattern() {
                return Err(format!("`input.file` has the path `{pattern}`, which is not a pattern: {error}"));
            }
            if let Some(path) = file.path.iter().find(|path| !path.starts_with('/')) {
                return Err(format!("`input.file` has the path `{path}`; write it from the root, beginning with `/`"));
            }
        }
        if let Some(capture) =
            self.input.capture.iter().find(|capture| capture.interface.is_some() == capture.file.is_some())
        {
            let both =
                if capture.file.is_some() { "both `interface` and `file`" } else { "neither `interface` nor `file`" };
            return Err(format!("an `input.capture` has {both}; write one of them"));
        }
        let input = &self.input;
        for files in input.capture.iter().filter_map(|capture| capture.files.as_ref()) {
            files.check()?;
        }
        if let Some(samples) = &input.samples {
            samples.check()?;
        }
        let none = input.file.is_empty()
            && input.journald.is_none()
            && input.capture.is_empty()
            && input.metrics.is_none()
            && input.samples.is_none();
        if none {
            return Err(
                "there is no input; add `[[input.file]]`, `[input.journald]`, `[[input.capture]]`, `[input.metrics]` or \
                 `[input.samples]`"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.toml");
        fs::write(&path, text).unwrap();
        let error = Config::load(&path).err().map(|error| error.to_string());
        match (&error, expected) {
            (None, None) => (),
            (Some(error), Some(expected)) => assert!(error.contains(expected), "{error}"),
            _ => panic!("{error:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn mistakes_name_the_fix() {
        let server = "[server]\nurl = \"http://127.0.0.1:4317\"\n";
        let metrics = "[input.metrics]\n";
        check(&format!("{server}{metrics}"), None);
        check(server, Some("there is no input; add `[[input.file]]`"));
        check(metrics, Some("key `server` is missing"));
        check(&format!("{server}tokenfile = \"x\"\n{metrics}"), Some("agent.toml:3:1: unknown key `tokenfile`"));
        check(&format!("{server}{metrics}interval = \"15\"\n"), Some("`15` is not a length of time"));
        check(&format!("{server}[[input.file]]\npath = [\"log/*.log\"]\n"), Some("beginning with `/`"));
        check(&format!("{server}[[input.file]]\npath = [\"/log/[a\"]\n"), Some("`/log/[a`, which is not a pattern"));
        check(&format!("{server}[[input.capture]]\n"), Some("neither `interface` nor `file`"));
        check(&format!("{server}[spool]\nbytes_max = \"1MiB\"\n{metrics}"), Some("write at least 64MiB"));
        check(&format!("queue_len = 0\n{server}{metrics}"), Some("write at least 1"));
        let files = format!("{server}[[input.capture]]\ninterface = \"lo\"\n[input.capture.files]\n");
        check(&files, None);
        check(&format!("{files}size_max = \"0\""), Some("must be above 0"));
        check(&format!("{files}under_way_bytes = \"1MiB\""), Some("`size_max`"));
        check(&format!("{files}url = \"ftp://a\""), Some("input.capture.files.url"));
        check(&format!("{files}size = 1"), Some("unknown key `size`"));
        let samples = format!("{server}[input.samples]\n");
        let tree = "[[input.samples.tree]]\npath = [\"/srv\"]\n";
        check(&format!("{samples}{tree}"), None);
        check(&samples, Some("add `[[input.samples.tree]]`"));
        check(&format!("{samples}url = \"ftp://a\"\n{tree}"), Some("`https://host:4318`"));
        check(&format!("{samples}size_max = \"1GiB\"\n{tree}"), Some("at most `bytes_per_hour` (256MiB)"));
        check(&format!("{samples}interval = \"10ms\"\n{tree}"), Some("below 1s"));
        check(&format!("{samples}{tree}kinds = [\"script\"]\n"), Some("script"));
        check(&format!("{samples}[[input.samples.tree]]\npath = [\"srv\"]\n"), Some("beginning with `/`"));
        check(&format!("{samples}[[input.samples.tree]]\npath = [\"/a/../b\"]\n"), Some("without `..`"));
        check(&format!("{samples}{tree}exclude = [\"[\"]\n"), Some("`[`, which is not a pattern"));
        let secured = "[server]\nurl = \"https://a:4317\"\n[server.tls]\n";
        check(&format!("{secured}{metrics}"), None);
        check(&format!("{secured}certificate = \"a\"\nkey = \"b\"\n{metrics}"), None);
        check(&format!("{secured}certificate = \"a\"\n{metrics}"), Some("a `certificate` and no `key`"));
        check(&format!("{secured}key = \"a\"\n{metrics}"), Some("a `key` and no `certificate`"));
        check(&format!("{secured}insecure = true\n{metrics}"), Some("unknown key `insecure`"));
        check(&format!("{server}[server.tls]\n{metrics}"), Some("write it as `https://…`"));
        let samples_alone = "[input.samples]\nurl = \"https://a\"\n";
        check(&format!("{server}[server.tls]\n{samples_alone}{tree}"), None);
        for (url, expected) in [
            ("127.0.0.1:4317", "write it as `https://host:4317`"),
            ("http://", "server.url"),
            ("grpc://a:1", "write it as `https://host:4317`"),
        ] {
            check(&format!("[server]\nurl = \"{url}\"\n{metrics}"), Some(expected));
        }
    }

    #[track_caller]
    fn check_filters(filters: &[&str], expected: Option<&str>) {
        let mut text = "[server]\nurl = \"http://127.0.0.1:4317\"\n".to_owned();
        for filter in filters {
            text.push_str(&format!("[[input.capture]]\ninterface = \"eth0\"\nfilter = {filter:?}\n"));
        }
        let config: Config = toml::from_str(&text).unwrap();
        let error = config.check_filters().err().map(|error| error.to_string());
        match (&error, expected) {
            (None, None) => (),
            (Some(error), Some(expected)) => assert!(error.contains(expected), "{error}"),
            _ => panic!("{error:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_wrong_filter_is_named() {
        check_filters(&[], None);
        check_filters(&["not port 22", "udp"], None);
        check_filters(&["not port 22", "prot 53"], Some("`input.capture[1].filter` is `prot 53`: "));
        check_filters(&["tcp and"], Some("`input.capture[0].filter` is `tcp and`: "));
    }

    #[test]
    fn the_example_is_right() {
        check(include_str!("../canh-agent.example.toml"), None);
    }
}
