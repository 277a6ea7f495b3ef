//! GELF, Prometheus' remote write and systemd's journal over HTTP, byte by byte.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http::{check_answer, post, post_as};
use super::*;
use crate::envelope::{Door, Framing};

const GELF: &str = "/gelf";
const WRITE: &str = "/api/v1/write";
const UPLOAD: &str = "/upload";
const SNAPPY: &str = "content-type: application/x-protobuf\r\ncontent-encoding: snappy\r\n";
const EXPORT: &str = "content-type: application/vnd.fdo.journal\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn gelf_over_http() {
    let bench = bench();
    let message = br#"{"version":"1.1","host":"a","short_message":"b"}"#;
    check_answer(&post(&bench, GELF, "", message).await, 202, &[]);
    check_answer(&post(&bench, GELF, "", b"[]").await, 400, &["not one JSON object"]);
    check_answer(&post(&bench, GELF, "", b"{} {}").await, 400, &["not one JSON object"]);
    check_answer(&post_as(&bench, GELF, "", message).await, 401, &["no token"]);
    let envelopes = bench.finish().await;
    assert_eq!((envelopes.len(), envelopes[0].door, envelopes[0].peer), (1, Door::GelfHttp, localhost()));
    assert_eq!(shown(&envelopes[0]), [String::from_utf8_lossy(message)]);
}

/// One series `up` with one sample.
fn write_request() -> Vec<u8> {
    let label = b"\x0a\x0e\x0a\x08__name__\x12\x02up";
    let sample = [b"\x12\x09\x09".as_slice(), &1_f64.to_le_bytes()].concat();
    let series = [label.as_slice(), &sample].concat();
    [&[0x0a, u8::try_from(series.len()).unwrap()], series.as_slice()].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn remote_write() {
    let mut config = CollectorConfig::default();
    config.http.message_max = ByteSize::kib(64);
    config.prometheus_write.samples_max = 2;
    let bench = bench_with(config, small_journal());
    let pack = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).unwrap();
    let one = pack(&write_request());
    check_answer(&post(&bench, WRITE, SNAPPY, &one).await, 204, &[]);
    check_answer(&post(&bench, WRITE, SNAPPY, &pack(b"")).await, 204, &[]);
    let check = async |headers: &str, body: &[u8], status, words: &[&str]| {
        check_answer(&post(&bench, WRITE, headers, body).await, status, words);
    };
    check(SNAPPY, b"\xff\xff\xff\xff\xff\xff", 400, &["snappy"]).await;
    check(SNAPPY, &pack(b"nonsense"), 400, &["prometheus.WriteRequest"]).await;
    check(SNAPPY, &pack(&write_request().repeat(3)), 413, &["more than 2 samples"]).await;
    check(SNAPPY, &pack(&vec![0; 100_000]), 413, &["smaller batches"]).await;
    let second =
        "content-type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\ncontent-encoding: snappy\r\n";
    check(second, &one, 415, &["remote write 1.0"]).await;
    check("content-type: application/x-protobuf\r\ncontent-encoding: gzip\r\n", &one, 415, &["snappy"]).await;
    check("content-type: text/plain\r\ncontent-encoding: snappy\r\n", &one, 415, &["`text/plain`"]).await;
    check_answer(&post_as(&bench, WRITE, SNAPPY, &one).await, 401, &["no token"]);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_the_journal() {
    let bench = bench();
    let body = b"__REALTIME_TIMESTAMP=1\nMESSAGE=a\n\nMESSAGE\n\x03\0\0\0\0\0\0\0b\nc\n\n";
    check_answer(&post(&bench, UPLOAD, EXPORT, body).await, 202, &["2 entries are durable"]);
    // What was whole before a mistake is kept.
    check_answer(&post(&bench, UPLOAD, EXPORT, b"MESSAGE=kept\n\nno field\n").await, 400, &["what came before"]);
    check_answer(&post(&bench, UPLOAD, "", body).await, 415, &["vnd.fdo.journal"]);
    check_answer(&post_as(&bench, UPLOAD, EXPORT, body).await, 401, &["no token"]);
    let basic = format!("authorization: Basic {}\r\n", base64_of(&format!("canh:{TOKEN}")));
    check_answer(&post_as(&bench, UPLOAD, &format!("{basic}{EXPORT}"), body).await, 202, &[]);
    let envelopes = bench.finish().await;
    assert_eq!(envelopes.len(), 3);
    assert!(envelopes.iter().all(|envelope| envelope.framing == Framing::JournalExport));
    let settings = crate::DecodeSettings::default();
    let events = crate::decode(&envelopes[0], canh_schema::Position::new(1), 1, &settings).events;
    let texts: Vec<_> = events.iter().map(|event| event.lookup("message").and_then(|text| text.as_str())).collect();
    assert_eq!(texts, [Some("a"), Some("b\nc")]);
}

/// An upload that has sent its head and one entry, and does not end.
async fn begin_upload(bench: &Bench) -> TcpStream {
    let mut stream = TcpStream::connect(bench.address("http")).await.unwrap();
    let head = format!(
        "POST {UPLOAD} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\ntransfer-encoding: chunked\r\n\
         expect: 100-continue\r\n{EXPORT}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The body is asked for once the upload has its place.
    let mut answer = [0; 25];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("no answer").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"b\r\nMESSAGE=a\n\n\r\n").await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_take_no_places_of_others_and_have_to_go_on() {
    let mut config = CollectorConfig::default();
    config.http.requests_max = std::num::NonZeroUsize::MIN;
    config.journald_upload.uploads_max = std::num::NonZeroUsize::MIN;
    config.journald_upload.idle_timeout = Duration::from_secs(2);
    let bench = bench_with(config, JournalConfig::default());
    let mut upload = begin_upload(&bench).await;
    let deadline = Instant::now() + PATIENCE;
    let refused = post(&bench, UPLOAD, EXPORT, b"MESSAGE=b\n\n").await;
    check_answer(&refused, 503, &["retry-after", "too many uploads"]);
    assert_eq!(bench.refused("journald_upload", "busy"), 1);
    let message = br#"{"version":"1.1","host":"a","short_message":"b"}"#;
    check_answer(&post(&bench, GELF, "", message).await, 202, &[]);
    // A byte now and then is no entry.
    let mut answer = Vec::new();
    loop {
        let _ = upload.write_all(b"1\r\nM\r\n").await;
        match tokio::time::timeout(Duration::from_millis(200), upload.read_buf(&mut answer)).await {
            Ok(Ok(_)) => break,
            Ok(Err(error)) => panic!("{error}"),
            Err(_) => assert!(Instant::now() < deadline, "the upload is not ended"),
        }
    }
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
    check_answer(&post(&bench, UPLOAD, EXPORT, b"MESSAGE=c\n\n").await, 202, &["1 entries"]);
    let records: Vec<_> =
        bench.finish().await.iter().filter(|one| one.door == Door::JournaldUpload).flat_map(shown).collect();
    assert!(records.iter().any(|record| record.contains("MESSAGE=a")), "what was whole is lost: {records:?}");
}

fn base64_of(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
