//! A stream of messages, whatever carries it: split, gathered into batches, journaled. Used by the doors for syslog and
//! GELF over TCP and over TLS.
//!
//! Syslog has no answer, so a sender cannot know what was kept. What can be done is done: a full journal stops the
//! reading, TCP stops the sender, and what is read is journaled before more is read.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use canh_schema::Timestamp;
use compact_str::CompactString;
use futures_util::FutureExt;
use nix::sys::socket::{MsgFlags, recv};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::intake::{Intake, lost_reason};
use super::lines::{LineSplitter, Ready};
use super::nul::NulSplitter;
use super::octets::{BadFrame, OctetSplitter, StreamFraming, detect};
use super::places::Place;
use crate::drops::DropReason;
use crate::envelope::{Door, Envelope, Framing};

/// Read from a socket at once.
pub(super) const READ_LEN: usize = 64 * 1024;

/// What a door says of all its connections.
#[derive(Clone, Debug)]
pub(super) struct StreamSettings {
    pub(super) door: Door,
    /// Left out, it is told from the first bytes of each connection.
    pub(super) framing: Option<StreamFraming>,
    pub(super) message_max: usize,
    pub(super) batch_size: usize,
    pub(super) patience: Patience,
    pub(super) format: Option<CompactString>,
}

/// How long a door waits for a connection that says nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Before its first byte.
    pub(super) first_byte: Duration,
    /// Between two messages.
    pub(super) idle: Duration,
    /// Inside a message.
    pub(super) message: Duration,
}

/// What came of waiting for data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Read {
    Data,
    End,
    Stop,
}

impl Patience {
    /// Waits for data. `has_begun` says that a message has, `has_sent` that there was a first byte.
    pub(super) async fn read(
        &self,
        stream: &mut impl Source,
        buffer: &mut BytesMut,
        (has_begun, has_sent): (bool, bool),
        stop: &CancellationToken,
    ) -> io::Result<Read> {
        let wait = match (has_begun, has_sent) {
            (true, _) => self.message,
            (false, true) => self.idle,
            (false, false) => self.first_byte.min(self.idle),
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(Read::Stop),
            read = tokio::time::timeout(wait, stream.read_buf(buffer)) => match read {
                Ok(Ok(0)) => Ok(Read::End),
                Ok(Ok(_)) => Ok(Read::Data),
                // Many clients end TLS without a word.
                Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Read::End),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "nothing was received for too long")),
            },
        }
    }
}

/// Something to read messages from.
pub(super) trait Source: AsyncRead + Unpin {
    /// Reads what has come already; `WouldBlock` if nothing has. At the end of all (`last`) the kernel itself is asked,
    /// as the runtime may not have been told.
    fn read_ready(&mut self, buffer: &mut BytesMut, last: bool) -> io::Result<usize>;
}

impl Source for TcpStream {
    fn read_ready(&mut self, buffer: &mut BytesMut, last: bool) -> io::Result<usize> {
        if last { read_now(self, buffer) } else { self.try_read_buf(buffer) }
    }
}

impl Source for TlsStream<TcpStream> {
    fn read_ready(&mut self, buffer: &mut BytesMut, _last: bool) -> io::Result<usize> {
        self.read_buf(buffer).now_or_never().unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
    }
}

pub(super) struct Connection {
    settings: Arc<StreamSettings>,
    intake: Intake,
    peer: IpAddr,
    /// The name that the sender has proven.
    name: Option<CompactString>,
    stop: CancellationToken,
    place: Arc<Place>,
    has_sent: bool,
    splitter: Splitter,
    /// Messages cut so far that are in the counters already.
    cut_counted: u64,
}

impl Connection {
    pub(super) fn new(
        settings: Arc<StreamSettings>,
        intake: Intake,
        (peer, name): (IpAddr, Option<CompactString>),
        place: Arc<Place>,
        stop: CancellationToken,
    ) -> Self {
        let splitter = match settings.framing {
            Some(framing) => Splitter::new(framing, settings.message_max),
            None => Splitter::Unknown(Vec::new()),
        };
        Self { settings, intake, peer, name, stop, place, has_sent: false, splitter, cut_counted: 0 }
    }

