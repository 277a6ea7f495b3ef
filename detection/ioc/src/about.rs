//! What a list says about a value besides the value: how sure it is, until when, and what it is about.

use canh_schema::{Level, Timestamp};
use compact_str::{CompactString, format_compact};

use crate::kind::IndicatorKind;

/// How sure a list is that does not say.
pub const CONFIDENCE_DEFAULT: u8 = 50;

/// Longest description kept, in bytes.
const DESCRIPTION_LEN_MAX: usize = 200;
const TAGS_MAX: usize = 16;
const TAG_LEN_MAX: usize = 64;
/// Longest name of a list, in bytes.
const LIST_LEN_MAX: usize = 64;

/// One indicator, as it is shown.
#[derive(Clone, PartialEq, Debug)]
pub struct Indicator {
    pub kind: IndicatorKind,
    /// As people write it, in the form in which it is compared.
    pub value: CompactString,
    /// Name of the list that it is from.
    pub list: CompactString,
    /// 0 to 100.
    pub confidence: u8,
    /// As the list says; [`Indicator::level`] has an answer always.
    pub severity: Option<Level>,
    /// From then on it matches no more. To the second.
    pub expiry: Option<Timestamp>,
    pub first_seen: Option<Timestamp>,
    pub last_seen: Option<Timestamp>,
    pub description: CompactString,
    /// Sigma-like: `attack.t1566.001`, `tlp.amber`, others as the list writes them.
    pub tags: Vec<CompactString>,
}

impl Indicator {
    /// How bad a match is: as the list says, else by how sure it is.
    pub fn level(&self) -> Level {
        self.severity.unwrap_or(match self.confidence {
            80.. => Level::High,
            40.. => Level::Medium,
            15.. => Level::Low,
            _ => Level::Informational,
        })
    }
}

/// What a row says besides the value. Everything may be missing.
#[derive(Clone, PartialEq, Default, Debug)]
pub(crate) struct About {
    /// Another name than that of the file.
    pub(crate) list: Option<CompactString>,
    pub(crate) confidence: Option<u8>,
    pub(crate) severity: Option<Level>,
    pub(crate) expiry: Option<Timestamp>,
    pub(crate) first_seen: Option<Timestamp>,
    pub(crate) last_seen: Option<Timestamp>,
    pub(crate) description: CompactString,
    pub(crate) tags: Vec<CompactString>,
}

impl About {
    pub(crate) fn describe(&mut self, text: &str) {
        let text = text.trim();
        if !text.is_empty() && self.description.is_empty() {
            self.description = text[..text.floor_char_boundary(DESCRIPTION_LEN_MAX)].into();
        }
    }

    /// Adds the tags that stand in a text, apart from each other by one of `separators`.
    pub(crate) fn add_tags(&mut self, text: &str, separators: &[char]) {
        for one in text.split(separators).map(str::trim).filter(|one| !one.is_empty()) {
            self.add_tag(one);
        }
    }

    pub(crate) fn add_tag(&mut self, text: &str) {
        let tag = tag(text);
        if self.tags.len() < TAGS_MAX && !tag.is_empty() && !self.tags.contains(&tag) {
            self.tags.push(tag);
        }
    }
}

/// A name of a list that is safe inside the id of a rule.
pub(crate) fn list_name(text: &str) -> CompactString {
    let text = text.trim();
    let text = &text[..text.floor_char_boundary(LIST_LEN_MAX)];
    text.chars().map(|sign| if sign.is_control() || sign == ':' { '_' } else { sign }).collect()
}

/// MITRE and TLP tags get one form, however a list writes them; others stay.
fn tag(text: &str) -> CompactString {
    let lower = text.trim().trim_matches('"').to_lowercase();
    if let Some(colour) = lower.strip_prefix("tlp:").or_else(|| lower.strip_prefix("tlp.")) {
        return format_compact!("tlp.{}", colour[..colour.floor_char_boundary(16)].trim());
    }
    if lower.starts_with("attack.") {
        return lower[..lower.floor_char_boundary(TAG_LEN_MAX)].into();
    }
    if let Some(technique) = technique(&lower) {
        return format_compact!("attack.{technique}");
    }
    let text = text.trim();
    text[..text.floor_char_boundary(TAG_LEN_MAX)].into()
}

