//! The semantics that rules rely on: variables, namespaces, tags and metadata, hits, and the limits of a scan.

mod support;

use std::path::Path;
use std::time::Duration;

use canh_yara::{GapReason, RuleFiles, SampleInfo, ScanLimits};
use support::{CANARY, gaps, scan, scanner};

#[test]
fn a_match_says_what_where_and_from_which_rule() {
    let rule = "rule r : one two { meta: author = \"A\" score = 70 severity = \"high\" real = true \
                strings: $a = \"canary\" $b = { 01 02 ?? } condition: all of them }";
    let report = scan(&scanner(rule), "dir/x.bin", b"..canary\x01\x02\x03canary");
    let [found] = report.matches.as_slice() else { panic!("{report:?}") };
    assert_eq!((found.rule.as_str(), found.namespace.as_str()), ("r", "test.yar"));
    assert_eq!(found.tags, ["one", "two"]);
    assert_eq!((found.meta("Author"), found.meta("score"), found.meta("real")), (Some("A"), Some("70"), Some("true")));
    let hits: Vec<String> =
        found.hits.iter().map(|hit| format!("{}@{}+{} {}", hit.identifier, hit.offset, hit.len, hit.excerpt)).collect();
    assert_eq!(hits, ["$a@2+6 \"canary\"", "$a@11+6 \"canary\"", "$b@8+3 { 01 02 03 }"]);
    assert_eq!(report.hashes.md5.len(), 32);
    assert_eq!(
        scan(&scanner(rule), "e", b"").hashes.sha256,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}

#[test]
fn rules_may_ask_about_the_sample() {
    let ask = |condition: &str, info: &SampleInfo, bytes: &[u8]| {
        let scanner = scanner(&format!("rule r {{ condition: {condition} }}"));
        !scanner.scan(bytes, info, &ScanLimits::default()).matches.is_empty()
    };
    let mut info = SampleInfo::of_path("/var/www/html/a.JSP");
    assert!(ask("filename == \"a.JSP\" and extension == \".jsp\" and filepath startswith \"/var/www\"", &info, b""));
    assert!(ask("owner == \"\" and filetype == \"ELF\"", &info, b"\x7fELF"));
    (info.owner, info.filetype) = ("www-data".to_owned(), "X".to_owned());
    assert!(ask("owner == \"www-data\" and filetype == \"X\"", &info, b"\x7fELF"));
}

#[test]
fn files_do_not_disturb_each_other() {
    let mut files = RuleFiles::default();
    for (name, text) in [
        ("a.yar", "global rule never { condition: false } rule same { condition: true }"),
        ("b.yar", "rule same { condition: true }"),
        ("c.yar", "rule broken { condition: nothing } rule fine { condition: true }"),
    ] {
        files.add(Path::new(name), name, text.to_owned());
    }
    let compiled = files.compile();
    assert_eq!(compiled.problems.len(), 1, "{:?}", compiled.problems);
    let report = scan(&compiled.scanner, "x", b"");
    let found: Vec<_> = report.matches.iter().map(|found| (found.namespace.as_str(), found.rule.as_str())).collect();
    assert_eq!(found, [("b.yar", "same"), ("c.yar", "fine")]);
}

#[track_caller]
fn check_limit(rule: &str, bytes: &[u8], limits: &ScanLimits, reason: GapReason, matches: usize) {
    let report = scanner(rule).scan(bytes, &SampleInfo::of_path("x"), limits);
    assert_eq!((gaps(&report), report.matches.len()), (vec![reason.name()], matches), "rule: {rule}");
}

#[test]
fn a_limit_that_is_hit_is_named() {
    let limits = ScanLimits::default;
    let many = b"canary ".repeat(100);
    check_limit(CANARY, &many, &ScanLimits { bytes_max: 3, ..limits() }, GapReason::FileBytes, 0);
    check_limit(CANARY, &many, &ScanLimits { hits_max: 5, ..limits() }, GapReason::Hits, 1);
    check_limit(CANARY, &many, &ScanLimits { time_max: Duration::ZERO, ..limits() }, GapReason::Time, 0);
    let counted = ScanLimits { string_matches_max: 10, ..limits() };
    check_limit("rule r { strings: $a = \"canary\" condition: #a > 50 }", &many, &counted, GapReason::StringMatches, 0);
    let two = "rule a { condition: true } rule b { condition: true }";
    check_limit(two, b"", &ScanLimits { rules_max: 1, ..limits() }, GapReason::Rules, 1);
}

#[test]
fn a_slow_rule_is_stopped() {
    let rule = "rule slow { condition: for all i in (0..1000000000) : ( uint8(i % filesize) != 1 ) }";
    let limits = ScanLimits { time_max: Duration::from_millis(200), ..ScanLimits::default() };
    let begun = std::time::Instant::now();
    check_limit(rule, b"0000", &limits, GapReason::Time, 0);
    assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
}
