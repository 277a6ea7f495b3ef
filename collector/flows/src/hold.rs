//! Data that came before their template. They wait for it, up to a number of bytes and a time.

use std::collections::VecDeque;
use std::net::IpAddr;

use rustc_hash::FxHashMap;

use crate::store::StreamKey;
use crate::wire::Reader;

/// How much may wait, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HoldLimits {
    /// Bytes of all. When full, what has waited longest goes.
    pub bytes: usize,
    /// Bytes of one exporter. When full, what comes is not taken.
    pub bytes_per_exporter: usize,
    /// In the unit of the times that are handed in.
    pub age: i64,
}

/// One message that waits.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Waiting {
    number: u64,
    since: i64,
    message: Vec<u8>,
}

/// Which template is waited for.
type Wanted = (StreamKey, u16);

#[derive(Debug)]
pub struct Hold {
    limits: HoldLimits,
    messages: FxHashMap<Wanted, VecDeque<Waiting>>,
    per_exporter: FxHashMap<IpAddr, usize>,
    /// Everything that waits or has waited, the oldest first.
    order: VecDeque<(u64, Wanted)>,
    len: usize,
    count: usize,
    next: u64,
}

/// What is kept beside a message takes about so many bytes.
const OVERHEAD: usize = 128;

impl Hold {
    pub fn new(limits: HoldLimits) -> Self {
        Self {
            limits,
            messages: FxHashMap::default(),
            per_exporter: FxHashMap::default(),
            order: VecDeque::new(),
            len: 0,
            count: 0,
            next: 0,
        }
    }

    /// Messages that wait, and their bytes.
    pub fn waiting(&self) -> (usize, usize) {
        (self.count, self.len)
    }

    /// Takes a message. How many messages were given up for it is the answer; it may be this one.
    pub fn push(&mut self, stream: StreamKey, template: u16, message: Vec<u8>, now: i64) -> u64 {
        let len = message.len() + OVERHEAD;
        let own = self.per_exporter.get(&stream.exporter).copied().unwrap_or_default();
        if len > self.limits.bytes || own + len > self.limits.bytes_per_exporter {
            return 1;
        }
        let mut given_up = 0;
        while self.len + len > self.limits.bytes && self.drop_oldest() {
            given_up += 1;
        }
        let number = self.next;
        self.next += 1;
        *self.per_exporter.entry(stream.exporter).or_default() += len;
        (self.len, self.count) = (self.len + len, self.count + 1);
        let wanted = (stream, template);
        self.messages.entry(wanted).or_default().push_back(Waiting { number, since: now, message });
        self.order.push_back((number, wanted));
        if self.order.len() > 2 * self.count + 1_024 {
            self.tidy();
        }
        given_up
    }

    /// The messages that wait for this template, in the order in which they came.
    pub fn take(&mut self, stream: StreamKey, template: u16) -> Vec<Vec<u8>> {
        let waiting = self.messages.remove(&(stream, template)).unwrap_or_default();
        waiting
            .into_iter()
            .map(|waiting| {
                self.forget(stream.exporter, waiting.message.len());
                waiting.message
            })
            .collect()
    }

    /// Gives up what has waited too long. How many messages that were is the answer.
    pub fn expire(&mut self, now: i64) -> u64 {
        let mut given_up = 0;
        while let Some((number, wanted)) = self.order.front() {
            let front = self.messages.get(wanted).and_then(VecDeque::front);
            match front.filter(|waiting| waiting.number == *number) {
                Some(waiting) if now.saturating_sub(waiting.since) < self.limits.age => break,
                Some(_) => {
                    self.drop_oldest();
                    given_up += 1;
                }
                None => drop(self.order.pop_front()),
            }
        }
        given_up
    }

    fn drop_oldest(&mut self) -> bool {
        while let Some((number, wanted)) = self.order.pop_front() {
            let Some(queue) = self.messages.get_mut(&wanted) else { continue };
            if queue.front().is_none_or(|waiting| waiting.number != number) {
                continue;
            }
            let waiting = queue.pop_front();
            if queue.is_empty() {
                self.messages.remove(&wanted);
            }
            if let Some(waiting) = waiting {
                self.forget(wanted.0.exporter, waiting.message.len());
                return true;
            }
        }
        false
    }

