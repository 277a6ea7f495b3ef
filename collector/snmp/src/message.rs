//! Messages: the envelope around a PDU (RFC 1157, RFC 1901, RFC 3412), read and written.

use std::ops::Range;

use crate::ber::{self, BadBer, Reader};

/// The two lowest bits say authenticated and encrypted, the third that the sender takes a report.
pub(crate) const AUTH: u8 = 1;
pub(crate) const PRIVACY: u8 = 2;
pub(crate) const REPORTABLE: u8 = 4;
/// The security model of RFC 3414.
const USM: i64 = 3;
/// What we say that we can receive, and the least that RFC 3412 demands.
const SIZE_MAX: i64 = 65_507;
const SIZE_MIN: i64 = 484;
/// Limits of RFC 3411 and RFC 3414.
const ENGINE_ID_MAX: usize = 32;
const NAME_MAX: usize = 32;

/// A message of any version.
#[derive(Debug)]
pub(crate) enum Message<'a> {
    /// Version 1 (0) or 2c (1).
    Plain {
        version: i64,
        community: &'a [u8],
        pdu: &'a [u8],
    },
    Secured(Secured<'a>),
}

/// A message of version 3 with user-based security.
#[derive(Debug)]
pub(crate) struct Secured<'a> {
    pub(crate) id: i64,
    pub(crate) flags: u8,
    pub(crate) engine: &'a [u8],
    pub(crate) boots: i64,
    pub(crate) time: i64,
    pub(crate) user: &'a [u8],
    /// Where in the datagram the code of authentication lies.
    pub(crate) auth_at: Range<usize>,
    pub(crate) privacy: &'a [u8],
    /// The scoped PDU: the bytes of its sequence, or the encrypted ones.
    pub(crate) data: &'a [u8],
    pub(crate) is_encrypted: bool,
}

impl<'a> Message<'a> {
    pub(crate) fn read(datagram: &'a [u8]) -> Result<Self, BadBer> {
        // What follows the message is not looked at, as other receivers do.
        let mut outer = Reader::new(datagram).sequence()?;
        let version = outer.integer()?;
        match version {
            0 | 1 => {
                let community = outer.octets()?;
                let (_, _, pdu) = outer.whole()?;
                Ok(Self::Plain { version, community, pdu })
            }
            3 => Secured::read(datagram, outer).map(Self::Secured),
            _ => Err(BadBer),
        }
    }
}

impl<'a> Secured<'a> {
    fn read(datagram: &'a [u8], mut outer: Reader<'a>) -> Result<Self, BadBer> {
        let mut head = outer.sequence()?;
        let (id, size, flags, model) = (head.integer()?, head.integer()?, head.octets()?, head.integer()?);
        let [flags] = flags else { return Err(BadBer) };
        let is_level = flags & (AUTH | PRIVACY) != PRIVACY;
        if model != USM || size < SIZE_MIN || id < 0 || !is_level {
            return Err(BadBer);
        }
        let mut security = Reader::new(outer.octets()?).sequence()?;
        let engine = security.octets()?;
        let (boots, time) = (security.integer()?, security.integer()?);
        let (user, auth, privacy) = (security.octets()?, security.octets()?, security.octets()?);
        let clock = 0..=i64::from(i32::MAX);
        if engine.len() > ENGINE_ID_MAX || user.len() > NAME_MAX || !clock.contains(&boots) || !clock.contains(&time) {
            return Err(BadBer);
        }
        let (tag, content, whole) = outer.whole()?;
        let (data, is_encrypted) = match tag {
            ber::SEQUENCE => (whole, false),
            ber::OCTETS => (content, true),
            _ => return Err(BadBer),
        };
        if is_encrypted != (flags & PRIVACY != 0) {
            return Err(BadBer);
        }
        let start = (auth.as_ptr() as usize).wrapping_sub(datagram.as_ptr() as usize);
        let auth_at = start..start.wrapping_add(auth.len());
        Ok(Self { id, flags: *flags, engine, boots, time, user, auth_at, privacy, data, is_encrypted })
    }
}

/// What a scoped PDU holds: the context it is about, and the PDU.
#[derive(Debug)]
pub(crate) struct Scoped<'a> {
    pub(crate) engine: &'a [u8],
    pub(crate) context: &'a [u8],
    pub(crate) pdu: &'a [u8],
}

impl<'a> Scoped<'a> {
    /// Encrypted ones may have padding behind them.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, BadBer> {
        let mut inner = Reader::new(bytes).sequence()?;
        let (engine, context) = (inner.octets()?, inner.octets()?);
        let (_, _, pdu) = inner.whole()?;
        Ok(Self { engine, context, pdu })
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut inner = Vec::with_capacity(self.pdu.len() + 64);
        ber::put(&mut inner, ber::OCTETS, self.engine);
        ber::put(&mut inner, ber::OCTETS, self.context);
        inner.extend_from_slice(self.pdu);
        sequence(&inner)
    }
}

/// A message of version 1 or 2c.
pub(crate) fn write_plain(version: i64, community: &[u8], pdu: &[u8]) -> Vec<u8> {
    let mut inner = Vec::with_capacity(pdu.len() + 64);
    ber::put_integer(&mut inner, ber::INTEGER, version);
    ber::put(&mut inner, ber::OCTETS, community);
    inner.extend_from_slice(pdu);
    sequence(&inner)
}

/// What is written of a message of version 3; `auth_len` zeros stand where the code of authentication goes.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    pub(crate) id: i64,
    pub(crate) flags: u8,
    pub(crate) engine: &'a [u8],
    pub(crate) boots: i64,
    pub(crate) time: i64,
    pub(crate) user: &'a [u8],
    pub(crate) auth_len: usize,
    pub(crate) privacy: &'a [u8],
}

impl Head<'_> {
    pub(crate) fn write(&self, data: &[u8]) -> Vec<u8> {
        let mut head = Vec::new();
        ber::put_integer(&mut head, ber::INTEGER, self.id);
        ber::put_integer(&mut head, ber::INTEGER, SIZE_MAX);
        ber::put(&mut head, ber::OCTETS, &[self.flags]);
        ber::put_integer(&mut head, ber::INTEGER, USM);
        let mut security = Vec::new();
        ber::put(&mut security, ber::OCTETS, self.engine);
        ber::put_integer(&mut security, ber::INTEGER, self.boots);
        ber::put_integer(&mut security, ber::INTEGER, self.time);
        ber::put(&mut security, ber::OCTETS, self.user);
        ber::put(&mut security, ber::OCTETS, &vec![0; self.auth_len]);
        ber::put(&mut security, ber::OCTETS, self.privacy);
        let mut inner = Vec::with_capacity(data.len() + 160);
        ber::put_integer(&mut inner, ber::INTEGER, 3);
        ber::put(&mut inner, ber::SEQUENCE, &head);
        ber::put(&mut inner, ber::OCTETS, &sequence(&security));
        if self.flags & PRIVACY == 0 {
            inner.extend_from_slice(data);
        } else {
            ber::put(&mut inner, ber::OCTETS, data);
        }
        sequence(&inner)
    }
}

pub(crate) fn sequence(inner: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(inner.len() + 6);
    ber::put(&mut out, ber::SEQUENCE, inner);
    out
}
