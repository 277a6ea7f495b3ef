//! Real events: values taken out of a corpus are put on a list, and exactly the events that hold them match.

mod support;

use std::collections::BTreeSet;

use canh_ioc::{Builder, FIELDS, Holds, LoadOptions, PrivateAddresses};
use canh_schema::Event;

const EVENTS_MAX: usize = 15_000;

/// The addresses and names of an event in the fields that hold such, lower case, taken apart as simply as can be.
fn values(event: &Event) -> BTreeSet<String> {
    let holds =
        |name: &str| FIELDS.iter().any(|(known, holds)| *known == name && matches!(holds, Holds::Ip | Holds::Host));
    let attrs = event.attrs.iter().filter(|(name, _)| holds(name));
    let texts = attrs.flat_map(|(_, value)| value.members()).filter_map(|value| value.as_text());
    texts.map(|text| text.to_lowercase().trim_end_matches('.').to_owned()).collect()
}

#[test]
fn exactly_the_events_that_hold_a_listed_value_match() {
    let Some(corpus) = support::corpus() else { return };
    for file in ["zeek.jsonl.gz", "otrf-balanced.jsonl.zst"] {
        let lines = support::lines(&corpus.join(file)).take(EVENTS_MAX);
        let events: Vec<Event> = lines.enumerate().map(|(index, line)| support::event(index, &line)).collect();
        let all: BTreeSet<String> = events.iter().flat_map(values).collect();
        let list: Vec<&str> = all.iter().step_by(7).map(String::as_str).collect();
        let mut builder = Builder::new(LoadOptions { private: PrivateAddresses::Take, ..LoadOptions::default() });
        builder.add_text("list.txt", &list.join("\n"));
        let (set, _) = builder.finish();
        let listed: BTreeSet<String> = set.iter().map(|one| one.value.to_string()).collect();
        assert!(listed.len() > 20, "{file}: {} of {} values are listed", listed.len(), all.len());
        let mut matched = 0;
        for event in &events {
            let found: BTreeSet<String> =
                set.evaluate(event, event.time).iter().map(|one| one.indicator.value.to_string()).collect();
            let mut expected = BTreeSet::new();
            for value in values(event) {
                // An address with zeros written out is the same address.
                let value = value.parse::<std::net::IpAddr>().map_or(value, |one| one.to_canonical().to_string());
                let parents = value.match_indices('.').map(|(at, _)| &value[at + 1..]);
                let is_address = value.parse::<std::net::IpAddr>().is_ok();
                expected.extend(listed.get(&value).cloned());
                expected.extend(parents.filter(|_| !is_address).filter_map(|parent| listed.get(parent).cloned()));
            }
            // URLs of an event name hosts too, and are not what is compared here.
            assert!(found.is_superset(&expected), "{file}: {expected:?} is missing in {found:?} of {:?}", event.attrs);
            for extra in found.difference(&expected) {
                let text = format!("{:?}", event.attrs).to_lowercase();
                assert!(text.contains(extra.as_str()), "{file}: {extra} is not in {:?}", event.attrs);
            }
            matched += usize::from(!found.is_empty());
        }
        assert!(matched > 0);
        println!("{file}: {} of {} values listed, {matched} of {} events match", listed.len(), all.len(), events.len());
    }
}
