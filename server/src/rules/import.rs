//! `canh rules import`: public rules, unmodified, with a report of which of them can find something here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use canh_detection::{MAPPINGS, RuleKind, RuleSource, load_paths_with};

use super::review::{MARKER, MARKER_TEXT};
use crate::cli::{ImportArgs, WrongUse};
use crate::client::Client;
use crate::terminal::safe_lines;

/// Values of a dimension that are asked for.
const VALUES_MAX: &str = "1000";

/// Log sources that the server has events of; `None` if no server answers.
struct Seen(Option<BTreeMap<&'static str, BTreeSet<String>>>);

/// `true` if every rule loads.
pub(crate) fn run(args: &ImportArgs) -> anyhow::Result<bool> {
    if !args.from.is_dir() {
        return Err(WrongUse(format!("there is no directory `{}`", args.from.display())).into());
    }
    let set = load_paths_with([&args.from], super::pipelines(&args.pipelines)?);
    let seen = Seen::ask(&args.data.data);
    let mut unmapped: BTreeMap<String, u64> = BTreeMap::new();
    let mut sourceless: BTreeMap<String, u64> = BTreeMap::new();
    for rule in &set.rules {
        let RuleKind::Event(event_rule) = &rule.kind else { continue };
        let name = name_of(&event_rule.source);
        if !has_mapping(&event_rule.source) {
            *unmapped.entry(name.clone()).or_default() += 1;
        }
        if !seen.has(&event_rule.source) {
            *sourceless.entry(name).or_default() += 1;
        }
    }
    for error in &set.errors {
        println!("does not load: {}", safe_lines(&error.to_string()));
    }
    let copied = copy(&args.from, &args.into)?;
    let marker = args.into.join(MARKER);
    fs::write(&marker, MARKER_TEXT).with_context(|| format!("cannot write `{}`", marker.display()))?;
    println!(
        "{} rules load, {} do not; {copied} files are in `{}`",
        set.rules.len(),
        set.errors.len(),
        args.into.display()
    );
    report("use the native names of their source, because no mapping is known for it", &unmapped);
    match seen.0 {
        Some(_) => report("have no source here: no event of their kind has come", &sourceless),
        None => println!("no server answers at this data directory, so it is not known which rules have a source here"),
    }
    println!("they raise nothing until they are enabled, on the Rules page or with `canh rules enable`");
    println!(
        "start the server with `--rules {}`, or send it SIGHUP if it has this directory already",
        args.into.display()
    );
    Ok(set.errors.is_empty())
}

fn report(what: &str, sources: &BTreeMap<String, u64>) {
    let total: u64 = sources.values().sum();
    println!("{total} rules {what}");
    let mut sorted: Vec<_> = sources.iter().collect();
    sorted.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), name.as_str()));
    for (name, count) in sorted.iter().take(15) {
        println!("  {count:>5}  {name}");
    }
    if sorted.len() > 15 {
        println!("         and {} more kinds", sorted.len() - 15);
    }
}

fn name_of(source: &RuleSource) -> String {
    let parts = [("product", &source.product), ("service", &source.service), ("category", &source.category)];
    let named: Vec<String> =
        parts.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={value}"))).collect();
    named.join(" ")
}

fn has_mapping(source: &RuleSource) -> bool {
    MAPPINGS.iter().any(|mapping| {
        let fits = |wanted: Option<&str>, named: &Option<compact_str::CompactString>| {
            wanted.is_none_or(|wanted| named.as_deref() == Some(wanted))
        };
        fits(mapping.product, &source.product)
            && fits(mapping.service, &source.service)
            && fits(mapping.category, &source.category)
    })
}

impl Seen {
    fn ask(data: &Path) -> Self {
        let Ok(client) = Client::of(data) else { return Self(None) };
        let mut seen = BTreeMap::new();
        for dimension in ["product", "service", "category"] {
            let query = [("field", dimension), ("limit", VALUES_MAX), ("from", "1970-01-01T00:00:00Z")];
            let Ok(top) = client.get("/api/v1/events/top", &query) else { return Self(None) };
            let values = top["values"].as_array().into_iter().flatten();
            let texts = values.filter_map(|value| value["value"].as_str().map(str::to_lowercase));
            seen.insert(dimension, texts.collect());
        }
        Self(Some(seen))
    }

    fn has(&self, source: &RuleSource) -> bool {
        let Some(seen) = &self.0 else { return true };
        let dimensions = [("product", &source.product), ("service", &source.service), ("category", &source.category)];
        dimensions.iter().all(|(name, value)| {
            value.as_ref().is_none_or(|value| seen.get(name).is_some_and(|seen| seen.contains(value.as_str())))
        })
    }
}

/// Copies the rule files as they are; those that are the same already are left alone. Answers how many there are.
fn copy(from: &Path, into: &Path) -> anyhow::Result<u64> {
    let mut count = 0;
    let mut waiting: Vec<PathBuf> = vec![PathBuf::new()];
    while let Some(inside) = waiting.pop() {
        let dir = from.join(&inside);
        for entry in fs::read_dir(&dir).with_context(|| format!("cannot read `{}`", dir.display()))? {
            let entry = entry?;
            let inside = inside.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                waiting.push(inside);
            } else if kind.is_file()
                && inside.extension().is_some_and(|extension| extension == "yml" || extension == "yaml")
            {
                let target = into.join(&inside);
                let text = fs::read(entry.path())?;
                if let Some(parent) = target.parent() {
                    fs::create_dir_all(parent).with_context(|| format!("cannot make `{}`", parent.display()))?;
                }
                if fs::read(&target).ok().as_ref() != Some(&text) {
                    fs::write(&target, text).with_context(|| format!("cannot write `{}`", target.display()))?;
                }
                count += 1;
            }
        }
    }
    Ok(count)
}
