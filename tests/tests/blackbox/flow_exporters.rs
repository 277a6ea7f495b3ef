//! Real exporters at the flow door: softflowd, pmacctd and nfreplay of Debian.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use canh_tests::{Process, Server, ServerOptions, free_port, wait_until};

/// Conversations of the capture that is played; each has two directions.
const CONVERSATIONS: u8 = 200;

/// A program of the machine, or a loud word that it is not there.
fn tool(name: &str) -> Option<PathBuf> {
    let found = ["/usr/bin", "/usr/sbin"].iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: `{name}` is not installed");
    }
    found
}

/// A capture of questions and answers over UDP, each of two packets with 30 bytes of payload.
fn capture(path: &Path) -> anyhow::Result<()> {
    let mut file = Vec::new();
    file.extend_from_slice(&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0]);
    for number in 0..CONVERSATIONS {
        let (client, server) = ([10, 1, 0, number], [10, 2, 0, 1]);
        let port = 10_000 + u16::from(number);
        for packet in 0..2u32 {
            for (from, to, source, destination) in [(client, server, port, 53), (server, client, 53, port)] {
                let frame = frame(from, to, source, destination);
                let len = u32::try_from(frame.len())?.to_le_bytes();
                file.extend_from_slice(&1_795_000_000u32.to_le_bytes());
                file.extend_from_slice(&(u32::from(number) * 1_000 + packet).to_le_bytes());
                file.extend_from_slice(&len);
                file.extend_from_slice(&len);
                file.extend_from_slice(&frame);
            }
        }
    }
    fs::write(path, file).context("cannot write the capture")
}

fn frame(from: [u8; 4], to: [u8; 4], source: u16, destination: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend_from_slice(&[0x45, 0, 0, 58, 0, 1, 0, 0, 64, 17, 0, 0]);
    frame.extend_from_slice(&from);
    frame.extend_from_slice(&to);
    frame.extend_from_slice(&source.to_be_bytes());
    frame.extend_from_slice(&destination.to_be_bytes());
    frame.extend_from_slice(&[0, 38, 0, 0]);
    frame.extend_from_slice(&[b'x'; 30]);
    frame
}

/// Plays the capture; how many records it says that it sent is the answer.
fn softflowd(program: &Path, dir: &Path, port: u16, version: &str, more: &[&str]) -> anyhow::Result<u64> {
    let pcap = dir.join("played.pcap");
    capture(&pcap)?;
    let output = Command::new(program)
        .args(["-d", "-v", version, "-n", &format!("127.0.0.1:{port}")])
        .args(more)
        .arg("-r")
        .arg(&pcap)
        .arg("-p")
        .arg(dir.join("softflowd.pid"))
        // With a control socket it sometimes waits on that for ever while it reads a file.
        .args(["-c", "none"])
        .stdin(Stdio::null())
        .output()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = text.lines().find(|line| line.contains("records)")).with_context(|| text.clone())?;
    let count = line.split('(').nth(1).and_then(|rest| rest.split(' ').next()).context("no number of records")?;
    Ok(count.parse()?)
}

fn count_reaches(server: &Server, query: &str, expected: u64) -> anyhow::Result<()> {
    let api = server.api()?;
    wait_until(query, Duration::from_secs(30), || Ok(api.count(query)? >= expected))?;
    assert_eq!(api.count(query)?, expected, "query: {query}");
    Ok(())
}

fn lost(server: &Server, protocol: &str) -> anyhow::Result<f64> {
    server.api()?.metric(&format!("canh_flow_sequence_total{{gap=\"lost\",protocol=\"{protocol}\"}}"))
}

