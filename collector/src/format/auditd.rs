//! The Linux audit log: `type=SYSCALL msg=audit(1492037289.295:58): key=value …`.
//!
//! Each record stays an event of its own, because rules are written against single records. Records of one audit event
//! that come in the same batch then tell each other the process and the user: see [`join`].

use std::borrow::Cow;

use canh_schema::{Event, IssueKind, Timestamp, Value};
use compact_str::{CompactString, format_compact};

use super::clock::number;
use super::{Context, Fit, Format, Text};
use crate::source;

pub(crate) use crate::source::auditd::join;

/// The Linux audit log.
pub(super) struct Auditd;

impl Format for Auditd {
    fn name(&self) -> &'static str {
        "auditd"
    }

    fn about(&self) -> &'static str {
        "Linux audit log; hexadecimal values are decoded, records of one event share process and user"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"type=SYSCALL msg=audit(1795336308.250:59): arch=c000003e syscall=59 success=yes exit=0 a0=1522170 items=2 ppid=12041 pid=13393 auid=1000 uid=0 gid=0 tty=pts1 ses=802 comm="cat" exe="/usr/bin/cat" key="user_commands""#,
            r#"type=EXECVE msg=audit(1795336308.250:59): argc=2 a0="cat" a1=2F6574632F736861646F77"#,
            r#"node=ldap type=USER_LOGIN msg=audit(1795336308.250:60): pid=12635 uid=0 auid=4294967295 ses=4294967295 msg='op=login acct=28696E76616C6964207573657229 exe="/usr/sbin/sshd" hostname=? addr=203.0.113.9 terminal=sshd res=failed'"#,
            r#"type=SOCKADDR msg=audit(1795336308.250:58): saddr=02000050A9FEA9FE0000000000000000"#,
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        decode_record(text.as_str(), context, event)
    }
}

/// Reads one record; also used for records that come inside of syslog.
pub(crate) fn decode_record(text: &str, context: &Context<'_>, event: &mut Event) -> Fit {
    let (node, rest) = match text.strip_prefix("node=").and_then(|rest| rest.split_once(' ')) {
        Some((node, rest)) => (Some(node), rest),
        None => (None, text),
    };
    let Some((kind, rest)) = rest.strip_prefix("type=").and_then(|rest| rest.split_once(' ')) else { return Fit::No };
    let rest = rest.trim_ascii_start();
    let (stamp, rest) = match rest.strip_prefix("msg=audit(").and_then(|rest| rest.split_once(')')) {
        Some(parts) => parts,
        // A record that auditd could not read itself: `type=UNKNOWN[1329] msg=…`.
        None if kind.starts_with("UNKNOWN[") => ("", rest),
        None => return Fit::No,
    };
    let (at, serial) = stamp.split_once(':').unwrap_or((stamp, ""));
    match time(at) {
        Some(time) => event.time = time,
        None => event.push_issue(IssueKind::BadTime, &at[..at.floor_char_boundary(32)]),
    }
    event.attrs.reserve(24);
    event.attrs.push((CompactString::const_new("type"), Value::from(kind)));
    if !stamp.is_empty() {
        event.attrs.push((CompactString::const_new("audit.id"), Value::Text(format_compact!("{at}:{serial}"))));
    }
    if let Some(node) = node {
        event.attrs.push((CompactString::const_new("node"), Value::from(node)));
    }
    let body = rest.strip_prefix(':').unwrap_or(rest);
    let fields_max = context.settings.fields_max;
    if pairs(body, kind, fields_max, Nesting::Outer, &mut event.attrs) {
        event.push_issue(IssueKind::TooManyFields, format_compact!("limit is {fields_max}"));
    }
    source::auditd::apply(event, kind, text);
    Fit::Yes
}

/// `1492037289.295`
fn time(text: &str) -> Option<Timestamp> {
    let (secs, millis) = text.split_once('.')?;
    let secs: i64 = secs.parse().ok()?;
    let millis = number(millis.as_bytes())?;
    (0..=9_000_000_000).contains(&secs).then(|| Timestamp::from_millis(secs * 1_000 + i64::from(millis)))
}

/// Adds each `key=value` to the attributes. Words that are no pair are passed over. Answers whether some were left out.
fn pairs(text: &str, kind: &str, fields_max: usize, nesting: Nesting, attrs: &mut Vec<(CompactString, Value)>) -> bool {
    let mut rest = text;
    loop {
        // 0x1D parts the record from what auditd adds to it (`UID="root"`).
        rest = rest.trim_start_matches([' ', ',', '\x1d']);
        let Some(stop) = rest.find(['=', ' ', '\x1d']) else { return false };
        if rest.as_bytes()[stop] != b'=' {
            rest = &rest[stop..];
            continue;
        }
        let key = rest[..stop].trim_start_matches('(');
        let (value, after) = value(&rest[stop + 1..]);
        rest = after;
        if attrs.len() >= fields_max {
            return true;
        }
        match value {
            // The inner message of user-space records has pairs of its own.
            Raw::Single(inner) if key == "msg" && nesting == Nesting::Outer && inner.contains('=') => {
                if pairs(inner, kind, fields_max, Nesting::Inner, attrs) {
                    return true;
                }
            }
            Raw::Single(text) | Raw::Double(text) => attrs.push((key.into(), Value::from(text))),
            Raw::Bare(text) if is_encoded(key, kind) => match unhex(text) {
                Some(decoded) => attrs.push((key.into(), Value::Text(decoded.into()))),
                None => attrs.push((key.into(), Value::from(text))),
            },
            Raw::Bare(text) => attrs.push((key.into(), Value::from(text))),
        }
    }
}

