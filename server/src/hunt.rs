//! `canh hunt` and `canh tail`: events on the terminal, one line each, or as JSON lines.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use canh_messages::Key;
use canh_schema::Timestamp;
use serde_json::Value;

use crate::cli::{HuntArgs, TailArgs};
use crate::client::{Client, Follow};
use crate::terminal::{Colours, colours, safe, say};

/// Events asked for at a time.
const PAGE: u32 = 1_000;

pub(crate) fn hunt(args: &HuntArgs) -> anyhow::Result<()> {
    let client = Client::of(&args.data.data)?;
    let now = Timestamp::now();
    let from = match &args.from {
        Some(text) => moment(text)?,
        None => now.saturating_sub(span(&args.since)?),
    };
    let to = args.to.as_deref().map_or(Ok(now), moment)?;
    let mut out = std::io::stdout().lock();
    let mut count = 0_u64;
    let mut kept = Vec::new();
    search(&client, &args.query, from, to, args.limit, |event| {
        count += 1;
        if args.json {
            return print(&mut out, &event, true);
        }
        kept.push(event);
        Ok(())
    })?;
    // A person reads from the bottom, so the newest is printed last. JSON goes out as it comes, the newest first.
    for event in kept.iter().rev() {
        print(&mut out, event, false)?;
    }
    if count == 0 {
        eprintln!("{}", nothing(&client, &args.query, from, to)?);
    } else if !args.json {
        let more = if count >= u64::from(args.limit) { "; there may be more, raise --limit" } else { "" };
        eprintln!("{count} events from {from} to {to}{more}");
    }
    Ok(())
}

/// Why nothing may have been found: everything that there is lies outside of the range.
fn nothing(client: &Client, query: &str, from: Timestamp, to: Timestamp) -> anyhow::Result<String> {
    let newest = |query: &str| {
        let mut newest = None;
        search(client, query, Timestamp::MIN, Timestamp::MAX, 1, |event| {
            newest = event["time"].as_str().map(|time| safe(time).into_owned());
            Ok(())
        })?;
        anyhow::Ok(newest)
    };
    let (from, to) = (&from.to_string(), &to.to_string());
    if let Some(time) = newest(query)? {
        return Ok(say(Key::HuntNothingInRange, &[("from", from), ("to", to), ("time", &time)]));
    }
    Ok(match newest("")? {
        Some(time) => say(Key::HuntNothingMatches, &[("time", &time)]),
        None => say(Key::HuntStoreEmpty, &[]),
    })
}

fn search(
    client: &Client,
    query: &str,
    from: Timestamp,
    to: Timestamp,
    limit: u32,
    mut take: impl FnMut(Value) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (from, to) = (from.to_string(), to.to_string());
    let mut rest = limit;
    let mut before: Option<String> = None;
    while rest > 0 {
        let size = rest.min(PAGE).to_string();
        let mut parameters = vec![("q", query), ("from", &from), ("to", &to), ("limit", &size)];
        if let Some(before) = &before {
            parameters.push(("before", before));
        }
        let mut page = client.get("/api/v1/events", &parameters)?;
        if let Value::Array(items) = page["items"].take() {
            rest = rest.saturating_sub(u32::try_from(items.len())?);
            items.into_iter().try_for_each(&mut take)?;
        }
        match page["next"].as_str() {
            Some(next) => before = Some(next.to_owned()),
            None => break,
        }
    }
    Ok(())
}

pub(crate) fn tail(args: &TailArgs) -> anyhow::Result<()> {
    let client = Client::of(&args.data.data)?;
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut out = std::io::stdout().lock();
    client.follow("/api/v1/events/tail", &[("q", &args.query)], |name, data| {
        match name {
            "event" => {
                let event: Value = serde_json::from_str(data).context("the server sent something that is not JSON")?;
                print(&mut out, &event, args.json)?;
                out.flush()?;
                left -= 1;
            }
            "dropped" => {
                let dropped: Value = serde_json::from_str(data).unwrap_or_default();
                eprintln!("-- {} events were not shown because this terminal is too slow", dropped["count"]);
            }
            _ => {}
        }
        Ok(if left == 0 { Follow::Stop } else { Follow::On })
    })
}

fn print(out: &mut impl Write, event: &Value, json: bool) -> anyhow::Result<()> {
    // A pipe that was closed (`| head`) is the reader's way to say that it has enough.
    let written = if json { writeln!(out, "{event}") } else { writeln!(out, "{}", line(event, colours())) };
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.context("cannot write the output"),
    }
}

/// Time, host, data set, message.
fn line(event: &Value, colours: Colours) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let field = |name: &str| text(&event["fields"][name]);
    let message = Some(text(&event["message"])).filter(|message| !message.is_empty()).unwrap_or_else(|| summary(event));
    format!(
        "{} {} {} {}",
        colours.dim(&text(&event["time"])),
        safe(&field("host.name")),
        colours.dim(&safe(&field("event.dataset"))),
        safe(&message)
    )
}

/// What stands in for a message in a record that has none.
fn summary(event: &Value) -> String {
    let raw = event["raw"].as_str().unwrap_or_default();
    if !raw.is_empty() {
        return raw.to_owned();
    }
    let fields = event["fields"].as_object().into_iter().flatten();
    let parts: Vec<String> = fields
        .filter(|(name, _)| !SHOWN.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}={}", plain(value)))
        .collect();
    parts.join(" ")
}

const SHOWN: [&str; 4] = ["host.name", "event.dataset", "canh.source", "agent.id"];

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A time or a span on the command line that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not {what}; write for example {example}")]
pub(crate) struct WrongTime {
    text: String,
    what: &'static str,
    example: &'static str,
}

pub(crate) fn moment(text: &str) -> Result<Timestamp, WrongTime> {
    let error = || WrongTime {
        text: text.to_owned(),
        what: "a time between the years 1677 and 2262",
        example: "2026-01-31T08:00:00+07:00",
    };
    Timestamp::parse_rfc3339(text).filter(|at| *at > Timestamp::MIN && *at < Timestamp::MAX).ok_or_else(error)
}

/// `90s`, `30m`, `24h`, `7d` or `2w`.
pub(crate) fn span(text: &str) -> Result<Duration, WrongTime> {
    let error = || WrongTime { text: text.to_owned(), what: "a time span", example: "30m, 24h or 7d" };
    canh_config::duration::parse(text).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(span(text).ok().map(|span| span.as_secs()), expected, "input: {text:?}");
    }

    #[test]
    fn spans() {
        check("90s", Some(90));
        check("24h", Some(86_400));
        check("7d", Some(604_800));
        check("h", None);
        check("24", None);
        check("-1h", None);
        check("", None);
        check("5é", None);
    }

    #[test]
    fn a_log_line_cannot_drive_the_terminal() {
        let event = json!({"time": "2026-01-31T01:00:00Z", "fields": {"host.name": "a\u{1b}[31m"}, "message": "x\u{1b}]0;owned\u{7}\n2026 fake line"});
        let shown = line(&event, Colours::Off);
        assert_eq!(shown, "2026-01-31T01:00:00Z a\\u{1b}[31m  x\\u{1b}]0;owned\\u{7}\\n2026 fake line");
    }
}
