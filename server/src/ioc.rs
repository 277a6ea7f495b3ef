//! `canh ioc`: looks at lists of indicators, at events that hold them, and back through what is stored.

use std::fs::File;
use std::io::{BufReader, Read, Write};

use anyhow::{Context, ensure};
use canh_collector::{DecodeSettings, Door, Envelope, Framing, decode};
use canh_ioc::{Expired, IndicatorSet, LoadOptions, Loaded, Match, PrivateAddresses, load};
use canh_schema::{Event, Position, Timestamp, Value, field};
use serde_json::json;

use crate::cli::{IocHuntArgs, IocListArgs, IocMatchArgs};
use crate::client::Client;
use crate::hunt::{moment, span};
use crate::ioc_query;
use crate::long_lines::{LineRead, read_line};
use crate::terminal::{safe, safe_lines};

/// Lines that are decoded at a time.
const CHUNK_LINES: usize = 1_000;
/// Longest line that is read.
const LINE_LEN_MAX: usize = 1 << 20;
/// Events asked for at a time.
const PAGE: &str = "1000";

fn read(args: &IocListArgs) -> anyhow::Result<Loaded> {
    for path in &args.paths {
        ensure!(path.exists(), "there is no `{}`", path.display());
    }
    let mut options = LoadOptions::default();
    if args.private {
        options.private = PrivateAddresses::Take;
    }
    for column in &args.columns {
        let (name, meaning) = column.rsplit_once('=').with_context(|| format!("`{column}` is not NAME=MEANING"))?;
        let meaning = canh_ioc::CsvColumn::from_name(meaning)
            .with_context(|| format!("`{meaning}` is no meaning of a column; try value, type, confidence or expiry"))?;
        options.columns.push((name.trim().to_owned(), meaning));
    }
    Ok(load(&args.paths, options))
}

/// `canh ioc check`: `true` if every row could be read.
pub(crate) fn check(args: &IocListArgs) -> anyhow::Result<bool> {
    let loaded = read(args)?;
    let report = &loaded.report;
    for problem in &report.problems {
        let word = match problem.kind {
            canh_ioc::ProblemKind::Error => "error",
            canh_ioc::ProblemKind::Allowed => "allowed",
        };
        println!("{word}: {}", safe_lines(&problem.to_string()));
    }
    if report.problems_more > 0 {
        println!("and {} more", report.problems_more);
    }
    println!("{:<40} {:<6} {:>9} {:>7} {:>7} {:>7}", "file", "format", "taken", "errors", "allowed", "skipped");
    for file in &report.files {
        println!(
            "{:<40} {:<6} {:>9} {:>7} {:>7} {:>7}",
            safe(&file.file),
            file.format,
            file.taken,
            file.errors,
            file.allowed,
            file.skipped
        );
    }
    for count in loaded.set.counts(Timestamp::now()) {
        let expired = if count.expired > 0 { format!(", {} of them expired", count.expired) } else { String::new() };
        println!("{:>9} {}{expired}", count.count, count.kind);
    }
    println!(
        "{} indicators of {} lists, {:.1} MB; {} rows twice, {} allowed, {} not for detection, {} errors",
        loaded.set.len(),
        loaded.set.lists().len(),
        loaded.set.memory_bytes() as f64 / 1e6,
        report.duplicates,
        report.allowed(),
        report.skipped(),
        report.errors()
    );
    Ok(report.errors() == 0)
}

/// For commands that go on: what was refused is told, in a line.
fn read_and_tell(args: &IocListArgs) -> anyhow::Result<IndicatorSet> {
    let Loaded { set, report } = read(args)?;
    if report.errors() > 0 {
        eprintln!("{} rows of the lists cannot be read; `canh ioc check` says which", report.errors());
    }
    ensure!(!set.is_empty(), "there is no indicator in these lists");
    Ok(set)
}

/// `canh ioc match`: events of a file or of the standard input.
pub(crate) fn match_events(args: &IocMatchArgs) -> anyhow::Result<()> {
    let set = read_and_tell(&args.lists)?;
    let input: Box<dyn Read> = match &args.file {
        Some(path) => Box::new(File::open(path).with_context(|| format!("cannot open `{}`", path.display()))?),
        None => Box::new(std::io::stdin().lock()),
    };
    let mut output = Output { out: std::io::stdout().lock(), json: args.json, matches: 0, events: 0 };
    let expired = if args.expired { Expired::Match } else { Expired::Skip };
    let mut input = BufReader::new(input);
    let mut chunk = Vec::new();
    let mut lines = 0;
    let mut position = 1;
    loop {
        // The rest of a line that is too long is left out.
        let read = read_line(&mut input, LINE_LEN_MAX, &mut chunk).context("cannot read the events")?;
        let end = read == LineRead::End;
        if !end {
            chunk.push(b'\n');
        }
        lines += usize::from(!end);
        if lines >= CHUNK_LINES || end {
            for event in events(std::mem::take(&mut chunk), position) {
                output.events += 1;
                let found = set.evaluate_with(&event, event.time, expired);
                found.iter().try_for_each(|one| output.print(&event, one))?;
            }
            lines = 0;
            position += 1;
        }
        if end {
            break;
        }
    }
    eprintln!("{} matches in {} events", output.matches, output.events);
    Ok(())
}

