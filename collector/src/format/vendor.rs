//! Lines of sources that are described in folders, see `crate::vendor`. Asked after every format that is code, except the
//! ones that fit nearly everything.

use canh_schema::Event;

use super::{Context, Fit, Format, Text};

/// Lines with a text that a described source is recognised by.
pub(super) struct Vendor;

impl Format for Vendor {
    fn name(&self) -> &'static str {
        "vendor"
    }

    fn about(&self) -> &'static str {
        "a line of a source that is described in a folder"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            "1795336308.123    456 10.10.1.7 TCP_MISS/200 1234 GET http://www.example/a?b=c - HIER_DIRECT/192.0.2.80 text/html",
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        match context.settings.vendors.line(event, context, text.as_str()) {
            true => Fit::Yes,
            false => Fit::No,
        }
    }
}
