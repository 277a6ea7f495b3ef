//! OTLP over gRPC with tonic's own client.

use bytes::Bytes;
use canh_schema::AgentId;
use canh_wire::BatchNumber;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::*;
use crate::envelope::{Door, Framing};
use crate::sources::SourceKey;

/// Six spans, as OTLP's JSON has them.
pub(super) const SPANS: &str = include_str!("../../../tests/golden/otlp_spans.json");

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn resource() -> Option<Resource> {
    let attributes = vec![text("host.name", "IS-Svr"), text("agent.version", "9.8.7")];
    Some(Resource { attributes, ..Resource::default() })
}

pub(super) fn logs(bodies: &[&str]) -> ExportLogsServiceRequest {
    let records = bodies.iter().map(|body| LogRecord {
        body: Some(AnyValue { value: Some(Value::StringValue((*body).to_owned())) }),
        ..LogRecord::default()
    });
    let scope_logs = vec![ScopeLogs { log_records: records.collect(), ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource: resource(), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }
}

fn gauge(name: &str, value: f64) -> ExportMetricsServiceRequest {
    let point = NumberDataPoint {
        value: Some(number_data_point::Value::AsDouble(value)),
        attributes: vec![text("stage", "file")],
        ..NumberDataPoint::default()
    };
    let metric = Metric {
        name: name.to_owned(),
        data: Some(metric::Data::Gauge(Gauge { data_points: vec![point] })),
        ..Metric::default()
    };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { resource: resource(), scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

async fn channel(bench: &Bench) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", bench.address("otlp_grpc"))).unwrap();
    endpoint.connect().await.unwrap()
}

pub(super) fn request<T>(message: T, token: Option<&str>, sequence: Option<u64>) -> Request<T> {
    let mut headers = ::http::HeaderMap::new();
    if let Some(token) = token {
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    if let Some(sequence) = sequence {
        canh_wire::put_number(&BatchNumber { agent: agent(), spool: 3, sequence }, &mut headers);
    }
    Request::from_parts(tonic::metadata::MetadataMap::from_headers(headers), Default::default(), message)
}

fn agent() -> AgentId {
    AgentId::from_bytes([5; 16])
}

async fn send(bench: &Bench, bodies: &[&str], token: Option<&str>, sequence: Option<u64>) -> Result<(), Status> {
    let mut client = LogsServiceClient::new(channel(bench).await);
    client.export(request(logs(bodies), token, sequence)).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_journaled_as_they_came() {
    let bench = bench();
    let channel = channel(&bench).await;
    for encoding in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        let mut client = LogsServiceClient::new(channel.clone());
        if let Some(encoding) = encoding {
            client = client.send_compressed(encoding);
        }
        client.export(request(logs(&["a", "b"]), Some(TOKEN), None)).await.unwrap();
    }
    let mut client = MetricsServiceClient::new(channel);
    client.export(request(gauge("system.cpu.time", 0.5), Some(TOKEN), None)).await.unwrap();

    let envelopes = bench.finish().await;
    let short: Vec<_> = envelopes.iter().map(|envelope| (envelope.framing, envelope.payload.clone())).collect();
    let log_bytes = Bytes::from(logs(&["a", "b"]).encode_to_vec());
    let metric_bytes = Bytes::from(gauge("system.cpu.time", 0.5).encode_to_vec());
    let log = (Framing::OtlpLogs, log_bytes);
    assert_eq!(short, [log.clone(), log.clone(), log, (Framing::OtlpMetrics, metric_bytes)]);
    assert!(envelopes.iter().all(|envelope| envelope.door == Door::OtlpGrpc && envelope.peer == localhost()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_known_by_its_number_and_a_batch_sent_again_is_kept_once() {
    let bench = bench();
    for sequence in [1, 2, 2, 1, 3] {
        send(&bench, &["x"], Some(TOKEN), Some(sequence)).await.unwrap();
    }
    let mut client = MetricsServiceClient::new(channel(&bench).await);
    client.export(request(gauge("canh_agent_spool_bytes", 4096.0), Some(TOKEN), Some(4))).await.unwrap();

    let line = bench.sources.get(&SourceKey::Agent(agent())).unwrap();
    assert_eq!((line.batches, line.records, line.duplicates), (6, 4, 2));
    assert_eq!(line.about.host.as_deref(), Some("IS-Svr"));
    assert_eq!(line.about.version.as_deref(), Some("9.8.7"));
    assert_eq!(line.about.metrics, [("canh_agent_spool_bytes{stage=\"file\"}".into(), 4096.0)]);

    let envelopes = bench.finish().await;
    let sequences: Vec<_> = envelopes.iter().map(|envelope| envelope.agent.unwrap().sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4]);
}

#[track_caller]
fn check_refusal(result: Result<(), Status>, code: Code, word: &str) -> Status {
    let status = result.unwrap_err();
    assert_eq!(status.code(), code, "{status:?}");
    assert!(status.message().contains(word), "{status:?}");
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_without_the_right_token_are_told_what_to_do() {
    let bench = bench();
    check_refusal(send(&bench, &["x"], None, None).await, Code::Unauthenticated, "Bearer <token>");
    check_refusal(send(&bench, &["x"], Some("wrong"), None).await, Code::Unauthenticated, "make a new one");
    assert!(bench.finish().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_with_a_token_of_its_own_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let token_file = dir.path().join("hoso");
    std::fs::write(&token_file, "a-token-of-its-own\n").unwrap();
    let token = vec![crate::door::source_tokens::SourceToken { name: "hoso".to_owned(), token_file }];
    let bench = bench_with(CollectorConfig { token, ..CollectorConfig::default() }, JournalConfig::default());
    send(&bench, &["own"], Some("a-token-of-its-own"), None).await.unwrap();
    send(&bench, &["own"], Some("a-token-of-its-own"), Some(1)).await.unwrap();
    send(&bench, &["shared"], Some(TOKEN), None).await.unwrap();
    check_refusal(send(&bench, &["x"], Some("a-token-of-others"), None).await, Code::Unauthenticated, "make a new one");
    let counted = |name: &str, labels: &[(&str, &str)]| {
        let families = bench.registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        let is_it = |metric: &&prometheus::proto::Metric| {
            labels.iter().all(|(label, value)| {
                metric.get_label().iter().any(|pair| pair.name() == *label && pair.value() == *value)
            })
        };
        family.get_metric().iter().find(is_it).unwrap().get_counter().get_value() as u64
    };
    assert_eq!(counted("canh_token_records_total", &[("token", "hoso"), ("door", "otlp_grpc")]), 2);
    assert_eq!(counted("canh_door_refused_total", &[("reason", "unauthenticated"), ("door", "otlp_grpc")]), 1);
    let envelopes = bench.finish().await;
    let names: Vec<_> = envelopes.iter().map(|envelope| envelope.labels.first().map(|(_, name)| &**name)).collect();
    assert_eq!(names, [Some("hoso"), Some("hoso"), None]);
    let events = crate::decode(&envelopes[0], Position::new(1), 1, &crate::DecodeSettings::default()).events;
    assert_eq!(events[0].get(canh_schema::field::CANH_TOKEN), Some(&"hoso".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_taken() {
    let bench = bench();
    let spans: ExportTraceServiceRequest = serde_json::from_str(SPANS).unwrap();
    let mut client = TraceServiceClient::new(channel(&bench).await).send_compressed(CompressionEncoding::Gzip);
    let answer = client.export(request(spans.clone(), Some(TOKEN), None)).await.unwrap().into_inner();
    assert_eq!(answer.partial_success, None);
    let noted = bench.sources.get(&SourceKey::Peer(Door::OtlpGrpc, localhost().unwrap())).unwrap();
    assert_eq!((noted.records, noted.about.host.as_deref()), (6, Some("API-Svr")));
    let envelope = bench.finish().await.swap_remove(0);
    assert_eq!((envelope.framing, envelope.payload), (Framing::OtlpTraces, Bytes::from(spans.encode_to_vec())));
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_number_is_refused() {
    let bench = bench();
    let mut client = LogsServiceClient::new(channel(&bench).await);
    let mut message = request(logs(&["x"]), Some(TOKEN), None);
    message.metadata_mut().insert("canh-agent-id", agent().to_string().parse().unwrap());
    check_refusal(client.export(message).await.map(drop), Code::InvalidArgument, "canh-spool");
    assert!(bench.finish().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_journal_asks_the_sender_to_come_again() {
    let bench = bench_with(CollectorConfig::default(), small_journal());
    bench.fill().await;
    let body = "x".repeat(16 * 1024);
    let status = check_refusal(send(&bench, &[&body], Some(TOKEN), Some(1)).await, Code::ResourceExhausted, "full");
    let retry_info = b"type.googleapis.com/google.rpc.RetryInfo";
    assert!(status.details().windows(retry_info.len()).any(|window| window == retry_info));
    bench.free();
    send(&bench, &[&body], Some(TOKEN), Some(1)).await.unwrap();
    assert_eq!(bench.journal.duplicates(), 0, "what was refused must not count as received");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_long_is_refused_and_others_go_on() {
    let mut config = CollectorConfig::default();
    config.otlp_grpc.message_max = ByteSize::kib(64);
    let bench = bench_with(config, JournalConfig::default());
    let channel = channel(&bench).await;
    let long = "x".repeat(200 * 1024);
    for encoding in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        let mut client = LogsServiceClient::new(channel.clone());
        if let Some(encoding) = encoding {
            client = client.send_compressed(encoding); // small on the wire, long once it is unpacked
        }
        let error = client.export(request(logs(&[&long]), Some(TOKEN), None)).await.unwrap_err();
        assert!(matches!(error.code(), Code::OutOfRange | Code::ResourceExhausted), "{error:?}");
    }
    send(&bench, &["short"], Some(TOKEN), None).await.unwrap();
    assert_eq!(bench.finish().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_message_is_refused() {
    let bench = bench();
    let mut grpc = tonic::client::Grpc::new(channel(&bench).await);
    grpc.ready().await.unwrap();
    let path = ::http::uri::PathAndQuery::from_static("/opentelemetry.proto.collector.logs.v1.LogsService/Export");
    let codec = tonic_bytes::BytesCodec;
    let message = request(Bytes::from_static(b"\x0a\xff\xff"), Some(TOKEN), None);
    let result = grpc.unary(message, path, codec).await.map(drop);
    check_refusal(result, Code::InvalidArgument, "not an OTLP message");
    assert!(bench.finish().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_stop_a_request_under_way_is_answered() {
    let bench = bench();
    let mut client = LogsServiceClient::new(channel(&bench).await);
    client.export(request(logs(&["before"]), Some(TOKEN), None)).await.unwrap();
    bench.stop.cancel();
    // Whether this one still gets in is open; if it is answered with success it must be there.
    let accepted = client.export(request(logs(&["after"]), Some(TOKEN), None)).await.is_ok();
    assert_eq!(bench.finish().await.len(), 1 + usize::from(accepted));
}

/// A codec that sends bytes as they are.
mod tonic_bytes {
    use bytes::{Buf, BufMut, Bytes};
    use tonic::Status;
    use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

    pub(super) struct BytesCodec;

    impl Codec for BytesCodec {
        type Encode = Bytes;
        type Decode = Bytes;
        type Encoder = Self;
        type Decoder = Self;

        fn encoder(&mut self) -> Self {
            Self
        }

        fn decoder(&mut self) -> Self {
            Self
        }
    }

    impl Encoder for BytesCodec {
        type Item = Bytes;
        type Error = Status;

        fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
            out.put(item);
            Ok(())
        }
    }

    impl Decoder for BytesCodec {
        type Item = Bytes;
        type Error = Status;

        fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
            Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
        }
    }
}
