//! Datagrams from the kernel, many at a time, with their senders and the kernel's own count of what it had to drop.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use canh_schema::ByteSize;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrLike, SockaddrStorage, recvmmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tracing::info;

use crate::envelope::Cut;

/// Datagrams taken from the kernel at once.
pub(super) const DATAGRAMS_MAX: usize = 64;
/// Longest datagram.
pub(super) const DATAGRAM_MAX: usize = 65_535;
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
pub(super) struct Taken {
    pub(super) datagrams: usize,
    /// Datagrams that the kernel dropped since the last call.
    pub(super) kernel_drops: u32,
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

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Takes what is waiting, without waiting itself, and hands each datagram on. `buffer` has room for
    /// [`DATAGRAMS_MAX`] of them.
    pub(super) fn take(
        &mut self,
        buffer: &mut [u8],
        mut each: impl FnMut(&[u8], SocketAddr, Cut),
    ) -> Result<Taken, Errno> {
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
    pub(super) fn look_for_drops(&mut self, now: bool) -> u32 {
        if !self.is_news || (!now && self.looked.elapsed() < LOOK_FOR_DROPS_EVERY) {
            return 0;
        }
        (self.looked, self.is_news) = (Instant::now(), false);
        super::socket_drops::read(&self.socket).map_or(0, |total| self.new_drops(total))
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
