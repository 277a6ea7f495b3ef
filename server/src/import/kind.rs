//! What a file is, by its first bytes; its name is asked only where bytes do not tell.

use std::path::Path;

/// First bytes of a file that are looked at.
pub(super) const HEAD_LEN: usize = 4_096;
/// Where the magic of a tar archive is (POSIX.1-2017, pax, "ustar Interchange Format").
const USTAR_AT: usize = 257;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Packed with gzip (RFC 1952).
    Gzip,
    /// Packed with zstd (RFC 8878).
    Zstd,
    Xz,
    Tar,
    /// An event log of Windows.
    Evtx,
    /// Packets: pcap or pcapng.
    Packets,
    /// Cells between this separator, with names in the first line.
    Table(u8),
    /// Lines whose values are named by lines before them that begin with `#`: Zeek's own logs, W3C logs of IIS.
    Headed,
    /// One or more JSON texts, each over several lines, or arrays.
    Json,
    /// A record on each line.
    Lines,
    Empty,
    /// Nothing that can be read, and what to do.
    Unknown(&'static str),
}

impl Kind {
    pub(super) fn of(head: &[u8], name: &str) -> Self {
        let named = |endings: &[&str]| {
            let ending = Path::new(name).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            endings.iter().any(|known| ending.eq_ignore_ascii_case(known))
        };
        match head {
            [] => Self::Empty,
            [0x1F, 0x8B, ..] => Self::Gzip,
            [0x28, 0xB5, 0x2F, 0xFD, ..] => Self::Zstd,
            [0xFD, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [b'E', b'l', b'f', b'F', b'i', b'l', b'e', 0, ..] => Self::Evtx,
            [0xD4, 0xC3, 0xB2, 0xA1, ..] | [0xA1, 0xB2, 0xC3, 0xD4, ..] => Self::Packets,
            [0x4D, 0x3C, 0xB2, 0xA1, ..] | [0xA1, 0xB2, 0x3C, 0x4D, ..] => Self::Packets,
            [0x0A, 0x0D, 0x0D, 0x0A, ..] => Self::Packets,
            [b'P', b'K', 3, 4, ..] => Self::Unknown("a ZIP archive; unpack it first"),
            [b'7', b'z', 0xBC, 0xAF, ..] => Self::Unknown("a 7-Zip archive; unpack it first"),
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => {
                Self::Unknown("text in UTF-16; convert it first: `iconv -f UTF-16 -t UTF-8`")
            }
            _ if head.get(USTAR_AT..USTAR_AT + 5) == Some(b"ustar") => Self::Tar,
            _ if head.contains(&0) => Self::Unknown("not text, and no kind of file that can be read"),
            [b'#', ..] if is_headed(head) => Self::Headed,
            _ if named(&["csv"]) => Self::Table(separator(head)),
            _ if named(&["tsv"]) => Self::Table(b'\t'),
            _ => Self::text(head),
        }
    }

    /// Lines that are JSON each are lines; an array, or an object that goes on in the next line, is read as JSON.
    fn text(head: &[u8]) -> Self {
        let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
        let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let whole = first.len() < head.len();
        match head.first() {
            Some(b'[') if looks_like_array(head) => Self::Json,
            Some(b'{') if wraps_records(head) => Self::Json,
            Some(b'{') if whole && serde_json::from_slice::<serde::de::IgnoredAny>(first).is_err() => Self::Json,
            _ => Self::Lines,
        }
    }
}

fn is_headed(head: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n')
        .take_while(|line| line.starts_with(b"#"))
        .any(|line| line.starts_with(b"#fields\t") || line.starts_with(b"#separator ") || line.starts_with(b"#Fields:"))
}

/// Many a log line begins with `[`: the next sign tells.
fn looks_like_array(head: &[u8]) -> bool {
    matches!(head.get(1..).map(<[u8]>::trim_ascii_start), Some([b'{' | b']' | b'[', ..]))
}

/// `{"Records":[` of CloudTrail, `{"records":[` of Azure, `{"value":[` of Graph: the whole file is one object.
fn wraps_records(head: &[u8]) -> bool {
    let compact: Vec<u8> = head.iter().take(64).filter(|byte| !byte.is_ascii_whitespace()).copied().collect();
    super::records::WRAPPERS.iter().any(|name| compact.starts_with(format!("{{\"{name}\":[").as_bytes()))
}

/// The sign that is most often in the first line; spreadsheets of many countries write semicolons.
fn separator(head: &[u8]) -> u8 {
    let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |sign: u8| first.iter().filter(|byte| **byte == sign).count();
    [b',', b';', b'\t'].into_iter().rev().max_by_key(|sign| count(*sign)).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_tell_before_names() {
        let mut tar = vec![0_u8; 512];
        tar[USTAR_AT..USTAR_AT + 5].copy_from_slice(b"ustar");
        let rows: &[(&[u8], &str, Kind)] = &[
            (b"", "a.log", Kind::Empty),
            (&[0x1F, 0x8B, 8, 0], "a.csv", Kind::Gzip),
            (&[0x28, 0xB5, 0x2F, 0xFD], "a", Kind::Zstd),
            (&tar, "a", Kind::Tar),
            (b"ElfFile\0\0\0", "Security", Kind::Evtx),
            (&[0x0A, 0x0D, 0x0D, 0x0A, 0, 0], "a", Kind::Packets),
            (b"{\"a\":1}\n{\"a\":2}\n", "a.json", Kind::Lines),
            (b"{\"a\":1}", "a.json", Kind::Lines),
            (b"{\n  \"a\": 1\n}\n", "a.json", Kind::Json),
            (b"\xEF\xBB\xBF[\n {\"a\":1}]", "a.json", Kind::Json),
            (b"{\"Records\":[{\"eventVersion\":\"1.08\"}", "a.json", Kind::Json),
            (b"{ \"records\": [{\"time\":\"x\"}]}\n", "a.json", Kind::Json),
            (b"[2026-11-22 08:00:00] INFO started\n", "a.log", Kind::Lines),
            (b"<38>1 2026-11-22T08:31:48Z may01 sshd 1 - - x\n", "syslog", Kind::Lines),
            (b"time,user\n1,a\n", "a.csv", Kind::Table(b',')),
            (b"time;user,name;x\n1;a\n", "a.CSV", Kind::Table(b';')),
            (b"time\tuser\n", "a.tsv", Kind::Table(b'\t')),
        ];
        for (head, name, expected) in rows {
            assert_eq!(Kind::of(head, name), *expected, "{name}: {}", String::from_utf8_lossy(head));
        }
        assert!(matches!(Kind::of(b"PK\x03\x04", "a.zip"), Kind::Unknown(_)));
        assert!(matches!(Kind::of(b"\x7fELF\0\0", "a.log"), Kind::Unknown(_)));
    }
}
