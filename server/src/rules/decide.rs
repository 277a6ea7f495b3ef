//! `canh rules enable` and `canh rules disable`: the same way as in the console, samples and a backtest first.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::Context;
use serde_json::{Value, json};

use super::ask::{print_backtest, run_backtest};
use crate::cli::{DisableArgs, EnableArgs};
use crate::client::Client;
use crate::terminal::safe;

/// `true` if the rule is enabled now.
pub(crate) fn enable(args: &EnableArgs) -> anyhow::Result<bool> {
    let client = Client::of(&args.data.data)?;
    let detail = client.get(&format!("/api/v1/rules/{}", args.rule), &[])?;
    let title = safe(detail["rule"]["title"].as_str().unwrap_or_default()).into_owned();
    let samples = client.get(&format!("/api/v1/rules/{}/samples", args.rule), &[])?;
    let samples = samples["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let failed: Vec<&Value> = samples.iter().filter(|sample| sample["holds"] != true).collect();
    println!("{title}: {} samples, {} do not do what they should", samples.len(), failed.len());
    for sample in &failed {
        println!("  failed: {}", safe(sample["about"].as_str().unwrap_or_default()));
    }
    if samples.is_empty() {
        println!("  it came without samples, so that only the backtest says something about it");
    }
    if !failed.is_empty() {
        return Ok(false);
    }
    let text = detail["text"].as_str().context("the server has no text of this rule")?;
    print_backtest(&run_backtest(&client, text, &args.since)?);
    if !args.yes && !agreed("enable the rule?")? {
        println!("not enabled");
        return Ok(false);
    }
    decide(&client, &args.rule, &detail["hash"], "enabled", args.note.as_deref())?;
    println!("enabled");
    Ok(true)
}

pub(crate) fn disable(args: &DisableArgs) -> anyhow::Result<()> {
    let client = Client::of(&args.data.data)?;
    let detail = client.get(&format!("/api/v1/rules/{}", args.rule), &[])?;
    decide(&client, &args.rule, &detail["hash"], "disabled", args.note.as_deref())?;
    println!("disabled: {}", safe(detail["rule"]["title"].as_str().unwrap_or_default()));
    Ok(())
}

fn decide(client: &Client, rule: &str, hash: &Value, decision: &str, note: Option<&str>) -> anyhow::Result<()> {
    let body = json!({"decision": decision, "hash": hash, "note": note});
    client.send(&format!("/api/v1/rules/{rule}/review"), &body).map(drop)
}

fn agreed(question: &str) -> anyhow::Result<bool> {
    anyhow::ensure!(std::io::stdin().is_terminal(), "nobody is here to ask; say --yes if you agree");
    print!("{question} [y/N] ");
    std::io::stdout().flush().context("cannot write the question")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes" | "c" | "có"))
}
