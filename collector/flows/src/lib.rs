//! Flow records of routers, switches and firewalls: NetFlow v1, v5, v7 and v9, IPFIX, and sFlow v5.
//!
//! Pure: datagrams and what was learnt before go in, records come out. No socket, no clock, no file. Templates are compiled
//! to offsets when they come, so that a record is read without looking at its template again.

mod context;
mod decoder;
mod element;
mod element_names;
mod flow;
mod flow_set;
mod hold;
mod limits;
mod message;
mod options;
mod packet;
mod sequence;
mod sflow;
mod store;
mod template;
mod wire;

#[cfg(test)]
mod tests;

pub use context::Restored;
pub use decoder::{Decoder, Outcome, Sink, UnknownSet};
pub use element::{ElementId, Kind, Value};
pub use flow::{Clock, Flow, Sampling};
pub use flow_set::FlowSet;
pub use hold::{Hold, HoldLimits, held};
pub use limits::Limits;
pub use message::{Malformed, with_sets};
pub use sequence::{Gap, SequenceKey, Sequences};
pub use sflow::{Counters, Direction, InterfaceCounters, Sample};
pub use store::{StoreCounts, StreamKey};
pub use template::{Field, Protocol, Record, Template};
