//! Which numbered batches the journal has taken, so that a batch that is sent again is acknowledged and not kept twice.
//!
//! For each spool of each agent: the highest sequence number, and which of the numbers below it were taken. An agent
//! may have several batches under way, so they need not arrive in order; a number that lies further below the highest
//! than the window is long counts as taken.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use bytes::{Buf, BufMut};
use canh_schema::{AgentId, Position, Timestamp};
use rustc_hash::FxHashMap;

use crate::envelope::AgentBatch;

/// How many spools are remembered. Beyond it the ones that were quiet for longest are forgotten.
const SPOOLS_MAX: usize = 65_536;
/// How far below the highest number a batch may be late.
const WINDOW_LEN: u64 = 1_024;
const WORDS: usize = (WINDOW_LEN / 64) as usize;

const MAGIC: &[u8; 8] = b"CANHSEEN";
const VERSION: u32 = 1;
const ENTRY_LEN: usize = AgentId::LEN + 8 + 8 + 8 + WORDS * 8;

type Key = (AgentId, u64);

/// How the id begins that stands for a place from which records are read. How far that was is known here alone, so it is not
/// forgotten for those who send a few batches once, unless there are very many.
pub(crate) const PLACE_PREFIX: [u8; 4] = *b"read";

fn is_place((agent, _): &Key) -> bool {
    agent.as_bytes().starts_with(&PLACE_PREFIX)
}

/// The batches taken so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    spools: FxHashMap<Key, Window>,
    /// What the present group changed, newest last: taken back if the group does not become durable.
    undo: Vec<(Key, Option<Window>)>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Window {
    highest: u64,
    /// Bit `n % WINDOW_LEN` says that number `n` was taken, for the `WINDOW_LEN` numbers up to `highest`.
    taken: [u64; WORDS],
    last: Timestamp,
}

impl Window {
    fn new() -> Self {
        Self { highest: 0, taken: [0; WORDS], last: Timestamp::default() }
    }

    fn has(&self, sequence: u64) -> bool {
        let too_old = self.highest.saturating_sub(sequence) >= WINDOW_LEN;
        let (word, bit) = place(sequence);
        sequence <= self.highest && (too_old || self.taken.get(word).is_some_and(|word| word & bit != 0))
    }

    fn add(&mut self, sequence: u64) {
        if sequence > self.highest {
            if sequence - self.highest >= WINDOW_LEN {
                self.taken = [0; WORDS];
            } else {
                for passed in self.highest + 1..=sequence {
                    let (word, bit) = place(passed);
                    if let Some(word) = self.taken.get_mut(word) {
                        *word &= !bit;
                    }
                }
            }
            self.highest = sequence;
        }
        let (word, bit) = place(sequence);
        if let Some(word) = self.taken.get_mut(word) {
            *word |= bit;
        }
    }
}

fn place(sequence: u64) -> (usize, u64) {
    let at = sequence % WINDOW_LEN;
    ((at / 64) as usize, 1 << (at % 64))
}

impl Seen {
    /// Whether the batch was taken before.
    pub(super) fn has(&self, batch: &AgentBatch) -> bool {
        self.spools.get(&(batch.agent, batch.spool)).is_some_and(|window| window.has(batch.sequence))
    }

    /// The highest number taken of a spool.
    pub(super) fn highest(&self, agent: AgentId, spool: u64) -> Option<u64> {
        self.spools.get(&(agent, spool)).map(|window| window.highest)
    }

    /// Marks a batch as taken, until [`Seen::roll_back`] takes it back or [`Seen::commit`] makes it final.
    pub(super) fn add(&mut self, batch: &AgentBatch, received: Timestamp) {
        let key = (batch.agent, batch.spool);
        let before = self.spools.get(&key).cloned();
        let window = self.spools.entry(key).or_insert_with(Window::new);
        window.add(batch.sequence);
        window.last = window.last.max(received);
        self.undo.push((key, before));
    }

