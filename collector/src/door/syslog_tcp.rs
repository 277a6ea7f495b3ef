//! Syslog over TCP. Messages are framed by line feeds or by octet counts (RFC 6587); the first bytes of a connection
//! tell which. What becomes of them is the business of [`super::syslog_stream`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use canh_schema::ByteSize;
use compact_str::CompactString;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connection::{self, BoxError};
use super::intake::Intake;
use super::limits::{ConnectionsConfig, OfStreams};
use super::syslog_stream::{Connection, READ_LEN, StreamSettings};
use super::{BindError, BoundDoor, listen_tcp};
use crate::envelope::Door;

const NAME: &str = "syslog_tcp";
const DOOR: Door = Door::SyslogTcp;

/// `[collector.syslog_tcp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyslogTcpConfig {
    /// Whether this door is open.
    pub enabled: bool,
    /// Address to listen on. The well-known port is 514.
    #[serde(with = "canh_config::socket_addr")]
    pub listen: SocketAddr,
    /// Longest message kept; the rest of a longer one is cut off and counted.
    #[serde(with = "canh_config::byte_size")]
    pub message_max: ByteSize,
    /// Messages of one connection are journaled in pieces of this size, or as soon as no more have come.
    #[serde(with = "canh_config::byte_size")]
    pub batch_size: ByteSize,
    pub connections: ConnectionsConfig<OfStreams>,
    /// A message that has begun must go on within this time, or the connection is closed.
    #[serde(with = "canh_config::duration")]
    pub message_timeout: Duration,
    /// Name of the format of the text inside the messages; left out, it is recognised.
    pub format: Option<String>,
}

impl Default for SyslogTcpConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 5514)),
            message_max: ByteSize::kib(64),
            batch_size: ByteSize::kib(128),
            connections: ConnectionsConfig::default(),
            message_timeout: Duration::from_secs(60),
            format: None,
        }
    }
}

impl SyslogTcpConfig {
    /// Longest payload that the journal is given, in bytes. What is read at once may grow by what is written beside
    /// each message.
    pub(crate) fn batch_len_max(&self) -> u64 {
        self.batch_size.bytes().saturating_add(self.message_max.bytes()).saturating_add(8 * READ_LEN as u64)
    }
}

pub(super) fn bind(config: &SyslogTcpConfig, intake: &Intake) -> Result<Option<BoundDoor>, BindError> {
    if !config.enabled {
        return Ok(None);
    }
    let (listener, address) = listen_tcp(NAME, config.listen)?;
    let (config, intake) = (config.clone(), intake.clone());
    Ok(Some(BoundDoor::new(NAME, address, move |stop| serve(config, listener, intake, stop))))
}

async fn serve(config: SyslogTcpConfig, listener: TcpListener, intake: Intake, stop: CancellationToken) {
    let limits = config.connections.limits();
    let settings = Arc::new(StreamSettings {
        door: DOOR,
        framing: None,
        message_max: config.message_max.as_len(),
        batch_size: config.batch_size.as_len(),
        patience: config.connections.patience(config.message_timeout),
        format: config.format.as_deref().map(CompactString::from),
    });
    let work = |stream, peer: SocketAddr, place| {
        let from = (peer.ip().to_canonical(), None);
        let connection = Connection::new(settings.clone(), intake.clone(), from, place, stop.clone());
        async move { connection.run(stream).await.map_err(BoxError::from) }
    };
    connection::serve(NAME, listener, &limits, &intake, &stop, work).await;
}
