//! GELF over UDP: JSON in a datagram or in several, as it is or packed with gzip or zlib. What is journaled is unpacked.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant};

use canh_schema::ByteSize;
use compact_str::CompactString;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::datagrams::{DatagramSocket, Datagrams, receive};
use super::gather::{self, About, Gather};
use super::gelf_chunks::{Chunk, Chunks, Limits};
use super::intake::Intake;
use super::unpack::Packed;
use super::{BindError, BoundDoor};
use crate::drops::DropReason;
use crate::envelope::{Cut, Door, Framing};

const NAME: &str = "gelf_udp";
const DOOR: Door = Door::GelfUdp;
/// Name of the format.
pub(super) const FORMAT: &str = "gelf";
/// A batch waits this long for more.
const BATCH_WAIT: Duration = Duration::from_millis(20);

/// `[collector.gelf_udp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GelfUdpConfig {
    /// Whether this door is open.
    pub enabled: bool,
    /// Address to receive on. The usual port is 12201.
    #[serde(with = "canh_config::socket_addr")]
    pub listen: SocketAddr,
    /// Longest message after unpacking; the rest of a longer one is cut off and counted.
    #[serde(with = "canh_config::byte_size")]
    pub message_max: ByteSize,
    /// Chunks that wait for the rest of their message. When full, what has waited longest is dropped and counted; one sender may take a quarter.
    #[serde(with = "canh_config::byte_size")]
    pub chunk_bytes: ByteSize,
    /// How long chunks wait for the rest of their message. Then they are dropped and counted.
    #[serde(with = "canh_config::duration")]
    pub chunk_age: Duration,
    /// The kernel's buffer for datagrams that wait. The kernel may allow less (`net.core.rmem_max`).
    #[serde(with = "canh_config::byte_size")]
    pub receive_buffer: ByteSize,
    /// Batches on their way into the journal. When full, datagrams wait in the kernel's buffer.
    pub queue_len: NonZeroUsize,
}

impl Default for GelfUdpConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: SocketAddr::from(([127, 0, 0, 1], 12201)),
            message_max: ByteSize::mib(1),
            chunk_bytes: ByteSize::mib(16),
            chunk_age: Duration::from_secs(5),
            receive_buffer: ByteSize::mib(16),
            queue_len: const { NonZeroUsize::new(64).unwrap() },
        }
    }
}

impl GelfUdpConfig {
    /// Longest payload that the journal is given, in bytes.
    pub(crate) fn batch_len_max(&self) -> u64 {
        gather::payload_len_max(self.message_max.as_len())
    }
}

pub(super) fn bind(config: &GelfUdpConfig, intake: &Intake) -> Result<Option<BoundDoor>, BindError> {
    if !config.enabled {
        return Ok(None);
    }
    let opened = DatagramSocket::open(NAME, config.listen, config.receive_buffer);
    let (socket, address) = opened.map_err(BindError::new(NAME, config.listen))?;
    let (config, intake) = (config.clone(), intake.clone());
    Ok(Some(BoundDoor::new(NAME, address, move |stop| serve(config, socket, intake, stop))))
}

async fn serve(config: GelfUdpConfig, socket: DatagramSocket, intake: Intake, stop: CancellationToken) {
    let queue_len = config.queue_len.get();
    let (out, batches) = mpsc::channel(queue_len);
    let bytes = config.chunk_bytes.as_len();
    let mut receiver = Receiver {
        chunks: Chunks::new(Limits { bytes, bytes_per_sender: bytes / 4, age: config.chunk_age }),
        gather: Gather::new(DOOR, intake.clone(), out, BATCH_WAIT),
        message_max: config.message_max.as_len(),
        intake: intake.clone(),
    };
    let thread = thread::Builder::new().name("canh-gelf".to_owned()).spawn(move || {
        let intake = receiver.intake.clone();
        receive(DOOR, &mut [socket], &intake, &stop, &mut receiver);
    });
    if let Err(error) = thread {
        error!(door = NAME, error = &error as &dyn std::error::Error, "cannot start the thread that receives");
        return;
    }
    let about = About { door: DOOR, framing: Framing::Records, format: Some(CompactString::const_new(FORMAT)) };
    gather::journal(about, queue_len, intake, batches, |_, _: Vec<()>| ()).await;
}

struct Receiver {
    chunks: Chunks,
    gather: Gather<()>,
    message_max: usize,
    intake: Intake,
}

impl Receiver {
    fn message(&mut self, message: &[u8], peer: IpAddr) {
        let (is_cut, bytes) = match Packed::of(message) {
            None => {
                let kept = &message[..message.len().min(self.message_max)];
                (kept.len() < message.len(), std::borrow::Cow::Borrowed(kept))
            }
            Some(packed) => match packed.unpack(message, self.message_max) {
                Some(unpacked) => (unpacked.is_cut, unpacked.bytes.into()),
                None => return self.intake.dropped(DOOR, Some(peer), DropReason::BadFrame, 1),
            },
        };
        self.intake.dropped(DOOR, Some(peer), DropReason::Truncated, u64::from(is_cut));
        let cut = if is_cut { Cut::Truncated } else { Cut::Whole };
        self.gather.push(&bytes, peer, cut, None);
    }
}

impl Datagrams for Receiver {
    fn datagram(&mut self, datagram: &[u8], peer: SocketAddr, _cut: Cut) {
        let peer = peer.ip();
        match self.chunks.take(datagram, peer, Instant::now()) {
            Chunk::Single(message) => self.message(message, peer),
            Chunk::Last(message) => self.message(&message, peer),
            Chunk::Waits => (),
            Chunk::Bad => self.intake.dropped(DOOR, Some(peer), DropReason::BadFrame, 1),
        }
    }

    fn patience(&self) -> Option<Duration> {
        self.gather.patience()
    }

    fn look(&mut self, is_last: bool) -> bool {
        // At the end nothing more comes, so what waits is lost.
        let later = if is_last { Duration::from_secs(1 << 30) } else { Duration::ZERO };
        let given_up = self.chunks.expire(Instant::now() + later);
        self.intake.dropped(DOOR, None, DropReason::Incomplete, given_up);
        self.gather.look(is_last);
        !self.gather.is_closed
    }
}
