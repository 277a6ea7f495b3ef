//! Reads what callers ask for: ranges, limits and hunts.

use std::time::Duration;

use canh_messages::Key;
use canh_schema::{TimeRange, Timestamp};
use canh_store::StoreError;
use canh_store::hunt::{Hunt, HuntError};
use http::StatusCode;

use crate::error::ApiError;
use crate::view::Time;

/// A parameter that is well-formed and makes no sense.
pub(crate) fn parameter(name: &'static str) -> ApiError {
    let expected = match name {
        "before" => "`next` of the page before",
        "id" => "an id as the API gives it",
        "limit" | "buckets" => "a number in the range that the API description gives",
        "field" => "the name of a field, at most 512 bytes",
        "note" => "at most 4000 characters",
        "reason" => "a reason only when the alert is closed",
        _ => "another value",
    };
    ApiError::new(StatusCode::BAD_REQUEST, Key::ParameterInvalid)
        .with("name", name)
        .with("expected", expected)
        .with_details(|details| details.name = Some(name.to_owned()))
}

pub(crate) fn limit(wanted: Option<u32>, default: u32, max: u32) -> Result<u32, ApiError> {
    bounded("limit", wanted, default, max)
}

/// A number from 1 to `max`.
pub(crate) fn bounded(name: &'static str, wanted: Option<u32>, default: u32, max: u32) -> Result<u32, ApiError> {
    let value = wanted.unwrap_or(default);
    if (1..=max).contains(&value) { Ok(value) } else { Err(parameter(name)) }
}

/// The range that is meant. Without an end it ends now; without a start it is as long as `default`.
pub(crate) fn range(
    from: Option<Time>,
    to: Option<Time>,
    default: Duration,
    now: Timestamp,
) -> Result<TimeRange, ApiError> {
    let end = to.map_or(now, |to| to.0);
    let start = from.map_or(end.saturating_sub(default), |from| from.0);
    let range = TimeRange { start, end };
    if range.is_empty() { Err(ApiError::new(StatusCode::BAD_REQUEST, Key::RangeEmpty)) } else { Ok(range) }
}

/// Understands a hunt.
pub(crate) fn hunt(text: &str) -> Result<Hunt, ApiError> {
    Hunt::parse(text).map_err(|error| misunderstood(&error))
}

fn misunderstood(error: &HuntError) -> ApiError {
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    ApiError::new(StatusCode::BAD_REQUEST, Key::QueryInvalid)
        .with("column", error.column)
        .with("problem", &error.message)
        .with_details(|details| {
            details.column = Some(small(error.column));
            details.length = Some(small(error.len));
            details.suggestion.clone_from(&error.suggestion);
        })
}

/// Waits for the store, but not for ever. Stores keep deadlines of their own; this is the last resort.
pub(crate) async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, ApiError> {
    match tokio::time::timeout(deadline + deadline / 10, work).await {
        Ok(done) => Ok(done?),
        Err(_) => {
            Err(ApiError::new(StatusCode::GATEWAY_TIMEOUT, Key::QueryTimeout).with("seconds", deadline.as_secs()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_range(from: Option<i64>, to: Option<i64>, expected: Option<(i64, i64)>) {
        let at = |secs: i64| Time(Timestamp::from_secs(secs));
        let range = range(from.map(at), to.map(at), Duration::from_secs(60), Timestamp::from_secs(1_000));
        assert_eq!(range.ok().map(|range| (range.start.secs(), range.end.secs())), expected);
    }

    #[test]
    fn ranges() {
        check_range(None, None, Some((940, 1_000)));
        check_range(Some(10), None, Some((10, 1_000)));
        check_range(None, Some(500), Some((440, 500)));
        check_range(Some(10), Some(20), Some((10, 20)));
        check_range(Some(20), Some(20), None);
        check_range(Some(2_000), None, None);
    }

    #[tokio::test]
    async fn a_store_that_never_answers_is_a_timeout() {
        let never = std::future::pending::<Result<(), StoreError>>();
        let error = within(Duration::ZERO, never).await.expect_err("time out");
        assert_eq!((error.status, error.key), (StatusCode::GATEWAY_TIMEOUT, Key::QueryTimeout));
    }
}
