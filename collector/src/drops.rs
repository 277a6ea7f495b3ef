//! What is lost, by stage and reason: `canh_dropped_total{stage,reason}`. Nothing is dropped without passing here.

use prometheus::core::Collector;
use prometheus::{IntCounterVec, Opts, Registry};

/// Why something was dropped. The one list; docs and the console walk [`DropReason::ALL`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DropReason {
    /// The kernel's receive buffer was full, so datagrams were lost before they could be read.
    KernelBuffer,
    /// A queue of the door was full.
    QueueFull,
    /// The journal has reached its size limit, or the disk is full.
    JournalFull,
    /// The journal could not write.
    JournalError,
    /// The end of a record that is longer than the limit. The start of it is kept.
    Truncated,
    /// A frame that breaks its protocol, so that where the next one starts is unknown.
    BadFrame,
    /// A message that is of the door's protocol and brings nothing that is kept: a question, for example.
    NotTaken,
    /// Its sender did not prove to be one that may send.
    Unauthenticated,
    /// A message that is older than those before it, so that it may be a recording.
    NotInTime,
    /// The sender went away in the middle of a record whose framing says how long it is.
    Incomplete,
    /// The server is shutting down.
    ShuttingDown,
    /// A record of the journal that is damaged on disk.
    Damaged,
    /// A record of the journal that this program cannot read.
    Unreadable,
    /// Flow data whose template did not come in time, or that found no room to wait for it.
    NoTemplate,
    /// A batch on which the decoder failed. That is a fault of the program; please report it.
    DecoderFailed,
}

impl DropReason {
    pub const ALL: [Self; 15] = [
        Self::KernelBuffer,
        Self::QueueFull,
        Self::JournalFull,
        Self::JournalError,
        Self::Truncated,
        Self::BadFrame,
        Self::NotTaken,
        Self::Unauthenticated,
        Self::NotInTime,
        Self::Incomplete,
        Self::ShuttingDown,
        Self::Damaged,
        Self::Unreadable,
        Self::NoTemplate,
        Self::DecoderFailed,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::KernelBuffer => "kernel_buffer",
            Self::QueueFull => "queue_full",
            Self::JournalFull => "journal_full",
            Self::JournalError => "journal_error",
            Self::Truncated => "truncated",
            Self::BadFrame => "bad_frame",
            Self::NotTaken => "not_taken",
            Self::Unauthenticated => "unauthenticated",
            Self::NotInTime => "not_in_time",
            Self::Incomplete => "incomplete",
            Self::ShuttingDown => "shutting_down",
            Self::Damaged => "damaged",
            Self::Unreadable => "unreadable",
            Self::NoTemplate => "no_template",
            Self::DecoderFailed => "decoder_failed",
        }
    }
}

/// Counts what is dropped. Clones share their counters; make one per program and hand it on.
#[derive(Clone, Debug)]
pub struct Drops {
    total: IntCounterVec,
}

/// One line of [`Drops::snapshot`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Dropped {
    pub stage: String,
    pub reason: String,
    pub count: u64,
}

impl Drops {
    /// # Errors
    ///
    /// If `registry` has the counter already: two of these in one program would each know half of the truth.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let help = "Records dropped, by the stage that dropped them and the reason.";
        let total = IntCounterVec::new(Opts::new("canh_dropped_total", help), &["stage", "reason"])?;
        registry.register(Box::new(total.clone()))?;
        Ok(Self { total })
    }

    /// Counts `records` dropped. `stage` is the name of a door, or of a stage behind the journal.
    pub fn add(&self, stage: &str, reason: DropReason, records: u64) {
        self.add_named(stage, reason.name(), records);
    }

    /// The same for a crate that has its own list of reasons.
    pub fn add_named(&self, stage: &str, reason: &str, records: u64) {
        if records > 0 {
            self.total.with_label_values(&[stage, reason]).inc_by(records);
        }
    }

    pub fn get(&self, stage: &str, reason: DropReason) -> u64 {
        self.total.with_label_values(&[stage, reason.name()]).get()
    }

    /// Everything counted since the start, ordered by stage and reason.
    pub fn snapshot(&self) -> Vec<Dropped> {
        let mut lines = Vec::new();
        for family in self.total.collect() {
            for metric in family.get_metric() {
                let label = |name: &str| {
                    let pair = metric.get_label().iter().find(|pair| pair.name() == name);
                    pair.map(|pair| pair.value().to_owned()).unwrap_or_default()
                };
                // The counter holds a whole number; the client library hands it out as a float.
                let count = metric.get_counter().get_value() as u64;
                lines.push(Dropped { stage: label("stage"), reason: label("reason"), count });
            }
        }
        lines.retain(|line| line.count > 0);
        lines.sort();
        lines
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn reasons_have_their_own_names() {
        let names: BTreeSet<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), DropReason::ALL.len());
    }

    #[test]
    fn counts_are_listed_by_stage_and_reason() {
        let registry = Registry::new();
        let drops = Drops::new(&registry).unwrap();
        drops.clone().add("syslog_udp", DropReason::QueueFull, 2);
        drops.add("syslog_udp", DropReason::QueueFull, 1);
        drops.add("ndjson", DropReason::Truncated, 0);
        let expected = Dropped { stage: "syslog_udp".to_owned(), reason: "queue_full".to_owned(), count: 3 };
        assert_eq!(drops.snapshot(), [expected]);
        assert!(Drops::new(&registry).is_err());
    }
}
