//! Messages of GELF that came in several datagrams (facts: Graylog's specification, "GELF via UDP"): two magic bytes, eight
//! of a number that all chunks of a message share, the number of this chunk, and how many there are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rustc_hash::{FxHashMap, FxHasher};

const MAGIC: [u8; 2] = [0x1e, 0x0f];
const HEAD_LEN: usize = 12;
/// The most chunks of a message, as the specification has it.
const CHUNKS_MAX: u8 = 128;
/// Messages that were completed and are remembered for as long as chunks wait, so that a chunk that the network doubled
/// does not open one again.
const DONE_MAX: usize = 4_096;

/// Who sent it, and the number that it gave the message.
type Key = (IpAddr, [u8; 8]);

/// What became of a datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Chunk<'a> {
    /// It is a whole message by itself.
    Single(&'a [u8]),
    /// It completes this message.
    Last(Vec<u8>),
    /// More have to come.
    Waits,
    /// Its head cannot be.
    Bad,
}

/// What is waited for, in all and of one sender.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) bytes_per_sender: usize,
    pub(super) age: Duration,
}

#[derive(Debug)]
struct Waiting {
    /// Its place in the order of coming.
    turn: u64,
    chunks: Vec<Option<Box<[u8]>>>,
    missing: u8,
    bytes: usize,
}

/// What waits of one sender.
#[derive(Debug, Default)]
struct OfSender {
    bytes: usize,
    /// The turns of its messages.
    turns: BTreeSet<u64>,
}

/// Messages that are not complete.
#[derive(Debug)]
pub(super) struct Chunks {
    limits: Limits,
    waiting: FxHashMap<Key, Waiting>,
    /// The same in the order of coming, each with the time when it began.
    order: BTreeMap<u64, (Instant, Key)>,
    next_turn: u64,
    bytes: usize,
    senders: FxHashMap<IpAddr, OfSender>,
    given_up: u64,
    /// The last messages that were completed, each with the hashes of its chunks.
    done: FxHashMap<Key, Box<[u32]>>,
    done_order: VecDeque<(Instant, Key)>,
}

