//! How a source writes its time: ISO, a number since 1970, or a layout such as `%b %d %Y %H:%M:%S`.

use canh_schema::Timestamp;
use compact_str::CompactString;
use jiff::fmt::strtime::BrokenDownTime;

use super::clock::offset;
use super::{Civil, Zone, epoch_seconds, rfc3339};

/// One way to write a time. What follows the time in the text may be a zone and nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Layout {
    Iso,
    /// Seconds, milliseconds, microseconds or nanoseconds; their size tells which.
    Epoch,
    /// Conversions as `strptime` has them.
    Written(CompactString),
}

impl Layout {
    /// `iso`, `epoch`, or a text with `%`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for people.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "iso" => Ok(Self::Iso),
            "epoch" => Ok(Self::Epoch),
            _ if text.contains('%') => {
                // An unknown conversion shows itself with any text that is long enough to reach it.
                let now = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
                jiff::fmt::strtime::format(text, &now)
                    .map_err(|error| format!("`{text}` is not a layout of times: {error}"))?;
                Ok(Self::Written(text.into()))
            }
            _ => {
                Err(format!("`{text}` is not a layout of times; write `iso`, `epoch` or one like `%Y/%m/%d %H:%M:%S`"))
            }
        }
    }

    /// The layout that Java's letters stand for: `MMM dd yyyy HH:mm:ss.SSS z`.
    pub(crate) fn of_java(pattern: &str) -> Self {
        let mut written = String::with_capacity(pattern.len() + 8);
        let mut rest = pattern;
        while let Some(letter) = rest.chars().next() {
            let len = rest.chars().take_while(|other| *other == letter).count() * letter.len_utf8();
            let conversion = match (letter, len) {
                ('y' | 'u', 2) => "%y",
                ('y' | 'u', _) => "%Y",
                ('M' | 'L', 1 | 2) => "%m",
                ('M' | 'L', _) => "%b",
                ('d', _) => "%d",
                ('E', _) => "%a",
                ('H' | 'k', _) => "%H",
                ('h' | 'K', _) => "%I",
                ('m', _) => "%M",
                ('s', _) => "%S",
                ('a', _) => "%p",
                ('S', _) => "%f",
                // The zone is what is left over when everything else is read.
                ('z' | 'Z' | 'X' | 'V' | '\'', _) => "",
                _ => &rest[..len],
            };
            written.push_str(conversion);
            rest = &rest[len..];
        }
        Self::Written(CompactString::from(written.trim_end()))
    }

    pub(crate) fn read(&self, text: &str, received: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let text = text.trim();
        match self {
            Self::Iso => rfc3339(text, zone),
            Self::Epoch => match (text.len(), text.parse::<i64>()) {
                // As whole numbers, because a double has no room for the nanoseconds.
                (13, Ok(millis)) => Some(Timestamp::from_millis(millis)),
                (16, Ok(micros)) => micros.checked_mul(1_000).map(Timestamp::from_nanos),
                (19, Ok(nanos)) => Some(Timestamp::from_nanos(nanos)),
                _ => epoch_seconds(text.parse().ok()?),
            },
            Self::Written(layout) => {
                let (mut read, used) = BrokenDownTime::parse_prefix(layout.as_bytes(), text.as_bytes()).ok()?;
                let has_year = read.year().is_some();
                if !has_year {
                    read.set_year(Some(2_000)).ok()?;
                }
                let at = read.to_datetime().ok()?;
                let small = |number: i8| u32::try_from(number).ok();
                let civil = Civil {
                    year: i32::from(at.year()),
                    month: small(at.month())?,
                    day: small(at.day())?,
                    hour: small(at.hour())?,
                    minute: small(at.minute())?,
                    second: small(at.second())?,
                    nanos: u32::try_from(at.subsec_nanosecond()).ok()?,
                };
                let east = match read.offset() {
                    Some(offset) => Named::East(i64::from(offset.seconds())),
                    None => named(text.get(used..)?)?,
                };
                match (east, has_year) {
                    (Named::East(secs), true) => civil.at_offset(secs),
                    (Named::East(0), false) => civil.with_year_before(received, &Zone::utc()),
                    (_, true) => civil.in_zone(zone),
                    (_, false) => civil.with_year_before(received, zone),
                }
            }
        }
    }
}

