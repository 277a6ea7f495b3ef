//! Syslog as it is spoken (RFC 3164 describes it): with `<PRI>` from the network, without it in files, times of the
//! old form `Nov 22 09:31:48` or ISO as rsyslog writes them, with and without a host.

use canh_schema::{Event, Timestamp, field};

use super::clock::{fraction, number, time_of_day};
use super::{Civil, Context, Fit, Format, Text, month, rfc3339};
use crate::source;

/// BSD syslog.
pub(super) struct Syslog3164;

impl Format for Syslog3164 {
    fn name(&self) -> &'static str {
        "syslog_3164"
    }

    fn about(&self) -> &'static str {
        "syslog of RFC 3164 and log files such as /var/log/auth.log; the year and the zone are filled in"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            "<38>Nov 22 09:31:48 DichVu-Svr sshd[812]: Failed password for invalid user oracle from 203.0.113.9 port 40022 ssh2",
            "Nov  2 09:31:48 LDAP-Svr sudo:    minh : TTY=pts/0 ; PWD=/home/minh ; USER=root ; COMMAND=/usr/bin/cat /etc/shadow",
            "2026-11-22T15:31:48.123456+07:00 ESB-Svr CRON[992]: (root) CMD (/usr/local/bin/backup.sh)",
            "<13>Nov 22 09:31:48 admin: a line of logger without host",
            "<4>Nov 22 2026 09:31:48 fw1 kernel: [12.5] [UFW BLOCK] IN=eth0 OUT= MAC=52:54:00:12:34:56 SRC=203.0.113.9 DST=10.10.1.2 LEN=60 PROTO=TCP SPT=40000 DPT=22 SYN",
            "<30>systemd[1]: Started Daily apt download activities.",
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let text = text.as_str();
        let (pri, rest) = match split_pri(text) {
            Some((pri, rest)) => (Some(pri), rest),
            None => (None, text),
        };
        let stamp = time(rest, context);
        let Some((at, rest)) = stamp.or_else(|| pri.map(|_| (None, rest))) else { return Fit::No };
        let dated = stamp.is_some();

        let rest = rest.trim_start_matches(' ');
        let (host, rest) = if dated { split_host(rest) } else { (None, rest) };
        let (program, pid, message) = split_tag(rest);
        if pri.is_none() && host.is_none() && program.is_none() {
            return Fit::No; // a date alone does not make a line syslog
        }

        if let Some(pri) = pri {
            source::syslog::priority(event, pri);
        }
        match at {
            Some(at) => event.time = at,
            None if dated => event.push_issue(canh_schema::IssueKind::BadTime, stamp_text(text, pri.is_some())),
            None => (),
        }
        if let Some(host) = host {
            event.set(field::HOST_NAME, host);
        }
        source::syslog::apply(event, context, program, pid, message);
        Fit::Yes
    }
}

/// The first characters behind the priority, to name a time that no calendar has.
fn stamp_text(text: &str, has_pri: bool) -> &str {
    let rest = if has_pri { text.split_once('>').map_or(text, |(_, rest)| rest) } else { text };
    &rest[..rest.floor_char_boundary(24)]
}

/// Splits the `<PRI>` prefix off: `facility * 8 + severity`, so 0 to 191. Source: RFC 5424, section 6.2.1.
pub(super) fn split_pri(text: &str) -> Option<(u8, &str)> {
    let rest = text.strip_prefix('<')?;
    let end = rest.bytes().take(4).position(|byte| byte == b'>')?;
    let pri = number(&rest.as_bytes()[..end])?;
    u8::try_from(pri).ok().filter(|pri| *pri <= 191).map(|pri| (pri, &rest[end + 1..]))
}

/// The time at the start of the line, and what follows. `Some((None, _))` is a time that no calendar has.
fn time<'t>(text: &'t str, context: &Context<'_>) -> Option<(Option<Timestamp>, &'t str)> {
    let bytes = text.as_bytes();
    if bytes.first().is_some_and(u8::is_ascii_digit) {
        // ISO: the date at least must look like one.
        let (date, rest) = bytes.split_at_checked(10)?;
        if !matches!((date, rest.first()), ([_, _, _, _, b'-', _, _, b'-', _, _], Some(b'T'))) {
            return None;
        }
        let end = text.find(' ')?;
        let (stamp, rest) = text.split_at(end);
        let stamp = stamp.strip_suffix(':').unwrap_or(stamp);
        return rfc3339(stamp, &context.settings.zone).map(|at| (Some(at), rest));
    }
    // Cisco and others mark a clock that is not set right with `*` or `.`.
    let start = bytes.len() - bytes.strip_prefix(b"*").or_else(|| bytes.strip_prefix(b".")).unwrap_or(bytes).len();
    let bytes = &bytes[start..];
    let (name, rest) = bytes.split_at_checked(4)?;
    let month = month(name.strip_suffix(b" ")?)?;
    let (day, rest) = match rest {
        [b' ', day, b' ', rest @ ..] => (number(&[*day])?, rest),
        [d1, d2, b' ', rest @ ..] => (number(&[*d1, *d2])?, rest),
        [day, b' ', rest @ ..] => (number(&[*day])?, rest),
        _ => return None,
    };
    let (year, rest) = match rest {
        year if year.len() > 5 && year[4] == b' ' && number(&year[..4]).is_some() => (number(&year[..4]), &year[5..]),
        rest => (None, rest),
    };
    let (clock, rest) = rest.split_at_checked(8)?;
    let (hour, minute, second) = time_of_day(clock)?;
    let (nanos, rest) = fraction(rest);
    let rest = rest.strip_prefix(b":").unwrap_or(rest);
    let civil = Civil { year: 0, month, day, hour, minute, second, nanos };
    let zone = &context.settings.zone;
    let at = match year {
        Some(year) => Civil { year: i32::try_from(year).ok()?, ..civil }.in_zone(zone),
        None => civil.with_year_before(context.received, zone),
    };
    Some((at, &text[text.len() - rest.len()..]))
}

