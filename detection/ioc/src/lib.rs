//! Indicators of compromise: lists of addresses, names, hashes and other values in, matches and findings out.
//!
//! Pure: texts in, indicators out; events in, findings out. No clock: time is an argument. No I/O except in [`load`].
//!
//! [`Builder`] reads lists (see [`formats`]) and makes an [`IndicatorSet`], which is asked for each event. A
//! [`Stream`] makes findings of the matches and keeps the same indicator on the same host from flooding.

mod about;
mod allow;
mod builder;
mod defang;
mod fields;
mod finding;
mod format;
mod fuzz;
mod index;
mod kind;
mod load;
mod name;
mod problem;
mod proof;
mod set;
mod value;
mod web;

pub use about::{CONFIDENCE_DEFAULT, Indicator};
pub use allow::{ALLOWED_MAX, PrivateAddresses};
pub use builder::{Builder, LoadOptions};
pub use fields::{FIELDS, Holds};
pub use finding::{RECENT_MAX, Stream, finding, finding_id};
pub use format::{COLUMNS, CsvColumn, formats};
pub use fuzz::fuzz_targets;
pub use kind::IndicatorKind;
pub use load::{Loaded, load};
pub use problem::{FileReport, KindCount, Place, Problem, ProblemKind, Report};
pub use proof::{indicators_of, proof};
pub use set::{Expired, IndicatorSet, Match};
pub use value::VALUE_LEN_MAX;
