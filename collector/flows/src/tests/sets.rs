//! Protocols with templates: NetFlow v9 and IPFIX.

use super::*;
use crate::{Malformed, Sampling, with_sets};

const TEMPLATE: u16 = 256;
const OPTIONS: u16 = 300;

/// Two addresses, bytes in three bytes, interfaces, a sampler.
fn v9_template() -> Vec<u8> {
    set(0, &words(&[TEMPLATE, 7, 8, 4, 12, 4, 1, 3, 10, 2, 14, 2, 48, 1, 22, 4]))
}

fn v9_record(last: u8, sampler: u8) -> Vec<u8> {
    bytes(&[&[10, 0, 0, last, 10, 0, 1, 1, 1, 0, 0, 0, 1, 0, 2, sampler], &99_000u32.to_be_bytes()])
}

fn v9_data(records: &[Vec<u8>]) -> Vec<u8> {
    set(TEMPLATE, &records.concat())
}

#[test]
fn netflow_v9_with_padding_and_reduced_sizes() {
    let mut decoder = decoder();
    let (_, outcome) = feed(&mut decoder, &v9(1, &[v9_template()]));
    assert_eq!((outcome.learned, outcome.step, outcome.malformed), (vec![TEMPLATE], Some(1), None));
    let data = set(TEMPLATE, &bytes(&[&v9_record(1, 0), &v9_record(2, 0), &[0, 0, 0]]));
    let (seen, outcome) = feed(&mut decoder, &v9(2, &[data]));
    assert_eq!((outcome.flows, outcome.malformed, outcome.domain), (2, None, 7));
    assert_eq!(seen.flows[1].source, Some([10, 0, 0, 2].into()));
    assert_eq!(seen.flows[1].bytes, Some(65_536));
    assert_eq!(seen.flows[1].start, Some(999_999_999_000_000_000));
    assert_eq!(seen.flows[1].sampling, Sampling::Unsaid);
    let (_, outcome) = feed(&mut decoder, &v9(3, &[v9_template()]));
    assert_eq!(outcome.learned, []);
}

#[test]
fn options_tell_rates_and_names() {
    let mut decoder = decoder();
    let samplers = set(1, &words(&[OPTIONS, 4, 8, 1, 4, 48, 1, 50, 2]));
    let rate = set(OPTIONS, &[0, 0, 0, 0, 3, 0, 100]);
    let interfaces = set(1, &words(&[OPTIONS + 1, 4, 4, 2, 4, 82, 8]));
    let names = set(OPTIONS + 1, b"\0\0\0\x01Gi0/1\0\0\0\0\0\0\x02Gi0/2\0\0\0");
    let (_, outcome) = feed(&mut decoder, &v9(1, &[samplers, rate, interfaces, names, v9_template()]));
    assert_eq!((outcome.options, outcome.malformed), (3, None));
    let data = v9_data(&[v9_record(1, 3), v9_record(1, 4), v9_record(1, 0)]);
    let (seen, _) = feed(&mut decoder, &v9(2, std::slice::from_ref(&data)));
    let rates: Vec<_> = seen.flows.iter().map(|flow| flow.sampling).collect();
    assert_eq!(rates, [Sampling::OneIn(100), Sampling::Unknown, Sampling::Unsaid]);
    assert_eq!(seen.names[0], "Gi0/1 Gi0/2");

    // A batch of the journal brings what its data need, and no more.
    decoder.begin_batch();
    feed(&mut decoder, &v9(3, std::slice::from_ref(&data)));
    assert!(decoder.context_len() > 0);
    let context = decoder.take_context();
    let mut later = super::decoder();
    let restored = later.restore(&context);
    assert_eq!((restored.templates, restored.facts, restored.is_whole), (1, 3, true));
    let (again, outcome) = feed(&mut later, &v9(3, std::slice::from_ref(&data)));
    assert_eq!(outcome.unknown_sets, 0);
    assert_eq!((again.flows, again.names), (seen.flows.clone(), seen.names.clone()));

    // So does the state on disk, with everything.
    let mut restarted = super::decoder();
    let restored = restarted.restore(&decoder.snapshot());
    assert_eq!((restored.templates, restored.facts), (3, 3));
    assert!(!restarted.take_changed());
    assert_eq!(restarted.snapshot(), decoder.snapshot());
    let (again, _) = feed(&mut restarted, &v9(3, &[data]));
    assert_eq!(again.flows, seen.flows);
    assert!(!super::decoder().restore(&context[..context.len() - 1]).is_whole);
}

