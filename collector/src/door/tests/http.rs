//! OTLP and newline-delimited JSON over HTTP, byte by byte as a client writes it.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::grpc::{SPANS, logs};
use super::*;
use crate::envelope::{Door, Framing};

/// Sends one request and answers status line, headers and body as one text.
pub(super) async fn post(bench: &Bench, path: &str, headers: &str, body: &[u8]) -> String {
    let token = format!("authorization: Bearer {TOKEN}\r\n");
    post_as(bench, path, &format!("{token}{headers}"), body).await
}

pub(super) async fn post_as(bench: &Bench, path: &str, headers: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(bench.address("http")).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: canh\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let _ = stream.write_all(body).await; // the server may answer before it has read all
    answer_of(&mut stream).await
}

async fn answer_of(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("no answer");
    if let Err(error) = read {
        assert!(!answer.is_empty(), "{error}");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
pub(super) fn check_answer(answer: &str, status: u16, words: &[&str]) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "expected {status}: {answer}");
    for word in words {
        assert!(answer.contains(word), "expected `{word}`: {answer}");
    }
}

const PROTOBUF: &str = "content-type: application/x-protobuf\r\n";
const JSON: &str = "content-type: application/json\r\n";
const NDJSON: &str = "/ingest/ndjson";
/// The server may read so much of a body at once.
const STEP: usize = 64 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn otlp_as_protobuf_and_json() {
    let bench = bench();
    let message = logs(&["a", "b"]);
    let bytes = message.encode_to_vec();
    check_answer(&post(&bench, "/v1/logs", PROTOBUF, &bytes).await, 200, &["application/x-protobuf"]);
    let headers = format!("{PROTOBUF}content-encoding: gzip\r\n");
    check_answer(&post(&bench, "/v1/logs", &headers, &gzip(&bytes)).await, 200, &[]);
    let headers = format!("{PROTOBUF}content-encoding: zstd\r\n");
    let packed = zstd::encode_all(bytes.as_slice(), 0).unwrap();
    check_answer(&post(&bench, "/v1/logs", &headers, &packed).await, 200, &[]);
    let json = serde_json::to_vec(&message).unwrap();
    check_answer(&post(&bench, "/v1/logs", JSON, &json).await, 200, &["application/json", "{"]);
    // As other programs write it: camel case, 64-bit numbers as text.
    let foreign = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[
        {"timeUnixNano":"1700000000000000000","body":{"stringValue":"hello"}}]}]}]}"#;
    check_answer(&post(&bench, "/v1/logs", JSON, foreign).await, 200, &[]);
    check_answer(&post(&bench, "/v1/metrics", JSON, br#"{"resourceMetrics":[]}"#).await, 200, &[]);
    check_answer(&post(&bench, "/v1/traces", JSON, SPANS.as_bytes()).await, 200, &["application/json"]);
    let spans: ExportTraceServiceRequest = serde_json::from_str(SPANS).unwrap();
    let spans = spans.encode_to_vec();
    check_answer(&post(&bench, "/v1/traces", PROTOBUF, &spans).await, 200, &["application/x-protobuf"]);
    check_answer(&post(&bench, "/v1/traces", PROTOBUF, b"\x0a\xff\xff").await, 400, &["not an OTLP message"]);

    let envelopes = bench.finish().await;
    let framings: Vec<_> = envelopes.iter().map(|envelope| envelope.framing).collect();
    assert_eq!(framings[..5], [Framing::OtlpLogs; 5]);
    assert_eq!(framings[5..], [Framing::OtlpMetrics, Framing::OtlpTraces, Framing::OtlpTraces]);
    assert!(envelopes[6..].iter().all(|envelope| envelope.payload == spans));
    assert!(envelopes[..4].iter().all(|envelope| envelope.payload == bytes && envelope.door == Door::OtlpHttp));
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_that_cannot_be_taken_is_refused() {
    let mut config = CollectorConfig::default();
    config.http.message_max = ByteSize::kib(4);
    let bench = bench_with(config, JournalConfig::default());
    check_answer(&post(&bench, "/v1/logs", "content-type: text/plain\r\n", b"x").await, 415, &["x-protobuf"]);
    check_answer(&post(&bench, "/v1/logs", JSON, b"{").await, 400, &["not an OTLP message"]);
    check_answer(&post(&bench, "/v1/logs", PROTOBUF, b"\x0a\xff\xff").await, 400, &["not an OTLP message"]);
    let long = logs(&[&"x".repeat(100_000)]).encode_to_vec();
    check_answer(&post(&bench, "/v1/logs", PROTOBUF, &long).await, 413, &["smaller batches"]);
    let headers = format!("{PROTOBUF}content-encoding: gzip\r\n");
    check_answer(&post(&bench, "/v1/logs", &headers, &gzip(&long)).await, 413, &["smaller batches"]);
    check_answer(&post(&bench, "/v1/logs", &headers, b"not gzip").await, 400, &["cannot be read"]);
    let headers = format!("{PROTOBUF}content-encoding: br\r\n");
    let answer = post(&bench, "/v1/logs", &headers, b"x").await;
    check_answer(&answer, 415, &["`br`", "gzip or zstd", "accept-encoding: gzip, zstd, identity"]);
    let headers = format!("{PROTOBUF}canh-sequence: 1\r\n");
    check_answer(&post(&bench, "/v1/logs", &headers, &[]).await, 400, &["canh-agent-id"]);
    check_answer(&post_as(&bench, "/v1/logs", PROTOBUF, &[]).await, 401, &["Bearer <token>", "www-authenticate"]);
    check_answer(&post(&bench, "/v1/nothing", PROTOBUF, &[]).await, 404, &["/v1/logs", NDJSON]);
    assert!(bench.finish().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_and_arrays() {
    let bench = bench();
    let answer = post(&bench, "/ingest/ndjson?format=zeek_json&host=fw%201", "", b"{\"a\":1}\n\n{\"a\":2}").await;
    check_answer(&answer, 200, &[r#"{"accepted":2,"truncated":0}"#]);
    let answer = post(&bench, NDJSON, "content-encoding: gzip\r\n", &gzip(b" [{\"a\":\n3},\n{\"a\":4}]")).await;
    check_answer(&answer, 200, &[r#""accepted":2"#]);
    check_answer(&post(&bench, NDJSON, "", b"").await, 200, &[r#""accepted":0"#]);
    check_answer(&post(&bench, NDJSON, "", b"broken { json\n").await, 200, &[r#""accepted":1"#]);

    let envelopes = bench.finish().await;
    assert_eq!(envelopes[0].format.as_deref(), Some("zeek_json"));
    assert_eq!(envelopes[0].host.as_deref(), Some("fw 1"));
    assert!(envelopes.iter().all(|envelope| envelope.door == Door::Ndjson && envelope.peer == localhost()));
    let records: Vec<_> = envelopes.iter().flat_map(shown).collect();
    assert_eq!(records, ["{\"a\":1}", "{\"a\":2}", "{\"a\":\n3}", "{\"a\":4}", "broken { json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_with_a_number_is_kept_once() {
    let mut config = CollectorConfig::default();
    config.http.line_max = ByteSize::kib(1);
    let bench = bench_with(config, JournalConfig::default());
    let number = |sequence: u64| {
        format!("canh-agent-id: {}\r\ncanh-spool: 00000000000000ab\r\ncanh-sequence: {sequence}\r\n", "1f".repeat(16))
    };
    // Lines that begin like an array are lines here, and one that is cut is kept once as well.
    let body = format!("[warn] one\n{}\n\ntwo\n", "x".repeat(2_000));
    for _ in 0..3 {
        let answer = post(&bench, NDJSON, &number(1), body.as_bytes()).await;
        check_answer(&answer, 200, &[r#"{"accepted":3,"truncated":1}"#]);
    }
    check_answer(&post(&bench, NDJSON, &number(2), b"three\n").await, 200, &[r#""accepted":1"#]);
    assert_eq!(bench.dropped("ndjson", DropReason::Truncated), 1);
    let long = "x".repeat(300 << 10);
    check_answer(&post(&bench, NDJSON, &number(3), long.as_bytes()).await, 413, &["nothing of this request is kept"]);
    check_answer(&post(&bench, NDJSON, "canh-spool: 1\r\n", b"x\n").await, 400, &["canh-agent-id"]);

    let records: Vec<_> = bench.finish().await.iter().flat_map(shown).collect();
    let mut short: Vec<_> = records.iter().map(|record| &record[..record.len().min(12)]).collect();
    short.sort_unstable();
    assert_eq!(short, ["[warn] one", "three", "two", "xxxxxxxxxxxx"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_bodies_and_long_lines() {
    let mut config = CollectorConfig::default();
    config.http.line_max = ByteSize::kib(1);
    config.http.body_max = ByteSize::mib(2);
    let bench = bench_with(config, JournalConfig::default());

    let many: String = (0..50_000).map(|n| format!("{{\"n\":{n:06}}}\n")).collect();
    check_answer(&post(&bench, NDJSON, "", many.as_bytes()).await, 200, &[r#""accepted":50000"#]);
    let long = format!("{{\"n\":\"{}\"}}\n{{\"n\":1}}\n", "x".repeat(5_000));
    check_answer(&post(&bench, NDJSON, "", long.as_bytes()).await, 200, &[r#"{"accepted":2,"truncated":1}"#]);
    assert_eq!(bench.dropped("ndjson", DropReason::Truncated), 1);
    // What came before the limit is kept, and the sender is told how much that is.
    let answer = post(&bench, NDJSON, "content-encoding: gzip\r\n", &gzip(many.repeat(4).as_bytes())).await;
    check_answer(&answer, 413, &["several requests", r#""accepted":1"#, "do not begin again"]);
    let answer = post(&bench, NDJSON, "", b"[1,2,3}").await;
    check_answer(&answer, 400, &[r#""accepted":2"#, "byte 6", "go on after element 2"]);
    // A body whose length says enough is not begun.
    let answer = post(&bench, NDJSON, "", many.repeat(4).as_bytes()).await;
    check_answer(&answer, 413, &["several requests", r#""accepted":0"#, "nothing of this request is kept"]);

    let envelopes = bench.finish().await;
    let first: Vec<_> = envelopes.iter().flat_map(shown).take(50_002).collect();
    assert_eq!(first[49_999], "{\"n\":049999}");
    assert_eq!((first[50_000].as_str(), first[50_001].len()), ("{\"n\":1}", 1_024 + "…".len()));
    assert!(envelopes.iter().all(|envelope| envelope.payload.len() < 400 * 1024), "a piece is too large");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_error_the_sender_is_told_where_to_go_on() {
    let mut config = CollectorConfig::default();
    config.http.lines_max = std::num::NonZeroU64::new(3).unwrap();
    config.http.line_max = ByteSize::new(10);
    let bench = bench_with(config, JournalConfig::default());
    let check = async |body: &str, accepted: u64, place: &str| {
        let answer = post(&bench, NDJSON, "", body.as_bytes()).await;
        let number = place.rsplit_once(' ').unwrap().1;
        let words = [
            format!(r#""accepted":{accepted},"#),
            format!(r#""resume_after":{number},"#),
            format!("go on after {place}, do not begin again"),
        ];
        let words = words.each_ref().map(String::as_str);
        check_answer(&answer, 413, &["more than 3 ", words[0], words[1], words[2]]);
    };
    check("{}\n{}\n{}\n{}\n", 3, "line 3").await;
    check("{}\n\n{}\r\n\r\n{}\n{}", 3, "line 5").await;
    check(&format!("{}{{}}\n{{}}\n{{}}\n{{}}\n", "\n".repeat(STEP * 2)), 3, "line 131075").await;
    check("{}\n{}\n{\"long\":\"longer than ten\"}\n{}\n", 3, "line 3").await;
    check("[1,[1,2,3,4],{\"a\":1,\"b\":2},4]", 3, "element 3").await;
    // Exactly as many are taken, with whatever empty lines follow.
    check_answer(&post(&bench, NDJSON, "", b"{}\n{}\n{}").await, 200, &[r#""accepted":3"#]);
    check_answer(&post(&bench, NDJSON, "", b"{}\n{}\n{}\r\n\n\n").await, 200, &[r#""accepted":3"#]);
    check_answer(&post(&bench, NDJSON, "", b"{}\n{}\n{\"long\":\"0123456789\"}\n").await, 200, &[r#""accepted":3"#]);
    check_answer(&post(&bench, NDJSON, "", b"[1,2,3]\n").await, 200, &[r#""accepted":3"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_packed_body_cannot_become_millions_of_records() {
    let bench = bench();
    let packed = gzip("1\n".repeat(1_500_000).as_bytes());
    assert!(packed.len() < 10_000);
    let answer = post(&bench, NDJSON, "content-encoding: gzip\r\n", &packed).await;
    check_answer(&answer, 413, &["more than 1000000 lines", r#""accepted":1000000"#, "go on after line 1000000,"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_lines() {
    let bench = bench_with(CollectorConfig::default(), small_journal());
    check_answer(&post_as(&bench, NDJSON, "authorization: Bearer no\r\n", b"{}").await, 401, &["make a new one"]);
    check_answer(&post(&bench, "/ingest/ndjson?fromat=zeek", "", b"{}").await, 400, &["format, host"]);
    let answer = post(&bench, "/ingest/ndjson?format=zeek-json", "", b"{}").await;
    check_answer(&answer, 400, &["`zeek-json`", "did you mean `zeek_json`?", "web_access", "nothing of this request"]);
    let answer = post(&bench, NDJSON, "content-encoding: br\r\n", b"x").await;
    check_answer(&answer, 415, &["application/json", r#""accepted":0"#, "`br`", "gzip or zstd"]);
    let answer = post(&bench, NDJSON, "content-encoding: identity\r\n", b"{}").await;
    check_answer(&answer, 200, &[r#""accepted":1"#]);
    bench.fill().await;
    let line = format!("{{\"n\":\"{}\"}}\n", "x".repeat(16 * 1024));
    let answer = post(&bench, NDJSON, "", line.as_bytes()).await;
    check_answer(&answer, 503, &["retry-after: 1", "full", r#""accepted":0"#]);
    bench.free();
    check_answer(&post(&bench, NDJSON, "", line.as_bytes()).await, 200, &[r#""accepted":1"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_in_the_middle_is_cut_off() {
    let mut config = CollectorConfig::default();
    config.http.connections.idle_timeout = Duration::from_millis(100);
    let bench = bench_with(config, JournalConfig::default());
    let heads = [
        String::new(),
        "POST /ingest".to_owned(),
        format!(
            "POST {NDJSON} HTTP/1.1\r\nhost: canh\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: 99\r\n\r\n{{}}\n{{"
        ),
    ];
    for head in heads {
        let mut stream = TcpStream::connect(bench.address("http")).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "still open after: {head}");
    }
    // The whole line of the last client is kept.
    let records: Vec<_> = bench.finish().await.iter().flat_map(shown).collect();
    assert_eq!(records, ["{}"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_are_closed_and_counted() {
    let mut config = CollectorConfig::default();
    config.http.connections.max = std::num::NonZeroUsize::MIN;
    let bench = bench_with(config, JournalConfig::default());
    let mut first = TcpStream::connect(bench.address("http")).await.unwrap();
    let head = format!("POST {NDJSON} HTTP/1.1\r\nhost: canh\r\nauthorization: Bearer {TOKEN}\r\n");
    // An answer shows that the first connection has its place.
    first.write_all(format!("{head}content-length: 3\r\n\r\n{{}}\n").as_bytes()).await.unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();
    let mut second = TcpStream::connect(bench.address("http")).await.unwrap();
    let mut answer = Vec::new();
    let _ = second.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
    assert_eq!(bench.refused_connections("http"), [("door_full".to_owned(), 1)]);
    assert_eq!(bench.finish().await.len(), 1);
}
