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
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::connection::{self, BoxError};
use super::intake::Intake;
use super::limits::{ConnectionsConfig, OfStreams};
use super::log_limit::LogLimit;
use super::places::Place;
use super::relp_frames::{self as frames, BadFrame, Command, Frame, FrameReader, SERVER_CLOSE};
use super::syslog_stream::{Patience, READ_LEN, Read, Source};
use super::{BindError, BoundDoor, listen_tcp};
use crate::drops::DropReason;
use crate::envelope::{Cut, Door, Envelope, Framing, RecordList};

const NAME: &str = "relp";
const DOOR: Door = Door::Relp;
/// A client that does not take its answers for so long is gone.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Pieces that are read before it is looked whether the server stops. A sender without pauses cannot hold that up.
const ROUNDS_MAX: u32 = 16;
/// A batch is closed at this size.
const BATCH_LEN: usize = 256 * 1024;
/// So many bytes of answers are sent at once. Commands that are no messages have answers too, longer than themselves.
const ANSWERS_LEN: usize = 64 * 1024;

/// `[collector.relp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelpConfig {
    /// Whether this door is open.
    pub enabled: bool,
    /// Address to listen on. 2514 and 20514 are common ports.
    #[serde(with = "canh_config::socket_addr")]
    pub listen: SocketAddr,
    /// Longest message kept; the rest of a longer one is cut off and counted.
    #[serde(with = "canh_config::byte_size")]
    pub message_max: ByteSize,
    /// Messages of one connection that are taken before those before them are answered.
    pub window: NonZeroUsize,
    pub connections: ConnectionsConfig<OfStreams>,
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
            connections: ConnectionsConfig::default(),
            message_timeout: Duration::from_secs(60),
            format: None,
        }
    }
}

impl RelpConfig {
    /// Longest payload that the journal is given, in bytes.
    pub(crate) fn batch_len_max(&self) -> u64 {
        payload_len_max(self.message_max)
    }
}

/// Longest payload that the journal is given by a door with this longest message, in bytes.
pub(super) fn payload_len_max(message_max: ByteSize) -> u64 {
    message_max.bytes().saturating_add(2 * BATCH_LEN as u64)
}

/// What a door says of all its sessions.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) door: Door,
    pub(super) message_max: usize,
    pub(super) window: usize,
    pub(super) patience: Patience,
    pub(super) format: Option<CompactString>,
}

pub(super) fn bind(config: &RelpConfig, intake: &Intake) -> Result<Option<BoundDoor>, BindError> {
    if !config.enabled {
        return Ok(None);
    }
    let (listener, address) = listen_tcp(NAME, config.listen)?;
    let (config, intake) = (config.clone(), intake.clone());
    Ok(Some(BoundDoor::new(NAME, address, move |stop| serve(config, listener, intake, stop))))
}

async fn serve(config: RelpConfig, listener: TcpListener, intake: Intake, stop: CancellationToken) {
    let limits = config.connections.limits();
    let settings = Arc::new(Settings {
        door: DOOR,
        message_max: config.message_max.as_len(),
        window: config.window.get(),
        patience: config.connections.patience(config.message_timeout),
        format: config.format.as_deref().map(CompactString::from),
    });
    let log = Arc::new(LogLimit::default());
    let work = |stream, peer: SocketAddr, place| {
        let from = (peer.ip().to_canonical(), None);
        let session = Session::new(settings.clone(), intake.clone(), from, place, log.clone(), stop.clone());
        async move { session.run(stream).await.map_err(BoxError::from) }
    };
    connection::serve(NAME, listener, &limits, &intake, &stop, work).await;
}

