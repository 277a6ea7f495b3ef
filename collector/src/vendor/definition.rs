//! `source.toml` as it is written. What it says is judged in `compile`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One `source.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    /// One line for the reference manual.
    pub(super) about: String,
    /// Zone of times that do not name theirs; the collector's own without it.
    pub(super) time_zone: Option<String>,
    /// Regular expressions of what is not to be kept; the first group of each is replaced, or else the whole.
    #[serde(default)]
    pub(super) mask: Vec<String>,
    /// Names of values that are not to be kept, for example cookies.
    #[serde(default)]
    pub(super) hide: Vec<String>,
    /// Texts that the source writes when it has nothing to say, besides nothing and `-`.
    #[serde(default)]
    pub(super) absent: Vec<String>,
    pub(super) recognise: Recognise,
    #[serde(default)]
    pub(super) extract: Extract,
    pub(super) join: Option<Join>,
    pub(super) time: Option<Times>,
    #[serde(default)]
    pub(super) fields: BTreeMap<String, Filled>,
    #[serde(default)]
    pub(super) constants: BTreeMap<String, toml::Value>,
    /// Names that Sigma's rules use, and values that are given under them too.
    #[serde(default)]
    pub(super) also: BTreeMap<String, Filled>,
    pub(super) web: Option<Web>,
    pub(super) logsource: Option<LogSourceNames>,
    /// Tried in order; the first that fits counts.
    #[serde(default)]
    pub(super) kind: Vec<Kind>,
}

/// How a line of the source is known. What is given must all hold; of a list one is enough.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Recognise {
    /// Names in the place of syslog's program.
    pub(super) programs: Vec<String>,
    pub(super) prefixes: Vec<String>,
    pub(super) contains: Vec<String>,
    pub(super) regex: Option<String>,
    /// `vendor|product` of a head of CEF; `*` is any product.
    pub(super) cef: Vec<String>,
    /// The same for LEEF.
    pub(super) leef: Vec<String>,
    /// Names that a JSON object has, all of them.
    pub(super) json: Vec<String>,
}

/// How the values are taken out of a line.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Extract {
    pub(super) form: Form,
    /// Between two values, or two pairs.
    pub(super) separator: Option<char>,
    /// Between name and value of a pair.
    pub(super) assign: Option<char>,
    /// Value that is a record of its own, for example the line that a container wrote.
    pub(super) inner: Option<String>,
}

/// Which messages of syslog of the programs of `[recognise]` belong to the one before them. One of `continues` and `start`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Join {
    /// Regular expression of messages that go on; its first group is what is added, or else all of the message.
    pub(super) continues: Option<String>,
    /// Regular expression of messages that begin a record; all others go on.
    pub(super) start: Option<String>,
    /// Values of the first message that go on too.
    pub(super) into: Vec<String>,
    pub(super) lines_max: u32,
    pub(super) bytes_max: usize,
}

impl Default for Join {
    fn default() -> Self {
        Self { continues: None, start: None, into: Vec::new(), lines_max: 1_000, bytes_max: 65_536 }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Form {
    /// Kinds have a `template` or a `regex`.
    #[default]
    Lines,
    /// Kinds have `columns`; a value may stand in quotation marks.
    Csv,
    Pairs,
    /// CEF, LEEF or JSON: the values are there already.
    Given,
}

/// The first whose values are there counts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Times {
    One(Time),
    Several(Vec<Time>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Time {
    /// Values that are the time, with a blank between them.
    pub(super) from: Names,
    /// `iso`, `epoch` or a layout with `%`.
    pub(super) layouts: Vec<String>,
}

/// What values mean, of the whole source or of one kind.
#[derive(Debug, Default)]
pub(super) struct Mapping {
    /// Catalogue field, and what fills it.
    pub(super) fields: BTreeMap<String, Filled>,
    pub(super) constants: BTreeMap<String, toml::Value>,
    /// Names that Sigma's rules use and values that are given under them too.
    pub(super) also: BTreeMap<String, Filled>,
    pub(super) web: Option<Web>,
    pub(super) logsource: Option<LogSourceNames>,
}

macro_rules! mapping_of {
    ($($whole:ty),*) => {
        $(impl $whole {
            pub(super) fn take_mapping(&mut self) -> Mapping {
                Mapping {
                    fields: std::mem::take(&mut self.fields),
                    constants: std::mem::take(&mut self.constants),
                    also: std::mem::take(&mut self.also),
                    web: self.web.take(),
                    logsource: self.logsource.take(),
                }
            }
        })*
    };
}

mapping_of!(Definition, Kind);

/// A value by name, or more to say about it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Filling {
    Name(String),
    Names(Vec<String>),
    Full(FullFilling),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FullFilling {
    pub(super) from: Names,
    /// Texts of the source, and ours.
    #[serde(default)]
    pub(super) values: BTreeMap<String, String>,
    /// For a text that `values` lacks; without it the text stays.
    pub(super) otherwise: Option<String>,
    /// `s`, `ms`, `us` or `ns`: a length of time, which becomes nanoseconds.
    pub(super) unit: Option<String>,
    /// `lower`, `base_name`, `transport` or `labels`.
    pub(super) change: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Names {
    One(String),
    Several(Vec<String>),
}

impl Names {
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(name) => vec![name],
            Self::Several(names) => names,
        }
    }
}

/// Values of a request to a web server, for the names of Sigma's `webserver` and `proxy`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Web {
    pub(super) method: Option<String>,
    /// Path and query, or the whole address.
    pub(super) url: Option<String>,
    pub(super) host: Option<String>,
    pub(super) status: Option<String>,
    pub(super) bytes: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) referrer: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogSourceNames {
    pub(super) product: Option<String>,
    pub(super) service: Vec<String>,
    pub(super) category: Vec<String>,
}

/// One kind of line.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Kind {
    /// Of `[extract]`: exactly one of these for `lines` and `csv`.
    pub(super) template: Option<String>,
    pub(super) regex: Option<String>,
    pub(super) columns: Option<Vec<String>>,
    /// Values that make a record of this kind.
    pub(super) when: BTreeMap<String, Names>,
    pub(super) fields: BTreeMap<String, Filled>,
    pub(super) constants: BTreeMap<String, toml::Value>,
    /// Names that Sigma's rules use, and values that are given under them too.
    pub(super) also: BTreeMap<String, Filled>,
    pub(super) web: Option<Web>,
    pub(super) logsource: Option<LogSourceNames>,
}

/// A filling with everything that was left out.
#[derive(Debug, Deserialize)]
#[serde(from = "Filling")]
pub(super) struct Filled(pub(super) FullFilling);

impl From<Filling> for Filled {
    fn from(filling: Filling) -> Self {
        let plain = |from| FullFilling { from, values: BTreeMap::new(), otherwise: None, unit: None, change: None };
        Self(match filling {
            Filling::Name(name) => plain(Names::One(name)),
            Filling::Names(names) => plain(Names::Several(names)),
            Filling::Full(full) => full,
        })
    }
}
