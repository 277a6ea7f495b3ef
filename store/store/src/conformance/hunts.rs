//! Promises about what hunts find and how it is counted.

use std::time::Duration;

use canh_schema::{Event, TimeRange};

use super::generate::{START, batches, hunts};
use super::{all_pages, fill, filter, hunt, limit, reference, sorted};
use crate::request::{FieldCountsRequest, Filter, HistogramRequest, Outcome, TopValuesRequest};
use crate::{EventStore, FieldRef, StoreError};

pub(super) async fn hunts_find_what_the_evaluator_finds<S: EventStore>(store: &S) {
    let batches = batches(30, 12, 60);
    fill(store, &batches).await;
    let all = sorted(&batches);
    let mut hits = 0;
    for text in hunts(31, 250) {
        let hunt = hunt(&text);
        let expected: Vec<&Event> = all.iter().filter(|event| hunt.matches(event)).collect();
        let found = all_pages(store, &filter(&text), 1_000).await;
        let wrong = found.iter().find(|event| !expected.contains(event));
        let missing = expected.iter().find(|event| !found.contains(event));
        assert!(wrong.is_none(), "hunt {text} must not find {wrong:#?}");
        assert!(missing.is_none(), "hunt {text} must find {missing:#?}");
        assert!(found.iter().eq(expected.iter().copied()), "hunt {text}: wrong order");
        hits += usize::from(!found.is_empty() && found.len() < all.len());
    }
    assert!(hits > 100, "the hunts say too little: {hits}");
}

pub(super) async fn histograms_add_up<S: EventStore>(store: &S) {
    let batches = batches(32, 6, 50);
    fill(store, &batches).await;
    let memory = reference(&batches).await;
    let range = TimeRange { start: START + Duration::from_secs(1_777), end: START + Duration::from_secs(40 * 3_600) };
    for text in ["*", "failed", "/root/", "user.name:*", "NOT class:flow"] {
        for width in [1_800, 3_600, 7_777] {
            let filter = Filter { range, ..filter(text) };
            let request = HistogramRequest { filter: filter.clone(), width: Duration::from_secs(width) };
            let found = store.histogram(request.clone()).await.expect("histogram");
            assert_eq!(found, memory.histogram(request).await.expect("histogram"), "hunt {text}, width {width}");
            assert_eq!(found.buckets.iter().map(|bucket| bucket.count).sum::<u64>(), found.total);
            assert_eq!(found.total, all_pages(store, &filter, 1_000).await.len() as u64);
        }
    }
    let filter = Filter { range, ..filter("*") };
    for width in [Duration::ZERO, Duration::from_millis(1)] {
        let refused = store.histogram(HistogramRequest { filter: filter.clone(), width }).await;
        assert!(matches!(refused, Err(StoreError::BadRequest { .. })), "width {width:?}");
    }
}

pub(super) async fn values_are_counted<S: EventStore>(store: &S) {
    let batches = batches(33, 6, 50);
    fill(store, &batches).await;
    let memory = reference(&batches).await;
    let fields = [
        "user.name",
        "source.ip",
        "destination.port",
        "canh.metric.value",
        "event.start",
        "event.category",
        "process.executable",
        "process.command_line",
        "message",
        "class",
        "product",
        "service",
        "category",
        "issue",
        "@timestamp",
        "id.orig_h",
        "odd name:(x)",
        "dup",
        "attrs.service",
        "nowhere",
    ];
    for name in fields {
        for text in ["*", "failed", "/root/", "class:log user.name:*"] {
            let request = TopValuesRequest { filter: filter(text), field: FieldRef::named(name), limit: limit(5) };
            let found = store.top_values(request.clone()).await.expect("top values");
            assert_eq!(found, memory.top_values(request).await.expect("top values"), "field {name}, hunt {text}");
            assert_eq!(found.outcome, Outcome::Complete);
        }
    }
}

pub(super) async fn fields_are_counted<S: EventStore>(store: &S) {
    let batches = batches(34, 6, 50);
    fill(store, &batches).await;
    let memory = reference(&batches).await;
    for text in ["*", "failed", "/root/"] {
        for sample in [1, 20, 10_000] {
            let request = FieldCountsRequest { filter: filter(text), sample: limit(sample) };
            let found = store.field_counts(request.clone()).await.expect("field counts");
            assert_eq!(
                found,
                memory.field_counts(request).await.expect("field counts"),
                "hunt {text}, sample {sample}"
            );
        }
    }
}
