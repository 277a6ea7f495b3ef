//! Finds which of thousands of short texts occur in a value, in one pass that hardly grows with their number.
//!
//! Beginnings and endings are looked up in a trie from that side. Texts that may be anywhere are found by windows of
//! four bytes, chosen to be rare: a bitmap says for each place of the value whether any such window is there, and only
//! then is the text itself compared. Each text has one window at an even and one at an odd distance from its beginning,
//! so that wherever it stands one of them is at an even place of the value, and only these are looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::matching::TextKind;

/// What is told when a literal was found: the item that it belongs to, and whether that is enough for the item to hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Mark {
    pub item: u32,
    pub sure: bool,
}

type Wanted = BTreeMap<Vec<u8>, Vec<Mark>>;

/// Literals of one field, to be compiled.
#[derive(Debug, Default)]
pub(crate) struct LiteralsBuilder {
    exact: Wanted,
    starts: Wanted,
    ends: Wanted,
    contains: Wanted,
}

impl LiteralsBuilder {
    pub(crate) fn add(&mut self, kind: TextKind, literal: &str, mark: Mark) {
        let wanted = match kind {
            TextKind::Exact => &mut self.exact,
            TextKind::StartsWith => &mut self.starts,
            TextKind::EndsWith => &mut self.ends,
            TextKind::Contains => &mut self.contains,
        };
        wanted.entry(literal.as_bytes().to_vec()).or_default().push(mark);
    }

    pub(crate) fn build(self) -> Literals {
        let reversed = self.ends.into_iter().map(|(mut literal, marks)| {
            literal.reverse();
            (literal, marks)
        });
        Literals {
            exact_len_max: self.exact.keys().map(Vec::len).max().unwrap_or(0),
            exact: self.exact.into_iter().map(|(literal, marks)| (literal.into(), marks.into())).collect(),
            starts: Trie::new(self.starts),
            ends: Trie::new(reversed.collect()),
            contains: Windows::new(self.contains),
        }
    }
}

/// The literals of one field.
#[derive(Debug)]
pub(crate) struct Literals {
    exact: FxHashMap<Box<[u8]>, Box<[Mark]>>,
    /// Bytes of the longest of them.
    exact_len_max: usize,
    starts: Trie,
    ends: Trie,
    contains: Windows,
}

impl Literals {
    /// Calls `found` for each literal that is in `text`, whose letters of ASCII may be of either case; possibly more than
    /// once. All others have to be in lower case already.
    pub(crate) fn scan(&self, text: &[u8], mut found: impl FnMut(Mark)) {
        if text.len() <= self.exact_len_max {
            self.exact(text, &mut found);
        }
        self.starts.walk(text.iter().copied(), &mut found);
        self.ends.walk(text.iter().rev().copied(), &mut found);
        self.contains.scan(text, &mut found);
    }

    fn exact(&self, text: &[u8], found: &mut impl FnMut(Mark)) {
        let mut lower: SmallVec<[u8; 64]> = SmallVec::from_slice(text);
        lower.make_ascii_lowercase();
        if let Some(marks) = self.exact.get(lower.as_slice()) {
            marks.iter().copied().for_each(found);
        }
    }
}

/// A tree over bytes; the children of a node are neighbours in `labels`.
#[derive(Debug, Default)]
struct Trie {
    nodes: Vec<TrieNode>,
    labels: Vec<u8>,
    marks: Vec<Mark>,
    /// By the first byte: the node below the root, 0 if there is none. The root has many children, the others few.
    first: Option<Box<[u16; 256]>>,
}

#[derive(Clone, Debug, Default)]
struct TrieNode {
    /// Range of `labels`; the node of label `i` is `i + 1`, because every node but the root has one label.
    children: (u32, u32),
    marks: (u32, u32),
}

