//! The samples that prove a rule: `match.ndjson` and `no_match.ndjson` beside each `rule.yml`. A sample is raw, as a
//! device wrote it, and goes through the real decoder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use canh_collector::{DecodeSettings, Door, Envelope, Framing, Geo, GeoConfig, decode};
use canh_detection::{Engine, EngineConfig, IndicatorSource, Pipelines, RuleSet};
use canh_schema::{Event, EventBatch, Position, RuleId, Timestamp};
use serde::Deserialize;

use crate::indicator_rules;

pub(crate) const RULE_FILE: &str = "rule.yml";

/// Names and places of networks for the samples, as the server has them for real events.
const NETWORKS_FILE: &str = "networks.toml";

/// What a running server has besides the rules, as the samples of one rule suppose it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) indicators: Option<Arc<dyn IndicatorSource>>,
    pub(crate) geo: Geo,
    /// Whether the folder says where addresses are.
    pub(crate) has_geo: bool,
}

impl Surroundings {
    /// From the files beside the rule.
    pub(super) fn load(folder: &Path) -> anyhow::Result<Self> {
        let networks = folder.join(NETWORKS_FILE);
        let has_geo = networks.is_file();
        let config = GeoConfig { networks: has_geo.then_some(networks).into_iter().collect(), ..GeoConfig::default() };
        Ok(Self { indicators: indicator_rules::beside(folder)?, geo: Geo::load(&config)?, has_geo })
    }

    pub(crate) fn engine(&self) -> EngineConfig {
        EngineConfig { indicators: self.indicators.clone(), ..EngineConfig::default() }
    }
}

/// What a sample is expected to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expected {
    Fires,
    Silent,
}

impl Expected {
    pub(crate) const fn file(self) -> &'static str {
        match self {
            Self::Fires => "match.ndjson",
            Self::Silent => "no_match.ndjson",
        }
    }
}

/// One line of a sample file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// What it shows, in a few words.
    about: String,
    /// Name of the log format; without one it is found out, as at the doors.
    format: Option<String>,
    /// The records as sent.
    raw: Vec<String>,
    /// Every record is a sample of its own.
    #[serde(default)]
    each: bool,
    /// Each record is received at the moment it was written at, instead of all at one moment.
    #[serde(default)]
    live: bool,
    /// Time that passes after the last record, for example `15m`.
    after: Option<String>,
}

/// Records that belong together, decoded.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) about: String,
    pub(crate) expected: Expected,
    pub(crate) raw: Vec<String>,
    pub(crate) format: Option<String>,
    pub(crate) events: EventBatch,
    /// Lists and places that it supposes.
    pub(crate) around: Surroundings,
    pub(crate) clock: Clock,
}

/// How time passes for the records of a sample.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Clock {
    /// Each record is received at the moment it was written at.
    live: bool,
    /// Time that passes after the last record.
    pub(crate) after: Option<Duration>,
}

impl Clock {
    pub(crate) fn set(self, events: &mut [Event]) {
        if self.live {
            events.iter_mut().for_each(|event| event.received = event.time);
        }
    }

    /// Until when time passes, if it does.
    pub(crate) fn until(self, events: &[Event]) -> Option<Timestamp> {
        let last = events.iter().map(|event| event.received).max();
        Some(last.unwrap_or_else(received) + self.after?)
    }
}

/// A folder with a rule and its samples.
#[derive(Debug)]
pub(crate) struct RuleFolder {
    pub(crate) rules: RuleSet,
    pub(crate) samples: Vec<Sample>,
}

impl RuleFolder {
    /// # Errors
    ///
    /// A file that is missing or cannot be read, a sample that is not as it should be.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        Self::load_with(path, Arc::default())
    }

    /// With the pipelines that change the rule where it runs.
    pub(crate) fn load_with(path: &Path, pipelines: Arc<Pipelines>) -> anyhow::Result<Self> {
        let file = path.join(RULE_FILE);
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
        let mut rules = RuleSet::with_pipelines(pipelines);
        rules.errors.clear();
        rules.add_text(&file, &text);
        rules.link();
        let around = Surroundings::load(path)?;
        let mut samples = Vec::new();
        for expected in [Expected::Fires, Expected::Silent] {
            read(&path.join(expected.file()), expected, &around, &mut samples)?;
        }
        Ok(Self { rules, samples })
    }
}

