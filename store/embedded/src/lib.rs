//! The store of a single machine: events in Tantivy, state in SQLite. What it promises is written at the traits in
//! `canh-store`; how events are laid out is written at the modules here.

mod config;
mod control;
mod count;
mod document;
mod lower;
mod metrics;
mod newest;
mod not_query;
mod partition;
mod partitions;
mod scan;
mod schema;
mod sqlite;
mod store;
mod terms;
mod terms_query;
mod throttle;
mod writers;

pub use config::EmbeddedConfig;

pub use sqlite::SqliteState;
pub use store::{EmbeddedStore, OpenError};

use metrics::Metrics;
