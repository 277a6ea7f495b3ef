//! `canh doctor`: looks for what is wrong with an installation, and says what to do about it.

use std::path::Path;

use canh_collector::WARN_DAYS;
use canh_messages::Key;
use nix::sys::statvfs::statvfs;
use serde_json::Value;

use crate::client::Client;
use crate::terminal::{colours, safe, say};

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
    fn good(what: Key, values: &[(&str, &str)]) -> Self {
        Self { verdict: Verdict::Good, what: say(what, values), advice: String::new() }
    }

    fn new(verdict: Verdict, what: Key, values: &[(&str, &str)], advice: Key) -> Self {
        Self { verdict, what: say(what, values), advice: say(advice, &[]) }
    }

    /// The server could not be asked.
    fn failed(error: &anyhow::Error) -> Self {
        let problem = format!("{error:#}");
        Self::new(Verdict::Bad, Key::DoctorFailed, &[("problem", &problem)], Key::DoctorFailedAdvice)
    }
}

/// Free space below which the journal and the store are in danger.
const FREE_WARNING: u64 = 5 << 30;
const FREE_BAD: u64 = 1 << 30;

/// The metric, and the space before its value.
const CERTIFICATE_DAYS: &str = "canh_tls_certificate_days_left ";

/// Runs every check. `false` if something is bad.
pub(crate) fn run(data: &Path) -> bool {
    let mut answers = vec![directory(data)];
    if answers[0].verdict != Verdict::Bad {
        answers.extend(space(data));
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
    let path = data.display().to_string();
    let problem = match std::fs::metadata(data) {
        Ok(metadata) if metadata.is_dir() => return Answer::good(Key::DoctorDirectory, &[("path", &path)]),
        Ok(_) => std::io::Error::from(std::io::ErrorKind::NotADirectory).to_string(),
        Err(error) => error.to_string(),
    };
    let values = [("path", path.as_str()), ("problem", problem.as_str())];
    Answer::new(Verdict::Bad, Key::DoctorNoDirectory, &values, Key::DoctorNoDirectoryAdvice)
}

/// `None` where the file system does not tell.
fn space(data: &Path) -> Option<Answer> {
    let stat = statvfs(data).ok()?;
    let free = stat.blocks_available() * stat.fragment_size();
    let size = format!("{:.1}", free as f64 / (1_u64 << 30) as f64);
    let values = [("size", size.as_str())];
    Some(match free {
        ..FREE_BAD => Answer::new(Verdict::Bad, Key::DoctorSpace, &values, Key::DoctorSpaceAdvice),
        FREE_BAD..FREE_WARNING => Answer::new(Verdict::Warning, Key::DoctorSpace, &values, Key::DoctorSpaceAdvice),
        _ => Answer::good(Key::DoctorSpace, &values),
    })
}

fn server(data: &Path) -> Vec<Answer> {
    let client = match Client::of(data) {
        Ok(client) => client,
        Err(error) => return vec![Answer::failed(&error)],
    };
    if let Err(error) = client.text("/readyz") {
        return vec![Answer::failed(&error)];
    }
    let mut answers = vec![
        Answer::good(Key::DoctorReady, &[("address", client.base())]),
        page(&client),
        asked(&client, "/api/v1/rules", rules),
        asked(&client, "/api/v1/agents", agents),
        asked(&client, "/api/v1/overview", drops),
    ];
    answers.extend(match client.text("/metrics") {
        Ok(metrics) => certificate(&metrics),
        Err(error) => Some(Answer::failed(&error)),
    });
    answers
}

/// `None` where no door has TLS.
fn certificate(metrics: &str) -> Option<Answer> {
    let days = metrics.lines().find_map(|line| line.strip_prefix(CERTIFICATE_DAYS)?.trim().parse::<f64>().ok())?;
    let shown = format!("{:.0}", days.floor());
    let values = [("days", shown.as_str())];
    Some(match days {
        ..0.0 => Answer::new(Verdict::Bad, Key::DoctorCertificateExpired, &[], Key::DoctorCertificateAdvice),
        ..WARN_DAYS => Answer::new(Verdict::Warning, Key::DoctorCertificate, &values, Key::DoctorCertificateAdvice),
        _ => Answer::good(Key::DoctorCertificate, &values),
    })
}

fn page(client: &Client) -> Answer {
    match client.text("/") {
        Ok(text) if text.contains("id=\"root\"") => Answer::good(Key::DoctorPage, &[]),
        Ok(_) => Answer::new(Verdict::Warning, Key::DoctorNoPage, &[], Key::DoctorNoPageAdvice),
        Err(error) => Answer::failed(&error),
    }
}

fn asked(client: &Client, path: &str, judge: fn(&Value) -> Answer) -> Answer {
    client.get(path, &[]).map_or_else(|error| Answer::failed(&error), |value| judge(&value))
}

fn rules(list: &Value) -> Answer {
    let (loaded, broken) = (len(&list["items"]), len(&list["errors"]));
    let (count, broken_count) = (loaded.to_string(), broken.to_string());
    let values = [("count", count.as_str()), ("broken", broken_count.as_str())];
    match (loaded, broken) {
        (0, 0) => Answer::new(Verdict::Warning, Key::DoctorNoRules, &[], Key::DoctorNoRulesAdvice),
        (_, 0) => Answer::good(Key::DoctorRules, &values),
        _ => Answer::new(Verdict::Warning, Key::DoctorBrokenRules, &values, Key::DoctorBrokenRulesAdvice),
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
        return Answer::good(Key::DoctorAgents, &[("count", &items.len().to_string())]);
    }
    Answer::new(Verdict::Warning, Key::DoctorSilent, &[("names", &silent.join(", "))], Key::DoctorSilentAdvice)
}

fn drops(overview: &Value) -> Answer {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let dropped = overview["dropped"].as_array().map(Vec::as_slice).unwrap_or_default();
    let lost: Vec<String> = dropped
        .iter()
        .filter(|row| row["count"].as_u64() > Some(0))
        .map(|row| format!("{} {} ({})", row["count"], text(row, "reason"), text(row, "stage")))
        .collect();
    if lost.is_empty() {
        return Answer::good(Key::DoctorNoDrops, &[]);
    }
    Answer::new(Verdict::Warning, Key::DoctorDrops, &[("list", &lost.join(", "))], Key::DoctorDropsAdvice)
}

fn len(value: &Value) -> usize {
    value.as_array().map_or(0, Vec::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(metrics: &str, expected: Option<Verdict>) {
        assert_eq!(certificate(metrics).map(|answer| answer.verdict), expected, "{metrics:?}");
    }

    #[test]
    fn days_of_the_certificate() {
        check("canh_sources 3\n", None);
        check("# HELP x\ncanh_tls_certificate_days_left 364.9\n", Some(Verdict::Good));
        check("canh_tls_certificate_days_left 29.9\n", Some(Verdict::Warning));
        check("canh_tls_certificate_days_left -0.5\n", Some(Verdict::Bad));
        check("canh_tls_certificate_days_left soon\n", None);
    }
}