    fn forget(&mut self, exporter: IpAddr, message_len: usize) {
        let len = message_len + OVERHEAD;
        (self.len, self.count) = (self.len.saturating_sub(len), self.count.saturating_sub(1));
        if let Some(own) = self.per_exporter.get_mut(&exporter) {
            *own = own.saturating_sub(len);
            if *own == 0 {
                self.per_exporter.remove(&exporter);
            }
        }
    }

    /// Throws away what `order` says of messages that are gone.
    fn tidy(&mut self) {
        let messages = &self.messages;
        self.order.retain(|(number, wanted)| {
            messages.get(wanted).and_then(VecDeque::front).is_some_and(|front| front.number <= *number)
        });
    }

    /// Everything that waits, as bytes: a list of exporter, age, length and message.
    pub fn snapshot(&self, now: i64) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, (stream, template)) in &self.order {
            let queue = self.messages.get(&(*stream, *template));
            let Some(waiting) = queue.into_iter().flatten().find(|waiting| waiting.number == *number) else { continue };
            let mapped = match stream.exporter {
                IpAddr::V4(address) => address.to_ipv6_mapped(),
                IpAddr::V6(address) => address,
            };
            out.extend_from_slice(&mapped.octets());
            out.extend_from_slice(&now.saturating_sub(waiting.since).to_be_bytes());
            out.extend_from_slice(&u32::try_from(waiting.message.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(&waiting.message);
        }
        out
    }
}

/// Reads what [`Hold::snapshot`] wrote: exporter, how long it had waited, and the message, to be fed once more.
pub fn held(bytes: &[u8]) -> Vec<(IpAddr, i64, &[u8])> {
    let mut reader = Reader::new(bytes);
    let mut next = || {
        let exporter = reader.ipv6()?.to_canonical();
        let age = reader.u64()?.cast_signed();
        let len = usize::try_from(reader.u32()?).ok()?;
        Some((exporter, age, reader.take(len)?))
    };
    std::iter::from_fn(&mut next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Protocol;

    fn stream(last: u8) -> StreamKey {
        StreamKey { exporter: [10, 0, 0, last].into(), protocol: Protocol::Ipfix, domain: 0 }
    }

    fn hold() -> Hold {
        Hold::new(HoldLimits { bytes: 10 * (OVERHEAD + 1), bytes_per_exporter: 6 * (OVERHEAD + 1), age: 100 })
    }

    #[test]
    fn messages_come_back_in_order_and_once() {
        let mut hold = hold();
        for byte in 0..3 {
            assert_eq!(hold.push(stream(1), 256, vec![byte], 0), 0);
        }
        assert_eq!(hold.push(stream(1), 257, vec![9], 0), 0);
        assert_eq!(hold.take(stream(1), 256), [[0], [1], [2]]);
        assert_eq!(hold.take(stream(1), 256), Vec::<Vec<u8>>::new());
        assert_eq!(hold.waiting(), (1, OVERHEAD + 1));
        let bytes = hold.snapshot(30);
        assert_eq!(held(&bytes), [([10, 0, 0, 1].into(), 30, &[9u8][..])]);
        assert_eq!(held(&bytes[..bytes.len() - 1]), []);
    }

    #[test]
    fn what_is_too_much_or_too_old_is_given_up_and_counted() {
        let mut hold = hold();
        for n in 0..8 {
            assert_eq!(hold.push(stream(1), 256, vec![n], i64::from(n)), u64::from(n >= 6));
        }
        for n in 0..5 {
            assert_eq!(hold.push(stream(2), 256, vec![n], 50), u64::from(n >= 4));
        }
        assert_eq!(hold.waiting().0, 10);
        assert_eq!(hold.take(stream(1), 256)[0], [1]);
        assert_eq!(hold.expire(149), 0);
        assert_eq!(hold.expire(150), 5);
        assert_eq!(hold.waiting(), (0, 0));
        assert!(hold.per_exporter.is_empty());
    }

    #[test]
    fn what_is_remembered_of_taken_messages_is_bounded() {
        let mut hold = hold();
        hold.push(stream(2), 256, vec![1], 0);
        for n in 0..10_000 {
            hold.push(stream(1), 300, vec![1], n);
            hold.take(stream(1), 300);
        }
        assert!(hold.order.len() < 2_000);
        assert_eq!(hold.take(stream(2), 256).len(), 1);
    }
}
