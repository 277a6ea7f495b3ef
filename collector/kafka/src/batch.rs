//! Batches of records as brokers keep them (magic 2), and the records in them, one at a time, so that a batch that is much
//! longer unpacked takes no more memory than one of its records.

use std::io::{self, BufReader, Read};

use bytes::Bytes;
use rustc_hash::FxHashSet;

use crate::crc::crc32c;
use crate::unpack::{self, Packing};

/// Base offset and length, which stand before what the length counts.
const PREFIX_LEN: usize = 12;
/// Up to the checksum, and up to the records.
const CHECKED_AT: usize = 21;
const HEAD_LEN: usize = 61;

/// A transaction that was given up: what its producer wrote from `first` on is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Aborted {
    pub producer: i64,
    pub first: i64,
}

/// Why the records of a batch cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadBatch {
    #[error("records {first} to {last} are damaged: their checksum is wrong")]
    Checksum { first: i64, last: i64 },
    #[error("records {first} to {last} cannot be unpacked or read")]
    Records { first: i64, last: i64 },
    #[error(
        "records from {first} on are of the form before Kafka 0.11, which is not read; let the broker convert the topic"
    )]
    TooOld { first: i64 },
    #[error("what was fetched is no batch of records")]
    NoBatch,
}

/// The longest parts of a record that are kept, in bytes, and the most headers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub key: usize,
    pub value: usize,
    pub headers: usize,
    pub header: usize,
}

/// One record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    pub offset: i64,
    /// Milliseconds since 1970: when it was made, or when the broker got it, as the topic says.
    pub time_ms: i64,
    pub key: Option<Vec<u8>>,
    /// Nothing for a record that says that its key is gone.
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// The value was longer than it may be.
    pub is_cut: bool,
}

/// A batch.
pub struct Batch {
    pub first: i64,
    /// The last offset that it stands for; records may have been taken out of it.
    pub last: i64,
    /// Nothing for what Kafka writes for itself, and for what was given up.
    pub records: Option<Records>,
}

/// The batches of one partition that were fetched together.
#[derive(Debug)]
pub struct Batches {
    rest: Bytes,
    aborted: std::collections::VecDeque<Aborted>,
    /// Producers whose transaction at this place was given up.
    giving_up: FxHashSet<i64>,
    check: bool,
    is_first: bool,
}

impl Batches {
    pub fn new(records: Bytes, mut aborted: Vec<Aborted>) -> Self {
        aborted.sort_by_key(|aborted| aborted.first);
        Self { rest: records, aborted: aborted.into(), giving_up: FxHashSet::default(), check: true, is_first: true }
    }

    /// Does not compare checksums, so that the fuzzer gets past them.
    #[must_use]
    pub(crate) fn without_checksums(self) -> Self {
        Self { check: false, ..self }
    }

    fn read(&mut self) -> Option<Result<Batch, BadBatch>> {
        // The last one may have been cut off by the broker, and comes whole with the next fetch.
        let whole = |rest: &Bytes| {
            let base = i64::from_be_bytes(*rest.first_chunk()?);
            let len = i32::from_be_bytes(*rest.get(8..)?.first_chunk()?);
            Some((base, usize::try_from(len).ok()?.checked_add(PREFIX_LEN)?)).filter(|(_, len)| *len <= rest.len())
        };
        let Some((base, len)) = whole(&self.rest) else {
            let is_nothing = self.rest.is_empty() || !self.is_first;
            self.rest.clear();
            return if is_nothing { None } else { Some(Err(BadBatch::NoBatch)) };
        };
        self.is_first = false;
        let batch = self.rest.split_to(len);
        if batch.get(16).is_some_and(|magic| *magic < 2) {
            self.rest.clear();
            return Some(Err(BadBatch::TooOld { first: base }));
        }
        let Some(head) = Head::read(&batch, base) else {
            self.rest.clear();
            return Some(Err(BadBatch::NoBatch));
        };
        Some(self.judge(&batch, &head))
    }

