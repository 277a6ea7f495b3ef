//! NetFlow and IPFIX at the door: what waits, what is kept for the next start, what is counted.

use tokio::net::UdpSocket;

use super::*;
use crate::envelope::Door;
use crate::sources::SourceKey;
use crate::{DecodeSettings, decode};

/// A message of NetFlow v9 with these sets, from source 0.
fn v9(sequence: u8, sets: &[&[u8]]) -> Vec<u8> {
    let head = [0, 9, 0, 1, 0, 1, 0x86, 0xa0, 0x6a, 0, 0, 0, 0, 0, 0, sequence, 0, 0, 0, 0];
    [&head[..], &sets.concat()].concat()
}

/// Template 256: two addresses and a number of bytes.
const TEMPLATE: &[u8] = &[0, 0, 0, 20, 1, 0, 0, 3, 0, 8, 0, 4, 0, 12, 0, 4, 0, 1, 0, 4];

fn data(last: u8) -> Vec<u8> {
    [&[1, 0, 0, 16, 10, 0, 0, last, 10, 0, 1, 1][..], &[0, 0, 1, 0]].concat()
}

async fn send(bench: &Bench, messages: &[Vec<u8>]) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for message in messages {
        socket.send_to(message, bench.address("flow")).await.unwrap();
    }
}

/// The source addresses of everything that was journaled, batch by batch, each decoded alone.
fn sources(envelopes: &[Envelope]) -> Vec<String> {
    let settings = DecodeSettings::default();
    let events = envelopes.iter().flat_map(|envelope| decode(envelope, Position::new(1), 1, &settings).events);
    events
        .map(|event| {
            assert_eq!(event.issues, []);
            event.lookup("source.ip").unwrap().as_text().unwrap().into_owned()
        })
        .collect()
}

async fn received(bench: &Bench, records: f64) {
    let deadline = Instant::now() + PATIENCE;
    while metric(bench, "canh_flow_records_total") < records {
        assert!(Instant::now() < deadline, "the datagrams did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The sum of a metric over all its labels.
fn metric(bench: &Bench, name: &str) -> f64 {
    let families = bench.registry.gather();
    let family = families.iter().find(|family| family.name() == name);
    let metrics = family.map(|family| family.get_metric()).unwrap_or_default();
    metrics.iter().map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn data_wait_for_their_template_and_each_batch_can_be_read_alone() {
    let bench = bench();
    send(&bench, &[v9(1, &[&data(1)]), v9(2, &[&data(2), TEMPLATE, &data(3)])]).await;
    received(&bench, 3.0).await;
    tokio::time::sleep(Duration::from_millis(300)).await; // another batch begins
    send(&bench, &[v9(3, &[&data(4)])]).await;
    received(&bench, 4.0).await;
    let line = SourceKey::Peer(Door::Flow, localhost().unwrap());
    let (known, drops) = (bench.sources.clone(), bench.drops.clone());
    let envelopes = bench.finish().await;
    assert!(envelopes.len() >= 2);
    let mut found = sources(&envelopes);
    found.sort_unstable();
    assert_eq!(found, ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]);
    assert_eq!(known.get(&line).unwrap().records, 4);
    assert_eq!(drops.snapshot(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_and_waiting_data_survive_a_restart() {
    let kept = tempfile::tempdir().unwrap();
    let again = || {
        let mut config = CollectorConfig::default();
        config.flow.state_file = kept.path().join("flow.state");
        bench_with(config, JournalConfig::default())
    };
    let first = again();
    send(&first, &[v9(1, &[TEMPLATE]), v9(2, &[&[1, 1, 0, 8, 10, 0, 0, 9]])]).await;
    let deadline = Instant::now() + PATIENCE;
    while metric(&first, "canh_flow_held_bytes") == 0.0 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(first.finish().await.len(), 1); // the template itself
    let second = again();
    // Data of the template that was sent to the first, and the template that data of the first wait for.
    send(&second, &[v9(3, &[&data(7)]), v9(4, &[&[0, 0, 0, 12, 1, 1, 0, 1, 0, 8, 0, 4]])]).await;
    received(&second, 2.0).await;
    assert_eq!(sources(&second.finish().await), ["10.0.0.7", "10.0.0.9"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_is_counted() {
    let mut config = CollectorConfig::default();
    config.flow.hold_age = Duration::ZERO;
    let bench = bench_with(config, JournalConfig::default());
    // Numbers 3 to 5 do not come; the data have no template and no time to wait for it; rubbish is kept as it came.
    send(&bench, &[v9(1, &[TEMPLATE, &data(1)]), v9(2, &[&[1, 9, 0, 8, 0, 0, 0, 0]]), v9(6, &[&data(2)])]).await;
    send(&bench, &[b"rubbish".to_vec()]).await;
    received(&bench, 3.0).await;
    let deadline = Instant::now() + PATIENCE;
    while bench.dropped("flow", DropReason::NoTemplate) == 0 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(metric(&bench, "canh_flow_sequence_total"), 3.0);
    let line = SourceKey::Peer(Door::Flow, localhost().unwrap());
    let known = bench.sources.clone();
    let envelopes = bench.finish().await;
    let about = known.get(&line).unwrap().about;
    assert_eq!(about.metrics, [(crate::door::flow::LOST.into(), 3.0)]);
    let settings = DecodeSettings::default();
    let events: Vec<_> =
        envelopes.iter().flat_map(|envelope| decode(envelope, Position::new(1), 1, &settings).events).collect();
    let rubbish: Vec<_> = events.iter().filter(|event| !event.issues.is_empty()).collect();
    assert_eq!(rubbish.len(), 1);
    assert_eq!(rubbish[0].raw, "rubbish");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_receive_buffer_is_counted_by_the_kernels_own_counter() {
    const SENT: u64 = 50_000;
    let mut config = CollectorConfig::default();
    config.flow.receive_buffer = ByteSize::kib(4);
    let bench = bench_with(config, JournalConfig::default());
    let to = bench.address("flow");
    let sending = tokio::task::spawn_blocking(move || {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&v9(0, &[TEMPLATE]), to).unwrap();
        let message = v9(1, &[&data(1)]);
        for _ in 1..SENT {
            socket.send_to(&message, to).unwrap();
        }
    });
    sending.await.unwrap();
    let counted = || {
        let received = bench.drops.get("flow", DropReason::KernelBuffer);
        received + metric(&bench, "canh_flow_records_total") as u64
    };
    // The template makes no record, and data before it wait: it may itself have been dropped.
    let waiting = || metric(&bench, "canh_flow_held_bytes") > 0.0;
    let deadline = Instant::now() + PATIENCE;
    while counted() + 1 < SENT && !waiting() {
        assert!(Instant::now() < deadline, "{} of {SENT} are received or counted as dropped", counted());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(counted() <= SENT);
}
