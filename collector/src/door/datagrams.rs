//! Datagrams from the kernel, many at a time, with their senders and the kernel's own count of what it had to drop.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::thread;
use std::time::{Duration, Instant};

use canh_schema::ByteSize;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrLike, SockaddrStorage, recvmmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::intake::Intake;
use crate::drops::DropReason;
use crate::envelope::{Cut, Door};

/// Datagrams taken from the kernel at once.
pub(super) const DATAGRAMS_MAX: usize = 64;
/// How often in a row a socket is asked before another one is, and before anything else is done.
const ROUNDS_MAX: usize = 16;
/// Longest datagram.
pub(super) const DATAGRAM_MAX: usize = 65_535;
/// How often a thread that receives looks whether it shall stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often the kernel's tables are read for what it dropped, at most.
const LOOK_FOR_DROPS_EVERY: Duration = Duration::from_millis(500);

/// A socket, and how many datagrams the kernel has dropped at it.
pub(super) struct DatagramSocket {
    socket: UdpSocket,
    /// The kernel's count, as it was last told.
    kernel_drops: u32,
    /// The kernel's tables were read at this time, and whether datagrams have come since then.
    looked: Instant,
    is_news: bool,
}

/// What one call brought.
#[derive(Clone, Copy, Default)]
struct Taken {
    datagrams: usize,
    /// Datagrams that the kernel dropped since the last call.
    kernel_drops: u32,
}

impl DatagramSocket {
    /// Takes an address. `door` is named in the log.
    pub(super) fn open(door: &str, address: SocketAddr, buffer: ByteSize) -> io::Result<(Self, SocketAddr)> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        let wanted = buffer.as_len();
        // With CAP_NET_ADMIN the system's limit does not hold; without it the kernel gives as much as it allows.
        if setsockopt(&socket, sockopt::RcvBufForce, &wanted).is_err() {
            socket.set_recv_buffer_size(wanted)?;
        }
        let given = socket.recv_buffer_size()? / 2; // the kernel doubles it for its own book-keeping
        if given < wanted {
            info!(
                door,
                wanted,
                given,
                "the kernel gives a smaller receive buffer; raise net.core.rmem_max to lose less in bursts"
            );
        }
        setsockopt(&socket, sockopt::RxqOvfl, &1)?;
        socket.bind(&address.into())?;
        let socket = UdpSocket::from(socket);
        let address = socket.local_addr()?;
        Ok((Self { socket, kernel_drops: 0, looked: Instant::now(), is_news: false }, address))
    }

    /// The same socket once more, to send answers.
    pub(super) fn to_answer(&self) -> io::Result<UdpSocket> {
        self.socket.try_clone()
    }

    /// Takes what is waiting, without waiting itself, and hands each datagram on. `buffer` has room for
    /// [`DATAGRAMS_MAX`] of them.
    fn take(&mut self, buffer: &mut [u8], mut each: impl FnMut(&[u8], SocketAddr, Cut)) -> Result<Taken, Errno> {
        let len = buffer.len() / DATAGRAMS_MAX;
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            buffer.chunks_exact_mut(len).map(|chunk| [IoSliceMut::new(chunk)]).collect();
        // Made anew for each call: the kernel shortens the lengths in it to what it wrote.
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(slices.len(), Some(nix::cmsg_space!(u32)));
        let mut taken = Taken::default();
        let flags = MsgFlags::MSG_DONTWAIT;
        let mut drops = None;
        for message in recvmmsg(self.socket.as_raw_fd(), &mut headers, slices.iter_mut(), flags, None)? {
            taken.datagrams += 1;
            let cut = if message.flags.contains(MsgFlags::MSG_TRUNC) { Cut::Truncated } else { Cut::Whole };
            for control in message.cmsgs().into_iter().flatten() {
                if let ControlMessageOwned::RxqOvfl(total) = control {
                    drops = Some(total);
                }
            }
            let peer = message.address.as_ref().and_then(sender);
            // An empty datagram has no slice and says nothing.
            for datagram in message.iovs() {
                each(datagram, peer.unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))), cut);
            }
        }
        self.is_news |= taken.datagrams > 0;
        taken.kernel_drops = drops.map_or(0, |total| self.new_drops(total));
        Ok(taken)
    }

    fn new_drops(&mut self, total: u32) -> u32 {
        // Two sources tell of one counter, and the one that is read may be older than the one that was told.
        let new = total.wrapping_sub(self.kernel_drops);
        if new > u32::MAX / 2 {
            return 0;
        }
        self.kernel_drops = total;
        new
    }

    /// The kernel tells what it dropped only beside a later datagram. When none comes, its tables are read; how many more
    /// it dropped is the answer. `now` does not wait for the next time.
    fn look_for_drops(&mut self, now: bool) -> u32 {
        if !self.is_news || (!now && self.looked.elapsed() < LOOK_FOR_DROPS_EVERY) {
            return 0;
        }
        (self.looked, self.is_news) = (Instant::now(), false);
        super::socket_drops::read(&self.socket).map_or(0, |total| self.new_drops(total))
    }
}

