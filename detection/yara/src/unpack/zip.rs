//! Zip archives, and what is built on them (docx, jar, apk).
//!
//! Own code, because a scanner must see what any program would see. A reader that goes by the central directory alone
//! misses members that are not listed, that share a name with another one, or whose two headers contradict each other
//! on purpose. Here local headers are walked from the front; where the central directory says something else about the
//! same bytes, both readings are looked at. Source: PKWARE's APPNOTE, sections 4.3 to 4.5.

use std::collections::HashMap;

use crate::report::GapReason;
use crate::unpack::{Sink, member, zstd_reader};

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const LOCAL_LEN: usize = 30;
const CENTRAL_LEN: usize = 46;
const END_LEN: usize = 22;
/// Records of the central directory that are remembered.
const CENTRAL_MAX: usize = 50_000;

const ENCRYPTED: u16 = 1;
/// The sizes come behind the data.
const SIZES_LATER: u16 = 1 << 3;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const ZSTD: u16 = 93;

/// Where the first member has to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Start {
    First,
    /// Behind something else; then only members that a directory lists count.
    Anywhere,
}

/// What a header says of a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Claim {
    flags: u16,
    method: u16,
    packed: u64,
}

pub(super) fn open(bytes: &[u8], start: Start, sink: &mut dyn Sink) {
    let central = directory(bytes, start);
    if start == Start::First && central.is_empty() && find(bytes, END, 0).is_none() {
        sink.gap(GapReason::Damaged, ""); // cut off; what is there is looked at
    }
    let mut at = 0;
    while let Some(header) = find(bytes, LOCAL, at) {
        if sink.is_over() {
            return;
        }
        let listed = central.get(&header);
        // Programs that work with zips have the marks among their constants, so behind a program only the list counts.
        at = match (start, listed) {
            (Start::Anywhere, None) => header + LOCAL.len(),
            _ => entry(bytes, header, listed, sink).max(header + LOCAL.len()),
        };
    }
}

/// Looks at the member whose local header is here, and gives the place behind it.
fn entry(bytes: &[u8], header: usize, central: Option<&Claim>, sink: &mut dyn Sink) -> usize {
    let Some((local, name, data)) = local_header(bytes, header) else {
        sink.gap(GapReason::Damaged, "");
        return header + LOCAL.len();
    };
    let rest = bytes.get(data..).unwrap_or_default();
    let mut local = local;
    if local.flags & SIZES_LATER != 0 && local.packed == 0 {
        // The directory knows; without it, up to the next record.
        local.packed = central.map_or_else(|| up_to_next_record(rest), |central| central.packed);
    }
    if local.packed > rest.len() as u64 {
        sink.gap(GapReason::Damaged, &name);
    }
    if !(name.ends_with('/') && local.packed == 0) {
        unpack(rest, local, &name, sink);
    }
    let differs = |central: &&Claim| {
        central.method != local.method
            || central.packed != local.packed
            || (central.flags ^ local.flags) & ENCRYPTED != 0
    };
    if let Some(central) = central.filter(differs) {
        sink.gap(GapReason::Damaged, &name);
        unpack(rest, *central, &name, sink);
    }
    data.saturating_add(usize::try_from(local.packed).unwrap_or(usize::MAX)).min(bytes.len())
}

fn unpack(rest: &[u8], claim: Claim, name: &str, sink: &mut dyn Sink) {
    if claim.flags & ENCRYPTED != 0 {
        return sink.gap(GapReason::Encrypted, name);
    }
    let len = usize::try_from(claim.packed).unwrap_or(usize::MAX);
    let packed = rest.get(..len).unwrap_or(rest);
    match claim.method {
        STORED => member(packed, name, sink),
        DEFLATED => member(flate2::read::DeflateDecoder::new(packed), name, sink),
        ZSTD => match zstd_reader(packed) {
            Ok(reader) => member(reader, name, sink),
            Err(_) => sink.gap(GapReason::Damaged, name),
        },
        _ => sink.gap(GapReason::NotOpened, name),
    }
}

