//! Every reader of network bytes bears anything.

use std::collections::BTreeSet;

use canh_packet::fuzz_targets;
use proptest::prelude::*;

#[test]
fn every_reader_has_its_own_name() {
    let names: BTreeSet<&str> = fuzz_targets().iter().map(|target| target.name).collect();
    assert_eq!(names.len(), fuzz_targets().len());
}

/// Bytes as hostile packets have them: small numbers and extremes more often than others.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => any::<u8>(), 1 => 0_u8..8, 1 => Just(0xff), 1 => Just(0x45), 1 => Just(0xc0)];
    prop::collection::vec(byte, 0..600)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn readers_bear_random_bytes(bytes in bytes()) {
        for target in fuzz_targets() {
            (target.run)(&bytes);
        }
    }
}
