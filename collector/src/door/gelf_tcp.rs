//! GELF over TCP and TLS: JSON objects, each ended by a zero byte. The protocol has no answer.

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
use super::gelf_udp::FORMAT;
use super::intake::Intake;
use super::octets::StreamFraming;
use super::syslog_stream::{Connection, Patience, READ_LEN, StreamSettings};
use super::tls::{Handshakes, Secured, Tls};
use super::{BindError, BoundDoor, listen_tcp};
use crate::envelope::Door;

const NAME: &str = "gelf_tcp";
const DOOR: Door = Door::GelfTcp;

/// `[collector.gelf_tcp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GelfTcpConfig {
    /// Whether this door is open.
    pub enabled: bool,
    /// Address to listen on. The usual port is 12201.
    #[serde(with = "canh_config::socket_addr")]
    pub listen: SocketAddr,
    /// Whether TLS is spoken, with the files of `[collector.tls]`.
    pub tls: bool,
    /// Longest message kept; the rest of a longer one is cut off and counted.
    #[serde(with = "canh_config::byte_size")]
    pub message_max: ByteSize,
    /// Messages of one connection are journaled in pieces of this size, or as soon as no more have come.
    #[serde(with = "canh_config::byte_size")]
    pub batch_size: ByteSize,
    /// Connections at the same time. More are closed at once and counted.
    pub connections_max: NonZeroUsize,
    /// Connections of one address at the same time; an IPv6 network of /64 counts as one address.
    pub connections_per_address_max: NonZeroUsize,
    /// Handshakes of TLS under way at the same time. Beyond it the oldest is given up for a new one, and counted.
    pub half_open_max: NonZeroUsize,
    /// A handshake may take so long.
    #[serde(with = "canh_config::duration")]
    pub handshake_timeout: Duration,
    /// A connection that has sent nothing at all is closed after so long.
    #[serde(with = "canh_config::duration")]
    pub first_byte_timeout: Duration,
    /// A connection on which nothing arrives for so long is closed.
    #[serde(with = "canh_config::duration")]
    pub idle_timeout: Duration,
    /// A message that has begun must go on within this time, or the connection is closed.
    #[serde(with = "canh_config::duration")]
    pub message_timeout: Duration,
}

impl Default for GelfTcpConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: SocketAddr::from(([127, 0, 0, 1], 12201)),
            tls: false,
            message_max: ByteSize::mib(1),
            batch_size: ByteSize::kib(128),
            connections_max: const { NonZeroUsize::new(512).unwrap() },
            connections_per_address_max: const { NonZeroUsize::new(64).unwrap() },
            half_open_max: const { NonZeroUsize::new(128).unwrap() },
            handshake_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(3_600),
            message_timeout: Duration::from_secs(60),
        }
    }
}

impl GelfTcpConfig {
    /// Longest payload that the journal is given, in bytes. What is read at once may grow by what is written beside
    /// each message.
    pub(crate) fn batch_len_max(&self) -> u64 {
        self.batch_size.bytes().saturating_add(self.message_max.bytes()).saturating_add(8 * READ_LEN as u64)
    }
}

pub(super) fn bind(
    config: &GelfTcpConfig,
    tls: Option<&Arc<Tls>>,
    intake: &Intake,
) -> Result<Option<BoundDoor>, BindError> {
    if !config.enabled {
        return Ok(None);
    }
    let (listener, address) = listen_tcp(NAME, config.listen)?;
    let tls = tls.filter(|_| config.tls).cloned();
    let (config, intake) = (config.clone(), intake.clone());
    let secured = tls.is_some();
    let door = BoundDoor::new(NAME, address, move |stop| serve(config, listener, tls, intake, stop));
    Ok(Some(door.secured(secured)))
}

async fn serve(
    config: GelfTcpConfig,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    intake: Intake,
    stop: CancellationToken,
) {
    let limits = Limits {
        connections_max: config.connections_max,
        connections_per_address_max: config.connections_per_address_max,
        first_byte_timeout: config.first_byte_timeout,
        idle_timeout: config.idle_timeout,
    };
    let settings = Arc::new(StreamSettings {
        door: DOOR,
        framing: Some(StreamFraming::Nul),
        message_max: config.message_max.as_len(),
        batch_size: config.batch_size.as_len(),
        patience: Patience {
            first_byte: config.first_byte_timeout,
            idle: config.idle_timeout,
            message: config.message_timeout,
        },
        format: Some(CompactString::const_new(FORMAT)),
    });
    let handshakes =
        tls.map(|tls| Arc::new(Handshakes::new(NAME, tls, &intake, config.half_open_max, config.handshake_timeout)));
    let work = |stream, peer: SocketAddr, place| {
        let (settings, intake, stop) = (settings.clone(), intake.clone(), stop.clone());
        let (handshakes, address) = (handshakes.clone(), peer.ip().to_canonical());
        async move {
            let Some(handshakes) = handshakes else {
                let connection = Connection::new(settings, intake, (address, None), place, stop);
                return connection.run(stream).await.map_err(BoxError::from);
            };
            let secured = stop.run_until_cancelled(handshakes.secure(stream, peer)).await.flatten();
            let Some(Secured { stream, name }) = secured else { return Ok(()) };
            let connection = Connection::new(settings, intake, (address, name), place, stop);
            connection.run(stream).await.map_err(BoxError::from)
        }
    };
    connection::serve(NAME, listener, &limits, &intake, &stop, work).await;
}
