//! Community IDs against the baseline of the specification's authors.

use std::collections::BTreeSet;
use std::fs;

use canh_packet::{FlowConfig, Record};

#[test]
fn community_ids_are_those_of_the_specification() {
    let Some(folder) = crate::data("community_ids_are_those_of_the_specification") else { return };
    let capture = folder.join("community-id/combined.pcap.gz");
    let truth = fs::read_to_string(folder.join("community-id/combined.pcap.gz.truth/baseline_deflt.json")).unwrap();
    let expected: BTreeSet<&str> =
        truth.split("\"communityid\": \"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let (records, _) = crate::run(&capture, FlowConfig::default()).unwrap();
    let seen: BTreeSet<&str> = records
        .iter()
        .filter_map(|record| match record {
            Record::Flow(flow) => Some(flow.conversation.community_id.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(expected.len(), 14);
    assert_eq!(seen, expected);
}