impl Trie {
    fn new(wanted: Wanted) -> Self {
        let mut trie = Self::default();
        if wanted.is_empty() {
            return trie;
        }
        let sorted: Vec<(Vec<u8>, Vec<Mark>)> = wanted.into_iter().collect();
        let place = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        // Breadth first, so that the children of a node get neighbouring labels.
        let mut queue = std::collections::VecDeque::from([(0..sorted.len(), 0_usize)]);
        trie.nodes.push(TrieNode::default());
        let mut node = 0;
        while let Some((range, depth)) = queue.pop_front() {
            let marks_begin = trie.marks.len();
            let mut begin = range.start;
            while begin < range.end && sorted[begin].0.len() == depth {
                trie.marks.extend(&sorted[begin].1);
                begin += 1;
            }
            let labels_begin = trie.labels.len();
            while begin < range.end {
                let label = sorted[begin].0[depth];
                let len = sorted[begin..range.end].iter().take_while(|(literal, _)| literal[depth] == label).count();
                trie.labels.push(label);
                trie.nodes.push(TrieNode::default());
                queue.push_back((begin..begin + len, depth + 1));
                begin += len;
            }
            trie.nodes[node] = TrieNode {
                children: (place(labels_begin), place(trie.labels.len())),
                marks: (place(marks_begin), place(trie.marks.len())),
            };
            node += 1;
        }
        let mut first = Box::new([0; 256]);
        for (index, label) in (1_u16..).zip(&trie.labels[..trie.nodes[0].children.1 as usize]) {
            first[usize::from(*label)] = index;
        }
        trie.first = Some(first);
        trie
    }

    fn walk(&self, bytes: impl Iterator<Item = u8>, found: &mut impl FnMut(Mark)) {
        let (Some(first), Some(root)) = (&self.first, self.nodes.first()) else { return };
        self.tell(root, found);
        let mut bytes = bytes.map(|byte| byte.to_ascii_lowercase());
        let Some(byte) = bytes.next() else { return };
        let mut node = match first[usize::from(byte)] {
            0 => return,
            index => &self.nodes[usize::from(index)],
        };
        self.tell(node, found);
        for byte in bytes {
            let (begin, end) = (node.children.0 as usize, node.children.1 as usize);
            let Some(index) = self.labels[begin..end].iter().position(|label| *label == byte) else { return };
            node = &self.nodes[begin + index + 1];
            self.tell(node, found);
        }
    }

    fn tell(&self, node: &TrieNode, found: &mut impl FnMut(Mark)) {
        self.marks[node.marks.0 as usize..node.marks.1 as usize].iter().copied().for_each(found);
    }
}

/// Bytes of a window.
const WIDTH: usize = 4;

/// Every so many places of a value are looked at.
const STRIDE: usize = 2;

/// Words that most values of most sources have in common; a window from them is a bad choice.
const COMMON: &[&str] = &[
    "c:\\windows\\system32\\",
    "c:\\program files (x86)\\",
    "c:\\programdata\\microsoft\\",
    "c:\\users\\administrator\\appdata\\local\\temp\\",
    "c:\\users\\public\\appdata\\roaming\\microsoft\\windows\\",
    "\\syswow64\\",
    "hklm\\software\\microsoft\\windows\\currentversion\\",
    "hklm\\system\\currentcontrolset\\services\\",
    "hkcu\\software\\classes\\",
    "\\device\\harddiskvolume",
    "microsoft.windows",
    "powershell.exe -",
    "cmd.exe /c \"",
    "rundll32.exe",
    "svchost.exe -k",
    "kernel32.dll+",
    "kernelbase.dll+",
    "ntdll.dll+",
    ".dll,",
    ".exe ",
    ".exe\"",
    "https://www.",
    "http://",
    ".com/",
    ".html",
    ".php?",
    "system.",
    "/usr/bin/",
    "/usr/lib/",
    "/var/log/",
    "    ",
    "\r\n\r\n",
];

/// One bit for each hash of a window. The sizes are fixed so that no place needs a check of bounds.
#[derive(Debug)]
enum Bitmap {
    Small(Box<[u64; 64]>),
    Medium(Box<[u64; 2_048]>),
    Large(Box<[u64; 16_384]>),
}

