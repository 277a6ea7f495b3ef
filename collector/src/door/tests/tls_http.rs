//! TLS at the doors that speak HTTP, and at those where it can be switched on: OTLP over gRPC, everything over HTTP,
//! GELF, and the forward protocol.

use std::num::NonZeroUsize;

use ::http::Uri;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::transport::{Channel, Endpoint};

use super::grpc::{logs, request};
use super::tls::{Authority, authorities, connect, refusals, refused_at};
use super::*;
use crate::door::tls::{ClientCertificates, TlsConfig};
use crate::envelope::Door;

const DOORS: [&str; 4] = ["http", "otlp_grpc", "gelf_tcp", "forward"];

fn bench_of(tls: TlsConfig) -> Bench {
    let mut config = CollectorConfig { tls, ..CollectorConfig::default() };
    (config.gelf_tcp.enabled, config.forward.enabled) = (true, true);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    (config.gelf_tcp.listen, config.forward.listen) = (any, any);
    macro_rules! secure {
        ($($door:ident)+) => {$(
            config.$door.tls = true;
            config.$door.handshakes.timeout = Duration::from_millis(500);
            config.$door.handshakes.max = NonZeroUsize::new(2).unwrap();
        )+};
    }
    secure!(http otlp_grpc gelf_tcp forward);
    bench_with(config, JournalConfig::default())
}

