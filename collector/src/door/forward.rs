//! The forward protocol of Fluentd and Fluent Bit, version 1 (facts: Fluentd's "Forward Protocol Specification v1"): events
//! one by one, in lists and packed, with acknowledgements after the journal has them, and with a shared key if wished.

mod greeting;
mod messages;
mod session;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use canh_schema::ByteSize;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connection::{self, BoxError};
use super::intake::Intake;
use super::limits::{ConnectionsConfig, HandshakesConfig, OfStreams};
use super::log_limit::LogLimit;
use super::tls::{Handshakes, Secured, Tls};
use super::{BindError, BoundDoor, listen_tcp, secret_file};
use crate::config::SettingError;
use crate::envelope::Door;

use greeting::Secrets;
#[cfg(test)]
pub(super) use greeting::tests as greeting_tests;
pub(super) use messages::fuzz;
use session::{Session, Settings};

const NAME: &str = "forward";
const DOOR: Door = Door::Forward;
/// A batch is closed at this size.
const BATCH_LEN: usize = 256 * 1024;
/// The most users.
const USERS_MAX: usize = 256;

/// `[collector.forward]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForwardConfig {
    /// Whether this door is open.
    pub enabled: bool,
    /// Address to listen on. The usual port is 24224.
    #[serde(with = "canh_config::socket_addr")]
    pub listen: SocketAddr,
    /// Whether TLS is spoken, with the files of `[collector.tls]`.
    pub tls: bool,
    /// File with the key that senders have to know. Left out, everybody may send.
    pub shared_key_file: Option<PathBuf>,
    /// The name that senders are told with the shared key.
    pub server_name: String,
    /// Longest message, also after unpacking. A longer one ends the connection and is counted.
    #[serde(with = "canh_config::byte_size")]
    pub message_max: ByteSize,
    pub connections: ConnectionsConfig<OfStreams>,
    pub handshakes: HandshakesConfig,
    /// A message that has begun must go on within this time, or the connection is closed.
    #[serde(with = "canh_config::duration")]
    pub message_timeout: Duration,
    pub user: Vec<ForwardUser>,
}

impl Default for ForwardConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: SocketAddr::from(([127, 0, 0, 1], 24224)),
            tls: false,
            shared_key_file: None,
            server_name: "canh".to_owned(),
            message_max: ByteSize::mib(8),
            connections: ConnectionsConfig::default(),
            handshakes: HandshakesConfig::default(),
            message_timeout: Duration::from_secs(60),
            user: Vec::new(),
        }
    }
}

/// `[[collector.forward.user]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardUser {
    /// Name of a user who may send. With users, senders have to show one beside the shared key.
    pub name: String,
    /// File with the password.
    pub password_file: PathBuf,
}

impl ForwardConfig {
    /// Longest payload that the journal is given, in bytes: what is gathered, and one event with its tag.
    pub(crate) fn batch_len_max(&self) -> u64 {
        self.message_max.bytes().saturating_add(2 * BATCH_LEN as u64)
    }

    pub(crate) fn check(&self) -> Result<(), SettingError> {
        if !self.enabled {
            return Ok(());
        }
        self.secrets().map(drop).map_err(|wrong| SettingError::Wrong { key: "collector.forward", wrong })
    }

    fn secrets(&self) -> Result<Option<Secrets>, String> {
        let read =
            |path: &PathBuf| secret_file::read(path).map_err(|wrong| format!("the file `{}` {wrong}", path.display()));
        let Some(path) = &self.shared_key_file else {
            let wrong = "there are users and no `shared_key_file`; the protocol asks for users only with a shared key";
            return if self.user.is_empty() { Ok(None) } else { Err(wrong.to_owned()) };
        };
        if self.user.len() > USERS_MAX {
            return Err(format!("there are {} users, and may be {USERS_MAX}", self.user.len()));
        }
        let users = self.user.iter().map(|user| Ok((user.name.clone(), read(&user.password_file)?)));
        let users = users.collect::<Result<Vec<_>, String>>()?;
        Ok(Some(Secrets { key: read(path)?, server: self.server_name.clone(), users }))
    }
}

pub(super) fn bind(
    config: &ForwardConfig,
    tls: Option<&Arc<Tls>>,
    intake: &Intake,
) -> Result<Option<BoundDoor>, BindError> {
    if !config.enabled {
        return Ok(None);
    }
    let error = BindError::new(NAME, config.listen);
    let secrets = config.secrets().map_err(std::io::Error::other).map_err(error)?;
    let (listener, address) = listen_tcp(NAME, config.listen)?;
    let tls = tls.filter(|_| config.tls).cloned();
    let (config, intake) = (config.clone(), intake.clone());
    let secured = tls.is_some();
    let door = BoundDoor::new(NAME, address, move |stop| serve(config, secrets, listener, tls, intake, stop));
    Ok(Some(door.secured(secured)))
}

async fn serve(
    config: ForwardConfig,
    secrets: Option<Secrets>,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    intake: Intake,
    stop: CancellationToken,
) {
    let limits = config.connections.limits();
    let settings = Arc::new(Settings {
        message_max: config.message_max.as_len(),
        patience: config.connections.patience(config.message_timeout),
        greeting_timeout: config.handshakes.timeout,
        secrets,
        log: LogLimit::default(),
    });
    let handshakes = tls.map(|tls| Arc::new(Handshakes::new(NAME, tls, &intake, &config.handshakes)));
    let work = |stream, peer: SocketAddr, place| {
        let (settings, intake, stop) = (settings.clone(), intake.clone(), stop.clone());
        let (handshakes, address) = (handshakes.clone(), peer.ip().to_canonical());
        async move {
            let Some(handshakes) = handshakes else {
                let session = Session::new(settings, intake, (address, None), place, stop);
                return session.run(stream).await.map_err(BoxError::from);
            };
            let secured = stop.run_until_cancelled(handshakes.secure(stream, peer)).await.flatten();
            let Some(Secured { stream, name }) = secured else { return Ok(()) };
            let session = Session::new(settings, intake, (address, name), place, stop);
            session.run(stream).await.map_err(BoxError::from)
        }
    };
    connection::serve(NAME, listener, &limits, &intake, &stop, work).await;
}
