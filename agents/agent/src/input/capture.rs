//! Packets, live from an interface or from a file, as records of flows, DNS, TLS and HTTP.
//!
//! What packets mean is the business of `canh-packet`; this brings the packets and turns its records into fields. It
//! reads with libpcap on a thread of its own. A live capture is polled, so that a silent interface still lets flows end
//! and the thread stop.

mod fields;
pub mod filter;

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use canh_packet::{CarveStats, CarvedFile, Checksums, FlowConfig, FlowTable, LinkType, Record, VlanKeys};
use canh_schema::{Timestamp, Value};
use filter::Peer;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pcap::{Active, Capture, Offline, Precision};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::samples::FilesConfig;

/// Longest wait for a packet before flows are looked through and `stop` is noticed.
const WAIT_MS: u8 = 100;
/// Packets taken from the ring before records are handed on.
const BATCH_LEN: usize = 512;
/// How often counters are reported.
const OBSERVE_EVERY: Duration = Duration::from_secs(1);

/// `[[input.capture]]`: one interface or one file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureConfig {
    /// Interface to listen on, for example `eth0`, or `any`. Needs the capability CAP_NET_RAW.
    pub interface: Option<String>,
    /// Capture file to read to its end instead, pcap or pcapng.
    pub file: Option<PathBuf>,
    /// Which packets to take, as in `tcpdump`: `not port 22`. All of them when left out.
    pub filter: Option<String>,
    /// Whether an interface's packets from and to `server.url` are taken too. They are left out otherwise: what the
    /// agent sends would be captured and sent again. So are those of other agents, if the interface sees them.
    #[serde(default)]
    pub own_traffic: bool,
    /// Bytes kept of each packet.
    #[serde(default = "default_snaplen")]
    pub snaplen: u32,
    /// Whether packets for other machines are taken too, as a sensor at a mirror port needs it.
    #[serde(default)]
    pub promiscuous: bool,
    /// Memory for packets that wait to be read, in bytes. What does not fit is dropped by the kernel, and counted.
    #[serde(default = "default_buffer_bytes")]
    pub buffer_bytes: u32,
    /// Flows held at the same time. When one more comes, another is given up, reported and counted.
    #[serde(default = "default_flows_max")]
    pub flows_max: usize,
    /// Bytes of TCP streams held at the same time. What does not fit is not analysed, and counted.
    #[serde(default = "default_reassembly_bytes_max")]
    pub reassembly_bytes_max: usize,
    /// Whether packets with a wrong checksum are left out. Not on a host that captures its own traffic: there the
    /// network card writes the checksums later.
    #[serde(default)]
    pub verify_checksums: bool,
    /// Whether packets of different VLANs can be one flow, for taps that tag each direction differently.
    #[serde(default)]
    pub merge_vlans: bool,
    /// Seconds after which a flow that goes on is reported.
    #[serde(default = "default_active_seconds")]
    pub active_seconds: u64,
    /// Files that HTTP, SMTP and FTP transfer in the clear are taken out of the traffic and offered to the server for its
    /// YARA rules. None are when left out.
    #[serde(default)]
    pub files: Option<FilesConfig>,
}

fn default_snaplen() -> u32 {
    262_144
}

fn default_buffer_bytes() -> u32 {
    16 << 20
}

fn default_flows_max() -> usize {
    FlowConfig::default().flows_max
}

fn default_reassembly_bytes_max() -> usize {
    FlowConfig::default().reassembly_bytes_max
}

fn default_active_seconds() -> u64 {
    FlowConfig::default().active.as_secs()
}

/// What a capture knows of the agent it belongs to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Surroundings {
    /// Where the agent sends to.
    pub server: Option<Peer>,
    /// Seeds the hash tables for a file, the same each time the file is read. An interface has another seed each time.
    pub file_seed: u64,
}

