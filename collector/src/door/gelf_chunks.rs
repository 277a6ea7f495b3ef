//! Messages of GELF that came in several datagrams (facts: Graylog's specification, "GELF via UDP"): two magic bytes, eight
//! of a number that all chunks of a message share, the number of this chunk, and how many there are.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

const MAGIC: [u8; 2] = [0x1e, 0x0f];
const HEAD_LEN: usize = 12;
/// The most chunks of a message, as the specification has it.
const CHUNKS_MAX: u8 = 128;

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
    chunks: Vec<Option<Box<[u8]>>>,
    missing: u8,
    bytes: usize,
}

/// Messages that are not complete.
#[derive(Debug)]
pub(super) struct Chunks {
    limits: Limits,
    waiting: FxHashMap<Key, Waiting>,
    order: VecDeque<(Instant, Key)>,
    bytes: usize,
    bytes_of: FxHashMap<IpAddr, usize>,
    given_up: u64,
}

impl Chunks {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: FxHashMap::default(),
            order: VecDeque::new(),
            bytes: 0,
            bytes_of: FxHashMap::default(),
            given_up: 0,
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
        let mut id = [0; 8];
        id.copy_from_slice(&head[2..10]);
        let key = (peer, id);
        let waiting = match self.waiting.get_mut(&key) {
            Some(waiting) => waiting,
            None => {
                self.order.push_back((now, key));
                let chunks = (0..count).map(|_| None).collect();
                // The table of the chunks is there before they are: whoever announces many pays for them at once.
                let table = usize::from(count) * size_of::<Option<Box<[u8]>>>() + 128;
                self.bytes += table;
                *self.bytes_of.entry(peer).or_default() += table;
                self.waiting.entry(key).or_insert(Waiting { chunks, missing: count, bytes: table })
            }
        };
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
        *self.bytes_of.entry(peer).or_default() += len;
        if is_last && let Some(waiting) = self.remove(&key) {
            return Chunk::Last(waiting.chunks.into_iter().flatten().flat_map(|chunk| chunk.into_vec()).collect());
        }
        self.make_room(peer);
        Chunk::Waits
    }

    /// Gives up what has waited too long. Answers how many messages were given up since the last call.
    pub(super) fn expire(&mut self, now: Instant) -> u64 {
        while let Some((since, key)) = self.order.front().copied() {
            let is_old = now.saturating_duration_since(since) > self.limits.age;
            if !is_old && self.waiting.contains_key(&key) {
                break;
            }
            self.order.pop_front();
            if is_old && self.remove(&key).is_some() {
                self.given_up += 1;
            }
        }
        std::mem::take(&mut self.given_up)
    }

    /// The oldest go: those of a sender that has too much, then any.
    fn make_room(&mut self, peer: IpAddr) {
        while self.bytes_of.get(&peer).is_some_and(|bytes| *bytes > self.limits.bytes_per_sender) {
            let waiting = &self.waiting;
            let of_peer = |(_, key): &(Instant, Key)| key.0 == peer && waiting.contains_key(key);
            let Some(at) = self.order.iter().position(of_peer) else { break };
            self.give_up(at);
        }
        while self.bytes > self.limits.bytes && !self.order.is_empty() {
            self.give_up(0);
        }
    }

    fn give_up(&mut self, at: usize) {
        if let Some((_, key)) = self.order.remove(at)
            && self.remove(&key).is_some()
        {
            self.given_up += 1;
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Waiting> {
        let waiting = self.waiting.remove(key)?;
        self.bytes = self.bytes.saturating_sub(waiting.bytes);
        if let Some(bytes) = self.bytes_of.get_mut(&key.0) {
            *bytes = bytes.saturating_sub(waiting.bytes);
            if *bytes == 0 {
                self.bytes_of.remove(&key.0);
            }
        }
        Some(waiting)
    }
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
        rest = more;
    }
    chunks.expire(now + Duration::from_secs(10));
    assert!(
        chunks.bytes == 0 && chunks.waiting.is_empty() && chunks.bytes_of.is_empty(),
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
        assert_eq!(chunks.take(&chunk(2, 0, 1, b"alone"), PEER, now), Chunk::Last(b"alone".to_vec()));
        assert_eq!(chunks.take(&chunk(1, 2, 3, b"c"), PEER, now), Chunk::Waits);
        assert_eq!(chunks.take(&chunk(1, 0, 3, b"a"), PEER, now), Chunk::Last(b"abc".to_vec()));
        for bad in [chunk(3, 0, 0, b""), chunk(3, 3, 3, b""), chunk(3, 0, 129, b""), MAGIC.to_vec()] {
            assert_eq!(chunks.take(&bad, PEER, now), Chunk::Bad, "{bad:?}");
        }
        assert_eq!((chunks.expire(now), chunks.bytes), (0, 0));
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