#[test]
fn softflowd_sends_every_version_and_each_record_is_an_event() -> anyhow::Result<()> {
    let Some(program) = tool("softflowd") else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path(), &ServerOptions::default())?;
    for (version, protocol) in [("1", "netflow_v1"), ("5", "netflow_v5"), ("9", "netflow_v9"), ("10", "ipfix")] {
        let sent = softflowd(&program, dir.path(), server.ports.flow, version, &[])?;
        assert_eq!(sent, u64::from(CONVERSATIONS) * 2);
        let of = |more: &str| format!("flow.export.protocol:{protocol}{more}");
        count_reaches(&server, &of(""), sent)?;
        count_reaches(
            &server,
            &of(" source.ip:10.1.0.7 source.port:10007 destination.ip:10.2.0.1 destination.port:53"),
            1,
        )?;
        count_reaches(
            &server,
            &of(" source.packets:2 source.bytes:116 network.transport:udp observer.ip:127.0.0.1"),
            sent,
        )?;
        assert_eq!(lost(&server, protocol)?, 0.0, "{protocol}");
    }
    // Both directions in one record (RFC 5103).
    let before = server.api()?.count("flow.export.protocol:ipfix")?;
    softflowd(&program, dir.path(), server.ports.flow, "10", &["-b"])?;
    count_reaches(&server, "flow.export.protocol:ipfix", before + u64::from(CONVERSATIONS))?;
    count_reaches(&server, "flow.export.protocol:ipfix destination.bytes:116 network.bytes:232", CONVERSATIONS.into())
}

#[test]
fn the_rate_of_softflowd_is_applied() -> anyhow::Result<()> {
    let Some(program) = tool("softflowd") else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path(), &ServerOptions::default())?;
    for (version, protocol) in [("5", "netflow_v5"), ("9", "netflow_v9"), ("10", "ipfix")] {
        let sent = softflowd(&program, dir.path(), server.ports.flow, version, &["-s", "2"])?;
        count_reaches(&server, &format!("flow.export.protocol:{protocol}"), sent)?;
        count_reaches(&server, &format!("flow.export.protocol:{protocol} flow.sampling.rate:2"), sent)?;
    }
    Ok(())
}

/// Plays the capture with the probe of this kind; what it sends is known from the capture.
fn pmacctd(program: &Path, dir: &Path, port: u16, plugin: &str, version: &str) -> anyhow::Result<()> {
    let pcap = dir.join("played.pcap");
    capture(&pcap)?;
    let config = dir.join("pmacctd.conf");
    let text = format!(
        "daemonize: false\npcap_savefile: {}\nplugins: {plugin}\nsampling_rate: 1\n\
         {plugin}_receiver: 127.0.0.1:{port}\nnfprobe_version: {version}\nnfprobe_timeouts: expint=1\n\
         aggregate: src_host, dst_host, src_port, dst_port, proto, tos\n",
        pcap.display()
    );
    fs::write(&config, text)?;
    let mut command = Command::new(program);
    let mut probe = Process::start(command.arg("-f").arg(&config), &dir.join("pmacctd.log"))?;
    probe.wait(Duration::from_secs(60)).with_context(|| probe.output()).map(drop)
}

#[test]
fn pmacctd_sends_netflow_ipfix_and_sflow() -> anyhow::Result<()> {
    let Some(program) = tool("pmacctd") else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path(), &ServerOptions::default())?;
    let directions = u64::from(CONVERSATIONS) * 2;
    for (version, protocol) in [("5", "netflow_v5"), ("9", "netflow_v9"), ("10", "ipfix")] {
        pmacctd(&program, dir.path(), server.ports.flow, "nfprobe", version)?;
        let of = |more: &str| format!("flow.export.protocol:{protocol}{more}");
        count_reaches(&server, &of(""), directions)?;
        count_reaches(&server, &of(" source.packets:2 source.bytes:116 network.transport:udp"), directions)?;
        count_reaches(&server, &of(" source.ip:10.1.0.7 source.port:10007 destination.ip:10.2.0.1"), 1)?;
        assert_eq!(lost(&server, protocol)?, 0.0, "{protocol}");
    }
    // A sample of each packet; it leaves the first one out.
    pmacctd(&program, dir.path(), server.ports.flow, "sfprobe", "5")?;
    count_reaches(&server, "flow.export.protocol:sflow", directions * 2 - 1)?;
    count_reaches(
        &server,
        "flow.export.protocol:sflow source.ip:10.1.0.7 source.port:10007 destination.ip:10.2.0.1 destination.port:53",
        2,
    )?;
    assert_eq!(lost(&server, "sflow")?, 0.0);
    Ok(())
}