    pub(super) fn commit(&mut self) {
        self.undo.clear();
        if self.spools.len() > SPOOLS_MAX {
            // A sixteenth at once, so that the search for the quiet ones is rare.
            let may_go = |(key, spool): (&Key, &Window)| (!is_place(key)).then_some((spool.last, *key));
            let mut quiet: Vec<(Timestamp, Key)> = self.spools.iter().filter_map(may_go).collect();
            if quiet.len() < SPOOLS_MAX / 2 {
                quiet = self.spools.iter().map(|(key, spool)| (spool.last, *key)).collect();
            }
            let surplus = self.spools.len() - SPOOLS_MAX + SPOOLS_MAX / 16;
            let last = quiet.len() - 1;
            quiet.select_nth_unstable(surplus.min(last));
            for (_, key) in quiet.iter().take(surplus) {
                self.spools.remove(key);
            }
        }
    }

    pub(super) fn roll_back(&mut self) {
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(window) => self.spools.insert(key, window),
                None => self.spools.remove(&key),
            };
        }
    }

    /// Writes everything that is known up to `through` so that it survives a power cut.
    pub(super) fn save(&self, path: &Path, journal: u64, through: Position) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(64 + self.spools.len() * ENTRY_LEN);
        bytes.put_slice(MAGIC);
        bytes.put_u32_le(VERSION);
        bytes.put_u64_le(journal);
        bytes.put_u64_le(through.get());
        bytes.put_u64_le(self.spools.len() as u64);
        for ((agent, spool), window) in &self.spools {
            bytes.put_slice(agent.as_bytes());
            bytes.put_u64_le(*spool);
            bytes.put_u64_le(window.highest);
            bytes.put_i64_le(window.last.nanos());
            window.taken.iter().for_each(|word| bytes.put_u64_le(*word));
        }
        let hash = blake3::hash(&bytes);
        bytes.put_slice(hash.as_bytes());

        let beside = path.with_extension("tmp");
        let mut file = File::create(&beside)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    }

    /// Reads what [`Seen::save`] wrote. `None` if there is no file, it is damaged, or it is of another journal.
    pub(super) fn load(path: &Path, journal: u64) -> Option<(Self, Position)> {
        let bytes = fs::read(path).ok()?;
        let (mut bytes, hash) = bytes.split_at_checked(bytes.len().checked_sub(blake3::OUT_LEN)?)?;
        if blake3::hash(bytes).as_bytes() != hash || !bytes.starts_with(MAGIC) {
            return None;
        }
        bytes.advance(MAGIC.len());
        if bytes.try_get_u32_le().ok()? != VERSION || bytes.try_get_u64_le().ok()? != journal {
            return None;
        }
        let through = Position::new(bytes.try_get_u64_le().ok()?);
        let count = bytes.try_get_u64_le().ok()?;
        let mut seen = Self::default();
        for _ in 0..count {
            let agent = AgentId::from_bytes(bytes.try_get_u128().ok()?.to_be_bytes());
            let spool = bytes.try_get_u64_le().ok()?;
            let mut window = Window::new();
            window.highest = bytes.try_get_u64_le().ok()?;
            window.last = Timestamp::from_nanos(bytes.try_get_i64_le().ok()?);
            for word in &mut window.taken {
                *word = bytes.try_get_u64_le().ok()?;
            }
            seen.spools.insert((agent, spool), window);
        }
        Some((seen, through))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn batch(agent: u8, sequence: u64) -> AgentBatch {
        AgentBatch { agent: AgentId::from_bytes([agent; 16]), spool: 1, sequence }
    }

    #[track_caller]
    fn check(taken: &[u64], asked: u64, expected: bool) {
        let mut seen = Seen::default();
        taken.iter().for_each(|sequence| seen.add(&batch(1, *sequence), Timestamp::default()));
        assert_eq!(seen.has(&batch(1, asked)), expected, "taken: {taken:?}, asked: {asked}");
    }

    #[test]
    fn batches_are_taken_once() {
        check(&[], 0, false);
        check(&[1], 1, true);
        check(&[1], 2, false);
        check(&[2], 1, false); // overtaken by a later one, still to come
        check(&[2, 1], 1, true);
        check(&[1, 5_000], 1, true); // further below than the window is long
        check(&[1, 5_000], 4_000, false);
        check(&[5_000, 5_000 - WINDOW_LEN], 4_999, false);
        check(&[u64::MAX], u64::MAX, true);
        check(&[u64::MAX], u64::MAX - 1, false);
    }

    proptest! {
        #[test]
        fn within_the_window_it_is_a_set(sequences in prop::collection::vec(1u64..WINDOW_LEN, 0..200)) {
            let mut seen = Seen::default();
            let mut set = BTreeSet::new();
            for sequence in sequences {
                prop_assert_eq!(seen.has(&batch(1, sequence)), !set.insert(sequence));
                seen.add(&batch(1, sequence), Timestamp::default());
            }
        }
    }

    #[test]
    fn a_group_that_fails_is_forgotten() {
        let mut seen = Seen::default();
        seen.add(&batch(1, 1), Timestamp::default());
        seen.commit();
        seen.add(&batch(1, 2), Timestamp::default());
        seen.add(&batch(1, 3), Timestamp::default());
        seen.add(&batch(2, 1), Timestamp::default());
        seen.roll_back();
        assert!(seen.has(&batch(1, 1)));
        assert!(!seen.has(&batch(1, 2)) && !seen.has(&batch(1, 3)) && !seen.has(&batch(2, 1)));
    }

    #[test]
    fn what_is_saved_is_read_back_and_damage_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seen");
        assert!(Seen::load(&path, 9).is_none());
        let mut seen = Seen::default();
        seen.add(&batch(1, 7), Timestamp::from_secs(3));
        seen.add(&batch(2, 8), Timestamp::from_secs(4));
        seen.save(&path, 9, Position::new(5)).unwrap();

        let (read, through) = Seen::load(&path, 9).unwrap();
        assert_eq!((read.spools, through), (seen.spools, Position::new(5)));
        assert!(Seen::load(&path, 8).is_none(), "another journal's file was taken");

        let mut bytes = fs::read(&path).unwrap();
        bytes[40] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(Seen::load(&path, 9).is_none());
        fs::write(&path, b"short").unwrap();
        assert!(Seen::load(&path, 9).is_none());
    }

    #[test]
    fn how_far_something_was_read_is_not_forgotten() {
        let mut seen = Seen::default();
        let mut id = [7; 16];
        id[..4].copy_from_slice(&PLACE_PREFIX);
        let place = AgentBatch { agent: AgentId::from_bytes(id), spool: 1, sequence: 42 };
        assert_eq!(seen.highest(place.agent, 1), None);
        seen.add(&AgentBatch { sequence: 0, ..place }, Timestamp::from_secs(-2));
        assert_eq!(seen.highest(place.agent, 1), Some(0), "nothing was read yet, and that is known");
        seen.add(&place, Timestamp::from_secs(-1));
        for spool in 0..=SPOOLS_MAX as u64 {
            seen.add(&AgentBatch { spool, ..batch(1, 1) }, Timestamp::from_secs(spool as i64));
        }
        seen.commit();
        assert!(seen.spools.len() <= SPOOLS_MAX);
        assert_eq!(seen.highest(place.agent, 1), Some(42));
    }

    #[test]
    fn the_quiet_ones_are_forgotten_first() {
        let mut seen = Seen::default();
        for spool in 0..=SPOOLS_MAX as u64 {
            let batch = AgentBatch { spool, ..batch(1, 1) };
            seen.add(&batch, Timestamp::from_secs(spool as i64));
        }
        seen.commit();
        assert!(seen.spools.len() <= SPOOLS_MAX);
        assert!(!seen.has(&AgentBatch { spool: 0, ..batch(1, 1) }));
        assert!(seen.has(&AgentBatch { spool: SPOOLS_MAX as u64, ..batch(1, 1) }));
    }
}
