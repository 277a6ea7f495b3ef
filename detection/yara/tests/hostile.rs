//! Whatever the bytes are, a scan ends, soon, and without a panic.

mod support;

use std::time::{Duration, Instant};

use canh_yara::fuzz_targets;
use proptest::prelude::*;

/// Far more than any of these takes; a loop would be noticed.
const PATIENCE: Duration = Duration::from_secs(20);

fn run_all(bytes: &[u8]) {
    for target in fuzz_targets() {
        let begun = Instant::now();
        (target.run)(bytes);
        assert!(begun.elapsed() < PATIENCE, "`{}` took {:?} for {} bytes", target.name, begun.elapsed(), bytes.len());
    }
}

/// One of each packing, some of them nested.
fn archives() -> Vec<Vec<u8>> {
    let text = b"some canary text, some canary text, some canary text".repeat(20);
    let zip = support::zip(&[("a.txt", &text), ("b/c.txt", b"stored"), ("d.gz", &support::gzip(&text))]);
    let tar = support::tarball(&[("a.txt", &text), (&"long/".repeat(60), b"x"), ("b.zip", &zip)]);
    let xz = include_bytes!("data/canary.txt.xz").to_vec();
    vec![support::gzip(&tar), support::zstd(&zip), zip, tar, xz]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2_048)) {
        run_all(&bytes);
    }

    #[test]
    fn archives_with_a_few_bytes_changed(
        which in 0..5_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = archives().swap_remove(which);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        run_all(&bytes);
    }

    #[test]
    fn rules_of_random_words(words in proptest::collection::vec(
        prop::sample::select(vec!["rule", "r", "{", "}", "condition", ":", "true", "strings", "$a", "=", "\"x\"", "/a+/",
            "private", "global", "\n", "import", "include", "(", ")", "{ 0? [2-] }", "and", "#a", "for", "đ"]), 0..60)) {
        let text = words.join(" ");
        for target in fuzz_targets().iter().filter(|target| target.name == "rules") {
            (target.run)(text.as_bytes());
        }
    }
}

#[test]
fn archives_cut_off_anywhere() {
    for archive in archives() {
        for len in (0..archive.len()).step_by(7) {
            support::scan(&support::scanner(support::CANARY), "a", &archive[..len]);
        }
    }
}
