//! What is read again when the server gets SIGHUP: rules, and places of addresses. Indicators and YARA rules do it themselves.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use canh_collector::{Feed, Geo, GeoConfig};
use canh_detection::Engine;
use canh_schema::{Position, Timestamp};
use canh_store::state::StateStore;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info};

use crate::canary::Flock;
use crate::detect;
use crate::rules::Rules;

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

/// Compiles the rules again at each SIGHUP. The engine in force goes on meanwhile; the new one is shown the recent
/// past before it takes over.
pub(crate) async fn rules_on_hangup(
    mut rules: Rules,
    feed: Feed,
    state: Arc<dyn StateStore>,
    reload: Sender<(Engine, Position)>,
    flock: watch::Sender<Flock>,
    hunting: watch::Sender<Arc<Vec<String>>>,
) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    while hangup.recv().await.is_some() {
        let feed = feed.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut loaded = rules.load(Timestamp::now());
            let known = feed.durable();
            detect::warm(&feed, &mut loaded.engine, Position::START, known, detect::recent());
            (rules, loaded, known)
        });
        let Ok((back, loaded, known)) = done.await else {
            error!("loading rules failed; please report it. Rules are not loaded again until the server is restarted");
            return;
        };
        rules = back;
        info!(rules = loaded.status.rules.len(), broken = loaded.status.errors.len(), "rules are loaded again");
        flock.send_replace(loaded.flock());
        hunting.send_replace(loaded.indicator_rules());
        let written = match state.put_rule_texts(&loaded.texts).await {
            Ok(()) => state.put_rules_status(loaded.status).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            error!(error = &error as &dyn std::error::Error, "cannot write the list of rules into the state");
        }
        if reload.send((loaded.engine, known)).is_err() {
            return;
        }
    }
}
