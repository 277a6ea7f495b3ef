//! Audit records of Linux as the kernel writes them, decoded and joined as in production: which public rules and which
//! of our own hold, with the reason of each.

#[allow(dead_code, reason = "each test uses a part")]
mod support;

use std::collections::BTreeMap;

use canh_detection::{Engine, EngineConfig, load_paths};
use canh_schema::Timestamp;
use support::{engine, events, findings, rules, shared};

/// File, rule, findings, and what in the records makes it hold.
const VERDICTS: &[(&str, &str, usize, &str)] = &[
    ("auparse_testdata_audit-rhel7.log", "Creation Of An User Account", 1, "a record ADD_USER of useradd"),
    ("auparse_testdata_audit-rhel7.log", "Linux Keylogging with Pam.d", 3, "one record TTY and two USER_TTY"),
    (
        "sh_arp_cache_2020-11-10074812.log",
        "Linux Remote System Discovery",
        1,
        "`arp -a`; needs SYSCALL and EXECVE joined",
    ),
    ("sh_binary_padding_dd_2020-11-10081941.log", "Binary Padding - Linux", 1, "`dd if=/dev/zero bs=1 count=1`"),
    ("sh_binary_padding_dd_2020-11-10081941.log", "Overwriting the File with Dev Zero or Null", 1, "the same"),
];

#[test]
fn verdicts_over_raw_audit_records() {
    let Some(data) = shared::data() else { return };
    let (_dir, public) = shared::public_rules(&data);
    let received = Timestamp::parse_rfc3339("2026-11-22T09:00:00Z").expect("a time");
    let mut found: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut proofs = Vec::new();
    let mut records = 0;
    let (mut public, mut own) = (Engine::new(load_paths(&public), EngineConfig::default()), engine(&[rules()]));
    let mut position = 0;
    shared::each_file(&data.join("linux/auditd-raw.tar.gz"), |name, bytes| {
        if !name.ends_with(".log") {
            return;
        }
        position += 1;
        let batch = events(&bytes, None, "recorded", position, received);
        records += batch.events.len();
        let file = name.rsplit('/').next().unwrap_or(name);
        for engine in [&mut public, &mut own] {
            for finding in findings(engine, &batch) {
                proofs.push(format!("{file}: {}: {:?}", finding.rule.title, finding.matches));
                *found.entry((file.to_owned(), finding.rule.title.to_string())).or_default() += 1;
            }
        }
    });
    let shown: Vec<_> = found.iter().map(|((file, rule), count)| (file.as_str(), rule.as_str(), *count)).collect();
    let known: Vec<_> = VERDICTS.iter().map(|(file, rule, count, _)| (*file, *rule, *count)).collect();
    eprintln!("{records} records, {} verdicts", shown.len());
    assert_eq!(shown, known, "{proofs:#?}");
}
