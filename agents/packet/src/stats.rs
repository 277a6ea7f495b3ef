//! What a flow table counted. Nothing is left out silently: it is in here, with a reason.

use crate::dissect::Undecodable;

/// Counters since the table was made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Packets handed in.
    pub packets: u64,
    /// Their length on the wire.
    pub bytes: u64,
    /// Packets of which the capture kept only the beginning.
    pub truncated: u64,
    /// Packets that no flow could be found for, by reason; see [`Stats::undecodable`].
    pub(crate) undecodable: [u64; Undecodable::ALL.len()],
    /// Packets with a wrong checksum, which were not used. Zero unless checksums are verified.
    pub bad_checksums: u64,
    /// Packets inside of a tunnel over UDP that could not be read. Their outer flow counts them.
    pub tunnelled_undecodable: u64,
    pub flows_opened: u64,
    /// Flows reported for the last time, whatever the reason.
    pub flows_ended: u64,
    /// Flows given up because the table was full.
    pub flows_evicted: u64,
    /// First fragments forgotten because the fragment table was full.
    pub fragments_evicted: u64,
    /// Bytes of TCP streams not analysed because a cap of reassembly was reached.
    pub reassembly_dropped_bytes: u64,
    /// Missing pieces of TCP streams that analysis had to step over.
    pub stream_gaps: u64,
    /// Records handed out.
    pub records: u64,
}

impl Stats {
    /// Packets without a flow, by reason.
    pub fn undecodable(&self) -> impl Iterator<Item = (Undecodable, u64)> + '_ {
        Undecodable::ALL.into_iter().zip(self.undecodable)
    }

    pub fn undecodable_total(&self) -> u64 {
        self.undecodable.iter().sum()
    }

    pub(crate) fn count(&mut self, why: Undecodable) {
        if let Some(count) = self.undecodable.get_mut(why as usize) {
            *count += 1;
        }
    }
}
