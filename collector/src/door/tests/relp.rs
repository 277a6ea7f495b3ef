//! RELP, as its clients speak it and as they should not.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

fn config() -> CollectorConfig {
    let mut config = CollectorConfig::default();
    config.relp.enabled = true;
    config.relp.message_max = ByteSize::new(20);
    config
}

const OPEN: &str = "1 open 30 relp_version=0\ncommands=syslog\n";

/// What the door answers to a whole conversation, without what it says to `open`; what it kept, and what it counted.
async fn talk(text: &str, ends: bool) -> (String, Vec<String>, Drops) {
    let bench = bench_with(config(), JournalConfig::default());
    let mut stream = TcpStream::connect(bench.address("relp")).await.unwrap();
    for piece in text.as_bytes().chunks(7) {
        if stream.write_all(piece).await.is_err() {
            break; // the door may have closed it
        }
    }
    if ends {
        let _ = stream.shutdown().await;
    }
    let mut answers = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answers)).await.expect("the door does not end");
    let drops = bench.drops.clone();
    let records = bench.finish().await.iter().flat_map(shown).collect();
    let answers = String::from_utf8(answers).unwrap();
    let opened = answers.split_once("commands=syslog\n").map(|(_, rest)| rest.to_owned());
    (opened.unwrap_or(answers), records, drops)
}

async fn check(text: &str, ends: bool, answers: &str, records: &[&str], dropped: &[(DropReason, u64)]) {
    let (answered, kept, drops) = talk(text, ends).await;
    assert_eq!(answered, answers, "{text:?}");
    assert_eq!(kept, records, "{text:?}");
    let counted: Vec<_> = drops.snapshot().iter().map(|line| (line.reason.clone(), line.count)).collect();
    let expected: Vec<_> = dropped.iter().map(|(reason, count)| (reason.name().to_owned(), *count)).collect();
    assert_eq!(counted, expected, "{text:?}");
}

const CLOSED: &str = "0 serverclose 0\n";

