//! The bytes of a segment file: header, records, and how to find the next whole record after damage.
//!
//! All numbers are little-endian.
//!
//! ```text
//! header (32 bytes): magic "CANHSPOL", version u32, log id u64, first sequence u64, crc32 of the 28 bytes before
//! record:            length u32, crc32 u32, sequence u64, payload
//! ```
//!
//! The record checksum covers log id, length, sequence and payload. The id is random and stays on this host, so a
//! payload that carries the image of a record cannot pass for one when the log is searched after damage.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

pub(crate) const HEADER_LEN: usize = 32;
pub(crate) const RECORD_HEADER_LEN: usize = 16;
const MAGIC: &[u8; 8] = b"CANHSPOL";
const VERSION: u32 = 1;

pub(crate) fn path_of(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.log"))
}

/// The first sequence number in a segment's name, or `None` if the file is not a segment.
pub(crate) fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

pub(crate) fn header(id: u64, first: u64) -> [u8; HEADER_LEN] {
    let mut bytes = [0; HEADER_LEN];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..20].copy_from_slice(&id.to_le_bytes());
    bytes[20..28].copy_from_slice(&first.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..28]);
    bytes[28..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Reads the log id and the first sequence number out of a header that is whole.
pub(crate) fn read_header(file: &File) -> Option<(u64, u64)> {
    let mut bytes = [0; HEADER_LEN];
    file.read_exact_at(&mut bytes, 0).ok()?;
    let crc = crc32fast::hash(&bytes[..28]);
    if bytes[..8] != *MAGIC || u32_at(&bytes, 8)? != VERSION || u32_at(&bytes, 28)? != crc {
        return None;
    }
    Some((u64_at(&bytes, 12)?, u64_at(&bytes, 20)?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// Makes and checks records of one log.
#[derive(Clone, Debug)]
pub(crate) struct Codec {
    seed: crc32fast::Hasher,
    record_max: u32,
}

/// What stands at one place of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// A whole record: its sequence number and the length of its payload.
    Whole { sequence: u64, len: usize },
    /// More bytes are needed: at least this many from the start of the record.
    Short { need: usize },
    /// Not a record.
    Bad,
}

impl Codec {
    pub(crate) fn new(id: u64, record_max: u32) -> Self {
        let mut seed = crc32fast::Hasher::new();
        seed.update(&id.to_le_bytes());
        Self { seed, record_max }
    }

    pub(crate) fn encode(&self, sequence: u64, parts: &[&[u8]], len: u32, out: &mut Vec<u8>) {
        let mut crc = self.seed.clone();
        crc.update(&len.to_le_bytes());
        crc.update(&sequence.to_le_bytes());
        for part in parts {
            crc.update(part);
        }
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&crc.finalize().to_le_bytes());
        out.extend_from_slice(&sequence.to_le_bytes());
        for part in parts {
            out.extend_from_slice(part);
        }
    }

    /// Looks at the start of `bytes`. A payload follows its header, so it is `bytes[16..16 + len]`.
    pub(crate) fn parse(&self, bytes: &[u8]) -> Parsed {
        let (Some(len), Some(crc), Some(sequence)) = (u32_at(bytes, 0), u32_at(bytes, 4), u64_at(bytes, 8)) else {
            return Parsed::Short { need: RECORD_HEADER_LEN };
        };
        if len > self.record_max || sequence == 0 {
            return Parsed::Bad;
        }
        let end = RECORD_HEADER_LEN + len as usize;
        let Some(payload) = bytes.get(RECORD_HEADER_LEN..end) else {
            return Parsed::Short { need: end };
        };
        let mut hasher = self.seed.clone();
        hasher.update(&len.to_le_bytes());
        hasher.update(&sequence.to_le_bytes());
        hasher.update(payload);
        if hasher.finalize() != crc {
            return Parsed::Bad;
        }
        Parsed::Whole { sequence, len: len as usize }
    }

    /// Finds the next whole record with `low <= sequence <= high`, byte by byte from `offset`.
    ///
    /// Loads the rest of the segment: this runs only after damage. Answers the record's offset and its number.
    pub(crate) fn search(&self, file: &File, offset: u64, low: u64, high: u64) -> io::Result<Option<(u64, u64)>> {
        let size = file.metadata()?.len();
        let len = usize::try_from(size.saturating_sub(offset)).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        let len = read_up_to(file, &mut bytes, offset)?;
        bytes.truncate(len);
        let mut at = 0;
        while at + RECORD_HEADER_LEN <= bytes.len() {
            // The number alone rules out nearly every place, so the checksum is computed for few of them.
            if let Some(sequence) = u64_at(&bytes, at + 8)
                && (low..=high).contains(&sequence)
                && matches!(self.parse(&bytes[at..]), Parsed::Whole { .. })
            {
                return Ok(Some((offset + at as u64, sequence)));
            }
            at += 1;
        }
        Ok(None)
    }
}

/// Fills `bytes` from `offset` as far as the file goes.
pub(crate) fn read_up_to(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_name(name: &str, expected: Option<u64>) {
        assert_eq!(first_of(name), expected, "name: {name}");
    }

    #[test]
    fn names() {
        check_name("00000000000000000001.log", Some(1));
        check_name("18446744073709551615.log", Some(u64::MAX));
        check_name("99999999999999999999.log", None);
        check_name("0000000000000000001.log", None);
        check_name("0000000000000000000+.log", None);
        check_name("00000000000000000001.tmp", None);
        check_name("id", None);
    }

    #[test]
    fn a_record_is_read_back_only_by_its_own_log() {
        let codec = Codec::new(7, 1024);
        let mut bytes = Vec::new();
        codec.encode(3, &[b"ab", b"c"], 3, &mut bytes);
        assert_eq!(codec.parse(&bytes), Parsed::Whole { sequence: 3, len: 3 });
        assert_eq!(Codec::new(8, 1024).parse(&bytes), Parsed::Bad);
        assert_eq!(Codec::new(7, 2).parse(&bytes), Parsed::Bad);
        assert_eq!(codec.parse(&bytes[..15]), Parsed::Short { need: 16 });
        assert_eq!(codec.parse(&bytes[..18]), Parsed::Short { need: 19 });
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(!matches!(codec.parse(&damaged), Parsed::Whole { .. }), "flipped byte {at}");
        }
        assert_eq!(codec.parse(&[0; 64]), Parsed::Bad); // a tail of zeros after a power cut
    }
}