/// What softflowd sends, datagram by datagram.
fn recorded(program: &Path, dir: &Path, version: &str) -> anyhow::Result<Vec<Vec<u8>>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    softflowd(program, dir, socket.local_addr()?.port(), version, &[])?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut datagrams = Vec::new();
    let mut buffer = vec![0; 65_535];
    while let Ok(len) = socket.recv(&mut buffer) {
        datagrams.push(buffer.get(..len).unwrap_or_default().to_vec());
    }
    Ok(datagrams)
}

#[test]
fn a_server_that_is_killed_between_template_and_data_knows_the_template() -> anyhow::Result<()> {
    let Some(program) = tool("softflowd") else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let mut server = Server::start(dir.path(), &ServerOptions::default())?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    for (version, protocol) in [("9", "netflow_v9"), ("10", "ipfix")] {
        let datagrams = recorded(&program, dir.path(), version)?;
        let (first, rest) = datagrams.split_first().context("softflowd sent nothing")?;
        let query = format!("flow.export.protocol:{protocol}");
        socket.send_to(first, ("127.0.0.1", server.ports.flow))?;
        let api = server.api()?;
        wait_until("the first records", Duration::from_secs(30), || Ok(api.count(&query)? > 0))?;
        // Written within a second of the template.
        let state = server.data().join("flow.state");
        let written = || Ok(fs::metadata(&state)?.modified()?.elapsed().unwrap_or_default() < Duration::from_secs(2));
        wait_until("the templates to be written", Duration::from_secs(30), written)?;
        std::thread::sleep(Duration::from_millis(1_500));
        server.process.kill()?;
        server.restart()?;
        for datagram in rest {
            socket.send_to(datagram, ("127.0.0.1", server.ports.flow))?;
        }
        count_reaches(&server, &query, u64::from(CONVERSATIONS) * 2)?;
    }
    // Data before their template wait for it, in the other order too.
    let mut datagrams = recorded(&program, dir.path(), "9")?;
    datagrams.reverse();
    let before = server.api()?.count("flow.export.protocol:netflow_v9")?;
    let other = UdpSocket::bind("127.0.0.2:0")?;
    for datagram in &datagrams {
        other.send_to(datagram, ("127.0.0.1", server.ports.flow))?;
    }
    count_reaches(&server, "flow.export.protocol:netflow_v9", before + u64::from(CONVERSATIONS) * 2)?;
    count_reaches(&server, "observer.ip:127.0.0.2", u64::from(CONVERSATIONS) * 2)
}

#[test]
fn nfreplay_sends_what_nfcapd_kept() -> anyhow::Result<()> {
    let (Some(program), Some(nfcapd), Some(nfreplay)) = (tool("softflowd"), tool("nfcapd"), tool("nfreplay")) else {
        return Ok(());
    };
    let dir = tempfile::tempdir()?;
    let kept = dir.path().join("kept");
    fs::create_dir(&kept)?;
    let port = free_port()?;
    let mut command = Command::new(nfcapd);
    command.args(["-b", "127.0.0.1", "-p", &port.to_string(), "-w"]).arg(&kept);
    let mut collector = Process::start(&mut command, &dir.path().join("nfcapd.log"))?;
    std::thread::sleep(Duration::from_secs(1)); // it says nowhere that it listens
    let sent = softflowd(&program, dir.path(), port, "9", &[])?;
    std::thread::sleep(Duration::from_millis(500));
    collector.stop(Duration::from_secs(10))?;
    let file = fs::read_dir(&kept)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("nfcapd.2")))
        .with_context(|| format!("nfcapd kept nothing: {}", collector.output()))?;
    let server = Server::start(&dir.path().join("server"), &ServerOptions::default())?;
    for (version, protocol) in [("5", "netflow_v5"), ("9", "netflow_v9")] {
        let status = Command::new(&nfreplay)
            .args(["-H", "127.0.0.1", "-p", &server.ports.flow.to_string(), "-v", version, "-r"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        assert!(status.success(), "nfreplay -v {version}");
        count_reaches(&server, &format!("flow.export.protocol:{protocol} source.bytes:116"), sent)?;
    }
    Ok(())
}
