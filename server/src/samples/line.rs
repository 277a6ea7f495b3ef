//! The log lines of one scan: `yara_match` for each rule that matches, and one `yara_scan` for the file, so that what
//! was clean, and what was not looked at, can be found later.

use std::net::IpAddr;

use canh_collector::SampleOrigin;
use canh_schema::Timestamp;
use canh_yara::{RuleMatch, ScanReport};
use serde::Serialize;

/// One line. The keys of the log source come first, because the decoder looks for them there.
#[derive(Debug, Serialize)]
struct Line<'a> {
    _product: &'static str,
    _service: &'static str,
    #[serde(rename = "@timestamp")]
    time: &'a str,
    message: String,
    #[serde(rename = "event.action")]
    action: &'static str,
    #[serde(rename = "event.category")]
    category: &'static str,
    #[serde(rename = "event.dataset")]
    dataset: &'static str,
    #[serde(rename = "host.name", skip_serializing_if = "str::is_empty")]
    host: &'a str,
    #[serde(rename = "file.name", skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(rename = "file.path", skip_serializing_if = "str::is_empty")]
    path: &'a str,
    #[serde(rename = "file.extension", skip_serializing_if = "str::is_empty")]
    extension: &'a str,
    #[serde(rename = "file.owner", skip_serializing_if = "str::is_empty")]
    owner: &'a str,
    #[serde(rename = "file.uid", skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    #[serde(rename = "file.gid", skip_serializing_if = "Option::is_none")]
    gid: Option<String>,
    #[serde(rename = "file.mode", skip_serializing_if = "str::is_empty")]
    mode: &'a str,
    #[serde(rename = "file.mtime", skip_serializing_if = "str::is_empty")]
    modified: &'a str,
    #[serde(rename = "file.size")]
    size: u64,
    #[serde(rename = "file.hash.md5")]
    md5: &'a str,
    #[serde(rename = "file.hash.sha256")]
    sha256: &'a str,
    #[serde(flatten)]
    transfer: Option<TransferPart<'a>>,
    /// Set if the result is that of an earlier scan.
    #[serde(rename = "yara.known", skip_serializing_if = "Option::is_none")]
    known: Option<bool>,
    #[serde(flatten)]
    rule: Option<RulePart<'a>>,
    #[serde(flatten)]
    scan: Option<ScanPart<'a>>,
}

/// What only a file has that was seen in traffic: by these its flow is found.
#[derive(Clone, Debug, Serialize)]
struct TransferPart<'a> {
    #[serde(rename = "source.ip", skip_serializing_if = "Option::is_none")]
    source_ip: Option<IpAddr>,
    #[serde(rename = "source.port", skip_serializing_if = "Option::is_none")]
    source_port: Option<u16>,
    #[serde(rename = "destination.ip", skip_serializing_if = "Option::is_none")]
    destination_ip: Option<IpAddr>,
    #[serde(rename = "destination.port", skip_serializing_if = "Option::is_none")]
    destination_port: Option<u16>,
    #[serde(rename = "network.community_id", skip_serializing_if = "str::is_empty")]
    community_id: &'a str,
    #[serde(rename = "network.protocol", skip_serializing_if = "str::is_empty")]
    protocol: &'a str,
    #[serde(rename = "url.full", skip_serializing_if = "str::is_empty")]
    url: &'a str,
    #[serde(rename = "http.request.method", skip_serializing_if = "str::is_empty")]
    method: &'a str,
    #[serde(rename = "http.response.status_code", skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(rename = "file.mime_type", skip_serializing_if = "str::is_empty")]
    content_type: &'a str,
    #[serde(rename = "transfer.direction", skip_serializing_if = "str::is_empty")]
    direction: &'a str,
    #[serde(rename = "transfer.encoding", skip_serializing_if = "str::is_empty")]
    encoding: &'a str,
    #[serde(rename = "transfer.part", skip_serializing_if = "str::is_empty")]
    part: &'a str,
}