/// Claim, name, and where the data begins.
fn local_header(bytes: &[u8], at: usize) -> Option<(Claim, String, usize)> {
    let head = bytes.get(at..at.checked_add(LOCAL_LEN)?)?;
    let (name_len, extra_len) = (usize::from(u16_at(head, 26)?), usize::from(u16_at(head, 28)?));
    let name_at = at + LOCAL_LEN;
    let data = name_at + name_len + extra_len;
    let name = bytes.get(name_at..name_at + name_len)?;
    let extra = bytes.get(name_at + name_len..data)?;
    let packed = packed_len(u32_at(head, 18)?, u32_at(head, 22)?, extra);
    let claim = Claim { flags: u16_at(head, 6)?, method: u16_at(head, 8)?, packed };
    Some((claim, String::from_utf8_lossy(name).into_owned(), data))
}

/// What the central directory says, by the place of the local header. Empty if there is no directory that can be read.
fn directory(bytes: &[u8], start: Start) -> HashMap<usize, Claim> {
    read_directory(bytes, start).unwrap_or_default()
}

fn read_directory(bytes: &[u8], start: Start) -> Option<HashMap<usize, Claim>> {
    let tail = bytes.len().saturating_sub(END_LEN + usize::from(u16::MAX));
    let end = tail + memchr::memmem::rfind(bytes.get(tail..)?, END)?;
    let record = bytes.get(end..end.checked_add(END_LEN)?)?;
    let (len, offset) = (u32_at(record, 12)? as usize, u32_at(record, 16)? as usize);
    // Offsets count from the archive's first byte, which is not the file's first one when a program stands before it.
    let mut at = end.checked_sub(len).filter(|at| bytes.get(*at..).is_some_and(|rest| rest.starts_with(CENTRAL)));
    if at.is_none() && start == Start::First {
        at = find(bytes, CENTRAL, 0); // with zip64 the lengths are elsewhere
    }
    let mut at = at?;
    let base = if offset == u32::MAX as usize { 0 } else { at.saturating_sub(offset) };
    let mut claims = HashMap::new();
    while claims.len() < CENTRAL_MAX {
        let Some(head) = bytes.get(at..at + CENTRAL_LEN).filter(|head| head.starts_with(CENTRAL)) else { break };
        let lens = [28, 30, 32].map(|at| u16_at(head, at).map_or(0, usize::from));
        let extra_at = at + CENTRAL_LEN + lens[0];
        let extra = bytes.get(extra_at..extra_at + lens[1]).unwrap_or_default();
        let packed = packed_len(u32_at(head, 20)?, u32_at(head, 24)?, extra);
        let claim = Claim { flags: u16_at(head, 8)?, method: u16_at(head, 10)?, packed };
        claims.insert(base.saturating_add(u32_at(head, 42)? as usize), claim);
        at = extra_at + lens[1] + lens[2];
    }
    Some(claims)
}

/// The packed length, from the zip64 field if it does not fit into the header.
fn packed_len(packed: u32, unpacked: u32, extra: &[u8]) -> u64 {
    if packed != u32::MAX {
        return packed.into();
    }
    let mut rest = extra;
    while let (Some(id), Some(len)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        if id == 1 {
            // The unpacked length stands first, if it does not fit either.
            let skip = if unpacked == u32::MAX { 8 } else { 0 };
            let found = rest.get(4 + skip..12 + skip).and_then(|bytes| bytes.try_into().ok());
            return found.map_or(packed.into(), u64::from_le_bytes);
        }
        rest = rest.get(4 + usize::from(len)..).unwrap_or_default();
    }
    packed.into()
}

/// One search for all marks: with one for each, many headers would have the whole file searched many times.
fn up_to_next_record(rest: &[u8]) -> u64 {
    let marks = [b"PK\x07\x08".as_slice(), LOCAL, CENTRAL];
    let is_record = |at: &usize| rest.get(*at..).is_some_and(|rest| marks.iter().any(|mark| rest.starts_with(mark)));
    let next = memchr::memmem::find_iter(rest, b"PK").find(is_record);
    next.unwrap_or(rest.len()) as u64
}

fn find(bytes: &[u8], mark: &[u8], from: usize) -> Option<usize> {
    memchr::memmem::find(bytes.get(from..)?, mark).map(|at| from + at)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}
