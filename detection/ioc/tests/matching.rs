//! Events that hold indicators, by every kind of field; and what comes of a match.

use std::sync::Arc;

use canh_ioc::{Builder, Expired, IndicatorSet, LoadOptions, RECENT_MAX, Stream};
use canh_schema::{BatchId, Event, EventBatch, EventId, Level, Position, Timestamp, Value, field_by_name};

const LIST: &str = "\
198.51.100.7\n203.0.113.0/24\n203.0.113.128/25\n8.8.8.0/24\n2001:db8::/32\nevil.example\nbücher.example\n\
http://url.example/a/b\nhttps://url.example/q?x=1\nhttp://url.example:8080/p\nhttp://198.51.100.99/x.sh\n\
d41d8cd98f00b204e9800998ecf8427e\nda39a3ee5e6b4b0d3255bfef95601890afd80709\n\
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\nmallory@mail.example\n\
ja3:e7d705a3286e19ea42f587b344ee6865\nja3s:11d705a3286e19ea42f587b344ee6865\nt13d1516h2_8daaf6152771_e5627efa2ab1\n\
user_agent:EvilBot/1.0 (x)\n";

fn set(text: &str) -> IndicatorSet {
    let mut builder = Builder::new(LoadOptions::default());
    builder.add_text("list.txt", text);
    let (set, report) = builder.finish();
    assert_eq!(report.problems, []);
    set
}

/// Catalogue fields by their names, others as the source's own.
fn event(number: u32, time: i64, fields: &[(&str, Value)]) -> Event {
    let id = EventId::new(BatchId::from_journal(1, 1), number);
    let mut event = Event::new(id, Timestamp::from_secs(time), bytes::Bytes::new());
    for (name, value) in fields {
        match field_by_name(name) {
            Some(field) => event.set(field, value.clone()),
            None => event.attrs.push(((*name).into(), value.clone())),
        }
    }
    event
}

#[track_caller]
fn check(fields: &[(&str, Value)], expected: &[&str]) {
    let event = event(0, 1_000, fields);
    let mut found: Vec<String> = set(LIST)
        .evaluate(&event, event.time)
        .into_iter()
        .map(|one| format!("{} {}", one.field, one.indicator.value))
        .collect();
    found.sort();
    assert_eq!(found, expected, "fields: {fields:?}");
}

fn ip(text: &str) -> Value {
    Value::Ip(text.parse().expect("an address"))
}