/// One record with neutral names and values.
#[derive(Clone, PartialEq, Debug)]
pub struct CaptureRecord {
    /// The flow's end, or when the question or request was made.
    pub at: Timestamp,
    /// `flow`, `dns`, `tls` or `http`.
    pub dataset: &'static str,
    /// One line for people.
    pub message: String,
    /// ECS names from the catalogue; names beginning with `flow.`, `dns.`, `tls.` or `http.` that are not in it are ours.
    pub attributes: Vec<(&'static str, Value)>,
}

/// What a capture hands on.
#[derive(Clone, PartialEq, Debug)]
pub enum Captured {
    Record(CaptureRecord),
    /// A file that was transferred whole, if files are wanted.
    File(Box<CarvedFile>),
}

/// What a capture counted so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CaptureCounters {
    /// Packets handed out by the kernel or the file.
    pub packets: u64,
    pub bytes: u64,
    /// Packets that the kernel dropped because the buffer was full.
    pub dropped_kernel: u64,
    /// Packets that the network card or its driver dropped.
    pub dropped_interface: u64,
    /// Packets, flows and streams left out by the analysis, with the reason.
    pub dropped: Vec<(&'static str, u64)>,
    pub flows: usize,
    pub records: u64,
    /// Files taken out of the traffic.
    pub files: CarveStats,
}

/// Why a capture could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error("a capture needs either `interface` or `file`, and not both")]
    Source,
    #[error("cannot capture on interface `{interface}`; is its name right, and has the agent CAP_NET_RAW?")]
    Interface { interface: String, source: pcap::Error },
    #[error("cannot open capture file `{}`", .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("`{}` is not a capture file that libpcap can read; pcap and pcapng are", .path.display())]
    NotACapture { path: PathBuf, source: pcap::Error },
    #[error("capture filter `{filter}` cannot be used; its language is that of `tcpdump`")]
    Filter { filter: String, source: pcap::Error },
    #[error("capture file `{}` is broken at packet {packet}; the {} before it were kept", .path.display(), .packet - 1)]
    Broken { path: PathBuf, packet: u64, source: pcap::Error },
    #[error("capture on interface `{interface}` stopped after {packets} packets; is the interface gone?")]
    Stopped { interface: String, packets: u64, source: pcap::Error },
}

/// Runs [`run`] on a thread of its own.
///
/// # Errors
///
/// When the system gives no thread.
pub fn spawn<S, O>(
    config: CaptureConfig,
    surroundings: Surroundings,
    stop: CancellationToken,
    sink: S,
    observe: O,
) -> io::Result<JoinHandle<Result<CaptureCounters, CaptureError>>>
where
    S: FnMut(Captured) -> ControlFlow<()> + Send + 'static,
    O: FnMut(&CaptureCounters) + Send + 'static,
{
    thread::Builder::new().name("capture".to_owned()).spawn(move || run(&config, &surroundings, &stop, sink, observe))
}

/// Captures until `stop`, the end of the file, or until `sink` breaks off. Then every flow that goes on is reported.
///
/// `sink` takes records and files and may block: packets then wait in the kernel's buffer. `observe` is told the counters
/// about every second and at the end.
///
/// # Errors
///
/// [`CaptureError`]. Whatever was read before a file turned out to be broken has been handed to `sink`.
pub fn run(
    config: &CaptureConfig,
    surroundings: &Surroundings,
    stop: &CancellationToken,
    mut sink: impl FnMut(Captured) -> ControlFlow<()>,
    mut observe: impl FnMut(&CaptureCounters),
) -> Result<CaptureCounters, CaptureError> {
    let (source, name) = open(config, surroundings)?;
    let hash_seed = match source {
        Source::File(_) => surroundings.file_seed,
        Source::Interface(_) => rand::random(),
    };
    let mut reader = Reader::new(config, name, hash_seed);
    let result = match source {
        Source::File(capture) => reader.read_file(capture, config, stop, &mut sink, &mut observe),
        Source::Interface(capture) => reader.read_interface(capture, stop, &mut sink, &mut observe),
    };
    // Also after an error: what was read counts.
    reader.table.finish(&mut reader.records);
    let _ = reader.hand_on(&mut sink);
    let counters = reader.counters();
    observe(&counters);
    result.map(|()| counters)
}

enum Source {
    Interface(Capture<Active>),
    File(Capture<Offline>),
}

