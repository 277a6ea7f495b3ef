//! Secrets that stand in what is logged: passwords and tokens in addresses and forms, `Authorization`, JSON. They are
//! replaced before a record is read, so that nothing that is made of it has them: neither fields nor the raw text.
//!
//! This is for every record of every source, known or not, whole or cut off. What only one source writes is said in its own
//! folder (`mask`). The journal has the record as it came until it is released.

mod names;
mod scan;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use canh_schema::{Event, EventClass, Value, field};
use compact_str::CompactString;

use names::{Names, Reach};

/// What stands in the place of a secret.
pub(crate) const MASK: &[u8] = b"***";
pub(crate) const MASK_TEXT: &str = "***";

/// The shortest secret that is looked for by its text in the raw record.
const SECRET_LEN_MIN: usize = 4;

/// Which names have secrets as values, and whose records are kept as they are.
#[derive(Debug)]
pub struct Secrets {
    names: Names,
    kept: Kept,
}

/// Whose records are kept as they are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
enum Kept {
    #[default]
    None,
    /// By `event.dataset`, or the part of it before the first dot.
    Of(Vec<CompactString>),
    All,
}

static OWN: LazyLock<std::sync::Arc<Secrets>> = LazyLock::new(|| std::sync::Arc::new(Secrets::new(&[], &[])));

/// A record's bytes without secrets.
pub(crate) struct Masked {
    /// `None`: there are none.
    pub(crate) text: Option<Vec<u8>>,
    /// [`Secrets::mask_doubtful`] has to look at the event.
    pub(crate) has_doubtful: bool,
}

impl Secrets {
    /// The list of the program alone.
    pub fn standard() -> std::sync::Arc<Self> {
        OWN.clone()
    }

    /// `more` are further names; the records of `except` (values of `event.dataset`, or `*`) are kept as they are.
    pub fn new(more: &[String], except: &[String]) -> Self {
        let kept = match except {
            [] => Kept::None,
            some if some.iter().any(|name| name == "*") => Kept::All,
            some => Kept::Of(some.iter().map(CompactString::from).collect()),
        };
        Self { names: Names::new(more.iter().map(String::as_str)), kept }
    }

    /// What is wrong with a further name, for people.
    pub(crate) fn check_name(name: &str) -> Result<(), String> {
        match names::can_be_name(name) {
            true => Ok(()),
            false => Err(format!("`{name}` is too short or too long for a name whose values are replaced")),
        }
    }

    pub(crate) fn mask(&self, text: &[u8]) -> Masked {
        if self.kept == Kept::All {
            return Masked { text: None, has_doubtful: false };
        }
        let scan::Found { mut places, has_doubtful } = scan::scan(text, &self.names);
        if places.is_empty() {
            return Masked { text: None, has_doubtful };
        }
        places.sort_unstable_by_key(|place| (place.start, std::cmp::Reverse(place.end)));
        let mut out = Vec::with_capacity(text.len());
        let mut done = 0;
        for place in places {
            if place.start < done {
                // Inside of the one before it, or reaching out of it: what reaches out is a secret too.
                done = done.max(place.end);
                continue;
            }
            out.extend_from_slice(&text[done..place.start]);
            out.extend_from_slice(MASK);
            done = place.end;
        }
        out.extend_from_slice(&text[done..]);
        Masked { text: Some(out), has_doubtful }
    }

    /// Whether all values of this name are secrets.
    pub(crate) fn is_secret(&self, name: &str) -> bool {
        self.kept != Kept::All && matches!(self.names.find(name.as_bytes()), Some(Reach::Anywhere | Reach::Alone))
    }

    /// Whether the operator wants such records as they came.
    pub(crate) fn are_kept(&self, dataset: &str) -> bool {
        match &self.kept {
            Kept::None => false,
            Kept::Of(names) => {
                let family = dataset.split('.').next().unwrap_or(dataset);
                names.iter().any(|name| name == dataset || name == family)
            }
            Kept::All => true,
        }
    }

