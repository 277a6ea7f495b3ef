//! `[collector]` as a whole.

use canh_schema::ByteSize;
use serde::Deserialize;

use crate::door::http::HttpConfig;
use crate::door::otlp_grpc::OtlpGrpcConfig;
use crate::door::syslog_tcp::SyslogTcpConfig;
use crate::door::syslog_udp::SyslogUdpConfig;

/// `[collector]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CollectorConfig {
    pub otlp_grpc: OtlpGrpcConfig,
    pub http: HttpConfig,
    pub syslog_udp: SyslogUdpConfig,
    pub syslog_tcp: SyslogTcpConfig,
    pub sources: SourcesConfig,
    pub feed: FeedConfig,
}

/// `[collector.sources]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourcesConfig {
    /// Senders that are remembered for the Agents page. Beyond it the ones that were quiet for longest are forgotten.
    pub sources_max: usize,
}

impl Default for SourcesConfig {
    fn default() -> Self {
        Self { sources_max: 10_000 }
    }
}

/// `[collector.feed]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeedConfig {
    /// Memory for decoded batches, so that detection and the store decode each batch only once.
    #[serde(with = "canh_config::byte_size")]
    pub cache_bytes: ByteSize,
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self { cache_bytes: ByteSize::mib(24) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(text: &str, word: &str) {
        let error = toml::from_str::<CollectorConfig>(text).unwrap_err().to_string();
        assert!(error.contains(word), "input: {text}\nerror: {error}");
    }

    #[test]
    fn a_misspelt_key_is_an_error_that_names_the_known_ones() {
        check_refused("[syslog_udp]\nlistenn = '0.0.0.0:514'", "`listenn`");
        check_refused("[syslog_udp]\nlistenn = '0.0.0.0:514'", "`listen`");
        check_refused("[syslog_ucp]\nlisten = '0.0.0.0:514'", "`syslog_ucp`");
        check_refused("[http]\nlisten = 'everywhere'", "listen");
    }
}
