//! RELP over TLS: the sessions of [`super::relp`] behind a handshake.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use canh_schema::ByteSize;
use compact_str::CompactString;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connection::{self, BoxError};
use super::intake::Intake;
use super::limits::{ConnectionsConfig, HandshakesConfig, OfStreams};
use super::log_limit::LogLimit;
use super::relp::{Session, Settings, payload_len_max};
use super::tls::{Handshakes, Secured, Tls};
use super::{BindError, BoundDoor, listen_tcp};
use crate::envelope::Door;

const NAME: &str = "relp_tls";
const DOOR: Door = Door::RelpTls;

/// `[collector.relp_tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelpTlsConfig {
    /// Whether this door is open. It needs the files of `[collector.tls]`.
    pub enabled: bool,
    /// Address to listen on. Not the one of RELP without TLS, so that both can be open.
    #[serde(with = "canh_config::socket_addr")]
    pub listen: SocketAddr,
    /// Longest message kept; the rest of a longer one is cut off and counted.
    #[serde(with = "canh_config::byte_size")]
    pub message_max: ByteSize,
    /// Messages of one connection that are taken before those before them are answered.
    pub window: NonZeroUsize,
    pub connections: ConnectionsConfig<OfStreams>,
    pub handshakes: HandshakesConfig,
    /// A message that has begun must go on within this time, or the connection is closed.
    #[serde(with = "canh_config::duration")]
    pub message_timeout: Duration,
    /// Name of the format of the text inside the messages; left out, it is recognised.
    pub format: Option<String>,
}

impl Default for RelpTlsConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: SocketAddr::from(([127, 0, 0, 1], 2515)),
            message_max: ByteSize::kib(64),
            window: const { NonZeroUsize::new(1_024).unwrap() },
            connections: ConnectionsConfig::default(),
            handshakes: HandshakesConfig::default(),
            message_timeout: Duration::from_secs(60),
            format: None,
        }
    }
}

impl RelpTlsConfig {
    /// Longest payload that the journal is given, in bytes.
    pub(crate) fn batch_len_max(&self) -> u64 {
        payload_len_max(self.message_max)
    }
}

pub(super) fn bind(
    config: &RelpTlsConfig,
    tls: Option<&Arc<Tls>>,
    intake: &Intake,
) -> Result<Option<BoundDoor>, BindError> {
    let Some(tls) = tls.filter(|_| config.enabled).cloned() else { return Ok(None) };
    let (listener, address) = listen_tcp(NAME, config.listen)?;
    let (config, intake) = (config.clone(), intake.clone());
    Ok(Some(BoundDoor::new(NAME, address, move |stop| serve(config, listener, tls, intake, stop)).secured(true)))
}

async fn serve(config: RelpTlsConfig, listener: TcpListener, tls: Arc<Tls>, intake: Intake, stop: CancellationToken) {
    let limits = config.connections.limits();
    let settings = Arc::new(Settings {
        door: DOOR,
        message_max: config.message_max.as_len(),
        window: config.window.get(),
        patience: config.connections.patience(config.message_timeout),
        format: config.format.as_deref().map(CompactString::from),
    });
    let handshakes = Handshakes::new(NAME, tls, &intake, &config.handshakes);
    let (handshakes, log) = (Arc::new(handshakes), Arc::new(LogLimit::default()));
    let work = |stream, peer: SocketAddr, place| {
        let (settings, intake, stop) = (settings.clone(), intake.clone(), stop.clone());
        let (handshakes, log) = (handshakes.clone(), log.clone());
        async move {
            let secured = stop.run_until_cancelled(handshakes.secure(stream, peer)).await.flatten();
            let Some(Secured { stream, name }) = secured else { return Ok(()) };
            let session = Session::new(settings, intake, (peer.ip().to_canonical(), name), place, log, stop);
            session.run(stream).await.map_err(BoxError::from)
        }
    };
    connection::serve(NAME, listener, &limits, &intake, &stop, work).await;
}
