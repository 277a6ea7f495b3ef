//! Promises about writing, replaying, odd events and retention.

use std::sync::Arc;
use std::time::Duration;

use canh_schema::{BatchId, Event, EventBatch, EventId, Position, TimeRange, Timestamp, Value, field};

use super::generate::{START, batches};
use super::{all_pages, fill, filter, limit, sorted};
use crate::EventStore;
use crate::request::{
    FieldCountsRequest, Filter, HistogramRequest, Outcome, Removed, SearchRequest, StoreStats, TopValuesRequest,
};
use crate::{FieldRef, Hunt};

pub(super) async fn an_empty_store_answers<S: EventStore>(store: &S) {
    assert_eq!(store.cursor(), Position::START);
    assert_eq!(store.commit().await.expect("commit"), Position::START);
    assert_eq!(all_pages(store, &filter("*"), 10).await, Vec::new());
    assert_eq!(store.get(EventId::from_bytes([1; 16])).await.expect("get"), None);
    let top = TopValuesRequest { filter: filter("*"), field: FieldRef::named("user.name"), limit: limit(10) };
    let top = store.top_values(top).await.expect("top values");
    assert_eq!((top.values.len(), top.with_field, top.total), (0, 0, 0));
    let counts = FieldCountsRequest { filter: filter("*"), sample: limit(10) };
    assert_eq!(store.field_counts(counts).await.expect("field counts").sampled, 0);
    let range = TimeRange { start: START, end: START + Duration::from_secs(60) };
    let request = HistogramRequest { filter: Filter::new(Hunt::all(), range), width: Duration::from_secs(10) };
    let histogram = store.histogram(request).await.expect("histogram");
    assert_eq!((histogram.buckets.len(), histogram.total), (6, 0));
    assert_eq!(store.expire(Timestamp::MAX).await.expect("expire"), Removed::default());
    let stats = store.stats().await.expect("stats");
    assert_eq!((stats.events, stats.oldest, stats.newest, stats.damaged), (0, None, None, 0));
}

pub(super) async fn events_come_back_as_they_were<S: EventStore>(store: &S) {
    let batches = batches(1, 8, 30);
    fill(store, &batches).await;
    let expected = sorted(&batches);
    assert_eq!(all_pages(store, &filter("*"), 1_000).await, expected);
    for event in expected.iter().step_by(7) {
        assert_eq!(store.get(event.id).await.expect("get").as_ref(), Some(event));
    }
    assert_eq!(store.get(EventId::from_bytes([9; 16])).await.expect("get"), None);
    let stats = store.stats().await.expect("stats");
    assert_eq!(stats.events, expected.len() as u64);
    assert_eq!(stats.newest, expected.first().map(|event| event.time));
    assert_eq!(stats.oldest, expected.last().map(|event| event.time));
}

pub(super) async fn replaying_changes_nothing<S: EventStore>(store: &S) {
    let batches = batches(2, 6, 20);
    for batch in &batches[..4] {
        store.append(Arc::new(batch.clone())).await.expect("append");
        store.append(Arc::new(batch.clone())).await.expect("append again");
    }
    store.append(Arc::new(batches[1].clone())).await.expect("append an older one");
    store.commit().await.expect("commit");
    fill(store, &batches).await;
    fill(store, &batches[2..5]).await;
    assert_eq!(all_pages(store, &filter("*"), 1_000).await, sorted(&batches));
}

pub(super) async fn the_cursor_follows_commits<S: EventStore>(store: &S) {
    let mut batches = batches(3, 3, 5);
    batches[1].position = Position::new(10); // gaps are allowed
    batches[2].position = Position::new(11);
    batches[2].events.clear(); // and empty batches
    store.append(Arc::new(batches[0].clone())).await.expect("append");
    assert_eq!(store.cursor(), Position::START);
    assert_eq!(store.commit().await.expect("commit"), Position::new(1));
    store.append(Arc::new(batches[1].clone())).await.expect("append");
    assert_eq!(store.commit().await.expect("commit"), Position::new(10));
    assert_eq!(store.commit().await.expect("commit"), Position::new(10));
    store.append(Arc::new(batches[2].clone())).await.expect("append");
    assert_eq!(store.commit().await.expect("commit"), Position::new(11));
    assert_eq!(store.cursor(), Position::new(11));
}

