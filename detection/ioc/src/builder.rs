//! Takes rows of lists, and makes the set that answers.

use compact_str::{CompactString, format_compact};
use rustc_hash::FxHashMap;

use crate::about::{About, CONFIDENCE_DEFAULT, Indicator, list_name};
use crate::allow::{AllowList, PrivateAddresses};
use crate::format::CsvColumn;
use crate::index::{Added, Ranges, Said, Table, Texts};
use crate::kind::IndicatorKind;
use crate::problem::{FileReport, Place, ProblemKind, Report, pack_time};
use crate::set::IndicatorSet;
use crate::value;

/// Lists, by name. More are taken as the list of the last name.
const LISTS_MAX: usize = 1_000;

/// How lists are read.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    pub private: PrivateAddresses,
    /// What columns of CSV files mean, besides the names that are known.
    pub columns: Vec<(String, CsvColumn)>,
    /// Indicators of all lists together; what comes after is refused.
    pub indicators_max: usize,
    /// Bytes of one file; a longer one is refused whole.
    pub file_len_max: u64,
    /// Files of all paths together.
    pub files_max: usize,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            private: PrivateAddresses::default(),
            columns: Vec::new(),
            indicators_max: 2_000_000,
            file_len_max: 512 << 20,
            files_max: 1_000,
        }
    }
}

/// Collects indicators. Files of an allow-list must be given before the lists.
#[derive(Debug)]
pub struct Builder {
    pub(crate) options: LoadOptions,
    table: Table,
    texts: Texts,
    lists: Vec<CompactString>,
    list_numbers: FxHashMap<CompactString, u16>,
    allow: AllowList,
    pub(crate) report: Report,
}

impl Builder {
    pub fn new(options: LoadOptions) -> Self {
        let allow = AllowList::new(options.private);
        Self {
            options,
            table: Table::default(),
            texts: Texts::default(),
            lists: Vec::new(),
            list_numbers: FxHashMap::default(),
            allow,
            report: Report::default(),
        }
    }

    /// Adds entries to the allow-list, one for each line; what follows a `#` is a comment.
    pub fn add_allowed(&mut self, file: &str, text: &str) {
        self.report.files.push(FileReport { file: file.to_owned(), format: "allow", ..FileReport::default() });
        for (number, line) in (1..).zip(text.lines()) {
            let entry = line.split('#').next().unwrap_or_default().trim();
            if entry.is_empty() {
                continue;
            }
            match self.allow.add(entry) {
                Ok(()) => self.count_taken(),
                Err(reason) => self.report.note(Place::Line(number), ProblemKind::Error, reason.into()),
            }
        }
        self.allow.sort();
    }