/// The opened source, and the name that its records give for it.
fn open(config: &CaptureConfig, surroundings: &Surroundings) -> Result<(Source, String), CaptureError> {
    match (&config.interface, &config.file) {
        (Some(interface), None) => {
            let failed = |source| CaptureError::Interface { interface: interface.clone(), source };
            let limit = |bytes: u32| i32::try_from(bytes).unwrap_or(i32::MAX);
            let mut capture = Capture::from_device(interface.as_str())
                .map_err(failed)?
                .promisc(config.promiscuous)
                .snaplen(limit(config.snaplen))
                .buffer_size(limit(config.buffer_bytes))
                .timeout(i32::from(WAIT_MS))
                .open()
                .and_then(Capture::setnonblock)
                .map_err(failed)?;
            let own = surroundings.server.as_ref().filter(|_| !config.own_traffic);
            set_filter(&mut capture, config, own)?;
            Ok((Source::Interface(capture), interface.clone()))
        }
        (None, Some(path)) => {
            // libpcap puts the reason why a file does not open into a text; the system's own words are better.
            File::open(path).map_err(|source| CaptureError::File { path: path.clone(), source })?;
            let mut capture = Capture::from_file_with_precision(path, Precision::Nano)
                .map_err(|source| CaptureError::NotACapture { path: path.clone(), source })?;
            set_filter(&mut capture, config, None)?;
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            Ok((Source::File(capture), name))
        }
        _ => Err(CaptureError::Source),
    }
}

/// Takes what the user's filter takes, without the traffic with `own`.
fn set_filter<T: pcap::Activated>(
    capture: &mut Capture<T>,
    config: &CaptureConfig,
    own: Option<&Peer>,
) -> Result<(), CaptureError> {
    let failed = |filter: &str, source| CaptureError::Filter { filter: filter.to_owned(), source };
    if let Some(filter) = &config.filter {
        // By itself first: `tcp) or (udp` must not become right by what is put around it.
        capture.compile(filter, true).map_err(|source| failed(filter, source))?;
    }
    let addresses = own.map(Peer::addresses).unwrap_or_default();
    let Some(filter) = filter::without(config.filter.as_deref(), own.map_or(0, |own| own.port), &addresses) else {
        return Ok(());
    };
    capture.filter(&filter, true).map_err(|source| failed(&filter, source))
}

struct Reader {
    table: FlowTable,
    records: Vec<Record>,
    /// Interface or file that the records name.
    name: String,
    /// Dropped by kernel and interface, and the last readings of their counters, which wrap.
    dropped: [u64; 2],
    last_reading: [u32; 2],
}

impl Reader {
    fn new(config: &CaptureConfig, name: String, hash_seed: u64) -> Self {
        let flows = FlowConfig {
            flows_max: config.flows_max,
            reassembly_bytes_max: config.reassembly_bytes_max,
            active: Duration::from_secs(config.active_seconds.max(1)),
            checksums: if config.verify_checksums { Checksums::Verify } else { Checksums::Ignore },
            vlans: if config.merge_vlans { VlanKeys::Merge } else { VlanKeys::Separate },
            hash_seed,
            carve: config.files.as_ref().map(FilesConfig::carve),
            ..FlowConfig::default()
        };
        Self { table: FlowTable::new(flows), records: Vec::new(), name, dropped: [0; 2], last_reading: [0; 2] }
    }

    fn read_file(
        &mut self,
        mut capture: Capture<Offline>,
        config: &CaptureConfig,
        stop: &CancellationToken,
        sink: &mut impl FnMut(Captured) -> ControlFlow<()>,
        observe: &mut impl FnMut(&CaptureCounters),
    ) -> Result<(), CaptureError> {
        let link = LinkType(capture.get_datalink().0);
        let mut observed = Instant::now();
        let mut packets = 0;
        while !stop.is_cancelled() {
            match capture.next_packet() {
                Ok(packet) => {
                    packets += 1;
                    let at = packet_time(packet.header.ts.tv_sec, packet.header.ts.tv_usec);
                    self.table.packet(link, at, packet.header.len, packet.data, &mut self.records);
                }
                Err(pcap::Error::NoMorePackets) => break,
                Err(source) => {
                    let path = config.file.clone().unwrap_or_default();
                    return Err(CaptureError::Broken { path, packet: packets + 1, source });
                }
            }
            if self.hand_on(sink).is_break() {
                break;
            }
            if packets % BATCH_LEN as u64 == 0 && observed.elapsed() >= OBSERVE_EVERY {
                observed = Instant::now();
                observe(&self.counters());
            }
        }
        Ok(())
    }

