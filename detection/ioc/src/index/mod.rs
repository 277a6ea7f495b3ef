//! Where indicators are held: values in one block of bytes, a small record for each, and a hash table over the values.
//! A value is compared byte by byte after its hash has been found, so there are no false matches.

mod ranges;
mod texts;

use std::hash::{BuildHasher, Hasher};

use ahash::RandomState;
use canh_schema::{Level, Timestamp};
use hashbrown::HashTable;

pub(crate) use self::ranges::Ranges;
pub(crate) use self::texts::Texts;
use crate::kind::{IndicatorKind, Kinds};
use crate::problem::unpack_time;

pub(crate) const NONE: u32 = u32::MAX;

/// One indicator of one list. 36 bytes; a test holds that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    value_start: u32,
    value_len: u16,
    kind: u8,
    pub(crate) confidence: u8,
    pub(crate) list: u16,
    /// 0 is "not said", else the place in [`Level::ALL`] plus one.
    severity: u8,
    /// Tags as one text, a line each.
    pub(crate) tags: u32,
    pub(crate) description: u32,
    /// See [`unpack_time`].
    pub(crate) expiry: u32,
    pub(crate) first_seen: u32,
    pub(crate) last_seen: u32,
    /// The same value in another list.
    next: u32,
}

impl Record {
    pub(crate) fn kind(&self) -> IndicatorKind {
        IndicatorKind::from_number(self.kind).unwrap_or(IndicatorKind::Ip)
    }

    pub(crate) fn severity(&self) -> Option<Level> {
        Level::ALL.get(usize::from(self.severity).checked_sub(1)?).copied()
    }

    pub(crate) fn set_severity(&mut self, level: Option<Level>) {
        let place = level.and_then(|level| Level::ALL.iter().position(|known| *known == level));
        self.severity = place.and_then(|place| u8::try_from(place + 1).ok()).unwrap_or(0);
    }

    pub(crate) fn has_expired(&self, now: Timestamp) -> bool {
        unpack_time(self.expiry).is_some_and(|expiry| expiry <= now)
    }
}

/// What a new record holds besides its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) list: u16,
    pub(crate) confidence: u8,
    pub(crate) severity: Option<Level>,
    pub(crate) tags: u32,
    pub(crate) description: u32,
    pub(crate) expiry: u32,
    pub(crate) first_seen: u32,
    pub(crate) last_seen: u32,
}

