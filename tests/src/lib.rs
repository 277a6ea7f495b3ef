//! Starts the real programs for black-box tests and the benchmark, and talks to them as users and devices do.
//!
//! The programs must have been built before (`cargo build --workspace --bins`); they are looked for beside the running
//! test.

mod api;
mod numbered;
mod process;
mod server;

pub use api::Api;
pub use numbered::{Numbered, stored};
pub use process::{Memory, Process, cpu_seconds, free_port, memory, program, thread_seconds, wait_until};
pub use server::{Ports, Server, ServerOptions};

use std::path::PathBuf;

/// The folder with shared captures and event corpora, if it lies beside the checkout. Says loudly if not.
pub fn shared_data() -> Option<PathBuf> {
    let path = workspace().join("../shared/data");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: `{}` is not there, so nothing was tried on real data", path.display());
    None
}

/// The root of the checkout.
pub fn workspace() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