enum Named {
    East(i64),
    /// No zone, or one whose short name means different things in different places.
    Configured,
}

/// The zone that stands behind a time.
fn named(rest: &str) -> Option<Named> {
    let rest = rest.trim().trim_matches(['[', ']', '(', ')']);
    let bare = rest.strip_prefix("GMT").or_else(|| rest.strip_prefix("UTC")).unwrap_or(rest).trim();
    match bare {
        "" if rest.is_empty() => Some(Named::Configured),
        "" => Some(Named::East(0)),
        "ICT" => Some(Named::East(7 * 3_600)),
        _ if bare.len() <= 5 && bare.bytes().all(|byte| byte.is_ascii_uppercase()) && bare != "Z" => {
            Some(Named::Configured)
        }
        _ => offset(bare.as_bytes()).map(Named::East),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(layout: &Layout, text: &str, expected: Option<&str>) {
        let received = Timestamp::parse_rfc3339("2026-11-22T09:00:00Z").unwrap();
        let found = layout.read(text, received, &Zone::default()).map(|at| at.to_string());
        assert_eq!(found.as_deref(), expected, "layout: {layout:?}, text: {text:?}");
    }

    #[test]
    fn layouts() {
        let layout = |text: &str| Layout::parse(text).unwrap();
        check(&layout("iso"), "2026-11-22 09:00:00", Some("2026-11-22T02:00:00Z"));
        check(&layout("epoch"), "1795336308", Some("2026-11-22T08:31:48Z"));
        check(&layout("epoch"), "1795336308123", Some("2026-11-22T08:31:48.123Z"));
        check(&layout("epoch"), "1795336308123456789", Some("2026-11-22T08:31:48.123456789Z"));
        check(&layout("%Y/%m/%d %H:%M:%S"), "2026/11/22 09:00:00", Some("2026-11-22T02:00:00Z"));
        check(&layout("%Y/%m/%d %H:%M:%S"), "2026/11/22 09:00:00 +0000", Some("2026-11-22T09:00:00Z"));
        check(&layout("%m/%d/%y,%H:%M:%S"), "11/22/26,09:00:00", Some("2026-11-22T02:00:00Z"));
        check(&layout("%m/%d/%Y %I:%M:%S %p"), "11/22/2026 3:31:48 PM", Some("2026-11-22T08:31:48Z"));
        check(&layout("%b %d %H:%M:%S"), "Nov 22 09:00:00 UTC", Some("2026-11-22T09:00:00Z"));
        check(&layout("%b %d %H:%M:%S"), "Dec  2 09:00:00", Some("2025-12-02T02:00:00Z"));
        check(&layout("%d/%b/%Y:%H:%M:%S%.f"), "22/Nov/2026:09:00:00.123", Some("2026-11-22T02:00:00.123Z"));
        check(&layout("%Y-%m-%d %H:%M:%S"), "2026-11-22 09:00:00 and more", None);
        check(&layout("%Y-%m-%d %H:%M:%S"), "é", None);
        assert!(Layout::parse("%!").is_err());
        assert!(Layout::parse("yyyy").is_err());
    }

    #[test]
    fn patterns_of_java() {
        let java = |text: &str| Layout::of_java(text);
        check(&java("MMM dd yyyy HH:mm:ss"), "Nov 22 2026 09:00:00", Some("2026-11-22T02:00:00Z"));
        check(
            &java("MMM dd yyyy HH:mm:ss.SSS z"),
            "Nov 22 2026 09:00:00.250 GMT+00:00",
            Some("2026-11-22T09:00:00.25Z"),
        );
        check(&java("yyyy-MM-dd'T'HH:mm:ss.SSSZ"), "2026-11-22T09:00:00.250+0700", Some("2026-11-22T02:00:00.25Z"));
        check(&java("é"), "x", None);
    }
}
