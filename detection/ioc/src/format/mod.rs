//! Formats of lists of indicators, one file each.

mod csv;
mod misp;
mod plain;
mod stix;
mod stix_pattern;

pub use self::csv::{COLUMNS, CsvColumn};
use crate::builder::Reading;

/// How a list is written.
pub(crate) trait Format: Sync {
    /// Name, for reports.
    fn name(&self) -> &'static str;

    /// One line for people.
    fn about(&self) -> &'static str;

    /// Whether a file is of this format. `name` is in lower case; of the text the beginning is enough.
    fn fits(&self, name: &str, text: &str) -> bool;

    /// A whole small file.
    fn sample(&self) -> &'static str;

    /// Reads all of it. What cannot be read is refused by place and reason.
    fn read(&self, text: &str, into: &mut Reading<'_>);
}

/// Every format, in the order in which they are tried. The last one takes anything.
pub(crate) static FORMATS: &[&dyn Format] = &[&stix::Stix, &misp::Misp, &csv::Csv, &plain::Plain];

/// Name of each format and one line about it.
pub fn formats() -> impl Iterator<Item = (&'static str, &'static str)> {
    FORMATS.iter().map(|format| (format.name(), format.about()))
}

/// The format of a file.
pub(crate) fn of(name: &str, text: &str) -> &'static dyn Format {
    let name = name.to_ascii_lowercase();
    FORMATS.iter().copied().find(|format| format.fits(&name, text)).unwrap_or(&plain::Plain)
}

/// The beginning of a text, for recognising it.
fn head(text: &str) -> &str {
    &text[..text.floor_char_boundary(4_096)]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::builder::{Builder, LoadOptions};

    #[test]
    fn every_format_has_its_own_name_and_a_sample_that_it_reads() {
        let mut names = BTreeSet::new();
        for format in FORMATS {
            assert!(names.insert(format.name()), "two formats are named `{}`", format.name());
            assert!(!format.about().is_empty());
            assert_eq!(of("list", format.sample()).name(), format.name(), "the sample of `{}`", format.name());
            let mut builder = Builder::new(LoadOptions::default());
            builder.add_text("list", format.sample());
            let (set, report) = builder.finish();
            assert_eq!(report.problems, [], "the sample of `{}`", format.name());
            assert!(!set.is_empty(), "the sample of `{}`", format.name());
        }
    }
}
