//! Unpacks what senders have packed with gzip or zlib, and not more of it than wanted.

use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};

/// What came out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Unpacked {
    pub(super) bytes: Vec<u8>,
    /// There was more than wanted.
    pub(super) is_cut: bool,
}

/// How something is packed, told by its first bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Packed {
    Gzip,
    Zlib,
}

impl Packed {
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            // The head of zlib: deflate, and a checksum over the first two bytes.
            [first, second, ..] if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0 => {
                Some(Self::Zlib)
            }
            _ => None,
        }
    }

    /// `None` if it is damaged.
    pub(super) fn unpack(self, bytes: &[u8], len_max: usize) -> Option<Unpacked> {
        let limit = len_max as u64 + 1;
        let mut out = Vec::new();
        match self {
            Self::Gzip => MultiGzDecoder::new(bytes).take(limit).read_to_end(&mut out),
            Self::Zlib => ZlibDecoder::new(bytes).take(limit).read_to_end(&mut out),
        }
        .ok()?;
        let is_cut = out.len() > len_max;
        out.truncate(len_max);
        Some(Unpacked { bytes: out, is_cut })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    #[test]
    fn packed_and_unpacked() {
        let text = vec![b'x'; 100_000];
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&text).unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&text).unwrap();
        for (packed, kind) in [(gzip.finish().unwrap(), Packed::Gzip), (zlib.finish().unwrap(), Packed::Zlib)] {
            assert_eq!(Packed::of(&packed), Some(kind));
            let whole = kind.unpack(&packed, 100_000).unwrap();
            assert!(whole.bytes == text && !whole.is_cut);
            let cut = kind.unpack(&packed, 10).unwrap();
            assert!(cut.bytes.len() == 10 && cut.is_cut);
            assert_eq!(kind.unpack(&packed[..packed.len() / 2], 100_000), None);
        }
        for plain in [&b"{\"a\":1}"[..], b"", b"x", b"<34>"] {
            assert_eq!(Packed::of(plain), None);
        }
    }
}
