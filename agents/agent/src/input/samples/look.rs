//! One look at all trees: decides of each file whether it is as it was, and of what is new whether it is offered.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use canh_schema::Timestamp;
use nix::unistd::{Uid, User};
use tracing::{debug, warn};

use super::budget::Budget;
use super::config::{Baseline, NewRules, RootAt, SamplesConfig, Selection, roots_of};
use super::item::{FileState, Item, READ_LEN, Rank, content_of, hash_file};
use super::kind::{self, HEAD_LEN, Kind};
use super::known::{Entry, PathKey};
use super::walk::{Flow, Found, Missed, open_found, walk};
use super::{State, today};
use crate::counters::{DropReason, Source};
use crate::input::{Context, InputError};

/// Files that are passed between two looks at what the server answers.
const FILES_PER_TURN: u32 = 256;
const PACE_STEP: Duration = Duration::from_millis(50);
const OWNERS_MAX: usize = 1_000;

pub(super) struct Looker {
    config: SamplesConfig,
    /// What everything is taken of comes first: a file in two trees belongs to the first.
    trees: Vec<(Vec<String>, Arc<Selection>)>,
    reading: Budget,
    buffer: Vec<u8>,
    owners: HashMap<u32, String>,
    warned_full: bool,
    /// When the agent started, in seconds since 1970: what changed after that is new even while a first look is under way.
    started: i64,
    /// What could not be looked at the last time, so that it is counted once.
    missed: Missed,
}

/// The path of the configuration that is being looked at.
struct At<'a> {
    root: &'a RootAt,
    selection: &'a Selection,
    /// Its files of the first look are remembered already.
    baselined: bool,
}

/// What one look came to.
#[derive(Debug, Default)]
struct Outcome {
    files: u32,
    /// Files that had no room; the next look finds them.
    put_off: u64,
}

impl Looker {
    pub(super) fn new(config: SamplesConfig, now: Instant) -> Self {
        let mut trees: Vec<_> =
            config.tree.iter().map(|tree| (tree.path.clone(), Arc::new(tree.selection()))).collect();
        trees.sort_by_key(|(_, selection)| !selection.kinds.contains(&Kind::All));
        let reading = Budget::new(config.read_per_second.bytes(), Duration::from_secs(1), now);
        Self {
            config,
            trees,
            reading,
            buffer: vec![0; READ_LEN],
            owners: HashMap::new(),
            warned_full: false,
            started: Timestamp::now().secs(),
            missed: Missed::default(),
        }
    }

    /// Answers whether everything was looked at. It was not if the agent is stopping, or if too much waits already.
    pub(super) fn look(&mut self, state: &mut State, context: &Context) -> Result<bool, InputError> {
        let (mut outcome, mut missed, begun) = (Outcome::default(), Missed::default(), Instant::now());
        let mut complete = Vec::new();
        for (paths, selection) in self.trees.clone() {
            for path in paths {
                let put_off = outcome.put_off;
                let baselined = state.known.is_baselined(&path);
                for root in roots_of(&path) {
                    let at = At { root: &root, selection: &selection, baselined };
                    let flow = walk(&root, &selection, &mut missed, &mut |found| {
                        self.found(&at, found, state, context, &mut outcome)
                    });
                    if flow.is_break() {
                        return Ok(false);
                    }
                }
                if outcome.put_off == put_off {
                    complete.push(path);
                }
            }
        }
        state.known.end_look(today());
        state.known.set_baselined(complete);
        state.restless.forget_quiet(Instant::now());
        let count = |reason, now: u64, before: u64| context.counters.count_dropped(reason, now.saturating_sub(before));
        count(DropReason::SampleUnreadable, missed.unreadable, self.missed.unreadable);
        count(DropReason::SampleTooMany, missed.beyond_limits, self.missed.beyond_limits);
        self.missed = missed;
        debug!(
            files = outcome.files,
            put_off = outcome.put_off,
            ms = begun.elapsed().as_millis(),
            "trees were looked at"
        );
        Ok(outcome.put_off == 0)
    }

    fn found(
        &mut self,
        at: &At<'_>,
        found: &Found<'_>,
        state: &mut State,
        context: &Context,
        outcome: &mut Outcome,
    ) -> Flow {
        outcome.files = outcome.files.wrapping_add(1);
        if outcome.files.is_multiple_of(FILES_PER_TURN) {
            state.turn(context, false);
        }
        if context.stop.is_cancelled() {
            return Flow::Break(());
        }
        let file = FileState::of(found.stat);
        let (key, print) = (state.known.key_of(found.path), state.known.print(&file));
        let entry = state.known.get(key).copied();
        let old_rules = entry.is_some_and(|entry| self.has_old_rules(&entry, state));
        let same = entry.is_some_and(|entry| entry.stat == print);
        let now = Instant::now();
        let restless = state.restless.must_wait(key, now) && !old_rules;
        if same && !old_rules {
            state.known.note_seen(key, today());
            return Flow::Continue(());
        }
        let was_there = !at.baselined && file.changed.0 <= self.started;
        let rank = match entry {
            None if was_there => Rank::Backlog,
            Some(_) if same => Rank::Backlog,
            _ => Rank::Fresh,
        };
        if let Some(entry) = entry.filter(|entry| !entry.is_gone()) {
            debug!(?entry, path = %found.path.display(), "a file is not as it was");
            state.known.note_seen(key, today());
        } else if entry.is_none() && !state.known.has_room() {
            self.warn_full(context);
            return Flow::Continue(());
        }
        if state.waiting.contains(key) || restless {
            return Flow::Continue(());
        }
        let remembered = entry.is_none() && was_there && self.config.baseline == Baseline::Remember;
        if remembered || file.size == 0 {
            state.known.put(key, print, 0, today());
            return Flow::Continue(());
        }
        if file.size > self.config.size_max.bytes() {
            // What would not have been taken anyway is not missed.
            if kind::by_name(&at.selection.kinds, found.path, file.mode) == Some(true)
                || open_found(found).is_ok_and(|opened| has_wanted_head(&opened, &at.selection.kinds))
            {
                context.counters.count_dropped(DropReason::SampleTooLarge, 1);
                state.restless.note(key, self.config.interval, now);
                debug!(path = %found.path.display(), size = file.size, "a file is too large to be offered");
            }
            state.known.put(key, print, 0, today());
            return Flow::Continue(());
        }
        if !state.waiting.has_room(rank) {
            outcome.put_off += 1;
            return Flow::Continue(());
        }
        self.read(at, found, &Candidate { key, print, file, entry, same, rank }, state, context)
    }

