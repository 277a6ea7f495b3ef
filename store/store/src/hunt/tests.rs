//! The language as a table: what is found, what is refused and how, and that printing and reading go together.

use canh_schema::{BatchId, Event, EventId, IssueKind, LogSource, Timestamp, Value, field};
use proptest::prelude::*;

use super::Hunt;

fn event() -> Event {
    let raw = "Jan 31 08:00:00 LDAP-Svr sshd[77]: Failed password for Nguyễn from 10.0.0.5 port 51122";
    let id = EventId::new(BatchId::from_journal(1, 1), 3);
    let mut event = Event::new(id, Timestamp::from_secs(1_769_821_200), raw.as_bytes().to_vec().into());
    event.logsource = LogSource::product("linux").with_service("sshd").with_category("authentication");
    event.set(field::MESSAGE, "Failed password for Nguyễn from 10.0.0.5 port 51122");
    event.set(field::SOURCE_IP, "10.0.0.5".parse::<std::net::IpAddr>().map(Value::Ip).unwrap());
    event.set(field::SOURCE_PORT, 51_122_i64);
    event.set(field::USER_NAME, "Nguyễn");
    event.set(field::METRIC_VALUE, 0.5);
    event.set(field::PROCESS_EXECUTABLE, "C:\\Windows\\System32\\CMD.exe");
    event.set(field::EVENT_CODE, "4625");
    event.set(field::EVENT_START, "2026-01-31T01:00:00Z");
    event.set(field::EVENT_CATEGORY, Value::List(vec!["authentication".into(), "session".into()]));
    event.attrs.push(("id.orig_h".into(), "10.0.0.5".into()));
    event.attrs.push(("EventData.Odd Name".into(), Value::Integer(7)));
    event.attrs.push(("service".into(), "native".into()));
    event.attrs.push(("nothing".into(), Value::Null));
    event.push_issue(IssueKind::Truncated, "cut");
    event
}

#[track_caller]
fn check(hunt: &str, expected: bool) {
    match Hunt::parse(hunt) {
        Ok(parsed) => {
            assert_eq!(parsed.matches(&event()), expected, "hunt: {hunt}, read as: {parsed}");
            assert_eq!(
                Hunt::parse(&parsed.to_string()).map(|again| again.expr().clone()),
                Ok(parsed.expr().clone()),
                "hunt: {hunt}"
            );
        }
        Err(error) => panic!("hunt: {hunt}\n{error}"),
    }
}

#[test]
fn words_and_phrases() {
    check("", true);
    check("*", true);
    check("failed", true);
    check("FAILED password", true);
    check("failed accepted", false);
    check("nguyen", true);
    check("\"password for nguyen\"", true);
    check("\"password nguyen\"", false);
    check("fail*", true);
    check("*word", true);
    check("f??led", true);
    check("f?led", false);
    check("10.0.0.5", true);
    check("10.0.*", true);
    check("10.0.0.6", false);
    check("/etc/passwd", false); // a path, not a regular expression
    check("/from 10\\..* port \\d+/", true);
    check("/FROM 10/", true);
    check("windows", true); // a value that is not in the raw text
    check("ldap-svr", true);
}

#[test]
fn fields() {
    check("source.ip:10.0.0.5", true);
    check("source.ip:10.0.0.0/8", true);
    check("source.ip:10.0.0.77/8", true);
    check("source.ip:11.0.0.0/8", false);
    check("source.ip:::ffff:10.0.0.5", true);
    check("source.ip:10.0.*", true);
    check("source.ip:[10.0.0.1 TO 10.0.0.9]", true);
    check("source.ip:{10.0.0.5 TO *]", false);
    check("source.port:51122", true);
    check("source.port:>51122", false);
    check("source.port:>=51122", true);
    check("source.port:[1 TO 60000}", true);
    check("source.port:[5 TO 1]", false);
    check("source.port:>9223372036854775807", false);
    check("canh.metric.value:>0.4", true);
    check("canh.metric.value:0.5", true);
    check("canh.metric.value:{0.5 TO 1]", false);
    check("user.name:nguyễn", true);
    check("user.name:nguye\u{302}\u{303}n", true); // an accent as a sign of its own
    check("user.name:nguyen", false); // exact stays exact
    check("user.name:NGUY*", true);
    check("user.name:/^ng.*n$/", true);
    check("user.name:(root OR nguyễn)", true);
    check("user.name:(root admin)", false);
    check("process.executable:*\\cmd.exe", true);
    check("process.executable:\"c:\\windows\\system32\\cmd.exe\"", true);
    check("process.executable:c\\:\\windows*", true);
    check("process.executable:c:\\windows\\*", false); // `\*` is a star, not a wildcard
    check("process.executable:c:\\windows\\\\*", true);
    check("event.code:>=4000", true);
    check("event.code:[4625 TO 4625]", true);
    check("event.code:<500", false); // as numbers, not as texts
    check("user.name:[a TO z]", true);
    check("event.category:session", true);
    check("event.start:2026-01-31", true);
    check("event.start:<2026-01-31", false);
    check("event.start:>2026-01-31", false);
    check("event.start:[2026-01-30 TO 2026-02-01]", true);
    check("@timestamp:2026-01-31T08:00:00+07:00", true);
    check("@timestamp:2026-01-31", true);
    check("message:\"failed password\"", true);
    check("message:pass*", true);
    check("message:*", true);
    check("message:ldap", false);
}

