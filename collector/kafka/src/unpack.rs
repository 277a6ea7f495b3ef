//! The ways in which batches are packed. Each is unpacked while it is read, but for snappy, whose blocks say how long they are.

use std::io::{self, Cursor, Read};

use bytes::Bytes;

/// The longest block of snappy, unpacked. Producers pack a whole batch as one.
const SNAPPY_MAX: usize = 64 << 20;
/// The memory that unpacking zstd may take, as an exponent of two; its specification asks decoders for no less.
const ZSTD_WINDOW_LOG: u32 = 23;
/// What Java's library for snappy writes before its blocks: these bytes and two numbers.
const XERIAL: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_HEAD_LEN: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Packing {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Packing {
    pub(crate) fn of(attributes: i16) -> Option<Self> {
        Some(match attributes & 7 {
            0 => Self::None,
            1 => Self::Gzip,
            2 => Self::Snappy,
            3 => Self::Lz4,
            4 => Self::Zstd,
            _ => return None,
        })
    }
}

pub(crate) fn open(packing: Packing, packed: Bytes) -> io::Result<Box<dyn Read + Send>> {
    Ok(match packing {
        Packing::None => Box::new(Cursor::new(packed)),
        Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(Cursor::new(packed))),
        Packing::Snappy if packed.starts_with(XERIAL) => {
            Box::new(Xerial { rest: packed.slice(XERIAL_HEAD_LEN.min(packed.len())..), block: Cursor::default() })
        }
        Packing::Snappy => Box::new(Cursor::new(block(&packed)?)),
        Packing::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(Cursor::new(packed))),
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(Cursor::new(packed))?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
    })
}

fn block(packed: &[u8]) -> io::Result<Vec<u8>> {
    if snap::raw::decompress_len(packed)? > SNAPPY_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(snap::raw::Decoder::new().decompress_vec(packed)?)
}

/// Blocks of snappy, each with its length before it.
struct Xerial {
    rest: Bytes,
    block: Cursor<Vec<u8>>,
}

impl Read for Xerial {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.block.read(out)?;
            if read > 0 || out.is_empty() || self.rest.is_empty() {
                return Ok(read);
            }
            let len = self.rest.first_chunk().map(|len| u32::from_be_bytes(*len) as usize);
            let len = len.filter(|len| *len <= self.rest.len() - 4).ok_or(io::ErrorKind::UnexpectedEof)?;
            let packed = self.rest.split_to(4 + len).slice(4..);
            self.block = Cursor::new(block(&packed)?);
        }
    }
}
