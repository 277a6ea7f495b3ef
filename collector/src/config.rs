//! `[collector]` as a whole.

use std::path::PathBuf;

use canh_schema::ByteSize;
use serde::Deserialize;

use crate::door::elasticsearch::ElasticsearchConfig;
use crate::door::flow::FlowConfig;
use crate::door::forward::ForwardConfig;
use crate::door::gelf_http::GelfHttpConfig;
use crate::door::gelf_tcp::GelfTcpConfig;
use crate::door::gelf_udp::GelfUdpConfig;
use crate::door::http::HttpConfig;
use crate::door::journald_upload::JournaldUploadConfig;
use crate::door::kafka::KafkaConfig;
use crate::door::otlp_grpc::OtlpGrpcConfig;
use crate::door::prometheus_write::PrometheusWriteConfig;
use crate::door::relp::RelpConfig;
use crate::door::relp_tls::RelpTlsConfig;
use crate::door::snmp::SnmpConfig;
use crate::door::source_tokens::{self, SourceToken};
use crate::door::splunk_hec::SplunkHecConfig;
use crate::door::syslog_tcp::SyslogTcpConfig;
use crate::door::syslog_tls::SyslogTlsConfig;
use crate::door::syslog_udp::SyslogUdpConfig;
use crate::door::tls::TlsConfig;
use crate::format::{self, Zone, ZoneError};
use crate::geo::GeoConfig;

/// What the journal writes before the payload of a batch is at most this long.
const HEAD_LEN_MAX: u64 = 8_192;

/// `[collector]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CollectorConfig {
    pub token: Vec<SourceToken>,
    pub otlp_grpc: OtlpGrpcConfig,
    pub http: HttpConfig,
    pub elasticsearch: ElasticsearchConfig,
    pub splunk_hec: SplunkHecConfig,
    pub syslog_udp: SyslogUdpConfig,
    pub syslog_tcp: SyslogTcpConfig,
    pub syslog_tls: SyslogTlsConfig,
    pub relp: RelpConfig,
    pub relp_tls: RelpTlsConfig,
    pub tls: TlsConfig,
    pub flow: FlowConfig,
    pub snmp: SnmpConfig,
    pub forward: ForwardConfig,
    pub gelf_udp: GelfUdpConfig,
    pub gelf_tcp: GelfTcpConfig,
    pub gelf_http: GelfHttpConfig,
    pub prometheus_write: PrometheusWriteConfig,
    pub journald_upload: JournaldUploadConfig,
    pub kafka: KafkaConfig,
    pub sources: SourcesConfig,
    pub feed: FeedConfig,
    pub geo: GeoConfig,
}

/// A value that cannot work, found before a door is opened.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SettingError {
    #[error("configuration key `{key}`: {}", format::unknown(name))]
    UnknownFormat { key: &'static str, name: String },
    #[error("configuration key `collector.sources.time_zone`: {0}")]
    TimeZone(ZoneError),
    #[error("configuration key `collector.token`: {wrong}")]
    Token { wrong: String },
    #[error(
        "configuration key `{key}`: `{value}` is not a version; write three numbers with dots, for example `8.17.0`"
    )]
    Version { key: &'static str, value: String },
    #[error("configuration key `{key}`: {wrong}")]
    Wrong { key: &'static str, wrong: String },
    #[error(
        "a batch that `{key}` allows may have {needed} bytes, and the journal takes {batch_max} at most; raise \
         `journal.batch_max` to {needed} or more, or lower `{key}`"
    )]
    BatchTooLarge { key: &'static str, needed: u64, batch_max: ByteSize },
}

impl CollectorConfig {
    /// Whether a door needs the certificate of `[collector.tls]`.
    pub(crate) fn needs_tls(&self) -> bool {
        self.syslog_tls.enabled
            || (self.http.enabled && self.http.tls)
            || (self.otlp_grpc.enabled && self.otlp_grpc.tls)
            || self.relp_tls.enabled
            || (self.gelf_tcp.enabled && self.gelf_tcp.tls)
            || (self.forward.enabled && self.forward.tls)
    }

