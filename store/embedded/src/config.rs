//! What can be chosen about the store.

use std::path::PathBuf;
use std::time::Duration;

use canh_schema::ByteSize;

#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// Directory of the store; made if it is not there. One program at a time.
    pub path: PathBuf,
    /// Span of time that one partition holds. Fixed when the first events come; changing it later only concerns new
    /// partitions.
    pub window: Duration,
    /// Partitions that can be written to at one time. More are opened and closed in turn, which is slow but works.
    pub writers_max: usize,
    /// Memory of one open partition for events that are not yet on disk. At least 15 MiB.
    pub arena: ByteSize,
    /// Events on their way to the writers, in memory.
    pub queue: ByteSize,
    /// A partition that nothing was written to for so long is closed for writing, so that it costs no memory.
    pub writer_idle: Duration,
    /// Searches that run at one time; others wait, up to eight times as many.
    pub searches_max: usize,
}

impl EmbeddedConfig {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            window: Duration::from_secs(86_400),
            writers_max: 4,
            arena: ByteSize::mib(24),
            queue: ByteSize::mib(16),
            writer_idle: Duration::from_secs(60),
            searches_max: 4,
        }
    }
}
