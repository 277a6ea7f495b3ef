//! `canh rules explain`, `rules backtest` and `alerts verify`: what rules say of events, now and again later.

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use canh_collector::{DecodeSettings, Door, Envelope, Framing, decode};
use canh_detection::{CorrelationLimits, Engine, EngineConfig, MAPPING_VERSION, RuleSet};
use canh_ioc::IndicatorSet;
use canh_schema::{Event, EventBatch, EventHash, Finding, Position, RuleHash, RuleId, Timestamp};
use canh_store::codec;
use serde_json::{Value, json};

use super::samples::Surroundings;
use super::show;
use crate::cli::{BacktestArgs, ExplainArgs, PipelineArgs, VerifyArgs};
use crate::client::{Client, Follow};
use crate::hunt::span;
use crate::indicator_rules::{Fixed, LISTED, RETRO, indicators_of, of_proof};
use crate::terminal::{colours, safe, safe_lines};

/// Longer than anything is waited for.
const AGES: Duration = Duration::from_secs(400 * 86_400);

/// `true` if the rule holds for (one of) the events.
pub(crate) fn explain(args: &ExplainArgs) -> anyhow::Result<bool> {
    if Path::new(&args.rule).is_file() {
        return explain_file(args);
    }
    let client = Client::of(&args.data.data)?;
    let path = format!("/api/v1/rules/{}/explain", args.rule);
    let said = client.get(&path, &[("event", &args.event)])?;
    print_explanation(&said);
    Ok(said["holds"] == true)
}

fn print_explanation(said: &Value) {
    for check in said["checks"].as_array().into_iter().flatten() {
        let rule = safe(check["rule_id"].as_str().unwrap_or_default());
        let verdict = if check["condition"]["holds"] == true { "holds" } else { "does not hold" };
        println!("rule {rule}: the condition {verdict}");
        if check["source_fits"] != true {
            let wanted = safe(check["wanted"].as_str().unwrap_or_default());
            println!("  but the rule wants events of {wanted}, and this is none: it never looks at it");
        }
        print!("{}", show::condition(&check["condition"], colours()));
    }
}

/// A rule file and a file of raw records, without a server.
fn explain_file(args: &ExplainArgs) -> anyhow::Result<bool> {
    let text = fs::read_to_string(&args.rule).with_context(|| format!("cannot read `{}`", args.rule))?;
    let raw = fs::read(&args.event).with_context(|| {
        format!("cannot read `{}`; with a rule file, give a file with raw records instead of an id", args.event)
    })?;
    let set = read_file(&args.rule, &text, &args.pipelines)?;
    let mut envelope = Envelope::new(Door::Import, Timestamp::now(), Framing::Lines, Bytes::from(raw));
    envelope.format = args.format.as_deref().map(Into::into);
    let mut batch = decode(&envelope, Position::new(1), 1, &DecodeSettings::default());
    // What the rule's samples suppose holds for these records as well: lists of indicators, and where addresses are.
    let around = Surroundings::load(Path::new(&args.rule).parent().unwrap_or(Path::new("")))?;
    around.geo.enrich(&mut batch.events);
    let rules: Vec<_> = set.rules.iter().map(|rule| rule.info.id.clone()).collect();
    let mut engine = Engine::new(set, around.engine());
    let mut holds = false;
    for (number, event) in (1..).zip(&batch.events) {
        println!("record {number}:");
        for rule in &rules {
            if let Some(said) = engine.explain(rule, event) {
                holds |= said.holds();
                print_explanation(&canh_console::explanation_json(rule, said));
            }
        }
    }
    Ok(holds)
}

/// The rules of a file, changed by these pipelines.
fn read_file(path: &str, text: &str, pipelines: &PipelineArgs) -> anyhow::Result<RuleSet> {
    let mut set = RuleSet::with_pipelines(super::pipelines(pipelines)?);
    set.add_text(path, text);
    set.link();
    let problems: Vec<String> = set.errors.iter().map(ToString::to_string).collect();
    anyhow::ensure!(problems.is_empty(), "{}", problems.join("\n"));
    anyhow::ensure!(!set.rules.is_empty(), "there is no rule in `{path}`");
    Ok(set)
}

pub(crate) fn backtest(args: &BacktestArgs) -> anyhow::Result<()> {
    let client = Client::of(&args.data.data)?;
    let text = if Path::new(&args.rule).is_file() {
        let text = fs::read_to_string(&args.rule).with_context(|| format!("cannot read `{}`", args.rule))?;
        // The server reads it as it reads its own records: with what changed it.
        read_file(&args.rule, &text, &args.pipelines)?.record()
    } else {
        let rule = client.get(&format!("/api/v1/rules/{}", args.rule), &[])?;
        rule["text"].as_str().context("the server has no text of this rule")?.to_owned()
    };
    let result = run_backtest(&client, &text, &args.since)?;
    if args.json {
        println!("{result}");
    } else {
        print_backtest(&result);
    }
    Ok(())
}

