//! YARA rules over the bytes of files: rules are loaded and compiled, samples are scanned, archives are opened within
//! limits. Why the engine is boreal stands in `docs/decisions/yara-engine.md`.
//!
//! Only [`RuleFiles::load`] does I/O. A scan reads a clock for nothing but its own time limit, so the same bytes, rules
//! and limits give the same result unless that limit was hit, and then the report says so.

mod compile;
mod excerpt;
mod fuzz;
mod kept;
mod load;
mod problem;
mod report;
mod scan;
mod sniff;
mod unpack;

pub use compile::{Asked, Compiled};
pub use excerpt::Excerpt;
pub use fuzz::{FuzzTarget, fuzz_targets};
pub use kept::KeptFiles;
pub use load::{RuleFile, RuleFiles};
pub use problem::{Place, RuleProblem};
pub use report::{Gap, GapReason, Hit, Member, Meta, RuleMatch, SampleHashes, ScanReport};
pub use scan::{SampleInfo, ScanLimits, Scanner};

/// Stands for what is opened. Other numbers mean that a sample may give another report with the same rules.
pub const OPENING: u32 = 2;
