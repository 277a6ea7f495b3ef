//! Syslog over UDP and TCP.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::*;
use crate::envelope::{Door, Framing};
use crate::sources::SourceKey;

async fn connect(bench: &Bench) -> TcpStream {
    TcpStream::connect(bench.address("syslog_tcp")).await.unwrap()
}

/// Sends the pieces over one connection, ends it, and answers what was journaled.
async fn send_tcp(pieces: &[&str]) -> (Vec<String>, Drops) {
    let mut config = CollectorConfig::default();
    config.syslog_tcp.message_max = ByteSize::new(20);
    let bench = bench_with(config, JournalConfig::default());
    let mut stream = connect(&bench).await;
    for piece in pieces {
        if stream.write_all(piece.as_bytes()).await.is_err() {
            break; // the door may have closed it
        }
    }
    let _ = stream.shutdown().await;
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the door does not end the connection");
    let drops = bench.drops.clone();
    (bench.finish().await.iter().flat_map(shown).collect(), drops)
}

async fn check(pieces: &[&str], expected: &[&str], dropped: &[(DropReason, u64)]) {
    let (records, drops) = send_tcp(pieces).await;
    assert_eq!(records, expected, "pieces: {pieces:?}");
    let counted: u64 = drops.snapshot().iter().map(|line| line.count).sum();
    assert_eq!(counted, dropped.iter().map(|(_, count)| count).sum::<u64>(), "{:?}", drops.snapshot());
    for (reason, count) in dropped {
        assert_eq!(drops.get("syslog_tcp", *reason), *count, "{reason:?} of {pieces:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams() {
    check(&["<13>one\n<13>two\n"], &["<13>one", "<13>two"], &[]).await;
    check(&["<13>one\n<13>no line feed"], &["<13>one", "<13>no line feed"], &[]).await;
    check(&["7 <13>one8 <13>", "four"], &["<13>one", "<13>four"], &[]).await;
    check(&["8 <13>a\nbc"], &["<13>a\nbc"], &[]).await;
    check(&["2026-01-01 plain\n"], &["2026-01-01 plain"], &[]).await;
    check(&["12"], &["12"], &[]).await;
    check(&[""], &[], &[]).await;
    let long = "<13>0123456789abcdefghij\n<13>x\n";
    check(&[long], &["<13>x", "<13>0123456789abcdef…"], &[(DropReason::Truncated, 1)]).await;
    let long = "24 <13>0123456789abcdefghij5 <13>x";
    check(&[long], &["<13>0123456789abcdef…", "<13>x"], &[(DropReason::Truncated, 1)]).await;
    let lies = "9 <13>a";
    check(&[lies], &["<13>a…"], &[(DropReason::Incomplete, 1), (DropReason::Truncated, 1)]).await;
    check(&["5 <13>aXX <13>b"], &["<13>a"], &[(DropReason::BadFrame, 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_lines_become_few_batches_and_none_is_lost() {
    let bench = bench();
    let mut stream = connect(&bench).await;
    let lines: Vec<String> = (0..20_000).map(|n| format!("<13>Jan  1 00:00:00 host app: line {n}")).collect();
    let text = lines.iter().fold(String::new(), |text, line| text + line + "\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(bench.records(20_000).await, lines);
    let address = localhost().unwrap();
    let line = bench.sources.get(&SourceKey::Peer(Door::SyslogTcp, address)).unwrap();
    assert!(line.batches < 2_000, "{} batches", line.batches);
    drop(stream);
    let envelopes = bench.finish().await;
    assert!(envelopes.iter().all(|envelope| envelope.framing == Framing::Lines && envelope.peer == localhost()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_before_stop_is_kept() {
    let bench = bench();
    let mut stream = connect(&bench).await;
    stream.write_all(b"<13>one\n").await.unwrap();
    assert_eq!(bench.records(1).await, ["<13>one"]);
    // On this machine, what is written is in the socket of the other end when the call returns.
    stream.write_all(b"<13>two\n<13>begun").await.unwrap();
    let records: Vec<_> = bench.finish().await.iter().flat_map(shown).collect();
    assert_eq!(records, ["<13>one", "<13>two", "<13>begun"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_and_half_open_connections_are_closed() {
    for start in ["", "<13>begun", "99 <13>begun", "1"] {
        let mut config = CollectorConfig::default();
        config.syslog_tcp.connections.idle_timeout = Duration::from_millis(50);
        config.syslog_tcp.message_timeout = Duration::from_millis(50);
        let bench = bench_with(config, JournalConfig::default());
        let mut stream = connect(&bench).await;
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "still open after {start:?}");
        let records = bench.finish().await.iter().flat_map(shown).count();
        assert_eq!(records, usize::from(!start.is_empty()), "what had come of {start:?} is kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_are_closed_and_counted() {
    let mut config = CollectorConfig::default();
    config.syslog_tcp.connections.max = std::num::NonZeroUsize::MIN;
    let bench = bench_with(config, JournalConfig::default());
    let mut first = connect(&bench).await;
    first.write_all(b"<13>one\n").await.unwrap();
    bench.records(1).await;
    let mut second = connect(&bench).await;
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, second.read_to_end(&mut rest)).await.expect("still open");
    assert_eq!(bench.refused_connections("syslog_tcp"), [("door_full".to_owned(), 1)]);
    assert_eq!(bench.drops.snapshot(), [], "nobody knows of a record that was lost");
    first.write_all(b"<13>two\n").await.unwrap();
    assert_eq!(bench.records(2).await, ["<13>one", "<13>two"]);
}

/// Whether the door has closed the connection.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_do_not_lock_senders_out() {
    let mut config = CollectorConfig::default();
    config.syslog_tcp.connections.max = std::num::NonZeroUsize::new(2).unwrap();
    let bench = bench_with(config, JournalConfig::default());
    let mut oldest = connect(&bench).await;
    let mut younger = connect(&bench).await;
    let mut sender = connect(&bench).await;
    assert!(is_closed(&mut oldest).await);
    sender.write_all(b"<13>one\n").await.unwrap();
    bench.records(1).await;
    younger.write_all(b"<13>two\n").await.unwrap();
    bench.records(2).await;
    // Both have sent something now, so neither is closed for another one.
    assert!(is_closed(&mut connect(&bench).await).await);
    sender.write_all(b"<13>three\n").await.unwrap();
    assert_eq!(bench.records(3).await, ["<13>one", "<13>two", "<13>three"]);
    let reasons = bench.refused_connections("syslog_tcp");
    assert_eq!(reasons, [("door_full".to_owned(), 1), ("made_room".to_owned(), 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_take_all_connections() {
    let mut config = CollectorConfig::default();
    config.syslog_tcp.connections.per_address_max = std::num::NonZeroUsize::MIN;
    let bench = bench_with(config, JournalConfig::default());
    let _first = connect(&bench).await;
    assert!(is_closed(&mut connect(&bench).await).await);
    let other = tokio::net::TcpSocket::new_v4().unwrap();
    other.bind(SocketAddr::from(([127, 0, 0, 2], 0))).unwrap();
    let mut other = other.connect(bench.address("syslog_tcp")).await.unwrap();
    other.write_all(b"<13>one\n").await.unwrap();
    assert_eq!(bench.records(1).await, ["<13>one"]);
    assert_eq!(bench.refused_connections("syslog_tcp"), [("address_full".to_owned(), 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_never_sends_is_closed_long_before_one_that_is_idle() {
    let soon = Duration::from_millis(50);
    let mut config = CollectorConfig::default();
    (config.syslog_tcp.connections.first_byte_timeout, config.http.connections.first_byte_timeout) = (soon, soon);
    config.otlp_grpc.connections.first_byte_timeout = soon;
    let long = PATIENCE * 100;
    (
        config.syslog_tcp.connections.idle_timeout,
        config.http.connections.idle_timeout,
        config.otlp_grpc.connections.idle_timeout,
    ) = (long, long, long);
    let bench = bench_with(config, JournalConfig::default());
    for door in ["syslog_tcp", "http", "otlp_grpc"] {
        let mut stream = TcpStream::connect(bench.address(door)).await.unwrap();
        assert!(is_closed(&mut stream).await, "{door}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_journal_holds_tcp_back_and_loses_nothing() {
    let bench = bench_with(CollectorConfig::default(), small_journal());
    bench.fill().await;
    let mut stream = connect(&bench).await;
    let line = format!("<13>{}\n", "x".repeat(15_000));
    stream.write_all(line.as_bytes()).await.unwrap();
    let journal = bench.journal.clone();
    let before = journal.durable();
    // Room is made only now; the door asks again by itself.
    bench.free();
    let after = tokio::task::spawn_blocking(move || journal.wait(before, Some(Instant::now() + PATIENCE)));
    assert!(after.await.unwrap().durable > before, "the line never came");
    assert_eq!(bench.drops.snapshot(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams() {
    let mut config = CollectorConfig::default();
    config.syslog_udp.message_max = ByteSize::new(30);
    config.syslog_udp.format = Some("flow".to_owned());
    let bench = bench_with(config, JournalConfig::default());
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let long = "<13>0123456789abcdefghijklmnopqrstuvwxyz";
    for message in ["<34>one", "", "two\nlines", long] {
        socket.send_to(message.as_bytes(), bench.address("syslog_udp")).await.unwrap();
    }
    let mut records = bench.records(3).await;
    records.sort(); // datagrams have no order, and batches are journaled side by side
    assert_eq!(records, ["<13>0123456789abcdefghijklmnop…", "<34>one", "two\nlines"]);
    assert_eq!(bench.dropped("syslog_udp", DropReason::Truncated), 1);
    let envelopes = bench.finish().await;
    let peers: Vec<_> = envelopes.iter().flat_map(|envelope| envelope.records()).map(|record| record.peer).collect();
    assert_eq!(peers, vec![localhost(); 3]);
    assert!(envelopes.iter().all(|envelope| envelope.format.as_deref() == Some("flow")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_datagrams_is_kept_or_counted() {
    let bench = bench();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let sent = 20_000;
    for n in 0..sent {
        socket.send_to(format!("<13>message {n}").as_bytes(), bench.address("syslog_udp")).await.unwrap();
    }
    // The kernel tells what it dropped with a later datagram, so one is sent after the burst has been taken.
    let key = SourceKey::Peer(Door::SyslogUdp, localhost().unwrap());
    let deadline = Instant::now() + PATIENCE;
    loop {
        socket.send_to(b"<13>last", bench.address("syslog_udp")).await.unwrap();
        let kept = bench.sources.get(&key).map_or(0, |line| line.records);
        if kept + bench.dropped("syslog_udp", DropReason::KernelBuffer) > sent {
            break;
        }
        assert!(Instant::now() < deadline, "{kept} of {sent} kept, {:?}", bench.drops.snapshot());
        tokio::task::yield_now().await;
    }
    let drops = bench.drops.clone();
    let records = bench.finish().await.iter().flat_map(shown).filter(|record| record != "<13>last").count() as u64;
    let lost: u64 = drops.snapshot().iter().map(|line| line.count).sum();
    assert!(records + lost >= sent, "{records} kept and {lost} counted of {sent}");
    assert!(records <= sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_received_or_counted_to_the_last_datagram_though_none_follows() {
    let mut config = CollectorConfig::default();
    config.syslog_udp.receive_buffer = ByteSize::kib(4);
    let bench = bench_with(config, JournalConfig::default());
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (sent, address) = (50_000, bench.address("syslog_udp"));
    tokio::task::spawn_blocking(move || {
        for n in 0..sent {
            socket.send_to(format!("<13>flood {n}").as_bytes(), address).unwrap();
        }
    })
    .await
    .unwrap();
    let key = SourceKey::Peer(Door::SyslogUdp, localhost().unwrap());
    let counts = || {
        let kept = bench.sources.get(&key).map_or(0, |line| line.records);
        (kept, bench.dropped("syslog_udp", DropReason::KernelBuffer))
    };
    let deadline = Instant::now() + PATIENCE;
    while counts().0 + counts().1 < sent {
        assert!(Instant::now() < deadline, "(received, dropped) of {sent}: {:?}", counts());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (kept, dropped) = counts();
    println!("{sent} sent = {kept} received + {dropped} dropped by the kernel");
    assert_eq!(kept + dropped, sent);
    assert!(dropped > 0, "the flood did not overflow the buffer, so this test shows nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_for_which_the_journal_has_no_room_are_counted() {
    let bench = bench_with(CollectorConfig::default(), small_journal());
    bench.fill().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let message = vec![b'x'; 16 * 1024];
    socket.send_to(&message, bench.address("syslog_udp")).await.unwrap();
    let drops = bench.drops.clone();
    bench.finish().await;
    let lost = drops.get("syslog_udp", DropReason::JournalFull) + drops.get("syslog_udp", DropReason::ShuttingDown);
    assert_eq!(lost, 1, "{:?}", drops.snapshot());
}
