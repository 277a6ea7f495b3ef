//! What agent and collector say to each other: OTLP messages, the headers that number a batch, and the limits.
//!
//! The messages are plain OTLP, so any OpenTelemetry collector understands our agent. The headers of [`BatchNumber`]
//! are ours: with them a batch that is sent again is recognised. No sockets here, and no clock.

pub mod attribute;
pub mod header;
pub mod limit;
mod logs;
mod metrics;
mod origin;
mod value;

pub use canh_schema::BatchNumber;
pub use header::{HeaderError, bearer, bearer_of, number_of, put_number};
pub use logs::{LogBatchBuilder, LogEntry};
pub use metrics::{Counting, MetricsBuilder};
pub use origin::Origin;
pub use value::{from_any, to_any};

/// Which of the two OTLP services takes a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum BatchKind {
    Logs,
    Metrics,
}

impl BatchKind {
    /// The kind as it is kept on disk.
    pub const fn code(self) -> u8 {
        match self {
            Self::Logs => 1,
            Self::Metrics => 2,
        }
    }

    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Logs),
            2 => Some(Self::Metrics),
            _ => None,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }
}
