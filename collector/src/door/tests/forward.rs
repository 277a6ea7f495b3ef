//! The forward protocol, byte by byte: acknowledgements, the shared key, and what ends a connection.

use std::io::Write;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::forward::ForwardUser;
use super::super::forward::greeting_tests::ping;
use super::*;
use crate::envelope::Framing;

fn bench_forward(change: impl FnOnce(&mut CollectorConfig)) -> Bench {
    let mut config = CollectorConfig::default();
    config.forward.enabled = true;
    config.forward.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    change(&mut config);
    bench_with(config, small_journal())
}

/// `["app", 7, {"log": text}, {"chunk": chunk}]`
fn message(text: &str, chunk: &str) -> Vec<u8> {
    let text_of = |text: &str| [&[0xa0 | u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let event = [b"\x94\xa3app\x07\x81\xa3log".as_slice(), &text_of(text)].concat();
    [&event[..], b"\x81\xa5chunk", &text_of(chunk)].concat()
}

async fn read(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut bytes)).await.expect("no answer").unwrap();
    bytes
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("not closed").is_ok() && rest.is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_is_acknowledged_when_it_is_durable() {
    let bench = bench_forward(|_| ());
    let mut stream = TcpStream::connect(bench.address("forward")).await.unwrap();
    // Two at once, the second in pieces.
    let second = message("two", "c2");
    stream.write_all(&[message("one", "c1"), second[..9].to_vec()].concat()).await.unwrap();
    assert_eq!(read(&mut stream, 8).await, b"\x81\xa3ack\xa2c1");
    assert_eq!(bench.records(1).await.len(), 1, "acknowledged and not durable");
    stream.write_all(&second[9..]).await.unwrap();
    assert_eq!(read(&mut stream, 8).await, b"\x81\xa3ack\xa2c2");

    // Packed and compressed.
    let pair = b"\x92\x07\x81\xa3log\xa1x".as_slice();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&pair.repeat(5)).unwrap();
    let gzip = gzip.finish().unwrap();
    let head = [0xc4, u8::try_from(gzip.len()).unwrap()];
    let option = b"\x82\xa5chunk\xa2c3\xaacompressed\xa4gzip";
    stream.write_all(&[b"\x93\xa3app".as_slice(), &head, &gzip, option].concat()).await.unwrap();
    assert_eq!(read(&mut stream, 8).await, b"\x81\xa3ack\xa2c3");

    bench.fill().await;
    let large =
        [b"\x94\xa3app\x07\x81\xa3log\xda\x4e\x20".as_slice(), &[b'x'; 20_000], b"\x81\xa5chunk\xa2c4"].concat();
    stream.write_all(&large).await.unwrap();
    let mut nothing = [0; 1];
    let waited = tokio::time::timeout(Duration::from_millis(500), stream.read(&mut nothing)).await;
    assert!(waited.is_err(), "acknowledged while the journal is full: {waited:?}");
    bench.free();
    assert_eq!(read(&mut stream, 8).await, b"\x81\xa3ack\xa2c4");
    drop(stream);
    let envelopes = bench.finish().await;
    let of_door: Vec<_> = envelopes.iter().filter(|envelope| envelope.framing == Framing::Fluent).collect();
    assert!(of_door.iter().all(|envelope| envelope.peer == localhost()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_ends_the_connection_and_what_was_before_it_is_kept() {
    let bench = bench_forward(|config| config.forward.message_max = ByteSize::new(200));
    let long = [b"\x93\xa3app\x07\x81\xa3log\xda\x01\x00".as_slice(), &[b'x'; 256]].concat();
    let cases = [
        (b"\x81\x01\x02".to_vec(), DropReason::BadFrame),
        (b"\xc1".to_vec(), DropReason::BadFrame),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), DropReason::BadFrame),
        (long, DropReason::Truncated),
    ];
    for (bad, reason) in cases {
        let before = bench.dropped("forward", reason);
        let mut stream = TcpStream::connect(bench.address("forward")).await.unwrap();
        stream.write_all(&[message("good", "c"), bad.clone()].concat()).await.unwrap();
        assert_eq!(read(&mut stream, 7).await, b"\x81\xa3ack\xa1c");
        assert!(is_closed(&mut stream).await, "{bad:?}");
        assert_eq!(bench.dropped("forward", reason), before + 1, "{bad:?}");
    }
    let mut stream = TcpStream::connect(bench.address("forward")).await.unwrap();
    stream.write_all(b"\xc0\x93\xa3app").await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(is_closed(&mut stream).await);
    assert_eq!(bench.dropped("forward", DropReason::Incomplete), 1);
    assert_eq!(bench.records(4).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_key_and_users() {
    let dir = tempfile::tempdir().unwrap();
    let [key, password] = ["key", "password"].map(|name| dir.path().join(name));
    std::fs::write(&key, "chung\n").unwrap();
    std::fs::write(&password, "mat-khau\n").unwrap();
    let bench = bench_forward(|config| {
        config.forward.shared_key_file = Some(key);
        config.forward.user = vec![ForwardUser { name: "an".to_owned(), password_file: password }];
    });
    for (key, user, password, is_welcome) in [
        ("chung", "an", "mat-khau", true),
        ("khac", "an", "mat-khau", false),
        ("chung", "an", "sai", false),
        ("chung", "be", "mat-khau", false),
    ] {
        let mut stream = TcpStream::connect(bench.address("forward")).await.unwrap();
        let helo = read(&mut stream, 6 + 1 + 6 + 18 + 5 + 18 + 10 + 1).await;
        stream.write_all(&ping(&helo, key, user, password)).await.unwrap();
        stream.write_all(&message("after", "c")).await.unwrap();
        let pong = read(&mut stream, 7).await;
        assert_eq!(pong[..6], *b"\x95\xa4PONG");
        assert_eq!(pong[6], if is_welcome { 0xc3 } else { 0xc2 }, "{key} {user} {password}");
        if is_welcome {
            // Reason, name, proof of the key.
            let rest = read(&mut stream, 1 + 5 + 2 + 128).await;
            assert_eq!(rest[..6], *b"\xa0\xa4canh");
            assert_eq!(read(&mut stream, 7).await, b"\x81\xa3ack\xa1c");
        }
    }
    assert_eq!(bench.records(1).await.len(), 1);
    assert_eq!(bench.dropped("forward", DropReason::Unauthenticated), 3);
    assert_eq!(bench.finish().await.len(), 1, "somebody without the key was believed");
}

/// `["app", [[7, {"log": text}], …]]`, which nobody sends again.
fn many(events: u16, text_len: u16) -> Vec<u8> {
    let text = vec![b'x'; usize::from(text_len)];
    let event = [b"\x92\x07\x81\xa3log\xda".as_slice(), &text_len.to_be_bytes(), &text].concat();
    [b"\x92\xa3app\xdc".as_slice(), &events.to_be_bytes(), &event.repeat(usize::from(events))].concat()
}

fn all_dropped(bench: &Bench) -> u64 {
    DropReason::ALL.iter().map(|reason| bench.dropped("forward", *reason)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_journal_does_not_take_is_counted_whole() {
    let check = async |sent: Vec<u8>, expected: u64| {
        let bench = bench_forward(|_| ());
        bench.fill().await;
        let tried = bench.counted("canh_journal_errors_total", &[]);
        let mut stream = TcpStream::connect(bench.address("forward")).await.unwrap();
        stream.write_all(&sent).await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        while bench.counted("canh_journal_errors_total", &[]) == tried {
            assert!(Instant::now() < deadline, "nothing is journaled");
            tokio::task::yield_now().await;
        }
        let drops = bench.drops.clone();
        bench.finish().await;
        let all: u64 = DropReason::ALL.iter().map(|reason| drops.get("forward", *reason)).sum();
        assert_eq!(all, expected);
    };
    // The message is longer than a batch: what of it has not been tried is lost as well.
    check(many(40, 10_000), 40).await;
    // What has an acknowledgement comes again; the last one broke off.
    check([many(4, 5_000), many(3, 10), message("again", "c1"), many(2, 10)[..9].to_vec()].concat(), 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_not_finished_is_counted() {
    let bench = bench_forward(|config| {
        config.forward.message_timeout = Duration::from_secs(1);
        config.forward.unfinished_max = ByteSize::kib(400);
    });
    // A byte now and then does not make the time longer.
    let mut slow = TcpStream::connect(bench.address("forward")).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    for byte in many(1, 200).into_iter().cycle().take(300) {
        if slow.write_all(&[byte]).await.is_err() || bench.dropped("forward", DropReason::Incomplete) > 0 {
            break;
        }
        assert!(Instant::now() < deadline, "it is still open");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(all_dropped(&bench), 1);
    // One address may take a quarter of the memory beside what is free for each.
    let mut large = TcpStream::connect(bench.address("forward")).await.unwrap();
    let _ = large.write_all(&many(40, 10_000)[..300_000]).await;
    let _ = tokio::time::timeout(PATIENCE, large.read_to_end(&mut Vec::new())).await.expect("not closed");
    assert_eq!((bench.dropped("forward", DropReason::QueueFull), all_dropped(&bench)), (1, 2));
    // And what has begun when the server stops.
    let mut last = TcpStream::connect(bench.address("forward")).await.unwrap();
    last.write_all(&[message("whole", "c1"), message("begun", "c2")[..9].to_vec()].concat()).await.unwrap();
    assert_eq!(read(&mut last, 8).await, b"\x81\xa3ack\xa2c1");
    let drops = bench.drops.clone();
    assert_eq!(bench.finish().await.len(), 1);
    assert_eq!(drops.get("forward", DropReason::Incomplete), 2);
}
