//! rsyslog with the same input: imptcp to a file. It does not journal with fsync, index or detect, so only the first row
//! compares, and it compares in rsyslog's favour.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use canh_tests::{Process, cpu_seconds, free_port, wait_until};

use crate::load::Load;
use crate::table::Row;

pub(crate) fn rsyslog(load: &Load) -> anyhow::Result<Option<Vec<Row>>> {
    let program = Path::new("/usr/sbin/rsyslogd");
    if !program.is_file() {
        eprintln!("SKIPPED: rsyslogd is not installed, so there is no peer");
        return Ok(None);
    }
    let dir = tempfile::tempdir()?;
    let port = free_port()?;
    let file = dir.path().join("out.log");
    let config = format!(
        r#"
global(workDirectory="{work}")
module(load="imptcp" threads="2")
input(type="imptcp" port="{port}" address="127.0.0.1")
action(type="omfile" file="{file}" asyncWriting="off" ioBufferSize="64k")
"#,
        work = dir.path().display(),
        file = file.display()
    );
    let path = dir.path().join("rsyslog.conf");
    fs::write(&path, config)?;
    let mut command = Command::new(program);
    command.args(["-n", "-f"]).arg(&path).arg("-i").arg(dir.path().join("pid"));
    let process = Process::start(&mut command, &dir.path().join("log"))?;
    wait_until("rsyslog to listen", Duration::from_secs(10), || {
        Ok(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())
    })?;
    let cpu_before = cpu_seconds(process.id())?;
    let begin = Instant::now();
    load.send(port)?;
    let mut size = 0;
    // Its lines are counted only when the file has stopped growing near the expected size, so that counting does not disturb it.
    wait_until("rsyslog to have written everything", Duration::from_secs(300), || {
        let now = fs::metadata(&file).map(|metadata| metadata.len()).unwrap_or_default();
        let still = now == size && now > 0;
        size = now;
        Ok(still && fs::read(&file)?.iter().filter(|byte| **byte == b'\n').count() >= load.count)
    })?;
    let (wall, cpu) = (begin.elapsed().as_secs_f64(), cpu_seconds(process.id())? - cpu_before);
    let count = load.count as f64;
    Ok(Some(vec![
        Row::new("peer: rsyslog imptcp to omfile, no fsync", "events/s", count / wall),
        Row::new("peer: the same, per CPU-second", "events/s", count / cpu),
    ]))
}
