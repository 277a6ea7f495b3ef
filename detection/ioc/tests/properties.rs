//! The index against a naive scan, and hostile inputs against every reader.

use std::collections::BTreeSet;
use std::net::IpAddr;

use canh_ioc::{Builder, IndicatorKind, IndicatorSet, LoadOptions, PrivateAddresses, fuzz_targets};
use canh_schema::{BatchId, Event, EventId, Timestamp, Value};
use ipnet::IpNet;
use proptest::prelude::*;

fn build(text: &str) -> IndicatorSet {
    let mut builder = Builder::new(LoadOptions { private: PrivateAddresses::Take, ..LoadOptions::default() });
    builder.add_text("list.txt", text);
    builder.finish().0
}

/// Whether an indicator means a value, said as simply as can be.
fn naive(kind: IndicatorKind, indicator: &str, value: &str) -> bool {
    match kind {
        IndicatorKind::Ip => {
            value.parse::<IpAddr>().ok().map(|one| one.to_canonical()) == indicator.parse::<IpAddr>().ok()
        }
        IndicatorKind::Cidr => {
            let network = indicator.parse::<IpNet>().expect("a network");
            value.parse::<IpAddr>().is_ok_and(|one| network.contains(&one.to_canonical()))
        }
        IndicatorKind::Domain => {
            let name = value.to_ascii_lowercase();
            let name = name.trim_end_matches('.');
            name.parse::<IpAddr>().is_err() && (name == indicator || name.ends_with(&format!(".{indicator}")))
        }
        _ => value.eq_ignore_ascii_case(indicator),
    }
}

/// Few values, so that lists and events meet often.
fn address() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..4_u8, 0..4_u8, 0..8_u8).prop_map(|(a, b, c)| format!("198.{a}.{b}.{c}")),
        (0..4_u16, 0..4_u16).prop_map(|(a, b)| format!("2001:db8:{a:x}::{b:x}")),
        (0..4_u8).prop_map(|a| format!("::ffff:198.0.0.{a}")),
    ]
}

fn name() -> impl Strategy<Value = String> {
    "((a|b|www|x-1)\\.){0,3}(evil|good|Mid)\\.(example|com\\.vn|test)\\.?"
}

fn listed() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => address(),
        2 => (address(), 9..33_u8).prop_filter_map("of IPv4", |(address, len)| {
            (!address.contains(':')).then(|| format!("{address}/{len}"))
        }),
        1 => (0..4_u16, 20..128_u8).prop_map(|(a, len)| format!("2001:db8:{a:x}::/{len}")),
        3 => name(),
        1 => (0..4_u8).prop_map(|n| format!("{n:032x}")),
    ]
}

fn seen() -> impl Strategy<Value = (&'static str, String)> {
    prop_oneof![
        address().prop_map(|value| ("dns.answers.data", value)),
        address().prop_map(|value| ("DestinationIp", value)),
        name().prop_map(|value| ("query", value)),
        (0..6_u8).prop_map(|n| ("md5", format!("{n:032X}"))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_index_agrees_with_a_naive_scan(
        list in prop::collection::vec(listed(), 0..60),
        seen in prop::collection::vec(seen(), 1..12),
    ) {
        let set = build(&list.join("\n"));
        let now = Timestamp::from_secs(0);
        let mut event = Event::new(EventId::new(BatchId::from_journal(1, 1), 0), now, bytes::Bytes::new());
        for (field, value) in &seen {
            event.attrs.push(((*field).into(), Value::from(value.as_str())));
        }
        let found: BTreeSet<String> =
            set.evaluate(&event, now).iter().map(|one| one.indicator.value.to_string()).collect();
        let expected: BTreeSet<String> = set
            .iter()
            .filter(|one| seen.iter().any(|(field, value)| {
                let digest = *field == "md5";
                digest == (one.kind == IndicatorKind::Md5) && naive(one.kind, &one.value, value)
            }))
            .map(|one| one.value.to_string())
            .collect();
        prop_assert_eq!(found, expected);
    }

    /// Whatever is taken is shown in a form that is read as the same again.
    #[test]
    fn what_is_shown_is_read_back(text in "[ -~àđ\\[\\]]{1,60}") {
        let set = build(&text);
        for one in set.iter() {
            let again = build(&format!("{}:{}", one.kind, one.value));
            let values: Vec<_> = again.iter().map(|one| (one.kind, one.value)).collect();
            prop_assert_eq!(values, vec![(one.kind, one.value)], "input: {:?}", text);
        }
    }

    #[test]
    fn no_reader_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for (_, target) in fuzz_targets() {
            target(&bytes);
        }
    }

    /// Texts that look like what the readers expect.
    #[test]
    fn no_reader_panics_on_nearly_right_texts(
        text in "([\\[\\]{}()'\",:;=|#!./@ \n]|OR|AND|IN|value|type|ipv4-addr:value|url|http://|md5|Event|Attribute|1\\.2\\.3\\.4|é|\\\\){0,80}",
    ) {
        for (_, target) in fuzz_targets() {
            target(text.as_bytes());
        }
    }
}

#[test]
fn hostile_inputs() {
    let deep = "[".repeat(100_000);
    let objects = "{\"Event\":".repeat(10_000);
    let long = "a".repeat(5_000_000);
    let dots = "a.".repeat(100_000);
    let pattern = format!("[{}ipv4-addr:value = '1.2.3.4'", "(".repeat(100_000));
    let many = format!("[domain-name:value IN ({})]", "'a.example',".repeat(100_000));
    let quotes = "\"".repeat(100_000);
    let idna = "xn--".repeat(1_000);
    let accents = "e\u{301}".repeat(100_000);
    let commas = ",".repeat(1_000_000);
    for text in [&deep, &objects, &long, &dots, &pattern, &many, &quotes, &idna, &accents, &commas] {
        for (_, target) in fuzz_targets() {
            target(text.as_bytes());
        }
    }
}
