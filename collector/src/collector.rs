//! All doors of one server, from taking their addresses to the last record received.

use std::net::SocketAddr;
use std::sync::Arc;

use prometheus::Registry;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, info, info_span};

use crate::config::{CollectorConfig, SettingError};
use crate::door::samples::SampleSink;
use crate::door::tls::{Tls, TlsError};
use crate::door::{BindError, BoundDoor, Intake, bind_all};
use crate::drops::Drops;
use crate::journal::Journal;
use crate::sources::Sources;
use crate::token::TokenCheck;

/// What the doors work with.
pub struct CollectorParts {
    pub journal: Arc<Journal>,
    pub tokens: Arc<dyn TokenCheck>,
    pub drops: Drops,
    pub sources: Arc<Sources>,
    /// Scans the files that are sent; without one the door for them says so.
    pub samples: Option<Arc<dyn SampleSink>>,
}

/// Why the collector cannot start.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("a metric of the collector is registered twice")]
    Metrics(#[from] prometheus::Error),
}

/// Doors that have their addresses and are not served yet.
pub struct Collector {
    doors: Vec<BoundDoor>,
    tls: Option<Arc<Tls>>,
}

impl Collector {
    /// Takes the addresses of all doors that are enabled. Call it inside the runtime.
    pub fn bind(config: &CollectorConfig, parts: CollectorParts, registry: &Registry) -> Result<Self, CollectorError> {
        let CollectorParts { journal, tokens, drops, sources, samples } = parts;
        config.check(journal.batch_max())?;
        let intake = Intake::new(journal, tokens, drops, sources, registry)?;
        let intake = intake.with_samples(samples).with_source_tokens(&config.token);
        let tls = if config.needs_tls() { Some(Tls::load(&config.tls, registry)?) } else { None };
        Ok(Self { doors: bind_all(config, tls.as_ref(), &intake)?, tls })
    }

    /// The certificates of the doors with TLS, if one is open; to load them again.
    pub fn tls(&self) -> Option<Arc<Tls>> {
        self.tls.clone()
    }

    /// The open doors that speak TLS.
    pub fn secured(&self) -> Vec<&'static str> {
        self.doors.iter().filter(|door| door.tls).map(|door| door.name).collect()
    }

    /// The open doors and their addresses.
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.doors.iter().map(|door| (door.name, door.address)).collect()
    }

    /// Serves until `stop` fires; then each door finishes what it has received. The journal stays open.
    pub async fn run(self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        for door in self.doors {
            info!(door = door.name, address = %door.address, tls = door.tls, "door is open");
            let span = info_span!("door", name = door.name);
            let stop_all = stop.clone().drop_guard(); // also fires when a door panics
            let work = door.serve(stop.clone());
            tasks.spawn(
                async move {
                    let _stop_all = stop_all;
                    work.await;
                }
                .instrument(span),
            );
        }
        if let Some(tls) = self.tls {
            tasks.spawn(tls.watch(stop.clone()));
        }
        tasks.close();
        stop.cancelled().await;
        tasks.wait().await;
        info!("all doors are closed");
    }
}

/// Binds and serves in one call. See [`Collector`].
pub async fn run(
    config: &CollectorConfig,
    parts: CollectorParts,
    registry: &Registry,
    stop: CancellationToken,
) -> Result<(), CollectorError> {
    Collector::bind(config, parts, registry)?.run(stop).await;
    Ok(())
}
