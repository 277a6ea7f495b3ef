//! Syslog over UDP (RFC 5426): one datagram is one message.
//!
//! UDP cannot slow a sender down. A thread of its own takes datagrams from the kernel many at a time; while the journal
//! is busy they wait in the kernel's buffer, and what the kernel has to drop it counts, and so do we.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use canh_schema::ByteSize;
use compact_str::CompactString;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::datagrams::{DATAGRAM_MAX, DatagramSocket, Datagrams, receive_short};
use super::gather::{self, About, Gather};
use super::intake::Intake;
use super::{BindError, BoundDoor};
use crate::drops::DropReason;
use crate::envelope::{Cut, Door, Framing};

const NAME: &str = "syslog_udp";
const DOOR: Door = Door::SyslogUdp;
/// A batch is what was waiting together; it waits for no more.
const BATCH_WAIT: Duration = Duration::ZERO;

/// `[collector.syslog_udp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyslogUdpConfig {
    /// Whether this door is open.
    pub enabled: bool,
    /// Address to receive on. The well-known port is 514.
    #[serde(with = "canh_config::socket_addr")]
    pub listen: SocketAddr,
    /// Longest message kept; the rest of a longer one is cut off and counted.
    #[serde(with = "canh_config::byte_size")]
    pub message_max: ByteSize,
    /// The kernel's buffer for datagrams that wait. The kernel may allow less (`net.core.rmem_max`).
    #[serde(with = "canh_config::byte_size")]
    pub receive_buffer: ByteSize,
    /// Batches on their way into the journal. When full, datagrams wait in the kernel's buffer.
    pub queue_len: NonZeroUsize,
    /// Name of the format of the text inside the messages; left out, it is recognised.
    pub format: Option<String>,
}

impl Default for SyslogUdpConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 5514)),
            message_max: ByteSize::kib(64),
            receive_buffer: ByteSize::mib(16),
            queue_len: const { NonZeroUsize::new(64).unwrap() },
            format: None,
        }
    }
}

impl SyslogUdpConfig {
    fn message_len(&self) -> usize {
        self.message_max.as_len().clamp(1, DATAGRAM_MAX)
    }

    /// Longest payload that the journal is given, in bytes.
    pub(crate) fn batch_len_max(&self) -> u64 {
        gather::payload_len_max(self.message_len())
    }
}

pub(super) fn bind(config: &SyslogUdpConfig, intake: &Intake) -> Result<Option<BoundDoor>, BindError> {
    if !config.enabled {
        return Ok(None);
    }
    let opened = DatagramSocket::open(NAME, config.listen, config.receive_buffer);
    let (socket, address) = opened.map_err(BindError::new(NAME, config.listen))?;
    let (config, intake) = (config.clone(), intake.clone());
    Ok(Some(BoundDoor::new(NAME, address, move |stop| serve(config, socket, intake, stop))))
}

async fn serve(config: SyslogUdpConfig, socket: DatagramSocket, intake: Intake, stop: CancellationToken) {
    let queue_len = config.queue_len.get();
    let (out, batches) = mpsc::channel(queue_len);
    let thread = thread::Builder::new().name("canh-syslog-udp".to_owned()).spawn({
        let (intake, message_max) = (intake.clone(), config.message_len());
        move || {
            let mut receiver =
                Receiver { gather: Gather::new(DOOR, intake.clone(), out, BATCH_WAIT), intake: intake.clone() };
            receive_short(DOOR, message_max, &mut [socket], &intake, &stop, &mut receiver);
        }
    });
    if let Err(error) = thread {
        error!(door = NAME, error = &error as &dyn std::error::Error, "cannot start the thread that receives");
        return;
    }
    let about = About { door: DOOR, framing: Framing::Records, format: config.format.map(CompactString::from) };
    gather::journal(about, queue_len, intake, batches, |_, _: Vec<()>| ()).await;
}

struct Receiver {
    gather: Gather<()>,
    intake: Intake,
}

impl Datagrams for Receiver {
    fn datagram(&mut self, datagram: &[u8], peer: SocketAddr, cut: Cut) {
        self.intake.dropped(DOOR, Some(peer.ip()), DropReason::Truncated, u64::from(cut == Cut::Truncated));
        self.gather.push(datagram, peer.ip(), cut, None);
    }

    fn patience(&self) -> Option<Duration> {
        self.gather.patience()
    }

    fn look(&mut self, is_last: bool) -> bool {
        self.gather.look(is_last);
        !self.gather.is_closed
    }
}