/// Has the server run a rule over the past, with progress on a terminal.
pub(super) fn run_backtest(client: &Client, text: &str, since: &str) -> anyhow::Result<Value> {
    let now = Timestamp::now();
    let request = json!({"text": text, "from": now.saturating_sub(span(since)?).to_string(), "to": now.to_string()});
    let progress = std::io::stderr().is_terminal();
    let mut result = None;
    client.follow_post("/api/v1/rules/backtest", &request, |name, data| {
        let said: Value = serde_json::from_str(data).unwrap_or(Value::String(data.to_owned()));
        match name {
            "progress" if progress => {
                let done = said["done"].as_f64().unwrap_or(0.0) * 100.0;
                eprint!("\r{done:5.1} %  {} events, {} matter ", said["events"], said["kept"]);
                let _ = std::io::stderr().flush();
            }
            "result" => {
                result = Some(said);
                return Ok(Follow::Stop);
            }
            "error" => anyhow::bail!("the server gave up: {}", safe(data)),
            _ => (),
        }
        Ok(Follow::On)
    })?;
    if progress {
        eprint!("\r\x1b[K");
    }
    result.context("the server ended the run without a result")
}

pub(super) fn print_backtest(result: &Value) {
    let text = |value: &Value| safe(value.as_str().unwrap_or_default()).into_owned();
    println!(
        "{} to {}: {} events read, {} matter, {} findings, {} alerts ({:.1} a day)",
        text(result.get("oldest").unwrap_or(&result["from"])),
        text(&result["to"]),
        result["events"],
        result["kept"],
        result["findings"],
        result["alerts"],
        result["alerts_per_day"].as_f64().unwrap_or(0.0)
    );
    if result["left_out"].as_u64().unwrap_or(0) > 0 {
        println!("warning: {} events or pages were left out, so the result is too small", result["left_out"]);
    }
    for day in result["days"].as_array().into_iter().flatten() {
        if day["findings"] != 0 {
            println!("  24 h from {}  {:>6} findings {:>6} alerts", text(&day["from"]), day["findings"], day["alerts"]);
        }
    }
    let (busiest, budget) = (result["hour_findings_max"].as_u64(), result["findings_per_hour"].as_u64());
    if busiest > budget {
        println!(
            "warning: {} findings in one hour; more than {} are counted and not kept",
            result["hour_findings_max"], result["findings_per_hour"]
        );
    }
    for example in result["examples"].as_array().into_iter().flatten().take(5) {
        let named = |name: &str| text(&example[name]);
        println!(
            "  e.g. {}  {}  {} {} {}",
            named("time"),
            named("title"),
            named("host"),
            named("user"),
            named("source_ip")
        );
    }
}

/// Judges the newest finding of an alert again, with the rule's text and the events of its day. `true` if the verdict is
/// the same.
pub(crate) fn verify(args: &VerifyArgs) -> anyhow::Result<bool> {
    let evidence: Value = match &args.evidence {
        Some(file) => {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
            serde_json::from_str(&text).with_context(|| format!("`{}` is no evidence", file.display()))?
        }
        None => {
            let id = args.id.context("name an alert, or a file with --evidence")?;
            Client::of(&args.data.data)?.get(&format!("/api/v1/alerts/{id}/evidence"), &[])?
        }
    };
    if let Some(file) = &args.save {
        fs::write(file, evidence.to_string()).with_context(|| format!("cannot write `{}`", file.display()))?;
    }
    let mut wrong = Vec::new();
    match judge(&evidence, &mut wrong) {
        Ok(()) => (),
        Err(error) => wrong.push(format!("{error:#}")),
    }
    for problem in &wrong {
        println!("differs: {}", safe_lines(problem));
    }
    if wrong.is_empty() {
        println!("verified: the rule's text, every event and the verdict are what they were");
        print!("{}", show::condition(&evidence["condition"], colours()));
    }
    Ok(wrong.is_empty())
}

