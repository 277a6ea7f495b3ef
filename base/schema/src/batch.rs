//! Events that travel together.

use std::fmt;

use compact_str::CompactString;

use crate::{AgentId, BatchId, Event};

/// The number of a record in the collector's journal. The first record is 1; 0 is before everything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Position(u64);

impl Position {
    /// Before the first record.
    pub const START: Self = Self(0);

    pub const fn new(sequence: u64) -> Self {
        Self(sequence)
    }

    pub const fn get(self) -> u64 {
        self.0
    }

    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which batch of an agent this is. The same three values are the same batch, however often it is sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct BatchNumber {
    pub agent: AgentId,
    /// Random number of the agent's spool; a spool that was made anew has another one.
    pub spool: u64,
    /// Number of the batch in that spool, from 1 without a gap.
    pub sequence: u64,
}

impl BatchNumber {
    pub fn batch_id(&self) -> BatchId {
        BatchId::from_agent(self.agent, self.spool, self.sequence)
    }
}

/// The events of one journal record. Detection and the store read the same batch and each remembers the position
/// that it has finished.
#[derive(Clone, Debug)]
pub struct EventBatch {
    pub position: Position,
    pub events: Vec<Event>,
    /// The number that the sender gave the batch, if it is one of our agents: they come without a gap.
    pub number: Option<BatchNumber>,
    /// Bytes of payload, as received.
    pub bytes: u64,
    /// The record of the journal could be read. If not, there are no events, and what it held is lost.
    pub readable: bool,
    /// What the batch says is gone where its records are read from.
    pub missing: Option<Missing>,
}

/// Numbers of records that were deleted where they were kept, before they were read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missing {
    /// As in `canh.source`.
    pub source: CompactString,
    /// Topic and partition.
    pub place: CompactString,
    /// In one word.
    pub reason: CompactString,
    pub first: i64,
    pub last: i64,
}

impl EventBatch {
    pub const fn new(position: Position, events: Vec<Event>) -> Self {
        Self { position, events, number: None, bytes: 0, readable: true, missing: None }
    }

    /// Stands for a record of the journal that cannot be read.
    pub const fn unreadable(position: Position) -> Self {
        Self { position, events: Vec::new(), number: None, bytes: 0, readable: false, missing: None }
    }
}
