//! Reading numbers in network byte order. What is not there is `None`, never a panic.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A place in bytes that moves on as they are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn mac(&mut self) -> Option<[u8; 6]> {
        self.array()
    }

    pub(crate) fn ipv4(&mut self) -> Option<Ipv4Addr> {
        self.u32().map(Ipv4Addr::from_bits)
    }

    pub(crate) fn ipv6(&mut self) -> Option<Ipv6Addr> {
        self.array().map(u128::from_be_bytes).map(Ipv6Addr::from_bits)
    }
}

/// An unsigned number of any length, as reduced-size encoding has it (RFC 7011, section 6.2). Of more than eight bytes the
/// last eight count.
#[inline]
pub(crate) fn unsigned(bytes: &[u8]) -> u64 {
    match *bytes {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_be_bytes([a, b])),
        [a, b, c, d] => u64::from(u32::from_be_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        _ => bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)),
    }
}

/// The number as `u16`, the largest if it is too large for that.
pub(crate) fn port(bytes: &[u8]) -> u16 {
    u16::try_from(unsigned(bytes)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length() {
        for (bytes, expected) in [
            (&[][..], 0),
            (&[0xff], 0xff),
            (&[1, 2], 0x102),
            (&[0xff, 0xff, 0xfe], 0xff_fffe),
            (&[0, 0, 0, 7], 7),
            (&[0, 0, 0, 1, 0], 256),
            (&[0xff; 8], u64::MAX),
            (&[9, 0, 0, 0, 0, 0, 0, 0, 1], 1),
        ] {
            assert_eq!(unsigned(bytes), expected, "{bytes:?}");
        }
    }
}