    fn read(
        &mut self,
        at: &At<'_>,
        found: &Found<'_>,
        candidate: &Candidate,
        state: &mut State,
        context: &Context,
    ) -> Flow {
        let &Candidate { key, print, file, entry, same, rank } = candidate;
        let kinds = &at.selection.kinds;
        let hashed = match self.hash(found, &file, kinds, context) {
            Ok(hashed) => hashed,
            Err(error) if error.kind() == ErrorKind::NotFound => return Flow::Continue(()),
            Err(_) if context.stop.is_cancelled() => return Flow::Break(()),
            Err(error) => {
                debug!(path = %found.path.display(), %error, "a file cannot be read");
                context.counters.count_dropped(DropReason::SampleUnreadable, 1);
                state.known.put(key, print, 0, today());
                return Flow::Continue(());
            }
        };
        match hashed {
            Hashed::NotTaken => state.known.put(key, print, 0, today()),
            Hashed::Changed => {
                context.counters.count_dropped(DropReason::SampleChanged, 1);
                state.restless.note(key, self.config.interval, Instant::now());
            }
            Hashed::Content(sha256) => {
                context.counters.count_read(Source::Samples, 1);
                let content = content_of(&sha256);
                // It was touched, or has other permissions. A file that was gone meanwhile counts as a new one.
                let touched = entry.is_some_and(|entry| entry.content == content && !entry.is_gone() && !same);
                if touched {
                    state.known.touch(key, print);
                } else {
                    let (root, path) = (at.root.clone(), found.path.to_owned());
                    let owner = self.owner(file.uid);
                    let item = Item { root, path, state: file, owner, sha256, key, print, rank };
                    state.waiting.push(item, Instant::now());
                }
            }
        }
        state.turn(context, false);
        Flow::Continue(())
    }

    fn hash(&mut self, found: &Found<'_>, file: &FileState, kinds: &[Kind], context: &Context) -> io::Result<Hashed> {
        let mut opened = open_found(found)?;
        if kind::by_name(kinds, found.path, file.mode) != Some(true) && !has_wanted_head(&opened, kinds) {
            return Ok(Hashed::NotTaken);
        }
        let reading = &mut self.reading;
        let pace = |bytes| {
            loop {
                let pause = reading.wait(bytes, Instant::now());
                if pause.is_zero() {
                    reading.spend(bytes);
                    return Ok(());
                }
                if context.stop.is_cancelled() {
                    return Err(io::Error::other("the agent is stopping"));
                }
                thread::sleep(pause.min(PACE_STEP));
            }
        };
        let hash = hash_file(&mut opened, file, &mut self.buffer, pace)?;
        Ok(hash.map_or(Hashed::Changed, Hashed::Content))
    }

    fn has_old_rules(&self, entry: &Entry, state: &State) -> bool {
        let rules = state.known.rules;
        self.config.new_rules == NewRules::Offer && entry.content != 0 && rules != 0 && entry.rules != rules
    }

    fn owner(&mut self, uid: u32) -> String {
        if self.owners.len() >= OWNERS_MAX {
            self.owners.clear();
        }
        let name = || User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name).unwrap_or_default();
        self.owners.entry(uid).or_insert_with(name).clone()
    }

    fn warn_full(&mut self, context: &Context) {
        if !self.warned_full {
            self.warned_full = true;
            context.counters.count_dropped(DropReason::SampleTooMany, 1);
            warn!(
                files_max = self.config.files_max,
                "too many files: some are not watched; raise `files_max` under `[input.samples]`, or name fewer trees"
            );
        }
    }
}

/// A file that is new, or not as it was.
struct Candidate {
    key: PathKey,
    print: u64,
    file: FileState,
    entry: Option<Entry>,
    /// It is as it was, and the rules are not.
    same: bool,
    rank: Rank,
}

enum Hashed {
    Content([u8; 32]),
    Changed,
    NotTaken,
}

fn has_wanted_head(file: &File, kinds: &[Kind]) -> bool {
    let mut head = [0; HEAD_LEN];
    let mut filled = 0;
    while filled < HEAD_LEN {
        match file.read_at(&mut head[filled..], filled as u64) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            Err(_) => break,
        }
    }
    kind::by_head(kinds, &head[..filled])
}