#[test]
fn each_kind_of_field() {
    let text = |text: &str| Value::from(text);
    check(&[("source.ip", ip("198.51.100.7"))], &["source.ip 198.51.100.7"]);
    check(&[("source.ip", ip("::ffff:198.51.100.7"))], &["source.ip 198.51.100.7"]);
    check(&[("source.ip", ip("198.51.100.8"))], &[]);
    check(&[("host.ip", ip("198.51.100.7"))], &[]); // the machine itself
    check(&[("destination.ip", ip("203.0.113.5"))], &["destination.ip 203.0.113.0/24"]);
    check(
        &[("destination.ip", ip("203.0.113.200"))],
        &["destination.ip 203.0.113.0/24", "destination.ip 203.0.113.128/25"],
    );
    check(&[("destination.ip", ip("8.8.8.9"))], &["destination.ip 8.8.8.0/24"]);
    check(&[("destination.ip", ip("8.8.8.8"))], &[]); // allowed, although a network around it is listed
    check(&[("destination.ip", ip("2001:db8::5"))], &["destination.ip 2001:db8::/32"]);
    check(&[("dns.question.name", text("a.b.EVIL.example."))], &["dns.question.name evil.example"]);
    check(&[("dns.question.name", text("notevil.example"))], &[]);
    check(&[("dns.question.name", text("www.BÜCHER.example"))], &["dns.question.name xn--bcher-kva.example"]);
    check(
        &[("dns.answers.data", Value::List(vec![text("x.evil.example"), text("198.51.100.7")]))],
        &["dns.answers.data 198.51.100.7", "dns.answers.data evil.example"],
    );
    check(&[("tls.client.server_name", text("evil.example"))], &["tls.client.server_name evil.example"]);
    check(&[("url.full", text("HTTP://url.example:80/a/b#x"))], &["url.full http://url.example/a/b"]);
    check(&[("url.full", text("http://url.example/a/b?any=1"))], &["url.full http://url.example/a/b"]);
    check(&[("url.full", text("http://url.example/a/bc"))], &[]);
    check(&[("url.full", text("https://url.example/q?x=1"))], &["url.full https://url.example/q?x=1"]);
    check(&[("url.full", text("https://url.example/q?x=2"))], &[]);
    check(&[("url.full", text("ftp://evil.example/"))], &["url.full evil.example"]);
    check(&[("url.full", text("http://198.51.100.7/"))], &["url.full 198.51.100.7"]);
    check(
        &[("url.domain", text("url.example")), ("url.original", text("/a/b?c"))],
        &["url.original http://url.example/a/b"],
    );
    check(
        &[("url.domain", text("url.example")), ("url.path", text("/q")), ("url.query", text("x=1"))],
        &["url.original https://url.example/q?x=1"],
    );
    check(
        &[("url.domain", text("url.example")), ("url.path", text("/p")), ("destination.port", Value::Integer(8_080))],
        &["url.original http://url.example:8080/p"],
    );
    check(
        &[("url.domain", text("url.example:8080")), ("url.path", text("/p"))],
        &["url.original http://url.example:8080/p"],
    );
    check(&[("host", text("198.51.100.99")), ("uri", text("/x.sh"))], &["url.original http://198.51.100.99/x.sh"]);
    check(
        &[("file.hash.md5", text("D41D8CD98F00B204E9800998ECF8427E"))],
        &["file.hash.md5 d41d8cd98f00b204e9800998ecf8427e"],
    );
    check(
        &[(
            "Hashes",
            text("SHA1=DA39A3EE5E6B4B0D3255BFEF95601890AFD80709,MD5=00,IMPHASH=D41D8CD98F00B204E9800998ECF8427E"),
        )],
        &["Hashes da39a3ee5e6b4b0d3255bfef95601890afd80709"],
    );
    check(
        &[("process.hash.sha256", text("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"))],
        &["process.hash.sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    );
    check(&[("email.from.address", text("Mallory@Mail.Example"))], &["email.from.address mallory@mail.example"]);
    check(&[("mailfrom", text("Bob <bob@evil.example>"))], &["mailfrom evil.example"]);
    check(
        &[("to", Value::List(vec![text("a@b.example, Mallory <mallory@mail.example>")]))],
        &["to mallory@mail.example"],
    );
    check(
        &[("tls.client.ja3", text("e7d705a3286e19ea42f587b344ee6865"))],
        &["tls.client.ja3 e7d705a3286e19ea42f587b344ee6865"],
    );
    check(&[("tls.client.ja3", text("11d705a3286e19ea42f587b344ee6865"))], &[]); // that of a server
    check(&[("ja3s", text("11d705a3286e19ea42f587b344ee6865"))], &["ja3s 11d705a3286e19ea42f587b344ee6865"]);
    check(&[("ja4", text("T13D1516H2_8daaf6152771_e5627efa2ab1"))], &["ja4 t13d1516h2_8daaf6152771_e5627efa2ab1"]);
    check(&[("user_agent.original", text("EvilBot/1.0 (x)"))], &["user_agent.original EvilBot/1.0 (x)"]);
    check(&[("user_agent.original", text("evilbot/1.0 (x)"))], &[]);
    check(&[("DestinationIp", text("198.51.100.7"))], &["DestinationIp 198.51.100.7"]);
    check(&[("DestinationHostname", text("c2.evil.example"))], &["DestinationHostname evil.example"]);
    check(
        &[("QueryResults", text("type:  5 a.evil.example;::ffff:198.51.100.7;"))],
        &["QueryResults 198.51.100.7", "QueryResults evil.example"],
    );
    check(&[("message", text("198.51.100.7 evil.example"))], &[]); // free text is not searched
    // The same value under several names is one match.
    check(
        &[("destination.ip", ip("198.51.100.7")), ("DestinationIp", text("198.51.100.7"))],
        &["destination.ip 198.51.100.7"],
    );
}

#[test]
fn expired_indicators_are_asked_for() {
    let set = set("#! expires: 2026-01-01\nevil.example\n");
    let event = event(0, 0, &[("dns.question.name", Value::from("evil.example"))]);
    let before = Timestamp::parse_rfc3339("2025-12-31T23:59:59Z").expect("a time");
    let after = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").expect("a time");
    let count = |now, expired| set.evaluate_with(&event, now, expired).iter().filter(|one| one.expired).count();
    assert_eq!(set.evaluate(&event, before).len(), 1);
    assert_eq!(set.evaluate(&event, after).len(), 0);
    assert_eq!((count(before, Expired::Match), count(after, Expired::Match)), (0, 1));
}

fn batch(events: Vec<Event>) -> EventBatch {
    EventBatch::new(Position::new(1), events)
}

#[test]
fn one_finding_for_indicator_host_and_hour() {
    let mut stream = Stream::new(Arc::new(set("#! confidence: 90\n#! tags: T1071\nevil.example # beacon\n")));
    let ask = |number, time, host: &str, name: &str| {
        event(number, time, &[("host.name", Value::from(host)), ("dns.question.name", Value::from(name))])
    };
    let mut found = Vec::new();
    stream.evaluate(
        &batch(vec![
            ask(0, 10, "a", "evil.example"),
            ask(1, 20, "a", "x.evil.example"),
            ask(2, 3_599, "a", "evil.example"),
            ask(3, 3_600, "a", "evil.example"),
            ask(4, 30, "b", "evil.example"),
            ask(5, 30, "b", "good.example"),
            // A rule took it.
            ask(6, 30, "c", "evil.example"),
        ]),
        &|id, value| id.as_bytes().last() == Some(&6) && value == "evil.example",
        &mut found,
    );
    let events: Vec<u8> = found.iter().filter_map(|one| one.events[0].as_bytes().last().copied()).collect();
    assert_eq!(events, [0, 3, 4]);
    assert_eq!(stream.matches(), 6);
    let first = &found[0];
    assert_eq!(first.rule.id.as_str(), "ioc:list:domain");
    assert_eq!(first.rule.title, "Indicator of compromise: domain of list list");
    assert_eq!((first.rule.level, first.rule.tags[0].as_str()), (Level::High, "attack.t1071"));
    assert_eq!(first.host.as_deref(), Some("a"));
    let proof: Vec<String> =
        first.matches.iter().map(|one| format!("{}={}", one.field, one.value.as_text().unwrap_or_default())).collect();
    assert_eq!(
        proof,
        [
            "dns.question.name=evil.example",
            "indicator.list=list",
            "indicator.confidence=90",
            "indicator.expiry=never",
            "indicator.description=beacon",
        ]
    );
    // Another process that sees another event of the hour makes a finding of the same id.
    let mut again = Vec::new();
    let other = Arc::new(set("#! confidence: 90\nevil.example\n"));
    Stream::new(other).evaluate(&batch(vec![ask(1, 20, "a", "x.evil.example")]), &|_, _| false, &mut again);
    assert_eq!(again[0].id, first.id);
}

#[test]
fn the_memory_of_findings_is_bounded() {
    let mut stream = Stream::new(Arc::new(set("evil.example\n")));
    let hosts = u32::try_from(RECENT_MAX).expect("a small number") + 10;
    let mut found = Vec::new();
    let ask = |host: u32| {
        event(host, 0, &[("host.name", Value::from(format!("h{host}"))), ("query", Value::from("evil.example"))])
    };
    stream.evaluate(&batch((0..hosts).map(ask).collect()), &|_, _| false, &mut found);
    assert_eq!(found.len(), RECENT_MAX + 10);
    found.clear();
    // The newest is remembered, the oldest was forgotten.
    stream.evaluate(&batch(vec![ask(hosts - 1), ask(0)]), &|_, _| false, &mut found);
    assert_eq!(found.iter().filter_map(|one| one.host.as_deref()).collect::<Vec<_>>(), ["h0"]);
}

#[test]
fn two_lists_with_one_value_are_two_matches() {
    let mut builder = Builder::new(LoadOptions::default());
    builder.add_text("a.txt", "203.0.113.0/24\n");
    builder.add_text("b.txt", "203.0.113.0/24\n");
    let (set, _) = builder.finish();
    let event = event(0, 0, &[("source.ip", ip("203.0.113.1"))]);
    let lists: Vec<String> =
        set.evaluate(&event, event.time).iter().map(|one| one.indicator.list.to_string()).collect();
    assert_eq!(lists, ["a", "b"]);
}
