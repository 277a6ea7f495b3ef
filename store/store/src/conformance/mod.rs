//! What every event store must do, as cases that can be run against any of them.
//!
//! ```ignore
//! #[tokio::test]
//! async fn embedded_store_conforms() {
//!     canh_store::conformance::run(async || open_in_a_new_directory()).await;
//! }
//! ```

mod cases;
pub mod generate;
mod hunts;
mod paging;

use std::sync::Arc;
use std::time::Duration;

use canh_schema::{Event, EventBatch, TimeRange};

use crate::hunt::Hunt;
use crate::request::{Filter, Limit, Outcome, PageKey, SearchRequest};
use crate::{EventStore, MemoryStore};

/// Runs every case, each with an empty store of its own. Panics at the first promise that is broken.
pub async fn run<S: EventStore>(factory: impl AsyncFn() -> S) {
    cases::an_empty_store_answers(&factory().await).await;
    cases::events_come_back_as_they_were(&factory().await).await;
    cases::replaying_changes_nothing(&factory().await).await;
    cases::the_cursor_follows_commits(&factory().await).await;
    cases::hostile_events_are_kept(&factory().await).await;
    cases::ten_thousand_names_are_found(&factory().await).await;
    cases::only_what_is_old_expires(&factory().await).await;
    cases::a_dropped_search_does_no_harm(&factory().await).await;
    cases::no_time_at_all_gives_no_wrong_answer(&factory().await).await;
    paging::pages_are_complete_and_in_order(&factory().await).await;
    paging::ranges_begin_with_their_start_and_end_before_their_end(&factory().await).await;
    hunts::hunts_find_what_the_evaluator_finds(&factory().await).await;
    hunts::histograms_add_up(&factory().await).await;
    hunts::values_are_counted(&factory().await).await;
    hunts::fields_are_counted(&factory().await).await;
}

/// Appends all batches, commits after each third, and at the end.
async fn fill<S: EventStore>(store: &S, batches: &[EventBatch]) {
    for (n, batch) in batches.iter().enumerate() {
        store.append(Arc::new(batch.clone())).await.expect("append");
        if n % 3 == 2 {
            store.commit().await.expect("commit");
        }
    }
    store.commit().await.expect("commit");
}

/// The same in memory, as the measure.
async fn reference(batches: &[EventBatch]) -> MemoryStore {
    let memory = MemoryStore::new();
    fill(&memory, batches).await;
    memory
}

/// All events of the batches, newest first.
fn sorted(batches: &[EventBatch]) -> Vec<Event> {
    let mut events: Vec<Event> = batches.iter().flat_map(|batch| batch.events.clone()).collect();
    events.sort_by_key(|event| std::cmp::Reverse(PageKey::of(event)));
    events
}

fn hunt(text: &str) -> Hunt {
    Hunt::parse(text).unwrap_or_else(|error| panic!("hunt {text}: {error}"))
}

fn filter(text: &str) -> Filter {
    Filter::new(hunt(text), TimeRange::ALL).within(Duration::from_secs(600))
}

fn limit(count: u32) -> Limit {
    Limit::new(count).expect("limit")
}

/// All pages of a search, one after the other.
async fn all_pages<S: EventStore>(store: &S, filter: &Filter, page: u32) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    let mut before = None;
    loop {
        let request = SearchRequest { filter: filter.clone(), limit: limit(page), before };
        let found = store.search(request).await.expect("search");
        assert_eq!(found.outcome, Outcome::Complete, "hunt {}", filter.hunt);
        assert!(found.events.len() <= page as usize, "more events than asked for");
        assert!(found.next.is_none() || !found.events.is_empty(), "an empty page leads to another one");
        events.extend(found.events);
        match found.next {
            Some(next) => before = Some(next),
            None => return events,
        }
    }
}
