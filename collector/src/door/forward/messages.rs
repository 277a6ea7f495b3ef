//! Messages of the forward protocol: which of the four forms one has, and its events.

use std::borrow::Cow;

use super::super::unpack::Packed;
use crate::format::msgpack::{Head, Reader, Unread};

/// The longest tag, and the longest name of a chunk that is answered.
const TAG_MAX: usize = 1_024;
const CHUNK_MAX: usize = 256;

/// A message: its events, and the chunk that the sender wants to have acknowledged.
#[derive(Debug)]
pub(super) struct Message<'a> {
    /// The tag as it was sent.
    tag: &'a [u8],
    events: Events<'a>,
    pub(super) chunk: Option<&'a [u8]>,
}

#[derive(Debug)]
enum Events<'a> {
    /// Time and record.
    One(&'a [u8]),
    /// Pairs of them, behind one another.
    Many(Cow<'a, [u8]>),
}

/// Why a message is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BadMessage {
    Malformed,
    /// Unpacked it is longer than a message may be.
    TooLong,
}

impl From<Unread> for BadMessage {
    fn from(_: Unread) -> Self {
        Self::Malformed
    }
}

/// Whether a message may have to be unpacked. A guess that is right for all that are.
pub(super) fn is_packed(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, b"compressed").is_some()
}

impl<'a> Message<'a> {
    /// Reads a whole value. `None` if it says nothing: some senders let hear that they are there.
    pub(super) fn read(bytes: &'a [u8], len_max: usize) -> Result<Option<Self>, BadMessage> {
        let mut reader = Reader(bytes);
        let count = match reader.head()? {
            Head::Nil => return Ok(None),
            Head::List(count @ 2..=4) => count,
            _ => return Err(BadMessage::Malformed),
        };
        let tag = reader.skip()?;
        if Reader(tag).text()?.len() > TAG_MAX {
            return Err(BadMessage::Malformed);
        }
        let body = reader.0;
        let (events, left) = match reader.head()? {
            Head::List(events) => {
                let start = reader.0;
                for _ in 0..events {
                    reader.skip()?;
                }
                (Events::Many(Cow::Borrowed(&start[..start.len() - reader.0.len()])), count - 2)
            }
            Head::Text(len) | Head::Binary(len) => (Events::Many(Cow::Borrowed(reader.bytes(len)?)), count - 2),
            _ if count >= 3 => {
                reader = Reader(body);
                let (time, record) = (reader.skip()?, reader.skip()?);
                (Events::One(&body[..time.len() + record.len()]), count - 3)
            }
            _ => return Err(BadMessage::Malformed),
        };
        let mut message = Self { tag, events, chunk: None };
        match left {
            0 => (),
            1 => message.options(reader, len_max)?,
            _ => return Err(BadMessage::Malformed),
        }
        Ok(Some(message))
    }

    fn options(&mut self, mut reader: Reader<'a>, len_max: usize) -> Result<(), BadMessage> {
        let count = match reader.head()? {
            Head::Map(count) => count,
            Head::Nil => return Ok(()),
            _ => return Err(BadMessage::Malformed),
        };
        let mut packed = false;
        for _ in 0..count {
            let name = reader.text()?;
            let value = reader.skip()?;
            match name {
                b"chunk" => self.chunk = Some(Reader(value).text()?).filter(|chunk| chunk.len() <= CHUNK_MAX),
                b"compressed" => packed = Reader(value).text()? == b"gzip",
                _ => (),
            }
        }
        if let (true, Events::Many(events)) = (packed, &mut self.events) {
            let unpacked = Packed::Gzip.unpack(events, len_max).ok_or(BadMessage::Malformed)?;
            if unpacked.is_cut {
                return Err(BadMessage::TooLong);
            }
            *events = Cow::Owned(unpacked.bytes);
        }
        Ok(())
    }

    /// The events, each to be written with [`Message::write`].
    pub(super) fn events(&self) -> Entries<'_> {
        match &self.events {
            Events::One(event) => Entries { rest: &[], one: Some(event) },
            Events::Many(events) => Entries { rest: events, one: None },
        }
    }

    /// Length of what the journal keeps of its events, up to the first that cannot be read. The tag stands once in the
    /// message and is kept with every event.
    pub(super) fn kept_len(&self) -> usize {
        // A byte of the list, and the length and sender's mark of the record.
        let beside = self.tag.len() + 6;
        self.events().map_while(Result::ok).fold(0, |sum: usize, event| sum.saturating_add(event.len() + beside))
    }

    /// What the journal keeps of an event: tag, time and record in one list.
    pub(super) fn write(&self, event: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.push(0x93);
        out.extend_from_slice(self.tag);
        out.extend_from_slice(event);
    }
}