impl<'a> TransferPart<'a> {
    fn of(origin: &'a SampleOrigin) -> Option<Self> {
        let is_http = origin.protocol.is_empty() || origin.protocol == "http";
        let was_seen = origin.source_ip.is_some() || !origin.community_id.is_empty() || !origin.url.is_empty();
        was_seen.then(|| Self {
            source_ip: origin.source_ip,
            source_port: origin.source_port,
            destination_ip: origin.destination_ip,
            destination_port: origin.destination_port,
            community_id: &origin.community_id,
            protocol: &origin.protocol,
            url: &origin.url,
            method: if is_http { &origin.method } else { "" },
            status: origin.status,
            content_type: &origin.content_type,
            direction: &origin.direction,
            encoding: &origin.encoding,
            part: &origin.part,
        })
    }
}

/// When it happened: a transfer has a time of its own, which is not later than ours.
fn time_of(origin: &SampleOrigin, received: Timestamp) -> Timestamp {
    Timestamp::parse_rfc3339(&origin.observed).map_or(received, |observed| observed.min(received))
}

/// What only a match has.
#[derive(Debug, Serialize)]
struct RulePart<'a> {
    #[serde(rename = "rule.name")]
    name: &'a str,
    #[serde(rename = "rule.ruleset")]
    ruleset: &'a str,
    #[serde(rename = "rule.description", skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(rename = "rule.author", skip_serializing_if = "Option::is_none")]
    author: Option<&'a str>,
    #[serde(rename = "rule.reference", skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(rename = "yara.rule")]
    rule: &'a str,
    #[serde(rename = "yara.tags", skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    #[serde(rename = "yara.score", skip_serializing_if = "Option::is_none")]
    score: Option<&'a str>,
    #[serde(rename = "yara.severity", skip_serializing_if = "Option::is_none")]
    severity: Option<&'a str>,
    #[serde(rename = "yara.strings", skip_serializing_if = "Vec::is_empty")]
    strings: Vec<String>,
    #[serde(rename = "yara.strings_left_off", skip_serializing_if = "is_zero")]
    strings_left_off: u64,
    #[serde(rename = "yara.member.path", skip_serializing_if = "Option::is_none")]
    member_path: Option<&'a str>,
    #[serde(rename = "yara.member.size", skip_serializing_if = "Option::is_none")]
    member_size: Option<u64>,
    #[serde(rename = "yara.member.sha256", skip_serializing_if = "Option::is_none")]
    member_sha256: Option<&'a str>,
}

/// What only the line about the whole file has.
#[derive(Debug, Serialize)]
struct ScanPart<'a> {
    #[serde(rename = "yara.matches")]
    matches: usize,
    #[serde(rename = "yara.rules", skip_serializing_if = "Vec::is_empty")]
    rules: Vec<&'a str>,
    #[serde(rename = "yara.members")]
    members: u32,
    #[serde(rename = "yara.bytes_scanned")]
    bytes_scanned: u64,
    #[serde(rename = "yara.gaps", skip_serializing_if = "Vec::is_empty")]
    gaps: Vec<&'static str>,
    #[serde(rename = "yara.gaps_at", skip_serializing_if = "Vec::is_empty")]
    gaps_at: Vec<String>,
}

// The signature is the one that serde asks for.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Where a result comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Told {
    Fresh,
    /// The same bytes were scanned before, and not sent again.
    Known,
}