#[test]
fn what_a_batch_brings_itself_is_not_in_its_context() {
    let mut decoder = decoder();
    decoder.begin_batch();
    feed(&mut decoder, &v9(1, &[v9_template(), v9_data(&[v9_record(1, 0)])]));
    assert_eq!(decoder.take_context(), []);
    // What was known before and is redefined in the batch is in it as it was when it was needed.
    decoder.begin_batch();
    feed(&mut decoder, &v9(2, &[v9_data(&[v9_record(1, 0)])]));
    feed(&mut decoder, &v9(3, &[set(0, &words(&[TEMPLATE, 1, 8, 4])), set(TEMPLATE, &[10, 0, 0, 9])]));
    let context = decoder.take_context();
    let mut later = super::decoder();
    later.restore(&context);
    let (seen, _) = feed(&mut later, &v9(2, &[v9_data(&[v9_record(1, 0)])]));
    assert_eq!(seen.flows[0].destination, Some([10, 0, 1, 1].into()));
}

#[test]
fn data_before_their_template_are_named_and_can_be_parted() {
    let mut decoder = decoder();
    let message = v9(1, &[v9_data(&[v9_record(1, 0)]), v9_template(), v9_data(&[v9_record(2, 0)])]);
    let (seen, outcome) = feed(&mut decoder, &message);
    assert_eq!((seen.unknown, outcome.unknown_sets, outcome.flows), (vec![(TEMPLATE, 0)], 1, 1));
    let held = with_sets(&message, |place| place == 0).unwrap();
    let rest = with_sets(&message, |place| place != 0).unwrap();
    let (seen, _) = feed(&mut decoder, &held);
    assert_eq!(seen.flows[0].source, Some([10, 0, 0, 1].into()));
    let (seen, outcome) = feed(&mut super::decoder(), &rest);
    assert_eq!((outcome.unknown_sets, seen.flows.len()), (0, 1));
    assert_eq!(with_sets(&message, |_| false), None);
    let message = ipfix(1, &[set(256, &[1; 8]), set(257, &[2; 4])]);
    assert_eq!(with_sets(&message, |place| place == 1).unwrap(), ipfix(1, &[set(257, &[2; 4])]));
    assert_eq!(with_sets(&[0, 5], |_| true), None);
}

/// Addresses, bytes both ways (RFC 5103), a name of any length, a field of an enterprise.
fn ipfix_template() -> Vec<u8> {
    let fields = words(&[TEMPLATE, 6, 8, 4, 12, 4, 1, 8, 0x8001, 8, 0, 29_305, 96, 0xffff, 0x8000 | 100, 2, 0, 9]);
    set(2, &fields)
}

fn ipfix_record(name: &[u8]) -> Vec<u8> {
    bytes(&[&[10, 0, 0, 1, 10, 0, 0, 2], &7u64.to_be_bytes(), &9u64.to_be_bytes(), name, &[1, 2]])
}

#[test]
fn ipfix_with_lengths_in_records_enterprises_and_both_directions() {
    let long = bytes(&[&[255, 1, 4], &[b'x'; 260]]);
    let data = set(TEMPLATE, &bytes(&[&ipfix_record(b"\x03dns"), &ipfix_record(&long), &ipfix_record(b"\0"), &[0, 0]]));
    let (seen, outcome) = feed(&mut decoder(), &ipfix(1, &[ipfix_template(), data]));
    assert_eq!((outcome.flows, outcome.step, outcome.malformed), (3, Some(3), None));
    assert_eq!((seen.flows[0].bytes, seen.flows[0].reverse_bytes), (Some(7), Some(9)));
    assert_eq!(seen.natives[0], "applicationName=Text(\"dns\") enterprise9.element100=Unsigned(258)");
    assert!(seen.natives[1].contains("xxx") && seen.natives[1].len() > 260);
    assert_eq!(seen.natives[2], "enterprise9.element100=Unsigned(258)");
}

