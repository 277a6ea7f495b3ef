//! Texts that many records share: each is held once and has a number. The memory for them is bounded; when it is used
//! up, new texts are left out.

use ahash::RandomState;
use hashbrown::HashTable;

/// Memory for tags and descriptions of all lists, in bytes.
const BYTES_MAX: usize = 32 << 20;

/// Texts by number. Number 0 is the empty text.
#[derive(Debug)]
pub(crate) struct Texts {
    bytes: String,
    /// Where each text ends; it starts where the one before ends.
    ends: Vec<u32>,
    /// Only needed while texts are added.
    known: HashTable<u32>,
    hasher: RandomState,
}

impl Default for Texts {
    fn default() -> Self {
        Self { bytes: String::new(), ends: vec![0], known: HashTable::new(), hasher: RandomState::new() }
    }
}

impl Texts {
    pub(crate) fn get(&self, number: u32) -> &str {
        get(&self.bytes, &self.ends, number)
    }

    /// The number of a text, or nothing if there is no room for it.
    pub(crate) fn add(&mut self, text: &str) -> Option<u32> {
        if text.is_empty() {
            return Some(0);
        }
        let (bytes, ends, hasher) = (&mut self.bytes, &mut self.ends, &self.hasher);
        let hash = hasher.hash_one(text);
        if let Some(number) = self.known.find(hash, |number| get(bytes, ends, *number) == text) {
            return Some(*number);
        }
        if bytes.len() + text.len() > BYTES_MAX {
            return None;
        }
        let number = u32::try_from(ends.len()).ok()?;
        bytes.push_str(text);
        ends.push(u32::try_from(bytes.len()).ok()?);
        let (bytes, ends) = (&*bytes, &*ends);
        self.known.insert_unique(hash, number, |number| hasher.hash_one(get(bytes, ends, *number)));
        Some(number)
    }

    /// Nothing more is added.
    pub(crate) fn shrink(&mut self) {
        self.known = HashTable::new();
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<u32>() + self.known.allocation_size()
    }
}

fn get<'t>(bytes: &'t str, ends: &[u32], number: u32) -> &'t str {
    let end = |number: Option<usize>| {
        number.and_then(|number| ends.get(number)).and_then(|end| usize::try_from(*end).ok()).unwrap_or(0)
    };
    let number = usize::try_from(number).ok();
    let (start, end) = (end(number.and_then(|number| number.checked_sub(1))), end(number));
    bytes.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_held_once_and_within_bounds() {
        let mut texts = Texts::default();
        let one = texts.add("one").expect("room");
        let two = texts.add("hai").expect("room");
        assert_eq!((texts.add("one"), texts.add("")), (Some(one), Some(0)));
        assert_eq!((texts.get(one), texts.get(two), texts.get(0), texts.get(99)), ("one", "hai", "", ""));
        let long = "x".repeat(BYTES_MAX);
        assert_eq!(texts.add(&long), None);
        texts.shrink();
        assert_eq!(texts.get(two), "hai");
    }
}
