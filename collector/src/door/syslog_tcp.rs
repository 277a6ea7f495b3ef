//! Syslog over TCP. Messages are framed by line feeds or by octet counts (RFC 6587); the first bytes of a connection
//! tell which.
//!
//! Syslog has no answer, so a sender cannot know what was kept. What can be done is done: a full journal stops the
//! reading, TCP stops the sender, and what is read is journaled before more is read.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use canh_schema::{ByteSize, Timestamp};
use compact_str::CompactString;
use nix::sys::socket::{MsgFlags, recv};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::connection::{self, BoxError, Limits};
use super::intake::Intake;
use super::lines::{LineSplitter, Ready};
use super::octets::{BadFrame, OctetSplitter, StreamFraming, detect};
use super::places::Place;
use super::{BindError, BoundDoor, listen_tcp};
use crate::drops::DropReason;
use crate::envelope::{Door, Envelope, Framing};

const NAME: &str = "syslog_tcp";
const DOOR: Door = Door::SyslogTcp;
/// Read from a socket at once.
const READ_LEN: usize = 64 * 1024;
/// How long to wait before a full or failing journal is asked again.
const RETRY: Duration = Duration::from_millis(200);

/// `[collector.syslog_tcp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyslogTcpConfig {
    /// Whether this door is open.
    pub enabled: bool,
    /// Address to listen on. The well-known port is 514.
    #[serde(with = "canh_config::socket_addr")]
    pub listen: SocketAddr,
    /// Longest message kept; the rest of a longer one is cut off and counted.
    #[serde(with = "canh_config::byte_size")]
    pub message_max: ByteSize,
    /// Messages of one connection are journaled in pieces of this size, or as soon as no more have come.
    #[serde(with = "canh_config::byte_size")]
    pub batch_size: ByteSize,
    /// Connections at the same time. More are closed at once and counted.
    pub connections_max: NonZeroUsize,
    /// Connections of one address at the same time; an IPv6 network of /64 counts as one address. More are closed at
    /// once and counted. Raise it if senders come through a proxy.
    pub connections_per_address_max: NonZeroUsize,
    /// A connection that has sent nothing at all is closed after so long. When the door is full, the oldest of these
    /// makes room for a new connection.
    #[serde(with = "canh_config::duration")]
    pub first_byte_timeout: Duration,
    /// A connection on which nothing arrives for so long is closed.
    #[serde(with = "canh_config::duration")]
    pub idle_timeout: Duration,
    /// A message that has begun must go on within this time, or the connection is closed.
    #[serde(with = "canh_config::duration")]
    pub message_timeout: Duration,
    /// Name of the format of the text inside the messages; left out, it is recognised.
    pub format: Option<String>,
}

impl Default for SyslogTcpConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 5514)),
            message_max: ByteSize::kib(64),
            batch_size: ByteSize::kib(128),
            connections_max: const { NonZeroUsize::new(512).unwrap() },
            connections_per_address_max: const { NonZeroUsize::new(64).unwrap() },
            first_byte_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(3_600),
            message_timeout: Duration::from_secs(60),
            format: None,
        }
    }
}

impl SyslogTcpConfig {
    /// Longest payload that the journal is given, in bytes. What is read at once may grow by what is written beside
    /// each message.
    pub(crate) fn batch_len_max(&self) -> u64 {
        self.batch_size.bytes().saturating_add(self.message_max.bytes()).saturating_add(8 * READ_LEN as u64)
    }
}

pub(super) fn bind(config: &SyslogTcpConfig, intake: &Intake) -> Result<Option<BoundDoor>, BindError> {
    if !config.enabled {
        return Ok(None);
    }
    let (listener, address) = listen_tcp(NAME, config.listen)?;
    let (config, intake) = (Arc::new(config.clone()), intake.clone());
    Ok(Some(BoundDoor::new(NAME, address, move |stop| serve(config, listener, intake, stop))))
}

async fn serve(config: Arc<SyslogTcpConfig>, listener: TcpListener, intake: Intake, stop: CancellationToken) {
    let limits = Limits {
        connections_max: config.connections_max,
        connections_per_address_max: config.connections_per_address_max,
        first_byte_timeout: config.first_byte_timeout,
        idle_timeout: config.idle_timeout,
    };
    let work = |stream, peer: SocketAddr, place| {
        let connection = Connection {
            config: config.clone(),
            intake: intake.clone(),
            peer: peer.ip().to_canonical(),
            stop: stop.clone(),
            place,
            has_sent: false,
            splitter: Splitter::Unknown(Vec::new()),
            cut_counted: 0,
        };
        async move { connection.run(stream).await.map_err(BoxError::from) }
    };
    connection::serve(NAME, listener, &limits, &intake, &stop, work).await;
}

struct Connection {
    config: Arc<SyslogTcpConfig>,
    intake: Intake,
    peer: IpAddr,
    stop: CancellationToken,
    place: Arc<Place>,
    has_sent: bool,
    splitter: Splitter,
    /// Messages cut so far that are in the counters already.
    cut_counted: u64,
}

/// What came of waiting for data.
enum Read {
    Data,
    End,
    Stop,
}

impl Connection {
    async fn run(mut self, mut stream: TcpStream) -> io::Result<()> {
        let result = self.read_all(&mut stream).await;
        if self.splitter.finish(self.config.message_max.as_len()) {
            self.intake.dropped(DOOR, Some(self.peer), DropReason::Incomplete, 1);
        }
        self.flush().await;
        result
    }

