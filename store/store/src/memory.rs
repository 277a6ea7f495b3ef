//! A backend in memory: small, exact, and the measure for the others. For tests and for a try without a disk; it keeps
//! everything until [`expire`](EventStore::expire) and knows no limit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use canh_schema::{Event, EventBatch, EventId, Position, Timestamp};
use parking_lot::Mutex;

use crate::codec;
use crate::request::{
    FieldCounts, FieldCountsRequest, Filter, Histogram, HistogramRequest, Outcome, PageKey, Removed, SearchPage,
    SearchRequest, StoreStats, TopValues, TopValuesRequest,
};
use crate::tally::{ValueTally, field_counts};
use crate::{EventStore, StoreError};

#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    events: BTreeMap<PageKey, Arc<Event>>,
    by_id: HashMap<EventId, PageKey>,
    bytes: u64,
    /// Appended, not committed.
    waiting: Vec<Arc<EventBatch>>,
    appended: Position,
    cursor: Position,
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    /// What matches, newest first.
    fn select(&self, filter: &Filter, before: Option<PageKey>, limit: usize) -> Vec<Arc<Event>> {
        let state = self.state.lock();
        let matching = state.events.iter().rev();
        matching
            .filter(|(key, _)| before.is_none_or(|before| **key < before) && filter.range.contains(key.time))
            .filter(|(_, event)| filter.hunt.matches(event))
            .take(limit)
            .map(|(_, event)| event.clone())
            .collect()
    }
}

fn encoded_len(event: &Event) -> u64 {
    let mut bytes = Vec::new();
    codec::encode(event, &mut bytes);
    bytes.len() as u64
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn append(&self, batch: Arc<EventBatch>) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if batch.position > state.appended {
            state.appended = batch.position;
            state.waiting.push(batch);
        }
        Ok(())
    }

    async fn commit(&self) -> Result<Position, StoreError> {
        let mut state = self.state.lock();
        for batch in std::mem::take(&mut state.waiting) {
            for event in &batch.events {
                if state.by_id.contains_key(&event.id) {
                    continue;
                }
                let key = PageKey::of(event);
                state.bytes += encoded_len(event);
                state.by_id.insert(event.id, key);
                state.events.insert(key, Arc::new(event.clone()));
            }
        }
        state.cursor = state.appended;
        Ok(state.cursor)
    }

    fn cursor(&self) -> Position {
        self.state.lock().cursor
    }

    async fn search(&self, request: SearchRequest) -> Result<SearchPage, StoreError> {
        let limit = request.limit.get();
        let mut found = self.select(&request.filter, request.before, limit + 1);
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|event| PageKey::of(event));
        Ok(SearchPage {
            events: found.iter().map(|event| Event::clone(event)).collect(),
            next,
            outcome: Outcome::Complete,
        })
    }

    async fn histogram(&self, request: HistogramRequest) -> Result<Histogram, StoreError> {
        let layout = request.layout()?;
        let mut counts = vec![0; layout.count];
        for event in self.select(&request.filter, None, usize::MAX) {
            if let Some(count) = layout.index(event.time.nanos()).and_then(|index| counts.get_mut(index)) {
                *count += 1;
            }
        }
        let buckets = layout.fill(&counts);
        Ok(Histogram { width: request.width, buckets, total: counts.iter().sum(), outcome: Outcome::Complete })
    }

    async fn top_values(&self, request: TopValuesRequest) -> Result<TopValues, StoreError> {
        let mut tally = ValueTally::new(request.field);
        for event in self.select(&request.filter, None, usize::MAX) {
            tally.add(&event);
        }
        Ok(tally.finish(request.limit.get(), Outcome::Complete))
    }

    async fn field_counts(&self, request: FieldCountsRequest) -> Result<FieldCounts, StoreError> {
        let sample = self.select(&request.filter, None, request.sample.get());
        Ok(field_counts(sample.iter().map(|event| &**event)))
    }

    async fn get(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        let state = self.state.lock();
        Ok(state.by_id.get(&id).and_then(|key| state.events.get(key)).map(|event| Event::clone(event)))
    }

    async fn expire(&self, cutoff: Timestamp) -> Result<Removed, StoreError> {
        let mut state = self.state.lock();
        let old = |event: &Event| event.time < cutoff && event.received < cutoff;
        let gone: Vec<PageKey> = state.events.iter().filter(|(_, event)| old(event)).map(|(key, _)| *key).collect();
        let mut removed = Removed::default();
        for key in gone {
            if let Some(event) = state.events.remove(&key) {
                state.by_id.remove(&key.id);
                let bytes = encoded_len(&event);
                state.bytes -= bytes;
                removed.events += 1;
                removed.bytes += bytes;
            }
        }
        Ok(removed)
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        let state = self.state.lock();
        Ok(StoreStats {
            events: state.events.len() as u64,
            bytes: state.bytes,
            partitions: 1,
            damaged: 0,
            oldest: state.events.first_key_value().map(|(key, _)| key.time),
            newest: state.events.last_key_value().map(|(key, _)| key.time),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_store_conforms() {
        crate::conformance::run(async || MemoryStore::new()).await;
    }
}
