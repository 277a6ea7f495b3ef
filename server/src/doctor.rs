//! `canh doctor`: looks for what is wrong with an installation, and says what to do about it.

use std::path::Path;

use nix::sys::statvfs::statvfs;
use serde_json::Value;

use crate::client::Client;
use crate::terminal::{colours, safe};

/// What a check found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Verdict {
    Good,
    Warning,
    Bad,
}

#[derive(Debug)]
struct Answer {
    verdict: Verdict,
    what: String,
    /// What to do; empty when nothing is to be done.
    advice: String,
}

impl Answer {
    fn good(what: impl Into<String>) -> Self {
        Self { verdict: Verdict::Good, what: what.into(), advice: String::new() }
    }

    fn new(verdict: Verdict, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict, what: what.into(), advice: advice.into() }
    }
}

/// Free space below which the journal and the store are in danger.
const FREE_WARNING: u64 = 5 << 30;
const FREE_BAD: u64 = 1 << 30;

/// Runs every check. `false` if something is bad.
pub(crate) fn run(data: &Path) -> bool {
    let mut answers = vec![directory(data)];
    if answers[0].verdict != Verdict::Bad {
        answers.push(space(data));
        answers.extend(server(data));
    }
    for answer in &answers {
        let colours = colours();
        let mark = match answer.verdict {
            Verdict::Good => colours.good("ok     "),
            Verdict::Warning => colours.warning("warning"),
            Verdict::Bad => colours.bad("bad    "),
        };
        println!("{mark}  {}", safe(&answer.what));
        if !answer.advice.is_empty() {
            println!("         {}", safe(&answer.advice));
        }
    }
    answers.iter().all(|answer| answer.verdict != Verdict::Bad)
}

fn directory(data: &Path) -> Answer {
    match std::fs::metadata(data) {
        Ok(metadata) if metadata.is_dir() => Answer::good(format!("data directory `{}` is there", data.display())),
        Ok(_) => Answer::new(
            Verdict::Bad,
            format!("`{}` is not a directory", data.display()),
            "give the data directory with --data",
        ),
        Err(error) => Answer::new(
            Verdict::Bad,
            format!("cannot look at the data directory `{}`: {error}", data.display()),
            "give the directory that the server was started with: canh doctor --data DIR",
        ),
    }
}

fn space(data: &Path) -> Answer {
    match statvfs(data) {
        Ok(stat) => {
            let free = stat.blocks_available() * stat.fragment_size();
            let what = format!("{:.1} GiB free where the data is", free as f64 / (1_u64 << 30) as f64);
            match free {
                ..FREE_BAD => Answer::new(Verdict::Bad, what, "make room: at zero the server stops taking logs in"),
                FREE_BAD..FREE_WARNING => Answer::new(
                    Verdict::Warning,
                    what,
                    "make room, or keep events for fewer days (`store.retention_days`)",
                ),
                _ => Answer::good(what),
            }
        }
        Err(error) => Answer::new(Verdict::Warning, format!("cannot ask for free space: {error}"), "look with `df`"),
    }
}

fn server(data: &Path) -> Vec<Answer> {
    let client = match Client::of(data) {
        Ok(client) => client,
        Err(error) => return vec![Answer::new(Verdict::Bad, format!("{error:#}"), "start the server: canh serve")],
    };
    let mut answers = Vec::new();
    match client.text("/readyz") {
        Ok(_) => answers.push(Answer::good(format!("the server at {} is ready", client.base()))),
        Err(error) => {
            return vec![Answer::new(Verdict::Bad, format!("{error:#}"), "start the server, or read its log")];
        }
    }
    answers.push(page(&client));
    answers.push(asked(&client, "/api/v1/rules", rules));
    answers.push(asked(&client, "/api/v1/agents", agents));
    answers.push(asked(&client, "/api/v1/overview", drops));
    answers
}

fn page(client: &Client) -> Answer {
    match client.text("/") {
        Ok(text) if text.contains("id=\"root\"") => Answer::good("the web client is built in"),
        Ok(_) => Answer::new(
            Verdict::Warning,
            "this program was built without the web client",
            "run `./dev web`, then build again",
        ),
        Err(error) => Answer::new(Verdict::Bad, format!("{error:#}"), "read the log of the server"),
    }
}

fn asked(client: &Client, path: &str, judge: fn(&Value) -> Answer) -> Answer {
    match client.get(path, &[]) {
        Ok(value) => judge(&value),
        Err(error) => Answer::new(Verdict::Bad, format!("{error:#}"), "read the log of the server"),
    }
}

fn rules(list: &Value) -> Answer {
    let (loaded, broken) = (len(&list["items"]), len(&list["errors"]));
    match (loaded, broken) {
        (0, 0) => Answer::new(
            Verdict::Warning,
            "no detection rules are loaded",
            "start with --rules DIR, or set `detection.rules`",
        ),
        (_, 0) => Answer::good(format!("{loaded} detection rules are loaded")),
        _ => Answer::new(
            Verdict::Warning,
            format!("{broken} rules could not be loaded, {loaded} are"),
            "see the Rules page, or run `canh rules check DIR`",
        ),
    }
}

fn agents(list: &Value) -> Answer {
    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let silent: Vec<&str> = items
        .iter()
        .filter(|item| item["kind"] == "agent" && item["status"] == "silent")
        .filter_map(|item| item["host"].as_str().or(item["id"].as_str()))
        .collect();
    if silent.is_empty() {
        Answer::good(format!("{} senders are known, no agent is silent", items.len()))
    } else {
        Answer::new(
            Verdict::Warning,
            format!("silent agents: {}", silent.join(", ")),
            "look at the service canh-agent on these machines",
        )
    }
}

fn drops(overview: &Value) -> Answer {
    let dropped = overview["dropped"].as_array().map(Vec::as_slice).unwrap_or_default();
    let lost: Vec<String> = dropped
        .iter()
        .filter(|row| row["count"].as_u64() > Some(0))
        .map(|row| {
            format!(
                "{} {} ({})",
                row["count"],
                row["reason"].as_str().unwrap_or_default(),
                row["stage"].as_str().unwrap_or_default()
            )
        })
        .collect();
    if lost.is_empty() {
        Answer::good("nothing was dropped since the server started")
    } else {
        Answer::new(
            Verdict::Warning,
            format!("dropped since the server started: {}", lost.join(", ")),
            "docs/sending.md explains each reason",
        )
    }
}

fn len(value: &Value) -> usize {
    value.as_array().map_or(0, Vec::len)
}