/// One connection.
pub(super) struct Session {
    settings: Arc<Settings>,
    intake: Intake,
    peer: IpAddr,
    /// The name that the sender has proven.
    name: Option<CompactString>,
    place: Arc<Place>,
    log: Arc<LogLimit>,
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

/// Why a session cannot go on.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Frame(#[from] BadFrame),
    /// The connection, or the journal.
    #[error(transparent)]
    Failed(#[from] io::Error),
}

impl Session {
    pub(super) fn new(
        settings: Arc<Settings>,
        intake: Intake,
        (peer, name): (IpAddr, Option<CompactString>),
        place: Arc<Place>,
        log: Arc<LogLimit>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            frames: FrameReader::new(settings.message_max),
            settings,
            intake,
            peer,
            name,
            place,
            log,
            stop,
            has_sent: false,
            last: None,
            messages: RecordList::default(),
            answers: Vec::new(),
            cut: 0,
            is_closed: false,
        }
    }

    pub(super) async fn run(mut self, mut stream: impl Source + AsyncWrite) -> io::Result<()> {
        let mut buffer = BytesMut::with_capacity(READ_LEN);
        loop {
            let read = self.wait(&mut stream, &mut buffer).await?;
            if read == Read::End {
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
                match self.take(&piece, &mut stream).await {
                    Ok(()) => (),
                    Err(Broken::Frame(BadFrame)) => is_bad = true,
                    Err(Broken::Failed(error)) => return Err(error),
                }
                if is_bad || self.messages.bytes_len() >= BATCH_LEN {
                    break;
                }
                match stream.read_ready(&mut buffer, read == Read::Stop) {
                    Ok(0) | Err(_) => break, // an end or an error shows again at the next read
                    Ok(_) => (),
                }
            }
            self.flush(&mut stream).await?;
            if is_bad {
                self.dropped(DropReason::BadFrame, 1);
                let (door, peer) = (self.settings.door.name(), self.peer);
                self.log.warn(door, || {
                    warn!(door, %peer, "connection closed: {BadFrame}, or its number is not the next one; does the sender speak RELP?");
                });
            }
            if is_bad || self.is_closed || read == Read::Stop {
                // Tells the client to connect again elsewhere or later. What it sent and is not answered it keeps.
                let _ = tokio::time::timeout(ANSWER_TIMEOUT, stream.write_all(SERVER_CLOSE)).await;
                let _ = tokio::time::timeout(ANSWER_TIMEOUT, stream.shutdown()).await;
                return Ok(());
            }
        }
    }

    async fn wait(&self, stream: &mut impl Source, buffer: &mut BytesMut) -> io::Result<Read> {
        if self.stop.is_cancelled() {
            return Ok(Read::Stop);
        }
        if !buffer.is_empty() {
            return Ok(Read::Data);
        }
        self.settings.patience.read(stream, buffer, (self.frames.has_begun(), self.has_sent), &self.stop).await
    }

    fn dropped(&self, reason: DropReason, records: u64) {
        self.intake.dropped_of(self.settings.door, Some(self.peer), self.name.as_ref(), reason, records);
    }

    /// Takes the frames of one piece. A full window is journaled and answered before more is taken.
    async fn take(&mut self, piece: &[u8], stream: &mut (impl Source + AsyncWrite)) -> Result<(), Broken> {
        let mut rest = piece;
        while let Some(frame) = self.frames.next(&mut rest)? {
            self.take_frame(&frame)?;
            if self.is_closed {
                break;
            }
            let is_full = self.messages.len() >= self.settings.window || self.messages.bytes_len() >= BATCH_LEN;
            if is_full || self.answers.len() >= ANSWERS_LEN {
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
        // Taken before anything can fail: an answer to what was not kept is never sent.
        let answers = std::mem::take(&mut self.answers);
        let cut = std::mem::take(&mut self.cut);
        let records = self.messages.len() as u64;
        if records > 0 {
            let door = self.settings.door;
            let mut envelope = Envelope::new(door, Timestamp::now(), Framing::Records, self.messages.take());
            envelope.peer = Some(self.peer);
            envelope.sender = self.name.clone();
            envelope.format = self.settings.format.clone();
            if let Err(error) = self.intake.append_patiently(&envelope, records, &self.stop).await {
                // Not answered, so the sender has it still.
                self.intake.refused(door, "journal");
                return Err(io::Error::other(error));
            }
            if let Some(name) = &self.name {
                self.intake.describe_named(door, name);
            }
        }
        self.dropped(DropReason::Truncated, cut);
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