/// Every folder with a `rule.yml` at or below these paths, in the order of their names.
pub(crate) fn folders(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = paths.to_vec();
    while let Some(path) = waiting.pop() {
        if path.is_file() {
            found.extend(path.parent().map(Path::to_owned));
            continue;
        }
        if path.join(RULE_FILE).is_file() {
            found.push(path);
            continue;
        }
        let entries = fs::read_dir(&path).with_context(|| format!("cannot read the directory `{}`", path.display()))?;
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn read(path: &Path, expected: Expected, around: &Surroundings, out: &mut Vec<Sample>) -> anyhow::Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let before = out.len();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let written: Written =
            serde_json::from_str(line).with_context(|| format!("{}:{number}: not a sample", path.display()))?;
        anyhow::ensure!(!written.raw.is_empty(), "{}:{number}: `raw` is empty", path.display());
        if let Some(format) = &written.format {
            let known = canh_collector::format::FORMATS.iter().any(|known| known.name() == format);
            anyhow::ensure!(known, "{}:{number}: `{format}` is not a log format", path.display());
        }
        let after = match &written.after {
            None => None,
            Some(text) => Some(canh_config::duration::parse(text).with_context(|| {
                format!("{}:{number}: `{text}` is not a length of time such as `15m`", path.display())
            })?),
        };
        let groups: Vec<&[String]> =
            if written.each { written.raw.chunks(1).collect() } else { vec![written.raw.as_slice()] };
        for group in groups {
            let about = if written.each { format!("{}: {}", written.about, group[0]) } else { written.about.clone() };
            let mut events = decoded(group, written.format.as_deref());
            around.geo.enrich(&mut events.events);
            let clock = Clock { live: written.live, after };
            clock.set(&mut events.events);
            out.push(Sample {
                about,
                expected,
                raw: group.to_vec(),
                format: written.format.clone(),
                events,
                around: around.clone(),
                clock,
            });
        }
    }
    anyhow::ensure!(out.len() > before, "`{}` has no sample", path.display());
    Ok(())
}

/// A moment that never changes, so that a sample means the same every day: 2026-01-15T12:00:00Z.
fn received() -> Timestamp {
    Timestamp::from_secs(1_768_478_400)
}

/// JSON may name its log source with the envelope keys, which only this framing reads.
pub(crate) fn framing(format: Option<&str>) -> Framing {
    if format == Some("json") { Framing::NdJson } else { Framing::Lines }
}

/// The records as one batch.
fn decoded(raw: &[String], format: Option<&str>) -> EventBatch {
    let mut envelope = Envelope::new(Door::Import, received(), framing(format), Bytes::from(raw.join("\n")));
    envelope.format = format.map(Into::into);
    envelope.host = Some("sample".into());
    decode(&envelope, Position::new(1), 1, &DecodeSettings::default())
}

/// Runs rules over samples, each sample as if nothing had been before it.
pub(crate) struct Runner<'a> {
    rules: &'a RuleSet,
    engine: Option<Engine>,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(rules: &'a RuleSet) -> Self {
        Self { rules, engine: None }
    }

    /// The rules that fire on the sample, once for each finding.
    pub(crate) fn fired(&mut self, sample: &Sample) -> Vec<RuleId> {
        let mut engine = self.engine.take().unwrap_or_else(|| Engine::new(self.rules.clone(), sample.around.engine()));
        let mut found = Vec::new();
        engine.evaluate(&sample.events, &mut found);
        if let Some(until) = sample.clock.until(&sample.events.events) {
            engine.tick(until, &mut found);
        }
        // A rule with a memory starts anew for each sample.
        self.engine = (!engine.remembers()).then_some(engine);
        found.into_iter().map(|finding| finding.rule.id).collect()
    }

    /// Whether the sample does what it should.
    pub(crate) fn holds(&mut self, sample: &Sample) -> bool {
        let fires = !self.fired(sample).is_empty();
        fires == (sample.expected == Expected::Fires)
    }
}
