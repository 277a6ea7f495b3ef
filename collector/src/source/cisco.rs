//! Lines of Cisco devices: `%FACILITY-SEVERITY-MNEMONIC: text`, of IOS, IOS XE, NX-OS, ASA and Firepower. What stands
//! before the `%` differs by system and setting: a sequence number, the device's own name, its own clock.

use canh_schema::{Event, LogSource, Timestamp, Value, field};
use compact_str::{CompactString, format_compact};

use super::{cisco_asa, cisco_ios, syslog};
use crate::format::{Civil, Context, digits, fraction, month, time_of_day};

/// How far into the line the `%` may stand: behind a number, a name and a time.
const HEADER_LEN_MAX: usize = 160;

/// What stands between `%` and `:`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Tag<'t> {
    facility: &'t str,
    severity: u8,
    mnemonic: &'t str,
}

/// Facilities of devices that keep other people out; their lines belong to the service `asa`.
const FIREWALLS: &[&str] = &["ASA", "FTD", "PIX", "FWSM"];

/// Which services a facility of IOS belongs to besides `ios`, by the names of the Sigma taxonomy.
const SERVICES: &[(&str, &[&str])] = &[
    ("AAA", &["aaa"]),
    ("AAAA", &["aaa"]),
    ("PARSER", &["aaa"]),
    ("SEC_LOGIN", &["aaa"]),
    ("BGP", &["bgp"]),
    ("IP-TCP", &["bgp", "ldp"]),
    ("TCP", &["bgp", "ldp"]),
    ("LDP", &["ldp"]),
    ("OSPF", &["ospf"]),
];

/// Reads the line if there is a tag in it. Syslog takes the first word of some lines for a program: the sequence
/// number, the device's name, or the tag itself.
pub(super) fn apply(event: &mut Event, context: &Context<'_>, program: Option<&str>, message: &str) -> bool {
    if let Some(tag) = program.and_then(|word| split_tag(word.strip_prefix('%')?)) {
        describe(event, tag, message);
        return true;
    }
    let Some((header, tag, text)) = find_tag(message) else { return false };
    if let Some(at) = clock(header, context) {
        event.time = at;
    }
    if event.get(field::HOST_NAME).is_none() {
        let words = program.into_iter().chain(header.split(' ').filter_map(|word| word.strip_suffix(':')));
        if let Some(name) = words.take(2).find(|word| is_host(word)) {
            event.set(field::HOST_NAME, name);
        }
    }
    describe(event, tag, text);
    true
}

/// What stands before the tag, the tag, and what stands behind it.
fn find_tag(message: &str) -> Option<(&str, Tag<'_>, &str)> {
    let head = &message.as_bytes()[..message.len().min(HEADER_LEN_MAX)];
    memchr::memchr_iter(b'%', head).find_map(|at| {
        let (word, text) = message[at + 1..].split_once(':')?;
        Some((&message[..at], split_tag(word)?, text.trim_start_matches(' ')))
    })
}

/// `IP-TCP-3-BADAUTH`: the severity is the first part of one digit; the facility may have parts of its own.
fn split_tag(word: &str) -> Option<Tag<'_>> {
    let written = |text: &str| {
        let is_part = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
        !text.is_empty() && text.len() <= 64 && text.bytes().all(is_part)
    };
    word.match_indices('-').find_map(|(at, _)| {
        let severity = word.as_bytes().get(at + 1).filter(|byte| (b'0'..=b'7').contains(byte))?;
        let mnemonic = word.get(at + 2..)?.strip_prefix('-')?;
        let facility = &word[..at];
        (written(facility) && written(mnemonic)).then_some(Tag { facility, severity: severity - b'0', mnemonic })
    })
}

/// Whether the word can be the device's name; it may as well be a sequence number or the name of a zone.
fn is_host(word: &str) -> bool {
    let is_zone = word.len() <= 5 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    word.bytes().any(|byte| byte.is_ascii_alphabetic()) && !is_zone && word.bytes().all(is_part)
}

/// The device's own time: `Jan 15 10:00:00.123 ICT:` or `2026 Jan 15 10:00:00:`. A clock that was never set (`*`) is
/// no clock.
fn clock(header: &str, context: &Context<'_>) -> Option<Timestamp> {
    let words: Vec<&str> = header.split_ascii_whitespace().take(16).collect();
    let at = words.iter().position(|word| month(word.strip_prefix('.').unwrap_or(word).as_bytes()).is_some())?;
    let month = month(words[at].strip_prefix('.').unwrap_or(words[at]).as_bytes())?;
    let day = digits(words.get(at + 1)?.as_bytes())?;
    let year = |word: &&&str| word.len() == 4;
    let before = at.checked_sub(1).and_then(|before| words.get(before)).filter(year).and_then(|w| digits(w.as_bytes()));
    let behind = words.get(at + 2).filter(year).and_then(|word| digits(word.as_bytes()));
    let rest = words.get(at + 2 + usize::from(behind.is_some())..)?;
    let (shown, rest) = rest.split_first()?;
    let (shown, after) = shown.as_bytes().split_at_checked(8)?;
    let (hour, minute, second) = time_of_day(shown)?;
    let (nanos, _) = fraction(after);
    let zone = &context.settings.zone;
    let civil = Civil { year: 0, month, day, hour, minute, second, nanos };
    let is_utc = rest.first().is_some_and(|word| matches!(word.trim_end_matches(':'), "UTC" | "GMT"));
    match before.or(behind) {
        Some(year) => {
            let civil = Civil { year: i32::try_from(year).ok()?, ..civil };
            if is_utc { civil.at_offset(0) } else { civil.in_zone(zone) }
        }
        None if is_utc => civil.with_year_before(context.received, &crate::format::Zone::utc()),
        None => civil.with_year_before(context.received, zone),
    }
}

