//! Syslog over UDP (RFC 5426): one datagram is one message.
//!
//! UDP cannot slow a sender down. A thread of its own takes datagrams from the kernel many at a time; while the journal
//! is busy they wait in the kernel's buffer, and what the kernel has to drop it counts, and so do we.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use canh_schema::{ByteSize, Timestamp};
use compact_str::CompactString;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrLike, SockaddrStorage, recvmmsg, setsockopt, sockopt,
};
use rustc_hash::FxHashMap;
use serde::Deserialize;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::intake::Intake;
use super::{BindError, BoundDoor};
use crate::drops::DropReason;
use crate::envelope::{Cut, Door, Envelope, Framing, RecordList};
use crate::sources::{Seen, SourceKey};

const NAME: &str = "syslog_udp";
const DOOR: Door = Door::SyslogUdp;
/// Datagrams taken from the kernel at once.
const DATAGRAMS_MAX: usize = 64;
/// A batch is closed at this size.
const BATCH_LEN: usize = 256 * 1024;
/// How often the receiving thread looks whether it shall stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often the kernel's tables are read for what it dropped, at most.
const LOOK_FOR_DROPS_EVERY: Duration = Duration::from_millis(500);
/// What is written beside each datagram of a batch is at most this long.
const RECORD_HEAD_LEN: usize = 32;
/// Longest message that a datagram can carry.
const DATAGRAM_MAX: usize = 65_535;

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
        (BATCH_LEN + DATAGRAMS_MAX * (self.message_len() + RECORD_HEAD_LEN)) as u64
    }
}

pub(super) fn bind(config: &SyslogUdpConfig, intake: &Intake) -> Result<Option<BoundDoor>, BindError> {
    if !config.enabled {
        return Ok(None);
    }
    let (socket, address) = open(config).map_err(BindError::new(NAME, config.listen))?;
    let (config, intake) = (config.clone(), intake.clone());
    Ok(Some(BoundDoor::new(NAME, address, move |stop| serve(config, socket, intake, stop))))
}

fn open(config: &SyslogUdpConfig) -> io::Result<(UdpSocket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(config.listen), Type::DGRAM, Some(Protocol::UDP))?;
    let wanted = config.receive_buffer.as_len();
    // With CAP_NET_ADMIN the system's limit does not hold; without it the kernel gives as much as it allows.
    if setsockopt(&socket, sockopt::RcvBufForce, &wanted).is_err() {
        socket.set_recv_buffer_size(wanted)?;
    }
    let given = socket.recv_buffer_size()? / 2; // the kernel doubles it for its own book-keeping
    if given < wanted {
        info!(
            door = NAME,
            wanted, given, "the kernel gives a smaller receive buffer; raise net.core.rmem_max to lose less in bursts"
        );
    } else {
        info!(door = NAME, given, "receive buffer as wanted");
    }
    setsockopt(&socket, sockopt::RxqOvfl, &1)?;
    socket.set_read_timeout(Some(LOOK_EVERY))?;
    socket.bind(&config.listen.into())?;
    let socket = UdpSocket::from(socket);
    let address = socket.local_addr()?;
    Ok((socket, address))
}

async fn serve(config: SyslogUdpConfig, socket: UdpSocket, intake: Intake, stop: CancellationToken) {
    let queue_len = config.queue_len.get();
    let format = config.format.as_deref().map(CompactString::from);
    let (out, mut batches) = mpsc::channel(queue_len);
    let receiver = Receiver {
        socket,
        message_max: config.message_len(),
        kernel_drops: 0,
        looked: Instant::now(),
        is_news: false,
        intake: intake.clone(),
        out,
        stop,
    };
    let thread = thread::Builder::new().name("canh-syslog-udp".to_owned()).spawn(move || receiver.run());
    if let Err(error) = thread {
        error!(door = NAME, error = &error as &dyn std::error::Error, "cannot start the thread that receives");
        return;
    }
    // Several batches are under way at once, so that one sync of the journal covers them all.
    let mut under_way = JoinSet::new();
    while let Some(batch) = batches.recv().await {
        while under_way.len() >= queue_len {
            under_way.join_next().await;
        }
        while under_way.try_join_next().is_some() {}
        under_way.spawn(append(intake.clone(), batch, format.clone()));
    }
    while under_way.join_next().await.is_some() {}
}

/// Datagrams that were received together.
struct Batch {
    payload: Bytes,
    received: Timestamp,
    /// Records and bytes of each sender.
    senders: FxHashMap<IpAddr, (u64, u64)>,
}

async fn append(intake: Intake, batch: Batch, format: Option<CompactString>) {
    let records = batch.senders.values().map(|(records, _)| records).sum();
    let mut envelope = Envelope::new(DOOR, batch.received, Framing::Records, batch.payload);
    envelope.format = format;
    let result = intake.append_quietly(envelope, records).await;
    for (address, (records, bytes)) in batch.senders {
        match &result {
            Ok(_) => {
                let mut seen = Seen::new(DOOR, Some(address), batch.received);
                (seen.batches, seen.records, seen.bytes) = (1, records, bytes);
                intake.sources.add(SourceKey::Peer(DOOR, address), &seen);
            }
            Err(error) => intake.lost(DOOR, Some(address), error, records),
        }
    }
}

