//! What the handlers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use canh_schema::EventBatch;
use canh_store::EventStore;
use canh_store::state::StateStore;
use prometheus::Registry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};

use crate::auth::delay::Delays;
use crate::auth::password::Passwords;
use crate::desk::RuleDesk;
use crate::metrics::Metrics;
use crate::rate::Rate;
use crate::review::Shown;

/// What the server hands over.
pub struct AppParts {
    pub events: Arc<dyn EventStore>,
    pub state: Arc<dyn StateStore>,
    /// Every batch after it was decoded. Tails listen here; nobody waits for them.
    pub live: broadcast::Sender<Arc<EventBatch>>,
    pub registry: Registry,
    pub readiness: Readiness,
    /// Who judges events by rules.
    pub desk: Arc<dyn RuleDesk>,
    /// Version of the server.
    pub version: &'static str,
}

/// What an operator may want otherwise.
#[derive(Clone, Debug)]
pub struct Settings {
    pub transport: Transport,
    /// The longest time that is spent on one query.
    pub query_deadline: Duration,
    /// Without a sign of life for so long, a sender counts as silent.
    pub silent_after: Duration,
    /// Live tails at one time. One more is refused.
    pub tails_max: usize,
    /// A session ends when it is not used for so long.
    pub session_idle: Duration,
    /// A session ends after so long, however much it is used.
    pub session_age: Duration,
    /// Largest body of a request in bytes.
    pub body_max: usize,
    /// Findings of one rule in an hour that are kept; a forecast above it is warned about.
    pub findings_per_hour: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            transport: Transport::Plain,
            query_deadline: Duration::from_secs(25),
            silent_after: Duration::from_secs(120),
            tails_max: 64,
            session_idle: Duration::from_secs(12 * 3_600),
            session_age: Duration::from_secs(7 * 24 * 3_600),
            body_max: 256 * 1024,
            findings_per_hour: 2_000,
        }
    }
}

/// How browsers reach the console.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// HTTP, for the machine itself or a test. The session cookie has no prefix and is not marked as secure.
    Plain,
    /// HTTPS, by the server itself or by a proxy before it.
    Tls,
}

/// Whether the server takes work, as `/readyz` tells. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicU8>);

// 0, the default, is a server that starts.
const READY: u8 = 1;
const STOPPING: u8 = 2;

impl Readiness {
    pub fn set_ready(&self) {
        self.0.store(READY, Ordering::Relaxed);
    }

    pub fn set_stopping(&self) {
        self.0.store(STOPPING, Ordering::Relaxed);
    }

    /// `Err` with the reason, in one word.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        match self.0.load(Ordering::Relaxed) {
            READY => Ok(()),
            STOPPING => Err("stopping"),
            _ => Err("starting"),
        }
    }
}

/// The console. Clones share everything.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    parts: AppParts,
    settings: Settings,
    tails: Arc<Semaphore>,
    backtests: Arc<Semaphore>,
    shown: Shown,
    delays: Arc<Delays>,
    passwords: Passwords,
    rate: Arc<Rate>,
    metrics: Metrics,
}

impl App {
    /// The console with the usual settings. Call it inside a Tokio runtime: it listens to the live channel.
    pub fn new(parts: AppParts) -> Self {
        Self::with_settings(parts, Settings::default())
    }

    pub fn with_settings(parts: AppParts, settings: Settings) -> Self {
        let rate = Arc::new(Rate::default());
        tokio::spawn(Rate::listen(Arc::downgrade(&rate), parts.live.subscribe()));
        let metrics = Metrics::new(&parts.registry);
        Self(Arc::new(Inner {
            tails: Arc::new(Semaphore::new(settings.tails_max)),
            // One reads as fast as the disk gives; two would only take turns.
            backtests: Arc::new(Semaphore::new(1)),
            shown: Shown::default(),
            delays: Arc::default(),
            passwords: Passwords::default(),
            rate,
            metrics,
            parts,
            settings,
        }))
    }

    pub(crate) fn events(&self) -> &dyn EventStore {
        &*self.0.parts.events
    }

    pub(crate) fn state(&self) -> &dyn StateStore {
        &*self.0.parts.state
    }

    pub(crate) fn live(&self) -> &broadcast::Sender<Arc<EventBatch>> {
        &self.0.parts.live
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.0.parts.registry
    }

    pub(crate) fn readiness(&self) -> &Readiness {
        &self.0.parts.readiness
    }

    pub(crate) fn version(&self) -> String {
        self.0.parts.version.to_owned()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn transport(&self) -> Transport {
        self.0.settings.transport
    }

    pub(crate) fn query_deadline(&self) -> Duration {
        self.0.settings.query_deadline
    }

    pub(crate) fn silent_after(&self) -> Duration {
        self.0.settings.silent_after
    }

    pub(crate) fn tail_permit(&self) -> Option<OwnedSemaphorePermit> {
        self.0.tails.clone().try_acquire_owned().ok()
    }

    pub(crate) fn backtest_permit(&self) -> Option<OwnedSemaphorePermit> {
        self.0.backtests.clone().try_acquire_owned().ok()
    }

    pub(crate) fn shown(&self) -> &Shown {
        &self.0.shown
    }

    pub(crate) fn desk(&self) -> Arc<dyn RuleDesk> {
        self.0.parts.desk.clone()
    }

    pub(crate) fn events_shared(&self) -> Arc<dyn EventStore> {
        self.0.parts.events.clone()
    }

    pub(crate) fn delays(&self) -> &Arc<Delays> {
        &self.0.delays
    }

    pub(crate) fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    pub(crate) fn rate(&self) -> &Rate {
        &self.0.rate
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}
