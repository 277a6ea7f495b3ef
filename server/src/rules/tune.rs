//! `canh rules tune`: proposes Sigma filters for a rule that is noisy, from what people decided about its alerts. Every
//! proposal is judged by the engine: true positives and positive samples still fire.

mod document;
mod judge;
mod search;

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use canh_schema::{Event, RuleId, Timestamp, Value};
use canh_store::codec;
use clap::Args;
use serde_json::Value as Json;

use self::judge::{Case, Cases, Outcome, propose};
use self::search::{Pair, Pairs};
use super::samples::{Expected, RuleFolder, Sample, folders};
use crate::cli::DataArgs;
use crate::client::Client;
use crate::hunt::span;
use crate::indicator_rules::indicators_of;
use crate::terminal::{safe, safe_lines};

/// Pages of a thousand alerts that are listed.
const PAGES_MAX: usize = 50;
/// Alerts of noise, and without a decision, that are read; the newest. True positives are all read.
const CASES_MAX: usize = 500;

#[derive(Debug, Args)]
pub(crate) struct TuneArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Id of a loaded rule
    pub(crate) rule: String,
    /// How far back noise is looked for; true positives are kept however old they are
    #[arg(long, value_name = "TIME", default_value = "7d")]
    pub(crate) since: String,
    /// Directory with the rule's folder, whose positive samples must be kept too
    #[arg(long, value_name = "DIR")]
    pub(crate) rules: Option<PathBuf>,
    /// Write the first proposal into a file
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
}

/// `true` if there is a proposal.
pub(crate) fn run(args: &TuneArgs) -> anyhow::Result<bool> {
    let client = Client::of(&args.data.data)?;
    let rule = RuleId::new(args.rule.as_str());
    let detail = client.get(&format!("/api/v1/rules/{}", args.rule), &[])?;
    let text = detail["text"].as_str().context("the server has no text of this rule")?;
    let from = Timestamp::now().saturating_sub(span(&args.since)?);
    let folders = match &args.rules {
        None => Vec::new(),
        Some(path) => folders_of(path, &rule)?,
    };
    let samples: Vec<&Sample> =
        folders.iter().flat_map(|folder| &folder.samples).filter(|sample| sample.expected == Expected::Fires).collect();
    let cases = collect(&client, &rule, from)?;
    let outcome = propose(text, &rule, cases, &samples)?;
    print_outcome(&outcome, args);
    if let (Some(file), Some(first)) = (&args.write, outcome.proposals.first()) {
        anyhow::ensure!(
            outcome.unproven.is_empty(),
            "nothing is written, because not every true positive could be judged again"
        );
        fs::write(file, &first.text).with_context(|| format!("cannot write `{}`", file.display()))?;
        println!("the first proposal is in `{}`", safe(&file.display().to_string()));
    }
    Ok(!outcome.proposals.is_empty())
}

/// The folders below `path` that hold the rule.
fn folders_of(path: &Path, rule: &RuleId) -> anyhow::Result<Vec<RuleFolder>> {
    let mut found = Vec::new();
    for folder in folders(&[PathBuf::from(path)])? {
        // A folder without samples is none of ours.
        let Ok(folder) = RuleFolder::load(&folder) else { continue };
        if folder.rules.rules.iter().any(|one| one.info.id == *rule) {
            found.push(folder);
        }
    }
    anyhow::ensure!(!found.is_empty(), "no folder below `{}` has the rule `{rule}` with samples", path.display());
    Ok(found)
}

/// Every alert of the rule that a query lists, newest first.
fn list(client: &Client, rule: &RuleId, query: &[(&str, &str)]) -> anyhow::Result<Vec<Json>> {
    let mut alerts = Vec::new();
    let mut before: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let mut query = [&[("q", rule.as_str()), ("limit", "1000")], query].concat();
        query.extend(before.as_deref().map(|before| ("before", before)));
        let mut page = client.get("/api/v1/alerts", &query)?;
        let items = page["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
        alerts.extend(items.into_iter().filter(|alert| alert["rule_id"] == rule.as_str()));
        match page["next"].as_str() {
            Some(next) => before = Some(next.to_owned()),
            None => return Ok(alerts),
        }
    }
    anyhow::bail!("the rule has more than {} alerts; give a shorter time with --since", PAGES_MAX * 1_000)
}

