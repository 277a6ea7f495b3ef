//! The seam to wherever events are kept.

use std::sync::Arc;

use async_trait::async_trait;
use canh_schema::{Event, EventBatch, EventId, Position, Timestamp};

use crate::StoreError;
use crate::request::{
    FieldCounts, FieldCountsRequest, Histogram, HistogramRequest, Removed, SearchPage, SearchRequest, StoreStats,
    TopValues, TopValuesRequest,
};

/// Where events are kept. Every backend passes [`conformance::run`](crate::conformance::run).
///
/// One worker appends and commits; any number of readers search at the same time. A reader that loses interest drops
/// the future, and the work behind it stops soon after.
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// Adds a batch. Positions come in ascending order, gaps are allowed. A batch whose position is not above what was
    /// appended before changes nothing, so that a journal can be replayed from anywhere.
    ///
    /// # Errors
    ///
    /// [`StoreError::Retry`]: nothing after its `cursor` is kept; append again from the journal after that position.
    async fn append(&self, batch: Arc<EventBatch>) -> Result<(), StoreError>;

    /// Makes all that was appended durable and visible to searches, and returns the new [`cursor`](Self::cursor).
    ///
    /// # Errors
    ///
    /// As for [`append`](Self::append).
    async fn commit(&self) -> Result<Position, StoreError>;

    /// Everything up to this position, and that included, is durable. After a crash, append from the journal after it.
    /// It goes back when a damaged part of the store was put aside, so that the journal can fill the gap.
    fn cursor(&self) -> Position;

    /// Committed events that match, newest first, equal times by descending id. `SearchPage::next` leads through all
    /// of them without a gap or a repetition.
    async fn search(&self, request: SearchRequest) -> Result<SearchPage, StoreError>;

    /// Matching events per slice of time.
    ///
    /// # Errors
    ///
    /// [`StoreError::BadRequest`] for a width of zero or more than [`HistogramRequest::BUCKETS_MAX`] slices.
    async fn histogram(&self, request: HistogramRequest) -> Result<Histogram, StoreError>;

    /// The commonest values of a field among the events that match.
    async fn top_values(&self, request: TopValuesRequest) -> Result<TopValues, StoreError>;

    /// Which fields occur in the newest events that match.
    async fn field_counts(&self, request: FieldCountsRequest) -> Result<FieldCounts, StoreError>;

    /// One event by its id.
    async fn get(&self, id: EventId) -> Result<Option<Event>, StoreError>;

    /// Removes what both happened and was received before `cutoff`. Whole partitions go at a time, so that events up to
    /// one partition older than `cutoff` may stay a while; nothing newer is ever removed.
    async fn expire(&self, cutoff: Timestamp) -> Result<Removed, StoreError>;

    async fn stats(&self) -> Result<StoreStats, StoreError>;
}