    fn judge(&mut self, batch: &Bytes, head: &Head) -> Result<Batch, BadBatch> {
        let (first, last) = (head.base, head.last);
        if self.check && crc32c(batch.get(CHECKED_AT..).unwrap_or_default()) != head.crc {
            return Err(BadBatch::Checksum { first, last });
        }
        while let Some(aborted) = self.aborted.front().filter(|aborted| aborted.first <= last) {
            self.giving_up.insert(aborted.producer);
            self.aborted.pop_front();
        }
        let is_transactional = head.attributes & 0x10 != 0;
        let is_control = head.attributes & 0x20 != 0;
        let bad = BadBatch::Records { first, last };
        let packing = Packing::of(head.attributes).ok_or(bad)?;
        let input = unpack::open(packing, batch.slice(HEAD_LEN..)).map_err(|_| bad)?;
        let mut records = Records {
            input: BufReader::with_capacity(32 * 1024, input),
            left: head.count,
            first: head.base,
            last: head.last,
            base_time: head.base_time,
            append_time: (head.attributes & 0x08 != 0).then_some(head.max_time),
        };
        if is_control {
            // Of a transaction that ends: its key says how.
            let limits = Limits { key: 4, value: 0, headers: 0, header: 0 };
            if let Ok(Some(record)) = records.next(&limits)
                && record.key.as_deref() == Some(&[0, 0, 0, 0])
            {
                self.giving_up.remove(&head.producer);
            }
            return Ok(Batch { first, last, records: None });
        }
        let is_given_up = is_transactional && self.giving_up.contains(&head.producer);
        Ok(Batch { first, last, records: (!is_given_up).then_some(records) })
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, BadBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read()
    }
}

struct Head {
    base: i64,
    last: i64,
    crc: u32,
    attributes: i16,
    base_time: i64,
    max_time: i64,
    producer: i64,
    count: i32,
}

impl Head {
    fn read(batch: &[u8], base: i64) -> Option<Self> {
        let i64_at = |at: usize| Some(i64::from_be_bytes(*batch.get(at..)?.first_chunk()?));
        let i32_at = |at: usize| Some(i32::from_be_bytes(*batch.get(at..)?.first_chunk()?));
        let head = Self {
            base,
            crc: i32_at(17)?.cast_unsigned(),
            attributes: i16::from_be_bytes(*batch.get(CHECKED_AT..)?.first_chunk()?),
            last: base.checked_add(i64::from(i32_at(23)?))?,
            base_time: i64_at(27)?,
            max_time: i64_at(35)?,
            producer: i64_at(43)?,
            count: i32_at(57)?,
        };
        (head.base >= 0 && head.last >= head.base && head.count >= 0 && batch.len() >= HEAD_LEN).then_some(head)
    }
}

/// The records of a batch, in their order.
pub struct Records {
    input: BufReader<Box<dyn Read + Send>>,
    left: i32,
    first: i64,
    last: i64,
    base_time: i64,
    append_time: Option<i64>,
}

impl Records {
    /// The next record; `None` at the end.
    ///
    /// # Errors
    ///
    /// If the rest cannot be read; the records before it are good.
    pub fn next(&mut self, limits: &Limits) -> Result<Option<Record>, BadBatch> {
        if self.left <= 0 {
            return Ok(None);
        }
        self.left -= 1;
        match self.read(limits) {
            Ok(record) => Ok(Some(record)),
            Err(_) => {
                self.left = 0;
                Err(BadBatch::Records { first: self.first, last: self.last })
            }
        }
    }

    fn read(&mut self, limits: &Limits) -> io::Result<Record> {
        let len = signed(&mut self.input)?;
        let len = u64::try_from(len).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut input = (&mut self.input).take(len);
        byte(&mut input)?; // attributes
        let made = self.base_time.saturating_add(signed(&mut input)?);
        let time_ms = self.append_time.unwrap_or(made);
        let offset = self.first.saturating_add(signed(&mut input)?);
        if offset < self.first || offset > self.last {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (key, _) = part(&mut input, limits.key)?;
        let (value, is_cut) = part(&mut input, limits.value)?;
        let count = signed(&mut input)?;
        let mut headers = Vec::new();
        for _ in 0..usize::try_from(count).unwrap_or(0).min(limits.headers) {
            let (name, _) = part(&mut input, limits.header)?;
            headers.push((name.unwrap_or_default(), part(&mut input, limits.header)?.0));
        }
        // More headers, or what a later version adds.
        io::copy(&mut input, &mut io::sink())?;
        if input.limit() > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Record { offset, time_ms, key, value, headers, is_cut })
    }
}

/// Bytes with their length before them; nothing for a negative length. Of more than `max` the start, and whether it is.
fn part(input: &mut impl Read, max: usize) -> io::Result<(Option<Vec<u8>>, bool)> {
    let Ok(len) = u64::try_from(signed(input)?) else { return Ok((None, false)) };
    let kept = len.min(max as u64);
    let mut bytes = Vec::new();
    input.take(kept).read_to_end(&mut bytes)?;
    let skipped = io::copy(&mut input.take(len - kept), &mut io::sink())?;
    if (bytes.len() as u64) < kept || skipped < len - kept {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((Some(bytes), len > kept))
}

fn byte(input: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    input.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// A number with its sign in the lowest bit, seven bits to a byte.
fn signed(input: &mut impl Read) -> io::Result<i64> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let byte = byte(input)?;
        value |= u64::from(byte & 0x7f).wrapping_shl(shift);
        if byte & 0x80 == 0 {
            return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}