/// `t1566.001` where a text has it as a word.
fn technique(lower: &str) -> Option<&str> {
    let word = |sign: char| !(sign.is_ascii_alphanumeric() || sign == '.');
    lower.split(word).map(|word| word.trim_matches('.')).find(|word| {
        let Some(digits) = word.strip_prefix('t') else { return false };
        let (technique, sub) = digits.split_once('.').map_or((digits, None), |(head, tail)| (head, Some(tail)));
        let all = |text: &str, len: usize| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
        all(technique, 4) && sub.is_none_or(|sub| all(sub, 3))
    })
}

/// 0 to 100, or a word for it.
pub(crate) fn confidence(text: &str) -> Option<u8> {
    let text = text.trim().trim_end_matches('%');
    match text.to_ascii_lowercase().as_str() {
        "high" => Some(85),
        "medium" | "moderate" => Some(50),
        "low" => Some(15),
        "none" => Some(0),
        _ => text.parse::<f64>().ok().filter(|number| (0.0..=100.0).contains(number)).map(|number| number as u8),
    }
}

pub(crate) fn severity(text: &str) -> Option<Level> {
    match text.trim().to_ascii_lowercase().as_str() {
        "info" | "informational" | "unknown" => Some(Level::Informational),
        "low" => Some(Level::Low),
        "medium" | "moderate" => Some(Level::Medium),
        "high" => Some(Level::High),
        "critical" | "severe" => Some(Level::Critical),
        _ => None,
    }
}

/// RFC 3339, a date, date and time (UTC if it says no zone), or seconds or milliseconds since 1970.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Some(at) = Timestamp::parse_rfc3339(text) {
        return Some(at);
    }
    let text = text.strip_suffix("UTC").unwrap_or(text).trim();
    if let Ok(number) = text.parse::<i64>() {
        // Seconds reach the year 5138 below this.
        let at =
            if number.abs() < 100_000_000_000 { Timestamp::from_secs(number) } else { Timestamp::from_millis(number) };
        return (number > 0).then_some(at);
    }
    let civil = text.parse::<jiff::civil::DateTime>().ok()?;
    civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_tag(text: &str, expected: &str) {
        assert_eq!(tag(text), expected, "input: {text:?}");
    }

    #[test]
    fn tags() {
        check_tag("TLP:AMBER", "tlp.amber");
        check_tag("T1566.001", "attack.t1566.001");
        check_tag("attack.T1071", "attack.t1071");
        check_tag("misp-galaxy:mitre-attack-pattern=\"Phishing - T1566\"", "attack.t1566");
        check_tag("t15667", "t15667");
        check_tag("Cobalt Strike", "Cobalt Strike");
    }

    #[track_caller]
    fn check_time(text: &str, expected: Option<&str>) {
        assert_eq!(time(text).map(|at| at.to_string()).as_deref(), expected, "input: {text:?}");
    }

    #[test]
    fn times() {
        check_time("2026-01-31T08:00:00+07:00", Some("2026-01-31T01:00:00Z"));
        check_time("2026-01-31", Some("2026-01-31T00:00:00Z"));
        check_time("2026-01-31 08:00:00", Some("2026-01-31T08:00:00Z"));
        check_time("2026-01-31 08:00:00 UTC", Some("2026-01-31T08:00:00Z"));
        check_time("1769846400", Some("2026-01-31T08:00:00Z"));
        check_time("1769846400000", Some("2026-01-31T08:00:00Z"));
        check_time("soon", None);
        check_time("", None);
        check_time("9223372036854775807", Some("2262-04-11T23:47:16.854775807Z"));
    }

    #[test]
    fn numbers_and_words() {
        assert_eq!(
            [confidence("75"), confidence("75%"), confidence("High"), confidence("101"), confidence("x")],
            [Some(75), Some(75), Some(85), None, None]
        );
        assert_eq!(
            [severity("HIGH"), severity("severe"), severity("?")],
            [Some(Level::High), Some(Level::Critical), None]
        );
    }
}
