//! Events that travel together.

use std::fmt;

use crate::Event;

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

/// The events of one journal record. Detection and the store read the same batch and each remembers the position
/// that it has finished.
#[derive(Clone, Debug)]
pub struct EventBatch {
    pub position: Position,
    pub events: Vec<Event>,
}