    /// Whether the doors that are enabled can work with a journal that takes batches of `batch_max`.
    pub(crate) fn check(&self, batch_max: ByteSize) -> Result<(), SettingError> {
        source_tokens::check(&self.token).map_err(|wrong| SettingError::Token { wrong })?;
        self.elasticsearch.check()?;
        self.snmp.check()?;
        self.forward.check()?;
        self.kafka.check()?;
        self.sources.time_zone.parse::<Zone>().map_err(SettingError::TimeZone)?;
        for name in &self.sources.mask_names {
            let wrong = |wrong| SettingError::Wrong { key: "collector.sources.mask_names", wrong };
            crate::Secrets::check_name(name).map_err(wrong)?;
        }
        let formats = [
            ("collector.syslog_udp.format", self.syslog_udp.enabled, &self.syslog_udp.format),
            ("collector.syslog_tcp.format", self.syslog_tcp.enabled, &self.syslog_tcp.format),
            ("collector.syslog_tls.format", self.syslog_tls.enabled, &self.syslog_tls.format),
            ("collector.relp.format", self.relp.enabled, &self.relp.format),
            ("collector.relp_tls.format", self.relp_tls.enabled, &self.relp_tls.format),
        ];
        let is_described =
            |name: &str| self.sources.dir.as_ref().is_some_and(|dir| dir.join(name).join("source.toml").exists());
        let of_kafka =
            self.kafka.cluster.iter().map(|one| ("collector.kafka.cluster.format", self.kafka.enabled, &one.format));
        for (key, enabled, name) in formats.into_iter().chain(of_kafka) {
            let unknown = |name: &&String| enabled && !format::is_known(name) && !is_described(name);
            if let Some(name) = name.as_ref().filter(unknown) {
                return Err(SettingError::UnknownFormat { key, name: name.clone() });
            }
        }
        let batches = [
            ("collector.otlp_grpc.message_max", self.otlp_grpc.enabled, self.otlp_grpc.batch_len_max()),
            ("collector.http.message_max", self.http.enabled, self.http.message_len_max()),
            ("collector.http.line_max", self.http.enabled, self.http.lines_len_max()),
            ("collector.syslog_udp.message_max", self.syslog_udp.enabled, self.syslog_udp.batch_len_max()),
            ("collector.syslog_tcp.batch_size", self.syslog_tcp.enabled, self.syslog_tcp.batch_len_max()),
            ("collector.syslog_tls.batch_size", self.syslog_tls.enabled, self.syslog_tls.batch_len_max()),
            ("collector.relp.message_max", self.relp.enabled, self.relp.batch_len_max()),
            ("collector.relp_tls.message_max", self.relp_tls.enabled, self.relp_tls.batch_len_max()),
            ("collector.gelf_udp.message_max", self.gelf_udp.enabled, self.gelf_udp.batch_len_max()),
            ("collector.gelf_tcp.batch_size", self.gelf_tcp.enabled, self.gelf_tcp.batch_len_max()),
            (
                "collector.journald_upload.entry_max",
                self.http.enabled && self.journald_upload.enabled,
                self.journald_upload.batch_len_max(),
            ),
            ("collector.forward.message_max", self.forward.enabled, self.forward.batch_len_max()),
            ("collector.kafka.record_max", self.kafka.enabled, self.kafka.batch_len_max()),
            ("collector.snmp.enabled", self.snmp.enabled, self.snmp.batch_len_max()),
            ("collector.flow.enabled", self.flow.enabled, self.flow.batch_len_max()),
        ];
        for (key, enabled, len) in batches {
            let needed = len.saturating_add(HEAD_LEN_MAX);
            if enabled && needed > batch_max.bytes() {
                return Err(SettingError::BatchTooLarge { key, needed, batch_max });
            }
        }
        Ok(())
    }
}

/// `[collector.sources]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourcesConfig {
    /// Senders that are remembered for the Agents page. Beyond it the ones that were quiet for longest are forgotten.
    pub sources_max: usize,
    /// Directory with folders that describe further sources, see docs/sources.md. One that is named like a source of the
    /// program takes its place. Read again at SIGHUP.
    pub dir: Option<PathBuf>,
    /// Zone of times that do not name theirs, as an IANA name. A described source may have one of its own.
    pub time_zone: String,
    /// Further names whose values are secrets and are replaced by `***` before a record is read, see docs/sources.md.
    pub mask_names: Vec<String>,
    /// Whose records are kept as they came, by the field `event.dataset` or its part before the first dot, for example
    /// `nginx` or `squid-proxy`; `*` for all.
    pub mask_except: Vec<String>,
}