/// One event per value, each with the value as field, attribute and raw text.
fn events_of(values: &[String]) -> EventBatch {
    let batch = BatchId::from_journal(7, 1);
    let events = (0..).zip(values).map(|(n, value)| {
        let mut event = Event::new(
            EventId::new(batch, n),
            START + Duration::from_secs(n.into()),
            value.clone().into_bytes().into(),
        );
        event.set(field::USER_NAME, value.as_str());
        event.set(field::URL_ORIGINAL, value.as_str());
        event.set(field::MESSAGE, value.as_str());
        event.attrs.push((value.as_str().into(), value.as_str().into()));
        event
    });
    EventBatch::new(Position::new(1), events.collect())
}

pub(super) async fn hostile_events_are_kept<S: EventStore>(store: &S) {
    let values = [
        String::new(),
        "\0".to_owned(),
        "a\0b\u{1}\u{feff}\u{202e}c".to_owned(),
        "\r\n\t".to_owned(),
        "x".repeat(70_000),
        format!("{} needle {}", "word ".repeat(100_000), "y".repeat(600_000)),
        "\u{1f600}".repeat(20_000),
        "e\u{301}".repeat(5_000),
        "((((\"\\/*?[]{}".to_owned(),
    ];
    let mut batch = events_of(&values);
    let deep = (0..40).fold(Value::Integer(1), |inner, _| Value::List(vec![inner]));
    let mut odd = Event::new(EventId::new(BatchId::from_journal(7, 1), 99), START, vec![0xff, 0xfe, 0x00, b'a'].into());
    odd.attrs.push(("many".into(), Value::List((0..5_000).map(Value::Integer).collect())));
    odd.set(field::METRIC_VALUE, f64::INFINITY);
    odd.set(field::SOURCE_PORT, i64::MIN);
    odd.time = Timestamp::MIN;
    batch.events.push(odd.clone());
    let mut late = odd.clone();
    late.id = EventId::new(BatchId::from_journal(7, 1), 100);
    // The very last nanosecond lies in no range.
    late.time = Timestamp::from_nanos(i64::MAX - 1);
    batch.events.push(late);
    fill(store, std::slice::from_ref(&batch)).await;
    // What is nested deeper than decoders allow may be cut, so it only must not do harm.
    let mut nested = Event::new(EventId::new(BatchId::from_journal(7, 2), 1), START, Vec::new().into());
    nested.attrs.push(("deep".into(), deep));
    fill(store, &[EventBatch::new(Position::new(2), vec![nested.clone()])]).await;
    assert!(store.get(nested.id).await.expect("get").is_some());

    let kept = all_pages(store, &filter("NOT deep:* NOT category:x"), 100).await;
    let kept: Vec<Event> = kept.into_iter().filter(|event| event.id != nested.id).collect();
    assert!(kept == sorted(&[batch.clone()]), "hostile events came back different");
    for text in [
        "needle",
        "yyy*",
        "x*",
        "user.name:xxx*",
        "url.original:*needle*",
        "user.name:*",
        "many:4999",
        "source.port:<0",
        "e*",
    ] {
        let found = all_pages(store, &filter(text), 100).await;
        let expected: Vec<Event> =
            sorted(&[batch.clone()]).into_iter().filter(|event| super::hunt(text).matches(event)).collect();
        assert!(found == expected, "hunt {text}: {} found, {} expected", found.len(), expected.len());
    }
    for value in values.iter().filter(|value| value.len() < 8_000) {
        let name = value.replace('\\', "\\\\").replace('"', "\\\"");
        let found = all_pages(store, &filter(&format!("user.name:\"{name}\"")), 100).await;
        assert_eq!(found.len(), 1, "value {value:?}");
        let found = all_pages(store, &filter(&format!("\"attrs.{name}\":*")), 100).await;
        assert!(found.len() <= batch.events.len());
    }
}

