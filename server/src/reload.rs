//! What is read again when the server gets SIGHUP: rules, which are also read when somebody decided about one, places of
//! addresses, and certificates. Indicators and YARA rules do it themselves.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use canh_collector::{Feed, Geo, GeoConfig, Tls};
use canh_detection::Engine;
use canh_schema::{Position, Timestamp};
use canh_store::state::{StateError, StateStore};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tracing::{error, info};

use crate::canary::Flock;
use crate::detect;
use crate::rules::desk::RuleFiles;
use crate::rules::{Loaded, Rules, review};

/// Reads tables and databases of places again at each SIGHUP. Events that are decoded meanwhile have the old ones.
pub(crate) async fn places_on_hangup(geo: Geo, config: GeoConfig) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    while hangup.recv().await.is_some() {
        let (geo, config) = (geo.clone(), config.clone());
        match tokio::task::spawn_blocking(move || geo.reload(&config)).await {
            Ok(Ok((0, 0))) => (),
            Ok(Ok((networks, databases))) => info!(networks, databases, "places of addresses are loaded again"),
            Ok(Err(error)) => {
                error!(
                    error = &error as &dyn std::error::Error,
                    "places of addresses do not load; those in force stay"
                );
            }
            Err(_) => error!("loading places of addresses failed; please report it"),
        }
    }
}

/// Reads the certificates of the doors with TLS again at each SIGHUP. Connections that are open stay.
pub(crate) async fn certificates_on_hangup(tls: Arc<Tls>) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    while hangup.recv().await.is_some() {
        let tls = tls.clone();
        match tokio::task::spawn_blocking(move || tls.reload().map(|()| tls.days_left())).await {
            Ok(Ok(days)) => info!(days = days.floor(), "certificates are loaded again"),
            Ok(Err(error)) => {
                error!(error = &error as &dyn std::error::Error, "certificates do not load; those in force stay");
            }
            Err(_) => error!("loading certificates failed; please report it"),
        }
    }
}

/// Compiles the rules again. The engine in force goes on meanwhile; the new one is shown the recent past before it takes
/// over.
pub(crate) struct Reloader {
    pub(crate) rules: Rules,
    pub(crate) feed: Feed,
    pub(crate) state: Arc<dyn StateStore>,
    /// To detection: the new engine, and up to where it knows the journal.
    pub(crate) reload: Sender<(Engine, Position)>,
    pub(crate) flock: watch::Sender<Flock>,
    pub(crate) rule_files: watch::Sender<RuleFiles>,
    /// To the look back: rules over indicators.
    pub(crate) hunting: watch::Sender<Arc<Vec<String>>>,
    /// Told when somebody decided about a rule. Several decisions before it is looked at are one.
    pub(crate) decided: Arc<Notify>,
}

impl Reloader {
    pub(crate) async fn run(mut self) {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            error!("cannot listen for SIGHUP; rules are loaded again only at a restart");
            return;
        };
        loop {
            tokio::select! {
                heard = hangup.recv() => if heard.is_none() { return },
                () = self.decided.notified() => (),
            }
            let reviews = match review::load(&*self.state).await {
                Ok(reviews) => reviews,
                Err(error) => {
                    error!(
                        error = &error as &dyn std::error::Error,
                        "cannot read which rules are enabled; the rules in force stay"
                    );
                    continue;
                }
            };
            let (feed, mut rules) = (self.feed.clone(), self.rules);
            let done = tokio::task::spawn_blocking(move || {
                let mut loaded = rules.load(Timestamp::now(), &reviews);
                let known = feed.durable();
                detect::warm(&feed, &mut loaded.engine, Position::START, known, detect::recent());
                (rules, loaded, known)
            });
            let Ok((back, loaded, known)) = done.await else {
                error!(
                    "loading rules failed; please report it. Rules are not loaded again until the server is restarted"
                );
                return;
            };
            self.rules = back;
            info!(rules = loaded.status.rules.len(), broken = loaded.status.errors.len(), "rules are loaded again");
            self.flock.send_replace(loaded.flock());
            self.rule_files.send_replace(loaded.rule_files());
            self.hunting.send_replace(loaded.indicator_rules());
            if let Err(error) = write(&*self.state, &loaded).await {
                error!(error = &error as &dyn std::error::Error, "cannot write the list of rules into the state");
            }
            if self.reload.send((loaded.engine, known)).is_err() {
                return;
            }
        }
    }
}

/// Texts first: the list names them.
async fn write(state: &dyn StateStore, loaded: &Loaded) -> Result<(), StateError> {
    state.put_rule_texts(&loaded.texts).await?;
    state.put_rules_status(loaded.status.clone()).await
}