impl Default for SourcesConfig {
    fn default() -> Self {
        Self {
            sources_max: 10_000,
            dir: None,
            time_zone: "Asia/Ho_Chi_Minh".to_owned(),
            mask_names: Vec::new(),
            mask_except: Vec::new(),
        }
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

    #[track_caller]
    fn check_cannot_work(text: &str, batch_max: ByteSize, words: &[&str]) {
        let config: CollectorConfig = toml::from_str(text).unwrap();
        let error = config.check(batch_max).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "expected `{word}`: {error}");
        }
    }

    #[test]
    fn a_value_that_cannot_work_is_an_error_that_names_the_keys() {
        let default = crate::JournalConfig::default().batch_max;
        assert_eq!(CollectorConfig::default().check(default), Ok(()));
        for door in ["syslog_udp", "syslog_tcp", "syslog_tls", "relp", "relp_tls"] {
            let key = format!("`collector.{door}.format`");
            check_cannot_work(
                &format!("[{door}]\nenabled = true\nformat = 'zeek_jsn'"),
                default,
                &[&key, "`zeek_jsn`", "`zeek_json`?", "web_access"],
            );
            let closed = format!("[{door}]\nenabled = false\nformat = 'zeek_jsn'");
            assert_eq!(toml::from_str::<CollectorConfig>(&closed).unwrap().check(default), Ok(()));
        }
        check_cannot_work(
            "[sources]\ntime_zone = 'Mars'",
            default,
            &["`collector.sources.time_zone`", "`Mars`", "Asia/Ho_Chi_Minh"],
        );
        check_cannot_work("[sources]\nmask_names = ['x']", default, &["`collector.sources.mask_names`", "`x`"]);
        let both = |key| ["`journal.batch_max`", key];
        check_cannot_work("", ByteSize::mib(16), &both("`collector.otlp_grpc.message_max`"));
        check_cannot_work("[otlp_grpc]\nenabled = false", ByteSize::mib(16), &both("`collector.http.message_max`"));
        check_cannot_work("[http]\nline_max = '40MiB'", default, &both("`collector.http.line_max`"));
        check_cannot_work("[syslog_tcp]\nbatch_size = '32MiB'", default, &both("`collector.syslog_tcp.batch_size`"));
        check_cannot_work(
            "[otlp_grpc]\nenabled = false\n[http]\nenabled = false",
            ByteSize::kib(256),
            &both("`collector.syslog_udp.message_max`"),
        );
    }

    #[test]
    fn a_door_has_its_own_defaults_also_where_a_part_of_a_table_is_written() {
        let text = "[http.connections]\nmax = 7\n[relp_tls.connections]\nmax = 7\n[relp_tls.handshakes]\nmax = 7";
        let config: CollectorConfig = toml::from_str(text).unwrap();
        assert_eq!((config.http.connections.max.get(), config.http.connections.idle_timeout.as_secs()), (7, 60));
        let grpc = &config.otlp_grpc.connections;
        assert_eq!((grpc.max.get(), grpc.idle_timeout.as_secs()), (1_024, 120));
        let relp = &config.relp_tls;
        assert_eq!((relp.connections.max.get(), relp.connections.idle_timeout.as_secs()), (7, 3_600));
        assert_eq!((relp.handshakes.max.get(), relp.handshakes.timeout.as_secs()), (7, 10));
        assert_eq!((config.forward.connections.max.get(), config.gelf_tcp.handshakes.max.get()), (512, 128));
    }

    #[test]
    fn a_misspelt_key_is_an_error_that_names_the_known_ones() {
        check_refused("[http.connections]\nidle = '5s'", "`idle_timeout`");
        check_refused("[relp.connections]\nmax = 0", "nonzero");
        check_refused("[relp.handshakes]\nmax = 1", "`handshakes`");
        check_refused("[gelf_tcp.handshakes]\ntimeout = 'soon'", "soon");
        check_refused("[syslog_udp]\nlistenn = '0.0.0.0:514'", "`listenn`");
        check_refused("[syslog_udp]\nlistenn = '0.0.0.0:514'", "`listen`");
        check_refused("[syslog_ucp]\nlisten = '0.0.0.0:514'", "`syslog_ucp`");
        check_refused("[http]\nlisten = 'everywhere'", "listen");
        for door in ["otlp_grpc", "http", "syslog_udp", "syslog_tcp"] {
            check_refused(
                &format!("[{door}]\nlisten = 'nope'"),
                "`nope` is not an address to listen on; write `address:port`",
            );
        }
    }
}
