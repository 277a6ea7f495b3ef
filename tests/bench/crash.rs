//! `canh-bench --crash KILLS`: the same numbered lines to several receivers that are killed with SIGKILL at random moments,
//! or whose disk fills up and gets room again; what each of them lost of what it had acknowledged, or had taken.

mod receiver;
mod sender;

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use self::receiver::{RECEIVERS, Receiver, Running};
use self::sender::Sent;

/// What is done to a receiver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    Kills(u32),
    FullDisk,
}

/// Size of the disk that fills up, and what it grows to.
const SMALL: &str = "16m";
const LARGE: &str = "1g";

pub(crate) fn run(kills: u32, only: &str) -> anyhow::Result<()> {
    println!("| receiver | fault | lines handed over | acknowledged | lost of these | twice |");
    println!("|---|---|---:|---:|---:|---:|");
    for fault in [Fault::Kills(kills), Fault::FullDisk] {
        for receiver in RECEIVERS.iter().filter(|receiver| receiver.name.contains(only)) {
            match one(receiver, fault) {
                Ok(Some(row)) => println!("{row}"),
                Ok(None) => eprintln!("SKIPPED: {} with {fault:?}", receiver.name),
                Err(error) => eprintln!("FAILED: {} with {fault:?}: {error:#}", receiver.name),
            }
        }
    }
    Ok(())
}

/// One row; `None` if the receiver is not there, or the fault cannot be made here.
fn one(receiver: &Receiver, fault: Fault) -> anyhow::Result<Option<String>> {
    let dir = tempfile::tempdir()?;
    let disk = if fault == Fault::FullDisk { Disk::mount(dir.path()) } else { None };
    if fault == Fault::FullDisk && disk.is_none() {
        return Ok(None);
    }
    let Some(mut running) = Running::start(receiver, dir.path())? else { return Ok(None) };
    let stop = AtomicBool::new(false);
    let port = running.port();
    let sent = thread::scope(|scope| {
        let sending = scope.spawn(|| sender::run(receiver.protocol, port, fault == Fault::FullDisk, &stop));
        let done = disturb(&mut running, fault);
        stop.store(true, Ordering::Relaxed);
        let sent = sending.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?;
        anyhow::Ok((sent?, done?).0)
    })?;
    let found = running.finish()?;
    let row = row(receiver, fault, &sent, &found);
    drop(running);
    drop(disk);
    Ok(Some(row))
}

fn disturb(running: &mut Running<'_>, fault: Fault) -> anyhow::Result<()> {
    match fault {
        Fault::Kills(kills) => {
            let mut random = StdRng::seed_from_u64(11);
            for _ in 0..kills {
                thread::sleep(Duration::from_millis(random.random_range(30..300)));
                running.kill_and_restart()?;
            }
            thread::sleep(Duration::from_millis(300));
        }
        Fault::FullDisk => {
            thread::sleep(Duration::from_secs(6));
            Disk::grow(running.dir());
            thread::sleep(Duration::from_secs(4));
        }
    }
    Ok(())
}

fn row(receiver: &Receiver, fault: Fault, sent: &Sent, found: &HashMap<u64, u32>) -> String {
    // Without acknowledgements what the sender could hand over is all that it knows.
    let owed = if receiver.protocol.acknowledges() { &sent.acknowledged } else { &sent.handed_over };
    let lost = owed.iter().filter(|number| !found.contains_key(*number)).count();
    let twice = found.values().filter(|count| **count > 1).count();
    let acknowledged =
        if receiver.protocol.acknowledges() { sent.acknowledged.len().to_string() } else { "–".to_owned() };
    let fault = match fault {
        Fault::Kills(kills) => format!("{kills} kills"),
        Fault::FullDisk => "disk full, then room".to_owned(),
    };
    format!("| {} | {fault} | {} | {acknowledged} | {lost} | {twice} |", receiver.name, sent.handed_over.len())
}

/// A file system in memory of its own, for who may mount one.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mount(path: &'a Path) -> Option<Self> {
        let options = format!("size={SMALL}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(path))
    }

    fn grow(path: &Path) {
        let options = format!("remount,size={LARGE}");
        // If it cannot grow, the receiver stays full, and the row shows it.
        let _ = Command::new("mount").args(["-o", &options]).arg(path).status();
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        // Lazily, because the receiver may still be ending.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}
