//! An on-disk record log with one writer and any number of readers: the agent's spool and the collector's journal.
//!
//! A log is a folder of segment files. Records are numbered from 1 without reuse, checksummed, and become durable in
//! groups: any number of [`Spool::append`] calls, then one [`Spool::sync`]. The calls block; there is no runtime here
//! and no meaning of the bytes that are kept.
//!
//! ```text
//! lock                          held while a `Spool` is open
//! id                            the log's random number, in hexadecimal
//! 00000000000000000001.log      header, then records; the name is the first sequence number inside
//! 00000000000000004711.log
//! ```
//!
//! What each failure does:
//!
//! | what happens | result |
//! |---|---|
//! | the process or machine dies in the middle of a write | the incomplete tail is cut off at the next open |
//! | a bit flips in the middle | the reader reports the exact gap once and goes on with the next whole record |
//! | the disk is full | `append` or `sync` fails, the log goes back to the last durable record and stays usable |
//! | `bytes_max` is reached | `append` answers [`SpoolError::Full`] until `release` has made room |

mod cursor;
mod disk;
mod error;
mod reader;
mod recover;
mod segment;
mod shared;
mod spool;
#[cfg(test)]
mod tests;

pub use cursor::{CursorFile, write_atomically};
pub use error::SpoolError;
pub use reader::{Reader, Record};
pub use shared::SpoolHandle;
pub use spool::{DamagedRange, Recovery, Spool, SpoolConfig, Visible};
