//! Where events and state are kept: the seams, the hunt language, a backend in memory, and the suite that every backend
//! passes. No files and no engine here; those are in `canh-store-embedded` and its neighbours.

pub mod codec;
pub mod conformance;
mod error;
mod event_store;
mod field;
pub mod hunt;
mod memory;
mod request;
pub mod state;
pub mod tally;
pub mod tokens;

pub use error::StoreError;
pub use event_store::EventStore;
pub use field::{FieldRef, Pseudo};
pub use hunt::{Hunt, HuntError};
pub use memory::MemoryStore;
pub use request::{
    Bucket, BucketLayout, FieldCount, FieldCounts, FieldCountsRequest, Filter, Histogram, HistogramRequest, Limit,
    Outcome, PageKey, PageKeyError, Removed, SearchPage, SearchRequest, StoreStats, TopValues, TopValuesRequest,
    VALUE_LEN_MAX, ValueCount,
};
