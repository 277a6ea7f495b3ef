//! Information elements: what a field of a template is, and how its bytes are read.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::element_names::NAMES;
use crate::wire;

/// Enterprise number of RFC 5103: the element of the same number, counted in the other direction.
pub(crate) const REVERSE: u32 = 29_305;

/// Which element. Enterprise 0 is IANA's registry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ElementId {
    pub enterprise: u32,
    pub number: u16,
}

impl ElementId {
    pub const fn iana(number: u16) -> Self {
        Self { enterprise: 0, number }
    }

    fn row(self) -> Option<&'static (u16, &'static str, Kind)> {
        let known = matches!(self.enterprise, 0 | REVERSE);
        let row = NAMES.binary_search_by_key(&self.number, |row| row.0).ok().filter(|_| known)?;
        NAMES.get(row)
    }

    /// IANA's name; `reverse…` for the other direction (RFC 5103, section 6.1); with its numbers where it has none here.
    pub fn name(self) -> Cow<'static, str> {
        match (self.row(), self.enterprise) {
            (Some((_, name, _)), 0) => Cow::Borrowed(name),
            (Some((_, name, _)), _) => {
                let (first, rest) = name.split_at_checked(1).unwrap_or((name, ""));
                format!("reverse{}{rest}", first.to_ascii_uppercase()).into()
            }
            (None, 0) => format!("element{}", self.number).into(),
            (None, enterprise) => format!("enterprise{enterprise}.element{}", self.number).into(),
        }
    }

    pub fn kind(self) -> Kind {
        self.row().map_or(Kind::Unknown, |row| row.2)
    }
}

/// How the bytes of an element are read. Source: RFC 7011, section 6.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Unsigned,
    Float,
    Bool,
    Address,
    Mac,
    Text,
    Bytes,
    Seconds,
    Millis,
    /// `dateTimeMicroseconds` and `dateTimeNanoseconds`: seconds since 1900 and a binary fraction.
    Ntp,
    /// Of an element that is not in the list: a number if it has the length of one, else a text if it reads as one.
    Unknown,
}

/// One value. Texts and bytes are where they were in the datagram.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value<'a> {
    Unsigned(u64),
    Float(f64),
    Bool(bool),
    Address(IpAddr),
    Mac([u8; 6]),
    /// UTF-8, without the zeros that pad it.
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Nanoseconds since 1970, UTC.
    Time(i64),
}

impl Kind {
    /// Reads a value. Bytes that cannot be of this kind stay bytes.
    pub fn read(self, bytes: &[u8]) -> Value<'_> {
        match (self, bytes) {
            (Self::Unsigned, _) if bytes.len() <= 8 => Value::Unsigned(wire::unsigned(bytes)),
            (Self::Float, &[a, b, c, d]) => Value::Float(f64::from(f32::from_be_bytes([a, b, c, d]))),
            (Self::Float, &[a, b, c, d, e, f, g, h]) => Value::Float(f64::from_be_bytes([a, b, c, d, e, f, g, h])),
            // RFC 7011, section 6.1.5: 1 is true, 2 is false.
            (Self::Bool, [1]) => Value::Bool(true),
            (Self::Bool, [2]) => Value::Bool(false),
            (Self::Address, _) => address(bytes).map_or(Value::Bytes(bytes), Value::Address),
            (Self::Mac, &[a, b, c, d, e, f]) => Value::Mac([a, b, c, d, e, f]),
            (Self::Text, _) => text(bytes).map_or(Value::Bytes(bytes), Value::Text),
            (Self::Seconds, _) if bytes.len() <= 8 => {
                Value::Time(i64::try_from(wire::unsigned(bytes)).unwrap_or(i64::MAX).saturating_mul(1_000_000_000))
            }
            (Self::Millis, _) if bytes.len() <= 8 => {
                Value::Time(i64::try_from(wire::unsigned(bytes)).unwrap_or(i64::MAX).saturating_mul(1_000_000))
            }
            (Self::Ntp, _) => ntp(bytes).map_or(Value::Bytes(bytes), Value::Time),
            (Self::Unknown, _) if matches!(bytes.len(), 1 | 2 | 4 | 8) => Value::Unsigned(wire::unsigned(bytes)),
            (Self::Unknown, _) => match text(bytes) {
                Some(text) if !text.is_empty() && !text.contains(char::is_control) => Value::Text(text),
                _ => Value::Bytes(bytes),
            },
            _ => Value::Bytes(bytes),
        }
    }
}