#[test]
fn lies_about_lengths_end_where_they_are() {
    let check = |sets: &[Vec<u8>], flows, malformed| {
        let (_, outcome) = feed(&mut decoder(), &ipfix(1, sets));
        assert_eq!((outcome.flows, outcome.malformed), (flows, malformed), "{sets:?}");
    };
    let good = set(TEMPLATE, &ipfix_record(b"\x01a"));
    // A name that is longer than its set.
    let beyond = set(TEMPLATE, &bytes(&[&ipfix_record(b"\x01a"), &ipfix_record(b"\xf0a")]));
    check(&[ipfix_template(), beyond], 1, Some(Malformed::Record));
    // Sets of impossible lengths.
    check(&[ipfix_template(), words(&[TEMPLATE, 3]), good.clone()], 0, Some(Malformed::Length));
    check(&[ipfix_template(), good.clone(), words(&[TEMPLATE, 60_000])], 1, Some(Malformed::Length));
    // A template with more fields than it has, without fields for records, with too low an id.
    check(&[set(2, &words(&[TEMPLATE, 9, 8, 4])), good.clone()], 0, Some(Malformed::Template));
    check(&[set(2, &words(&[TEMPLATE, 2, 8, 0, 12, 0])), good.clone()], 0, Some(Malformed::Template));
    check(&[set(2, &words(&[255, 1, 8, 4])), good.clone()], 0, Some(Malformed::Template));
    // Options without a scope.
    check(&[set(3, &words(&[OPTIONS, 1, 0, 8, 4]))], 0, Some(Malformed::Template));
    let short = &ipfix(1, &[good])[..30];
    assert_eq!(feed(&mut decoder(), short).1.malformed, Some(Malformed::Short));
}

#[test]
fn templates_are_taken_back_and_redefined() {
    let mut decoder = decoder();
    let data = ipfix(1, &[set(TEMPLATE, &[10, 0, 0, 1, 10, 0, 0, 2])]);
    let unknown = |decoder: &mut Decoder| feed(decoder, &data).1.unknown_sets;
    let define = ipfix(1, &[set(2, &words(&[TEMPLATE, 2, 8, 4, 12, 4]))]);
    assert_eq!(unknown(&mut decoder), 1);
    feed(&mut decoder, &define);
    assert_eq!(unknown(&mut decoder), 0);
    feed(&mut decoder, &ipfix(1, &[set(2, &words(&[TEMPLATE, 0]))]));
    assert_eq!(unknown(&mut decoder), 1);
    feed(&mut decoder, &define);
    // All templates of options; not this one. Then all of this kind.
    feed(&mut decoder, &ipfix(1, &[set(3, &words(&[3, 0]))]));
    assert_eq!(unknown(&mut decoder), 0);
    feed(&mut decoder, &ipfix(1, &[set(2, &words(&[2, 0]))]));
    assert_eq!(unknown(&mut decoder), 1);
    feed(&mut decoder, &define);
    feed(&mut decoder, &ipfix(1, &[set(2, &words(&[TEMPLATE, 2, 12, 4, 8, 4]))]));
    let (seen, _) = feed(&mut decoder, &data);
    assert_eq!(seen.flows[0].source, Some([10, 0, 0, 2].into()));
    // Another domain has templates of its own.
    assert_eq!(feed(&mut decoder, &ipfix(2, &[set(TEMPLATE, &[0; 8])])).1.unknown_sets, 1);
    let counts = decoder.counts();
    assert_eq!((counts.learned, counts.redefined, counts.withdrawn), (4, 1, 2));
}

