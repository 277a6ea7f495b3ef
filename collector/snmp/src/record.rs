//! A notification as the journal keeps it: the PDU as it was sent, in clear, and how its sender was known. Community strings
//! and keys are not in it.

use crate::ber;

/// The first byte of a record.
const FORM: u8 = 1;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    V1,
    V2c,
    V3,
}

impl Version {
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "1",
            Self::V2c => "2c",
            Self::V3 => "3",
        }
    }
}

/// How well a message was protected.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    NoAuthNoPriv,
    AuthNoPriv,
    AuthPriv,
}

impl Level {
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoAuthNoPriv => "noAuthNoPriv",
            Self::AuthNoPriv => "authNoPriv",
            Self::AuthPriv => "authPriv",
        }
    }
}

/// A notification and who sent it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    pub version: Version,
    pub level: Level,
    /// The name of the user, or the one that the configuration gives the community.
    pub name: &'a [u8],
    /// The engine and the context that version 3 names.
    pub engine: &'a [u8],
    pub context: &'a [u8],
    pub pdu: &'a [u8],
}

impl<'a> Record<'a> {
    pub fn write(&self) -> Vec<u8> {
        let mut out =
            Vec::with_capacity(self.pdu.len() + self.name.len() + self.engine.len() + self.context.len() + 16);
        out.extend_from_slice(&[FORM, self.version as u8, self.level as u8]);
        for text in [self.name, self.engine, self.context] {
            ber::put(&mut out, ber::OCTETS, text);
        }
        out.extend_from_slice(self.pdu);
        out
    }

    /// Reads what [`Record::write`] wrote.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let [FORM, version, level, rest @ ..] = bytes else { return None };
        let version = [Version::V1, Version::V2c, Version::V3].into_iter().find(|known| *known as u8 == *version)?;
        let levels = [Level::NoAuthNoPriv, Level::AuthNoPriv, Level::AuthPriv];
        let level = levels.into_iter().find(|known| *known as u8 == *level)?;
        let mut reader = ber::Reader::new(rest);
        let mut text = || reader.octets().ok();
        let (name, engine, context) = (text()?, text()?, text()?);
        Some(Self { version, level, name, engine, context, pdu: reader.rest() })
    }
}
