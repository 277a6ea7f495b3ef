//! Community IDs and what DNS, TLS and HTTP say, against Suricata's events on the same captures.
//!
//! Suricata is a second opinion, not the truth: floors are below what is reached, and `--no-capture` prints what differs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use canh_packet::{FlowConfig, Record};
use serde_json::Value;

const FOLDERS: &[&str] = &["zeek", "malcolm", "suricata-verify", "ja4", "ndpi"];

/// One kind of fact about a capture, as a set.
type Facts = BTreeMap<&'static str, BTreeSet<String>>;

fn add(facts: &mut Facts, kind: &'static str, parts: &[&str]) {
    facts.entry(kind).or_default().insert(parts.join(" "));
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or("-")
}

fn theirs(event: &Value, facts: &mut Facts) {
    match text(event, "/event_type") {
        "flow" if event.get("community_id").is_some() => add(facts, "community id", &[text(event, "/community_id")]),
        "tls" if event.pointer("/tls/ja3/hash").is_some() => {
            add(facts, "tls ja3", &[text(event, "/tls/ja3/hash")]);
            add(facts, "tls name", &[&text(event, "/tls/sni").to_ascii_lowercase()]);
        }
        "dns" => {
            for query in event.pointer("/dns/queries").and_then(Value::as_array).into_iter().flatten() {
                let name = decimal_escapes(&text(query, "/rrname").to_ascii_lowercase());
                add(facts, "dns question", &[&name, text(query, "/rrtype")]);
            }
        }
        "http" if event.pointer("/http/http_method").is_some() => {
            let status = event.pointer("/http/status").map_or_else(|| "-".to_owned(), Value::to_string);
            add(facts, "http request", &[text(event, "/http/http_method"), text(event, "/http/url"), &status]);
        }
        _ => {}
    }
}

/// Suricata writes bytes of names in hexadecimal, the standard in decimal.
fn decimal_escapes(name: &str) -> String {
    let mut parts = name.split("\\x");
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        let byte = u8::from_str_radix(digits, 16).unwrap_or_default();
        result.push_str(&format!("\\{byte:03}{rest}"));
    }
    result
}

fn ours(record: &Record, facts: &mut Facts) {
    match record {
        Record::Flow(flow) => add(facts, "community id", &[&flow.conversation.community_id]),
        Record::Tls(tls) => {
            if let Some(ja3) = &tls.ja3 {
                add(facts, "tls ja3", &[ja3]);
            }
            let name = tls.server_name.as_deref().unwrap_or("-").to_ascii_lowercase();
            add(facts, "tls name", &[&name]);
        }
        Record::Dns(dns) => {
            add(facts, "dns question", &[&dns.question_name.to_ascii_lowercase(), &dns.question_type]);
        }
        Record::Http(http) => {
            let status = http.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
            let [method, uri] = [&http.method, &http.uri].map(|part| part.as_deref().unwrap_or("-"));
            add(facts, "http request", &[method, uri, &status]);
        }
    }
}

/// What Suricata saw in each capture of a folder.
fn read_events(folder: &Path, name: &str) -> Vec<(String, Facts)> {
    let file = fs::File::open(folder.join(format!("suricata-eve/{name}.jsonl.gz"))).unwrap();
    let lines = BufReader::new(flate2::read::MultiGzDecoder::new(file)).lines();
    let mut captures = Vec::new();
    for line in lines {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let mut facts = Facts::new();
        let events = line.get("events").and_then(Value::as_array).into_iter().flatten();
        events.for_each(|event| theirs(event, &mut facts));
        captures.push((text(&line, "/pcap").to_owned(), facts));
    }
    captures
}

#[test]
fn records_say_what_suricata_says() {
    let Some(folder) = crate::data("records_say_what_suricata_says") else { return };
    let mut shares: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for name in FOLDERS {
        for (capture, expected) in read_events(&folder, name) {
            let Some((records, _)) = crate::run(&folder.join(&capture), FlowConfig::default()) else { continue };
            let mut seen = Facts::new();
            records.iter().for_each(|record| ours(record, &mut seen));
            for (kind, facts) in expected {
                let share = shares.entry(kind).or_default();
                let mine = seen.remove(kind).unwrap_or_default();
                for fact in &facts {
                    share.1 += 1;
                    if mine.contains(fact) {
                        share.0 += 1;
                    } else {
                        println!("{kind}: {capture}: {fact}");
                    }
                }
            }
        }
    }
    for (kind, (agree, of)) in shares {
        let thousandths = agree * 1_000 / of.max(1);
        println!("{kind}: {agree} of {of} ({}.{} %)", thousandths / 10, thousandths % 10);
        let floor = match kind {
            "community id" => 985,
            "tls ja3" | "tls name" => 995,
            // Suricata reads HTTP/2 and HTTP/0.9 too, and pairs answers otherwise where packets are missing.
            "http request" => 880,
            _ => 940,
        };
        assert!(of > 50 && thousandths >= floor, "{kind}: below {floor} thousandths");
    }
}
