//! Numbers, texts and lists as Kafka writes them. Nothing is allocated for what a length claims.

/// An answer that is not of the form that its version has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the answer cannot be read; is it a Kafka broker?")]
pub struct Malformed;

/// Reads from the front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) rest: &'a [u8],
    /// Lengths are written as Kafka's newer versions do.
    pub(crate) compact: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest, compact: false }
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn fixed<const LEN: usize>(&mut self) -> Result<[u8; LEN], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn bool(&mut self) -> Result<bool, Malformed> {
        Ok(self.fixed::<1>()? != [0])
    }

    pub(crate) fn i16(&mut self) -> Result<i16, Malformed> {
        self.fixed().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Malformed> {
        self.fixed().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Malformed> {
        self.fixed().map(i64::from_be_bytes)
    }

    pub(crate) fn uuid(&mut self) -> Result<[u8; 16], Malformed> {
        self.fixed()
    }

    fn unsigned(&mut self) -> Result<u32, Malformed> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// A length that may stand for nothing.
    fn len(&mut self, short: bool) -> Result<Option<usize>, Malformed> {
        let len = match (self.compact, short) {
            (true, _) => i64::from(self.unsigned()?) - 1,
            (false, true) => i64::from(self.i16()?),
            (false, false) => i64::from(self.i32()?),
        };
        match len {
            -1 => Ok(None),
            len => usize::try_from(len).map(Some).map_err(|_| Malformed),
        }
    }

    pub(crate) fn text(&mut self) -> Result<Option<String>, Malformed> {
        let Some(len) = self.len(true)? else { return Ok(None) };
        Ok(Some(String::from_utf8_lossy(self.take(len)?).into_owned()))
    }

    pub(crate) fn bytes(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        let Some(len) = self.len(false)? else { return Ok(None) };
        self.take(len).map(Some)
    }

    /// A list, each member read by `read`. A member has a byte at least.
    pub(crate) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = self.len(false)?.unwrap_or(0);
        if count > self.rest.len() {
            return Err(Malformed);
        }
        (0..count).map(|_| read(self)).collect()
    }

    /// What newer versions add, which nobody here asks for.
    pub(crate) fn tags(&mut self) -> Result<(), Malformed> {
        if self.compact {
            for _ in 0..self.unsigned()? {
                let (_, len) = (self.unsigned()?, self.unsigned()?);
                self.take(len as usize)?;
            }
        }
        Ok(())
    }
}

/// Writes behind one another.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) out: Vec<u8>,
    pub(crate) compact: bool,
}

impl Writer {
    pub(crate) fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend_from_slice(bytes);
        self
    }

    pub(crate) fn i8(&mut self, value: i8) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    pub(crate) fn i16(&mut self, value: i16) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    pub(crate) fn i32(&mut self, value: i32) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    pub(crate) fn i64(&mut self, value: i64) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    fn unsigned(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    pub(crate) fn count(&mut self, count: usize) -> &mut Self {
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        if self.compact {
            self.unsigned(count.unsigned_abs() + 1);
            self
        } else {
            self.i32(count)
        }
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        let text = &text[..text.floor_char_boundary(i16::MAX as usize)];
        if self.compact {
            self.count(text.len());
        } else {
            self.i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        }
        self.put(text.as_bytes())
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len()).put(bytes)
    }

    pub(crate) fn tags(&mut self) -> &mut Self {
        if self.compact { self.put(&[0]) } else { self }
    }
}
