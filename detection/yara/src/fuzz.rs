//! One entry per function that reads hostile bytes. Fuzzers and the property test walk this list.

use std::sync::LazyLock;
use std::time::Duration;

use crate::compile;
use crate::scan::{SampleInfo, ScanLimits, Scanner};
use crate::sniff::Packing;

/// A function that must neither panic nor loop, whatever it is given.
#[derive(Clone, Copy, Debug)]
pub struct FuzzTarget {
    pub name: &'static str,
    pub run: fn(&[u8]),
}

/// Every reader of this crate.
pub fn fuzz_targets() -> &'static [FuzzTarget] {
    TARGETS
}

static TARGETS: &[FuzzTarget] = &[
    FuzzTarget { name: "scan", run: |bytes| scan(bytes, &[]) },
    FuzzTarget { name: "zip", run: |bytes| scan(bytes, b"PK\x03\x04") },
    FuzzTarget { name: "gzip", run: |bytes| scan(bytes, b"\x1f\x8b\x08") },
    FuzzTarget { name: "zstd", run: |bytes| scan(bytes, b"\x28\xb5\x2f\xfd") },
    FuzzTarget { name: "xz", run: |bytes| scan(bytes, b"\xfd7zXZ\x00") },
    FuzzTarget { name: "tar", run: |bytes| crate::unpack::open(bytes, Some(Packing::Tar), &mut Nothing) },
    FuzzTarget { name: "mime", run: |bytes| scan(bytes, b"Content-Type: multipart/mixed; boundary=x\r\n") },
    FuzzTarget { name: "multipart", run: |bytes| scan(bytes, b"--x\r\nContent-Type: a/b\r\n") },
    FuzzTarget { name: "document", run: |bytes| scan(bytes, b"{\"a\":\"") },
    FuzzTarget { name: "carriers", run: carriers },
    FuzzTarget { name: "pe", run: |bytes| scan(bytes, b"MZ") },
    FuzzTarget { name: "elf", run: |bytes| scan(bytes, b"\x7fELF") },
    FuzzTarget {
        name: "rules",
        run: |bytes| {
            compile::one(&String::from_utf8_lossy(bytes));
        },
    },
];

/// Rules that make the engine's modules read the bytes.
static SCANNER: LazyLock<Scanner> = LazyLock::new(|| {
    let text = r#"
import "pe" import "elf" import "dotnet" import "macho" import "dex" import "hash" import "math"
rule modules { condition: pe.number_of_sections > 90 or elf.number_of_sections > 90 or dotnet.is_dotnet
    or macho.cputype == 1 or dex.header.magic == "x" or hash.md5(0, filesize) == "x" or math.entropy(0, filesize) > 9.0
    or pe.number_of_signatures > 90 or pe.imphash() == "x" or pe.rich_signature.length > 90 }
rule strings { strings: $a = "abc" nocase wide ascii $b = { 50 4b [1-8] 00 } $c = /a.{0,9}b/s condition: any of them }
"#;
    compile::one(text).scanner
});

fn scan(bytes: &[u8], head: &[u8]) {
    let limits = ScanLimits { time_max: Duration::from_secs(2), unpacked_max: 8 << 20, ..ScanLimits::default() };
    SCANNER.scan(&[head, bytes].concat(), &SampleInfo::default(), &limits);
}

fn carriers(bytes: &[u8]) {
    crate::unpack::open(bytes, Some(Packing::Mime), &mut Nothing);
    crate::unpack::open(bytes, Some(Packing::Document), &mut Nothing);
}

/// A sink for a reader that is called without its magic.
struct Nothing;

impl crate::unpack::Sink for Nothing {
    fn is_over(&self) -> bool {
        false
    }

    fn begin(&mut self, _: &str) -> bool {
        true
    }

    fn grow(&mut self, _: &str, member_len: u64, _: u64) -> bool {
        member_len < 8 << 20
    }

    fn member(&mut self, _: &str, _: &[u8]) {}

    fn gap(&mut self, _: crate::GapReason, _: &str) {}
}