/// What a client of each door says it speaks.
fn protocols(door: &str) -> &'static [&'static str] {
    match door {
        "http" => &["http/1.1"],
        "otlp_grpc" => &["h2"],
        _ => &[],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_come_in_is_counted_at_every_door() {
    let [authority, other] = authorities();
    let rows = refusals(authority.dir.path(), other.dir.path());
    let bench = bench_of(authority.settings(ClientCertificates::Required));
    for door in DOORS {
        for (certificate, old, reason) in rows {
            let connector = authority.client_speaking(protocols(door), certificate, old);
            if let Ok(mut stream) = connect(&connector, bench.address(door)).await {
                let _ = stream.write_all(&one(door)).await;
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
            refused_at(&bench, door, reason).await;
        }
    }
    assert_eq!(bench.finish().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_believe_the_server_and_protocols_that_it_does_not_speak() {
    let [authority, other] = authorities();
    let bench = bench_of(authority.settings(ClientCertificates::None));
    for door in DOORS {
        let address = bench.address(door);
        let stranger = other.client_speaking(protocols(door), None, false);
        let error = connect(&stranger, address).await.unwrap_err().to_string();
        assert!(error.contains("UnknownIssuer"), "{error}");
        refused_at(&bench, door, "refused_by_client").await;

        let good = authority.client_speaking(protocols(door), None, false);
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("another.example.vn").unwrap();
        let error = good.connect(name, stream).await.unwrap_err().to_string();
        assert!(error.contains("not valid for name"), "{error}");

        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.write_all(&one(door)).await.unwrap();
        let _ = plain.read_to_end(&mut Vec::new()).await;
        refused_at(&bench, door, "not_tls").await;
    }
    for (door, protocols) in [("http", ["gopher"]), ("otlp_grpc", ["http/1.1"])] {
        let foreign = authority.client_speaking(&protocols, None, false);
        connect(&foreign, bench.address(door)).await.unwrap_err();
        refused_at(&bench, door, "tls_incompatible").await;
    }
    assert_eq!(bench.finish().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_handshakes_end_and_let_others_in() {
    let [authority, _] = authorities();
    let bench = bench_of(authority.settings(ClientCertificates::None));
    for (records, door) in DOORS.into_iter().enumerate() {
        let mut silent = Vec::new();
        for _ in 0..3 {
            silent.push(TcpStream::connect(bench.address(door)).await.unwrap()); // one more than may be half open
        }
        refused_at(&bench, door, "tls_half_open").await;
        deliver(&bench, &authority, door, None).await;
        bench.records(records + 1).await;
        refused_at(&bench, door, "tls_timeout").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_has_the_name_of_the_certificate() {
    let [authority, _] = authorities();
    for (clients, name) in [(ClientCertificates::Required, Some("gw-1.example.vn")), (ClientCertificates::None, None)] {
        let bench = bench_of(authority.settings(clients));
        for (records, door) in DOORS.into_iter().enumerate() {
            deliver(&bench, &authority, door, name.map(|_| "good")).await;
            bench.records(records + 1).await;
        }
        let from = name.unwrap_or("127.0.0.1");
        let line = |door| match name {
            Some(name) => crate::sources::SourceKey::Named(door, name.into()),
            None => crate::sources::SourceKey::Peer(door, localhost().unwrap()),
        };
        let noted = bench.sources.get(&line(Door::OtlpGrpc)).unwrap();
        assert_eq!((noted.records, noted.about.host.as_deref()), (1, Some("IS-Svr")));
        let sources: Vec<_> =
            bench.finish().await.iter().map(|envelope| envelope.source(envelope.peer).to_string()).collect();
        assert_eq!(sources, ["ndjson", "otlp_grpc", "gelf_tcp", "forward"].map(|door| format!("{door}:{from}")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_for_new_connections_and_old_ones_go_on() {
    let [authority, _] = authorities();
    let bench = bench_of(authority.settings(ClientCertificates::Required));
    let dir = authority.dir.path();
    let client = authority.client_speaking(&["http/1.1"], Some((dir, "good")), false);
    let mut open = connect(&client, bench.address("http")).await.unwrap();
    post(&mut open).await;
    let channel = channel(&bench, authority.client_speaking(&["h2"], Some((dir, "good")), false)).await;
    let mut grpc = LogsServiceClient::new(channel);
    grpc.export(request(logs(&["a"]), Some(TOKEN), None)).await.unwrap();
    let shown = |stream: &tokio_rustls::client::TlsStream<TcpStream>| {
        stream.get_ref().1.peer_certificates().unwrap()[0].as_ref().to_vec()
    };
    let before = shown(&open);

    authority.issue("server", &["localhost"], |_| ());
    authority.revoke("good");
    authority.issue("renewed", &["gw-1.example.vn"], |_| ());
    bench.tls.clone().unwrap().reload().unwrap();
    post(&mut open).await;
    grpc.export(request(logs(&["b"]), Some(TOKEN), None)).await.unwrap();
    if let Ok(mut stream) = connect(&client, bench.address("http")).await {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    refused_at(&bench, "http", "client_certificate_revoked").await;
    let renewed = authority.client_speaking(&["http/1.1"], Some((dir, "renewed")), false);
    let mut new = connect(&renewed, bench.address("http")).await.unwrap();
    post(&mut new).await;
    assert!(shown(&new) != before, "the old certificate is shown still");
    assert_eq!(bench.records(5).await.len(), 5);
}

/// The bytes that a client of this door would send, without TLS.
fn one(door: &str) -> Vec<u8> {
    match door {
        "http" => {
            let body = "{\"message\":\"one\"}";
            format!(
                "POST /ingest/ndjson HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        }
        "otlp_grpc" => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        "gelf_tcp" => b"{\"version\":\"1.1\",\"host\":\"h\",\"short_message\":\"one\"}\0".to_vec(),
        // ["tag", 1795336308, {"message": "one"}] in MessagePack
        _ => [&b"\x93\xa3tag\xce\x6b\x02\xd5\x74\x81\xa7message\xa3one"[..]].concat(),
    }
}

/// Sends one record with a client that is let in.
async fn deliver(bench: &Bench, authority: &Authority, door: &str, certificate: Option<&str>) {
    let certificate = certificate.map(|name| (authority.dir.path(), name));
    let client = authority.client_speaking(protocols(door), certificate, false);
    if door == "otlp_grpc" {
        let mut grpc = LogsServiceClient::new(channel(bench, client).await);
        grpc.export(request(logs(&["one"]), Some(TOKEN), None)).await.unwrap();
        return;
    }
    let mut stream = connect(&client, bench.address(door)).await.unwrap();
    if door == "http" {
        post(&mut stream).await;
    } else {
        stream.write_all(&one(door)).await.unwrap();
    }
    stream.shutdown().await.unwrap();
}

/// One request and its answer.
async fn post(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    stream.write_all(&one("http")).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}\n") {
        let read = stream.read_buf(&mut answer).await.unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
}

async fn channel(bench: &Bench, client: TlsConnector) -> Channel {
    let address = bench.address("otlp_grpc");
    let connector = tower::service_fn(move |_: Uri| {
        let client = client.clone();
        async move { connect(&client, address).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("https://localhost");
    endpoint.connect_with_connector(connector).await.unwrap()
}
