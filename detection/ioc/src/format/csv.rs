//! CSV with a header. Columns are recognised by their usual names or by a mapping; the sign between them is found from
//! the header. The header may be a comment, as some feeds write it.

use csv::{ByteRecord, ReaderBuilder};

use super::plain::Directives;
use super::{Format, head};
use crate::about;
use crate::builder::{Reading, quoted};
use crate::kind::IndicatorKind;
use crate::problem::Place;

pub(super) struct Csv;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CsvColumn {
    /// The indicator, of the type that another column says or that its form says.
    Value,
    /// The indicator, of this type.
    ValueOf(IndicatorKind),
    Type,
    List,
    Confidence,
    Severity,
    Expiry,
    FirstSeen,
    LastSeen,
    Description,
    Tags,
    Tlp,
    Ignored,
}

/// Names of columns in lower case, blanks as `_`. Names of types of indicators are columns with values of that type.
pub const COLUMNS: &[(CsvColumn, &[&str])] = &[
    (
        CsvColumn::Value,
        &[
            "value",
            "indicator",
            "ioc",
            "ioc_value",
            "indicator_value",
            "observable",
            "hash",
            "dst_ip",
            "src_ip",
            "entry",
        ],
    ),
    (CsvColumn::Type, &["type", "ioc_type", "indicator_type", "kind", "value_type"]),
    (CsvColumn::List, &["list", "source", "feed", "source_name"]),
    (CsvColumn::Confidence, &["confidence", "confidence_level", "score"]),
    (CsvColumn::Severity, &["severity", "level", "threat_level"]),
    (CsvColumn::Expiry, &["expiry", "expires", "expiration", "valid_until", "expire_date", "expiration_date"]),
    (
        CsvColumn::FirstSeen,
        &["first_seen", "first_seen_utc", "firstseen", "dateadded", "date_added", "valid_from", "created"],
    ),
    (CsvColumn::LastSeen, &["last_seen", "last_seen_utc", "lastseen", "last_online", "updated", "modified"]),
    (
        CsvColumn::Description,
        &[
            "description",
            "comment",
            "note",
            "notes",
            "malware_printable",
            "threat",
            "signature",
            "listingreason",
            "title",
            "name",
        ],
    ),
    (CsvColumn::Tags, &["tags", "tag", "labels", "mitre", "attack"]),
    (CsvColumn::Tlp, &["tlp"]),
    (CsvColumn::Ignored, &["ignored"]),
];

impl CsvColumn {
    /// The meaning that a name has. The first name of each row of [`COLUMNS`] is what people write in a mapping.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.trim().trim_matches('"').trim().to_ascii_lowercase().replace([' ', '-'], "_");
        let found = COLUMNS.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(column, _)| *column);
        found.or_else(|| IndicatorKind::from_name(&name).map(Self::ValueOf)).or_else(|| {
            // `sha256_hash` and `file_sha256` are known; `md5_sum` and its like are found by their beginning.
            let hash = ["sha512", "sha256", "sha1", "md5"].into_iter().find(|hash| name.starts_with(hash))?;
            IndicatorKind::from_name(hash).map(Self::ValueOf)
        })
    }
}

const SEPARATORS: [u8; 4] = *b",;\t|";

impl Format for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn about(&self) -> &'static str {
        "values between commas, semicolons, tabs or bars, with a header that names the columns"
    }

    fn fits(&self, name: &str, text: &str) -> bool {
        name.ends_with(".csv") || name.ends_with(".tsv") || header(head(text), CsvColumn::from_name).is_some()
    }

    fn sample(&self) -> &'static str {
        "value,type,confidence,valid_until,tags\nevil.example,domain,90,2099-01-01,tlp:amber\n198.51.100.7,,70,,T1071\n"
    }

    fn read(&self, text: &str, into: &mut Reading<'_>) {
        let mut directives = Directives::default();
        for (number, line) in
            (1..).zip(text.lines()).take_while(|(_, line)| line.starts_with('#') || line.trim().is_empty())
        {
            if let Some(directive) = line.strip_prefix("#!")
                && let Err(reason) = directives.apply(directive, into)
            {
                into.refuse(Place::Line(number), reason);
            }
        }
        let Some(header) = header(text, |name| into.column(name).or_else(|| CsvColumn::from_name(name))) else {
            let reason = "no column is known to hold indicators; name one `value`, or write a line such as \
                          `#! column: NAME = value` above the header";
            return into.refuse(Place::File, reason);
        };
        rows(text, &header, &directives, into);
    }
}

struct Header {
    separator: u8,
    columns: Vec<CsvColumn>,
    /// Byte at which the rows begin, and the number of that line.
    start: usize,
    line: u64,
}