/// Lines as the server decodes them; those that `canh hunt --json` wrote are taken as they are.
fn events(lines: Vec<u8>, position: u64) -> Vec<Event> {
    let viewed: Vec<Option<Event>> =
        lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.trim_ascii().is_empty())
            .map(|line| {
                if line.starts_with(b"{\"id\":") { ioc_query::event(&serde_json::from_slice(line).ok()?) } else { None }
            })
            .collect();
    if !viewed.is_empty() && viewed.iter().all(Option::is_some) {
        return viewed.into_iter().flatten().collect();
    }
    let envelope = Envelope::new(Door::Import, Timestamp::now(), Framing::NdJson, lines.into());
    decode(&envelope, Position::new(position), 0, &DecodeSettings::default()).events
}

/// `canh ioc hunt`: back through the events that the running server has stored.
pub(crate) fn hunt(args: &IocHuntArgs) -> anyhow::Result<()> {
    let set = read_and_tell(&args.lists)?;
    let client = Client::of(&args.data.data)?;
    let now = Timestamp::now();
    let from = match &args.from {
        Some(text) => moment(text)?,
        None => now.saturating_sub(span(&args.since)?),
    };
    let to = args.to.as_deref().map_or(Ok(now), moment)?;
    let query = if args.full { None } else { ioc_query::narrow(set.iter()) };
    match &query {
        Some(_) => eprintln!("{} indicators are few enough to ask for their values", set.len()),
        None => eprintln!("looking at every event from {from} to {to} for {} indicators", set.len()),
    }
    let expired = if args.no_expired { Expired::Skip } else { Expired::Match };
    let mut output = Output { out: std::io::stdout().lock(), json: args.json, matches: 0, events: 0 };
    let (from, to) = (from.to_string(), to.to_string());
    let mut before: Option<String> = None;
    let mut incomplete = false;
    loop {
        let mut parameters =
            vec![("q", query.as_deref().unwrap_or_default()), ("from", &from), ("to", &to), ("limit", PAGE)];
        if let Some(before) = &before {
            parameters.push(("before", before));
        }
        let page = client.get("/api/v1/events", &parameters)?;
        let items = page["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        for item in items {
            output.events += 1;
            // Lists of events cut long values, and a verdict must not depend on that.
            let whole = match (item["cut"].as_bool(), item["id"].as_str()) {
                (Some(true), Some(id)) => Some(client.get(&format!("/api/v1/events/{id}"), &[])?),
                _ => None,
            };
            let Some(event) = ioc_query::event(whole.as_ref().unwrap_or(item)) else {
                incomplete = true;
                continue;
            };
            let found = set.evaluate_with(&event, event.time, expired);
            found.iter().try_for_each(|one| output.print(&event, one))?;
        }
        if let Some(time) = items.last().and_then(|item| item["time"].as_str()) {
            eprintln!("{} events looked at, back to {}; {} matches", output.events, safe(time), output.matches);
        }
        let next = page["next"].as_str().map(str::to_owned);
        incomplete |= page["outcome"]["kind"] != "complete" && next.is_none();
        match next {
            Some(next) => before = Some(next),
            None => break,
        }
    }
    ensure!(!incomplete, "the server did not give every event; ask for a shorter time, with --from and --to");
    eprintln!("{} matches in {} events", output.matches, output.events);
    Ok(())
}

struct Output<W> {
    out: W,
    json: bool,
    matches: u64,
    events: u64,
}

impl<W: Write> Output<W> {
    fn print(&mut self, event: &Event, one: &Match) -> anyhow::Result<()> {
        self.matches += 1;
        let host = event.get(field::HOST_NAME).and_then(Value::as_text).unwrap_or_default();
        let indicator = &one.indicator;
        let written = if self.json {
            let line = json!({
                "event": event.id.to_string(),
                "time": event.time.to_string(),
                "host": host,
                "field": one.field.as_str(),
                "value": one.value.as_str(),
                "type": indicator.kind.name(),
                "indicator": indicator.value.as_str(),
                "list": indicator.list.as_str(),
                "level": indicator.level().name(),
                "confidence": indicator.confidence,
                "expiry": indicator.expiry.map(|at| at.to_string()),
                "expired": one.expired,
                "description": indicator.description.as_str(),
                "tags": indicator.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(),
            });
            writeln!(self.out, "{line}")
        } else {
            writeln!(
                self.out,
                "{} {} {} {}={} {} {} {} {}{}",
                event.id,
                event.time,
                if host.is_empty() { "-".into() } else { safe(&host) },
                safe(&one.field),
                safe(&one.value),
                indicator.kind,
                safe(&indicator.value),
                safe(&indicator.list),
                indicator.confidence,
                if one.expired { " expired" } else { "" }
            )
        };
        match written {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
            other => other.context("cannot write the output"),
        }
    }
}
