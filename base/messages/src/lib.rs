//! Every text that the programs say to people, in Vietnamese and English.
//!
//! Stored and sent texts are a [`Key`] with named values; they become words only for a reader, in the reader's
//! language, by [`render`]. The catalogue is one table (`catalogue.rs`): a row without one of the languages, or with a
//! placeholder that the row does not declare, does not compile. The web client has its own texts for its own labels.

mod catalogue;
mod language;
mod template;

pub use catalogue::Key;
pub use language::Language;
pub use template::render;
