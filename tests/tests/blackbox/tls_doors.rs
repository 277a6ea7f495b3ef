//! TLS at the doors for HTTP and gRPC, GELF and the forward protocol, with the programs that send to them: curl, openssl,
//! OpenTelemetry's SDK for Python, pygelf, and our own agent.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use canh_tests::{Process, Server, ServerOptions, free_port, program, wait_until};
use nix::sys::signal::Signal;

use super::doors::{count_reaches, tool};
use super::foreign_doors::{python_with, run};
use super::syslog_doors::{Certificates, metrics};

const PATIENCE: Duration = Duration::from_secs(60);

/// A server whose doors for HTTP and gRPC speak TLS.
struct Bench {
    dir: tempfile::TempDir,
    certificates: Certificates,
    server: Server,
}

impl Bench {
    /// `None`, with a loud word, where openssl is not installed.
    fn new(clients: &str, more: &str) -> anyhow::Result<Option<Self>> {
        if tool("openssl").is_none() {
            return Ok(None);
        }
        let dir = tempfile::tempdir()?;
        let certificates = Certificates::make(dir.path())?;
        let yara = dir.path().join("yara");
        fs::create_dir(&yara)?;
        fs::write(yara.join("test.yar"), "rule test_mark { strings: $a = \"CANH-HARMLESS-TEST-MARK\" condition: $a }")?;
        let config = format!("{}{more}", certificates.settings(clients));
        let options = ServerOptions { config, tls: true, yara: vec![yara], ..ServerOptions::default() };
        let server = Server::start(&dir.path().join("server"), &options)?;
        Ok(Some(Self { dir, certificates, server }))
    }

