//! Nothing that is sent may break the decoder or make it grow without end.

use proptest::prelude::*;

use super::*;
use crate::{Hold, HoldLimits, Sequences, held, with_sets};

#[test]
fn a_flood_of_templates_leaves_the_ones_that_are_used() {
    let limits = Limits { fields_per_stream: 900, fields: 2_000, streams: 64, ..Limits::default() };
    let mut decoder = Decoder::new(limits);
    let good: IpAddr = [192, 0, 2, 9].into();
    let template = set(0, &words(&[256, 1, 8, 4]));
    let data = v9(2, &[set(256, &[10, 0, 0, 1])]);
    decoder.feed(good, &v9(1, &[template]), &mut Seen::default());
    decoder.feed(good, &data, &mut Seen::default());
    for id in 256..40_000u16 {
        // One exporter, and as many as there are addresses.
        let exporter = [[10, 0, 0, 1], [10, 1, id.to_be_bytes()[0], id.to_be_bytes()[1]]];
        for address in exporter {
            decoder.feed(address.into(), &v9(1, &[set(0, &words(&[id, 1, 8, 4]))]), &mut Seen::default());
        }
        if id % 16 == 0 {
            let outcome = decoder.feed(good, &data, &mut Seen::default());
            assert_eq!(outcome.unknown_sets, 0, "at {id}");
        }
        let (templates, streams) = decoder.known();
        assert!(templates <= 2_000 / 9 && streams <= 64);
    }
    assert!(decoder.counts().evicted_templates > 0 && decoder.counts().evicted_streams > 0);
}

#[test]
fn a_flood_of_names_is_bounded() {
    let mut decoder = Decoder::new(Limits { options_per_stream: 10, options: 30, ..Limits::default() });
    for domain in 0..20 {
        let options = set(3, &words(&[300, 2, 1, 10, 4, 82, 2]));
        let records: Vec<u8> = (0..50u32).flat_map(|n| [&n.to_be_bytes()[..], b"ab"].concat()).collect();
        feed(&mut decoder, &ipfix(domain, &[options, set(300, &records)]));
    }
    assert!(decoder.counts().refused_options > 0);
    let mut copy = super::decoder();
    assert!(copy.restore(&decoder.snapshot()).facts <= 30);
}

/// Messages that get past the first tests of a decoder.
fn honest() -> Vec<Vec<u8>> {
    let template = set(2, &words(&[256, 4, 8, 4, 96, 0xffff, 0x8001, 8, 0, 29_305, 302, 1]));
    let data = set(256, &bytes(&[&[10, 0, 0, 1, 2, b'a', b'b'], &[0; 8], &[1]]));
    let options = set(3, &words(&[300, 3, 1, 302, 1, 34, 2, 82, 4]));
    let sflow =
        bytes(&[&[0, 0, 0, 5, 0, 0, 0, 1, 10, 0, 0, 5], &[0; 12], &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 88], &[0; 88]]);
    vec![
        ipfix(1, &[template.clone(), data, options, set(300, &[1, 0, 50, b'e', b't', b'h', 0])]),
        v9(1, &[set(0, &words(&[256, 2, 8, 4, 22, 4])), set(256, &[1; 16]), set(1, &words(&[300, 4, 4, 1, 4, 34, 4]))]),
        bytes(&[&words(&[5, 1]), &[0; 20], &[7; 48]]),
        sflow,
        ipfix(1, &[set(2, &words(&[256, 0]))]),
    ]
}

fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 0..5);
    let changed = (prop::sample::select(honest()), edits).prop_map(|(mut bytes, edits)| {
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len().max(1));
            match kind {
                0 if at < bytes.len() => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(16)),
            }
        }
        bytes
    });
    prop_oneof![4 => changed, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// A door parts messages and makes contexts; whoever reads the batch later sees the very same flows.
    #[test]
    fn decoding_again_gives_the_same(
        before in prop::collection::vec(datagram(), 0..4),
        batch in prop::collection::vec(datagram(), 1..6),
    ) {
        let mut door = decoder();
        let mut sequences = Sequences::new(16);
        let mut hold = Hold::new(HoldLimits { bytes: 10_000, bytes_per_exporter: 10_000, age: 10 });
        before.iter().for_each(|datagram| drop(feed(&mut door, datagram)));
        door.begin_batch();
        let mut kept = Vec::new();
        let mut flows = Vec::new();
        for datagram in &batch {
            let (seen, outcome) = feed(&mut door, datagram);
            sequences.check(EXPORTER, 1, &outcome);
            flows.extend(seen.flows);
            let places: Vec<usize> = seen.unknown.iter().map(|(_, place)| *place).collect();
            if places.is_empty() {
                kept.push(datagram.clone());
            } else {
                kept.extend(with_sets(datagram, |place| !places.contains(&place)));
            }
        }
        held(&hold.snapshot(0));
        hold.expire(1);
        let context = door.take_context();
        let mut later = decoder();
        prop_assert!(later.restore(&context).is_whole);
        let mut again = Vec::new();
        for datagram in &kept {
            let (seen, outcome) = feed(&mut later, datagram);
            prop_assert_eq!(outcome.unknown_sets, 0);
            again.extend(seen.flows);
        }
        prop_assert_eq!(again, flows);
        let mut copy = decoder();
        prop_assert!(copy.restore(&door.snapshot()).is_whole);
    }

    #[test]
    fn nothing_breaks_the_reader_of_contexts(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        decoder().restore(&bytes);
        held(&bytes);
    }
}