fn judge(evidence: &Value, wrong: &mut Vec<String>) -> anyhow::Result<()> {
    let text = |name: &str| evidence[name].as_str().unwrap_or_default();
    let rule_id = text("rule_id");
    // A look back has the verdict of the same rule.
    let rule_id = rule_id.strip_prefix(RETRO).unwrap_or(rule_id);
    let indicators = of_proof(&indicators_of(&evidence["condition"]));
    if rule_id.starts_with(LISTED) {
        return judge_listed(evidence, &indicators, wrong);
    }
    let rule_text = evidence["rule_text"].as_str().context("the rule's text was not kept")?;
    let rule_hash = text("rule_hash");
    if RuleHash::of(rule_text.trim_end().as_bytes()).to_string() != rule_hash {
        wrong.push(format!("the rule's text does not have the hash {rule_hash}"));
    }
    if evidence["mapping_version"] != MAPPING_VERSION {
        wrong.push(format!(
            "field mappings have version {MAPPING_VERSION} here and had version {} then",
            evidence["mapping_version"]
        ));
    }
    let mut events = events(evidence, wrong)?;
    events.sort_by_key(|event| (event.received, event.id));
    let mut set = RuleSet::from_record("evidence", rule_text);
    set.link();
    // The window that was reported may follow others that hold, which are not reported twice in the stream.
    let correlation = CorrelationLimits { every_window: true, ..CorrelationLimits::default() };
    // The lists may have changed since; what matched is in the proof.
    let indicators = Some(Fixed::source(indicators));
    let mut engine = Engine::new(set, EngineConfig { correlation, indicators, ..EngineConfig::default() });
    if let Some(remembered) = evidence["remembered"].as_str() {
        let bytes = STANDARD.decode(remembered).context("what the rule remembered is not base64")?;
        if !engine.recall(&RuleId::new(rule_id), &bytes) {
            wrong.push("what the rule remembered cannot be read by this version".to_owned());
        }
    }
    let mut found: Vec<Finding> = Vec::new();
    let last = events.iter().map(|event| event.received).max().unwrap_or(Timestamp::MIN);
    engine.evaluate(&EventBatch::new(Position::new(1), events), &mut found);
    if engine.remembers() {
        // An absence shows only when time passes.
        engine.tick(last + AGES, &mut found);
    }
    let of_rule = || found.iter().rev().filter(|finding| finding.rule.id.as_str() == rule_id);
    let same = of_rule().find(|finding| finding.id.to_string() == text("finding_id"));
    let Some(again) = same.or_else(|| of_rule().next()) else {
        wrong.push(format!("the rule `{rule_id}` does not fire on these events"));
        return Ok(());
    };
    let condition = canh_console::condition_json(again.proof.condition.clone());
    if condition != evidence["condition"] {
        wrong.push("the rule fires, but by another branch of its condition or with other values".to_owned());
    }
    if again.id.to_string() != text("finding_id") {
        wrong.push("the rule fires, but on other events than the finding names".to_owned());
    }
    Ok(())
}

/// A match without a rule: the indicator that the proof names is looked for in the event again.
fn judge_listed(evidence: &Value, indicators: &IndicatorSet, wrong: &mut Vec<String>) -> anyhow::Result<()> {
    let text = |name: &str| evidence[name].as_str().unwrap_or_default();
    let events = events(evidence, wrong)?;
    let found = events.iter().flat_map(|event| {
        let matches = indicators.evaluate(event, event.time);
        matches.into_iter().map(|one| canh_ioc::finding(event, &one)).collect::<Vec<_>>()
    });
    let again = found.map(|again| (again.id.to_string(), canh_console::condition_json(again.proof.condition)));
    let again: Vec<_> = again.collect();
    match again.iter().find(|(id, _)| id == text("finding_id")).or_else(|| again.first()) {
        None => wrong.push("the indicator is not in these events".to_owned()),
        Some((_, condition)) if *condition != evidence["condition"] => {
            wrong.push("the indicator is in the events, but in another field or with another value".to_owned());
        }
        Some((id, _)) if id != text("finding_id") => {
            wrong.push("the indicator is in the events, but on another host or in another hour".to_owned());
        }
        Some(_) => (),
    }
    Ok(())
}

/// The events of evidence, each compared with its hash.
fn events(evidence: &Value, wrong: &mut Vec<String>) -> anyhow::Result<Vec<Event>> {
    let mut events: Vec<Event> = Vec::new();
    for event in evidence["events"].as_array().into_iter().flatten() {
        let id = event["id"].as_str().unwrap_or_default();
        let Some(encoded) = event["encoded"].as_str() else {
            wrong.push(format!("event {id} is not in the store, no longer or not yet"));
            continue;
        };
        let bytes = STANDARD.decode(encoded).with_context(|| format!("event {id} is not base64"))?;
        let decoded = codec::decode(&bytes).with_context(|| format!("event {id} cannot be read"))?;
        if EventHash::of(&decoded.raw).to_string() != event["hash"].as_str().unwrap_or_default() {
            wrong.push(format!("event {id} is not what it was: its bytes have another hash"));
        }
        if decoded.id.to_string() != id {
            wrong.push(format!("event {id} carries the id {}", decoded.id));
        }
        events.push(decoded);
    }
    Ok(events)
}
