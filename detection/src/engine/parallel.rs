//! Several threads look at the events of one batch.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use canh_schema::{Event, Finding};

use super::matcher::Look;
use super::{Engine, found};

/// Bytes of a batch from which on the others are woken; measured, see `docs/decisions/sigma-matcher.md`.
const BYTES_MIN: usize = 100 << 10;

/// What a thread takes at a time. Small, because some events cost many times what others do.
const EVENTS_PER_PIECE: usize = 32;

/// Threads that wait for work. To start them for each batch would cost as much as a hundred events.
#[derive(Debug)]
pub(super) struct Helpers(Option<rayon::ThreadPool>);

impl Helpers {
    /// `threads` counts the one that asks.
    pub(super) fn new(threads: usize) -> Self {
        let helpers = threads.saturating_sub(1);
        // Without threads everything works as with one.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(helpers).thread_name(|index| format!("detect-{index}"));
        Self((helpers > 0).then(|| pool.build().ok()).flatten())
    }

    pub(super) fn count(&self) -> usize {
        self.0.as_ref().map_or(0, rayon::ThreadPool::current_num_threads)
    }
}

/// What the rules say of some neighbouring events: the place of the event, the rule, and the finding if there is one.
type Judged = Vec<(usize, u32, Option<Finding>)>;

impl Engine {
    /// Whether these events are so many that several threads are quicker.
    pub(super) fn is_worth_helpers(&self, events: &[Event]) -> bool {
        self.helpers.count() > 0
            && events.len() > EVENTS_PER_PIECE
            && events.iter().map(|event| event.raw.len()).sum::<usize>() >= BYTES_MIN
    }

    /// Several threads say which rules hold and why; what is remembered of that is done here, in the order of the events.
    pub(super) fn take_in_parallel(&mut self, events: &[Event], mut out: Option<&mut Vec<Finding>>) {
        let (rules, matcher, wanted) = (&self.rules, &self.matcher, out.is_some());
        let next = AtomicUsize::new(0);
        let pieces: Mutex<Vec<Judged>> = Mutex::default();
        let work = |look: &mut Look| {
            let mut held = Vec::new();
            loop {
                let begin = next.fetch_add(EVENTS_PER_PIECE, Ordering::Relaxed);
                let Some(piece) = events.get(begin..events.len().min(begin + EVENTS_PER_PIECE)) else { return };
                if piece.is_empty() {
                    return;
                }
                let mut judged = Judged::new();
                for (place, event) in (begin..).zip(piece) {
                    look.holding(matcher, event, &mut held);
                    judged.extend(held.drain(..).map(|held| {
                        let finding = if wanted { found(rules, matcher, held, event, look) } else { None };
                        (place, held.rule, finding)
                    }));
                }
                if !judged.is_empty() {
                    pieces.lock().unwrap_or_else(PoisonError::into_inner).push(judged);
                }
            }
        };
        let mut looks = self.looks.iter_mut();
        match (&self.helpers.0, looks.next()) {
            // A panic over there is a panic here, as it would be with one thread.
            (Some(pool), Some(own)) => pool.in_place_scope(|scope| {
                looks.for_each(|look| scope.spawn(|_| work(look)));
                work(own);
            }),
            (None, Some(own)) => work(own),
            (_, None) => (),
        }
        let mut pieces = pieces.into_inner().unwrap_or_else(PoisonError::into_inner);
        pieces.sort_by_key(|judged| judged.first().map(|(place, _, _)| *place));
        for mut judged in pieces {
            for together in judged.chunk_by_mut(|(a, _, _), (b, _, _)| a == b) {
                let Some(event) = together.first().and_then(|(place, _, _)| events.get(*place)) else { continue };
                if let Some(out) = out.as_deref_mut() {
                    let before = out.len();
                    out.extend(together.iter_mut().filter_map(|(_, _, finding)| finding.take()));
                    self.stats.findings += (out.len() - before) as u64;
                }
                let held = || together.iter().map(|(_, rule, _)| *rule);
                if held().any(|rule| self.rules.get(rule as usize).is_some_and(|rule| rule.feeds)) {
                    if let Some(look) = self.looks.first_mut() {
                        look.load(&self.matcher, event);
                    }
                    self.feed(event, held(), out.as_deref_mut());
                }
            }
        }
    }
}
