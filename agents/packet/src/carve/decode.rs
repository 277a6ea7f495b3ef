//! Takes `Content-Encoding` off a body, within a limit. Source: RFC 9110, section 8.4.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::CarvedFile;

/// Encodings on top of each other that are taken off.
const LAYERS_MAX: usize = 3;

impl CarvedFile {
    /// The file without its `Content-Encoding`, if that is gzip or deflate and what comes out has at most `len_max`
    /// bytes. Otherwise it stays as it was transferred, and [`FileAbout::encoding`](super::FileAbout::encoding) says with
    /// what. Costs time, so it is not done where packets are read.
    #[must_use]
    pub fn decoded(mut self, len_max: usize) -> Self {
        for _ in 0..LAYERS_MAX {
            let Some(encoding) = &self.about.encoding else { return self };
            let (before, last) = encoding.rsplit_once(',').unwrap_or(("", encoding));
            let Some(bytes) = decode(last.trim(), &self.bytes, len_max) else { return self };
            self.about.encoding = Some(before.trim().to_owned()).filter(|text| !text.is_empty());
            self.bytes = bytes;
        }
        self
    }
}

fn decode(encoding: &str, bytes: &[u8], len_max: usize) -> Option<Vec<u8>> {
    match encoding.to_ascii_lowercase().as_str() {
        "identity" => Some(bytes.to_vec()),
        "gzip" | "x-gzip" => read(MultiGzDecoder::new(bytes), len_max),
        // The standard means zlib; some send the bare stream.
        "deflate" => read(ZlibDecoder::new(bytes), len_max).or_else(|| read(DeflateDecoder::new(bytes), len_max)),
        _ => None,
    }
}

/// All of it, or nothing if it is damaged or too long.
fn read(reader: impl Read, len_max: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(len_max as u64 + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() <= len_max && !bytes.is_empty()).then_some(bytes)
}