struct Receiver {
    socket: UdpSocket,
    message_max: usize,
    /// The kernel's count of datagrams dropped at this socket, as it was last told.
    kernel_drops: u32,
    /// The kernel's tables were read at this time, and datagrams have come since then.
    looked: Instant,
    is_news: bool,
    intake: Intake,
    out: mpsc::Sender<Batch>,
    stop: CancellationToken,
}

/// What one call brought.
struct Taken {
    datagrams: usize,
    truncated: u64,
    kernel_drops: Option<u32>,
}

impl Receiver {
    /// Receives until `stop` fires and the kernel has nothing more.
    fn run(mut self) {
        let mut buffer = vec![0; DATAGRAMS_MAX * self.message_max];
        let mut failing = false;
        loop {
            // Looked at before receiving: what came before `stop` is still taken.
            let stopping = self.stop.is_cancelled();
            let mut batch = Collected::default();
            let mut wait = if stopping { MsgFlags::MSG_DONTWAIT } else { MsgFlags::MSG_WAITFORONE };
            while batch.list.bytes_len() < BATCH_LEN {
                match self.take(&mut buffer, wait, &mut batch) {
                    Ok(taken) => {
                        failing = false;
                        self.count(&taken);
                        if taken.datagrams < DATAGRAMS_MAX {
                            break; // no more are waiting
                        }
                        wait = MsgFlags::MSG_DONTWAIT;
                    }
                    Err(Errno::EAGAIN | Errno::EINTR) => {
                        self.look_for_drops(stopping);
                        break;
                    }
                    Err(error) => {
                        if !std::mem::replace(&mut failing, true) {
                            error!(door = NAME, %error, "cannot receive datagrams; trying again until it works");
                        }
                        thread::sleep(LOOK_EVERY);
                        break;
                    }
                }
            }
            if batch.list.is_empty() {
                if stopping {
                    return;
                }
                continue;
            }
            let batch = Batch {
                payload: batch.list.take(),
                received: Timestamp::now(),
                senders: std::mem::take(&mut batch.senders),
            };
            let records: u64 = batch.senders.values().map(|(records, _)| records).sum();
            if self.out.blocking_send(batch).is_err() {
                self.intake.dropped(DOOR, None, DropReason::ShuttingDown, records);
                return;
            }
        }
    }

    fn take(&self, buffer: &mut [u8], flags: MsgFlags, batch: &mut Collected) -> Result<Taken, Errno> {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            buffer.chunks_exact_mut(self.message_max).map(|chunk| [IoSliceMut::new(chunk)]).collect();
        // Made anew for each call: the kernel shortens the lengths in it to what it wrote.
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(slices.len(), Some(nix::cmsg_space!(u32)));
        let mut taken = Taken { datagrams: 0, truncated: 0, kernel_drops: None };
        let results = recvmmsg(self.socket.as_raw_fd(), &mut headers, slices.iter_mut(), flags, None)?;
        for message in results {
            taken.datagrams += 1;
            let cut = if message.flags.contains(MsgFlags::MSG_TRUNC) { Cut::Truncated } else { Cut::Whole };
            taken.truncated += u64::from(cut == Cut::Truncated);
            for control in message.cmsgs().into_iter().flatten() {
                if let ControlMessageOwned::RxqOvfl(dropped) = control {
                    taken.kernel_drops = Some(dropped);
                }
            }
            let peer = message.address.as_ref().and_then(ip_of).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            // An empty datagram has no slice and says nothing.
            for datagram in message.iovs() {
                batch.add(datagram, peer, cut);
            }
        }
        Ok(taken)
    }

    fn count(&mut self, taken: &Taken) {
        self.is_news = true;
        self.intake.dropped(DOOR, None, DropReason::Truncated, taken.truncated);
        if let Some(total) = taken.kernel_drops {
            self.count_kernel_drops(total);
        }
    }

    fn count_kernel_drops(&mut self, total: u32) {
        // Two sources tell of one counter, and the one that is read may be older than the one that was told.
        let new = total.wrapping_sub(self.kernel_drops);
        if new <= u32::MAX / 2 {
            self.kernel_drops = total;
            self.intake.dropped(DOOR, None, DropReason::KernelBuffer, u64::from(new));
        }
    }

    /// The kernel tells what it dropped only beside a later datagram. When none comes, its tables are read.
    fn look_for_drops(&mut self, now: bool) {
        if self.is_news && (now || self.looked.elapsed() >= LOOK_FOR_DROPS_EVERY) {
            (self.looked, self.is_news) = (Instant::now(), false);
            if let Some(total) = super::socket_drops::read(&self.socket) {
                self.count_kernel_drops(total);
            }
        }
    }
}

#[derive(Default)]
struct Collected {
    list: RecordList,
    senders: FxHashMap<IpAddr, (u64, u64)>,
}

impl Collected {
    fn add(&mut self, datagram: &[u8], peer: IpAddr, cut: Cut) {
        self.list.push(datagram, Some(peer), cut);
        let (records, bytes) = self.senders.entry(peer).or_default();
        *records += 1;
        *bytes += datagram.len() as u64;
    }
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    match address.family()? {
        nix::sys::socket::AddressFamily::Inet => address.as_sockaddr_in().map(|address| address.ip().into()),
        nix::sys::socket::AddressFamily::Inet6 => {
            let address: Ipv6Addr = address.as_sockaddr_in6()?.ip();
            Some(IpAddr::V6(address).to_canonical())
        }
        _ => None,
    }
}
