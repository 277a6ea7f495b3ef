//! Units of measure that cross function boundaries.

use std::fmt;
use std::str::FromStr;

/// A size in bytes. Written `64KiB`, `10MiB`, `2GiB` or a plain number of bytes in configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct ByteSize(u64);

/// Why a text is not a size.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a size; write a number with `B`, `KiB`, `MiB`, `GiB` or `TiB`, for example `64KiB`")]
pub struct ByteSizeError {
    pub text: String,
}

const UNITS: [(&str, u32); 5] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];

impl ByteSize {
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    pub const fn kib(n: u64) -> Self {
        Self(n * 1024)
    }

    pub const fn mib(n: u64) -> Self {
        Self(n * 1024 * 1024)
    }

    pub const fn gib(n: u64) -> Self {
        Self(n * 1024 * 1024 * 1024)
    }

    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The size as a length in memory; what does not fit is cut to the largest length.
    pub fn as_len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ByteSizeError { text: text.to_owned() };
        let trimmed = text.trim();
        let (digits, shift) = UNITS
            .iter()
            .find_map(|(unit, shift)| trimmed.strip_suffix(unit).map(|digits| (digits.trim_end(), *shift)))
            .unwrap_or((trimmed, 0));
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(error());
        }
        let count: u64 = digits.parse().map_err(|_| error())?;
        count.checked_mul(1 << shift).map(Self).ok_or_else(error)
    }
}

/// The largest unit that divides the size exactly, so that what is printed can be read back.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, shift) =
            UNITS.iter().find(|(_, shift)| self.0 != 0 && self.0.trailing_zeros() >= *shift).unwrap_or(&("B", 0));
        write!(f, "{}{unit}", self.0 >> shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(text.parse::<ByteSize>().ok().map(ByteSize::bytes), expected, "input: {text:?}");
    }

    #[test]
    fn sizes() {
        check("64KiB", Some(65_536));
        check("64 KiB", Some(65_536));
        check("2GiB", Some(2 << 30));
        check("17", Some(17));
        check("17B", Some(17));
        check("64KB", None); // decimal units are ambiguous in practice, so they are refused
        check("-1", None);
        check("", None);
        check("KiB", None);
        check("99999999999TiB", None);
    }

    #[test]
    fn printed_sizes_can_be_read_back() {
        for bytes in [0, 1, 1_000, 1_024, 1_536, 64 << 20, 3 << 40] {
            assert_eq!(ByteSize::new(bytes).to_string().parse(), Ok(ByteSize::new(bytes)));
        }
    }
}