    /// Adds the indicators of one file. `file` is its name, as it is shown and as the format is found by it.
    pub fn add_text(&mut self, file: &str, text: &str) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let format = crate::format::of(file, text);
        self.report.files.push(FileReport { file: file.to_owned(), format: format.name(), ..FileReport::default() });
        let list = list_name(stem(file));
        format.read(text, &mut Reading { builder: self, list: &list, columns: Vec::new() });
    }

    /// Adds one indicator, as a set gave it or as a proof names it.
    pub fn add_indicator(&mut self, indicator: &Indicator) {
        let about = About {
            list: Some(indicator.list.clone()),
            confidence: Some(indicator.confidence),
            severity: indicator.severity,
            expiry: indicator.expiry,
            first_seen: indicator.first_seen,
            last_seen: indicator.last_seen,
            description: indicator.description.clone(),
            tags: indicator.tags.clone(),
        };
        self.add(Place::File, Some(indicator.kind), &indicator.value, &about, "");
    }

    /// A file that could not be read at all.
    pub fn add_unreadable(&mut self, file: &str, reason: String) {
        self.report.files.push(FileReport { file: file.to_owned(), ..FileReport::default() });
        self.report.note(Place::File, ProblemKind::Error, reason);
    }

    pub fn finish(mut self) -> (IndicatorSet, Report) {
        self.table.shrink();
        self.texts.shrink();
        let table = &self.table;
        let mut networks = Vec::new();
        for (number, record) in (0..).zip(table.records()) {
            // One for each network, not one for each list that has it.
            if record.kind() == IndicatorKind::Cidr
                && table.find(IndicatorKind::Cidr, table.value(record)) == Some(number)
                && let Some(network) = value::network(table.value(record))
            {
                networks.push((network, number));
            }
        }
        let ranges = Ranges::new(networks);
        (IndicatorSet::new(self.table, self.texts, self.lists, ranges, self.allow), self.report)
    }

    fn count_taken(&mut self) {
        if let Some(file) = self.report.files.last_mut() {
            file.taken += 1;
        }
    }

    fn list(&mut self, name: &str) -> u16 {
        if let Some(number) = self.list_numbers.get(name) {
            return *number;
        }
        let number = u16::try_from(self.lists.len().min(LISTS_MAX - 1)).unwrap_or(0);
        if self.lists.len() < LISTS_MAX {
            self.lists.push(name.into());
            self.list_numbers.insert(name.into(), number);
        }
        number
    }

    fn add(&mut self, place: Place, kind: Option<IndicatorKind>, text: &str, about: &About, list: &str) {
        let value = match value::read(kind, text) {
            Ok(value) => value,
            Err(reason) => return self.report.note(place, ProblemKind::Error, reason.into()),
        };
        if let Some(reason) = self.allow.refuses(&value) {
            let reason = format!("`{}` is left out: {reason}", value.shown());
            return self.report.note(place, ProblemKind::Allowed, reason);
        }
        if self.table.len() >= self.options.indicators_max {
            let reason = format!("more than {} indicators; this one is left out", self.options.indicators_max);
            return self.report.note(place, ProblemKind::Error, reason);
        }
        let list = self.list(about.list.as_deref().unwrap_or(list));
        let tags = about.tags.join("\n");
        let mut text = |text: &str| {
            self.texts.add(text).unwrap_or_else(|| {
                self.report.texts_dropped += 1;
                0
            })
        };
        let said = Said {
            list,
            confidence: about.confidence.unwrap_or(CONFIDENCE_DEFAULT),
            severity: about.severity,
            tags: text(&tags),
            description: text(&about.description),
            expiry: pack_time(about.expiry),
            first_seen: pack_time(about.first_seen),
            last_seen: pack_time(about.last_seen),
        };
        match self.table.add(value.kind, &value.bytes, said) {
            Added::New => (),
            Added::Merged => self.report.duplicates += 1,
            Added::Full => {
                let reason = "there is no more room for values; this one is left out".to_owned();
                return self.report.note(place, ProblemKind::Error, reason);
            }
        }
        self.count_taken();
    }
}

/// Where a format puts what it reads.
pub(crate) struct Reading<'b> {
    builder: &'b mut Builder,
    /// Name of the list, from the file.
    pub(crate) list: &'b str,
    /// Columns that the file itself names.
    pub(crate) columns: Vec<(String, CsvColumn)>,
}

impl Reading<'_> {
    pub(crate) fn take(&mut self, place: Place, kind: Option<IndicatorKind>, text: &str, about: &About) {
        self.builder.add(place, kind, text, about, self.list);
    }

    pub(crate) fn refuse(&mut self, place: Place, reason: impl Into<String>) {
        self.builder.report.note(place, ProblemKind::Error, reason.into());
    }

    /// A row that is fine and not meant for detection.
    pub(crate) fn skip(&mut self) {
        if let Some(file) = self.builder.report.files.last_mut() {
            file.skipped += 1;
        }
    }

    pub(crate) fn column(&self, name: &str) -> Option<CsvColumn> {
        let columns = self.columns.iter().chain(&self.builder.options.columns);
        columns.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, column)| *column)
    }
}

/// Name of a list from the name of its file.
fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    match name.split_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

/// Quotes what an input says in an error, short enough to read.
pub(crate) fn quoted(text: &str) -> CompactString {
    let shown: String = text.chars().take(80).collect();
    format_compact!("`{shown}`")
}