    fn https(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.server.ports.http)
    }

    /// What curl says: the answer and its status, or what it complains about.
    fn curl(&self, url: &str, authority: &str, more: &[&str]) -> anyhow::Result<String> {
        let output = Command::new("curl")
            .args(["-sS", "-w", " %{http_code} over %{http_version}", "--cacert", &self.certificates.path(authority)])
            .args(["-H", &format!("authorization: Bearer {}", self.server.ingest_token()?)])
            .args(["--data-binary", r#"{"message":"canhcurl"}"#])
            .args(more)
            .arg(url)
            .output()?;
        let text = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// The arguments of curl for a client's certificate.
    fn shows(&self, name: &str) -> [String; 4] {
        let path = |end: &str| self.certificates.path(&format!("{name}.{end}"));
        ["--cert".to_owned(), path("pem"), "--key".to_owned(), path("key")]
    }

    fn refused(&self, door: &str, reason: &str) -> anyhow::Result<()> {
        let line = format!("canh_door_connections_refused_total{{door=\"{door}\",reason=\"{reason}\"}} ");
        wait_until(&line, PATIENCE, || Ok(metrics(&self.server)?.contains(&line)))
    }

    /// An agent that ships `NAME.input` and offers the files in the folder `web`.
    fn agent(&self, name: &str, authority: &str, more: &str) -> anyhow::Result<Process> {
        let at = |name: &str| self.dir.path().join(name).display().to_string();
        fs::create_dir_all(at("web"))?;
        let config = format!(
            r#"host_name = {name:?}
state_dir = {state:?}
[server]
url = "https://localhost:{grpc}"
token_file = {token:?}
retry_max = "1s"
[server.tls]
authorities = {authorities:?}
{more}
[[input.file]]
path = [{log:?}]
start = "beginning"
[input.samples]
url = "https://localhost:{http}"
interval = "1s"
baseline = "offer"
[[input.samples.tree]]
path = [{web:?}]
kinds = ["all"]
"#,
            state = at(&format!("{name}.state")),
            grpc = self.server.ports.otlp_grpc,
            token = self.server.data().join("agent.token").display().to_string(),
            authorities = self.certificates.path(authority),
            log = at(&format!("{name}.input")),
            http = self.server.ports.http,
            web = at("web"),
        );
        let path = self.dir.path().join(format!("{name}.toml"));
        fs::write(&path, config)?;
        self.server.agent(&path, &[])
    }

    fn own(&self, name: &str) -> String {
        let path = |end: &str| self.certificates.path(&format!("{name}.{end}"));
        format!("certificate = {:?}\nkey = {:?}", path("pem"), path("key"))
    }

    fn input(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.input"))
    }
}

fn append(path: &Path, line: &str) -> anyhow::Result<()> {
    use std::io::Write;
    Ok(writeln!(fs::File::options().create(true).append(true).open(path)?, "{line}")?)
}

#[test]
fn curl_is_let_in_or_refused() -> anyhow::Result<()> {
    let (Some(_), Some(bench)) = (tool("curl"), Bench::new("required", "")?) else { return Ok(()) };
    let url = bench.https("/ingest/ndjson");
    let own = bench.shows("client");
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    for (version, said) in [("--http1.1", "200 over 1.1"), ("--http2", "200 over 2")] {
        let answer = bench.curl(&url, "ca.pem", &[&own[..], &[version]].concat())?;
        assert!(answer.ends_with(said), "{answer}");
    }
    count_reaches(&bench.server, "canhcurl AND canh.source:\"ndjson:gw-1.example.vn\"", 2)?;

    let alien = bench.shows("alien");
    let alien: Vec<&str> = alien.iter().map(String::as_str).collect();
    for (url, authority, arguments, door_reason) in [
        (url.clone(), "ca.pem", &[][..], Some("no_client_certificate")),
        (url.clone(), "ca.pem", &alien[..], Some("client_certificate_unknown_authority")),
        (url.clone(), "other.pem", &own[..], Some("refused_by_client")),
        (url.replace("https", "http"), "ca.pem", &own[..], Some("not_tls")),
        (url.replace("localhost", "other.example.vn"), "ca.pem", &[&own[..], &["--resolve"]].concat()[..], None),
    ] {
        let mut arguments = arguments.to_vec();
        let resolve = format!("other.example.vn:{}:127.0.0.1", bench.server.ports.http);
        if door_reason.is_none() {
            arguments.push(&resolve);
        }
        let answer = bench.curl(&url, authority, &arguments)?;
        assert!(answer.contains(" 000 over"), "{url} {door_reason:?}: {answer}");
        if let Some(reason) = door_reason {
            bench.refused("http", reason)?;
        }
    }
    assert_eq!(bench.server.api()?.count("canhcurl")?, 2);

    // What works without TLS says so where it cannot.
    let (code, text) = bench.server.command(&["import", "/etc/hostname"])?;
    assert!(code != 0 && text.contains("the door `http` speaks TLS"), "{text}");
    let (code, text) = bench.server.command(&["agent-config"])?;
    assert!(code == 0 && text.contains("url = \"https://") && text.contains("[server.tls]"), "{text}");
    Ok(())
}

#[test]
fn the_agent_sends_and_offers_over_tls_through_a_change_of_certificates() -> anyhow::Result<()> {
    let Some(bench) = Bench::new("required", "")? else { return Ok(()) };
    append(&bench.input("good"), "canhagent one")?;
    append(&bench.input("stranger"), "canhagent stranger")?;
    append(&bench.input("naked"), "canhagent naked")?;
    let good = bench.agent("good", "ca.pem", &bench.own("client"))?;
    let stranger = bench.agent("stranger", "other.pem", &bench.own("client"))?;
    let mut naked = bench.agent("naked", "ca.pem", "")?;
    count_reaches(&bench.server, "canhagent AND host.name:good", 1)?;
    fs::write(bench.dir.path().join("web/x.php"), "<?php /* CANH-HARMLESS-TEST-MARK */ ?>")?;
    count_reaches(&bench.server, "event.action:yara_match AND host.name:good", 1)?;

    // The others wait with what they have, and say what is wrong.
    wait_until("the stranger to say why", PATIENCE, || {
        Ok(stranger.output().contains("UnknownIssuer") && stranger.output().contains("server.tls.authorities"))
    })?;
    wait_until("the naked one to say why", PATIENCE, || Ok(naked.output().contains("server.tls.certificate")))?;
    bench.refused("otlp_grpc", "refused_by_client")?;
    bench.refused("otlp_grpc", "no_client_certificate")?;
    let (code, text) = doctor(&bench, "stranger")?;
    assert!(code != 0 && text.contains("`server.tls.authorities` must hold"), "{text}");
    let (code, text) = doctor(&bench, "good")?;
    assert!(code == 0 && text.contains("takes batches") && text.contains("takes files"), "{text}");

    // A new certificate of the server while the agent is connected: it goes on, and so it does after a restart of the server.
    bench.certificates.issue("server", "ca", "DNS:localhost,IP:127.0.0.1", 400)?;
    bench.server.process.signal(Signal::SIGHUP)?;
    wait_until("the new certificate", PATIENCE, || {
        Ok(metrics(&bench.server)?.contains("canh_tls_certificate_days_left 399"))
    })?;
    append(&bench.input("good"), "canhagent two")?;
    count_reaches(&bench.server, "canhagent AND host.name:good", 2)?;

    // The one that showed nothing gets a certificate of its own, which is read with the next connection.
    naked.kill()?;
    let naked = bench.agent("naked", "ca.pem", &bench.own("late"))?;
    wait_until("a missing file to be named", PATIENCE, || Ok(naked.output().contains("late.key")))?;
    bench.certificates.issue("late", "ca", "DNS:late.example.vn", 10)?;
    count_reaches(&bench.server, "canhagent AND host.name:naked", 1)?;
    assert_eq!(bench.server.api()?.count("canhagent AND host.name:stranger")?, 0);
    drop(good);
    Ok(())
}

fn doctor(bench: &Bench, name: &str) -> anyhow::Result<(i32, String)> {
    let config = bench.dir.path().join(format!("{name}.toml"));
    let output = Command::new(program("canh-agent")?).arg("doctor").arg("--config").arg(config).output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned()))
}

