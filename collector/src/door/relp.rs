//! RELP, over TCP and over TLS: syslog messages with answers. A message is answered once the journal has it on disk, so
//! what a sender was told is kept is kept.
//!
//! A sender whose connection breaks sends again what was not answered. The numbers of a session mean nothing in the
//! next one, so a message that was journaled, and whose answer was lost, comes twice: at least once, not exactly once.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use canh_schema::{ByteSize, Timestamp};
use compact_str::CompactString;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::connection::{self, BoxError, Limits};
use super::intake::Intake;
use super::places::Place;
use super::relp_frames::{self as frames, BadFrame, Command, Frame, FrameReader, SERVER_CLOSE};
use super::syslog_stream::{READ_LEN, Source};
use super::tls::{Handshakes, Secured, Tls};
use super::{BindError, BoundDoor, listen_tcp};
use crate::drops::DropReason;
use crate::envelope::{Cut, Door, Envelope, Framing, RecordList};
use crate::sources::{SourceAbout, SourceKey};

/// How long to wait before a full or failing journal is asked again.
const RETRY: Duration = Duration::from_millis(200);
/// A client that does not take its answers for so long is gone.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Pieces that are read before it is looked whether the server stops. A sender without pauses cannot hold that up.
const ROUNDS_MAX: u32 = 16;
/// A batch is closed at this size.
const BATCH_LEN: usize = 256 * 1024;

/// `[collector.relp]`, and the same keys for RELP over TLS: `[collector.relp_tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelpConfig {
    /// Whether this door is open. The same keys stand under `[collector.relp_tls]`, which needs the files of
    /// `[collector.tls]`.
    pub enabled: bool,
    /// Address to listen on. 2514 and 20514 are common ports; two doors need two.
    #[serde(with = "canh_config::socket_addr")]
    pub listen: SocketAddr,
    /// Longest message kept; the rest of a longer one is cut off and counted.
    #[serde(with = "canh_config::byte_size")]
    pub message_max: ByteSize,
    /// Messages of one connection that are taken before those before them are answered.
    pub window: NonZeroUsize,
    /// Connections at the same time. More are closed at once and counted.
    pub connections_max: NonZeroUsize,
    /// Connections of one address at the same time; an IPv6 network of /64 counts as one address.
    pub connections_per_address_max: NonZeroUsize,
    /// Handshakes of TLS under way at the same time, where the door has TLS. Beyond it the oldest is given up.
    pub half_open_max: NonZeroUsize,
    /// A handshake of TLS may take so long.
    #[serde(with = "canh_config::duration")]
    pub handshake_timeout: Duration,
    /// A connection that has sent nothing at all is closed after so long.
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

impl Default for RelpConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: SocketAddr::from(([127, 0, 0, 1], 2514)),
            message_max: ByteSize::kib(64),
            window: const { NonZeroUsize::new(1_024).unwrap() },
            connections_max: const { NonZeroUsize::new(512).unwrap() },
            connections_per_address_max: const { NonZeroUsize::new(64).unwrap() },
            half_open_max: const { NonZeroUsize::new(128).unwrap() },
            handshake_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(3_600),
            message_timeout: Duration::from_secs(60),
            format: None,
        }
    }
}

impl RelpConfig {
    /// Longest payload that the journal is given, in bytes.
    pub(crate) fn batch_len_max(&self) -> u64 {
        self.message_max.bytes().saturating_add(2 * BATCH_LEN as u64)
    }
}

pub(super) const PLAIN: Door = Door::Relp;
pub(super) const SECURED: Door = Door::RelpTls;

/// `tls` is what [`SECURED`] needs.
pub(super) fn bind(
    door: Door,
    config: &RelpConfig,
    tls: Option<&Arc<Tls>>,
    intake: &Intake,
) -> Result<Option<BoundDoor>, BindError> {
    let tls = tls.cloned();
    if !config.enabled || (door == SECURED && tls.is_none()) {
        return Ok(None);
    }
    let (listener, address) = listen_tcp(door.name(), config.listen)?;
    let (config, intake) = (Arc::new(config.clone()), intake.clone());
    Ok(Some(BoundDoor::new(door.name(), address, move |stop| serve(door, config, listener, tls, intake, stop))))
}