fn describe(event: &mut Event, tag: Tag<'_>, text: &str) {
    let Tag { facility, severity, mnemonic } = tag;
    event.set(field::MESSAGE, format_compact!("%{facility}-{severity}-{mnemonic}: {text}"));
    event.attrs.push((CompactString::const_new("cisco.facility"), Value::from(facility)));
    event.attrs.push((CompactString::const_new("cisco.severity"), Value::Integer(i64::from(severity))));
    event.attrs.push((CompactString::const_new("cisco.mnemonic"), Value::from(mnemonic)));
    if event.get(field::LOG_LEVEL).is_none() {
        syslog::severity(event, Some(i64::from(severity)));
    }
    event.logsource = LogSource::product("cisco");
    if FIREWALLS.contains(&facility) {
        event.logsource.service = Some(CompactString::const_new("asa"));
        event.set(field::EVENT_DATASET, "cisco.asa");
        event.set(field::EVENT_CODE, mnemonic);
        cisco_asa::apply(event, mnemonic, text);
    } else {
        let particular = SERVICES.iter().find(|(name, _)| *name == facility).map_or(&[][..], |(_, services)| services);
        let mut services = particular.iter().copied().chain(["ios"]).map(CompactString::const_new);
        event.logsource.service = services.next();
        event.logsource.other_services.extend(services);
        event.set(field::EVENT_DATASET, "cisco.ios");
        event.set(field::EVENT_CODE, format_compact!("{facility}-{severity}-{mnemonic}"));
        cisco_ios::apply(event, mnemonic, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tested;

    #[track_caller]
    fn check(line: &str, expected: Option<(&str, &str, &str, &str)>) {
        let event = tested::decode(line);
        let text = |id| event.get(id).and_then(Value::as_str).unwrap_or("-").to_owned();
        let found = event.attr("cisco.mnemonic").and_then(Value::as_str).map(|mnemonic| {
            (event.time.to_string(), text(field::HOST_NAME), mnemonic.to_owned(), text(field::EVENT_ACTION))
        });
        let found = found
            .as_ref()
            .map(|(time, host, mnemonic, action)| (time.as_str(), host.as_str(), mnemonic.as_str(), action.as_str()));
        assert_eq!(found, expected, "input: {line:?}");
    }

    #[test]
    fn headers() {
        let at = "2026-11-22T02:00:00.123Z";
        let received = "2026-11-22T09:00:00Z";
        let config = "%SYS-5-CONFIG_I: Configured from console by quantri on vty0 (10.20.0.5)";
        let expected = |time, host| Some((time, host, "CONFIG_I", "config_change"));
        check(&format!("<189>87: *Mar  1 00:01:23.456: {config}"), expected(received, "192.0.2.10"));
        check(&format!("<189>87: Nov 22 09:00:00.123: {config}"), expected(at, "192.0.2.10"));
        check(&format!("<189>87: sw-core-01: Nov 22 09:00:00.123 ICT: {config}"), expected(at, "sw-core-01"));
        check(&format!("<189>87: sw-core-01: Nov 22 02:00:00.123 UTC: {config}"), expected(at, "sw-core-01"));
        check(&format!("<189>sw-core-01: 87: .Nov 22 2026 09:00:00.123: {config}"), expected(at, "sw-core-01"));
        check(&format!("<189>: 2026 Nov 22 09:00:00.123 ICT: {config}"), expected(at, "192.0.2.10"));
        check(&format!("<189>Nov 22 09:00:00.123: {config}"), expected(at, "192.0.2.10"));
        check(&format!("<189>Nov 22 09:00:00.123 ICT: {config}"), expected(at, "192.0.2.10"));
        check(&format!("Nov 22 09:00:01 sw-core-01 87: Nov 22 09:00:00.123: {config}"), expected(at, "sw-core-01"));
        check(&format!("<189>87: {config}"), expected(received, "192.0.2.10"));
        let deny = "Deny tcp src outside:203.0.113.9/40022 dst inside:10.10.1.11/22 by access-group \"out\" [0x0, 0x0]";
        let expected = |time, host| Some((time, host, "106023", "packet_denied"));
        let second = "2026-11-22T02:00:00Z";
        check(&format!("<164>Nov 22 2026 09:00:00 fw-01 : %ASA-4-106023: {deny}"), expected(second, "fw-01"));
        check(&format!("<164>Nov 22 2026 09:00:00: %ASA-4-106023: {deny}"), expected(second, "192.0.2.10"));
        check(&format!("<164>%FTD-4-106023: {deny}"), expected(received, "192.0.2.10"));
    }

    #[test]
    fn other_percents() {
        for line in [
            "<13>Nov 22 09:00:00 web app: 95% used: x",
            "<13>Nov 22 09:00:00 web app: %A-9-B: x",
            "<13>Nov 22 09:00:00 web app: %-5-B: x",
            "<13>Nov 22 09:00:00 web app: %SYS-5-: x",
            "<13>Nov 22 09:00:00 web app: %sys-5-x: x",
            "<13>Nov 22 09:00:00 web app: %é-5-B: x",
            "<13>Nov 22 09:00:00 web app: %",
        ] {
            check(line, None);
        }
        assert_eq!(split_tag("IP-TCP-3-BADAUTH"), Some(Tag { facility: "IP-TCP", severity: 3, mnemonic: "BADAUTH" }));
    }
}
