//! The caps and times of a flow table.

use std::time::Duration;

use crate::carve::CarveConfig;

/// Caps and times. The defaults of the times are Zeek's.
#[derive(Clone, Debug)]
pub struct FlowConfig {
    /// Flows held at the same time. When one more comes, another is given up: first those already closed, then
    /// connection attempts without an answer, then the one that was idle longest. Each is reported and counted.
    pub flows_max: usize,
    /// Bytes of TCP streams held over all flows. What does not fit is not analysed, and counted.
    pub reassembly_bytes_max: usize,
    /// Bytes held per direction of one TCP stream.
    pub stream_bytes_max: usize,
    /// Fragmented datagrams remembered, so that their later parts find their flow.
    pub fragments_max: usize,
    /// Tunnels looked into, one inside of the other.
    pub tunnel_depth_max: u8,
    /// A SYN without any answer is given up after this time.
    pub tcp_attempt: Duration,
    /// Silence after which a TCP flow whose handshake is not done ends.
    pub tcp_handshake_idle: Duration,
    /// Silence after which a TCP flow ends.
    pub tcp_idle: Duration,
    /// Time for stragglers after both sides have closed.
    pub tcp_closed: Duration,
    pub udp_idle: Duration,
    pub icmp_idle: Duration,
    pub other_idle: Duration,
    /// A flow that lives longer is reported every so often, with counters from its start.
    pub active: Duration,
    pub checksums: Checksums,
    pub vlans: VlanKeys,
    /// Secret that the hash table is seeded with, so that nobody can choose addresses that collide.
    pub hash_seed: u64,
    /// Files are taken out of streams, and handed out by [`FlowTable::take_files`](crate::FlowTable::take_files). `None`
    /// takes none, and costs nothing.
    pub carve: Option<CarveConfig>,
}

/// What happens to TCP, UDP and ICMP packets with a wrong checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checksums {
    /// Taken like any other. Right on a host that captures its own traffic, whose network card writes the checksums
    /// after the packet was captured.
    Ignore,
    /// Not used, apart from `C` in the history, as Zeek does it.
    Verify,
}

/// Whether packets of different VLANs can belong to one flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VlanKeys {
    /// VLANs are parts of the flow's key: the same addresses may be used in two VLANs.
    Separate,
    /// VLANs are reported but not compared, for taps where the two directions carry different tags.
    Merge,
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self {
            flows_max: 262_144,
            reassembly_bytes_max: 64 << 20,
            stream_bytes_max: 16 << 10,
            fragments_max: 8_192,
            tunnel_depth_max: 4,
            tcp_attempt: Duration::from_secs(5),
            tcp_handshake_idle: Duration::from_secs(60),
            tcp_idle: Duration::from_secs(300),
            tcp_closed: Duration::from_secs(5),
            udp_idle: Duration::from_secs(60),
            icmp_idle: Duration::from_secs(60),
            other_idle: Duration::from_secs(60),
            active: Duration::from_secs(1_800),
            checksums: Checksums::Ignore,
            vlans: VlanKeys::Separate,
            hash_seed: 0,
            carve: None,
        }
    }
}
