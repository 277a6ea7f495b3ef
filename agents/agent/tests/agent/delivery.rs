//! The whole agent against a collector that fails on purpose: what was read arrives once, in order.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::collector::{Collector, Fault};
use canh_agent::agent;
use canh_agent::config::Config;
use canh_agent::health::StatusFile;
use canh_agent::input::Mode;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::Code;

struct Host {
    dir: TempDir,
}

impl Host {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn config(&self, collector: &Collector, more: &str) -> Config {
        let dir = self.dir.path().display();
        let text = format!(
            r#"
state_dir = "{dir}/state"
host_name = "db-1"
[server]
url = "http://{}"
token_file = "{dir}/token"
retry_min = "1ms"
retry_max = "5ms"
[[input.file]]
path = ["{dir}/*.log"]
{more}"#,
            collector.address
        );
        let path = self.dir.path().join("agent.toml");
        fs::write(&path, text).unwrap();
        Config::load(&path).unwrap()
    }

    fn token(&self, token: &str) {
        fs::write(self.dir.path().join("token"), token).unwrap();
    }

    fn append(&self, lines: std::ops::Range<u32>) {
        let path = self.dir.path().join("a.log");
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        for line in lines {
            writeln!(file, "line {line}").unwrap();
        }
    }

    fn status(&self) -> StatusFile {
        serde_json::from_slice(&fs::read(self.dir.path().join("state/status.json")).unwrap()).unwrap()
    }

    fn dropped(&self, stage: &str, reason: &str) -> u64 {
        let rows = self.status().dropped;
        rows.iter().find(|row| row.0 == stage && row.1 == reason).map(|row| row.2).unwrap()
    }
}

async fn once(config: Config) -> anyhow::Result<()> {
    agent::run(config, Mode::Once, CancellationToken::new()).await
}

fn lines(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|line| format!("line {line}")).collect()
}