impl Chunks {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: FxHashMap::default(),
            order: BTreeMap::new(),
            next_turn: 0,
            bytes: 0,
            senders: FxHashMap::default(),
            given_up: 0,
            done: FxHashMap::default(),
            done_order: VecDeque::new(),
        }
    }

    pub(super) fn take<'a>(&mut self, datagram: &'a [u8], peer: IpAddr, now: Instant) -> Chunk<'a> {
        if !datagram.starts_with(&MAGIC) {
            return Chunk::Single(datagram);
        }
        let Some((head, body)) = datagram.split_at_checked(HEAD_LEN) else { return Chunk::Bad };
        let (number, count) = (head[10], head[11]);
        if count == 0 || count > CHUNKS_MAX || number >= count {
            return Chunk::Bad;
        }
        if count == 1 {
            return Chunk::Single(body);
        }
        let mut id = [0; 8];
        id.copy_from_slice(&head[2..10]);
        let key = (peer, id);
        if !self.waiting.contains_key(&key) {
            if self.done.get(&key).is_some_and(|done| done.get(usize::from(number)) == Some(&hash(body))) {
                return Chunk::Waits; // the network doubled it
            }
            // Another message under a number that the sender uses again.
            self.done.remove(&key);
            self.open(key, count, now);
        }
        let Some(waiting) = self.waiting.get_mut(&key) else { return Chunk::Bad };
        match waiting.chunks.get_mut(usize::from(number)) {
            Some(place @ None) if waiting.missing > 0 => *place = Some(body.into()),
            Some(_) => return Chunk::Waits, // the network doubled it
            None => return Chunk::Bad,
        }
        waiting.missing -= 1;
        // What is kept beside the bytes counts too: empty chunks must not be free.
        let len = body.len() + 64;
        waiting.bytes += len;
        let is_last = waiting.missing == 0;
        self.bytes += len;
        self.senders.entry(peer).or_default().bytes += len;
        if is_last && let Some(waiting) = self.remove(&key) {
            let chunks: Vec<_> = waiting.chunks.into_iter().flatten().collect();
            self.remember(key, chunks.iter().map(|chunk| hash(chunk)).collect(), now);
            return Chunk::Last(chunks.concat());
        }
        self.make_room(peer);
        Chunk::Waits
    }

    fn open(&mut self, key: Key, count: u8, now: Instant) {
        let turn = self.next_turn;
        self.next_turn += 1;
        let chunks = (0..count).map(|_| None).collect();
        // The table of the chunks is there before they are: whoever announces many pays for them at once.
        let table = usize::from(count) * size_of::<Option<Box<[u8]>>>() + 256;
        self.bytes += table;
        let sender = self.senders.entry(key.0).or_default();
        sender.bytes += table;
        sender.turns.insert(turn);
        self.order.insert(turn, (now, key));
        self.waiting.insert(key, Waiting { turn, chunks, missing: count, bytes: table });
    }

    fn remember(&mut self, key: Key, chunks: Box<[u32]>, now: Instant) {
        if self.done_order.len() >= DONE_MAX
            && let Some((_, oldest)) = self.done_order.pop_front()
        {
            self.done.remove(&oldest);
        }
        self.done.insert(key, chunks);
        self.done_order.push_back((now, key));
    }

    /// Gives up what has waited too long. Answers how many messages were given up since the last call.
    pub(super) fn expire(&mut self, now: Instant) -> u64 {
        let age = self.limits.age;
        let is_old = |since: &Instant| now.saturating_duration_since(*since) > age;
        while self.done_order.front().is_some_and(|(since, _)| is_old(since)) {
            if let Some((_, key)) = self.done_order.pop_front() {
                self.done.remove(&key);
            }
        }
        while let Some((_, (since, key))) = self.order.first_key_value()
            && is_old(since)
        {
            let key = *key;
            self.give_up(&key);
        }
        std::mem::take(&mut self.given_up)
    }

    /// The oldest go: those of a sender that has too much, then any.
    fn make_room(&mut self, peer: IpAddr) {
        while let Some(sender) = self.senders.get(&peer)
            && sender.bytes > self.limits.bytes_per_sender
            && let Some((_, key)) = sender.turns.first().and_then(|turn| self.order.get(turn)).copied()
        {
            self.give_up(&key);
        }
        while self.bytes > self.limits.bytes
            && let Some((_, (_, key))) = self.order.first_key_value()
        {
            let key = *key;
            self.give_up(&key);
        }
    }

    fn give_up(&mut self, key: &Key) {
        self.given_up += u64::from(self.remove(key).is_some());
    }

    fn remove(&mut self, key: &Key) -> Option<Waiting> {
        let waiting = self.waiting.remove(key)?;
        self.order.remove(&waiting.turn);
        self.bytes = self.bytes.saturating_sub(waiting.bytes);
        if let Some(sender) = self.senders.get_mut(&key.0) {
            sender.bytes = sender.bytes.saturating_sub(waiting.bytes);
            sender.turns.remove(&waiting.turn);
            if sender.turns.is_empty() {
                self.senders.remove(&key.0);
            }
        }
        Some(waiting)
    }
}

/// Tells chunks of one number apart. Whoever can forge one can forge any other, so it need not be hard to find.
fn hash(chunk: &[u8]) -> u32 {
    let hash = BuildHasherDefault::<FxHasher>::default().hash_one(chunk);
    (hash >> 32) as u32 ^ hash as u32
}

