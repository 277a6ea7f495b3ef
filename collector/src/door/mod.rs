//! The doors: every way in which data comes to the collector, one file and one line of [`DOORS`] each.
//!
//! A door receives, makes envelopes, and answers its sender once the journal has them. It does not look into them more
//! than its protocol needs. Each has its own limits, and counts what it drops.

pub mod elasticsearch;
pub mod flow;
pub mod forward;
pub mod gelf_http;
pub mod gelf_tcp;
pub mod gelf_udp;
pub mod http;
pub mod journald_upload;
pub mod limits;
pub mod ndjson;
mod numbered;
pub mod otlp_grpc;
pub mod otlp_http;
pub mod prometheus_write;
pub mod relp;
pub mod relp_tls;
pub mod samples;
pub mod snmp;
pub mod source_tokens;
pub mod splunk_hec;
pub mod syslog_tcp;
pub mod syslog_tls;
pub mod syslog_udp;
pub mod tls;

mod connection;
mod datagrams;
mod gather;
mod gelf_chunks;
mod intake;
mod journal_entries;
mod json_array;
mod lines;
mod log_limit;
mod nul;
mod octets;
mod otlp;
mod places;
mod relp_frames;
mod resend;
mod sample_offers;
mod secret_file;
mod socket_drops;
mod syslog_stream;
mod unpack;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio_util::sync::CancellationToken;

use crate::config::CollectorConfig;
pub use intake::Intake;
use tls::Tls;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// One kind of door.
pub struct DoorSpec {
    /// Its table under `[collector]`.
    pub name: &'static str,
    /// One line for the manual.
    pub about: &'static str,
    bind: fn(&CollectorConfig, Option<&Arc<Tls>>, &Intake) -> Result<Option<BoundDoor>, BindError>,
}

/// Every door, in the order of the manual.
pub static DOORS: &[DoorSpec] = &[
    DoorSpec {
        name: "otlp_grpc",
        about: "OpenTelemetry logs, metrics and traces over gRPC; our own agents use it too",
        bind: |config, tls, intake| otlp_grpc::bind(&config.otlp_grpc, tls, intake),
    },
    DoorSpec {
        name: "http",
        about: "OpenTelemetry logs, metrics and traces, newline-delimited JSON, Elasticsearch's `_bulk`, Splunk's HTTP Event Collector, GELF, Prometheus' \
                remote write, `systemd-journal-upload`, and files to be scanned, over HTTP",
        bind: |config, tls, intake| http::bind(config, tls, intake),
    },
    DoorSpec {
        name: "syslog_udp",
        about: "syslog datagrams (RFC 3164, RFC 5424)",
        bind: |config, _, intake| syslog_udp::bind(&config.syslog_udp, intake),
    },
    DoorSpec {
        name: "syslog_tcp",
        about: "syslog over TCP, one message per line or with octet counts (RFC 6587)",
        bind: |config, _, intake| syslog_tcp::bind(&config.syslog_tcp, intake),
    },
    DoorSpec {
        name: "syslog_tls",
        about: "syslog over TLS (RFC 5425), with certificates of clients if wished",
        bind: |config, tls, intake| syslog_tls::bind(&config.syslog_tls, tls, intake),
    },
    DoorSpec {
        name: "relp",
        about: "RELP, which answers each message once it is on disk",
        bind: |config, _, intake| relp::bind(&config.relp, intake),
    },
    DoorSpec {
        name: "relp_tls",
        about: "RELP over TLS",
        bind: |config, tls, intake| relp_tls::bind(&config.relp_tls, tls, intake),
    },
    DoorSpec {
        name: "flow",
        about: "NetFlow v1, v5, v7 and v9, IPFIX, and sFlow v5",
        bind: |config, _, intake| flow::bind(&config.flow, intake),
    },
    DoorSpec {
        name: "snmp",
        about: "SNMP traps and informs, versions 1, 2c and 3",
        bind: |config, _, intake| snmp::bind(&config.snmp, intake),
    },
    DoorSpec {
        name: "forward",
        about: "the forward protocol of Fluentd and Fluent Bit, with acknowledgements, over TCP or TLS",
        bind: |config, tls, intake| forward::bind(&config.forward, tls, intake),
    },
    DoorSpec {
        name: "gelf_udp",
        about: "Graylog's GELF in datagrams, whole or in chunks",
        bind: |config, _, intake| gelf_udp::bind(&config.gelf_udp, intake),
    },
    DoorSpec {
        name: "gelf_tcp",
        about: "Graylog's GELF over TCP or TLS",
        bind: |config, tls, intake| gelf_tcp::bind(&config.gelf_tcp, tls, intake),
    },
];

