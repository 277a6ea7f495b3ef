//! Lines of pairs: `time=… level=info msg="…"`, with blanks, commas, tabs, bars or semicolons between them. Asked after
//! every format that knows its lines better.

use canh_schema::Event;

use super::pairs::detect;
use super::{Context, Fit, Format, Text};
use crate::source::key_value;

/// Pairs of names and values.
pub(super) struct KeyValue;

impl Format for KeyValue {
    fn name(&self) -> &'static str {
        "key_value"
    }

    fn about(&self) -> &'static str {
        "a line that is mostly `name=value`, for example logfmt"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"time="2026-11-22T15:31:48+07:00" level=warning msg="slow answer = 812 ms" src_ip=10.10.1.7 dst_ip=10.20.2.15 dst_port=8243 user=minh proto=TCP"#,
            "ts=1795336308.25|action=deny|src=203.0.113.9|dst=10.10.1.2|dpt=22",
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let Some(marks) = detect(text.as_str()) else { return Fit::No };
        key_value::apply(event, context, text.as_str(), marks);
        Fit::Yes
    }
}
