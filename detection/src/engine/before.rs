//! What rules over what is usual remembered when they fed a correlation, so that the correlation's finding can be judged
//! again: its events alone do not say that they were unusual.

use std::collections::VecDeque;

use canh_schema::EventId;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::crossing::EventRef;

/// Bytes of states that are kept. When there are more, the oldest go: a finding over events so old says at
/// `canh alerts verify` that it cannot be judged again.
const BYTES_MAX: usize = 8 << 20;
/// A state that is longer is not kept.
const STATE_MAX: usize = 256 << 10;

/// The states of rules before events, oldest first.
#[derive(Debug, Default)]
pub(super) struct States {
    kept: VecDeque<State>,
    /// By event: numbers of states; the first of `kept` has the number `gone`.
    by_event: FxHashMap<EventId, SmallVec<[u64; 1]>>,
    gone: u64,
    bytes: usize,
}

#[derive(Debug)]
struct State {
    rule: u32,
    event: EventId,
    bytes: Box<[u8]>,
}

/// A state as findings and snapshots keep it.
#[derive(Serialize, Deserialize)]
pub(super) struct Saved<'a> {
    pub rule: &'a str,
    pub event: [u8; 16],
    pub bytes: &'a [u8],
}

impl States {
    /// The rule at this place among the engine's rules held for the event, and `bytes` is what it remembered before.
    pub(super) fn push(&mut self, rule: u32, event: EventId, bytes: &[u8]) {
        if bytes.len() > STATE_MAX {
            return;
        }
        self.bytes += bytes.len();
        let number = self.gone + self.kept.len() as u64;
        self.by_event.entry(event).or_default().push(number);
        self.kept.push_back(State { rule, event, bytes: bytes.into() });
        while self.bytes > BYTES_MAX {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.bytes -= oldest.bytes.len();
            if let Some(numbers) = self.by_event.get_mut(&oldest.event) {
                numbers.retain(|number| *number != self.gone);
                if numbers.is_empty() {
                    self.by_event.remove(&oldest.event);
                }
            }
            self.gone += 1;
        }
    }

    /// The states before these events as a finding keeps them; nothing if there are none. `id_of` knows the ids of rules.
    pub(super) fn of<'a>(&'a self, events: &[EventRef], id_of: impl Fn(u32) -> Option<&'a str>) -> Option<Box<[u8]>> {
        if self.kept.is_empty() {
            return None;
        }
        let numbers = events.iter().filter_map(|event| self.by_event.get(&event.id)).flatten();
        let states = numbers.filter_map(|number| self.kept.get(usize::try_from(number - self.gone).ok()?));
        let saved: Vec<Saved<'_>> = states.filter_map(|state| state.saved(&id_of)).collect();
        if saved.is_empty() { None } else { postcard::to_allocvec(&saved).ok().map(Vec::into_boxed_slice) }
    }

    /// All of them, for a snapshot.
    pub(super) fn all<'a>(&'a self, id_of: impl Fn(u32) -> Option<&'a str>) -> Vec<Saved<'a>> {
        self.kept.iter().filter_map(|state| state.saved(&id_of)).collect()
    }
}

impl State {
    fn saved<'a>(&'a self, id_of: impl Fn(u32) -> Option<&'a str>) -> Option<Saved<'a>> {
        Some(Saved { rule: id_of(self.rule)?, event: *self.event.as_bytes(), bytes: &self.bytes })
    }
}

/// States that rules are given just before they see the event again.
#[derive(Debug, Default)]
pub(super) struct Recalled(FxHashMap<EventId, Vec<(u32, Box<[u8]>)>>);

impl Recalled {
    pub(super) fn add(&mut self, rule: u32, event: EventId, bytes: &[u8]) {
        self.0.entry(event).or_default().push((rule, bytes.into()));
    }

    pub(super) fn take(&mut self, event: EventId) -> Vec<(u32, Box<[u8]>)> {
        if self.0.is_empty() {
            return Vec::new();
        }
        self.0.remove(&event).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use canh_schema::EventHash;

    use super::*;

    fn event(number: u8) -> EventRef {
        EventRef { id: EventId::from_bytes([number; 16]), hash: EventHash::of(&[number]) }
    }

    #[test]
    fn the_oldest_states_go_when_there_is_no_room() {
        let mut states = States::default();
        let state = vec![7; STATE_MAX];
        let room = u8::try_from(BYTES_MAX / STATE_MAX).expect("the limits are of one order");
        (0..=room).for_each(|number| states.push(0, event(number).id, &state));
        fn id_of<'a>(_: u32) -> Option<&'a str> {
            Some("a")
        }
        assert!(states.of(&[event(0)], id_of).is_none(), "the first has gone");
        let kept = states.of(&[event(0), event(1)], id_of).expect("the second is there");
        let kept: Vec<Saved<'_>> = postcard::from_bytes(&kept).expect("what was written can be read");
        assert_eq!(kept.iter().map(|saved| saved.event[0]).collect::<Vec<_>>(), [1]);
        assert_eq!(states.all(id_of).len(), usize::from(room));
        states.push(0, event(99).id, &vec![7; STATE_MAX + 1]);
        assert!(states.of(&[event(99)], id_of).is_none(), "too long to be kept");
    }
}