impl Bitmap {
    /// At most one bit in 32 is set (until there are more than 32,768 windows), so that nearly every place of
    /// a value is passed with one look.
    fn for_windows(count: usize) -> Self {
        match count {
            0..=128 => Self::Small(Box::new([0; 64])),
            129..=4_096 => Self::Medium(Box::new([0; 2_048])),
            _ => Self::Large(vec![0; 16_384].try_into().unwrap_or_else(|_| Box::new([0; 16_384]))),
        }
    }

    fn set(&mut self, key: u32) {
        match self {
            Self::Small(words) => words[word_of::<64>(key)] |= bit_of::<64>(key),
            Self::Medium(words) => words[word_of::<2_048>(key)] |= bit_of::<2_048>(key),
            Self::Large(words) => words[word_of::<16_384>(key)] |= bit_of::<16_384>(key),
        }
    }
}

const fn hash_of<const WORDS: usize>(key: u32) -> usize {
    // The upper bits of a product are the well-mixed ones.
    (key.wrapping_mul(0x9E37_79B1) >> (32 - (WORDS * 64).trailing_zeros())) as usize
}

const fn word_of<const WORDS: usize>(key: u32) -> usize {
    (hash_of::<WORDS>(key) / 64) % WORDS
}

const fn bit_of<const WORDS: usize>(key: u32) -> u64 {
    1 << (hash_of::<WORDS>(key) % 64)
}

/// Calls `at` for each place of the text that is looked at and whose window may be in the bitmap.
fn places<const WORDS: usize>(words: &[u64; WORDS], text: &[u8], mut at: impl FnMut(usize, u32)) {
    for (place, bytes) in text.windows(WIDTH).enumerate().step_by(STRIDE) {
        let key = window(bytes);
        if words[word_of::<WORDS>(key)] & bit_of::<WORDS>(key) != 0 {
            at(place, key);
        }
    }
}

/// Texts that may be anywhere.
#[derive(Debug, Default)]
struct Windows {
    bitmap: Option<Bitmap>,
    by_window: FxHashMap<u32, Box<[Filed]>>,
    short: Short,
}

#[derive(Debug)]
struct Filed {
    literal: Box<[u8]>,
    /// Where in the literal its window is.
    offset: usize,
    /// Shared by the windows of one literal.
    marks: Arc<[Mark]>,
}

/// Four bytes as a number in which letters of both cases are the same. So are some other characters; what is found has to
/// be compared anyway.
fn window(bytes: &[u8]) -> u32 {
    bytes.first_chunk::<WIDTH>().map_or(0, |chunk| u32::from_le_bytes(*chunk) | 0x2020_2020)
}

/// The same for two bytes.
fn pair(first: u8, second: u8) -> u16 {
    u16::from_le_bytes([first, second]) | 0x2020
}

/// Whether the text begins with the literal, which is in lower case.
fn begins(text: &[u8], literal: &[u8]) -> bool {
    text.get(..literal.len()).is_some_and(|head| head.eq_ignore_ascii_case(literal))
}

impl Windows {
    fn new(wanted: Wanted) -> Self {
        let mut counts: FxHashMap<u32, u32> = FxHashMap::default();
        for common in COMMON {
            for bytes in common.as_bytes().windows(WIDTH) {
                *counts.entry(window(bytes)).or_default() += 1_000;
            }
        }
        for literal in wanted.keys() {
            for bytes in literal.windows(WIDTH) {
                *counts.entry(window(bytes)).or_default() += 1;
            }
        }
        let mut filed: FxHashMap<u32, Vec<Filed>> = FxHashMap::default();
        let mut short = Short::default();
        for (literal, marks) in wanted {
            // Shorter than this, and it has no window at some remainder.
            if literal.len() < WIDTH + STRIDE - 1 {
                short.add(&literal, marks);
                continue;
            }
            let marks: Arc<[Mark]> = marks.into();
            for first in 0..STRIDE {
                let rarest = literal
                    .windows(WIDTH)
                    .enumerate()
                    .skip(first)
                    .step_by(STRIDE)
                    .map(|(offset, bytes)| (counts.get(&window(bytes)).copied().unwrap_or(0), offset, window(bytes)))
                    .min();
                if let Some((_, offset, key)) = rarest {
                    let marks = Arc::clone(&marks);
                    filed.entry(key).or_default().push(Filed { literal: literal.as_slice().into(), offset, marks });
                }
            }
        }
        let mut windows = Self { bitmap: None, by_window: FxHashMap::default(), short };
        if !filed.is_empty() {
            let mut bitmap = Bitmap::for_windows(filed.len());
            filed.keys().for_each(|key| bitmap.set(*key));
            windows.bitmap = Some(bitmap);
        }
        windows.by_window = filed.into_iter().map(|(key, literals)| (key, literals.into())).collect();
        windows
    }

