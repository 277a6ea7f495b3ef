//! MessagePack (facts: its specification), read from bytes that may end anywhere. Nothing is allocated for what a head
//! claims.

/// Why a value cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unread {
    /// The bytes end too early.
    Short,
    /// No value begins like this.
    Bad,
}

/// What a value begins with. Of texts, bytes and extensions the content follows; of lists and maps the members.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Head {
    Nil,
    Bool(bool),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Text(usize),
    Binary(usize),
    List(usize),
    /// So many pairs.
    Map(usize),
    Extension(u8, usize),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Unread> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(Unread::Short)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn number(&mut self, len: usize) -> Result<u64, Unread> {
        Ok(self.bytes(len)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn len(&mut self, len: usize) -> Result<usize, Unread> {
        usize::try_from(self.number(len)?).map_err(|_| Unread::Bad)
    }

    pub(crate) fn head(&mut self) -> Result<Head, Unread> {
        let first = *self.bytes(1)?.first().ok_or(Unread::Short)?;
        Ok(match first {
            0..=0x7f => Head::Integer(i64::from(first)),
            0x80..=0x8f => Head::Map(usize::from(first & 15)),
            0x90..=0x9f => Head::List(usize::from(first & 15)),
            0xa0..=0xbf => Head::Text(usize::from(first & 31)),
            0xc0 => Head::Nil,
            0xc1 => return Err(Unread::Bad),
            0xc2 | 0xc3 => Head::Bool(first == 0xc3),
            0xc4..=0xc6 => Head::Binary(self.len(1 << (first - 0xc4))?),
            0xc7..=0xc9 => {
                let len = self.len(1 << (first - 0xc7))?;
                Head::Extension(self.kind()?, len)
            }
            0xca => Head::Float(f64::from(f32::from_bits(u32::try_from(self.number(4)?).unwrap_or(0)))),
            0xcb => Head::Float(f64::from_bits(self.number(8)?)),
            0xcc..=0xcf => {
                let number = self.number(1 << (first - 0xcc))?;
                i64::try_from(number).map_or(Head::Unsigned(number), Head::Integer)
            }
            0xd0..=0xd3 => {
                let len = 1 << (first - 0xd0);
                let unused = 64 - 8 * len as u32;
                Head::Integer((self.number(len)? << unused).cast_signed() >> unused)
            }
            0xd4..=0xd8 => {
                let kind = self.kind()?;
                Head::Extension(kind, 1 << (first - 0xd4))
            }
            0xd9..=0xdb => Head::Text(self.len(1 << (first - 0xd9))?),
            0xdc | 0xdd => Head::List(self.len(2 << (first - 0xdc))?),
            0xde | 0xdf => Head::Map(self.len(2 << (first - 0xde))?),
            0xe0..=0xff => Head::Integer(i64::from(first.cast_signed())),
        })
    }

    fn kind(&mut self) -> Result<u8, Unread> {
        self.bytes(1)?.first().copied().ok_or(Unread::Short)
    }

    /// Passes over a value and answers its bytes.
    pub(crate) fn skip(&mut self) -> Result<&'a [u8], Unread> {
        let all = self.0;
        let mut scan = Scan::default();
        match scan.go_on(all)? {
            Some(len) => self.bytes(len),
            None => Err(Unread::Short),
        }
    }

    /// A text, or bytes, which old senders take for texts too.
    pub(crate) fn text(&mut self) -> Result<&'a [u8], Unread> {
        match self.head()? {
            Head::Text(len) | Head::Binary(len) => self.bytes(len),
            _ => Err(Unread::Bad),
        }
    }
}

/// Looks for the end of a value in bytes that come in pieces. Each byte is looked at once.
#[derive(Debug)]
pub(crate) struct Scan {
    at: usize,
    /// Values that are still to come.
    left: u64,
}

impl Default for Scan {
    fn default() -> Self {
        Self { at: 0, left: 1 }
    }
}

impl Scan {
    /// `bytes` is all that has come of the value so far. Answers its length when it is whole.
    pub(crate) fn go_on(&mut self, bytes: &[u8]) -> Result<Option<usize>, Unread> {
        while self.left > 0 {
            let Some(rest) = bytes.get(self.at..) else { return Ok(None) };
            let mut reader = Reader(rest);
            let (len, more) = match reader.head() {
                Ok(Head::Text(len) | Head::Binary(len) | Head::Extension(_, len)) => (len, 0),
                Ok(Head::List(count)) => (0, count as u64),
                Ok(Head::Map(count)) => (0, (count as u64).saturating_mul(2)),
                Ok(_) => (0, 0),
                Err(Unread::Short) => return Ok(None),
                Err(Unread::Bad) => return Err(Unread::Bad),
            };
            if reader.bytes(len).is_err() {
                return Ok(None);
            }
            self.at += rest.len() - reader.0.len();
            self.left = (self.left - 1).saturating_add(more);
        }
        Ok(Some(self.at))
    }

    /// Whether something of a value has come.
    pub(crate) fn has_begun(&self) -> bool {
        self.at > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let check = |bytes: &[u8], expected: Head| {
            assert_eq!(Reader(bytes).head(), Ok(expected), "{bytes:02x?}");
            for len in 0..bytes.len() {
                assert_eq!(Reader(&bytes[..len]).head(), Err(Unread::Short));
            }
        };
        check(&[7], Head::Integer(7));
        check(&[0xff], Head::Integer(-1));
        check(&[0xcc, 200], Head::Integer(200));
        check(&[0xcf, 255, 255, 255, 255, 255, 255, 255, 255], Head::Unsigned(u64::MAX));
        check(&[0xd0, 0x80], Head::Integer(-128));
        check(&[0xd1, 0xff, 0], Head::Integer(-256));
        check(&[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0], Head::Integer(i64::MIN));
        check(&[0xca, 0x3f, 0xc0, 0, 0], Head::Float(1.5));
        check(&[0x82], Head::Map(2));
        check(&[0xde, 1, 0], Head::Map(256));
        check(&[0xdd, 0, 1, 0, 0], Head::List(65_536));
        check(&[0xc5, 1, 2], Head::Binary(258));
        check(&[0xd9, 9], Head::Text(9));
        check(&[0xd7, 0], Head::Extension(0, 8));
        check(&[0xc7, 3, 5], Head::Extension(5, 3));
        assert_eq!(Reader(&[0xc1]).head(), Err(Unread::Bad));
    }

    #[test]
    fn the_end_of_a_value_is_found_in_pieces() {
        let value = [0x93, 0xa1, b'x', 0xd7, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0x81, 0xa1, b'k', 0xc4, 2, 1, 2];
        let mut scan = Scan::default();
        for len in 0..value.len() {
            assert_eq!(scan.go_on(&value[..len]), Ok(None));
        }
        assert_eq!(scan.go_on(&[&value[..], &[1, 2]].concat()), Ok(Some(value.len())));
        assert_eq!(Reader(&value).skip(), Ok(&value[..]));
        // Lists in lists to any depth cost nothing.
        assert_eq!(Scan::default().go_on(&vec![0x91; 1_000_000]), Ok(None));
        assert_eq!(Scan::default().go_on(&[0xdf, 255, 255, 255, 255]), Ok(None));
        assert_eq!(Scan::default().go_on(&[0x91, 0xc1]), Err(Unread::Bad));
    }
}
