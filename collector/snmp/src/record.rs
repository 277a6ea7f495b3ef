//! A notification as the journal keeps it: the PDU as it was sent, in clear, and how its sender was known. Community strings
//! and keys are not in it.

use crate::ber;

/// The first byte of a record.
const FORM: u8 = 2;
/// That of records which name only the engine of the context.
const FORM_WITHOUT_AUTHORITY: u8 = 1;

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
    /// The engine that version 3 authenticates with: the sender's own for traps, ours for informs.
    pub engine: &'a [u8],
    /// The engine that the variables are of, and the context in it, as version 3 names them.
    pub context_engine: &'a [u8],
    pub context: &'a [u8],
    pub pdu: &'a [u8],
}

impl<'a> Record<'a> {
    pub fn write(&self) -> Vec<u8> {
        let texts = [self.name, self.engine, self.context_engine, self.context];
        let mut out = Vec::with_capacity(self.pdu.len() + texts.iter().map(|text| text.len() + 4).sum::<usize>() + 4);
        out.extend_from_slice(&[FORM, self.version as u8, self.level as u8]);
        for text in texts {
            ber::put(&mut out, ber::OCTETS, text);
        }
        out.extend_from_slice(self.pdu);
        out
    }

    /// Reads what [`Record::write`] wrote.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let [form @ (FORM | FORM_WITHOUT_AUTHORITY), version, level, rest @ ..] = bytes else { return None };
        let version = [Version::V1, Version::V2c, Version::V3].into_iter().find(|known| *known as u8 == *version)?;
        let levels = [Level::NoAuthNoPriv, Level::AuthNoPriv, Level::AuthPriv];
        let level = levels.into_iter().find(|known| *known as u8 == *level)?;
        let mut reader = ber::Reader::new(rest);
        let mut text = || reader.octets().ok();
        let name = text()?;
        let engine = if *form == FORM { text()? } else { b"" };
        let (context_engine, context) = (text()?, text()?);
        Some(Self { version, level, name, engine, context_engine, context, pdu: reader.rest() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_so_is_the_older_form() {
        let record = Record {
            version: Version::V3,
            level: Level::AuthPriv,
            name: b"an",
            engine: b"device",
            context_engine: b"proxied",
            context: b"ctx",
            pdu: b"pdu",
        };
        assert_eq!(Record::read(&record.write()), Some(record));
        let older = [&[FORM_WITHOUT_AUTHORITY, 2, 2][..], b"\x04\x02an\x04\x07proxied\x04\x03ctxpdu"].concat();
        assert_eq!(Record::read(&older), Some(Record { engine: b"", ..record }));
    }
}
