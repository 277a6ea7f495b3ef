//! The words that every stage shares: events, fields, findings, ids and units.
//!
//! No serialisation of the API, no runtime, no files. A stage hands these types on by value or behind an `Arc`;
//! how they are written to a disk or a wire is the business of the crate that does it.

mod batch;
mod catalogue;
mod event;
mod finding;
mod id;
mod level;
mod proof;
mod time;
mod units;
mod value;

pub use batch::{BatchNumber, EventBatch, Missing, Position};
pub use catalogue::{CATALOGUE, FieldId, FieldKind, FieldSpec, field, field_by_name};
pub use event::{Event, EventClass, Issue, IssueKind, LogSource};
pub use finding::{FieldMatch, Finding, RuleInfo};
pub use id::{AgentId, BatchId, EventHash, EventId, FindingId, IdError, RuleHash, RuleId};
pub use level::{Level, UnknownLevel};
pub use proof::{Compared, ConditionPart, Explained, Explanation, Proof};
pub use time::{TimeRange, Timestamp};
pub use units::{ByteSize, ByteSizeError};
pub use value::Value;
