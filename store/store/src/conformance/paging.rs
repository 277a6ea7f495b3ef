//! Promises about order, pages and ranges.

use std::time::Duration;

use canh_schema::{Event, EventId, TimeRange, Timestamp};

use super::generate::{START, batches};
use super::{all_pages, fill, filter, limit, sorted};
use crate::EventStore;
use crate::request::{Filter, PageKey, SearchRequest};

pub(super) async fn pages_are_complete_and_in_order<S: EventStore>(store: &S) {
    let mut batches = batches(20, 7, 40);
    // Five points in time for all of them.
    for (n, event) in batches.iter_mut().flat_map(|batch| &mut batch.events).enumerate() {
        event.time = START + Duration::from_secs(n as u64 % 5);
        event.received = event.time;
    }
    fill(store, &batches).await;
    let expected = sorted(&batches);
    for page in [1, 7, 50, 1_000] {
        assert_eq!(all_pages(store, &filter("*"), page).await, expected, "pages of {page}");
    }
    let some: Vec<Event> = expected.iter().filter(|event| super::hunt("/root/").matches(event)).cloned().collect();
    assert_eq!(all_pages(store, &filter("/root/"), 3).await, some);
    // A key that no event has.
    let between = PageKey { time: START + Duration::from_secs(2), id: EventId::from_bytes([0; 16]) };
    let request = SearchRequest { filter: filter("*"), limit: limit(1_000), before: Some(between) };
    let found = store.search(request).await.expect("search");
    let older: Vec<Event> = expected.iter().filter(|event| event.time < between.time).cloned().collect();
    assert_eq!((found.events, found.next), (older, None));
}

pub(super) async fn ranges_begin_with_their_start_and_end_before_their_end<S: EventStore>(store: &S) {
    let batches = batches(21, 5, 40);
    fill(store, &batches).await;
    let all = sorted(&batches);
    let times: Vec<Timestamp> = all.iter().map(|event| event.time).collect();
    let (newest, oldest, middle) = (times[0], times[times.len() - 1], times[times.len() / 2]);
    let after = newest + Duration::from_nanos(1);
    for (start, end) in [
        (oldest, newest),
        (oldest, after),
        (middle, middle),
        (middle, after),
        (newest, oldest),
        (Timestamp::MIN, middle),
    ] {
        for text in ["*", "root", "/o/"] {
            let range = TimeRange { start, end };
            let filter = Filter { range, ..filter(text) };
            let matches = |event: &&Event| range.contains(event.time) && filter.hunt.matches(event);
            let expected: Vec<Event> = all.iter().filter(matches).cloned().collect();
            assert_eq!(all_pages(store, &filter, 13).await, expected, "hunt {text} from {start} to {end}");
        }
    }
}
