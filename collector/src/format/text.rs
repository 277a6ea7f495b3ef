//! One record as text, with its JSON reading shared by all formats that try it.

use canh_schema::LogSource;

use super::{Context, EnvelopeKeys, Json};

/// The text of a record. JSON is parsed once, at the first question for it.
#[derive(Debug)]
pub struct Text<'a> {
    text: &'a str,
    json: Parsed,
    logsource: Option<LogSource>,
}

#[derive(Debug)]
enum Parsed {
    NotYet,
    NotJson,
    Json(Json),
}

impl<'a> Text<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, json: Parsed::NotYet, logsource: None }
    }

    pub(crate) fn as_str(&self) -> &'a str {
        self.text
    }

    /// The flattened object, if the text begins as one.
    pub(crate) fn json(&mut self, context: &Context<'_>) -> Option<&Json> {
        if let Parsed::NotYet = self.json {
            self.json = match Json::read(self.text, context.settings.depth_max, context.settings.fields_max) {
                Some(mut json) => {
                    if context.envelope_keys == EnvelopeKeys::Read {
                        self.logsource = json.take_logsource();
                    }
                    Parsed::Json(json)
                }
                None => Parsed::NotJson,
            };
        }
        match &self.json {
            Parsed::Json(json) => Some(json),
            _ => None,
        }
    }

    /// The flattened object for good. Afterwards the text counts as not JSON.
    pub(crate) fn take_json(&mut self, context: &Context<'_>) -> Option<Json> {
        self.json(context)?;
        match std::mem::replace(&mut self.json, Parsed::NotJson) {
            Parsed::Json(json) => Some(json),
            _ => None,
        }
    }

    /// Whether the record's own envelope keys name a log source.
    pub(crate) fn has_logsource(&self) -> bool {
        self.logsource.is_some()
    }

    /// The log source that the record's own envelope keys name.
    pub(crate) fn take_logsource(&mut self) -> Option<LogSource> {
        self.logsource.take()
    }
}
