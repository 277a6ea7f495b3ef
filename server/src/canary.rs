//! Sends a sample of each rule the way that real events go, and says which rules no longer fire and where they were lost.
//!
//! A canary goes into the journal, is decoded from there, and is judged by the rules in force. Rules over single events
//! are judged by the running engine without touching its memory; for rules with a memory a fresh engine of the same text
//! judges, because their windows must not be filled with samples. Canaries raise no alerts and are not stored.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use canh_collector::{Door, Envelope, Journal};
use canh_detection::{Engine, RuleSet};
use canh_schema::{EventBatch, Position, RuleId, Timestamp, Value, field};
use canh_store::state::{CanaryHop, RuleText, StateStore};
use parking_lot::Mutex;
use prometheus::{IntGauge, Registry};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::health::Health;
use crate::rules::proving::Canary;
use crate::rules::samples::framing;

/// How long detection may take to come to a canary.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is asked whether it did.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// After a change of the rules the canaries go out soon, so that a mistake is seen while somebody is looking.
const FIRST_AFTER: Duration = Duration::from_secs(10);
/// Canaries that nobody asks for any more.
const SEEN_MAX: usize = 1_024;

/// What detection saw of canaries, by their positions in the journal. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<HashMap<Position, Sighting>>>);

#[derive(Clone, Debug)]
struct Sighting {
    batch: Arc<EventBatch>,
    /// Rules over single events that held.
    held: Vec<RuleId>,
}

/// Whether the server sent this batch itself.
pub(crate) fn is_canary(batch: &EventBatch) -> bool {
    let source = batch.events.first().and_then(|event| event.get(field::CANH_SOURCE)).and_then(Value::as_str);
    source == Some(Door::Canary.name())
}

impl Seen {
    /// Called by detection for a canary.
    pub(crate) fn saw(&self, engine: &mut Engine, batch: &Arc<EventBatch>) {
        let held = batch.events.iter().flat_map(|event| engine.holding(event)).collect();
        let mut seen = self.0.lock();
        if seen.len() >= SEEN_MAX {
            seen.clear();
        }
        seen.insert(batch.position, Sighting { batch: batch.clone(), held });
    }

    fn take(&self, position: Position) -> Option<Sighting> {
        self.0.lock().remove(&position)
    }
}

/// What is sent, and the texts of the rules that must fire. Replaced when rules are loaded again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flock {
    pub(crate) canaries: Arc<Vec<Canary>>,
    pub(crate) texts: Arc<HashMap<RuleId, RuleText>>,
}

pub(crate) struct Keeper {
    pub(crate) every: Duration,
    pub(crate) journal: Arc<Journal>,
    pub(crate) state: Arc<dyn StateStore>,
    pub(crate) seen: Seen,
    pub(crate) health: Health,
    pub(crate) broken: IntGauge,
}

impl Keeper {
    pub(crate) fn metric(registry: &Registry) -> Result<IntGauge, prometheus::Error> {
        let broken = IntGauge::new("canh_rules_silent", "Rules that did not fire on their own sample the last time.")?;
        registry.register(Box::new(broken.clone()))?;
        Ok(broken)
    }

    pub(crate) async fn run(&self, mut flock: watch::Receiver<Flock>, stop: CancellationToken) {
        let mut wait = FIRST_AFTER;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => (),
                changed = flock.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    wait = FIRST_AFTER;
                    continue;
                }
            }
            let now = flock.borrow_and_update().clone();
            tokio::select! { () = stop.cancelled() => return, () = self.round(&now) => () }
            wait = self.every;
        }
    }

    async fn round(&self, flock: &Flock) {
        let mut silent = 0;
        for canary in flock.canaries.iter() {
            let at = Timestamp::now();
            for (rule, hop) in self.send(canary, flock).await {
                if hop != CanaryHop::Fired {
                    silent += 1;
                    warn!(%rule, hop = hop.name(), "a rule did not fire on its own sample");
                }
                self.health.canary(&rule, at, hop);
            }
        }
        self.broken.set(silent);
        info!(canaries = flock.canaries.len(), silent, "the samples of the rules were sent through detection");
        if let Err(error) = self.state.put_rule_health(&self.health.changed()).await {
            error!(error = &error as &dyn std::error::Error, "cannot write how the rules do; the next round will");
        }
    }

    async fn send(&self, canary: &Canary, flock: &Flock) -> Vec<(RuleId, CanaryHop)> {
        let all = |hop| canary.rules.iter().map(|rule| (rule.clone(), hop)).collect();
        let payload = Bytes::from(canary.payload());
        let framing = framing(canary.format.as_deref());
        let mut envelope = Envelope::new(Door::Canary, Timestamp::now(), framing, payload);
        envelope.format = canary.format.as_deref().map(Into::into);
        envelope.host = Some("canary".into());
        let Ok(appended) = self.journal.append(envelope).await else { return all(CanaryHop::Journal) };
        let begin = tokio::time::Instant::now();
        let sighting = loop {
            if let Some(sighting) = self.seen.take(appended.position) {
                break sighting;
            }
            if begin.elapsed() >= PATIENCE {
                return all(CanaryHop::Detection);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let mut batch = (*sighting.batch).clone();
        canary.around.geo.enrich(&mut batch.events);
        canary.clock.set(&mut batch.events);
        let judge = |rule: &RuleId| {
            let fired = sighting.held.contains(rule)
                || flock.texts.get(rule).is_some_and(|text| fires(&text.text, rule, &batch, canary));
            (rule.clone(), if fired { CanaryHop::Fired } else { CanaryHop::Rule })
        };
        canary.rules.iter().map(judge).collect()
    }
}

/// For a rule with a memory: whether the text finds something in the batch when nothing was before it, or in the time that
/// passes afterwards.
fn fires(text: &str, rule: &RuleId, batch: &EventBatch, canary: &Canary) -> bool {
    let mut engine = Engine::new(RuleSet::from_record("", text), canary.around.engine());
    // Only the running engine is proof for the others, but for those whose samples say where addresses are.
    if !engine.remembers() && !canary.around.has_geo {
        return false;
    }
    let mut found = Vec::new();
    engine.evaluate(batch, &mut found);
    if let Some(until) = canary.clock.until(&batch.events) {
        engine.tick(until, &mut found);
    }
    found.iter().any(|finding| finding.rule.id == *rule)
}
