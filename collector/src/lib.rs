//! Receives what devices and agents send, keeps it in the journal, acknowledges it, and hands decoded events to
//! whoever asks. Detection and storage are not its business; it does not know them.

pub mod envelope;

pub use envelope::{AgentBatch, Cut, Door, Envelope, EnvelopeError, Framing, Record, RecordList, Records};