fn collect(client: &Client, rule: &RuleId, from: Timestamp) -> anyhow::Result<Cases> {
    let mut cases = Cases::default();
    // However old it is, a true positive must not be lost.
    let closed = list(client, rule, &[("status", "closed")])?;
    let recent = list(client, rule, &[("from", &from.to_string())])?;
    let is_true = |alert: &&Json| alert["reason"] == "true_positive";
    let progress = std::io::stderr().is_terminal();
    for alert in closed.iter().filter(is_true).chain(recent.iter().filter(|alert| !is_true(alert))) {
        let id = alert["id"].as_u64().context("an alert has no number")?;
        let to = match alert["reason"].as_str() {
            Some("true_positive") => &mut cases.keep,
            Some("false_positive" | "benign") => &mut cases.noise,
            _ => &mut cases.unknown,
        };
        if to.len() >= CASES_MAX && alert["reason"] != "true_positive" {
            continue;
        }
        if progress {
            eprint!("\ralert {id} ");
            let _ = std::io::stderr().flush();
        }
        // An alert without its proof or its events cannot be judged; it is counted as such.
        let evidence = client.get(&format!("/api/v1/alerts/{id}/evidence"), &[]).unwrap_or_default();
        let mut case = Case {
            alert: id,
            events: events(&evidence)?,
            earlier: Vec::new(),
            indicators: indicators_of(&evidence["condition"]),
        };
        if alert["reason"] == "true_positive" {
            let rows = client.get(&format!("/api/v1/alerts/{id}/events"), &[])?;
            case.earlier = rows["items"].as_array().into_iter().flatten().map(pairs_of_row).collect();
        }
        to.push(case);
    }
    if progress {
        eprint!("\r\x1b[K");
    }
    Ok(cases)
}

/// The events of evidence in the order of their receipt; none if one of them is gone.
fn events(evidence: &Json) -> anyhow::Result<Vec<Event>> {
    let mut events = Vec::new();
    for event in evidence["events"].as_array().into_iter().flatten() {
        let Some(encoded) = event["encoded"].as_str() else { return Ok(Vec::new()) };
        let bytes = STANDARD.decode(encoded).context("the server sent an event that is not base64")?;
        events.push(codec::decode(&bytes).context("the server sent an event that cannot be read")?);
    }
    events.sort_by_key(|event| (event.received, event.id));
    Ok(events)
}

/// What a filter could name of an event as the API shows it.
fn pairs_of_row(row: &Json) -> Pairs {
    let plain = |value: &Json| match value {
        Json::Bool(value) => Some(Value::Bool(*value)),
        Json::Number(number) => number.as_i64().map(Value::Integer),
        Json::String(text) => Some(Value::text(text.as_str())),
        _ => None,
    };
    let named = [&row["fields"], &row["attrs"]].into_iter().filter_map(Json::as_object).flatten();
    named.filter_map(|(name, value)| Pair::new(name, &plain(value)?)).collect()
}

fn print_outcome(outcome: &Outcome, args: &TuneArgs) {
    println!(
        "judged again: {} alerts of noise, {} true positives, {} positive samples",
        outcome.noise, outcome.keep, outcome.samples
    );
    if outcome.left_out > 0 {
        println!(
            "{} more alerts do not fire again (events gone, or the rule has changed) and are left out",
            outcome.left_out
        );
    }
    if !outcome.unproven.is_empty() {
        println!(
            "warning: of the true positives {} nothing can be proved: they do not fire again even without a filter. No \
             proposal names a value of their known events.",
            numbers(&outcome.unproven)
        );
    }
    if outcome.keep == 0 && outcome.samples == 0 {
        println!(
            "nothing says what must be kept: close an alert of `{}` as a true positive, or name the folder of the rule \
             with --rules",
            safe(&args.rule)
        );
        return;
    }
    if outcome.noise == 0 {
        println!("no alert of the last {} is closed as a false positive or as benign", safe(&args.since));
        return;
    }
    if outcome.proposals.is_empty() {
        println!("no one or two values separate the noise from what must be kept");
        return;
    }
    for (number, proposal) in (1..).zip(&outcome.proposals) {
        println!();
        println!("# proposal {number}: takes {} of {} alerts of noise", proposal.noise, outcome.noise);
        println!(
            "# proof: with this filter all {} true positives and all {} positive samples fire",
            outcome.keep, outcome.samples
        );
        if !proposal.unknown.is_empty() {
            println!(
                "# warning: it also takes {} alerts that nobody has decided about: {}",
                proposal.unknown.len(),
                numbers(&proposal.unknown)
            );
        }
        print!("{}", safe_lines(&proposal.text));
    }
    println!();
}

/// The first of them, and how many more there are.
fn numbers(alerts: &[u64]) -> String {
    const SHOWN: usize = 20;
    let mut text = alerts.iter().take(SHOWN).map(u64::to_string).collect::<Vec<_>>().join(", ");
    if alerts.len() > SHOWN {
        text.push_str(&format!(" and {} more", alerts.len() - SHOWN));
    }
    text
}
