//! What can go wrong between a caller and a store.

use std::error::Error;
use std::time::Duration;

use canh_schema::Position;

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The request cannot be answered by any backend as it stands. The text says what to change.
    #[error("{reason}")]
    BadRequest { reason: String },

    /// Writing failed (a full disk, for example) and what was appended after `cursor` has been let go of.
    /// Nothing is lost: wait a little, then append again from the journal, beginning after `cursor`.
    #[error("cannot write events: {what}; append again from the journal after position {cursor}")]
    Retry { cursor: Position, what: String, source: Option<Box<dyn Error + Send + Sync>> },

    /// Reading or answering failed.
    #[error("cannot {what}")]
    Failed { what: String, source: Box<dyn Error + Send + Sync> },

    /// As many searches as are allowed at one time are running.
    #[error("too many searches are running; try again in a few seconds")]
    Busy,

    /// A histogram or count could not be finished in time, and a part of it would mislead.
    #[error("the search took longer than {} s; narrow the time range", .limit.as_secs())]
    Deadline { limit: Duration },

    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub fn bad_request(reason: impl Into<String>) -> Self {
        Self::BadRequest { reason: reason.into() }
    }

    pub fn failed(what: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed { what: what.into(), source: source.into() }
    }
}