    fn read_interface(
        &mut self,
        mut capture: Capture<Active>,
        stop: &CancellationToken,
        sink: &mut impl FnMut(Captured) -> ControlFlow<()>,
        observe: &mut impl FnMut(&CaptureCounters),
    ) -> Result<(), CaptureError> {
        let link = LinkType(capture.get_datalink().0);
        let mut observed = Instant::now();
        while !stop.is_cancelled() {
            let Self { table, records, .. } = self;
            let taken = capture.dispatch(Some(BATCH_LEN), |packet| {
                // Timestamps are asked for in microseconds, which every interface can give.
                let nanos = packet.header.ts.tv_usec.saturating_mul(1_000);
                let at = packet_time(packet.header.ts.tv_sec, nanos);
                table.packet(link, at, packet.header.len, packet.data, records);
            });
            match taken {
                Ok(0) | Err(pcap::Error::TimeoutExpired) => {
                    wait_for_packets(&capture);
                    let now = canh_packet::Timestamp::from_nanos(Timestamp::now().nanos());
                    self.table.tick(now, &mut self.records);
                }
                Ok(_) => {}
                Err(source) => {
                    let packets = self.table.stats().packets;
                    return Err(CaptureError::Stopped { interface: self.name.clone(), packets, source });
                }
            }
            if self.hand_on(sink).is_break() {
                break;
            }
            if observed.elapsed() >= OBSERVE_EVERY {
                observed = Instant::now();
                self.read_drops(&mut capture);
                observe(&self.counters());
            }
        }
        self.read_drops(&mut capture);
        Ok(())
    }

    fn hand_on(&mut self, sink: &mut impl FnMut(Captured) -> ControlFlow<()>) -> ControlFlow<()> {
        for record in self.records.drain(..) {
            sink(Captured::Record(fields::record(&record, &self.name)))?;
        }
        for file in self.table.take_files() {
            sink(Captured::File(Box::new(file)))?;
        }
        ControlFlow::Continue(())
    }

    /// Adds what the kernel dropped since the last time. Its counters are 32 bits wide.
    fn read_drops(&mut self, capture: &mut Capture<Active>) {
        let Ok(reading) = capture.stats() else { return };
        let reading = [reading.dropped, reading.if_dropped];
        for (total, (now, before)) in self.dropped.iter_mut().zip(reading.into_iter().zip(self.last_reading)) {
            *total += u64::from(now.wrapping_sub(before));
        }
        self.last_reading = reading;
    }

    fn counters(&self) -> CaptureCounters {
        let stats = self.table.stats();
        let mut dropped: Vec<(&'static str, u64)> =
            stats.undecodable().map(|(why, count)| (why.name(), count)).collect();
        dropped.extend([
            ("checksum", stats.bad_checksums),
            ("tunnelled_undecodable", stats.tunnelled_undecodable),
            ("flow_evicted", stats.flows_evicted),
            ("fragment_evicted", stats.fragments_evicted),
            ("reassembly_bytes", stats.reassembly_dropped_bytes),
        ]);
        CaptureCounters {
            packets: stats.packets,
            bytes: stats.bytes,
            dropped_kernel: self.dropped[0],
            dropped_interface: self.dropped[1],
            dropped,
            flows: self.table.len(),
            records: stats.records,
            files: self.table.carve_stats(),
        }
    }
}

/// Waits until a packet is there or the time is over. A signal ends the wait early, which does no harm.
fn wait_for_packets(capture: &Capture<Active>) {
    let mut polled = [PollFd::new(capture.as_fd(), PollFlags::POLLIN)];
    let _ = poll(&mut polled, PollTimeout::from(WAIT_MS));
}

fn packet_time(secs: i64, nanos: i64) -> canh_packet::Timestamp {
    canh_packet::Timestamp::from_nanos(secs.saturating_mul(1_000_000_000).saturating_add(nanos))
}

#[cfg(test)]
mod tests;