/// Whether pairs stand in the record itself or in its inner message, which holds no other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nesting {
    Outer,
    Inner,
}

enum Raw<'t> {
    Double(&'t str),
    Single(&'t str),
    Bare(&'t str),
}

/// The value at the start of the text, and what follows.
fn value(text: &str) -> (Raw<'_>, &str) {
    if let Some((inner, rest)) = text.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
        return (Raw::Double(inner), rest);
    }
    if let Some(inner) = text.strip_prefix('\'') {
        // Values inside may hold a quote; the last one closes.
        let end = inner.rfind('\'').unwrap_or(inner.len());
        return (Raw::Single(&inner[..end]), inner.get(end + 1..).unwrap_or_default());
    }
    let end = text.find([' ', '\x1d', ',']).unwrap_or(text.len());
    let (bare, rest) = text.split_at(end);
    // Old records close a bracket around their pairs; `(null)` and `(none)` are values.
    let kept = if bare.starts_with('(') { bare } else { bare.trim_end_matches(')') };
    (Raw::Bare(kept), rest)
}

/// Whether the kernel writes this value in hexadecimal when it holds a blank, a quote or a control character.
fn is_encoded(key: &str, kind: &str) -> bool {
    match key {
        "comm" | "exe" | "proctitle" | "name" | "cwd" | "cmd" | "key" | "acct" | "data" | "path" | "dir" | "file"
        | "vm" | "ocomm" | "new-disk" | "old-disk" | "unit" => true,
        // Arguments of a command; those of a system call are numbers.
        _ if kind == "EXECVE" => {
            key.strip_prefix('a').is_some_and(|index| index.starts_with(|first: char| first.is_ascii_digit()))
        }
        _ => false,
    }
}

/// Pairs of upper-case hexadecimal digits as text; NUL, which parts the words of `proctitle`, becomes a blank.
fn unhex(text: &str) -> Option<String> {
    let digits = text.as_bytes();
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.iter().all(is_digit) {
        return None;
    }
    let bytes = hex_bytes(digits)?;
    let shown = match String::from_utf8_lossy(&bytes) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    };
    Some(shown.trim_end_matches('\0').replace('\0', " "))
}

/// The bytes that pairs of hexadecimal digits spell.
pub(crate) fn hex_bytes(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, kind: &str, expected: &[(&str, &str)]) {
        let mut attrs = Vec::new();
        pairs(body, kind, 8, Nesting::Outer, &mut attrs);
        let found: Vec<_> = attrs.iter().map(|(key, value)| (key.as_str(), value.as_str().unwrap_or("?"))).collect();
        assert_eq!(found, expected, "input: {body:?}");
    }

    #[test]
    fn pairs_are_read() {
        check(
            r#"argc=2 a0="ls" a1=2F6574 a2=31"#,
            "EXECVE",
            &[("argc", "2"), ("a0", "ls"), ("a1", "/et"), ("a2", "1")],
        );
        check("a0=31 key=(null)", "SYSCALL", &[("a0", "31"), ("key", "(null)")]);
        check("proctitle=2F62696E2F7368002D6300", "PROCTITLE", &[("proctitle", "/bin/sh -c")]);
        check(
            "msg='op=PAM:x acct=\"it's\" res=success'",
            "USER_AUTH",
            &[("op", "PAM:x"), ("acct", "it's"), ("res", "success")],
        );
        check("msg='(hostname=?, addr=?)' x=1", "USER_AUTH", &[("hostname", "?"), ("addr", "?"), ("x", "1")]);
        check("avc:  denied  { read } for  pid=1 comm=\"a\"", "AVC", &[("pid", "1"), ("comm", "a")]);
        check("uid=0 key=\"k\"\x1dUID=\"root\"", "SYSCALL", &[("uid", "0"), ("key", "k"), ("UID", "root")]);
        check("comm=\"open", "SYSCALL", &[("comm", "\"open")]);
        check("a==b=", "SYSCALL", &[("a", "=b=")]);
        check(
            "1=1 2=2 3=3 4=4 5=5 6=6 7=7 8=8 9=9",
            "X",
            &[("1", "1"), ("2", "2"), ("3", "3"), ("4", "4"), ("5", "5"), ("6", "6"), ("7", "7"), ("8", "8")],
        );
        check("msg='", "X", &[("msg", "")]);
        check("msg='msg='a=1''", "X", &[("msg", "a=1")]);
        check("", "X", &[]);
    }
}