/// Spans, logs and metrics as an application would make them, sent with the exporters of both protocols.
const OPENTELEMETRY: &str = r#"
import logging, os, time
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

def spans(service):
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"service.name": service, "host.name": "API-Svr"}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("canhtest")
    new = {"http.request.method": "GET", "url.path": "/v1/hoso/7", "url.query": "x=1", "http.response.status_code": 200,
           "client.address": "203.0.113.9", "server.address": "dichvu.tinh.vn", "user_agent.original": "curl/8"}
    old = {"http.method": "POST", "http.url": "http://khoa.example.vn:8080/kiem-tra", "http.status_code": 503,
           "net.peer.name": "khoa.example.vn", "net.peer.port": 8080}
    with tracer.start_as_current_span("GET /v1/hoso/{id}", kind=SpanKind.SERVER, attributes=new):
        with tracer.start_as_current_span("HTTP POST", kind=SpanKind.CLIENT, attributes=old):
            pass
        with tracer.start_as_current_span("check") as span:
            try:
                raise ValueError("canhwrong")
            except ValueError as error:
                span.record_exception(error)
                span.set_status(Status(StatusCode.ERROR, "no such record"))
    return memory.get_finished_spans()

def send(exporter, service):
    return exporter.export(spans(service))

def send_logs(exporter, service):
    provider = LoggerProvider(resource=Resource.create({"service.name": service, "host.name": "API-Svr"}))
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    logger = logging.getLogger(service)
    logger.addHandler(LoggingHandler(logger_provider=provider))
    logger.warning("canhotellog")
    provider.shutdown()

token = os.environ["TOKEN"]
"#;