    fn scan(&self, text: &[u8], found: &mut impl FnMut(Mark)) {
        self.short.scan(text, found);
        let mut at = |place, key| self.compare(text, place, key, found);
        match &self.bitmap {
            None => (),
            Some(Bitmap::Small(words)) => places(words, text, &mut at),
            Some(Bitmap::Medium(words)) => places(words, text, &mut at),
            Some(Bitmap::Large(words)) => places(words, text, &mut at),
        }
    }

    /// A window that is probably in the bitmap for a literal: is the literal there?
    #[cold]
    fn compare(&self, text: &[u8], place: usize, key: u32, found: &mut impl FnMut(Mark)) {
        let Some(literals) = self.by_window.get(&key) else { return };
        for filed in literals {
            let Some(begin) = place.checked_sub(filed.offset) else { continue };
            if begins(&text[begin..], &filed.literal) {
                filed.marks.iter().copied().for_each(&mut *found);
            }
        }
    }
}

/// Texts too short for windows, under their first two bytes.
#[derive(Debug, Default)]
struct Short {
    /// One bit for each pair of bytes.
    pairs: Option<Box<[u64; 1_024]>>,
    by_pair: FxHashMap<u16, Vec<(Box<[u8]>, Vec<Mark>)>>,
    bytes: Vec<(u8, Vec<Mark>)>,
}

impl Short {
    fn add(&mut self, literal: &[u8], marks: Vec<Mark>) {
        match *literal {
            [] => (),
            [byte] => self.bytes.push((byte, marks)),
            [first, second, ..] => {
                let pair = pair(first, second);
                let pairs = self.pairs.get_or_insert_with(|| Box::new([0; 1_024]));
                pairs[usize::from(pair >> 6)] |= 1 << (pair & 63);
                self.by_pair.entry(pair).or_default().push((literal.into(), marks));
            }
        }
    }

    fn scan(&self, text: &[u8], found: &mut impl FnMut(Mark)) {
        for (byte, marks) in &self.bytes {
            if memchr::memchr2(*byte, byte.to_ascii_uppercase(), text).is_some() {
                marks.iter().copied().for_each(&mut *found);
            }
        }
        let Some(pairs) = &self.pairs else { return };
        for (place, bytes) in text.windows(2).enumerate() {
            let pair = pair(bytes[0], bytes[1]);
            if pairs[usize::from(pair >> 6)] >> (pair & 63) & 1 == 0 {
                continue;
            }
            for (literal, marks) in self.by_pair.get(&pair).into_iter().flatten() {
                if begins(&text[place..], literal) {
                    marks.iter().copied().for_each(&mut *found);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KINDS: [TextKind; 4] = [TextKind::Exact, TextKind::StartsWith, TextKind::EndsWith, TextKind::Contains];

    proptest! {
        #[test]
        fn the_same_is_found_as_by_looking_for_each(
            literals in prop::collection::vec((0..4_usize, "[ab.]{1,9}"), 0..30),
            text in "[abAB.]{0,20}",
        ) {
            let mut builder = LiteralsBuilder::default();
            for (item, (kind, literal)) in (0..).zip(&literals) {
                builder.add(KINDS[*kind], literal, Mark { item, sure: true });
            }
            let mut found = std::collections::BTreeSet::new();
            builder.build().scan(text.as_bytes(), |mark| { found.insert(mark.item); });
            let expected = (0..).zip(&literals).filter(|(_, (kind, literal))| KINDS[*kind].matches(&text.to_lowercase(), literal));
            prop_assert_eq!(found, expected.map(|(item, _)| item).collect());
        }
    }
}
