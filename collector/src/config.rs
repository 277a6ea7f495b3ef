//! How sizes and times are written in the configuration, and `[collector]` as a whole.

use std::time::Duration;

use canh_schema::ByteSize;
use serde::{Deserialize, Deserializer, de};

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
    #[serde(deserialize_with = "de_byte_size")]
    pub cache_bytes: ByteSize,
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self { cache_bytes: ByteSize::mib(24) }
    }
}

/// A size such as `"64KiB"`, or a plain number of bytes.
pub(crate) fn de_byte_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
    deserializer.deserialize_any(TextOrNumber("a size such as `64KiB`", |text| text.parse().ok(), ByteSize::new))
}

/// A time such as `"30s"` or `"5m"`, or a plain number of seconds.
pub(crate) fn de_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(TextOrNumber("a time such as `30s`", parse_duration, Duration::from_secs))
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits_len = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = text.split_at(digits_len);
    let count: u64 = digits.parse().ok()?;
    let millis = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    count.checked_mul(millis).map(Duration::from_millis)
}

struct TextOrNumber<T>(&'static str, fn(&str) -> Option<T>, fn(u64) -> T);

impl<T> de::Visitor<'_> for TextOrNumber<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        Ok((self.2)(number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        let number = u64::try_from(number).map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))?;
        self.visit_u64(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug)]
    struct Line {
        #[serde(deserialize_with = "de_duration")]
        time: Duration,
        #[serde(deserialize_with = "de_byte_size")]
        size: ByteSize,
    }

    #[track_caller]
    fn check(text: &str, expected: Option<(u64, u64)>) {
        let read = toml::from_str::<Line>(text).ok();
        let read = read.map(|line| (line.time.as_millis() as u64, line.size.bytes()));
        assert_eq!(read, expected, "input: {text}");
    }

    #[test]
    fn sizes_and_times() {
        check("time = '30s'\nsize = '64KiB'", Some((30_000, 65_536)));
        check("time = 5\nsize = 12", Some((5_000, 12)));
        check("time = '250ms'\nsize = '1 MiB'", Some((250, 1 << 20)));
        check("time = '30'\nsize = 1", None);
        check("time = '-1s'\nsize = 1", None);
        check("time = '1s'\nsize = -1", None);
        check("time = '1s'\nsize = '64KB'", None);
        check("time = '99999999999999999999d'\nsize = 1", None);
    }

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
