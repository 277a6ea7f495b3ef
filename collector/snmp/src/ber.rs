//! The part of BER (X.690) that SNMP uses: tags of one byte, definite lengths, whole numbers, object identifiers.

use std::fmt::{self, Write};

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTETS: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OBJECT_ID: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;

/// The most numbers of an object identifier (RFC 3416, section 4.1).
pub(crate) const ARCS_MAX: usize = 128;

/// An object identifier: its numbers.
pub type Oid = Vec<u32>;

/// Bytes that are not what they should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BadBer;

/// Reads one value after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next value: its tag and its content.
    pub(crate) fn any(&mut self) -> Result<(u8, &'a [u8]), BadBer> {
        let (tag, content, _) = self.whole()?;
        Ok((tag, content))
    }

    /// The same with the bytes of tag and length before the content.
    pub(crate) fn whole(&mut self) -> Result<(u8, &'a [u8], &'a [u8]), BadBer> {
        let all = self.rest;
        let [tag, first, rest @ ..] = all else { return Err(BadBer) };
        if tag & 0x1f == 0x1f {
            return Err(BadBer); // a tag of several bytes; SNMP has none
        }
        let (len, rest) = match *first {
            short @ 0..0x80 => (usize::from(short), rest),
            long => {
                let count = usize::from(long & 0x7f);
                if !(1..=4).contains(&count) {
                    return Err(BadBer);
                }
                let (digits, rest) = rest.split_at_checked(count).ok_or(BadBer)?;
                (digits.iter().fold(0, |len, digit| len << 8 | usize::from(*digit)), rest)
            }
        };
        let (content, rest) = rest.split_at_checked(len).ok_or(BadBer)?;
        self.rest = rest;
        let whole = &all[..all.len() - rest.len()];
        Ok((*tag, content, whole))
    }

    pub(crate) fn expect(&mut self, tag: u8) -> Result<&'a [u8], BadBer> {
        match self.any()? {
            (found, content) if found == tag => Ok(content),
            _ => Err(BadBer),
        }
    }

    pub(crate) fn integer(&mut self) -> Result<i64, BadBer> {
        signed(self.expect(INTEGER)?)
    }

    pub(crate) fn octets(&mut self) -> Result<&'a [u8], BadBer> {
        self.expect(OCTETS)
    }

    pub(crate) fn sequence(&mut self) -> Result<Reader<'a>, BadBer> {
        self.expect(SEQUENCE).map(Reader::new)
    }

    pub(crate) fn object_id(&mut self) -> Result<Oid, BadBer> {
        object_id(self.expect(OBJECT_ID)?)
    }
}

pub(crate) fn signed(content: &[u8]) -> Result<i64, BadBer> {
    let [first, ..] = content else { return Err(BadBer) };
    if content.len() > 8 {
        return Err(BadBer);
    }
    let start = if first & 0x80 == 0 { 0 } else { -1 };
    Ok(content.iter().fold(start, |number, byte| number << 8 | i64::from(*byte)))
}

pub(crate) fn unsigned(content: &[u8]) -> Result<u64, BadBer> {
    let content = match content {
        [] => return Err(BadBer),
        [0, rest @ ..] if rest.len() <= 8 => rest,
        // Some agents leave out the zero before a number whose first bit is set.
        content if content.len() <= 8 => content,
        _ => return Err(BadBer),
    };
    Ok(content.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

pub(crate) fn object_id(content: &[u8]) -> Result<Oid, BadBer> {
    let mut arcs = Vec::with_capacity(content.len() + 1);
    let mut number = 0_u32;
    let mut begun = false;
    for byte in content {
        if number > u32::MAX >> 7 {
            return Err(BadBer);
        }
        number = number << 7 | u32::from(byte & 0x7f);
        begun = byte & 0x80 != 0;
        if begun {
            continue;
        }
        if arcs.is_empty() {
            let first = (number / 40).min(2);
            arcs.push(first);
            number -= first * 40;
        }
        if arcs.len() >= ARCS_MAX {
            return Err(BadBer);
        }
        arcs.push(number);
        number = 0;
    }
    if begun || arcs.is_empty() { Err(BadBer) } else { Ok(arcs) }
}

/// An object identifier as `1.3.6.1`.
#[derive(Clone, Copy, Debug)]
pub struct OidText<'a>(pub &'a [u32]);

impl fmt::Display for OidText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, arc) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_char('.')?;
            }
            write!(f, "{arc}")?;
        }
        Ok(())
    }
}

