//! `canh rules bench`: what each rule costs for the events of a file.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use bytes::Bytes;
use canh_collector::{DecodeSettings, Door, Envelope, Framing, decode};
use canh_detection::{Engine, EngineConfig, Pipelines, RuleKind, RuleSet, load_paths_with};
use canh_schema::{EventBatch, Position, Timestamp};

use crate::cli::must_exist;

/// Events that are looked at; more say the same.
const EVENTS_MAX: usize = 50_000;

pub(crate) fn run(rules: &[PathBuf], events: &PathBuf, top: usize, pipelines: &Arc<Pipelines>) -> anyhow::Result<()> {
    must_exist(rules.iter().chain([events]))?;
    let bytes = fs::read(events).with_context(|| format!("cannot read `{}`", events.display()))?;
    let mut envelope = Envelope::new(Door::Import, Timestamp::now(), Framing::NdJson, Bytes::from(bytes));
    envelope.host = Some("bench".into());
    let settings = DecodeSettings { events_max: EVENTS_MAX, ..DecodeSettings::default() };
    let batch = decode(&envelope, Position::new(1), 1, &settings);
    let count = batch.events.len();
    anyhow::ensure!(count > 0, "`{}` has no events", events.display());
    let set = load_paths_with(rules, Arc::clone(pipelines));
    let begin = Instant::now();
    let mut engine = Engine::new(set.clone(), EngineConfig::default());
    let compiled = begin.elapsed();
    let all = measure(&mut engine, &batch);
    println!(
        "{} rules compiled in {:.0} ms; all of them together: {:.2} us for an event, {} findings in {count} events",
        engine.rules().len(),
        compiled.as_secs_f64() * 1e3,
        all.0,
        all.1
    );
    let mut each: Vec<(f64, usize, String)> = Vec::new();
    for rule in set.rules.iter().filter(|rule| matches!(rule.kind, RuleKind::Event(_))) {
        let alone = RuleSet { rules: vec![rule.clone()], filters: set.filters.clone(), ..RuleSet::default() };
        let (cost, findings) = measure(&mut Engine::new(alone, EngineConfig::default()), &batch);
        each.push((cost, findings, format!("{} ({})", rule.info.title, rule.path.display())));
    }
    each.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
    println!("the dearest, each alone:");
    println!("{:>10} {:>9}  rule", "us/event", "findings");
    for (cost, findings, rule) in each.iter().take(top) {
        println!("{cost:>10.3} {findings:>9}  {}", crate::terminal::safe(rule));
    }
    Ok(())
}

/// Microseconds for an event, and findings. The better of two rounds, because the first one fills caches.
fn measure(engine: &mut Engine, batch: &EventBatch) -> (f64, usize) {
    let mut best = f64::MAX;
    let mut findings = Vec::new();
    for _ in 0..2 {
        findings.clear();
        let begin = Instant::now();
        engine.evaluate(batch, &mut findings);
        best = best.min(begin.elapsed().as_secs_f64());
    }
    (best / batch.events.len() as f64 * 1e6, findings.len())
}
