//! Anything else: the whole text is the message.

use canh_schema::{Event, field};

use super::{Context, Fit, Format, Text};

/// Text without a known form. Fits everything, so it is the last of the list.
pub(super) struct Plain;

impl Format for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn about(&self) -> &'static str {
        "any other text; the whole line is the message"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            "Máy chủ ESB-Svr đã khởi động lại",
            "[2026-11-22 09:00:00,123] ERROR {PassThroughHttpSender} - connection refused",
        ]
    }

    fn decode(&self, text: &mut Text<'_>, _: &Context<'_>, event: &mut Event) -> Fit {
        event.set(field::MESSAGE, text.as_str());
        event.set(field::EVENT_DATASET, "plain");
        Fit::Yes
    }
}
