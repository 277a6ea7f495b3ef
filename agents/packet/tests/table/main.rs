//! The flow table on packets written here.

#![allow(clippy::unwrap_used, reason = "tests stop at what they do not expect")]

mod apps;
mod build;
mod files;
mod flows;
mod limits;
mod readers;

use canh_packet::{FlowConfig, FlowRecord, FlowTable, LinkType, Record, Stats, Timestamp};

/// Packets at their second, through a table, to its end.
fn run_with(config: FlowConfig, packets: &[(f64, Vec<u8>)]) -> (Vec<Record>, Stats) {
    let mut table = FlowTable::new(config);
    let mut out = Vec::new();
    for (second, packet) in packets {
        let at = Timestamp::from_nanos((second * 1e9) as i64);
        table.packet(LinkType::ETHERNET, at, packet.len() as u32, packet, &mut out);
    }
    table.finish(&mut out);
    (out, table.stats().clone())
}

fn run(packets: &[(f64, Vec<u8>)]) -> Vec<Record> {
    run_with(FlowConfig::default(), packets).0
}

fn flows(records: &[Record]) -> Vec<&FlowRecord> {
    records
        .iter()
        .filter_map(|record| match record {
            Record::Flow(flow) => Some(flow),
            _ => None,
        })
        .collect()
}
