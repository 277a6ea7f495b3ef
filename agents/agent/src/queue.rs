//! The one queue between the inputs and the spooler: what goes through it and how it fills.
//!
//! Records travel in chunks, so that the queue is bounded in bytes as well as in number. [`Sink::send`] waits while the
//! queue is full: a file or a pipe is then read more slowly, and packets gather in the kernel's buffer, which counts
//! what does not fit.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use canh_wire::LogEntry;

use crate::checkpoint::Place;
use crate::counters::Source;

/// A chunk is sent when the lines in it have this many bytes.
pub const CHUNK_SIZE: usize = 64 * 1024;
/// A chunk is sent when it holds this many records.
pub const CHUNK_LEN: usize = 500;

/// One record and the place in its source that has been read once it is kept.
#[derive(Debug)]
pub struct Item {
    pub source: Source,
    pub payload: Payload,
    pub mark: Option<Mark>,
}

#[derive(Debug)]
pub enum Payload {
    Log(LogEntry),
    /// An encoded message of measurements, and how many are in it.
    Metrics(Vec<u8>, usize),
    /// Only the mark matters.
    Nothing,
}

/// How far a source has been read. `place` is `None` once the source will never be read again.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    pub key: Arc<str>,
    pub place: Option<Place>,
}

/// The end that the inputs write to.
#[derive(Clone, Debug)]
pub struct Sink {
    chunks: SyncSender<Vec<Item>>,
}

/// The spooler has ended, because the agent is stopping.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the agent is stopping")]
pub struct Closed;

/// Makes a queue of `chunks_max` chunks.
pub fn queue(chunks_max: usize) -> (Sink, Receiver<Vec<Item>>) {
    let (chunks, receiver) = sync_channel(chunks_max);
    (Sink { chunks }, receiver)
}

impl Sink {
    /// Waits while the queue is full.
    pub fn send(&self, chunk: Vec<Item>) -> Result<(), Closed> {
        if chunk.is_empty() {
            return Ok(());
        }
        self.chunks.send(chunk).map_err(|_| Closed)
    }
}

/// Collects items into chunks of a bounded size and sends them with [`Sink::send`].
#[derive(Debug)]
pub struct ChunkSender<'a> {
    sink: &'a Sink,
    items: Vec<Item>,
    size: usize,
}

impl<'a> ChunkSender<'a> {
    pub fn new(sink: &'a Sink) -> Self {
        Self { sink, items: Vec::new(), size: 0 }
    }

    pub fn push(&mut self, item: Item) -> Result<(), Closed> {
        if let Payload::Log(entry) = &item.payload {
            self.size += entry.body.len();
        }
        self.items.push(item);
        if self.size >= CHUNK_SIZE || self.items.len() >= CHUNK_LEN { self.flush() } else { Ok(()) }
    }

    pub fn flush(&mut self) -> Result<(), Closed> {
        self.size = 0;
        self.sink.send(std::mem::take(&mut self.items))
    }
}