pub(crate) fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|octets| Ipv4Addr::from(octets).into()),
        16 => <[u8; 16]>::try_from(bytes).ok().map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    std::str::from_utf8(bytes.get(..end)?).ok()
}

/// Nanoseconds since 1970 of a time in the format of NTP (RFC 7011, sections 6.1.9 and 6.1.10).
pub(crate) fn ntp(bytes: &[u8]) -> Option<i64> {
    const SECONDS_TO_1970: i64 = 2_208_988_800;
    let bits = u64::from_be_bytes(bytes.try_into().ok()?);
    let (seconds, fraction) = (i64::try_from(bits >> 32).ok()?, bits & 0xffff_ffff);
    let nanos = i64::try_from((fraction * 1_000_000_000) >> 32).ok()?;
    Some((seconds - SECONDS_TO_1970) * 1_000_000_000 + nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order() {
        assert!(NAMES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn names() {
        for (enterprise, number, name) in [
            (0, 1, "octetDeltaCount"),
            (REVERSE, 1, "reverseOctetDeltaCount"),
            (0, 65_000, "element65000"),
            (9, 1, "enterprise9.element1"),
            (REVERSE, 65_000, "enterprise29305.element65000"),
        ] {
            assert_eq!(ElementId { enterprise, number }.name(), name);
        }
    }

    #[track_caller]
    fn check(kind: Kind, bytes: &[u8], expected: Value<'_>) {
        assert_eq!(kind.read(bytes), expected, "{kind:?} {bytes:?}");
    }

    #[test]
    fn values() {
        check(Kind::Unsigned, &[0, 1, 0], Value::Unsigned(256));
        check(Kind::Unsigned, &[0; 9], Value::Bytes(&[0; 9]));
        check(Kind::Float, &0.5f32.to_be_bytes(), Value::Float(0.5));
        check(Kind::Float, &0.25f64.to_be_bytes(), Value::Float(0.25));
        check(Kind::Float, &[1], Value::Bytes(&[1]));
        check(Kind::Bool, &[2], Value::Bool(false));
        check(Kind::Bool, &[0], Value::Bytes(&[0]));
        check(Kind::Address, &[10, 0, 0, 1], Value::Address([10, 0, 0, 1].into()));
        check(Kind::Address, &[10, 0, 0], Value::Bytes(&[10, 0, 0]));
        check(Kind::Mac, &[1, 2, 3, 4, 5, 6], Value::Mac([1, 2, 3, 4, 5, 6]));
        check(Kind::Text, b"Gi0/1\0\0", Value::Text("Gi0/1"));
        check(Kind::Text, b"\xff", Value::Bytes(b"\xff"));
        check(Kind::Seconds, &[0, 0, 0, 1], Value::Time(1_000_000_000));
        check(Kind::Millis, &[0xff; 8], Value::Time(i64::MAX));
        check(Kind::Ntp, &[0x83, 0xaa, 0x7e, 0x81, 0x80, 0, 0, 0], Value::Time(1_500_000_000));
        check(Kind::Ntp, &[0; 4], Value::Bytes(&[0; 4]));
        check(Kind::Unknown, b"abc", Value::Text("abc"));
        check(Kind::Unknown, &[1, 0, 2], Value::Bytes(&[1, 0, 2]));
        check(Kind::Unknown, &[1, 0], Value::Unsigned(256));
    }
}
