//! Every capture goes through: no panic, no loop, and every packet is either in a flow or counted with a reason.

use std::collections::BTreeMap;

use canh_packet::{FlowConfig, LinkType, Record, fuzz_targets};

#[test]
fn every_packet_is_in_a_flow_or_counted() {
    let Some(folder) = crate::data("every_packet_is_in_a_flow_or_counted") else { return };
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut files, mut packets, mut tunnelled) = (0, 0, 0);
    for path in crate::captures(&folder) {
        let Some((records, stats)) = crate::run(&path, FlowConfig::default()) else { continue };
        files += 1;
        packets += stats.packets;
        let mut counted = 0;
        for record in &records {
            *kinds.entry(kind(record)).or_default() += 1;
            if let Record::Flow(flow) = record
                && flow.is_final()
            {
                counted += flow.originator.packets + flow.responder.packets;
                let in_tunnel = flow.conversation.tunnel.is_some();
                tunnelled += u64::from(in_tunnel);
            }
        }
        for (why, count) in stats.undecodable() {
            *reasons.entry(why.name()).or_default() += count;
        }
        // A packet in a tunnel over UDP counts for the outer and the inner flow.
        let sum = counted + stats.undecodable_total();
        assert!(sum >= stats.packets, "{}: {sum} of {} packets", path.display(), stats.packets);
    }
    println!("{files} files, {packets} packets, {tunnelled} flows in tunnels\n{kinds:?}\nwithout a flow: {reasons:?}");
    assert!(files > 1_000);
}

fn kind(record: &Record) -> &'static str {
    match record {
        Record::Flow(_) => "flow",
        Record::Dns(_) => "dns",
        Record::Tls(_) => "tls",
        Record::Http(_) => "http",
    }
}

/// Small caps change what is analysed, never whether it holds together.
#[test]
fn every_capture_runs_with_the_smallest_caps() {
    let Some(folder) = crate::data("every_capture_runs_with_the_smallest_caps") else { return };
    for path in crate::captures(&folder) {
        let config = FlowConfig {
            flows_max: 1,
            reassembly_bytes_max: 512,
            stream_bytes_max: 256,
            fragments_max: 1,
            tunnel_depth_max: 1,
            ..FlowConfig::default()
        };
        crate::run(&path, config);
    }
}

/// Every reader is given every packet from its start, its transport and its data on.
#[test]
fn every_reader_bears_every_packet() {
    let Some(folder) = crate::data("every_reader_bears_every_packet") else { return };
    let mut packets = 0;
    for path in crate::captures(&folder) {
        let Ok((mut capture, _file)) = crate::open(&path) else { continue };
        let is_ethernet = LinkType(capture.get_datalink().0) == LinkType::ETHERNET;
        // The first packets of a file show what is special about it.
        for _ in 0..40 {
            let Ok(packet) = capture.next_packet() else { break };
            packets += 1;
            for target in fuzz_targets() {
                for skip in if is_ethernet { &[0, 14, 34, 42, 54][..] } else { &[0, 4, 20][..] } {
                    (target.run)(packet.data.get(*skip..).unwrap_or_default());
                }
            }
        }
    }
    println!("{packets} packets, {} readers", fuzz_targets().len());
}