/// Puts a value: tag, length, content.
pub(crate) fn put(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    let len = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    match content.len() {
        short @ 0..0x80 => out.push(u8::try_from(short).unwrap_or(0)),
        _ => {
            let zeros = len.iter().take_while(|digit| **digit == 0).count();
            out.push(0x80 | u8::try_from(len.len() - zeros).unwrap_or(0));
            out.extend_from_slice(&len[zeros..]);
        }
    }
    out.extend_from_slice(content);
}

pub(crate) fn put_integer(out: &mut Vec<u8>, tag: u8, number: i64) {
    let digits = number.to_be_bytes();
    let is_spare = |pair: &[u8]| matches!((pair[0], pair[1] & 0x80), (0, 0) | (0xff, 0x80));
    let spare = digits.windows(2).take_while(|pair| is_spare(pair)).count();
    put(out, tag, &digits[spare..]);
}

pub(crate) fn put_object_id(out: &mut Vec<u8>, arcs: &[u32]) {
    let mut content = Vec::new();
    let mut put_arc = |arc: u32| {
        for shift in [28, 21, 14, 7, 0] {
            if shift == 0 || arc >> shift != 0 {
                let more = if shift == 0 { 0 } else { 0x80 };
                content.push(u8::try_from(arc >> shift & 0x7f).unwrap_or(0) | more);
            }
        }
    };
    if let [first, second, rest @ ..] = arcs {
        put_arc(first * 40 + second);
        rest.iter().for_each(|arc| put_arc(*arc));
    }
    put(out, OBJECT_ID, &content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_there_and_back() {
        for number in [0, 1, -1, 127, 128, -128, -129, 255, 256, 65_535, i64::from(u32::MAX), i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_integer(&mut bytes, INTEGER, number);
            assert_eq!(Reader::new(&bytes).integer(), Ok(number), "{bytes:?}");
        }
        assert_eq!(unsigned(&[0, 255, 255, 255, 255]), Ok(u64::from(u32::MAX)));
        assert_eq!(unsigned(&[255, 255, 255, 255]), Ok(u64::from(u32::MAX)));
        assert_eq!(unsigned(&[0; 10]), Err(BadBer));
        assert_eq!(signed(&[]), Err(BadBer));
    }

    #[test]
    fn object_ids_go_there_and_back() {
        for arcs in [vec![1, 3, 6, 1], vec![0, 0], vec![2, 999, 3], vec![1, 3, 6, 1, 4, 1, u32::MAX, 0]] {
            let mut bytes = Vec::new();
            put_object_id(&mut bytes, &arcs);
            assert_eq!(Reader::new(&bytes).object_id(), Ok(arcs));
        }
        assert_eq!(object_id(&[]), Err(BadBer));
        assert_eq!(object_id(&[0x2b, 0x86]), Err(BadBer), "ends inside a number");
        assert_eq!(object_id(&[0x2b, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), Err(BadBer), "too large");
        assert_eq!(object_id(&[1; 200]), Err(BadBer), "too long");
        assert_eq!(OidText(&[1, 3, 6]).to_string(), "1.3.6");
    }

    #[test]
    fn lengths() {
        for len in [0, 127, 128, 255, 256, 70_000] {
            let mut bytes = Vec::new();
            put(&mut bytes, OCTETS, &vec![7; len]);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.octets().map(<[u8]>::len), Ok(len));
            assert!(reader.is_empty());
            bytes.pop();
            assert!(Reader::new(&bytes).octets().is_err(), "{len}");
        }
        for bad in
            [&[0x30][..], &[0x30, 0x80], &[0x30, 0x85, 0, 0, 0, 0, 0], &[0x1f, 1, 0], &[4, 0x84, 255, 255, 255, 255]]
        {
            assert!(Reader::new(bad).any().is_err(), "{bad:?}");
        }
    }
}
