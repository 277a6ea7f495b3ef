//! Points in time as logs write them. No clock is read here: what a log leaves out (year, zone) is an argument.

use std::fmt;
use std::str::FromStr;

use canh_schema::Timestamp;
use jiff::tz::TimeZone;

/// The zone of times that do not name theirs.
#[derive(Clone)]
pub struct Zone(TimeZone);

/// A text that names no zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a time zone; write a name of the IANA list, for example `Asia/Ho_Chi_Minh` or `UTC`")]
pub struct ZoneError {
    pub name: String,
}

impl Default for Zone {
    /// `Asia/Ho_Chi_Minh`, which has been UTC+7 without summer time since 1975.
    fn default() -> Self {
        Self(TimeZone::get("Asia/Ho_Chi_Minh").unwrap_or_else(|_| TimeZone::fixed(jiff::tz::offset(7))))
    }
}

impl Zone {
    pub(crate) const fn utc() -> Self {
        Self(TimeZone::UTC)
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(name: &str) -> Result<Self, ZoneError> {
        TimeZone::get(name).map(Self).map_err(|_| ZoneError { name: name.to_owned() })
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("fixed offset"))
    }
}

/// A date and a time of day, somewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Civil {
    pub(crate) year: i32,
    pub(crate) month: u32,
    pub(crate) day: u32,
    pub(crate) hour: u32,
    pub(crate) minute: u32,
    pub(crate) second: u32,
    pub(crate) nanos: u32,
}

impl Civil {
    fn is_valid(&self) -> bool {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let days = match self.month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return false,
        };
        // The years that a timestamp reaches, less one at each end for the offset.
        (1_678..=2_261).contains(&self.year)
            && (1..=days).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second <= 60
    }

    /// The point in time at which a clock this many seconds east of UTC shows this.
    pub(crate) fn at_offset(&self, east_secs: i64) -> Option<Timestamp> {
        if !self.is_valid() {
            return None;
        }
        // Days since 1970-01-01, counted in years that begin on 1 March, so that the leap day is the last of its year.
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let month_from_march = i64::from((self.month + 9) % 12);
        let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(self.day) - 1;
        let days =
            365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468;
        let of_day = i64::from(self.hour) * 3_600 + i64::from(self.minute) * 60 + i64::from(self.second);
        let nanos = (days * 86_400 + of_day - east_secs) * 1_000_000_000 + i64::from(self.nanos);
        Some(Timestamp::from_nanos(nanos))
    }

    /// The point in time at which clocks in this zone show this; the earlier one where it is shown twice.
    pub(crate) fn in_zone(&self, zone: &Zone) -> Option<Timestamp> {
        let utc = self.at_offset(0)?;
        let small = |number: u32| i8::try_from(number).ok();
        let civil = jiff::civil::DateTime::new(
            i16::try_from(self.year).ok()?,
            small(self.month)?,
            small(self.day)?,
            small(self.hour)?,
            small(self.minute)?,
            small(self.second.min(59))?,
            0,
        )
        .ok()?;
        let shown = zone.0.to_ambiguous_timestamp(civil).compatible().ok()?;
        let plain = i64::from(self.second.min(59)) - i64::from(self.second);
        let east_secs = utc.secs() + plain - shown.as_second();
        self.at_offset(east_secs)
    }

    /// Adds the year to a time without one: the newest that is not more than a day after `received`.
    pub(crate) fn with_year_before(mut self, received: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let this_year = i32::from(jiff::Timestamp::from(received).to_zoned(zone.0.clone()).year());
        let latest = received.saturating_add(std::time::Duration::from_secs(24 * 3_600));
        // Eight years back, because 29 February may be that far away.
        (0..=9).find_map(|back| {
            self.year = this_year + 1 - back;
            self.in_zone(zone).filter(|at| *at <= latest)
        })
    }
}