/// What became of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Added {
    New,
    /// The list had it already; what it says was merged.
    Merged,
    /// There is no room for its bytes.
    Full,
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    records: Vec<Record>,
    values: Vec<u8>,
    /// The first record of each value.
    heads: HashTable<u32>,
    /// Keys of its own, so that nobody can write a list whose values all have one hash.
    hasher: RandomState,
    kinds: Kinds,
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn kinds(&self) -> Kinds {
        self.kinds
    }

    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    pub(crate) fn record(&self, number: u32) -> Option<&Record> {
        self.records.get(usize::try_from(number).ok()?)
    }

    pub(crate) fn value(&self, record: &Record) -> &[u8] {
        value(&self.values, record)
    }

    fn hash(&self, kind: u8, bytes: &[u8]) -> u64 {
        hash(&self.hasher, kind, bytes)
    }

    /// The first record of a value.
    pub(crate) fn find(&self, kind: IndicatorKind, bytes: &[u8]) -> Option<u32> {
        let number = kind as u8;
        let same = |head: &u32| {
            self.record(*head).is_some_and(|record| record.kind == number && value(&self.values, record) == bytes)
        };
        self.heads.find(self.hash(number, bytes), same).copied()
    }

    /// Every record of the value whose first one this is: one for each list that has it.
    pub(crate) fn chain(&self, head: u32) -> impl Iterator<Item = (u32, &Record)> {
        let mut next = head;
        std::iter::from_fn(move || {
            let number = next;
            let record = self.record(number)?;
            next = record.next;
            Some((number, record))
        })
    }

    pub(crate) fn add(&mut self, kind: IndicatorKind, bytes: &[u8], said: Said) -> Added {
        let head = self.find(kind, bytes);
        let mut last = None;
        let mut known = None;
        for (number, record) in head.into_iter().flat_map(|head| self.chain(head)) {
            last = Some(number);
            known = known.or((record.list == said.list).then_some(number));
        }
        if let Some(known) = known {
            self.merge(known, said);
            return Added::Merged;
        }
        let (Ok(number), Ok(start), Ok(len)) =
            (u32::try_from(self.records.len()), u32::try_from(self.values.len()), u16::try_from(bytes.len()))
        else {
            return Added::Full;
        };
        // A value that several lists have is held once.
        let start = match head.and_then(|head| self.record(head)) {
            Some(record) => record.value_start,
            None => {
                self.values.extend_from_slice(bytes);
                start
            }
        };
        let mut record = Record {
            value_start: start,
            value_len: len,
            kind: kind as u8,
            confidence: said.confidence,
            list: said.list,
            severity: 0,
            tags: said.tags,
            description: said.description,
            expiry: said.expiry,
            first_seen: said.first_seen,
            last_seen: said.last_seen,
            next: NONE,
        };
        record.set_severity(said.severity);
        self.records.push(record);
        self.kinds.add(kind);
        match last.and_then(|last| self.records.get_mut(usize::try_from(last).ok()?)) {
            Some(last) => last.next = number,
            None => {
                let hash = self.hash(kind as u8, bytes);
                let (records, values, hasher) = (&self.records, &self.values, &self.hasher);
                let rehash = |head: &u32| {
                    let record = usize::try_from(*head).ok().and_then(|head| records.get(head));
                    record.map_or(0, |record| self::hash(hasher, record.kind, value(values, record)))
                };
                self.heads.insert_unique(hash, number, rehash);
            }
        }
        Added::New
    }

    /// The surer, the worse, the longer; seen from the first to the last.
    fn merge(&mut self, number: u32, said: Said) {
        let Some(record) = usize::try_from(number).ok().and_then(|number| self.records.get_mut(number)) else { return };
        record.confidence = record.confidence.max(said.confidence);
        record.set_severity(record.severity().max(said.severity));
        let or = |kept: u32, new: u32, both: fn(u32, u32) -> u32| match (kept, new) {
            (0, one) | (one, 0) => one,
            (kept, new) => both(kept, new),
        };
        // No expiry is longer than any.
        record.expiry = if record.expiry == 0 || said.expiry == 0 { 0 } else { record.expiry.max(said.expiry) };
        record.first_seen = or(record.first_seen, said.first_seen, u32::min);
        record.last_seen = or(record.last_seen, said.last_seen, u32::max);
        record.tags = if record.tags == 0 { said.tags } else { record.tags };
        record.description = if record.description == 0 { said.description } else { record.description };
    }

    /// Gives back what was reserved for growing.
    pub(crate) fn shrink(&mut self) {
        self.records.shrink_to_fit();
        self.values.shrink_to_fit();
    }

    /// Memory in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.records.capacity() * size_of::<Record>() + self.values.capacity() + self.heads.allocation_size()
    }
}

fn value<'v>(values: &'v [u8], record: &Record) -> &'v [u8] {
    let start = usize::try_from(record.value_start).unwrap_or(usize::MAX);
    values.get(start..start.saturating_add(usize::from(record.value_len))).unwrap_or_default()
}

fn hash(state: &RandomState, kind: u8, bytes: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write_u8(kind);
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: Said = Said {
        list: 0,
        confidence: 50,
        severity: None,
        tags: 0,
        description: 0,
        expiry: 100,
        first_seen: 50,
        last_seen: 60,
    };

    #[test]
    fn a_record_is_small() {
        assert_eq!(size_of::<Record>(), 36);
    }

    #[test]
    fn one_list_has_a_value_once_and_each_list_has_its_own_record() {
        let mut table = Table::default();
        assert_eq!(table.add(IndicatorKind::Domain, b"evil.com", SAID), Added::New);
        let more =
            Said { confidence: 80, severity: Some(Level::High), first_seen: 40, last_seen: 0, expiry: 200, ..SAID };
        assert_eq!(table.add(IndicatorKind::Domain, b"evil.com", more), Added::Merged);
        assert_eq!(table.add(IndicatorKind::Domain, b"evil.com", Said { list: 1, ..SAID }), Added::New);
        assert_eq!(table.add(IndicatorKind::Email, b"evil.com", SAID), Added::New);
        let head = table.find(IndicatorKind::Domain, b"evil.com").expect("the value");
        let lists: Vec<u16> = table.chain(head).map(|(_, record)| record.list).collect();
        assert_eq!(lists, [0, 1]);
        let record = table.record(head).expect("the record");
        assert_eq!((record.confidence, record.severity()), (80, Some(Level::High)));
        assert_eq!((record.expiry, record.first_seen, record.last_seen), (200, 40, 60));
        assert_eq!(table.find(IndicatorKind::Domain, b"evil.org"), None);
        assert_eq!(table.value(record), b"evil.com");
        assert!(!record.has_expired(Timestamp::from_secs(199)));
        assert!(record.has_expired(Timestamp::from_secs(200)));
    }
}