/// The lines, and how many they are.
pub(super) fn lines(origin: &SampleOrigin, received: Timestamp, report: &ScanReport, told: Told) -> (Vec<u8>, u64) {
    let info = super::info_of(origin);
    let time = time_of(origin, received).to_string();
    let transfer = TransferPart::of(origin);
    let shown = match (origin.path.as_str(), origin.url.as_str(), info.filename.as_str()) {
        ("", "", "") => "a file without a name",
        ("", "", name) => name,
        ("", url, _) => url,
        (path, ..) => path,
    };
    let line = |action, message, rule, scan| Line {
        _product: "canh",
        _service: "yara",
        time: &time,
        message,
        action,
        category: if action == MATCH { "malware" } else { "file" },
        dataset: "canh.yara",
        host: &origin.host,
        name: &info.filename,
        path: &origin.path,
        extension: info.extension.trim_start_matches('.'),
        owner: &origin.owner,
        uid: origin.uid.map(|number| number.to_string()),
        gid: origin.gid.map(|number| number.to_string()),
        mode: &origin.mode,
        modified: &origin.modified,
        size: report.size,
        md5: &report.hashes.md5,
        sha256: &report.hashes.sha256,
        transfer: transfer.clone(),
        known: (told == Told::Known).then_some(true),
        rule,
        scan,
    };
    let mut lines = Vec::new();
    let mut put = |line: Line<'_>| {
        // Texts and numbers are always JSON; there is nothing in a line that could fail.
        if serde_json::to_writer(&mut lines, &line).is_ok() {
            lines.push(b'\n');
        }
    };
    for found in &report.matches {
        let at = found.member.as_ref().map_or(shown, |member| &member.path);
        put(line(MATCH, format!("YARA rule `{}` matches `{at}`", found.rule), Some(rule_part(found)), None));
    }
    let message = match report.matches.len() {
        0 => format!("no YARA rule matches `{shown}`"),
        count => format!("`{shown}` was scanned, matches of YARA rules: {count}"),
    };
    put(line(SCAN, message, None, Some(scan_part(report))));
    (lines, report.matches.len() as u64 + 1)
}

const MATCH: &str = "yara_match";
const SCAN: &str = "yara_scan";

fn rule_part(found: &RuleMatch) -> RulePart<'_> {
    let member = found.member.as_ref();
    RulePart {
        name: &found.rule,
        ruleset: &found.namespace,
        description: found.meta("description"),
        author: found.meta("author"),
        reference: found.meta("reference"),
        rule: &found.rule,
        tags: &found.tags,
        score: found.meta("score"),
        severity: found.meta("severity"),
        strings: found
            .hits
            .iter()
            .map(|hit| format!("{} at {} length {}: {}", hit.identifier, hit.offset, hit.len, hit.excerpt))
            .collect(),
        strings_left_off: found.hits_left_off,
        member_path: member.map(|member| member.path.as_str()),
        member_size: member.map(|member| member.size),
        member_sha256: member.map(|member| member.sha256.as_str()),
    }
}

