//! GELF over TCP and TLS: JSON objects, each ended by a zero byte. The protocol has no answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use canh_schema::ByteSize;
use compact_str::CompactString;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connection::{self, BoxError};
use super::gelf_udp::FORMAT;
use super::intake::Intake;
use super::limits::{ConnectionsConfig, HandshakesConfig, OfStreams};
use super::octets::StreamFraming;
use super::syslog_stream::{Connection, READ_LEN, StreamSettings};
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
    pub connections: ConnectionsConfig<OfStreams>,
    pub handshakes: HandshakesConfig,
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
            connections: ConnectionsConfig::default(),
            handshakes: HandshakesConfig::default(),
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
    let limits = config.connections.limits();
    let settings = Arc::new(StreamSettings {
        door: DOOR,
        framing: Some(StreamFraming::Nul),
        message_max: config.message_max.as_len(),
        batch_size: config.batch_size.as_len(),
        patience: config.connections.patience(config.message_timeout),
        format: Some(CompactString::const_new(FORMAT)),
    });
    let handshakes = tls.map(|tls| Arc::new(Handshakes::new(NAME, tls, &intake, &config.handshakes)));
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