async fn serve(
    door: Door,
    config: Arc<RelpConfig>,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    intake: Intake,
    stop: CancellationToken,
) {
    let limits = Limits {
        connections_max: config.connections_max,
        connections_per_address_max: config.connections_per_address_max,
        first_byte_timeout: config.first_byte_timeout,
        idle_timeout: config.idle_timeout,
    };
    let handshakes = tls.map(|tls| {
        Arc::new(Handshakes::new(door.name(), tls, &intake, config.half_open_max, config.handshake_timeout))
    });
    let work = |stream, peer: SocketAddr, place| {
        let session = Session::new(door, config.clone(), intake.clone(), peer.ip().to_canonical(), place, stop.clone());
        let (handshakes, stop) = (handshakes.clone(), stop.clone());
        async move {
            let Some(handshakes) = handshakes else { return session.run(stream).await.map_err(BoxError::from) };
            let secured = stop.run_until_cancelled(handshakes.secure(stream, peer)).await.flatten();
            let Some(Secured { stream, name }) = secured else { return Ok(()) };
            Session { name, ..session }.run(stream).await.map_err(BoxError::from)
        }
    };
    connection::serve(door.name(), listener, &limits, &intake, &stop, work).await;
}

/// One connection.
struct Session {
    door: Door,
    config: Arc<RelpConfig>,
    intake: Intake,
    peer: IpAddr,
    /// The name that the sender has proven.
    name: Option<CompactString>,
    place: Arc<Place>,
    stop: CancellationToken,
    has_sent: bool,
    frames: FrameReader,
    /// The number of the last frame; `None` before `open`.
    last: Option<u32>,
    /// Messages to be journaled, and what is answered then.
    messages: RecordList,
    answers: Vec<u8>,
    cut: u64,
    is_closed: bool,
}

impl Session {
    fn new(
        door: Door,
        config: Arc<RelpConfig>,
        intake: Intake,
        peer: IpAddr,
        place: Arc<Place>,
        stop: CancellationToken,
    ) -> Self {
        let frames = FrameReader::new(config.message_max.as_len());
        let (messages, answers) = (RecordList::default(), Vec::new());
        let (has_sent, last, name, cut, is_closed) = (false, None, None, 0, false);
        Self {
            door,
            config,
            intake,
            peer,
            name,
            place,
            stop,
            has_sent,
            frames,
            last,
            messages,
            answers,
            cut,
            is_closed,
        }
    }

    async fn run(mut self, mut stream: impl Source + AsyncWrite) -> io::Result<()> {
        let mut buffer = BytesMut::with_capacity(READ_LEN);
        loop {
            let read = self.wait(&mut stream, &mut buffer).await?;
            if read == Some(0) {
                return Ok(()); // what has begun was not answered, so it is sent again
            }
            if !self.has_sent && !buffer.is_empty() {
                self.has_sent = true;
                self.place.has_sent();
            }
            let mut is_bad = false;
            for _ in 0..ROUNDS_MAX {
                if self.is_closed {
                    break;
                }
                let piece = buffer.split();
                is_bad = self.take(&piece, &mut stream).await.is_err();
                if is_bad || self.messages.bytes_len() >= BATCH_LEN {
                    break;
                }
                match stream.read_ready(&mut buffer, read.is_none()) {
                    Ok(0) | Err(_) => break, // an end or an error shows again at the next read
                    Ok(_) => (),
                }
            }
            self.flush(&mut stream).await?;
            if is_bad {
                self.intake.dropped_of(self.door, Some(self.peer), self.name.as_ref(), DropReason::BadFrame, 1);
                warn!(door = self.door.name(), peer = %self.peer, "connection closed: {BadFrame}, or its number is not the next one");
            }
            if is_bad || self.is_closed || read.is_none() {
                // Tells the client to connect again elsewhere or later. What it sent and is not answered it keeps.
                let _ = tokio::time::timeout(ANSWER_TIMEOUT, stream.write_all(SERVER_CLOSE)).await;
                let _ = tokio::time::timeout(ANSWER_TIMEOUT, stream.shutdown()).await;
                return Ok(());
            }
        }
    }

