//! Elasticsearch's `_bulk` and Splunk's HTTP Event Collector, byte by byte.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http::{check_answer, post, post_as};
use super::*;
use crate::envelope::{Door, Framing};

const BULK: &str = "/_bulk";
const EVENT: &str = "/services/collector/event";
const RAW: &str = "/services/collector/raw";
const ACK: &str = "/services/collector/ack";
const PAIR: &[u8] = b"{\"create\":{}}\n{\"x\":1}\n";
const CHANNEL: &str = "x-splunk-request-channel: 0C5F5AC0-0000-4000-8000-00000000000a\r\n";

async fn ask(bench: &Bench, method: &str, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(bench.address("http")).await.unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: canh\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_is_answered_for_each_document() {
    let bench = bench();
    let body = b"{\"create\":{\"_index\":\"a\"}}\n{\"n\":1}\n{\"delete\":{\"_id\":\"7\"}}\n{\"index\":{\"_id\":\"k\"}}\n{\"n\":2}\n";
    let answer = post(&bench, "/logs/_bulk?filter_path=errors", "", body).await;
    let words =
        ["x-elastic-product: Elasticsearch", r#""errors":true"#, r#""_index":"logs""#, r#""_id":"k""#, "`delete` is"];
    check_answer(&answer, 200, &words);
    check_answer(&post(&bench, BULK, "", PAIR).await, 200, &[r#""errors":false"#, r#""status":201"#]);
    check_answer(&post(&bench, BULK, "", b"{\"delete\":{}}\n").await, 200, &[r#""errors":true"#]);
    let envelopes = bench.finish().await;
    assert_eq!(envelopes.len(), 2, "the body in which nothing is taken was journaled");
    assert_eq!(
        shown(&envelopes[0]),
        [r#"{"create":{"_index":"a"}}"#, r#"{"n":1}"#, r#"{"index":{"_id":"k"}}"#, r#"{"n":2}"#]
    );
    assert_eq!(envelopes[0].labels, [("canh.index".into(), "logs".into())]);
    assert!(envelopes.iter().all(|envelope| envelope.door == Door::Elasticsearch && envelope.peer == localhost()));
    assert_eq!(envelopes[1].payload, PAIR);
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_that_cannot_be_taken_is_refused_in_its_own_words() {
    let mut config = CollectorConfig::default();
    config.http.message_max = ByteSize::kib(64);
    config.elasticsearch.documents_max = 2;
    let bench = bench_with(config, small_journal());
    let check = async |headers: &str, body: &[u8], status, words: &[&str]| {
        let answer = post(&bench, BULK, headers, body).await;
        check_answer(&answer, status, &[&["x-elastic-product", "root_cause"], words].concat());
    };
    check("", b"", 400, &["required"]).await;
    check("", b"{\"create\":{}}\n{}", 400, &["newline"]).await;
    check("", b"nonsense\n", 400, &["line [1]"]).await;
    check("", &PAIR.repeat(3), 413, &["more than 2 documents"]).await;
    check("", &vec![b'x'; 70_000], 413, &["smaller batches"]).await;
    let path = format!("/{}/_bulk", "x".repeat(256));
    check_answer(&post(&bench, &path, "", PAIR).await, 400, &["256 bytes, and may have 255", "root_cause"]);
    check("content-encoding: br\r\n", PAIR, 415, &["`br`"]).await;
    check("content-encoding: gzip\r\n", b"no gzip", 400, &["cannot be read"]).await;
    for (header, words) in
        [("", "no token"), ("authorization: Basic eDp5\r\n", "unknown"), ("authorization: x\r\n", "ApiKey")]
    {
        let answer = post_as(&bench, BULK, header, PAIR).await;
        check_answer(&answer, 401, &["security_exception", "www-authenticate: Basic", words]);
    }
    bench.fill().await;
    let large = [b"{\"create\":{}}\n{\"x\":\"".as_slice(), &[b'x'; 20_000], b"\"}\n"].concat();
    check("", &large, 429, &["retry-after: 1", "es_rejected_execution_exception"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_senders_ask_before_they_send() {
    let bench = bench();
    let token = format!("authorization: ApiKey {TOKEN}\r\n");
    let check = async |method: &str, path: &str, words: &[&str]| {
        let answer = ask(&bench, method, path, &token).await;
        check_answer(&answer, 200, &[&["x-elastic-product: Elasticsearch"], words].concat());
    };
    check("GET", "/", &[r#""number":"8.17.0""#, "You Know, for Search"]).await;
    check("HEAD", "/", &[]).await;
    check("GET", "/_license", &[r#""type":"basic""#, "active"]).await;
    check("GET", "/_xpack", &["features"]).await;
    check("GET", "/_cat/health", &["green"]).await;
    check("GET", "/_cluster/health?wait_for_status=yellow", &["green"]).await;
    check("GET", "/_ilm/policy/filebeat", &[r#"{"filebeat":{"#, r#""policy":"#]).await;
    check("GET", "/_index_template/filebeat-8.17.0", &[r#""index_templates":[{"#]).await;
    check("HEAD", "/_template/filebeat", &[]).await;
    check("PUT", "/_index_template/filebeat", &["acknowledged"]).await;
    check("PUT", "/_ingest/pipeline/p", &["acknowledged"]).await;
    check("HEAD", "/logs-app", &[]).await;
    check("PUT", "/logs-app", &["acknowledged"]).await;
    check_answer(&ask(&bench, "GET", "/", "").await, 401, &["security_exception"]);
    check_answer(&ask(&bench, "GET", "/logs/_search", &token).await, 404, &[BULK]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_of_a_door_that_is_closed_is_not_named() {
    let mut config = CollectorConfig::default();
    (config.elasticsearch.enabled, config.splunk_hec.enabled) = (false, true);
    let bench = bench_with(config, JournalConfig::default());
    let answer = ask(&bench, "GET", "/nowhere", "").await;
    check_answer(&answer, 404, &["/ingest/ndjson", EVENT]);
    assert!(!answer.contains(BULK), "{answer}");
    check_answer(&post(&bench, BULK, "", PAIR).await, 404, &["nothing is received here"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_raw_lines_and_acknowledgements() {
    let bench = bench();
    let success = [r#""code":0"#, r#""text":"Success""#];
    for path in ["/services/collector", EVENT, "/services/collector/event/1.0"] {
        check_answer(&post(&bench, path, "", br#"{"event":"a"}{"event":{"b":1}}"#).await, 200, &success);
    }
    for authorization in [format!("Splunk {TOKEN}"), "Basic eDpjb3JyZWN0LWhvcnNl".to_owned()] {
        let headers = format!("authorization: {authorization}\r\n{CHANNEL}");
        check_answer(&post_as(&bench, EVENT, &headers, br#"{"event":"a"}"#).await, 200, &[r#""ackId":"#]);
    }
    let path = format!(
        "{RAW}?host=fw1&sourcetype=access_combined&source=web&index=main&channel=0c5f5ac0-0000-4000-8000-00000000000a"
    );
    check_answer(&post(&bench, &path, "", b"one\ntwo\n").await, 200, &[r#""ackId":2"#]);
    let answer = post(&bench, ACK, CHANNEL, br#"{"acks":[0,2,3]}"#).await;
    check_answer(&answer, 200, &[r#"{"acks":{"0":true,"2":true,"3":false}}"#]);
    check_answer(&ask(&bench, "GET", "/services/collector/health", "").await, 200, &[r#""code":17"#]);

    let envelopes = bench.finish().await;
    assert_eq!(envelopes.len(), 6);
    assert!(envelopes[..5].iter().all(|envelope| envelope.framing == Framing::HecEvents));
    let raw = &envelopes[5];
    assert_eq!(
        (shown(raw), raw.host.as_deref(), raw.format.as_deref()),
        (vec!["one".into(), "two".into()], Some("fw1"), Some("web_access"))
    );
    let labels: Vec<_> = raw.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(labels, ["splunk.source=web", "splunk.sourcetype=access_combined", "canh.index=main"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_cannot_be_taken_have_the_protocols_numbers() {
    let mut config = CollectorConfig::default();
    config.http.message_max = ByteSize::kib(64);
    config.splunk_hec.events_max = 2;
    let bench = bench_with(config, small_journal());
    let check = async |path: &str, headers: &str, body: &[u8], status, code: u16| {
        let token = if headers.contains("authorization") {
            String::new()
        } else {
            format!("authorization: Splunk {TOKEN}\r\n")
        };
        let answer = post_as(&bench, path, &format!("{token}{headers}"), body).await;
        check_answer(&answer, status, &["\"text\":"]);
        let after = answer.split("\"code\":").nth(1).unwrap_or_default();
        let number = after.split(|sign: char| !sign.is_ascii_digit()).next();
        assert_eq!(number, Some(code.to_string().as_str()), "{answer}");
        answer
    };
    let event = br#"{"event":"a"}"#;
    check_answer(&post_as(&bench, EVENT, "", event).await, 401, &[r#""code":2"#]);
    check_answer(&post_as(&bench, &format!("{EVENT}?token={TOKEN}"), "", event).await, 400, &[r#""code":16"#]);
    check(EVENT, "authorization: Digest x\r\n", event, 401, 3).await;
    check(EVENT, "authorization: Splunk wrong\r\n", event, 403, 4).await;
    for path in [EVENT, RAW] {
        check(path, "", b"", 400, 5).await;
        check(path, "", &vec![b'x'; 70_000], 413, 27).await;
        check(path, "content-encoding: gzip\r\n", b"no gzip", 400, 6).await;
        check(path, "x-splunk-request-channel: seven\r\n", event, 400, 11).await;
    }
    check(RAW, "", b"1\n2\n3\n", 413, 27).await;
    let answer = check(EVENT, "", br#"{"event":"a"}{"broken"#, 400, 6).await;
    assert!(answer.contains(r#""invalid-event-number":1"#), "{answer}");
    check(EVENT, "", br#"{"time":1}"#, 400, 12).await;
    check(EVENT, "", br#"{"event":""}"#, 400, 13).await;
    check(EVENT, "", br#"{"event":"a","fields":1}"#, 400, 15).await;
    check(EVENT, "", &event.repeat(3), 413, 27).await;
    check(ACK, "", br#"{"acks":[0]}"#, 400, 10).await;
    check(ACK, CHANNEL, b"{}", 400, 6).await;
    bench.fill().await;
    let large = format!("{{\"event\":\"{}\"}}", "x".repeat(20_000));
    let answer = check(EVENT, "", large.as_bytes(), 503, 9).await;
    assert!(answer.contains("retry-after: 1"), "{answer}");
}