/// Somebody who takes datagrams in a thread of its own.
pub(super) trait Datagrams {
    fn datagram(&mut self, datagram: &[u8], peer: SocketAddr, cut: Cut);

    /// How long it can wait for more; nothing if it does not matter.
    fn patience(&self) -> Option<Duration>;

    /// Comes after all that was waiting, and from time to time. Answers whether to go on.
    fn look(&mut self, is_last: bool) -> bool;
}

/// Receives until `stop` fires and the kernel has nothing more.
pub(super) fn receive(
    door: Door,
    sockets: &mut [DatagramSocket],
    intake: &Intake,
    stop: &CancellationToken,
    work: &mut impl Datagrams,
) {
    receive_short(door, DATAGRAM_MAX, sockets, intake, stop, work);
}

/// The same; of datagrams longer than `datagram_max` the rest is cut off.
pub(super) fn receive_short(
    door: Door,
    datagram_max: usize,
    sockets: &mut [DatagramSocket],
    intake: &Intake,
    stop: &CancellationToken,
    work: &mut impl Datagrams,
) {
    let mut buffer = vec![0; DATAGRAMS_MAX * datagram_max];
    let mut failing = false;
    let name = door.name();
    loop {
        // Looked at before receiving: what came before `stop` is still taken.
        let stopping = stop.is_cancelled();
        if let Err(error) = wait(sockets, if stopping { Duration::ZERO } else { work.patience().unwrap_or(LOOK_EVERY) })
        {
            if !std::mem::replace(&mut failing, true) {
                error!(door = name, %error, "cannot wait for datagrams; trying again until it works");
            }
            thread::sleep(LOOK_EVERY);
        }
        let mut datagrams = 0;
        for socket in &mut *sockets {
            for _ in 0..ROUNDS_MAX {
                match socket.take(&mut buffer, |datagram, peer, cut| work.datagram(datagram, peer, cut)) {
                    Ok(taken) => {
                        failing = false;
                        datagrams += taken.datagrams;
                        intake.dropped(door, None, DropReason::KernelBuffer, u64::from(taken.kernel_drops));
                        if taken.datagrams < DATAGRAMS_MAX {
                            break; // no more are waiting
                        }
                    }
                    Err(Errno::EAGAIN | Errno::EINTR) => {
                        let drops = u64::from(socket.look_for_drops(stopping));
                        intake.dropped(door, None, DropReason::KernelBuffer, drops);
                        break;
                    }
                    Err(error) => {
                        if !std::mem::replace(&mut failing, true) {
                            error!(door = name, %error, "cannot receive datagrams; trying again until it works");
                        }
                        thread::sleep(LOOK_EVERY);
                        break;
                    }
                }
            }
        }
        let is_last = stopping && datagrams == 0;
        if !work.look(is_last) || is_last {
            return;
        }
    }
}

/// Waits until something comes, or for so long.
fn wait(sockets: &[DatagramSocket], patience: Duration) -> Result<(), Errno> {
    let mut fds: Vec<_> = sockets.iter().map(|socket| PollFd::new(socket.socket.as_fd(), PollFlags::POLLIN)).collect();
    let timeout = PollTimeout::try_from(patience.min(LOOK_EVERY)).unwrap_or(PollTimeout::ZERO);
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error),
    }
}

fn sender(address: &SockaddrStorage) -> Option<SocketAddr> {
    match address.family()? {
        nix::sys::socket::AddressFamily::Inet => {
            let address = address.as_sockaddr_in()?;
            Some(SocketAddr::from((address.ip(), address.port())))
        }
        nix::sys::socket::AddressFamily::Inet6 => {
            let address = address.as_sockaddr_in6()?;
            let ip: IpAddr = address.ip().to_canonical();
            Some(SocketAddr::from((ip, address.port())))
        }
        _ => None,
    }
}