fn scan_part(report: &ScanReport) -> ScanPart<'_> {
    let mut rules: Vec<&str> = report.matches.iter().map(|found| found.rule.as_str()).collect();
    rules.sort_unstable();
    rules.dedup();
    ScanPart {
        matches: report.matches.len(),
        rules,
        members: report.members,
        bytes_scanned: report.bytes_scanned,
        gaps: report.gaps.keys().map(|reason| reason.name()).collect(),
        gaps_at: report
            .gaps
            .iter()
            .filter(|(_, gap)| !gap.first.is_empty())
            .map(|(reason, gap)| format!("{}: {}", reason.name(), gap.first))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use canh_yara::{RuleFiles, ScanLimits};
    use serde_json::Value;

    use super::*;

    fn lines_of(rule: &str, bytes: &'static [u8], path: &str) -> Vec<Value> {
        let mut files = RuleFiles::default();
        files.add(Path::new("r.yar"), "r.yar", rule.to_owned());
        let origin = SampleOrigin {
            path: path.to_owned(),
            host: "web01".to_owned(),
            owner: "www-data".to_owned(),
            uid: Some(33),
            mode: "0640".to_owned(),
            modified: "2026-11-27T08:00:00Z".to_owned(),
            ..SampleOrigin::default()
        };
        let report = files.compile().scanner.scan(bytes, &super::super::info_of(&origin), &ScanLimits::default());
        let (text, count) = lines(&origin, Timestamp::from_secs(1_790_000_000), &report, Told::Fresh);
        let text = String::from_utf8(text).expect("UTF-8");
        assert!(text.lines().all(|line| line.starts_with(r#"{"_product":"canh","_service":"yara","#)), "{text}");
        let values: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(values.len() as u64, count);
        values
    }

    #[test]
    fn a_match_is_a_line_and_so_is_the_scan() {
        let rule = "rule r : tag { meta: severity = \"high\" strings: $a = \"bad\\n\" condition: $a }";
        let values = lines_of(rule, b"so bad\n", "/srv/a.PHP");
        assert_eq!(values.len(), 2);
        for (key, expected) in [
            ("event.action", "yara_match"),
            ("message", "YARA rule `r` matches `/srv/a.PHP`"),
            ("host.name", "web01"),
            ("file.name", "a.PHP"),
            ("file.path", "/srv/a.PHP"),
            ("file.extension", "php"),
            ("file.owner", "www-data"),
            ("file.uid", "33"),
            ("file.mode", "0640"),
            ("file.mtime", "2026-11-27T08:00:00Z"),
            ("rule.name", "r"),
            ("rule.ruleset", "r.yar"),
            ("yara.severity", "high"),
        ] {
            assert_eq!(values[0][key], expected, "{key}");
        }
        assert_eq!((&values[0]["file.gid"], &values[0]["yara.known"]), (&Value::Null, &Value::Null));
        assert_eq!(values[0]["yara.tags"], serde_json::json!(["tag"]));
        assert_eq!(values[0]["yara.strings"], serde_json::json!(["$a at 3 length 4: { 62 61 64 0a }"]));
        assert_eq!((&values[1]["event.action"], &values[1]["yara.matches"]), (&"yara_scan".into(), &1.into()));
        assert_eq!(values[0]["file.hash.sha256"], values[1]["file.hash.sha256"]);
    }

    #[test]
    fn a_transfer_names_its_flow() {
        let mut files = RuleFiles::default();
        files.add(Path::new("r.yar"), "r.yar", "rule r { condition: filesize > 0 }".to_owned());
        let origin = SampleOrigin {
            name: "a.zip".to_owned(),
            source_ip: Some(IpAddr::from([10, 0, 0, 1])),
            source_port: Some(40_000),
            community_id: "1:abc".to_owned(),
            protocol: "http".to_owned(),
            direction: "to_originator".to_owned(),
            url: "http://x.vn/a.zip".to_owned(),
            method: "GET".to_owned(),
            status: Some(200),
            observed: "2026-11-27T08:00:00Z".to_owned(),
            ..SampleOrigin::default()
        };
        let report = files.compile().scanner.scan(b"x", &super::super::info_of(&origin), &ScanLimits::default());
        for (received, time) in
            [("2026-11-28T00:00:00Z", "2026-11-27T08:00:00Z"), ("2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z")]
        {
            let received = Timestamp::parse_rfc3339(received).expect("a time");
            let time = Timestamp::parse_rfc3339(time).expect("a time").to_string();
            let (text, count) = lines(&origin, received, &report, Told::Fresh);
            assert_eq!(count, 2);
            for line in String::from_utf8(text).expect("UTF-8").lines() {
                let value: Value = serde_json::from_str(line).expect("JSON");
                for (key, expected) in [
                    ("@timestamp", Value::from(time.clone())),
                    ("source.ip", "10.0.0.1".into()),
                    ("source.port", 40_000.into()),
                    ("destination.ip", Value::Null),
                    ("network.community_id", "1:abc".into()),
                    ("url.full", "http://x.vn/a.zip".into()),
                    ("http.response.status_code", 200.into()),
                    ("transfer.direction", "to_originator".into()),
                    ("file.name", "a.zip".into()),
                ] {
                    assert_eq!(value[key], expected, "{key}");
                }
            }
        }
    }

    #[test]
    fn a_clean_file_is_in_the_ledger_with_what_was_not_looked_at() {
        let values = lines_of("rule r { condition: false }", b"Rar!\x1a\x07\x01\x00", "x.rar");
        assert_eq!(values.len(), 1);
        assert_eq!(values[0]["yara.matches"], 0);
        assert_eq!(values[0]["yara.gaps"], serde_json::json!(["not_opened"]));
        assert_eq!(values[0]["rule.name"], Value::Null);
    }
}
