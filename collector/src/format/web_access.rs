//! Access logs of nginx and Apache: common and combined, also with the virtual host in front.

use canh_schema::{Event, field};

use super::clock::{month, number, offset, time_of_day};
use super::{Civil, Context, Fit, Format, Text};
use crate::source::web::{self, Request};

/// Common and combined log format.
pub(super) struct WebAccess;

impl Format for WebAccess {
    fn name(&self) -> &'static str {
        "web_access"
    }

    fn about(&self) -> &'static str {
        "access log of nginx or Apache: common, combined, with or without the virtual host in front"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"203.0.113.9 - - [22/Nov/2026:15:31:48 +0700] "GET /dichvu/search?q=%27%20or%201%3D1 HTTP/1.1" 200 5123 "https://dichvu.example.vn/" "Mozilla/5.0 (X11; Linux x86_64)""#,
            r#"dichvu.example.vn:443 10.10.1.7 - minh [22/Nov/2026:15:31:48 +0700] "POST /api/v1/files HTTP/2.0" 403 - "-" "curl/8.5.0""#,
            r#"2001:db8::7 - - [22/Nov/2026:08:31:48 +0000] "\x16\x03\x01" 400 157"#,
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let Some(request) = parse(text.as_str()) else { return Fit::No };
        event.time = request.time;
        event.set(field::MESSAGE, text.as_str());
        web::apply(event, &request, context.file);
        Fit::Yes
    }
}

/// How far into the line the time may begin.
const TIME_AT_MAX: usize = 512;

pub(crate) fn parse(text: &str) -> Option<Request<'_>> {
    let head = &text.as_bytes()[..text.len().min(TIME_AT_MAX)];
    let open = memchr::memchr_iter(b'[', head)
        .find(|at| matches!(text.as_bytes().get(at + 1..at + 8), Some([_, _, b'/', _, _, _, b'/'])))?;
    let (before, rest) = (text.get(..open)?.trim_ascii_end(), text.get(open + 1..)?);
    let (stamp, rest) = rest.split_once(']')?;
    let time = time(stamp.as_bytes())?;

    let mut words = before.splitn(3, ' ');
    let (first, second, third) = (words.next()?, words.next()?, words.next()?);
    // `host ident user`, or `vhost host ident user`: the identity is `-` everywhere, so the count of words decides.
    let (vhost, client, user) = match third.split_once(' ') {
        Some((_, user)) if second != "-" => (Some(first), second, user),
        _ => (None, first, third),
    };

    let (request, rest) = quoted(rest.trim_ascii_start())?;
    let mut words = rest.trim_ascii_start().splitn(3, ' ');
    let status = words.next()?;
    let bytes = words.next().unwrap_or("-");
    let rest = words.next().unwrap_or_default();
    let (referrer, rest) = quoted(rest.trim_ascii_start()).unwrap_or(("-", rest));
    let (agent, _) = quoted(rest.trim_ascii_start()).unwrap_or(("-", rest));
    Some(Request {
        time,
        vhost,
        client,
        user: given(user),
        line: request,
        status: number(status.as_bytes()).filter(|status| *status < 1_000)?,
        bytes: bytes.parse().ok(),
        referrer: given(referrer),
        agent: given(agent),
    })
}

/// A value that is there: the servers write `-` for one that is not.
fn given(word: &str) -> Option<&str> {
    (word != "-" && !word.is_empty()).then_some(word)
}

/// `22/Nov/2026:15:31:48 +0700`.
pub(super) fn time(text: &[u8]) -> Option<canh_schema::Timestamp> {
    let [d1, d2, b'/', m1, m2, m3, b'/', y1, y2, y3, y4, b':', rest @ ..] = text else { return None };
    let (clock, zone) = rest.split_at_checked(8)?;
    let (hour, minute, second) = time_of_day(clock)?;
    let civil = Civil {
        year: i32::try_from(number(&[*y1, *y2, *y3, *y4])?).ok()?,
        month: month(&[*m1, *m2, *m3])?,
        day: number(&[*d1, *d2])?,
        hour,
        minute,
        second,
        nanos: 0,
    };
    civil.at_offset(offset(zone.strip_prefix(b" ")?)?)
}

/// The text between quotes, a backslash keeping the next quote inside, and what follows.
pub(super) fn quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let bytes = inner.as_bytes();
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(b'"', b'\\', bytes.get(from..)?)?;
        if bytes[at] == b'"' {
            return Some((&inner[..at], &inner[at + 1..]));
        }
        from = at + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(Option<&str>, &str, Option<&str>, &str, u32, Option<u64>)>) {
        let found = parse(text).map(|r| (r.vhost, r.client, r.user, r.line, r.status, r.bytes));
        assert_eq!(found, expected, "input: {text:?}");
    }

    #[test]
    fn lines() {
        const AT: &str = "[22/Nov/2026:15:31:48 +0700]";
        check(
            &format!("1.2.3.4 - - {AT} \"GET / HTTP/1.1\" 200 5"),
            Some((None, "1.2.3.4", None, "GET / HTTP/1.1", 200, Some(5))),
        );
        check(
            &format!("1.2.3.4 - a b {AT} \"GET / HTTP/1.1\" 200 -"),
            Some((None, "1.2.3.4", Some("a b"), "GET / HTTP/1.1", 200, None)),
        );
        check(
            &format!("h:80 ::1 - - {AT} \"\" 400 0 \"-\" \"-\""),
            Some((Some("h:80"), "::1", None, "", 400, Some(0))),
        );
        check(
            &format!("1.2.3.4 - - {AT} \"GET /\\\"x HTTP/1.1\" 200 5"),
            Some((None, "1.2.3.4", None, "GET /\\\"x HTTP/1.1", 200, Some(5))),
        );
        check(&format!("1.2.3.4 - - {AT} \"GET /"), None);
        check(&format!("1.2.3.4 - - {AT} \"GET /\\"), None);
        check(&format!("1.2.3.4 - - {AT} \"GET /\" OK 5"), None);
        check("1.2.3.4 - - [22/Nov/2026:15:31:48] \"GET /\" 200 5", None);
        check("1.2.3.4 - - [32/Nov/2026:15:31:48 +0700] \"GET /\" 200 5", None);
        check(&format!("{AT} \"GET /\" 200 5"), None);
        check("[é2/Nov/", None);
        check("", None);
    }
}
