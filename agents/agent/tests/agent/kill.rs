//! The agent as a process, killed at random points: every numbered line arrives exactly once.
//!
//! `CANH_KILLS` sets how often, 50 unless it is set.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::collector::{Collector, Fault};
use tonic::Code;

fn spawn(config: &Path, once: bool) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_canh-agent"));
    command.arg("run").arg("--config").arg(config).env("CANH_LOG", "warn");
    if once {
        command.arg("--once");
    }
    command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Writes numbered lines as services do: in pieces, now and then rotated by rename.
fn write_lines(dir: PathBuf, enough: Arc<AtomicBool>) -> u64 {
    let path = dir.join("app.log");
    let open = || OpenOptions::new().create(true).append(true).open(&path).unwrap();
    let mut file: File = open();
    let mut number = 0;
    while !enough.load(Ordering::Relaxed) {
        for _ in 0..rand::random_range(1..400) {
            number += 1;
            let line = format!("number {number} {}\n", "x".repeat(rand::random_range(0..80)));
            let (start, end) = line.split_at(line.len() / 2);
            file.write_all(start.as_bytes()).unwrap();
            file.write_all(end.as_bytes()).unwrap();
        }
        if rand::random_ratio(1, 40) {
            fs::rename(&path, dir.join(format!("app.log.{number}"))).unwrap();
            file = open();
        }
        thread::sleep(Duration::from_millis(1));
    }
    number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_loses_or_doubles_a_line() {
    let kills: u32 = std::env::var("CANH_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(50);
    let collector = Collector::start(&[], None).await;
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("agent.toml");
    let text = format!(
        "state_dir = \"{0}/state\"\n[server]\nurl = \"http://{1}\"\nretry_min = \"1ms\"\nretry_max = \"20ms\"\n\
         [[input.file]]\npath = [\"{0}/app.log*\"]\n",
        dir.path().display(),
        collector.address
    );
    fs::write(&config, text).unwrap();

    let enough = Arc::new(AtomicBool::new(false));
    let writer = thread::spawn({
        let (dir, enough) = (dir.path().to_owned(), enough.clone());
        move || write_lines(dir, enough)
    });
    for kill in 0..kills {
        let faults = [Fault::TakeAndFail, Fault::Refuse(Code::Unavailable), Fault::TakeAndFail];
        collector.taken.lock().unwrap().faults.extend(faults);
        let mut agent = spawn(&config, false);
        // Random points are what this test is about; nothing else waits for a clock.
        tokio::time::sleep(Duration::from_millis(rand::random_range(5..250))).await;
        assert_eq!(agent.try_wait().unwrap(), None, "the agent ended by itself before kill {kill}");
        agent.kill().unwrap();
        agent.wait().unwrap();
    }
    enough.store(true, Ordering::Relaxed);
    let last = writer.join().unwrap();
    collector.taken.lock().unwrap().faults.clear();
    let mut agent = spawn(&config, true);
    let status = tokio::task::spawn_blocking(move || agent.wait().unwrap()).await.unwrap();
    assert!(status.success(), "{status}");

    let mut counts = BTreeMap::new();
    for line in collector.text_lines() {
        let number: u64 = line.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("whole lines only");
        *counts.entry(number).or_insert(0) += 1;
    }
    let missing: Vec<_> = (1..=last).filter(|number| !counts.contains_key(number)).take(10).collect();
    let doubled: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).take(10).collect();
    assert!(missing.is_empty() && doubled.is_empty(), "of {last}: missing {missing:?}, doubled {doubled:?}");
    let duplicates = collector.taken.lock().unwrap().duplicates;
    println!("{kills} kills, {last} lines, {duplicates} batches sent twice and recognised");
}
