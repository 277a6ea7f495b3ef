//! Files that wait to be sent: a bounded number with bounded bytes. What is plain makes room for what is notable.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use canh_packet::CarvedFile;

use super::file::is_notable;

/// How often somebody who waits looks whether the agent is stopping.
const STEP: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Queue {
    len_max: usize,
    bytes_max: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    notable: VecDeque<CarvedFile>,
    plain: VecDeque<CarvedFile>,
    /// Files that were taken and are not done with, and the memory of those and of the ones that wait.
    under_way: usize,
    bytes: usize,
    closed: bool,
    /// Why nothing will be sent any more.
    failed: Option<String>,
}

impl State {
    fn len(&self) -> usize {
        self.notable.len() + self.plain.len() + self.under_way
    }
}

/// What became of a file that was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Put {
    Taken,
    /// Others had to go for it, so many.
    InsteadOf(u64),
    NoRoom,
}

impl Queue {
    pub(super) fn new(len_max: usize, bytes_max: usize) -> Self {
        Self { len_max, bytes_max, state: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves plain data here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self, state: &State, bytes: usize) -> bool {
        state.len() < self.len_max && (state.bytes + bytes <= self.bytes_max || state.bytes == 0)
    }

    /// Takes a file at once, or not.
    pub(super) fn put(&self, file: CarvedFile) -> Put {
        let bytes = file.bytes.capacity();
        let notable = is_notable(&file);
        let mut state = self.lock();
        let mut dropped = 0;
        while !self.has_room(&state, bytes) {
            // The oldest plain one waited longest, so the rate does not suffice for it.
            let victim = if notable { state.plain.pop_front() } else { None };
            let Some(victim) = victim else {
                return if dropped == 0 { Put::NoRoom } else { Put::InsteadOf(dropped + 1) };
            };
            state.bytes = state.bytes.saturating_sub(victim.bytes.capacity());
            dropped += 1;
        }
        self.push(&mut state, file, notable);
        if dropped == 0 { Put::Taken } else { Put::InsteadOf(dropped) }
    }

    /// Takes a file once there is room. [`Put::NoRoom`] if `stop` says so, or if nothing is sent any more.
    pub(super) fn put_waiting(&self, file: CarvedFile, stop: impl Fn() -> bool) -> Put {
        let notable = is_notable(&file);
        let mut state = self.lock();
        while !self.has_room(&state, file.bytes.capacity()) {
            if stop() || state.failed.is_some() {
                return Put::NoRoom;
            }
            state = self.wait(state);
        }
        self.push(&mut state, file, notable);
        Put::Taken
    }

    fn push(&self, state: &mut State, file: CarvedFile, notable: bool) {
        state.bytes += file.bytes.capacity();
        if notable {
            state.notable.push_back(file)
        } else {
            state.plain.push_back(file)
        }
        self.changed.notify_all();
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        match self.changed.wait_timeout(state, STEP) {
            Ok((state, _)) => state,
            Err(poisoned) => poisoned.into_inner().0,
        }
    }

    /// The next files, notable ones first; `None` once the queue is closed and empty. They count until
    /// [`Queue::done`].
    pub(super) fn take(&self, len_max: usize) -> Option<Vec<CarvedFile>> {
        let mut state = self.lock();
        loop {
            let mut files = Vec::new();
            while files.len() < len_max
                && let Some(file) = state.notable.pop_front().or_else(|| state.plain.pop_front())
            {
                files.push(file);
            }
            if !files.is_empty() {
                state.under_way += files.len();
                return Some(files);
            }
            if state.closed {
                return None;
            }
            state = self.wait(state);
        }
    }

    /// A file that was taken is done with, whatever became of it.
    pub(super) fn done(&self, file: &CarvedFile) {
        let mut state = self.lock();
        state.under_way = state.under_way.saturating_sub(1);
        state.bytes = state.bytes.saturating_sub(file.bytes.capacity());
        self.changed.notify_all();
    }

    /// Files that are not done with.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Nothing more comes. Answers how many files were thrown away.
    pub(super) fn close(&self) -> u64 {
        let mut state = self.lock();
        let thrown = state.notable.len() + state.plain.len();
        state.notable.clear();
        state.plain.clear();
        state.closed = true;
        self.changed.notify_all();
        thrown as u64
    }

    /// Nothing is sent any more.
    pub(super) fn fail(&self, words: &str) {
        self.lock().failed = Some(words.to_owned());
        self.close();
    }

    /// Waits until every file is done with.
    pub(super) fn drain(&self, stop: impl Fn() -> bool) -> Result<(), String> {
        let mut state = self.lock();
        loop {
            if let Some(words) = &state.failed {
                return Err(words.clone());
            }
            if state.len() == 0 || stop() {
                return Ok(());
            }
            state = self.wait(state);
        }
    }
}