    pub(crate) fn keeps_any(&self) -> bool {
        self.kept != Kept::None
    }

    /// Values of a JSON object that are secrets because of where they stand: `request.querystring.sig`, lists, numbers.
    pub(crate) fn mask_doubtful(&self, event: &mut Event) {
        if self.kept == Kept::All {
            return;
        }
        let mut secrets: Vec<CompactString> = Vec::new();
        for (name, value) in &mut event.attrs {
            let is_secret = match self.names.find(name.as_bytes()) {
                None => false,
                Some(Reach::Query) => is_of_request(name),
                Some(Reach::Anywhere | Reach::Alone) => !matches!(value, Value::Bool(_) | Value::Null),
            };
            if is_secret {
                replace(value, &mut secrets);
            }
        }
        if let Some(raw) = without(&event.raw, &secrets) {
            event.raw = raw.into();
        }
        // Not the other fields: whoever sends a request could hide its method or its path behind a secret of the same text.
        let message =
            event.get(field::MESSAGE).and_then(Value::as_str).and_then(|text| without(text.as_bytes(), &secrets));
        if let Some(message) = message {
            event.set(field::MESSAGE, CompactString::from_utf8_lossy(&message));
        }
    }

    /// Secrets in the values of an event that was not read from a text.
    pub(crate) fn mask_values(&self, event: &mut Event) {
        if self.kept == Kept::All || event.class == EventClass::Metric {
            return;
        }
        let fields = event.fields.iter_mut().map(|(_, value)| value);
        fields.for_each(|value| self.mask_value(value));
        for (name, value) in &mut event.attrs {
            self.mask_attribute(name, value);
        }
        if let Some(raw) = self.mask(&event.raw).text {
            event.raw = raw.into();
        }
    }

    pub(crate) fn mask_attribute(&self, name: &str, value: &mut Value) {
        if self.kept == Kept::All {
            return;
        }
        match self.names.find(name.as_bytes()) {
            Some(Reach::Anywhere | Reach::Alone) => replace(value, &mut Vec::new()),
            Some(Reach::Query) if is_of_request(name) => replace(value, &mut Vec::new()),
            _ => self.mask_value(value),
        }
    }

    fn mask_value(&self, value: &mut Value) {
        match value {
            Value::Text(text) => {
                if let Some(hidden) = self.mask(text.as_bytes()).text {
                    *text = CompactString::from_utf8_lossy(&hidden);
                }
            }
            Value::List(members) => members.iter_mut().for_each(|member| self.mask_value(member)),
            _ => (),
        }
    }
}

/// Whether the names around a value say that it came with a request.
fn is_of_request(name: &str) -> bool {
    let Some((around, _)) = name.rsplit_once('.') else { return false };
    let around = around.to_ascii_lowercase();
    ["query", "param", "form", "body", "args"].iter().any(|word| around.contains(word))
}

fn replace(value: &mut Value, secrets: &mut Vec<CompactString>) {
    match value {
        Value::List(members) => members.iter_mut().for_each(|member| replace(member, secrets)),
        Value::Bool(_) | Value::Null => (),
        _ => {
            let text = value.as_text().map(CompactString::from).unwrap_or_default();
            if !text.is_empty() && text != MASK_TEXT {
                secrets.push(text);
                *value = Value::from(MASK_TEXT);
            }
        }
    }
}

/// The text without these, if it has any of them.
fn without(text: &[u8], secrets: &[CompactString]) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    for secret in secrets.iter().filter(|secret| secret.len() >= SECRET_LEN_MIN) {
        let current = out.as_deref().unwrap_or(text);
        let mut next = Vec::with_capacity(current.len());
        let mut done = 0;
        for at in memchr::memmem::find_iter(current, secret.as_bytes()) {
            next.extend_from_slice(&current[done..at]);
            next.extend_from_slice(MASK);
            done = at + secret.len();
        }
        if done > 0 {
            next.extend_from_slice(&current[done..]);
            out = Some(next);
        }
    }
    out
}