#[test]
fn attributes_and_pseudo_fields() {
    check("id.orig_h:10.0.0.0/24", true);
    check("id.orig_h:\"10.0.0.0/24\"", false);
    check("id.orig_h:10.0.0.5", true);
    check("\"EventData.Odd Name\":7", true);
    check("EventData.Odd\\ Name:7", true);
    check("\"EventData.Odd Name\":>6.5", true);
    check("nothing:*", false);
    check("nowhere:*", false);
    check("service:sshd", true);
    check("service:native", false);
    check("attrs.service:native", true);
    check("product:LINUX", true);
    check("category:authentication", true);
    check("class:log", true);
    check("class:flow", false);
    check("issue:truncated", true);
    check("issue:*", true);
    check(&format!("id:{}", event().id), true);
    check(&format!("id:{}", EventId::from_bytes([0; 16])), false);
}

#[test]
fn put_together() {
    check("failed AND password", true);
    check("failed AND accepted", false);
    check("failed OR accepted", true);
    check("accepted || failed && nothing", false);
    check("NOT accepted", true);
    check("!accepted !(foo OR bar)", true);
    check("NOT NOT failed", true);
    check("(accepted OR failed) user.name:*", true);
    check("accepted OR failed nguyen", true);
    check("NOT user.name:*", false);
    check("and or not", false); // small letters are words
}

#[track_caller]
fn check_error(hunt: &str, column: usize, expected: &str) {
    let error = Hunt::parse(hunt).map(|parsed| parsed.to_string()).expect_err(hunt);
    assert_eq!(
        (error.column, error.message.contains(expected)),
        (column, true),
        "hunt: {hunt}\n{}\n{error}",
        error.marked(hunt)
    );
}

#[test]
fn what_is_not_understood_is_refused_with_its_place() {
    check_error("(failed", 1, "`(` is not closed");
    check_error("failed)", 7, "closes nothing");
    check_error("failed ()", 9, "missing before this `)`");
    check_error("\"failed", 1, "quote is not closed");
    check_error("failed AND", 11, "missing at the end");
    check_error("OR failed", 1, "`OR` needs a condition on both sides");
    check_error("failed AND OR x", 12, "`OR` needs");
    check_error("NOT", 4, "missing at the end");
    check_error("nguyễn source.ip:foo", 18, "is not an address or network");
    check_error("source.port:80a", 13, "is not a whole number");
    check_error("source.port:8*", 13, "wildcards do not fit");
    check_error("source.port:[1 2]", 13, "not a range");
    check_error("source.port:[1 TO 2", 13, "not a range");
    check_error("source.port:>", 14, "a bound must be a value");
    check_error("event.start:yesterday", 13, "is not a time");
    check_error("message:>5", 9, "ranges do not fit");
    check_error("user.name:", 1, "has no value");
    check_error("user.name: root", 1, "has no value");
    check_error(":root", 1, "name of a field is missing");
    check_error("us*r:root", 1, "name of a field is missing");
    check_error("---", 1, "no letter or digit");
    check_error("/(/ x", 1, "regular expression cannot be used");
    check_error("/(a{999}){999}{999}/", 1, "regular expression cannot be used");
    check_error(
        "failed | summarize count() by user.name",
        10,
        "the operator `summarize` is not available in this version",
    );
    check_error("failed|where x == 1", 8, "the operator `where` is not available");
    check_error("failed | sumarize x", 8, "no operators after `|`");
    check_error("a | b", 3, "no operators after `|`");
    check_error(&"(".repeat(5_000), 65, "nested more than 64 deep");
    check_error(&"! ".repeat(5_000), 129, "nested more than 64 deep");
    check_error(&"a ".repeat(5_000), 2_049, "more than 1024 conditions");
    check_error(&"a".repeat(Hunt::LEN_MAX + 1), 1, "longer than");
}

#[test]
fn names_that_are_nearly_right_are_hinted_at() {
    let hints =
        |hunt: &str| Hunt::parse(hunt).unwrap().hints().into_iter().map(|hint| hint.suggestion).collect::<Vec<_>>();
    assert_eq!(hints("sorce.ip:1 OR Source.IP:1"), ["source.ip", "source.ip"]);
    assert_eq!(hints("source.ip:10.0.0.1 EventID:1 failed"), Vec::<&str>::new());
}

/// Pieces of hunts, so that random ones go deeper than random signs would.
fn hunt_like() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "failed",
        "nguyễn",
        "ĐỨC",
        "*",
        "fa*",
        "a?b",
        "\"a b\"",
        "\"",
        "(",
        ")",
        "AND",
        "OR",
        "NOT",
        "!",
        "&&",
        "||",
        "|",
        "/a.b/",
        "/",
        "/etc/x",
        "source.ip:",
        "source.port:",
        "user.name:",
        "message:",
        "@timestamp:",
        "canh.metric.value:",
        "odd\\ name:",
        "\"q n\":",
        "10.0.0.0/8",
        "::1",
        "fe80::/10",
        "[1 TO 5]",
        "{a TO *]",
        ">=5",
        "<2026-01-01",
        "-1.5e3",
        "\\",
        "\\*",
        "c:\\x",
        " ",
        "日本",
        "\u{301}",
        "\0",
    ]);
    prop::collection::vec((words, prop::sample::select(vec!["", " "])), 0..12)
        .prop_map(|words| words.into_iter().map(|(word, space)| format!("{word}{space}")).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_understood_or_refused(text in ".{0,60}") {
        if let Err(error) = Hunt::parse(&text) {
            prop_assert!(error.column >= 1 && error.len >= 1);
        }
    }

    #[test]
    fn printed_hunts_are_read_back(text in hunt_like()) {
        if let Ok(hunt) = Hunt::parse(&text) {
            let printed = hunt.to_string();
            let again = Hunt::parse(&printed);
            prop_assert!(again.is_ok(), "{} printed as {}: {:?}", text, printed, again.err());
            let again = again.unwrap();
            prop_assert_eq!(again.expr(), hunt.expr(), "{} printed as {}", text, printed);
            hunt.matches(&event());
        }
    }
}