    /// Reads messages until the stream ends or `stop` fires.
    pub(super) async fn run(mut self, mut stream: impl Source) -> io::Result<()> {
        let result = self.read_all(&mut stream).await;
        if self.splitter.finish(self.settings.message_max) {
            self.dropped(DropReason::Incomplete, 1);
        }
        self.flush().await;
        result
    }

    async fn read_all(&mut self, stream: &mut impl Source) -> io::Result<()> {
        let mut buffer = BytesMut::with_capacity(READ_LEN);
        loop {
            let so_far = (self.splitter.partial_len() > 0, self.has_sent);
            let read = self.settings.patience.read(stream, &mut buffer, so_far, &self.stop).await?;
            let mut ended = !matches!(read, Read::Data);
            if !ended && !self.has_sent {
                self.has_sent = true;
                self.place.has_sent();
            }
            // All that has come already belongs into this batch, also after `stop`.
            loop {
                if self.push(&buffer).is_err() {
                    self.dropped(DropReason::BadFrame, 1);
                    return Ok(()); // where the next message starts is unknown, so the connection is of no use
                }
                buffer.clear();
                if matches!(read, Read::End) || self.splitter.ready_len() >= self.settings.batch_size {
                    break;
                }
                match stream.read_ready(&mut buffer, matches!(read, Read::Stop)) {
                    Ok(0) => {
                        ended = true;
                        break;
                    }
                    Ok(_) => (),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        ended = true;
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
            self.flush().await;
            if ended {
                return Ok(());
            }
        }
    }

    fn dropped(&self, reason: DropReason, records: u64) {
        self.intake.dropped_of(self.settings.door, Some(self.peer), self.name.as_ref(), reason, records);
    }

    fn push(&mut self, data: &[u8]) -> Result<(), BadFrame> {
        self.splitter.push(data, self.settings.message_max)
    }

    /// Journals the messages that are whole. While the journal takes nothing, nothing is read either.
    async fn flush(&mut self) {
        for ready in self.splitter.take() {
            let records = ready.records;
            let mut envelope = Envelope::new(self.settings.door, Timestamp::now(), ready.framing, ready.payload);
            envelope.peer = Some(self.peer);
            envelope.sender = self.name.clone();
            envelope.format = self.settings.format.clone();
            if let Err(error) = self.intake.append_patiently(&envelope, records, &self.stop).await {
                self.dropped(lost_reason(&error), records);
            }
        }
        if let Some(name) = self.name.as_ref().filter(|_| self.has_sent) {
            self.intake.describe_named(self.settings.door, name);
        }
        let cut = self.splitter.cut_total();
        self.dropped(DropReason::Truncated, cut - self.cut_counted);
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
    Nul(NulSplitter),
}

impl Splitter {
    fn push(&mut self, data: &[u8], message_max: usize) -> Result<(), BadFrame> {
        match self {
            Self::Lines(lines) => lines.push(data),
            Self::Octets(octets) => return octets.push(data),
            Self::Nul(messages) => messages.push(data),
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
            StreamFraming::Nul => Self::Nul(NulSplitter::new(message_max)),
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
            Self::Nul(messages) => {
                messages.finish();
                false
            }
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
            Self::Nul(messages) => messages.ready_len(),
        }
    }

    fn partial_len(&self) -> usize {
        match self {
            Self::Unknown(start) => start.len(),
            Self::Lines(lines) => lines.partial_len(),
            Self::Octets(octets) => octets.partial_len(),
            Self::Nul(messages) => messages.partial_len(),
        }
    }

    fn cut_total(&self) -> u64 {
        match self {
            Self::Unknown(_) => 0,
            Self::Lines(lines) => lines.cut_total(),
            Self::Octets(octets) => octets.cut_total(),
            Self::Nul(messages) => messages.cut_total(),
        }
    }

    fn take(&mut self) -> Vec<Ready> {
        match self {
            Self::Unknown(_) => Vec::new(),
            Self::Lines(lines) => lines.take().collect(),
            Self::Octets(octets) => octets.take().collect(),
            Self::Nul(messages) => messages.take().collect(),
        }
    }
}
