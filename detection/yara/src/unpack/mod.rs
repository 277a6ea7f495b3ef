//! Opens archives, packed files, mail and documents with files in them, within limits. Every length that an archive states is a claim: only bytes that are
//! there count, and what cannot be opened is named and never stops the rest.

mod base64;
mod mime;
mod tar;
mod text;
mod zip;

use std::io::{self, Read};

use crate::report::GapReason;
use crate::sniff::Packing;

pub(crate) use mime::is_mime;
pub(crate) use text::is_document;

/// Unpacked between two looks at the limits.
const STEP_LEN: usize = 64 * 1024;

/// Memory that a stream may ask for in its head, as a power of two. Larger windows come from options that few use.
const WINDOW_LOG_MAX: u32 = 26;

/// Takes what is unpacked, and holds the limits.
pub(crate) trait Sink {
    /// Whether a limit of the whole sample was hit, so that nothing more is to be unpacked.
    fn is_over(&self) -> bool;
    /// A member begins. `false` if there may be no more.
    fn begin(&mut self, name: &str) -> bool;
    /// `added` bytes more of a member, which has `member_len` now. `false` if that is enough of it.
    fn grow(&mut self, name: &str, member_len: u64, added: u64) -> bool;
    /// All of a member that is to be had.
    fn member(&mut self, name: &str, bytes: &[u8]);
    fn gap(&mut self, reason: GapReason, name: &str);
}

/// Opens one level. Without a packing it is a program that may have a zip behind it.
pub(crate) fn open(bytes: &[u8], packing: Option<Packing>, sink: &mut dyn Sink) {
    match packing {
        None => zip::open(bytes, zip::Start::Anywhere, sink),
        Some(Packing::Zip) => zip::open(bytes, zip::Start::First, sink),
        Some(Packing::Tar) => tar::open(bytes, sink),
        // A packed stream is an archive of one member, named after the packing: what the file was called before is a
        // claim of the sender, and the name outside says it better.
        Some(Packing::Gzip) => member(flate2::read::MultiGzDecoder::new(bytes), "gzip", sink),
        Some(Packing::Xz) => {
            let memory_kib = 1 << (WINDOW_LOG_MAX - 10);
            member(lzma_rust2::XzReader::new_mem_limit(bytes, true, memory_kib + 1_024), "xz", sink);
        }
        Some(Packing::Zstd) => match zstd_reader(bytes) {
            Ok(reader) => member(reader, "zstd", sink),
            Err(_) => sink.gap(GapReason::Damaged, ""),
        },
        Some(Packing::Mime) => mime::open(bytes, sink),
        Some(Packing::Document) => text::open(bytes, sink),
        Some(Packing::Closed) => sink.gap(GapReason::NotOpened, ""),
    }
}

fn zstd_reader(bytes: &[u8]) -> io::Result<impl Read> {
    let mut reader = zstd::stream::read::Decoder::with_buffer(bytes)?;
    reader.window_log_max(WINDOW_LOG_MAX)?;
    Ok(reader)
}

/// Reads a member and hands it over, with what there is of it if it is damaged.
fn member(reader: impl Read, name: &str, sink: &mut dyn Sink) {
    if !sink.begin(name) {
        return;
    }
    let bytes = read(reader, name, sink);
    sink.member(name, &bytes);
}

fn read(mut reader: impl Read, name: &str, sink: &mut dyn Sink) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let before = bytes.len();
        let outcome = reader.by_ref().take(STEP_LEN as u64).read_to_end(&mut bytes);
        let added = (bytes.len() - before) as u64;
        if added > 0 && !sink.grow(name, bytes.len() as u64, added) {
            return bytes;
        }
        match outcome {
            Ok(0) => return bytes,
            Ok(_) => (),
            Err(_) => {
                sink.gap(GapReason::Damaged, name);
                return bytes;
            }
        }
    }
}