    /// Bytes read, or `None` when the server stops.
    async fn wait(&self, stream: &mut impl Source, buffer: &mut BytesMut) -> io::Result<Option<usize>> {
        if self.stop.is_cancelled() {
            return Ok(None);
        }
        if !buffer.is_empty() {
            return Ok(Some(buffer.len()));
        }
        let patience = match (self.frames.has_begun(), self.has_sent) {
            (true, _) => self.config.message_timeout,
            (false, true) => self.config.idle_timeout,
            (false, false) => self.config.first_byte_timeout.min(self.config.idle_timeout),
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Ok(None),
            read = tokio::time::timeout(patience, stream.read_buf(buffer)) => match read {
                Ok(Ok(len)) => Ok(Some(len)),
                Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Some(0)),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "nothing was received for too long")),
            },
        }
    }

    /// Takes the frames of one piece. A full window is journaled and answered before more is taken.
    async fn take(&mut self, piece: &[u8], stream: &mut (impl Source + AsyncWrite)) -> Result<(), BoxError> {
        let mut rest = piece;
        while let Some(frame) = self.frames.next(&mut rest)? {
            self.take_frame(&frame)?;
            if self.is_closed {
                break;
            }
            if self.messages.len() >= self.config.window.get() || self.messages.bytes_len() >= BATCH_LEN {
                self.flush(stream).await?;
            }
        }
        Ok(())
    }

    fn take_frame(&mut self, frame: &Frame) -> Result<(), BadFrame> {
        let is_first = self.last.is_none();
        let is_next = self.last.is_none_or(|last| frames::next_number(last) == frame.number);
        if !is_next || is_first != (frame.command == Command::Open) {
            return Err(BadFrame);
        }
        self.last = Some(frame.number);
        match frame.command {
            Command::Open => match frames::judge_offers(&frame.data) {
                Ok(()) => frames::answer(&mut self.answers, frame.number, OFFERS),
                Err(problem) => {
                    frames::answer(&mut self.answers, frame.number, problem);
                    self.is_closed = true;
                }
            },
            Command::Syslog => {
                let cut = if frame.cut { Cut::Truncated } else { Cut::Whole };
                self.cut += u64::from(frame.cut);
                self.messages.push(&frame.data, None, cut);
                frames::answer(&mut self.answers, frame.number, "200 OK");
            }
            Command::Close => {
                frames::answer(&mut self.answers, frame.number, "");
                self.is_closed = true;
            }
            Command::Unknown => frames::answer(&mut self.answers, frame.number, "500 this command is not known here"),
        }
        Ok(())
    }

    /// Journals the messages, and answers only then. While the journal takes nothing, nothing is read or answered.
    async fn flush(&mut self, stream: &mut (impl Source + AsyncWrite)) -> io::Result<()> {
        let records = self.messages.len() as u64;
        if records > 0 {
            let mut envelope = Envelope::new(self.door, Timestamp::now(), Framing::Records, self.messages.take());
            envelope.peer = Some(self.peer);
            envelope.sender = self.name.clone();
            envelope.format = self.config.format.as_deref().map(CompactString::from);
            while let Err(error) = self.intake.append(envelope.clone(), records).await {
                if !error.is_retryable() || self.stop.is_cancelled() {
                    // Not answered, so the sender has it still; nor may a later flush answer it.
                    self.answers.clear();
                    self.intake.refused(self.door, "journal");
                    return Err(io::Error::other(error));
                }
                tokio::select! {
                    () = self.stop.cancelled() => (),
                    () = tokio::time::sleep(RETRY) => (),
                }
            }
            if let Some(name) = &self.name {
                let mut about = SourceAbout::default();
                about.set_host(name);
                self.intake.sources.describe(&SourceKey::Named(self.door, name.clone()), about);
            }
        }
        let cut = std::mem::take(&mut self.cut);
        self.intake.dropped_of(self.door, Some(self.peer), self.name.as_ref(), DropReason::Truncated, cut);
        let answers = std::mem::take(&mut self.answers);
        let written = async {
            stream.write_all(&answers).await?;
            stream.flush().await
        };
        tokio::time::timeout(ANSWER_TIMEOUT, written).await.map_err(io::Error::from)?
    }
}

/// What this server answers to `open`.
const OFFERS: &str =
    concat!("200 OK\nrelp_version=0\nrelp_software=canh,", env!("CARGO_PKG_VERSION"), "\ncommands=syslog");