/// What reads bytes of a protocol before anything is journaled.
pub(crate) const FUZZ_TARGETS: [(&str, fn(&[u8])); 8] = [
    ("relp_frames", relp_frames::fuzz),
    ("client_certificate", tls::fuzz_certificate),
    ("sample_offers", sample_offers::fuzz),
    ("snmp_datagram", canh_snmp::fuzz_datagram),
    ("mib_module", canh_snmp::fuzz_mib),
    ("forward_message", forward::fuzz),
    ("gelf_chunks", gelf_chunks::fuzz),
    ("journal_entries", journal_entries::fuzz),
];

/// A door with its address taken, which nobody serves yet.
pub struct BoundDoor {
    pub name: &'static str,
    /// The address in use; it has the real port if the configuration says port 0.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
    serve: Box<dyn FnOnce(CancellationToken) -> BoxFuture<()> + Send>,
}

impl BoundDoor {
    fn new<F>(
        name: &'static str,
        address: SocketAddr,
        serve: impl FnOnce(CancellationToken) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self { name, address, tls: false, serve: Box::new(move |stop| Box::pin(serve(stop))) }
    }

    fn secured(self, tls: bool) -> Self {
        Self { tls, ..self }
    }

    /// Serves until `stop` fires, then finishes what was received.
    pub fn serve(self, stop: CancellationToken) -> impl Future<Output = ()> + Send {
        (self.serve)(stop)
    }
}

/// Takes the addresses of all doors that are enabled. Call it inside the runtime.
pub fn bind_all(
    config: &CollectorConfig,
    tls: Option<&Arc<Tls>>,
    intake: &Intake,
) -> Result<Vec<BoundDoor>, BindError> {
    DOORS.iter().filter_map(|door| (door.bind)(config, tls, intake).transpose()).collect()
}

/// Why a door could not take its address.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on `{address}` (configuration key `{key}`); {}", advice(source))]
pub struct BindError {
    pub key: String,
    pub address: SocketAddr,
    pub source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program or another door uses it: stop that program or choose another port",
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need the right to bind them: give the program CAP_NET_BIND_SERVICE or choose another port"
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have the address: choose one that it has, or 0.0.0.0",
        _ => "choose another address, or switch the door off with `enabled = false`",
    }
}

impl BindError {
    fn new(door: &str, address: SocketAddr) -> impl Fn(io::Error) -> Self {
        let key = format!("collector.{door}.listen");
        move |source| Self { key: key.clone(), address, source }
    }
}

/// Listens on a TCP address. Dead peers are noticed after about two minutes of silence.
fn listen_tcp(door: &str, address: SocketAddr) -> Result<(tokio::net::TcpListener, SocketAddr), BindError> {
    let listen = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?; // a restart need not wait for connections of the last run
        let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));
        socket.set_tcp_keepalive(&keepalive.with_retries(4))?;
        socket.bind(&address.into())?;
        socket.listen(1_024)?;
        let listener = tokio::net::TcpListener::from_std(socket.into())?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    listen().map_err(BindError::new(door, address))
}

/// Bytes of the system that nobody can know before.
fn random<const LEN: usize>() -> io::Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