#[test]
fn opentelemetry_for_python_sends_spans_and_logs_over_tls() -> anyhow::Result<()> {
    let Some(python) = python_with("opentelemetry.sdk, opentelemetry.exporter.otlp.proto.grpc.trace_exporter") else {
        return Ok(());
    };
    let own = tempfile::NamedTempFile::new()?;
    fs::write(own.path(), "a-token-of-an-application\n")?;
    let more = format!("[[collector.token]]\nname = \"hoso\"\ntoken_file = {:?}\n", own.path().display().to_string());
    let Some(bench) = Bench::new("required", &more)? else { return Ok(()) };
    let paths = format!(
        "ca, other, cert, key, grpc_port, http_port = {:?}, {:?}, {:?}, {:?}, {}, {}\n",
        bench.certificates.path("ca.pem"),
        bench.certificates.path("other.pem"),
        bench.certificates.path("client.pem"),
        bench.certificates.path("client.key"),
        bench.server.ports.otlp_grpc,
        bench.server.ports.http
    );
    let script = r#"
import grpc
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http import Compression
read = lambda path: open(path, "rb").read()
good = grpc.ssl_channel_credentials(read(ca), read(key), read(cert))

def over_grpc(kind, token, credentials=good, **more):
    return kind(endpoint=f"localhost:{grpc_port}", credentials=credentials, headers=(("authorization", "Bearer " + token),), timeout=10, **more)

def over_http(kind, path, token, authority=ca, own=(cert, key), **more):
    return kind(endpoint=f"https://localhost:{http_port}{path}", certificate_file=authority, client_certificate_file=own[0],
                client_key_file=own[1], headers={"authorization": "Bearer " + token}, timeout=10, **more)

ok, failed = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
assert send(over_grpc(GrpcSpans, token, compression=grpc.Compression.Gzip), "otel-grpc") == ok
assert send(over_http(HttpSpans, "/v1/traces", token, compression=Compression.Gzip), "otel-http") == ok
send_logs(over_grpc(GrpcLogs, token), "otel-grpc")
send_logs(over_http(HttpLogs, "/v1/logs", token), "otel-http")
named = "a-token-of-an-application"
assert send(over_grpc(GrpcSpans, named), "otel-named") == ok
assert send(over_http(HttpSpans, "/v1/traces", named), "otel-named") == ok
assert send(over_grpc(GrpcSpans, "a-token-of-nobody"), "otel-bad") == failed
assert send(over_http(HttpSpans, "/v1/traces", "a-token-of-nobody"), "otel-bad") == failed
assert send(over_grpc(GrpcSpans, token, grpc.ssl_channel_credentials(read(other), read(key), read(cert))), "otel-bad") == failed
assert send(over_grpc(GrpcSpans, token, grpc.ssl_channel_credentials(read(ca))), "otel-bad") == failed
assert send(over_http(HttpSpans, "/v1/traces", token, authority=other), "otel-bad") == failed
assert send(over_http(HttpSpans, "/v1/traces", token, own=(None, None)), "otel-bad") == failed
"#;
    run(&python, &format!("{paths}{OPENTELEMETRY}{script}"), &bench.server)?;
    for protocol in ["grpc", "http"] {
        let service = format!("service.name:otel-{protocol} AND canh.source:\"otlp_{protocol}:gw-1.example.vn\"");
        count_reaches(&bench.server, &format!("{service} AND event.dataset:otlp.span"), 3)?;
        count_reaches(&bench.server, &format!("{service} AND canhotellog AND log.level:WARN"), 1)?;
        let server = "span.kind:server AND source.ip:203.0.113.9 AND url.path:\"/v1/hoso/7\" AND event.outcome:success";
        count_reaches(&bench.server, &format!("{service} AND {server}"), 1)?;
        let client = "span.kind:client AND destination.domain:khoa.example.vn AND http.response.status_code:503 AND event.outcome:failure";
        count_reaches(&bench.server, &format!("{service} AND {client}"), 1)?;
        let wrong = "error.type:ValueError AND canhwrong AND event.reason:\"no such record\" AND event.outcome:failure";
        count_reaches(&bench.server, &format!("{service} AND {wrong}"), 1)?;
        let events = bench.server.api()?.events(&format!("{service} AND span.kind:server"))?;
        let message = events[0]["message"].as_str().unwrap_or_default();
        assert!(message.starts_with("GET /v1/hoso/7?x=1 200 in "), "{message}");
    }
    count_reaches(&bench.server, "service.name:otel-named AND canh.token:hoso", 6)?;
    assert_eq!(bench.server.api()?.count("service.name:otel-bad")?, 0);
    let metrics = metrics(&bench.server)?;
    for line in [
        r#"canh_door_refused_total{door="otlp_grpc",reason="unauthenticated"} 1"#,
        r#"canh_door_refused_total{door="otlp_http",reason="unauthenticated"} 1"#,
        r#"canh_token_records_total{door="otlp_grpc",token="hoso"} 3"#,
        r#"canh_token_records_total{door="otlp_http",token="hoso"} 3"#,
    ] {
        assert!(metrics.contains(line), "expected `{line}`: {metrics}");
    }
    Ok(())
}

