//! Programs that people really send with: `logger` and rsyslog. Skipped aloud where they are not installed.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;

fn installed(program: &str) -> bool {
    let found = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].iter().any(|dir| Path::new(dir).join(program).exists());
    if !found {
        eprintln!("SKIPPED: `{program}` is not installed");
    }
    found
}

fn logger(address: SocketAddr, args: &[&str]) {
    let status = Command::new("logger")
        .args(["--server", &address.ip().to_string(), "--port", &address.port().to_string()])
        .args(args)
        .status()
        .unwrap();
    assert!(status.success(), "logger {args:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn logger_of_util_linux() {
    if !installed("logger") {
        return;
    }
    let bench = bench();
    let (udp, tcp) = (bench.address("syslog_udp"), bench.address("syslog_tcp"));
    let rows: [(SocketAddr, &[&str]); 5] = [
        (udp, &["--udp", "--rfc3164", "-t", "canh", "udp rfc3164"]),
        (udp, &["--udp", "--rfc5424", "-t", "canh", "udp rfc5424"]),
        (tcp, &["--tcp", "--rfc3164", "-t", "canh", "tcp rfc3164"]),
        (tcp, &["--tcp", "--rfc5424", "-t", "canh", "tcp rfc5424"]),
        (tcp, &["--tcp", "--octet-count", "--rfc5424", "-t", "canh", "tcp counted"]),
    ];
    for (n, (address, args)) in rows.iter().enumerate() {
        let args = args.to_vec();
        let address = *address;
        tokio::task::spawn_blocking(move || logger(address, &args)).await.unwrap();
        let records = bench.records(n + 1).await;
        let (record, text) = (&records[n], rows[n].1.last().unwrap());
        assert!(record.starts_with('<') && record.trim_end().ends_with(text), "{record:?} is not {text:?}");
    }
}

/// Ends the program when the test ends, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_forwards_over_udp_tcp_and_with_octet_counts() {
    if !installed("rsyslogd") || !installed("logger") {
        return;
    }
    let bench = bench();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("log");
    let (udp, tcp) = (bench.address("syslog_udp"), bench.address("syslog_tcp"));
    let forward = |address: SocketAddr, more: &str| {
        format!(
            "action(type=\"omfwd\" target=\"{}\" port=\"{}\" {more} template=\"RSYSLOG_SyslogProtocol23Format\")\n",
            address.ip(),
            address.port()
        )
    };
    let config = [
        format!("global(workDirectory=\"{}\")\n", dir.path().display()),
        "module(load=\"imuxsock\" SysSock.Use=\"off\")\n".to_owned(),
        format!("input(type=\"imuxsock\" Socket=\"{}\")\n", socket.display()),
        forward(udp, "protocol=\"udp\""),
        forward(tcp, "protocol=\"tcp\""),
        forward(tcp, "protocol=\"tcp\" TCP_Framing=\"octet-counted\""),
    ];
    let path = dir.path().join("rsyslog.conf");
    fs::write(&path, config.concat()).unwrap();
    let pid_file = dir.path().join("pid");
    let child = Command::new("rsyslogd")
        .arg("-n")
        .arg("-f")
        .arg(&path)
        .arg("-i")
        .arg(&pid_file)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let _running = Running(child);

    let messages = 200;
    tokio::task::spawn_blocking(move || {
        let deadline = Instant::now() + PATIENCE;
        while !socket.exists() {
            assert!(Instant::now() < deadline, "rsyslogd does not start");
            std::thread::yield_now();
        }
        for n in 0..messages {
            let status =
                Command::new("logger").arg("-u").arg(&socket).args(["-t", "canh"]).arg(format!("no {n}")).status();
            assert!(status.unwrap().success());
        }
    })
    .await
    .unwrap();

    let records = bench.records(3 * messages).await;
    for n in 0..messages {
        let text = format!(" no {n}");
        assert_eq!(records.iter().filter(|record| record.trim_end().ends_with(&text)).count(), 3, "{text}");
    }
}
