//! Turns the parser's messages into ours: with a place, and with the word that was probably meant.

use canh_schema::Level;

use crate::diagnostic::{Diagnostic, nearest};
use crate::rule::MODIFIERS;
use crate::rule::locate::Source;

/// As rules write them.
const CORRELATION_TYPES: &[&str] = &[
    "event_count",
    "value_count",
    "temporal",
    "temporal_ordered",
    "value_sum",
    "value_avg",
    "value_median",
    "value_percentile",
];

/// The parser's words with a place, and with what was probably meant.
pub(super) fn describe(message: &str, before: &str, source: Source<'_>) -> Diagnostic {
    let quoted = || message.split('\'').nth(1).unwrap_or("");
    if message.starts_with("Unknown modifier") {
        let at = source.word(&format!("|{}", quoted()));
        let error = Diagnostic::error(at, format!("unknown modifier `{}`", quoted()));
        return error.suggest(nearest(quoted(), MODIFIERS.iter().map(|(name, _)| *name)));
    }
    if message.starts_with("`not` is not") {
        let text = "`not` is not a modifier; negate in the condition, for example `selection and not filter`";
        return Diagnostic::error(source.word("|not"), text);
    }
    if message.starts_with("Condition parse error") {
        // The parser names the rules of its grammar, which tell a reader nothing.
        let text = "cannot read the condition; it is made of `and`, `or`, `not`, brackets, names of selections and \
                    `1 of name_*`";
        return Diagnostic::error(source.key("condition"), text);
    }
    if message.starts_with("YAML") {
        let before_lines = u32::try_from(before.lines().count()).unwrap_or(0);
        let number = |word: &str| {
            let rest = &message[message.rfind(word)? + word.len()..];
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok()
        };
        let at = match (number("line "), number("column ")) {
            (Some(line), Some(column)) => source.at(line.saturating_sub(before_lines), column),
            _ => source.start(),
        };
        let reason = message.trim_start_matches("YAML parse error: ").trim_start_matches("YAML parsing error: ");
        return Diagnostic::error(at, format!("not valid YAML: {reason}"));
    }
    let message = ["Invalid correlation rule: ", "Invalid detection: ", "Invalid rule: "]
        .into_iter()
        .find_map(|prefix| message.strip_prefix(prefix))
        .unwrap_or(message);
    if let Some(kind) = message.strip_prefix("Unknown correlation type: ") {
        let error = Diagnostic::error(source.key("type"), format!("unknown correlation type `{kind}`"));
        return error.suggest(nearest(kind, CORRELATION_TYPES.iter().copied()));
    }
    if message.starts_with("Missing") {
        let name = message.rsplit(' ').next().unwrap_or("").trim_matches('\'');
        return Diagnostic::error(source.start(), format!("the rule has no `{name}`"));
    }
    let at = ["level", "status", "related", "timespan", "detection", "correlation"]
        .into_iter()
        .find(|key| message.to_lowercase().contains(key))
        .map_or(source.start(), |key| source.key(key));
    let error = Diagnostic::error(at, lower_first(&message.replace('\'', "`")));
    if message.starts_with("invalid level") {
        return error.suggest(nearest(quoted(), Level::ALL.iter().map(|level| level.name())));
    }
    error
}

fn lower_first(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map_or(String::new(), |first| first.to_lowercase().collect::<String>() + chars.as_str())
}