#[test]
fn times_of_all_kinds() {
    let check = |fields: &[u16], record: &[u8], start: Option<i64>, end: Option<i64>| {
        let template = words(&[&[TEMPLATE, u16::try_from(fields.len() / 2).unwrap()], fields].concat());
        let (seen, outcome) = feed(&mut decoder(), &ipfix(1, &[set(2, &template), set(TEMPLATE, record)]));
        assert_eq!(outcome.malformed, None);
        assert_eq!((seen.flows[0].start, seen.flows[0].end), (start, end), "{fields:?}");
    };
    let second = 1_000_000_000i64;
    check(&[150, 4, 151, 4], &[0, 0, 0, 1, 0, 0, 0, 2], Some(second), Some(2 * second));
    check(&[152, 8, 161, 4], &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 5], Some(1_000_000), Some(6_000_000));
    check(&[158, 4], &[0, 0, 0, 1], Some(second * second - 1_000), None);
    check(&[323, 8], &[0, 0, 0, 0, 0, 0, 0, 3], Some(3_000_000), Some(3_000_000));
    check(&[160, 8, 22, 4], &[0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4], Some(7_000_000), None);
    // When the exporter came up is not known.
    check(&[22, 4], &[0, 0, 0, 4], None, None);
    check(&[156, 8], &[0x83, 0xaa, 0x7e, 0x80, 0x40, 0, 0, 0], Some(second / 4), None);
}

#[test]
fn rates_are_said_in_many_ways() {
    let check = |options: &[u16], record: &[u8], expected| {
        let count = u16::try_from(options.len() / 2).unwrap();
        let options = words(&[&[OPTIONS, count, 1], options].concat());
        let data = set(2, &words(&[TEMPLATE, 2, 302, 1, 10, 1]));
        let sets = [set(3, &options), set(OPTIONS, record), data, set(TEMPLATE, &[1, 2])];
        let (seen, outcome) = feed(&mut decoder(), &ipfix(1, &sets));
        assert_eq!(outcome.malformed, None);
        assert_eq!(seen.flows[0].sampling, expected, "{options:?}");
    };
    check(&[302, 1, 34, 2], &[1, 0, 50], Sampling::OneIn(50));
    check(&[302, 1, 305, 1, 306, 2], &[1, 1, 0, 99], Sampling::OneIn(100));
    check(&[302, 1, 305, 1], &[1, 64], Sampling::OneIn(64));
    check(&[302, 1, 309, 1, 310, 2], &[1, 2, 1, 0], Sampling::OneIn(128));
    check(&[302, 1, 311, 4], &bytes(&[&[1], &0.01f32.to_be_bytes()]), Sampling::OneIn(100));
    check(&[144, 1, 34, 2], &[1, 0, 50], Sampling::OneIn(50));
    check(&[10, 1, 34, 2], &[2, 0, 50], Sampling::OneIn(50));
    check(&[10, 1, 34, 2], &[3, 0, 50], Sampling::Unknown);
    check(&[302, 1, 34, 2], &[1, 0, 0], Sampling::Unknown);
}

#[test]
fn what_an_exporter_says_in_domain_0_holds_for_all_its_domains() {
    let mut decoder = decoder();
    let rate = [set(3, &words(&[OPTIONS, 2, 1, 302, 1, 34, 2])), set(OPTIONS, &[1, 0, 50])];
    feed(&mut decoder, &ipfix(0, &rate));
    let data = [set(2, &words(&[TEMPLATE, 1, 302, 1])), set(TEMPLATE, &[1])];
    feed(&mut decoder, &ipfix(9, &data));
    decoder.begin_batch();
    let (seen, _) = feed(&mut decoder, &ipfix(9, &data[1..]));
    assert_eq!(seen.flows[0].sampling, Sampling::OneIn(50));
    let mut later = super::decoder();
    later.restore(&decoder.take_context());
    assert_eq!(feed(&mut later, &ipfix(9, &data[1..])).0.flows, seen.flows);
}
