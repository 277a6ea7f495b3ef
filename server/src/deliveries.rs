//! `canh ledger`: what was delivered, on the terminal. Ends with 1 if something is missing.

use canh_schema::Timestamp;
use serde_json::Value;

use crate::cli::LedgerArgs;
use crate::client::Client;
use crate::hunt::{moment, span};
use crate::terminal::safe;

/// Whether nothing is missing.
pub(crate) fn run(args: &LedgerArgs) -> anyhow::Result<bool> {
    let client = Client::of(&args.data.data)?;
    let now = Timestamp::now();
    let from = match &args.from {
        Some(text) => moment(text)?,
        None => now.saturating_sub(span(&args.since)?),
    };
    let to = args.to.as_deref().map_or(Ok(now), moment)?;
    let (from, to) = (from.to_string(), to.to_string());
    let mut query = vec![("from", from.as_str()), ("to", to.as_str())];
    if let Some(source) = &args.source {
        query.push(("source", source));
    }
    let ledger = client.get("/api/v1/ledger", &query)?;
    if args.json {
        println!("{ledger}");
    } else {
        print!("{}", table(&ledger, args.source.is_some()));
    }
    let lines = ledger["lines"].as_array().into_iter().flatten();
    Ok(lines.filter(|line| line["state"] == "gap").count() == 0 && open_gaps(&ledger).next().is_none())
}

fn open_gaps(ledger: &Value) -> impl Iterator<Item = &Value> {
    ledger["gaps"].as_array().into_iter().flatten().filter(|gap| gap["healed"].is_null())
}

const HEAD: [&str; 10] =
    ["STATE", "SOURCE", "READ", "SENT", "RECEIVED", "JOURNALED", "DETECTED", "STORED", "AGAIN", "LOST"];

/// The counts in columns, then what is missing, one line each.
fn table(ledger: &Value, hours: bool) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    if hours {
        rows[0][1] = "HOUR".to_owned();
    }
    for line in ledger["lines"].as_array().into_iter().flatten() {
        let number = |name: &str| line[name].as_u64().map_or_else(|| "-".to_owned(), |count| count.to_string());
        let text = |name: &str| safe(line[name].as_str().unwrap_or_default()).into_owned();
        let name = match (hours, line["host"].as_str()) {
            (true, _) => text("hour"),
            (false, Some(_)) => format!("{} ({})", text("host"), text("source")),
            (false, None) => text("source"),
        };
        let dropped = line["dropped"].as_array().into_iter().flatten();
        let mut lost: Vec<String> = dropped
            .map(|dropped| format!("{} {}", dropped["records"], safe(dropped["reason"].as_str().unwrap_or_default())))
            .collect();
        if let Some(missed) = line["missed"].as_u64().filter(|missed| *missed > 0) {
            lost.push(format!("about {missed} messages on the way"));
        }
        let lost = if lost.is_empty() { "-".to_owned() } else { lost.join(", ") };
        let counts = ["read", "sent", "received", "journaled", "detected", "stored", "duplicates"].map(number);
        let [read, sent, received, journaled, detected, stored, again] = counts;
        rows.push([text("state"), name, read, sent, received, journaled, detected, stored, again, lost]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 10] = std::array::from_fn(width);
    let mut out = String::new();
    for row in &rows {
        for (place, (cell, width)) in row.iter().zip(widths).enumerate() {
            let gap = " ".repeat(width - cell.chars().count());
            match place {
                0 | 1 => out.push_str(&format!("{cell}{gap}  ")),
                9 => out.push_str(cell),
                _ => out.push_str(&format!("{gap}{cell}  ")),
            }
        }
        out.push('\n');
    }
    for gap in open_gaps(ledger) {
        let text = |name: &str| safe(gap[name].as_str().unwrap_or_default()).into_owned();
        let reason = if text("reason").is_empty() { String::new() } else { format!(" ({})", text("reason")) };
        let spool = if text("spool").is_empty() { String::new() } else { format!(" of spool {}", text("spool")) };
        out.push_str(&format!(
            "missing: {} {}{reason} of {}, {} to {}{spool}\n",
            gap["missing"],
            text("kind"),
            text("source"),
            text("first"),
            text("last")
        ));
    }
    let mut told = Vec::new();
    for line in ledger["lines"].as_array().into_iter().flatten().filter(|line| line["clock_off"] == true) {
        let source = safe(line["source"].as_str().unwrap_or_default()).into_owned();
        if let Some(behind) = line["clock_behind_ms"].as_i64().filter(|_| !told.contains(&source)) {
            out.push_str(&format!(
                "warning: the clock of {source} is {}; rules over several senders miss what it says\n",
                clock(behind)
            ));
            told.push(source);
        }
    }
    if let Some(left) = ledger["gaps_left"].as_u64().filter(|left| *left > 0) {
        out.push_str(&format!("missing: {left} more; choose a shorter time\n"));
    }
    out
}

/// `3 min behind`: how far a clock is away, from milliseconds.
fn clock(behind_ms: i64) -> String {
    let secs = behind_ms.unsigned_abs() / 1_000;
    let (count, unit) = match secs {
        0..60 => (secs, "s"),
        60..3_600 => (secs / 60, "min"),
        3_600..86_400 => (secs / 3_600, "h"),
        _ => (secs / 86_400, "d"),
    };
    format!("{count} {unit} {}", if behind_ms < 0 { "ahead" } else { "behind" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_lines_up_and_says_what_is_missing() {
        let line = |source: &str, state: &str, read: Value, dropped: Value| {
            json!({"source": source, "state": state, "hour": "2026-01-15T01:00:00Z", "read": read, "received": 12,
                   "journaled": 10, "detected": 10, "stored": 10, "duplicates": 2, "missed": 0, "dropped": dropped})
        };
        let mut udp = line("udp", "complete", Value::Null, json!([]));
        udp["clock_off"] = json!(true);
        udp["clock_behind_ms"] = json!(-7_300_000);
        let gap =
            json!({"source": "a\u{1b}b", "kind": "batches", "spool": "ff", "first": "4", "last": "6", "missing": 3});
        let healed = json!({"source": "a", "healed": "2026-01-15T01:00:00Z"});
        let dropped = json!([{"reason": "full", "records": 3}]);
        let ledger = json!({"lines": [line("x", "gap", json!(5), dropped), udp],
                            "gaps": [gap, healed], "gaps_left": 7});
        let expected = "\
STATE     SOURCE  READ  SENT  RECEIVED  JOURNALED  DETECTED  STORED  AGAIN  LOST
gap       x          5     -        12         10        10      10      2  3 full
complete  udp        -     -        12         10        10      10      2  -
missing: 3 batches of a\\u{1b}b, 4 to 6 of spool ff
warning: the clock of udp is 2 h ahead; rules over several senders miss what it says
missing: 7 more; choose a shorter time
";
        assert_eq!(table(&ledger, false), expected);
    }
}