/// Time and record of one event after the other, as they were sent.
pub(super) struct Entries<'a> {
    rest: &'a [u8],
    one: Option<&'a [u8]>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<&'a [u8], BadMessage>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(event) = self.one.take() {
            return Some(Ok(event));
        }
        if self.rest.is_empty() {
            return None;
        }
        let event = self.read();
        if event.is_err() {
            self.rest = &[];
        }
        Some(event)
    }
}

impl<'a> Entries<'a> {
    fn read(&mut self) -> Result<&'a [u8], BadMessage> {
        let mut reader = Reader(self.rest);
        if reader.head()? != Head::List(2) {
            return Err(BadMessage::Malformed);
        }
        let start = reader.0;
        let (time, record) = (reader.skip()?, reader.skip()?);
        self.rest = reader.0;
        Ok(&start[..time.len() + record.len()])
    }
}

/// `{"ack": chunk}`
pub(super) fn acknowledge(out: &mut Vec<u8>, chunk: &[u8]) {
    out.extend_from_slice(b"\x81\xa3ack");
    put_text(out, chunk);
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    match u8::try_from(text.len()) {
        Ok(len @ 0..=31) => out.push(0xa0 | len),
        Ok(len) => out.extend_from_slice(&[0xd9, len]),
        Err(_) => {
            out.push(0xda);
            out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(&text[..text.len().min(usize::from(u16::MAX))]);
}

/// A message; its events through the decoder.
pub(in crate::door) fn fuzz(bytes: &[u8]) {
    let Ok(Some(message)) = Message::read(bytes, 10_000) else { return };
    let mut list = crate::envelope::RecordList::default();
    let mut record = Vec::new();
    for event in message.events().take(100).filter_map(Result::ok) {
        message.write(event, &mut record);
        list.push(&record, None, crate::envelope::Cut::Whole);
    }
    let records = list.len();
    let received = canh_schema::Timestamp::from_secs(1_793_000_000);
    let framing = crate::envelope::Framing::Fluent;
    let envelope = crate::Envelope::new(super::DOOR, received, framing, list.take());
    let batch = crate::decode(&envelope, canh_schema::Position::new(1), 1, &crate::DecodeSettings::default());
    assert_eq!(batch.events.len(), records, "each event of a message is an event");
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// `[7, {"k": "v"}]` without its head.
    const EVENT: &[u8] = b"\x07\x81\xa1k\xa1v";

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<(usize, Option<&[u8]>), BadMessage>) {
        let read = Message::read(bytes, 100).and_then(|message| match message {
            None => Ok((0, None)),
            Some(message) => {
                let events = message.events().collect::<Result<Vec<_>, _>>()?;
                assert!(events.iter().all(|event| *event == EVENT), "{events:?}");
                Ok((events.len(), message.chunk))
            }
        });
        assert_eq!(read, expected, "{bytes:02x?}");
        fuzz(bytes);
    }

    #[test]
    fn the_four_forms() {
        let tag = b"\xa3app".as_slice();
        let pair = [b"\x92".as_slice(), EVENT].concat();
        let option = b"\x81\xa5chunk\xa2c1".as_slice();
        check(&[b"\x93", tag, EVENT].concat(), Ok((1, None)));
        check(&[b"\x94", tag, EVENT, option].concat(), Ok((1, Some(b"c1"))));
        check(&[b"\x92", tag, b"\x92", &pair, &pair].concat(), Ok((2, None)));
        check(&[b"\x93", tag, b"\x92", &pair, &pair, option].concat(), Ok((2, Some(b"c1"))));
        let packed = [&[0xc4, u8::try_from(2 * pair.len()).unwrap()], pair.as_slice(), &pair].concat();
        check(&[b"\x92", tag, &packed].concat(), Ok((2, None)));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&pair.repeat(3)).unwrap();
        let gzip = gzip.finish().unwrap();
        let option = [b"\x82\xa5chunk\xa2c2".as_slice(), b"\xaacompressed\xa4gzip"].concat();
        let head = [0xc4, u8::try_from(gzip.len()).unwrap()];
        check(&[b"\x93", tag, &head, &gzip, &option].concat(), Ok((3, Some(b"c2"))));
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        bomb.write_all(&[0; 1_000]).unwrap();
        let bomb = bomb.finish().unwrap();
        let head = [0xc4, u8::try_from(bomb.len()).unwrap()];
        check(&[b"\x93", tag, &head, &bomb, &option].concat(), Err(BadMessage::TooLong));
        check(b"\xc0", Ok((0, None)));
        for bad in [&b"\x91\xa1t"[..], b"\x81\x01\x02", b"\x92\xa1t\x07", b"\x93\x01\x07\x80", b"\x92\xa1t\xc4\x01\x07"]
        {
            check(bad, Err(BadMessage::Malformed));
        }
    }
}
