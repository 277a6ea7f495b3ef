//! NetFlow v1, v5, v7 and v9, IPFIX and sFlow v5 over UDP: one door that tells the protocols apart by what comes.
//!
//! The door keeps what exporters say about themselves (templates, rates of samplers, names of interfaces), writes it to a
//! file for the next start, and puts before each batch the part of it that the batch needs. Data that come before their
//! template wait here. docs/decisions/flow-decoder.md says why it is the door that does this.

mod metrics;
mod receiver;
mod state;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use canh_flows::HoldLimits;
use canh_schema::{ByteSize, Timestamp};
use rustc_hash::FxHashMap;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::datagrams::{DATAGRAM_MAX, DatagramSocket};
use super::intake::Intake;
use super::{BindError, BoundDoor};
use crate::envelope::{Door, Envelope, Framing};
use crate::sources::{Seen, SourceAbout, SourceKey};

pub(super) use metrics::FlowMetrics;
use receiver::Receiver;

const NAME: &str = "flow";
const DOOR: Door = Door::Flow;
/// A batch is closed at this size.
const BATCH_LEN: usize = 256 * 1024;
/// What one datagram needs of the past is at most this long: limits of templates and options of two domains.
const CONTEXT_MAX: usize = 4 << 20;

/// `[collector.flow]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlowConfig {
    /// Whether this door is open.
    pub enabled: bool,
    /// Addresses to receive on; every protocol may come to each. Left out, 127.0.0.1 with the usual ports: 2055 for NetFlow, 4739 for IPFIX and 6343 for sFlow.
    #[serde(with = "canh_config::socket_addrs")]
    pub listen: Vec<SocketAddr>,
    /// The kernel's buffer for datagrams that wait, for each address. The kernel may allow less (`net.core.rmem_max`).
    #[serde(with = "canh_config::byte_size")]
    pub receive_buffer: ByteSize,
    /// Batches on their way into the journal. When full, datagrams wait in the kernel's buffer.
    pub queue_len: NonZeroUsize,
    /// File that keeps templates and options for the next start, in the data directory.
    pub state_file: PathBuf,
    /// Data that wait for their template. When full, what has waited longest is dropped and counted; one exporter may take a quarter.
    #[serde(with = "canh_config::byte_size")]
    pub hold_bytes: ByteSize,
    /// How long data wait for their template. Then they are dropped and counted. Many routers repeat templates every 30 minutes.
    #[serde(with = "canh_config::duration")]
    pub hold_age: Duration,
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: [2055, 4739, 6343].map(|port| SocketAddr::from(([127, 0, 0, 1], port))).to_vec(),
            receive_buffer: ByteSize::mib(16),
            queue_len: const { NonZeroUsize::new(64).unwrap() },
            state_file: PathBuf::from("flow.state"),
            hold_bytes: ByteSize::mib(16),
            hold_age: Duration::from_secs(2_100),
        }
    }
}

impl FlowConfig {
    /// Longest payload that the journal is given, in bytes.
    #[expect(clippy::unused_self, reason = "as in the other doors")]
    pub(crate) fn batch_len_max(&self) -> u64 {
        (BATCH_LEN + DATAGRAM_MAX + CONTEXT_MAX) as u64
    }

    fn hold_limits(&self) -> HoldLimits {
        let bytes = self.hold_bytes.as_len();
        let age = i64::try_from(self.hold_age.as_nanos()).unwrap_or(i64::MAX);
        HoldLimits { bytes, bytes_per_exporter: bytes / 4, age }
    }
}

pub(super) fn bind(config: &FlowConfig, intake: &Intake) -> Result<Option<BoundDoor>, BindError> {
    if !config.enabled {
        return Ok(None);
    }
    let mut sockets = Vec::new();
    let mut addresses = Vec::new();
    for address in &config.listen {
        let (socket, address) =
            DatagramSocket::open(NAME, *address, config.receive_buffer).map_err(BindError::new(NAME, *address))?;
        sockets.push(socket);
        addresses.push(address);
    }
    let Some(first) = addresses.first().copied() else { return Ok(None) };
    let (config, intake) = (config.clone(), intake.clone());
    Ok(Some(BoundDoor::new(NAME, first, move |stop| serve(config, sockets, addresses, intake, stop))))
}

async fn serve(
    config: FlowConfig,
    sockets: Vec<DatagramSocket>,
    addresses: Vec<SocketAddr>,
    intake: Intake,
    stop: CancellationToken,
) {
    for address in addresses.iter().skip(1) {
        tracing::info!(door = NAME, %address, "door is open at this address too");
    }
    let queue_len = config.queue_len.get();
    let (out, mut batches) = mpsc::channel(queue_len);
    let (save, saving) = mpsc::channel(1);
    let state_file = config.state_file.clone();
    // Reading the state and making the first batch of it block, so they belong into the thread too.
    let thread = thread::Builder::new().name("canh-flow".to_owned()).spawn({
        let intake = intake.clone();
        move || {
            let state = state::load(&config.state_file);
            Receiver::new(sockets, &config, &state, intake, out, save, stop).run();
        }
    });
    if let Err(error) = thread {
        error!(door = NAME, error = &error as &dyn std::error::Error, "cannot start the thread that receives");
        return;
    }
    let keeping = tokio::spawn(state::keep(state_file, saving));
    // Several batches are under way at once, so that one sync of the journal covers them all.
    let mut under_way = JoinSet::new();
    while let Some(batch) = batches.recv().await {
        while under_way.len() >= queue_len {
            under_way.join_next().await;
        }
        while under_way.try_join_next().is_some() {}
        under_way.spawn(append(intake.clone(), batch));
    }
    while under_way.join_next().await.is_some() {}
    let _ = keeping.await;
}

/// Datagrams that were received together, with what decoding them needs.
struct Batch {
    payload: Bytes,
    received: Timestamp,
    senders: FxHashMap<IpAddr, Sender>,
}

/// What one exporter sent in one batch.
#[derive(Clone, Copy, Default)]
struct Sender {
    records: u64,
    bytes: u64,
    /// What it sent since the start and did not arrive, if that changed.
    lost: Option<u64>,
}

/// The name under which the Agents page shows what a sender lost: as our agents name their own drops.
pub(super) const LOST: &str = r#"canh_agent_dropped_total{stage="network",reason="sequence"}"#;

async fn append(intake: Intake, batch: Batch) {
    let records = batch.senders.values().map(|sender| sender.records).sum();
    let envelope = Envelope::new(DOOR, batch.received, Framing::Flows, batch.payload);
    let result = intake.append_quietly(envelope, records).await;
    for (address, sender) in batch.senders {
        match &result {
            Ok(_) => {
                let mut seen = Seen::new(DOOR, Some(address), batch.received);
                (seen.batches, seen.records, seen.bytes) = (1, sender.records, sender.bytes);
                let key = SourceKey::Peer(DOOR, address);
                intake.sources.add(key.clone(), &seen);
                if let Some(lost) = sender.lost {
                    let mut about = SourceAbout::default();
                    about.set_metric(LOST, lost as f64);
                    intake.sources.describe(&key, about);
                }
            }
            Err(error) => intake.lost(DOOR, Some(address), error, sender.records),
        }
    }
}