#[tokio::test(flavor = "multi_thread")]
async fn conversations() {
    let open = |rest: &str| format!("{OPEN}{rest}");
    let two = open("2 syslog 7 <13>one\n3 syslog 7 <13>two\n4 close 0\n");
    let answers = format!("2 rsp 6 200 OK\n3 rsp 6 200 OK\n4 rsp 0\n{CLOSED}");
    check(&two, false, &answers, &["<13>one", "<13>two"], &[]).await;
    let long = open("2 syslog 24 <13>0123456789abcdefghij\n");
    check(&long, true, "2 rsp 6 200 OK\n", &["<13>0123456789abcdef…"], &[(DropReason::Truncated, 1)]).await;
    // Not whole, so neither kept nor answered: the client sends it again.
    check(&open("2 syslog 9 <13>"), true, "", &[], &[]).await;
    let unknown = format!("2 rsp 34 500 this command is not known here\n3 rsp 0\n{CLOSED}");
    check(&open("2 dance 0\n3 close 0\n"), false, &unknown, &[], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_commands_that_are_no_messages_is_answered() {
    let many = 20_000;
    let asked: String = (2..many + 2).map(|number| format!("{number} a 0\n")).collect();
    let (answers, records, drops) = talk(&format!("{OPEN}{asked}"), true).await;
    assert_eq!(answers.matches(" rsp 34 500 ").count(), many);
    assert_eq!((records.len(), drops.snapshot()), (0, Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_breaks_the_protocol_is_shown_the_door_and_what_was_good_is_kept() {
    let bad = [(DropReason::BadFrame, 1)];
    let open = |rest: &str| format!("{OPEN}{rest}");
    check("1 syslog 7 <13>one\n", false, CLOSED, &[], &bad).await;
    check("GET / HTTP/1.1\r\n\r\n", false, CLOSED, &[], &bad).await;
    let kept = format!("2 rsp 6 200 OK\n{CLOSED}");
    check(&open("2 syslog 7 <13>one\n4 syslog 7 <13>two\n"), false, &kept, &["<13>one"], &bad).await;
    check(&open("2 syslog 7 <13>one\n2 syslog 7 <13>two\n"), false, &kept, &["<13>one"], &bad).await;
    check(&open("2 syslog 7 <13>one\n3 syslog 2 lie\n"), false, &kept, &["<13>one"], &bad).await;
    check(&open("2 open 0\n"), false, CLOSED, &[], &bad).await;
    let refused = format!("1 rsp 37 500 this server speaks relp_version=0\n{CLOSED}");
    check("1 open 30 relp_version=7\ncommands=syslog\n", false, &refused, &[], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_while_the_journal_is_full() {
    let mut config = config();
    config.relp.message_max = ByteSize::kib(16);
    let bench = bench_with(config, small_journal());
    bench.fill().await;
    let mut stream = TcpStream::connect(bench.address("relp")).await.unwrap();
    stream.write_all(format!("{OPEN}2 syslog 16384 <13>{}\n", "x".repeat(16_380)).as_bytes()).await.unwrap();
    let mut answers = [0; 4_096];
    let wait = Duration::from_millis(500);
    let early = tokio::time::timeout(wait, stream.read(&mut answers)).await;
    assert!(early.is_err(), "answered though nothing can be kept: {early:?}");
    bench.free();
    let mut text = String::new();
    while !text.ends_with("2 rsp 6 200 OK\n") {
        let len = tokio::time::timeout(PATIENCE, stream.read(&mut answers)).await.expect("no answer").unwrap();
        assert!(len > 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&answers[..len]).unwrap());
    }
    assert_eq!(bench.drops.snapshot(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_window_that_is_not_kept_is_not_answered_when_the_server_stops() {
    let mut config = config();
    config.relp.message_max = ByteSize::kib(16);
    config.relp.window = std::num::NonZeroUsize::new(1).unwrap();
    let bench = bench_with(config, small_journal());
    bench.fill().await;
    let mut stream = TcpStream::connect(bench.address("relp")).await.unwrap();
    stream.write_all(format!("{OPEN}2 syslog 16384 <13>{}\n", "x".repeat(16_380)).as_bytes()).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(500), stream.read_u8()).await;
    assert!(early.is_err(), "answered though nothing can be kept: {early:?}");
    let drops = bench.drops.clone();
    let kept = bench.finish().await.iter().filter(|envelope| envelope.door == crate::envelope::Door::Relp).count();
    let mut answers = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answers)).await.expect("the door does not end");
    let answers = String::from_utf8(answers).unwrap();
    assert!(!answers.contains("2 rsp"), "{kept} kept, and answered {answers:?}");
    assert_eq!((kept, drops.snapshot()), (0, Vec::new()), "what the sender still has is no drop");
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_and_half_open_connections_are_closed() {
    let begun = format!("{OPEN}2 syslog 7 <13");
    for start in ["", "1 op", OPEN, &begun] {
        let mut config = config();
        let soon = Duration::from_millis(50);
        (config.relp.connections.idle_timeout, config.relp.message_timeout) = (soon, soon);
        let bench = bench_with(config, JournalConfig::default());
        let mut stream = TcpStream::connect(bench.address("relp")).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "still open after {start:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_without_pauses_does_not_hold_up_the_end_and_keeps_what_is_not_answered() {
    let bench = bench_with(config(), JournalConfig::default());
    let stream = TcpStream::connect(bench.address("relp")).await.unwrap();
    let (mut input, mut output) = stream.into_split();
    let sending = tokio::spawn(async move {
        let _ = output.write_all(OPEN.as_bytes()).await;
        for number in 2.. {
            if output.write_all(format!("{number} syslog 7 <13>one\n").as_bytes()).await.is_err() {
                return;
            }
        }
    });
    let answering = tokio::spawn(async move {
        let mut answers = Vec::new();
        let _ = input.read_to_end(&mut answers).await;
        String::from_utf8_lossy(&answers).matches(" rsp 6 200 OK\n").count()
    });
    bench.records(2_000).await;
    let began = Instant::now();
    let kept: usize = bench.finish().await.iter().map(|envelope| envelope.records().count()).sum();
    assert!(began.elapsed() < Duration::from_secs(8), "it had to be cut off");
    let answered = answering.await.unwrap();
    sending.await.unwrap();
    assert!((2_000..=kept).contains(&answered), "{answered} answered, {kept} kept");
}
