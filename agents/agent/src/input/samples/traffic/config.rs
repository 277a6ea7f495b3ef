//! `[input.capture.files]`: how long files in traffic may be, and how much may be held and sent.

use std::num::{NonZeroU32, NonZeroUsize};

use canh_packet::CarveConfig;
use canh_schema::ByteSize;
use serde::Deserialize;

use super::super::config::{base_url, check_url};

/// `[input.capture.files]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesConfig {
    /// Where the collector takes files over HTTP. The host of `server.url` with port 4318 when left out.
    #[serde(default)]
    pub url: Option<String>,
    /// Shortest file that is offered: most answers of interfaces for programs are shorter than anything harmful.
    #[serde(default = "size_min", with = "canh_config::byte_size")]
    pub size_min: ByteSize,
    /// Longest file, as it is transferred and without `Content-Encoding`. The server takes `sample_max`, 32MiB by
    /// default.
    #[serde(default = "size_max", with = "canh_config::byte_size")]
    pub size_max: ByteSize,
    /// Files under way at the same time. When one more begins, the one that stalled longest is given up, and counted.
    #[serde(default = "under_way_max")]
    pub under_way_max: NonZeroUsize,
    /// Memory for files under way. When it is used up, the file that stalled longest is given up, and counted.
    #[serde(default = "under_way_bytes", with = "canh_config::byte_size")]
    pub under_way_bytes: ByteSize,
    /// Files that wait to be sent. When one more comes, a plain one (see the documentation) is dropped, and counted. A
    /// capture file waits instead.
    #[serde(default = "waiting_max")]
    pub waiting_max: NonZeroUsize,
    /// Memory for files that wait to be sent.
    #[serde(default = "waiting_bytes", with = "canh_config::byte_size")]
    pub waiting_bytes: ByteSize,
    /// Files that are offered in a minute at most; the rest waits.
    #[serde(default = "files_per_minute")]
    pub files_per_minute: NonZeroU32,
    /// Bytes that are sent in an hour at most; the rest waits.
    #[serde(default = "bytes_per_hour", with = "canh_config::byte_size")]
    pub bytes_per_hour: ByteSize,
}

fn size_min() -> ByteSize {
    ByteSize::new(32)
}

fn size_max() -> ByteSize {
    ByteSize::mib(8)
}

fn under_way_max() -> NonZeroUsize {
    const { NonZeroUsize::new(256).unwrap() }
}

fn under_way_bytes() -> ByteSize {
    ByteSize::mib(64)
}

fn waiting_max() -> NonZeroUsize {
    const { NonZeroUsize::new(1_000).unwrap() }
}

fn waiting_bytes() -> ByteSize {
    ByteSize::mib(64)
}

fn files_per_minute() -> NonZeroU32 {
    const { NonZeroU32::new(600).unwrap() }
}

fn bytes_per_hour() -> ByteSize {
    ByteSize::gib(1)
}

impl FilesConfig {
    /// Where files are offered and sent.
    pub fn base_url(&self, server_url: &str) -> String {
        base_url(self.url.as_deref(), server_url)
    }

    /// What is taken out of traffic.
    pub fn carve(&self) -> CarveConfig {
        let len = |size: ByteSize| usize::try_from(size.bytes()).unwrap_or(usize::MAX);
        CarveConfig {
            file_bytes_max: len(self.size_max),
            files_max: self.under_way_max.get(),
            bytes_max: len(self.under_way_bytes),
            ..CarveConfig::default()
        }
    }

    /// What the types alone cannot say.
    pub fn check(&self) -> Result<(), String> {
        check_url("input.capture.files.url", self.url.as_deref())?;
        if self.size_max.bytes() == 0 {
            return Err("`input.capture.files.size_max` is 0; it must be above 0".to_owned());
        }
        for (name, size) in [
            ("under_way_bytes", self.under_way_bytes),
            ("waiting_bytes", self.waiting_bytes),
            ("bytes_per_hour", self.bytes_per_hour),
        ] {
            if size < self.size_max {
                return Err(format!(
                    "`input.capture.files.{name}` is {size}; it must be at least `size_max` ({}), or the largest files \
                     could never be sent",
                    self.size_max
                ));
            }
        }
        Ok(())
    }
}