/// The header is the last comment before the first row if it names columns, else the first row.
fn header(text: &str, meaning: impl Fn(&str) -> Option<CsvColumn>) -> Option<Header> {
    let mut start = 0;
    let mut comment = None;
    for (number, line) in (1_u64..).zip(text.split_inclusive('\n')) {
        let end = start + line.len();
        let trimmed = line.trim();
        if let Some(text) = trimmed.strip_prefix('#') {
            if !text.starts_with('!') {
                comment = Some(text);
            }
        } else if !trimmed.is_empty() {
            let of = |text: &str| columns(text, &meaning);
            if let Some((separator, columns)) = of(trimmed) {
                return Some(Header { separator, columns, start: end, line: number + 1 });
            }
            // A sentence is no header: it has several columns, and so has the row below it.
            let row = |separator: u8| trimmed.bytes().any(|byte| byte == separator);
            let (separator, columns) = of(comment?.trim()).filter(|(separator, _)| row(*separator))?;
            return Some(Header { separator, columns, start, line: number });
        }
        start = end;
    }
    None
}

/// The meanings of a header's columns, if at least one holds indicators and none is a number.
fn columns(line: &str, meaning: &impl Fn(&str) -> Option<CsvColumn>) -> Option<(u8, Vec<CsvColumn>)> {
    let count = |separator: &u8| line.bytes().filter(|byte| byte == separator).count();
    let separator = SEPARATORS.into_iter().max_by_key(|separator| (count(separator), *separator == b','))?;
    let mut reader =
        ReaderBuilder::new().has_headers(false).delimiter(separator).trim(csv::Trim::All).from_reader(line.as_bytes());
    let mut record = ByteRecord::new();
    reader.read_byte_record(&mut record).ok()?;
    let names = record.iter().map(|name| String::from_utf8_lossy(name));
    let columns: Vec<CsvColumn> = names.map(|name| meaning(name.trim()).unwrap_or(CsvColumn::Ignored)).collect();
    let holds = |column: &CsvColumn| matches!(column, CsvColumn::Value | CsvColumn::ValueOf(_));
    // One word alone on a line may be a value of a plain list, unless it can be nothing else.
    let known = columns.iter().filter(|column| **column != CsvColumn::Ignored).count();
    (columns.iter().any(holds) && (known > 1 || columns.len() > 1 || known == columns.len()))
        .then_some((separator, columns))
}

fn rows(text: &str, header: &Header, directives: &Directives, into: &mut Reading<'_>) {
    let rest = text.get(header.start..).unwrap_or_default();
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(header.separator)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(rest.as_bytes());
    let mut record = ByteRecord::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => (),
            Ok(false) => return,
            // Reading from memory that is UTF-8, with rows of any length, has nothing left to fail with.
            Err(error) => return into.refuse(Place::File, format!("cannot read the rows: {error}")),
        }
        let line = record.position().map_or(0, csv::Position::line).saturating_sub(1) + header.line;
        row(&record, Place::Line(line), header, directives, into);
    }
}

fn row(record: &ByteRecord, place: Place, header: &Header, directives: &Directives, into: &mut Reading<'_>) {
    let mut about = directives.about.clone();
    let mut kind = directives.kind;
    let mut values: Vec<(Option<IndicatorKind>, &str)> = Vec::new();
    for (column, cell) in header.columns.iter().zip(record) {
        let Ok(cell) = std::str::from_utf8(cell) else {
            return into.refuse(place, "the row is not UTF-8");
        };
        let cell = cell.trim();
        if matches!(cell, "" | "-" | "None" | "null" | "n/a" | "N/A") {
            continue;
        }
        let wrong = |what: &str| format!("{} is not {what}", quoted(cell));
        match column {
            CsvColumn::Value => values.push((None, cell)),
            CsvColumn::ValueOf(kind) => values.push((Some(*kind), cell)),
            // "hash" and its like are found from the form of the value.
            CsvColumn::Type => kind = IndicatorKind::from_name(cell).or(kind),
            CsvColumn::List => about.list = Some(about::list_name(cell)).filter(|name| !name.is_empty()),
            CsvColumn::Confidence => match about::confidence(cell) {
                Some(confidence) => about.confidence = Some(confidence),
                None => return into.refuse(place, wrong("a confidence from 0 to 100")),
            },
            CsvColumn::Severity => match about::severity(cell) {
                Some(severity) => about.severity = Some(severity),
                None => return into.refuse(place, wrong("a severity such as `high`")),
            },
            CsvColumn::Expiry => match about::time(cell) {
                Some(at) => about.expiry = Some(at),
                None => return into.refuse(place, wrong("a time such as `2026-01-31T08:00:00Z`")),
            },
            // When it was seen is for people; a time that cannot be read does not make the value worthless.
            CsvColumn::FirstSeen => about.first_seen = about::time(cell),
            CsvColumn::LastSeen => about.last_seen = about::time(cell),
            CsvColumn::Description => about.describe(cell),
            CsvColumn::Tags => about.add_tags(cell, &[',', ';', '|']),
            CsvColumn::Tlp => about.add_tag(&format!("tlp:{cell}")),
            CsvColumn::Ignored => (),
        }
    }
    if values.is_empty() {
        return into.refuse(place, "the row has no value");
    }
    for (column, value) in values {
        into.take(place.clone(), column.or(kind), value, &about);
    }
}