#[tokio::test]
async fn everything_arrives_once_and_a_second_run_sends_only_what_is_new() {
    let collector = Collector::start(&[], Some("secret")).await;
    let host = Host::new();
    host.token("secret\n");
    host.append(0..5_000);
    let mut file = OpenOptions::new().append(true).open(host.dir.path().join("a.log")).unwrap();
    file.write_all(b"raw \xff\xfe bytes\n").unwrap();
    once(host.config(&collector, "")).await.unwrap();
    {
        let taken = collector.taken.lock().unwrap();
        assert_eq!(taken.lines.len(), 5_001);
        assert_eq!(taken.lines[5_000], b"raw \xff\xfe bytes");
        assert_eq!(taken.batches.iter().map(|(_, sequence)| *sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    }
    assert_eq!(collector.text_lines()[..5_000], lines(0..5_000));
    host.append(5_000..5_010);
    once(host.config(&collector, "[input.metrics]\n")).await.unwrap();
    assert_eq!(collector.text_lines()[5_001..], lines(5_000..5_010));
    let taken = collector.taken.lock().unwrap();
    assert!(taken.metric_names.contains("system.memory.usage"), "{:?}", taken.metric_names);
    assert_eq!(taken.duplicates, 0);
    let status = host.status();
    assert_eq!((status.batches_waiting, status.host_name.as_str()), (0, "db-1"));
    assert!(status.dropped.iter().all(|(_, _, count)| *count == 0));
}

#[tokio::test]
async fn what_the_server_cannot_take_now_is_sent_again_in_order() {
    let codes = [Code::Unavailable, Code::ResourceExhausted, Code::Internal, Code::Unauthenticated, Code::Aborted];
    let mut faults: Vec<_> = codes.map(Fault::Refuse).to_vec();
    faults.extend([Fault::TakeAndFail, Fault::TakeAndFail, Fault::Refuse(Code::Unavailable)]);
    let collector = Collector::start(&faults, None).await;
    let host = Host::new();
    host.token("any");
    host.append(0..3_500);
    once(host.config(&collector, "")).await.unwrap();
    assert_eq!(collector.text_lines(), lines(0..3_500));
    let taken = collector.taken.lock().unwrap();
    assert!(taken.faults.is_empty() && taken.duplicates >= 1);
}

#[tokio::test]
async fn a_batch_that_is_refused_for_good_is_set_aside() {
    let collector = Collector::start(&[Fault::Refuse(Code::InvalidArgument), Fault::Partly(3)], None).await;
    let host = Host::new();
    host.token("any");
    host.append(0..3_000);
    let error = once(host.config(&collector, "")).await.unwrap_err().to_string();
    assert!(error.contains("1 batches were refused"), "{error}");
    assert_eq!(collector.text_lines(), lines(1_000..3_000));
    let rejected: Vec<_> = fs::read_dir(host.dir.path().join("state/rejected")).unwrap().collect();
    assert_eq!(rejected.len(), 1);
    assert_eq!(host.dropped("server", "refused"), 1);
    assert_eq!(host.dropped("server", "refused_part"), 3);
}

#[tokio::test]
async fn a_token_that_is_mended_is_found() {
    let collector = Collector::start(&[], Some("right")).await;
    let host = Host::new();
    host.token("wrong");
    host.append(0..10);
    let run = tokio::spawn(once(host.config(&collector, "")));
    collector.asked.notified().await;
    assert_eq!(collector.text_lines().len(), 0);
    host.token("right");
    run.await.unwrap().unwrap();
    assert_eq!(collector.text_lines(), lines(0..10));
}

#[tokio::test]
async fn a_stop_keeps_what_could_not_be_sent() {
    let refuse_all = vec![Fault::Refuse(Code::Unavailable); 100_000];
    let collector = Collector::start(&refuse_all, None).await;
    let host = Host::new();
    host.token("any");
    host.append(0..2_500);
    let stop = CancellationToken::new();
    let run = tokio::spawn(agent::run(host.config(&collector, ""), Mode::Follow, stop.clone()));
    collector.asked.notified().await;
    stop.cancel();
    run.await.unwrap().unwrap();
    assert_eq!(collector.text_lines().len(), 0);
    collector.taken.lock().unwrap().faults.clear();
    host.append(2_500..2_600);
    once(host.config(&collector, "")).await.unwrap();
    assert_eq!(collector.text_lines(), lines(0..2_600));
}

#[tokio::test]
async fn two_agents_cannot_share_a_state_folder() {
    let collector = Collector::start(&vec![Fault::Refuse(Code::Unavailable); 100_000], None).await;
    let host = Host::new();
    host.token("any");
    host.append(0..1);
    let stop = CancellationToken::new();
    let run = tokio::spawn(agent::run(host.config(&collector, ""), Mode::Follow, stop.clone()));
    collector.asked.notified().await;
    let error = once(host.config(&collector, "")).await.unwrap_err().to_string();
    assert!(error.contains("another agent runs with state folder"), "{error}");
    stop.cancel();
    run.await.unwrap().unwrap();
}

/// A capture file of UDP datagrams: each pair of ports is a flow of its own.
fn capture_file(path: &Path, flows: u16) {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    for flow in 0..flows {
        let mut packet = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
        packet.extend([0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend((10_000 + flow).to_be_bytes());
        packet.extend([0x23, 0x28, 0, 12, 0, 0, 1, 2, 3, 4]);
        bytes.extend((1_700_000_000 + u32::from(flow)).to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend((packet.len() as u32).to_le_bytes());
        bytes.extend((packet.len() as u32).to_le_bytes());
        bytes.extend(packet);
    }
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_capture_file_is_read_once() {
    let collector = Collector::start(&[], None).await;
    let host = Host::new();
    host.token("any");
    let path = host.dir.path().join("a.pcap");
    capture_file(&path, 300);
    let more = format!("[[input.capture]]\nfile = \"{}\"\n", path.display());
    for _ in 0..2 {
        once(host.config(&collector, &more)).await.unwrap();
        let mut lines = collector.text_lines();
        lines.sort();
        lines.dedup();
        assert_eq!((lines.len(), collector.text_lines().len()), (300, 300));
    }
    fs::remove_file(&path).unwrap();
    let error = once(host.config(&collector, &more)).await.unwrap_err().to_string();
    assert!(error.contains("1 inputs failed"), "{error}");
}
