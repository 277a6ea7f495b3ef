//! A length of time in a configuration: a text such as `"200ms"`, `"15s"`, `"5m"`, `"2h"`, `"7d"` or `"2w"`.

use std::fmt;
use std::time::Duration;

use serde::Deserializer;
use serde::de::{Error, Visitor};

const UNITS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

/// For `#[serde(with = "canh_config::duration")]`.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    from.deserialize_str(DurationVisitor)
}

/// Reads a whole number and a unit.
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(unit_at);
    let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit.trim())?;
    digits.parse::<u64>().ok()?.checked_mul(*ms).map(Duration::from_millis)
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length of time such as `15s`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        parse(text).ok_or_else(|| {
            E::custom(format_args!(
                "`{text}` is not a length of time; write a number with `ms`, `s`, `m`, `h`, `d` or `w`, for example `15s`"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected_ms: Option<u64>) {
        assert_eq!(parse(text), expected_ms.map(Duration::from_millis), "text: {text}");
    }

    #[test]
    fn lengths_of_time() {
        check("200ms", Some(200));
        check("15s", Some(15_000));
        check(" 5 m ", Some(300_000));
        check("2h", Some(7_200_000));
        check("7d", Some(604_800_000));
        check("15", None);
        check("-1s", None);
        check("1.5s", None);
        check("s", None);
        check("", None);
        check("99999999999999999999d", None);
    }
}
