//! The demo scenario: two days of a small provincial data centre and one attack through it, with ground truth.
//!
//! Everything is written as real devices would write it (log lines, Windows events, packets), so that it enters the
//! product through the same doors as production data. The same seed and end give the same bytes. This crate writes
//! files; it does not send them.

mod attack;
mod audit;
mod frames;
mod network;
mod output;
mod sshd;
mod syslog;
mod truth;
mod web;
mod windows;
mod world;
mod wso2;

use std::path::Path;

use canh_schema::Timestamp;
use rand::SeedableRng;
use rand::rngs::StdRng;

pub use output::{Door, File, Manifest};
pub use truth::{GroundTruth, Step};
pub use world::{HOSTS, Host, Zone};

/// What to generate.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub seed: u64,
    /// The scenario ends here; the attack lies in the last hours before it.
    pub end: Timestamp,
    /// Length of the ordinary traffic in hours. The attack needs the last three of them.
    pub hours: u32,
    /// Ordinary traffic, 1.0 being that of a small province.
    pub scale: f64,
}

impl Options {
    /// Two days at ordinary size.
    pub fn new(seed: u64, end: Timestamp) -> Self {
        Self { seed, end, hours: 48, scale: 1.0 }
    }
}

/// Writes the scenario into `dir`, which is made if it is not there, and tells what was written.
///
/// # Errors
///
/// When a file cannot be written, with its path.
pub fn generate(options: &Options, dir: &Path) -> anyhow::Result<Manifest> {
    let mut random = StdRng::seed_from_u64(options.seed);
    let clock = world::Clock::new(options);
    let mut output = output::Output::new();
    sshd::ordinary(&clock, &mut random, &mut output);
    web::ordinary(&clock, &mut random, &mut output);
    audit::ordinary(&clock, &mut random, &mut output);
    windows::ordinary(&clock, &mut random, &mut output);
    syslog::ordinary(&clock, &mut random, &mut output);
    wso2::ordinary(&clock, &mut random, &mut output);
    network::ordinary(&clock, &mut random, &mut output);
    let truth = attack::run(&clock, &mut random, &mut output);
    output.write(dir, truth)
}
