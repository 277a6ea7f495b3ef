//! What is asked of an event store, and what it answers. Plain values; the API has types of its own.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use canh_schema::{Event, EventId, TimeRange, Timestamp};
use compact_str::CompactString;

use crate::StoreError;
use crate::field::FieldRef;
use crate::hunt::Hunt;

/// Which events are meant, and how long may be spent on them.
#[derive(Clone, Debug)]
pub struct Filter {
    pub hunt: Hunt,
    /// By the time of the event, not of receipt.
    pub range: TimeRange,
    /// The longest time to work on the answer. What is left out then is told by [`Outcome`].
    pub deadline: Duration,
}

impl Filter {
    pub const DEADLINE: Duration = Duration::from_secs(30);

    pub fn new(hunt: Hunt, range: TimeRange) -> Self {
        Self { hunt, range, deadline: Self::DEADLINE }
    }

    /// Every event there is.
    pub fn all() -> Self {
        Self::new(Hunt::all(), TimeRange::ALL)
    }

    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

/// Whether an answer covers all that was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Complete,
    /// The deadline came first. What is there is right, and is the newest part.
    Deadline,
    /// Only the newest events that match were looked at, because the field has no column. Counts are of those.
    Sampled {
        events: u64,
    },
}

/// How many events at most. Between 1 and [`Limit::MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Limit(NonZeroU32);

impl Limit {
    pub const MAX: u32 = 10_000;

    pub fn new(count: u32) -> Result<Self, StoreError> {
        NonZeroU32::new(count).filter(|count| count.get() <= Self::MAX).map(Self).ok_or_else(|| {
            StoreError::bad_request(format!("limit `{count}` is out of range; ask for 1 to {}", Self::MAX))
        })
    }

    pub const fn get(self) -> usize {
        self.0.get() as usize
    }
}

/// A place in the order newest first: by time, and among equal times by id. Written `<nanoseconds>.<event id>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PageKey {
    pub time: Timestamp,
    pub id: EventId,
}

impl PageKey {
    pub fn of(event: &Event) -> Self {
        Self { time: event.time, id: event.id }
    }
}

impl fmt::Display for PageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.time.nanos(), self.id)
    }
}

/// A text that is no place in a list of events.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a page key; use the one that came with the page before")]
pub struct PageKeyError {
    pub text: String,
}

impl FromStr for PageKey {
    type Err = PageKeyError;

    fn from_str(text: &str) -> Result<Self, PageKeyError> {
        let read = || {
            let (time, id) = text.split_once('.')?;
            Some(Self { time: Timestamp::from_nanos(time.parse().ok()?), id: id.parse().ok()? })
        };
        read().ok_or_else(|| PageKeyError { text: text.chars().take(80).collect() })
    }
}

#[derive(Clone, Debug)]
pub struct SearchRequest {
    pub filter: Filter,
    pub limit: Limit,
    /// Only events that come after this place in the order newest first, which is to say older ones.
    pub before: Option<PageKey>,
}

#[derive(Clone, Debug)]
pub struct SearchPage {
    /// Newest first.
    pub events: Vec<Event>,
    /// Give this as `before` to get the next page; `None` when there is nothing older.
    pub next: Option<PageKey>,
    pub outcome: Outcome,
}

/// Events per slice of time. The slices are counted from 1970, so that they stay where they are when the range moves.
#[derive(Clone, Debug)]
pub struct HistogramRequest {
    pub filter: Filter,
    pub width: Duration,
}

impl HistogramRequest {
    /// Most slices in one answer.
    pub const BUCKETS_MAX: usize = 2_000;

    /// A round width that cuts the range into at most `count` slices.
    pub fn round_width(range: TimeRange, count: u32) -> Duration {
        const SECONDS: [u64; 22] = [
            1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800,
            604_800, 2_592_000, 31_536_000,
        ];
        let span = range.end.nanos().saturating_sub(range.start.nanos()).max(0).unsigned_abs();
        // One slice fewer, because the first and the last slice may stick out at both ends of the range.
        let least = span.div_ceil(u64::from(count.saturating_sub(1).max(1)));
        let round = SECONDS.iter().map(|seconds| seconds * 1_000_000_000).find(|width| *width >= least);
        Duration::from_nanos(round.unwrap_or(least))
    }

    /// The first slice's start, the width and the number of slices.
    pub fn layout(&self) -> Result<BucketLayout, StoreError> {
        let width = i64::try_from(self.width.as_nanos()).ok().filter(|width| *width > 0);
        let width = width.ok_or_else(|| StoreError::bad_request("the width of a histogram must be above zero"))?;
        let range = self.filter.range;
        if range.is_empty() {
            return Ok(BucketLayout { start: range.start, width, count: 0 });
        }
        let start = range.start.nanos().saturating_sub(range.start.nanos().rem_euclid(width));
        let span = i128::from(range.end.nanos()) - i128::from(start);
        let count = usize::try_from((span + i128::from(width) - 1) / i128::from(width)).unwrap_or(usize::MAX);
        if count > Self::BUCKETS_MAX {
            return Err(StoreError::bad_request(format!(
                "a histogram has at most {} slices; use a greater width or a shorter range",
                Self::BUCKETS_MAX
            )));
        }
        Ok(BucketLayout { start: Timestamp::from_nanos(start), width, count })
    }
}