    async fn read_all(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        let mut buffer = BytesMut::with_capacity(READ_LEN);
        loop {
            let read = self.wait(stream, &mut buffer).await?;
            let mut ended = !matches!(read, Read::Data);
            if !ended && !self.has_sent {
                self.has_sent = true;
                self.place.has_sent();
            }
            // All that has come already belongs into this batch, also after `stop`.
            loop {
                if self.push(&buffer).is_err() {
                    self.intake.dropped(DOOR, Some(self.peer), DropReason::BadFrame, 1);
                    return Ok(()); // where the next message starts is unknown, so the connection is of no use
                }
                buffer.clear();
                if matches!(read, Read::End) || self.splitter.ready_len() >= self.config.batch_size.as_len() {
                    break;
                }
                let more = match read {
                    Read::Stop => read_now(stream, &mut buffer),
                    _ => stream.try_read_buf(&mut buffer),
                };
                match more {
                    Ok(0) => {
                        ended = true;
                        break;
                    }
                    Ok(_) => (),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            self.flush().await;
            if ended {
                return Ok(());
            }
        }
    }

    async fn wait(&self, stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Read> {
        let begun = self.splitter.partial_len() > 0;
        let patience = match (begun, self.has_sent) {
            (true, _) => self.config.message_timeout,
            (false, true) => self.config.idle_timeout,
            (false, false) => self.config.first_byte_timeout.min(self.config.idle_timeout),
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Ok(Read::Stop),
            read = tokio::time::timeout(patience, stream.read_buf(buffer)) => match read {
                Ok(Ok(0)) => Ok(Read::End),
                Ok(Ok(_)) => Ok(Read::Data),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "nothing was received for too long")),
            },
        }
    }

    fn push(&mut self, data: &[u8]) -> Result<(), BadFrame> {
        self.splitter.push(data, self.config.message_max.as_len())
    }

    /// Journals the messages that are whole. While the journal takes nothing, nothing is read either.
    async fn flush(&mut self) {
        for ready in self.splitter.take() {
            let records = ready.records;
            let mut envelope = Envelope::new(DOOR, Timestamp::now(), ready.framing, ready.payload);
            envelope.peer = Some(self.peer);
            envelope.format = self.config.format.as_deref().map(CompactString::from);
            while let Err(error) = self.intake.append(envelope.clone(), records).await {
                if !error.is_retryable() || self.stop.is_cancelled() {
                    self.intake.lost(DOOR, Some(self.peer), &error, records);
                    break;
                }
                tokio::select! {
                    () = self.stop.cancelled() => (),
                    () = tokio::time::sleep(RETRY) => (),
                }
            }
        }
        let cut = self.splitter.cut_total();
        self.intake.dropped(DOOR, Some(self.peer), DropReason::Truncated, cut - self.cut_counted);
        self.cut_counted = cut;
    }
}

/// Reads what is in the socket. The runtime may not have been told of it yet, so the kernel is asked.
fn read_now(stream: &TcpStream, buffer: &mut BytesMut) -> io::Result<usize> {
    buffer.resize(READ_LEN, 0);
    let read = recv(stream.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT);
    buffer.truncate(read.unwrap_or(0));
    Ok(read?)
}

enum Splitter {
    /// Too few bytes yet to tell.
    Unknown(Vec<u8>),
    Lines(LineSplitter),
    Octets(OctetSplitter),
}

impl Splitter {
    fn push(&mut self, data: &[u8], message_max: usize) -> Result<(), BadFrame> {
        match self {
            Self::Lines(lines) => lines.push(data),
            Self::Octets(octets) => return octets.push(data),
            Self::Unknown(start) => {
                start.extend_from_slice(data);
                let start = std::mem::take(start);
                match detect(&start) {
                    None => *self = Self::Unknown(start),
                    Some(framing) => {
                        *self = Self::new(framing, message_max);
                        return self.push(&start, message_max);
                    }
                }
            }
        }
        Ok(())
    }

    fn new(framing: StreamFraming, message_max: usize) -> Self {
        match framing {
            StreamFraming::Counted => Self::Octets(OctetSplitter::new(message_max)),
            StreamFraming::Lines => Self::Lines(LineSplitter::new(Framing::Lines, message_max)),
        }
    }

    /// The connection has ended. Answers whether the last message is known to be incomplete.
    fn finish(&mut self, message_max: usize) -> bool {
        match self {
            Self::Lines(lines) => {
                lines.finish();
                false
            }
            Self::Octets(octets) => octets.finish(),
            Self::Unknown(start) => {
                let mut lines = LineSplitter::new(Framing::Lines, message_max);
                lines.push(start);
                lines.finish();
                *self = Self::Lines(lines);
                false
            }
        }
    }

    fn ready_len(&self) -> usize {
        match self {
            Self::Unknown(_) => 0,
            Self::Lines(lines) => lines.ready_len(),
            Self::Octets(octets) => octets.ready_len(),
        }
    }

    fn partial_len(&self) -> usize {
        match self {
            Self::Unknown(start) => start.len(),
            Self::Lines(lines) => lines.partial_len(),
            Self::Octets(octets) => octets.partial_len(),
        }
    }

    fn cut_total(&self) -> u64 {
        match self {
            Self::Unknown(_) => 0,
            Self::Lines(lines) => lines.cut_total(),
            Self::Octets(octets) => octets.cut_total(),
        }
    }

    fn take(&mut self) -> Vec<Ready> {
        match self {
            Self::Unknown(_) => Vec::new(),
            Self::Lines(lines) => lines.take().collect(),
            Self::Octets(octets) => octets.take().collect(),
        }
    }
}
