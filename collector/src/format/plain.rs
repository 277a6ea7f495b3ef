//! Anything else: the whole text is the message.

use canh_schema::{Event, field};

use super::{Context, Fit, Format, Text, leading};

/// Text without a known form. Fits everything, so it is the last of the list.
pub(super) struct Plain;

/// How far into the line its level may stand.
const LEVEL_MAX: usize = 96;

/// Levels as log libraries write them.
const LEVELS: [&str; 9] = ["TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "FATAL", "CRITICAL"];

impl Format for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn about(&self) -> &'static str {
        "any other text; the whole line is the message, a time at its start is the time"
    }

    fn samples(&self) -> &'static [&'static str] {
        &["Máy chủ ESB-Svr đã khởi động lại", "2026-11-22 09:00:00,123 ERROR PassThroughHttpSender: connection refused"]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let line = text.as_str();
        if let Some(at) = leading(line, &context.settings.zone) {
            event.time = at;
        }
        let head = &line[..line.floor_char_boundary(LEVEL_MAX)];
        let words = head.split(|letter: char| !letter.is_ascii_uppercase());
        if let Some(level) = words.filter_map(|word| LEVELS.iter().find(|level| **level == word)).next() {
            event.set(field::LOG_LEVEL, level.to_ascii_lowercase());
        }
        event.set(field::MESSAGE, text.as_str());
        event.set(field::EVENT_DATASET, "plain");
        Fit::Yes
    }
}
