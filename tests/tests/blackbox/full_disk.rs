//! A disk that fills up while the server runs, and has room again later. Needs root for a small file system in memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use canh_tests::{Server, ServerOptions, wait_until};

/// A file system of its own, unmounted at the end.
struct Mount(PathBuf);

impl Mount {
    /// `None`, said loudly, where this machine does not allow it.
    fn new(path: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(path).ok()?;
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(path).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(path.to_owned()));
        }
        eprintln!("SKIPPED: cannot mount a small file system here (root only), so a full disk was not tried");
        None
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A test that failed may leave a program behind that still holds it; then the machine keeps it until reboot.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_is_told_to_senders_and_nothing_acknowledged_is_lost() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let Some(_mount) = Mount::new(&dir.path().join("disk"), "320m") else { return Ok(()) };
    let mut server = Server::start(&dir.path().join("disk"), &ServerOptions::default())?;
    let (api, token) = (server.api()?, server.ingest_token()?);
    let filler = dir.path().join("disk/filler");
    fs::write(&filler, vec![1; 284 << 20])?;

    // Lines that do not compress, so that the disk fills quickly.
    let mut acknowledged = 0_u64;
    let mut number = 0_u64;
    let mut body = || {
        let mut text = String::new();
        for _ in 0..200 {
            let noise: String = (0..40).map(|_| format!("{:016x}", rand::random::<u64>())).collect();
            text.push_str(&format!("{{\"message\":\"canhdisk n{number} {noise}\"}}\n"));
            number += 1;
        }
        text
    };
    let refusal = loop {
        let (status, answer) = api.post(&server.ndjson_url(), &token, "application/x-ndjson", body().as_bytes())?;
        if status != 200 {
            break (status, answer);
        }
        acknowledged += 200;
        anyhow::ensure!(acknowledged < 400_000, "the disk never filled up");
    };
    assert!(matches!(refusal.0, 429 | 503 | 507), "{refusal:?}");
    assert!(refusal.1.contains("full") || refusal.1.contains("disk"), "the sender is told why: {}", refusal.1);
    assert!(server.process.running(), "{}", server.process.output());
    assert_eq!(api.request("/healthz", &[])?.0, 200);

    fs::remove_file(&filler)?;
    wait_until("the server to take lines again", Duration::from_secs(60), || {
        let (status, _) = api.post(&server.ndjson_url(), &token, "application/x-ndjson", body().as_bytes())?;
        acknowledged += if status == 200 { 200 } else { 0 };
        Ok(status == 200)
    })?;
    let mut stored = 0;
    let caught_up = wait_until("everything acknowledged to be stored", Duration::from_secs(60), || {
        stored = api.count("canhdisk")?;
        Ok(stored >= acknowledged)
    });
    caught_up.with_context(|| {
        format!("{stored} of {acknowledged} are stored; the server said:\n{}", server.process.output())
    })?;
    let mut numbers: Vec<String> = api
        .events("canhdisk")?
        .iter()
        .filter_map(|event| Some(event["message"].as_str()?.split(' ').nth(1)?.to_owned()))
        .collect();
    let stored = numbers.len();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), stored, "something is stored twice");
    server.process.stop(Duration::from_secs(30))?;
    Ok(())
}