pub(super) async fn ten_thousand_names_are_found<S: EventStore>(store: &S) {
    let batch = BatchId::from_journal(8, 1);
    let events = (0..100_u32).map(|n| {
        let mut event = Event::new(EventId::new(batch, n), START, format!("event {n}").into_bytes().into());
        let names = (0..100).map(|m| (format!("name.{}", n * 100 + m).into(), Value::Integer(m.into())));
        event.attrs.extend(names);
        event
    });
    fill(store, &[EventBatch::new(Position::new(1), events.collect())]).await;
    for (name, expected) in [("name.0", 1), ("name.9999", 1), ("name.10000", 0), ("name.999", 1)] {
        assert_eq!(all_pages(store, &filter(&format!("{name}:*")), 10).await.len(), expected, "{name}");
    }
    assert_eq!(all_pages(store, &filter("name.4250:50"), 10).await.len(), 1);
    assert_eq!(all_pages(store, &filter("name.4250:51"), 10).await.len(), 0);
}

pub(super) async fn only_what_is_old_expires<S: EventStore>(store: &S) {
    let day = |n: u64| START + Duration::from_secs(n * 86_400);
    let batch = BatchId::from_journal(9, 1);
    let mut events = Vec::new();
    for n in 0..80_u32 {
        let at = day(u64::from(n) / 8) + Duration::from_secs(u64::from(n) % 8 * 10_000);
        let mut event = Event::new(EventId::new(batch, n), at + Duration::from_secs(1), b"x".to_vec().into());
        event.time = at;
        events.push(event);
    }
    // An old event that came in late is as young as its receipt.
    let mut late = Event::new(EventId::new(batch, 1_000), day(9), b"late".to_vec().into());
    late.time = Timestamp::from_secs(5);
    events.push(late.clone());
    fill(store, &[EventBatch::new(Position::new(1), events.clone())]).await;
    let cutoff = day(6);
    let removed = store.expire(cutoff).await.expect("expire");
    let left = all_pages(store, &filter("*"), 1_000).await;
    for event in &events {
        let kept = left.contains(event);
        if event.time >= cutoff || event.received >= cutoff {
            assert!(kept, "event of {} is gone, cutoff {cutoff}", event.time);
        } else if event.time < day(5) {
            assert!(!kept, "event of {} is still there, cutoff {cutoff}", event.time);
        }
    }
    assert!(left.contains(&late));
    assert_eq!(removed.events + left.len() as u64, events.len() as u64);
    assert_eq!(store.stats().await.expect("stats").events, left.len() as u64);
    // The same time again is written where it was.
    let again = Event { id: EventId::new(BatchId::from_journal(9, 2), 1), ..events[0].clone() };
    fill(store, &[EventBatch::new(Position::new(2), vec![again.clone()])]).await;
    assert_eq!(store.get(again.id).await.expect("get"), Some(again));
    store.expire(Timestamp::MAX).await.expect("expire");
    let StoreStats { events, oldest, .. } = store.stats().await.expect("stats");
    assert_eq!((events, oldest), (0, None));
}

pub(super) async fn a_dropped_search_does_no_harm<S: EventStore>(store: &S) {
    let batches = batches(10, 4, 50);
    fill(store, &batches).await;
    for _ in 0..100 {
        let search = store.search(SearchRequest { filter: filter("/./"), limit: limit(10), before: None });
        // Polled once at most, then let go.
        tokio::select! {
            biased;
            _ = search => (),
            () = std::future::ready(()) => (),
        }
    }
    assert_eq!(all_pages(store, &filter("*"), 1_000).await, sorted(&batches));
}

pub(super) async fn no_time_at_all_gives_no_wrong_answer<S: EventStore>(store: &S) {
    let batches = batches(11, 4, 50);
    fill(store, &batches).await;
    let all = sorted(&batches);
    for text in ["*", "/a/", "failed"] {
        let filter = filter(text).within(Duration::ZERO);
        let request = SearchRequest { filter: filter.clone(), limit: limit(1_000), before: None };
        let Ok(found) = store.search(request).await else { continue };
        let expected: Vec<&Event> = all.iter().filter(|event| filter.hunt.matches(event)).collect();
        let begin: Vec<&Event> = found.events.iter().collect();
        assert_eq!(begin, expected[..begin.len()], "hunt {text}");
        assert!(found.outcome == Outcome::Deadline || begin.len() == expected.len(), "hunt {text}");
    }
}