/// Where the slices of a histogram lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BucketLayout {
    pub start: Timestamp,
    /// Nanoseconds.
    pub width: i64,
    pub count: usize,
}

impl BucketLayout {
    /// The slice of a point in time that lies in the range.
    pub fn index(&self, at: i64) -> Option<usize> {
        let index = (i128::from(at) - i128::from(self.start.nanos())).div_euclid(i128::from(self.width));
        usize::try_from(index).ok().filter(|index| *index < self.count)
    }

    pub fn fill(&self, counts: &[u64]) -> Vec<Bucket> {
        let start = |n: usize| self.start.nanos().saturating_add(self.width.saturating_mul(n as i64));
        counts
            .iter()
            .enumerate()
            .map(|(n, count)| Bucket { start: Timestamp::from_nanos(start(n)), count: *count })
            .collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bucket {
    pub start: Timestamp,
    pub count: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Histogram {
    pub width: Duration,
    /// Every slice of the range, empty ones too, in the order of time.
    pub buckets: Vec<Bucket>,
    /// Sum of the slices.
    pub total: u64,
    pub outcome: Outcome,
}

/// The commonest values of one field.
#[derive(Clone, Debug)]
pub struct TopValuesRequest {
    pub filter: Filter,
    pub field: FieldRef,
    pub limit: Limit,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopValues {
    /// Commonest first, equal counts by value.
    pub values: Vec<ValueCount>,
    /// Events that have the field at all.
    pub with_field: u64,
    /// Events that match, with the field or without.
    pub total: u64,
    pub outcome: Outcome,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValueCount {
    /// As people write it; cut after [`VALUE_LEN_MAX`] bytes.
    pub value: CompactString,
    /// Events that have this value. An event with several values counts for each of them.
    pub count: u64,
}

/// Longest value in a list of top values, in bytes.
pub const VALUE_LEN_MAX: usize = 256;

/// Which fields occur in the newest events that match.
#[derive(Clone, Debug)]
pub struct FieldCountsRequest {
    pub filter: Filter,
    /// Newest events to look at.
    pub sample: Limit,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldCounts {
    /// Events looked at.
    pub sampled: u64,
    /// Commonest first, equal counts by name.
    pub fields: Vec<FieldCount>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldCount {
    pub field: FieldRef,
    /// Events of the sample that have it.
    pub events: u64,
}

/// What [`expire`](crate::EventStore::expire) took away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Removed {
    pub events: u64,
    pub bytes: u64,
    pub partitions: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StoreStats {
    pub events: u64,
    /// On disk; in memory for a backend that has no disk.
    pub bytes: u64,
    pub partitions: u64,
    /// Partitions that could not be opened and were moved aside.
    pub damaged: u64,
    /// Time of the oldest event.
    pub oldest: Option<Timestamp>,
    /// Time of the newest event.
    pub newest: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_keys_are_read_back() {
        let key = PageKey { time: Timestamp::from_nanos(-5), id: EventId::from_bytes([3; 16]) };
        assert_eq!(key.to_string().parse(), Ok(key));
        for text in ["", ".", "5.", "5.zz", "x.00000000000000000000000000000000", "5"] {
            assert!(text.parse::<PageKey>().is_err(), "input: {text:?}");
        }
    }

    #[track_caller]
    fn check_layout(start: i64, end: i64, width: u64, expected: Option<(i64, usize)>) {
        let range = TimeRange { start: Timestamp::from_secs(start), end: Timestamp::from_secs(end) };
        let filter = Filter::new(Hunt::all(), range);
        let layout = HistogramRequest { filter, width: Duration::from_secs(width) }.layout().ok();
        assert_eq!(layout.map(|layout| (layout.start.secs(), layout.count)), expected);
    }

    #[test]
    fn histogram_layouts() {
        check_layout(0, 60, 10, Some((0, 6)));
        check_layout(5, 61, 10, Some((0, 7)));
        check_layout(-5, 5, 10, Some((-10, 2)));
        check_layout(60, 60, 10, Some((60, 0)));
        check_layout(0, 60, 0, None);
        check_layout(0, 1_000_000, 1, None);
    }

    #[test]
    fn round_widths_never_give_too_many_slices() {
        for hours in [1, 7, 24, 24 * 30, 24 * 400, 24 * 365 * 200] {
            let range =
                TimeRange { start: Timestamp::from_secs(1_777), end: Timestamp::from_secs(1_777 + hours * 3_600) };
            let width = HistogramRequest::round_width(range, 60);
            let layout = HistogramRequest { filter: Filter::new(Hunt::all(), range), width }.layout();
            assert!(layout.is_ok_and(|layout| layout.count <= 60), "{hours} h");
        }
    }
}
