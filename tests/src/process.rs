//! Child processes that do not outlive the test, and what the kernel says of them.

use std::fs::{self, File};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A running program. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program with its output going to the end of `log`.
    pub fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot open `{}`", log.display()))?;
        let child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn().with_context(|| {
            format!("cannot start {:?}; run `cargo build --workspace --bins` first", command.get_program())
        })?;
        Ok(Self { child, log: log.to_owned() })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    pub fn output(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.id())?), signal)?)
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    pub fn running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub fn exited(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for it to end by itself.
    pub fn wait(&mut self, at_most: Duration) -> anyhow::Result<ExitStatus> {
        let mut status = None;
        wait_until("the program to end", at_most, || {
            status = self.child.try_wait()?;
            Ok(status.is_some())
        })?;
        status.context("the program has ended")
    }

    /// Asks it to stop and waits.
    pub fn stop(&mut self, at_most: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(at_most)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One of our programs, built in the same profile as the running test.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let found = this.ancestors().skip(1).take(3).map(|dir| dir.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("`{name}` is not built; run `cargo build --workspace --bins`"))
}

/// A TCP and UDP port of the loopback interface that nobody uses now. It lies below the range from which the kernel
/// takes ports for clients, so that no connection of another test takes it before the server does.
pub fn free_port() -> anyhow::Result<u16> {
    for _ in 0..100 {
        let port = rand::random_range(10_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between 10000 and 32000")
}

/// Asks until the answer is yes. The pause between two questions only spares the processor; nothing depends on it.
pub fn wait_until(what: &str, at_most: Duration, mut ask: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < at_most {
        if ask()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("waited {} s in vain for {what}", at_most.as_secs())
}

/// Resident memory of a process in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub resident: u64,
    /// The part that is not backed by files, and so cannot be dropped.
    pub anonymous: u64,
}

/// Source: proc_pid_status(5), `VmRSS` and `RssAnon`.
pub fn memory(pid: u32) -> anyhow::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = |name: &str| -> anyhow::Result<u64> {
        let line = status.lines().find(|line| line.starts_with(name)).with_context(|| format!("no {name}"))?;
        Ok(line.split_whitespace().nth(1).context("no figure")?.parse::<u64>()? * 1_024)
    };
    Ok(Memory { resident: kib("VmRSS:")?, anonymous: kib("RssAnon:")? })
}

/// Time on a processor of those threads of a process that have one of these names, in seconds. Source: proc(5), the
/// first number of `schedstat`, in nanoseconds.
pub fn thread_seconds(pid: u32, names: &[&str]) -> anyhow::Result<f64> {
    let mut nanos = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        let read = |name: &str| fs::read_to_string(task.join(name)).unwrap_or_default(); // it may have ended
        if names.contains(&read("comm").trim_end()) {
            nanos += read("schedstat").split(' ').next().and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        }
    }
    Ok(nanos / 1e9)
}

/// User and system time of a process in seconds. Source: proc_pid_stat(5), fields 14 and 15, in clock ticks.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(')').context("no name")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    ensure!(fields.len() > 13, "too few fields in /proc/{pid}/stat");
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    // USER_HZ is 100 on every Linux that we run on.
    Ok(ticks / 100.0)
}