/// The number of a month's English short name.
pub(crate) fn month(name: &[u8]) -> Option<u32> {
    Some(match name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

/// The number that all of these digits spell; at most nine.
pub(crate) fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    digits.iter().try_fold(0_u32, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')))
}

/// Hours, minutes and seconds of `hh:mm:ss`.
pub(crate) fn time_of_day(text: &[u8]) -> Option<(u32, u32, u32)> {
    match text {
        [h1, h2, b':', m1, m2, b':', s1, s2] => {
            Some((number(&[*h1, *h2])?, number(&[*m1, *m2])?, number(&[*s1, *s2])?))
        }
        _ => None,
    }
}

/// Seconds east of UTC of `Z`, `+hh:mm`, `+hhmm` or `+hh`.
pub(crate) fn offset(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'Z' | b'z'] => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits {
        [h1, h2] => (number(&[*h1, *h2])?, 0),
        [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => (number(&[*h1, *h2])?, number(&[*m1, *m2])?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 3_600 + minutes * 60))
}

/// RFC 3339, and its relatives: a space for the `T`, any number of digits after the second, an offset without colon.
/// A time without offset is one of `zone`.
pub(crate) fn rfc3339(text: &str, zone: &Zone) -> Option<Timestamp> {
    let text = text.as_bytes();
    let (date, rest) = text.split_at_checked(10)?;
    let [b'T' | b't' | b' ', rest @ ..] = rest else { return None };
    let (clock, rest) = rest.split_at_checked(8)?;
    let (hour, minute, second) = time_of_day(clock)?;
    let (nanos, rest) = fraction(rest);
    let [y @ .., b'-', m1, m2, b'-', d1, d2] = date else { return None };
    let civil = Civil {
        year: i32::try_from(number(y)?).ok()?,
        month: number(&[*m1, *m2])?,
        day: number(&[*d1, *d2])?,
        hour,
        minute,
        second,
        nanos,
    };
    match rest.trim_ascii_start() {
        [] => civil.in_zone(zone),
        b"UTC" => civil.at_offset(0),
        named => civil.at_offset(offset(named)?),
    }
}

/// How far into a line its own time may begin.
const LEADING_MAX: usize = 48;

/// The time that an application's own log line begins with: `2026-11-22 09:00:00,123 …`, also in brackets or behind a
/// few words.
pub(crate) fn leading(text: &str, zone: &Zone) -> Option<Timestamp> {
    let head = &text.as_bytes()[..text.len().min(LEADING_MAX)];
    memchr::memchr_iter(b'-', head).find_map(|dash| {
        let start = dash.checked_sub(4)?;
        let clock = text.get(start..start + 19)?;
        let before = start.checked_sub(1).and_then(|at| text.as_bytes().get(at));
        if before.is_some_and(u8::is_ascii_alphanumeric) {
            return None;
        }
        let (_, rest) = fraction(&text.as_bytes()[start + 19..]);
        let end = text.len() - rest.len();
        let zone_len = match rest {
            [b'Z', ..] => 1,
            [b'+' | b'-', _, _, b':', _, _, ..] => 6,
            [b'+' | b'-', a, b, c, d, ..] if [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()) => 5,
            _ => 0,
        };
        let stamp = text.get(start..end + zone_len)?;
        rfc3339(stamp, zone).or_else(|| rfc3339(clock, zone))
    })
}

/// Nanoseconds of `.123` or `,123`, and what follows. Digits past the ninth do not count.
pub(crate) fn fraction(text: &[u8]) -> (u32, &[u8]) {
    let [b'.' | b',', digits @ ..] = text else { return (0, text) };
    let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let kept = &digits[..len.min(9)];
    let mut nanos = kept.iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    for _ in kept.len()..9 {
        nanos *= 10;
    }
    (nanos, &digits[len..])
}

/// Seconds since 1970 with a fraction, as Zeek and others write them. Milliseconds, microseconds and nanoseconds are
/// told by their size.
pub(crate) fn epoch_seconds(value: f64) -> Option<Timestamp> {
    let size = value.abs();
    let nanos = if size < 1e11 {
        // The fraction apart, so that a double's 53 bits are not spent on the nanoseconds of the whole.
        return (size.is_finite() && size < 9e9).then(|| {
            let whole = value.floor();
            let micros = ((value - whole) * 1e6).round();
            Timestamp::from_nanos(whole as i64 * 1_000_000_000 + micros as i64 * 1_000)
        });
    } else if size < 1e14 {
        value * 1e6
    } else if size < 1e17 {
        value * 1e3
    } else {
        value
    };
    (nanos.abs() < 9.2e18).then(|| Timestamp::from_nanos(nanos as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let found = rfc3339(text, &Zone::default()).map(|at| at.to_string());
        assert_eq!(found.as_deref(), expected, "input: {text:?}");
    }

    #[test]
    fn iso_times() {
        check("2026-01-31T08:00:00+07:00", Some("2026-01-31T01:00:00Z"));
        check("2026-01-31T08:00:00.25+0700", Some("2026-01-31T01:00:00.25Z"));
        check("2026-01-31 08:00:00,123", Some("2026-01-31T01:00:00.123Z")); // the zone given
        check("2024-02-29T23:59:60Z", Some("2024-03-01T00:00:00Z")); // a leap second
        check("2026-01-31T08:00:00.123456789123Z", Some("2026-01-31T08:00:00.123456789Z"));
        check("1969-12-31T23:59:59Z", Some("1969-12-31T23:59:59Z"));
        check("2025-02-29T00:00:00Z", None);
        check("2026-13-01T00:00:00Z", None);
        check("2026-01-31", None);
        check("2026-01-31T08:00:00 Mars", None);
        check("9999-01-31T08:00:00Z", None);
        check("é2026-01-31T", None);
    }

    #[track_caller]
    fn check_leading(text: &str, expected: Option<&str>) {
        let found = leading(text, &Zone::default()).map(|at| at.to_string());
        assert_eq!(found.as_deref(), expected, "input: {text:?}");
    }

    #[test]
    fn lines_begin_with_a_time() {
        check_leading("2026-11-22 09:00:00,123 INFO x", Some("2026-11-22T02:00:00.123Z"));
        check_leading("TID: [-1234] [] [2026-11-22 09:00:00,123]  INFO {x} - y", Some("2026-11-22T02:00:00.123Z"));
        check_leading("2026-11-22T09:00:00.5Z 12 Query", Some("2026-11-22T09:00:00.5Z"));
        check_leading("2026-11-22T09:00:00+0000", Some("2026-11-22T09:00:00Z"));
        check_leading("id=x2026-11-22 09:00:00", None);
        check_leading("a-b-c-d", None);
        check_leading("é-é-é2026-99-22 09:00:00", None);
        check_leading("a sentence of more than forty-eight characters before 2026-11-22 09:00:00", None);
        check_leading("", None);
    }

    #[track_caller]
    fn check_year(month: u32, day: u32, received: &str, expected: Option<&str>) {
        let civil = Civil { year: 0, month, day, hour: 23, minute: 30, second: 0, nanos: 0 };
        let received = Timestamp::parse_rfc3339(received).unwrap();
        let found = civil.with_year_before(received, &Zone::default()).map(|at| at.to_string());
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn the_year_is_the_newest_that_is_not_in_the_future() {
        check_year(11, 22, "2026-11-22T17:00:00Z", Some("2026-11-22T16:30:00Z"));
        check_year(12, 31, "2027-01-01T00:00:00Z", Some("2026-12-31T16:30:00Z")); // new year in between
        check_year(1, 1, "2026-12-31T17:30:00Z", Some("2027-01-01T16:30:00Z")); // a clock that is ahead
        check_year(11, 25, "2026-11-22T09:00:00Z", Some("2025-11-25T16:30:00Z"));
        check_year(2, 29, "2026-11-22T09:00:00Z", Some("2024-02-29T16:30:00Z"));
        check_year(2, 30, "2026-11-22T09:00:00Z", None);
    }

    #[test]
    fn epoch_units_are_told_by_size() {
        for value in [1_588_205_198.5, 1_588_205_198_500.0, 1_588_205_198_500_000.0, 1_588_205_198_500_000_000.0] {
            assert_eq!(epoch_seconds(value), Some(Timestamp::from_millis(1_588_205_198_500)), "input: {value}");
        }
        assert_eq!(epoch_seconds(f64::NAN), None);
        assert_eq!(epoch_seconds(1e300), None);
    }

    #[test]
    fn days_agree_with_the_calendar_of_jiff() {
        for (year, month, day) in [(1700, 3, 1), (1970, 1, 1), (2000, 2, 29), (2026, 12, 31), (2100, 2, 28)] {
            let civil = Civil { year, month, day, hour: 1, minute: 2, second: 3, nanos: 4 };
            let text = format!("{year:04}-{month:02}-{day:02}T01:02:03.000000004Z");
            assert_eq!(civil.at_offset(0), Timestamp::parse_rfc3339(&text));
        }
    }
}
