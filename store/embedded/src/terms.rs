//! The terms of the one inverted field that holds values of all fields and attributes, so that ten thousand names cost
//! no more than ten.
//!
//! | term | documents |
//! |---|---|
//! | `v` key `0x00` value | whose field has the value, in lower case; a long one is cut and ends in `0xff` and its hash |
//! | `v` key `0x00` 16 bytes | whose address field has the address |
//! | `n` key | that have the field |
//! | `l` key | whose value under the field is a long one |
//! | `b` 12 bytes | of the batch |
//!
//! A key is the kind of name (`f` catalogue, `a` attribute, `p` pseudo) and the name. UTF-8 has no byte `0xff`, and
//! names with a zero byte are replaced by their hash, so no two terms can be confused.

use canh_schema::BatchId;

/// Longest value that is kept whole, in bytes.
pub(crate) const VALUE_LEN_MAX: usize = 512;
/// What is kept of a longer one.
const VALUE_LEN_CUT: usize = 480;
const NAME_LEN_MAX: usize = 256;
/// Ends the kept part of a long value.
pub(crate) const LONG_MARK: u8 = 0xff;
/// Bytes of a batch id that are in the ids of its events.
pub(crate) const BATCH_LEN: usize = 12;

/// The key of a field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    pub(crate) fn attr(name: &str) -> Self {
        Self::named(b'a', name)
    }

    pub(crate) fn catalogue(name: &str) -> Self {
        Self::named(b'f', name)
    }

    pub(crate) fn pseudo(name: &str) -> Self {
        Self::named(b'p', name)
    }

    fn named(kind: u8, name: &str) -> Self {
        let mut key = vec![kind];
        if name.len() <= NAME_LEN_MAX && !name.as_bytes().contains(&0) {
            key.extend_from_slice(name.as_bytes());
        } else {
            key.push(LONG_MARK);
            key.extend_from_slice(blake3::hash(name.as_bytes()).to_hex()[..32].as_bytes());
        }
        Self(key)
    }

    fn term(&self, kind: u8, rest: &[&[u8]]) -> Vec<u8> {
        let mut term = Vec::with_capacity(2 + self.0.len() + rest.iter().map(|part| part.len()).sum::<usize>());
        term.push(kind);
        term.extend_from_slice(&self.0);
        rest.iter().for_each(|part| term.extend_from_slice(part));
        term
    }

    /// What every value term of this field begins with.
    pub(crate) fn values(&self) -> Vec<u8> {
        self.term(b'v', &[&[0]])
    }

    /// The term of a folded value, and whether it had to be cut.
    pub(crate) fn value(&self, folded: &str) -> (Vec<u8>, bool) {
        if folded.len() <= VALUE_LEN_MAX {
            return (self.term(b'v', &[&[0], folded.as_bytes()]), false);
        }
        let kept = &folded.as_bytes()[..folded.floor_char_boundary(VALUE_LEN_CUT)];
        let hash = blake3::hash(folded.as_bytes());
        (self.term(b'v', &[&[0], kept, &[LONG_MARK], &hash.as_bytes()[..16]]), true)
    }

    pub(crate) fn address(&self, address: u128) -> Vec<u8> {
        self.term(b'v', &[&[0], &address.to_be_bytes()])
    }

    pub(crate) fn exists(&self) -> Vec<u8> {
        self.term(b'n', &[])
    }

    pub(crate) fn long(&self) -> Vec<u8> {
        self.term(b'l', &[])
    }
}

pub(crate) fn batch(batch: &[u8]) -> Vec<u8> {
    let mut term = vec![b'b'];
    term.extend_from_slice(&batch[..BATCH_LEN.min(batch.len())]);
    term
}

const _: () = assert!(BATCH_LEN <= BatchId::LEN);

/// The first text after all that begin with `prefix`; `None` if there is none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_different(left: Vec<u8>, right: Vec<u8>) {
        assert_ne!(left, right);
    }

    #[test]
    fn names_and_values_cannot_be_confused() {
        check_different(Key::attr("a\0b").value("c").0, Key::attr("a").value("b\0c").0);
        check_different(Key::attr("user.name").value("x").0, Key::catalogue("user.name").value("x").0);
        let (long, other) = ("x".repeat(70_000), format!("{}y", "x".repeat(69_999)));
        check_different(Key::attr("a").value(&long).0, Key::attr("a").value(&other).0);
        check_different(Key::attr(&long).exists(), Key::attr(&other).exists());
        assert!(Key::attr(&long).value(&long).0.len() < 1_024);
    }

    #[test]
    fn ends_of_prefixes() {
        assert_eq!(after_prefix(b"aa"), Some(b"ab".to_vec()));
        assert_eq!(after_prefix(b"a\xff"), Some(b"b".to_vec()));
        assert_eq!(after_prefix(b"\xff"), None);
    }
}