/// Datagrams, each with a byte of length before it.
pub(super) fn fuzz(bytes: &[u8]) {
    let limits = Limits { bytes: 1_000, bytes_per_sender: 500, age: Duration::from_secs(5) };
    let mut chunks = Chunks::new(limits);
    let now = Instant::now();
    let mut rest = bytes;
    while let Some((len, more)) = rest.split_first() {
        let (datagram, more) = more.split_at(usize::from(*len).min(more.len()));
        chunks.take(datagram, [192, 0, 2, 1].into(), now);
        assert!(chunks.bytes <= 1_000, "more is kept than may be");
        assert_eq!(chunks.order.len(), chunks.waiting.len(), "the order has others than wait");
        rest = more;
    }
    chunks.expire(now + Duration::from_secs(10));
    assert!(
        chunks.bytes == 0 && chunks.waiting.is_empty() && chunks.order.is_empty() && chunks.senders.is_empty(),
        "something is never given up"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn chunk(id: u8, number: u8, count: u8, body: &[u8]) -> Vec<u8> {
        [&MAGIC[..], &[id; 8], &[number, count], body].concat()
    }

    #[test]
    fn a_message_is_whole_when_its_last_chunk_comes() {
        let mut chunks = Chunks::new(Limits { bytes: 10_000, bytes_per_sender: 5_000, age: Duration::from_secs(5) });
        let now = Instant::now();
        assert_eq!(chunks.take(b"{}", PEER, now), Chunk::Single(b"{}"));
        assert_eq!(chunks.take(&chunk(1, 1, 3, b"b"), PEER, now), Chunk::Waits);
        assert_eq!(chunks.take(&chunk(1, 1, 3, b"b"), PEER, now), Chunk::Waits);
        assert_eq!(chunks.take(&chunk(2, 0, 1, b"alone"), PEER, now), Chunk::Single(b"alone"));
        assert_eq!(chunks.take(&chunk(1, 2, 3, b"c"), PEER, now), Chunk::Waits);
        assert_eq!(chunks.take(&chunk(1, 0, 3, b"a"), PEER, now), Chunk::Last(b"abc".to_vec()));
        for bad in [chunk(3, 0, 0, b""), chunk(3, 3, 3, b""), chunk(3, 0, 129, b""), MAGIC.to_vec()] {
            assert_eq!(chunks.take(&bad, PEER, now), Chunk::Bad, "{bad:?}");
        }
        assert_eq!((chunks.expire(now), chunks.bytes), (0, 0));
    }

    #[test]
    fn a_doubled_chunk_does_not_open_a_finished_message_again() {
        let limits = Limits { bytes: 10_000, bytes_per_sender: 5_000, age: Duration::from_secs(5) };
        let mut chunks = Chunks::new(limits);
        let now = Instant::now();
        assert_eq!(chunks.take(&chunk(1, 0, 2, b"a"), PEER, now), Chunk::Waits);
        assert_eq!(chunks.take(&chunk(1, 1, 2, b"b"), PEER, now), Chunk::Last(b"ab".to_vec()));
        assert_eq!(chunks.take(&chunk(1, 0, 2, b"a"), PEER, now), Chunk::Waits);
        assert!(chunks.waiting.is_empty(), "it waits for a message that came already");
        // A sender that uses its numbers again loses nothing.
        assert_eq!(chunks.take(&chunk(1, 0, 2, b"c"), PEER, now), Chunk::Waits);
        assert_eq!(chunks.take(&chunk(1, 1, 2, b"b"), PEER, now), Chunk::Last(b"cb".to_vec()));
        assert_eq!(chunks.expire(now + Duration::from_secs(6)), 0);
        assert!(chunks.done.is_empty() && chunks.done_order.is_empty());
    }

    #[test]
    fn nothing_is_kept_of_what_does_not_wait() {
        let limits = Limits { bytes: 1 << 20, bytes_per_sender: 1 << 20, age: Duration::from_secs(5) };
        let mut chunks = Chunks::new(limits);
        let now = Instant::now();
        chunks.take(&chunk(0, 0, 2, b"waits"), PEER, now);
        for n in 0..20_000_u32 {
            let mut piece = chunk(1, 0, 2, b"x");
            piece[2..6].copy_from_slice(&n.to_be_bytes());
            chunks.take(&piece, PEER, now);
            piece[10] = 1;
            assert!(matches!(chunks.take(&piece, PEER, now), Chunk::Last(_)));
        }
        assert_eq!((chunks.waiting.len(), chunks.order.len()), (1, 1));
        assert!(chunks.done.len() <= DONE_MAX && chunks.done_order.len() <= DONE_MAX);
    }

    #[test]
    fn what_never_ends_is_given_up_and_counted() {
        let mut chunks = Chunks::new(Limits { bytes: 1_000, bytes_per_sender: 500, age: Duration::from_secs(5) });
        let now = Instant::now();
        chunks.take(&chunk(1, 0, 2, b"a"), PEER, now);
        assert_eq!(chunks.expire(now + Duration::from_secs(4)), 0);
        assert_eq!(chunks.expire(now + Duration::from_secs(6)), 1);
        for id in 0..=255 {
            chunks.take(&chunk(id, 0, 128, &[b'x'; 30]), PEER, now);
            chunks.take(&chunk(id, 0, 128, &[b'x'; 30]), [10, 0, 0, id].into(), now);
        }
        assert!(chunks.bytes <= 1_000);
        let waiting = chunks.waiting.len() as u64;
        assert_eq!(chunks.expire(now) + waiting, 512);
        assert_eq!(chunks.expire(now + Duration::from_secs(6)), waiting);
        fuzz(&[13, 0x1e, 0x0f, 1, 1, 1, 1, 1, 1, 1, 1, 0, 2, 7, 3, 0x1e, 0x0f, 1]);
    }
}
