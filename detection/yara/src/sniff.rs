//! What a file is by its first bytes, in the words that public rules use for the external variable `filetype`, and
//! which packings there are.

use crate::unpack;

/// Kind of packing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Packing {
    Zip,
    Gzip,
    Tar,
    Zstd,
    Xz,
    /// A mail or parts of `multipart/*`.
    Mime,
    /// XML or JSON with files in base64 in it.
    Document,
    /// Known and not opened.
    Closed,
}

/// Bytes at an offset, and what they mean.
struct Magic<T> {
    offset: usize,
    bytes: &'static [u8],
    means: T,
}

const fn magic<T>(offset: usize, bytes: &'static [u8], means: T) -> Magic<T> {
    Magic { offset, bytes, means }
}

static PACKINGS: &[Magic<Packing>] = &[
    magic(0, b"PK\x03\x04", Packing::Zip),
    magic(0, b"PK\x05\x06", Packing::Zip),
    magic(0, b"PK\x07\x08PK\x03\x04", Packing::Zip), // the first of several volumes
    magic(0, b"\x1f\x8b\x08", Packing::Gzip),
    magic(0, b"\x28\xb5\x2f\xfd", Packing::Zstd),
    magic(0, b"\xfd7zXZ\x00", Packing::Xz),
    magic(257, b"ustar", Packing::Tar),
    magic(0, b"Rar!\x1a\x07", Packing::Closed),
    magic(0, b"7z\xbc\xaf\x27\x1c", Packing::Closed),
    magic(4, b"1AY&SY", Packing::Closed), // bzip2, behind its level,
    magic(0, b"MSCF\x00\x00\x00\x00", Packing::Closed),
];

static TYPES: &[Magic<&str>] = &[
    magic(0, b"MZ", "EXE"),
    magic(0, b"\x7fELF", "ELF"),
    magic(0, b"%PDF", "PDF"),
    magic(0, b"{\\rt", "RTF"),
    magic(0, b"MDMP", "MDMP"),
    magic(0, b"\xcf\xfa\xed\xfe", "MACH-O"),
    magic(0, b"\xce\xfa\xed\xfe", "MACH-O"),
    magic(0, b"\xca\xfe\xba\xbe", "JAVACLASS"),
    magic(0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "OLE"),
    magic(0, b"<?php", "PHP"),
    magic(0, b"<%@ page", "JSP"),
    magic(0, b"PK\x03\x04", "ZIP"),
    magic(0, b"\x1f\x8b", "GZIP"),
    magic(0, b"Rar!", "RAR"),
    magic(0, b"7z\xbc\xaf", "7ZIP"),
];

fn find<T: Copy>(table: &[Magic<T>], bytes: &[u8]) -> Option<T> {
    let found = table.iter().find(|row| bytes.get(row.offset..).is_some_and(|rest| rest.starts_with(row.bytes)));
    found.map(|row| row.means)
}

/// The packing that the first bytes name.
pub(crate) fn packing(bytes: &[u8]) -> Option<Packing> {
    find(PACKINGS, bytes)
}

/// What a text carries files as, for bytes without a packing.
pub(crate) fn carrier(bytes: &[u8]) -> Option<Packing> {
    if unpack::is_mime(bytes) { Some(Packing::Mime) } else { unpack::is_document(bytes).then_some(Packing::Document) }
}

/// Whether a zip's end record lies in the last 64 KiB, where it may be. A zip may have a program in front of it, as
/// self-extracting archives do.
pub(crate) fn ends_like_zip(bytes: &[u8]) -> bool {
    let tail = bytes.get(bytes.len().saturating_sub(22 + 65_535)..).unwrap_or_default();
    memchr::memmem::rfind(tail, b"PK\x05\x06").is_some()
}

/// Empty if it is not known.
pub(crate) fn filetype(bytes: &[u8]) -> &'static str {
    find(TYPES, bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Option<Packing>, filetype_expected: &str) {
        assert_eq!(packing(bytes), expected, "bytes: {bytes:?}");
        assert_eq!(filetype(bytes), filetype_expected, "bytes: {bytes:?}");
    }

    #[test]
    fn kinds_are_told_by_their_first_bytes() {
        check(b"PK\x03\x04rest", Some(Packing::Zip), "ZIP");
        check(b"\x1f\x8b\x08", Some(Packing::Gzip), "GZIP");
        check(b"MZ\x90", None, "EXE");
        check(b"Rar!\x1a\x07\x00", Some(Packing::Closed), "RAR");
        check(b"P", None, "");
        check(b"", None, "");
        let mut tar = vec![0_u8; 512];
        tar[257..262].copy_from_slice(b"ustar");
        check(&tar, Some(Packing::Tar), "");
    }
}