#[test]
fn gelf_and_forward_over_tls() -> anyhow::Result<()> {
    let (gelf, forward) = (free_port()?, free_port()?);
    let more = format!(
        "[collector.gelf_tcp]\nenabled = true\ntls = true\nlisten = \"127.0.0.1:{gelf}\"\n\
         [collector.forward]\nenabled = true\ntls = true\nlisten = \"127.0.0.1:{forward}\"\n"
    );
    let Some(bench) = Bench::new("required", &more)? else { return Ok(()) };
    let own = ["-cert", "client.pem", "-key", "client.key"];
    let message = "{\"version\":\"1.1\",\"host\":\"app1\",\"short_message\":\"canhgelf openssl\"}\0";
    bench.certificates.send(gelf, &own, message)?;
    bench.certificates.send(gelf, &[], message)?;
    bench.certificates.send(gelf, &["-cert", "alien.pem", "-key", "alien.key"], message)?;
    count_reaches(&bench.server, "canhgelf AND canh.source:\"gelf_tcp:gw-1.example.vn\"", 1)?;
    bench.certificates.send(forward, &[], "x")?;
    bench.certificates.send(forward, &["-cert", "alien.pem", "-key", "alien.key"], "x")?;
    for door in ["gelf_tcp", "forward"] {
        bench.refused(door, "no_client_certificate")?;
        bench.refused(door, "client_certificate_unknown_authority")?;
    }
    let paths = format!(
        "ca, cert, key, gelf, forward = {:?}, {:?}, {:?}, {gelf}, {forward}\n",
        bench.certificates.path("ca.pem"),
        bench.certificates.path("client.pem"),
        bench.certificates.path("client.key")
    );
    if let Some(python) = python_with("pygelf") {
        let script = r#"
import logging, pygelf
handler = pygelf.GelfTlsHandler(host="localhost", port=gelf, validate=True, ca_certs=ca, certfile=cert, keyfile=key, include_extra_fields=True)
logger = logging.getLogger("pygelf")
logger.addHandler(handler)
for n in range(50):
    logger.warning("canhpygelf %d", n, extra={"order": n})
handler.close()
"#;
        run(&python, &format!("{paths}{script}"), &bench.server)?;
        count_reaches(
            &bench.server,
            "canhpygelf AND log.level:warning AND canh.source:\"gelf_tcp:gw-1.example.vn\"",
            50,
        )?;
    }
    if let Some(python) = python_with("msgpack") {
        let script = r#"
import msgpack, socket, ssl
context = ssl.create_default_context(cafile=ca)
context.load_cert_chain(cert, key)
stream = context.wrap_socket(socket.create_connection(("localhost", forward)), server_hostname="localhost")
stream.settimeout(20)
answers = msgpack.Unpacker()
for n in range(20):
    events = [[1795336308 + n, {"message": "canhforward %d" % n, "host": "app1"}]] * 5
    stream.sendall(msgpack.packb(["app.order", events, {"chunk": "c%d" % n}]))
    acked = None
    while acked is None:
        answers.feed(stream.recv(4096))
        acked = next(iter(answers), None)
    assert acked == {"ack": "c%d" % n}, acked
stream.close()
"#;
        run(&python, &format!("{paths}{script}"), &bench.server)?;
        let query = "canhforward AND fluent.tag:app.order AND canh.source:\"forward:gw-1.example.vn\"";
        count_reaches(&bench.server, query, 100)?;
    }
    Ok(())
}
