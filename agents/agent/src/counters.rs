//! What the agent counts about itself. Whatever is lost has a reason here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Which input a record came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    File,
    Journald,
    Capture,
    Metrics,
    Samples,
    /// Files that were seen in traffic.
    Transfers,
    Agent,
}

impl Source {
    pub const ALL: [Self; 7] =
        [Self::File, Self::Journald, Self::Capture, Self::Metrics, Self::Samples, Self::Transfers, Self::Agent];

    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Journald => "journald",
            Self::Capture => "capture",
            Self::Metrics => "metrics",
            Self::Samples => "samples",
            Self::Transfers => "transfers",
            Self::Agent => "agent",
        }
    }
}

/// Why something did not reach the server. One row each: where, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DropReason {
    /// Lines whose end was cut off.
    LineTooLong,
    /// Journal entries that are not JSON or longer than the limit.
    JournalUnreadable,
    /// Packets that the kernel had to drop because they were not read quickly enough.
    CaptureKernel,
    /// Packets that the network card or its driver dropped.
    CaptureInterface,
    /// Packets, flows and streams that the analysis left out.
    CaptureAnalysis,
    /// Files beyond the number that is followed at a time.
    TooManyFiles,
    /// Reports of the agent about itself that found the queue full. The next one has the same counters.
    ReportQueueFull,
    /// Spool records that the disk gave back damaged.
    SpoolDamaged,
    /// Batches that the server refused; kept in `rejected/`.
    ServerRefused,
    /// Records of an accepted batch that the server refused.
    ServerRefusedPart,
    /// Files that are longer than `size_max` of the input for samples.
    SampleTooLarge,
    /// Files and folders that may not be read.
    SampleUnreadable,
    /// Times that a file changed while it was read or sent; it is looked at again later.
    SampleChanged,
    /// Files that were gone before they could be sent.
    SampleVanished,
    /// Files that the server will never take.
    SampleRefused,
    /// Files beyond `files_max`, and folders too deep or too many; not watched.
    SampleTooMany,
    /// Times that the memory of files was damaged: what came or changed meanwhile is not offered.
    SampleMemoryLost,
    /// Files in traffic with a hole, or whose end was not seen.
    TransferIncomplete,
    /// Files in traffic that are longer than `size_max`.
    TransferTooLarge,
    /// Files in traffic given up while they were under way, to make room for others.
    TransferNoRoom,
    /// Files in traffic that were whole and found too many others waiting to be sent.
    TransferQueueFull,
    /// Files in traffic that the server will never take.
    TransferRefused,
    /// Files in traffic that waited to be sent when the agent stopped.
    TransferStopped,
}

impl DropReason {
    pub const ALL: [Self; 23] = [
        Self::LineTooLong,
        Self::JournalUnreadable,
        Self::CaptureKernel,
        Self::CaptureInterface,
        Self::CaptureAnalysis,
        Self::TooManyFiles,
        Self::ReportQueueFull,
        Self::SpoolDamaged,
        Self::ServerRefused,
        Self::ServerRefusedPart,
        Self::SampleTooLarge,
        Self::SampleUnreadable,
        Self::SampleChanged,
        Self::SampleVanished,
        Self::SampleRefused,
        Self::SampleTooMany,
        Self::SampleMemoryLost,
        Self::TransferIncomplete,
        Self::TransferTooLarge,
        Self::TransferNoRoom,
        Self::TransferQueueFull,
        Self::TransferRefused,
        Self::TransferStopped,
    ];

    /// Stage and reason, as they are shown.
    pub fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::LineTooLong => ("file", "line_too_long"),
            Self::JournalUnreadable => ("journald", "unreadable"),
            Self::CaptureKernel => ("capture", "kernel"),
            Self::CaptureInterface => ("capture", "interface"),
            Self::CaptureAnalysis => ("capture", "analysis"),
            Self::TooManyFiles => ("file", "too_many_files"),
            Self::ReportQueueFull => ("agent", "queue_full"),
            Self::SpoolDamaged => ("spool", "damaged"),
            Self::ServerRefused => ("server", "refused"),
            Self::ServerRefusedPart => ("server", "refused_part"),
            Self::SampleTooLarge => ("samples", "too_large"),
            Self::SampleUnreadable => ("samples", "unreadable"),
            Self::SampleChanged => ("samples", "changed"),
            Self::SampleVanished => ("samples", "vanished"),
            Self::SampleRefused => ("samples", "refused"),
            Self::SampleTooMany => ("samples", "too_many"),
            Self::SampleMemoryLost => ("samples", "memory_lost"),
            Self::TransferIncomplete => ("transfers", "incomplete"),
            Self::TransferTooLarge => ("transfers", "too_large"),
            Self::TransferNoRoom => ("transfers", "no_room"),
            Self::TransferQueueFull => ("transfers", "queue_full"),
            Self::TransferRefused => ("transfers", "refused"),
            Self::TransferStopped => ("transfers", "stopped"),
        }
    }
}

/// All counters, since the agent's start.
#[derive(Debug, Default)]
pub struct Counters {
    read: [AtomicU64; Source::ALL.len()],
    dropped: [AtomicU64; DropReason::ALL.len()],
    pub spooled_batches: AtomicU64,
    pub acked_batches: AtomicU64,
    pub acked_records: AtomicU64,
    pub retries: AtomicU64,
    /// Times that a batch had to wait for room in the spool or on the disk.
    pub spool_waits: AtomicU64,
    pub samples: SampleCounters,
    /// The same for files that were seen in traffic; none are remembered.
    pub transfers: SampleCounters,
}

/// What became of files for the server's YARA rules.
#[derive(Debug, Default)]
pub struct SampleCounters {
    /// Files that the server answered for: known or wanted.
    pub offered: AtomicU64,
    /// Files that the server knew, so that they were not sent.
    pub known: AtomicU64,
    pub sent: AtomicU64,
    pub sent_bytes: AtomicU64,
    /// Files that are remembered now, and that wait to be offered or sent.
    pub remembered: AtomicU64,
    pub waiting: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl SampleCounters {
    /// Why the server does not take files now; `None` if it does. Answers whether this is news.
    pub fn set_failure(&self, failure: Option<&str>) -> bool {
        let mut state = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let news = state.as_deref() != failure;
        *state = failure.map(str::to_owned);
        news
    }

    pub fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Counters {
    pub fn count_read(&self, source: Source, n: u64) {
        self.read[source as usize].fetch_add(n, Ordering::Relaxed);
    }

    pub fn count_dropped(&self, reason: DropReason, n: u64) {
        self.dropped[reason as usize].fetch_add(n, Ordering::Relaxed);
    }

    pub fn read(&self, source: Source) -> u64 {
        self.read[source as usize].load(Ordering::Relaxed)
    }

    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize].load(Ordering::Relaxed)
    }
}

pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_place_and_name() {
        for (at, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
        }
        for (at, source) in Source::ALL.into_iter().enumerate() {
            assert_eq!(source as usize, at);
        }
        let mut labels: Vec<_> = DropReason::ALL.map(DropReason::labels).to_vec();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), DropReason::ALL.len());
    }
}
