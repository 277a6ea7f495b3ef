//! Syslog over TLS (RFC 5425): octet counts, or one message per line as many senders have it.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use canh_schema::ByteSize;
use compact_str::CompactString;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connection::{self, BoxError, Limits};
use super::intake::Intake;
use super::syslog_stream::{Connection, Patience, READ_LEN, StreamSettings};
use super::tls::{Handshakes, Secured, Tls};
use super::{BindError, BoundDoor, listen_tcp};
use crate::envelope::Door;

const NAME: &str = "syslog_tls";
const DOOR: Door = Door::SyslogTls;

/// `[collector.syslog_tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyslogTlsConfig {
    /// Whether this door is open. It needs the files of `[collector.tls]`.
    pub enabled: bool,
    /// Address to listen on. The well-known port is 6514.
    #[serde(with = "canh_config::socket_addr")]
    pub listen: SocketAddr,
    /// Longest message kept; the rest of a longer one is cut off and counted.
    #[serde(with = "canh_config::byte_size")]
    pub message_max: ByteSize,
    /// Messages of one connection are journaled in pieces of this size, or as soon as no more have come.
    #[serde(with = "canh_config::byte_size")]
    pub batch_size: ByteSize,
    /// Connections at the same time. More are closed at once and counted.
    pub connections_max: NonZeroUsize,
    /// Connections of one address at the same time; an IPv6 network of /64 counts as one address. More are closed at
    /// once and counted. Raise it if senders come through a proxy.
    pub connections_per_address_max: NonZeroUsize,
    /// Handshakes under way at the same time. Beyond it the oldest is given up for a new one, and counted.
    pub half_open_max: NonZeroUsize,
    /// A handshake may take so long.
    #[serde(with = "canh_config::duration")]
    pub handshake_timeout: Duration,
    /// A connection that has sent nothing at all is closed after so long. When the door is full, the oldest of these
    /// makes room for a new connection.
    #[serde(with = "canh_config::duration")]
    pub first_byte_timeout: Duration,
    /// A connection on which nothing arrives for so long is closed.
    #[serde(with = "canh_config::duration")]
    pub idle_timeout: Duration,
    /// A message that has begun must go on within this time, or the connection is closed.
    #[serde(with = "canh_config::duration")]
    pub message_timeout: Duration,
    /// Name of the format of the text inside the messages; left out, it is recognised.
    pub format: Option<String>,
}

impl Default for SyslogTlsConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: SocketAddr::from(([127, 0, 0, 1], 6514)),
            message_max: ByteSize::kib(64),
            batch_size: ByteSize::kib(128),
            connections_max: const { NonZeroUsize::new(512).unwrap() },
            connections_per_address_max: const { NonZeroUsize::new(64).unwrap() },
            half_open_max: const { NonZeroUsize::new(128).unwrap() },
            handshake_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(3_600),
            message_timeout: Duration::from_secs(60),
            format: None,
        }
    }
}

impl SyslogTlsConfig {
    /// Longest payload that the journal is given, in bytes. What is read at once may grow by what is written beside
    /// each message.
    pub(crate) fn batch_len_max(&self) -> u64 {
        self.batch_size.bytes().saturating_add(self.message_max.bytes()).saturating_add(8 * READ_LEN as u64)
    }
}

pub(super) fn bind(
    config: &SyslogTlsConfig,
    tls: Option<&Arc<Tls>>,
    intake: &Intake,
) -> Result<Option<BoundDoor>, BindError> {
    let Some(tls) = tls.filter(|_| config.enabled).cloned() else { return Ok(None) };
    let (listener, address) = listen_tcp(NAME, config.listen)?;
    let (config, intake) = (config.clone(), intake.clone());
    Ok(Some(BoundDoor::new(NAME, address, move |stop| serve(config, listener, tls, intake, stop)).secured(true)))
}

async fn serve(config: SyslogTlsConfig, listener: TcpListener, tls: Arc<Tls>, intake: Intake, stop: CancellationToken) {
    let limits = Limits {
        connections_max: config.connections_max,
        connections_per_address_max: config.connections_per_address_max,
        first_byte_timeout: config.first_byte_timeout,
        idle_timeout: config.idle_timeout,
    };
    let settings = Arc::new(StreamSettings {
        door: DOOR,
        framing: None,
        message_max: config.message_max.as_len(),
        batch_size: config.batch_size.as_len(),
        patience: Patience {
            first_byte: config.first_byte_timeout,
            idle: config.idle_timeout,
            message: config.message_timeout,
        },
        format: config.format.as_deref().map(CompactString::from),
    });
    let handshakes = Handshakes::new(NAME, tls, &intake, config.half_open_max, config.handshake_timeout);
    let handshakes = Arc::new(handshakes);
    let work = |stream, peer: SocketAddr, place| {
        let (settings, intake, stop) = (settings.clone(), intake.clone(), stop.clone());
        let handshakes = handshakes.clone();
        async move {
            let secured = stop.run_until_cancelled(handshakes.secure(stream, peer)).await.flatten();
            let Some(Secured { stream, name }) = secured else { return Ok(()) };
            let connection = Connection::new(settings, intake, (peer.ip().to_canonical(), name), place, stop);
            connection.run(stream).await.map_err(BoxError::from)
        }
    };
    connection::serve(NAME, listener, &limits, &intake, &stop, work).await;
}