/// The host, unless the first word already is the tag (`logger` on the local socket sends none).
fn split_host(text: &str) -> (Option<&str>, &str) {
    match text.split_once(' ') {
        Some((host, rest)) if !host.ends_with([':', ']']) && !host.is_empty() => {
            (Some(host), rest.trim_start_matches(' '))
        }
        _ => (None, text),
    }
}

/// The longest tag that is taken for one. RFC 3164 says 32; program names with a path are longer.
const TAG_LEN_MAX: usize = 64;

/// Program, process number and message of `sshd[812]: text`. Without a colon behind it there is no tag.
fn split_tag(text: &str) -> (Option<&str>, Option<&str>, &str) {
    let bytes = text.as_bytes();
    let len = bytes
        .iter()
        .take(TAG_LEN_MAX)
        .position(|byte| matches!(byte, b':' | b'[' | b' ' | b'"' | b'{' | b'='))
        .unwrap_or(0);
    let (tag, rest) = text.split_at(len);
    // `11/22/2026:08:31:48` is a device's own time.
    if tag.is_empty() || tag.as_bytes()[0].is_ascii_digit() && tag.contains('/') {
        return (None, None, text);
    }
    let (pid, rest) = match rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((pid, rest)) if pid.len() <= TAG_LEN_MAX => (Some(pid), rest),
        _ => (None, rest),
    };
    match rest.strip_prefix(':') {
        Some(message) => (Some(tag), pid, message.strip_prefix(' ').unwrap_or(message)),
        None if pid.is_some() => (Some(tag), pid, rest.trim_start_matches(' ')),
        None => (None, None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DecodeSettings;
    use crate::format::EnvelopeKeys;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, Option<&str>, Option<&str>, &str)>) {
        let received = Timestamp::parse_rfc3339("2026-11-22T09:00:00Z").unwrap();
        let settings = DecodeSettings::default();
        let context = Context {
            received,
            settings: &settings,
            file: None,
            envelope_keys: EnvelopeKeys::Plain,
            depth: 0,
            header: None,
        };
        let mut event = Event::new(canh_schema::EventId::from_bytes([0; 16]), received, bytes::Bytes::new());
        let fit = Syslog3164.decode(&mut Text::new(text), &context, &mut event);
        let get = |id| event.get(id).and_then(canh_schema::Value::as_str);
        let found = (fit == Fit::Yes).then(|| {
            let message = get(field::MESSAGE).unwrap_or_default();
            (event.time.to_string(), get(field::HOST_NAME), get(field::PROCESS_NAME), message)
        });
        let found = found.as_ref().map(|(time, host, program, message)| (time.as_str(), *host, *program, *message));
        assert_eq!(found, expected, "input: {text:?}");
    }

    #[test]
    fn lines() {
        let received = "2026-11-22T09:00:00Z";
        check("<34>Oct 11 22:14:15 web su: hi", Some(("2026-10-11T15:14:15Z", Some("web"), Some("su"), "hi")));
        check("Oct  1 22:14:15 web app[7]: hi", Some(("2026-10-01T15:14:15Z", Some("web"), Some("app"), "hi")));
        check("Oct 1 22:14:15.5 web app: hi", Some(("2026-10-01T15:14:15.5Z", Some("web"), Some("app"), "hi")));
        check("Dec 11 22:14:15 web app: hi", Some(("2025-12-11T15:14:15Z", Some("web"), Some("app"), "hi")));
        check(
            "2026-11-22T09:00:01.5+07:00 web app: hi",
            Some(("2026-11-22T02:00:01.5Z", Some("web"), Some("app"), "hi")),
        );
        check("<13>Oct 11 22:14:15 app: hi", Some(("2026-10-11T15:14:15Z", None, Some("app"), "hi")));
        check("<13>hello world", Some((received, None, None, "hello world")));
        check("<189>Feb 30 22:14:15 r1 app: hi", Some((received, Some("r1"), Some("app"), "hi")));
        check("Oct 11 22:14:15 web no tag here", Some(("2026-10-11T15:14:15Z", Some("web"), None, "no tag here")));
        check("<192>Oct 11 22:14:15 web su: hi", None); // above the range
        check("<+3>x", None);
        check("<0034>x", None);
        check("<", None);
        check("Oct 11", None);
        check("2026-11-22 09:00:00 INFO started", None); // an application's own log, not syslog
        check("hello", None);
        check("é", None);
        check("", None);
    }
}
