//! One connection of the forward protocol. A chunk is acknowledged once the journal has all of it.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use canh_schema::Timestamp;
use compact_str::CompactString;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::super::intake::{Intake, lost_reason};
use super::super::log_limit::LogLimit;
use super::super::places::Place;
use super::super::syslog_stream::{Patience, READ_LEN, Read, Source};
use super::budget::{Budget, Share};
use super::greeting::{Greeting, Secrets};
use super::messages::{BadMessage, Message, acknowledge, is_packed};
use super::{BATCH_LEN, DOOR, NAME};
use crate::drops::DropReason;
use crate::envelope::{Cut, Envelope, Framing, RecordList};
use crate::format::msgpack::Scan;

/// How many times `message_max` the events of a message may take in the journal, each with the tag.
const KEPT_TIMES: usize = 4;

/// A client that does not take its answers for so long is gone.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// A PING is at most this long.
const PING_MAX: usize = 8 * 1_024;

/// What a door says of all its sessions.
pub(super) struct Settings {
    pub(super) message_max: usize,
    pub(super) patience: Patience,
    pub(super) greeting_timeout: Duration,
    pub(super) budget: Arc<Budget>,
    /// Messages that are unpacked at the same time.
    pub(super) unpacking: Semaphore,
    pub(super) secrets: Option<Secrets>,
    pub(super) log: LogLimit,
}

pub(super) struct Session {
    settings: Arc<Settings>,
    intake: Intake,
    peer: IpAddr,
    /// The name that the sender has proven.
    name: Option<CompactString>,
    place: Arc<Place>,
    stop: CancellationToken,
    buffer: BytesMut,
    /// What the buffer takes of the memory for all.
    share: Share,
    has_sent: bool,
    events: RecordList,
    /// Events of these whose sender waits for no acknowledgement, so that nobody sends them again.
    unanswered: u64,
    acks: Vec<u8>,
    /// Why events could not be journaled; then no more are.
    failed: Option<DropReason>,
}

impl Session {
    pub(super) fn new(
        settings: Arc<Settings>,
        intake: Intake,
        (peer, name): (IpAddr, Option<CompactString>),
        place: Arc<Place>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            share: Share::new(settings.budget.clone(), peer),
            settings,
            intake,
            peer,
            name,
            place,
            stop,
            buffer: BytesMut::new(),
            has_sent: false,
            events: RecordList::default(),
            unanswered: 0,
            acks: Vec::new(),
            failed: None,
        }
    }

    pub(super) async fn run(mut self, mut stream: impl Source + AsyncWrite) -> io::Result<()> {
        let patience = self.settings.greeting_timeout;
        match tokio::time::timeout(patience, self.greet(&mut stream)).await.map_err(io::Error::from)?? {
            true => self.messages(&mut stream).await,
            false => Ok(()),
        }
    }

    /// The next whole value of the stream, if it is not too long; `None` at the end.
    async fn value(&mut self, stream: &mut impl Source, len_max: usize) -> io::Result<Option<BytesMut>> {
        let mut scan = Scan::default();
        let mut until = None;
        loop {
            match scan.go_on(&self.buffer) {
                Ok(Some(len)) if len <= len_max => return Ok(Some(self.buffer.split_to(len))),
                Ok(None) if self.buffer.len() <= len_max => (),
                Ok(_) => return Err(self.refuse(DropReason::Truncated, "a message is longer than `message_max`")),
                Err(_) => return Err(self.refuse(DropReason::BadFrame, "it does not speak the forward protocol")),
            }
            if !self.share.hold(self.buffer.len()) {
                let text =
                    "unfinished messages take all of `unfinished_max`; raise it, or let senders send shorter ones";
                return Err(self.refuse(DropReason::QueueFull, text));
            }
            let has_begun = scan.has_begun() || !self.buffer.is_empty();
            let mut patience = self.settings.patience;
            if has_begun {
                // Each byte does not begin the time anew: the whole message has to come in it.
                let until = *until.get_or_insert_with(|| Instant::now() + patience.message);
                patience.message = until.saturating_duration_since(Instant::now());
            }
            self.buffer.reserve(READ_LEN);
            match patience.read(stream, &mut self.buffer, (has_begun, self.has_sent), &self.stop).await? {
                Read::Data => (),
                Read::Stop | Read::End => return Ok(None),
            }
            if !std::mem::replace(&mut self.has_sent, true) {
                self.place.has_sent();
            }
        }
    }

    /// Answers whether the sender may send.
    async fn greet(&mut self, stream: &mut (impl Source + AsyncWrite)) -> io::Result<bool> {
        let settings = self.settings.clone();
        let Some(secrets) = &settings.secrets else { return Ok(true) };
        let greeting = Greeting::new(super::super::random()?);
        stream.write_all(&greeting.helo(secrets)).await?;
        stream.flush().await?;
        let Some(ping) = self.value(stream, PING_MAX).await? else { return Ok(false) };
        let Ok(pong) = greeting.pong(secrets, &ping) else {
            return Err(self.refuse(DropReason::Unauthenticated, "it does not answer with the shared key"));
        };
        stream.write_all(&pong.bytes).await?;
        stream.flush().await?;
        if !pong.is_welcome {
            return Err(self.refuse(DropReason::Unauthenticated, "shared key, user or password is wrong"));
        }
        Ok(true)
    }

    async fn messages(&mut self, stream: &mut (impl Source + AsyncWrite)) -> io::Result<()> {
        let result = self.take_all(stream).await;
        self.count_rest();
        result
    }

    async fn take_all(&mut self, stream: &mut (impl Source + AsyncWrite)) -> io::Result<()> {
        loop {
            let value = self.value(stream, self.settings.message_max).await;
            let Ok(Some(bytes)) = value else {
                // What was whole before the end, or before a mistake, is kept.
                self.flush(stream).await?;
                return value.map(drop);
            };
            let taken = self.take(&bytes, stream).await?;
            if let Err(bad) = taken {
                self.buffer.clear(); // what follows is not read, and how much that is nobody knows
                self.flush(stream).await?;
                return Err(match bad {
                    BadMessage::Malformed => self.refuse(DropReason::BadFrame, "a message cannot be read"),
                    BadMessage::TooLong => {
                        self.refuse(DropReason::Truncated, "an unpacked message is longer than `message_max`")
                    }
                });
            }
            drop(bytes);
            self.share.hold(self.buffer.len());
            // As long as whole messages have come already, they go into the same batch.
            let is_whole = matches!(Scan::default().go_on(&self.buffer), Ok(Some(_)));
            if !is_whole || self.events.bytes_len() >= BATCH_LEN {
                self.flush(stream).await?;
            }
        }
    }

    /// Counts what has come and is not taken any more: whole messages that nobody sends again, and the beginning of one.
    fn count_rest(&mut self) {
        let reason = self.failed.unwrap_or(DropReason::Incomplete);
        let mut events = 0;
        while let Ok(Some(len)) = Scan::default().go_on(&self.buffer) {
            let bytes = self.buffer.split_to(len);
            if let Ok(Some(message)) = Message::read(&bytes, self.settings.message_max)
                && message.chunk.is_none()
            {
                events += message.events().map_while(Result::ok).count() as u64;
            }
        }
        self.dropped(reason, events);
        self.dropped(DropReason::Incomplete, u64::from(!self.buffer.is_empty()));
        self.buffer.clear();
    }

    /// Takes the events of one message. Its acknowledgement is sent with the batch that its last event is in.
    async fn take(
        &mut self,
        bytes: &[u8],
        stream: &mut (impl Source + AsyncWrite),
    ) -> io::Result<Result<(), BadMessage>> {
        let settings = self.settings.clone();
        // Held until all of it is journaled: what is unpacked is in memory so long.
        let _room = if is_packed(bytes) { settings.unpacking.acquire().await.ok() } else { None };
        let message = match Message::read(bytes, settings.message_max) {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(Ok(())),
            Err(bad) => return Ok(Err(bad)),
        };
        if message.kept_len() > settings.message_max.saturating_mul(KEPT_TIMES) {
            return Ok(Err(BadMessage::TooLong));
        }
        let mut record = Vec::new();
        let mut events = message.events();
        while let Some(event) = events.next() {
            let event = match event {
                Ok(event) => event,
                Err(bad) => return Ok(Err(bad)),
            };
            message.write(event, &mut record);
            self.events.push(&record, None, Cut::Whole);
            self.unanswered += u64::from(message.chunk.is_none());
            if self.events.bytes_len() >= BATCH_LEN
                && let Err(error) = self.flush(stream).await
            {
                if message.chunk.is_none() {
                    let rest = events.map_while(Result::ok).count() as u64;
                    self.dropped(self.failed.unwrap_or(DropReason::Incomplete), rest);
                }
                return Err(error);
            }
        }
        if let Some(chunk) = message.chunk {
            acknowledge(&mut self.acks, chunk);
        }
        Ok(Ok(()))
    }

    /// Journals the events, and acknowledges only then. While the journal takes nothing, nothing is read or answered.
    async fn flush(&mut self, stream: &mut (impl Source + AsyncWrite)) -> io::Result<()> {
        // Taken before anything can fail: what was not kept is never acknowledged.
        let acks = std::mem::take(&mut self.acks);
        let unanswered = std::mem::take(&mut self.unanswered);
        let records = self.events.len() as u64;
        if records > 0 {
            let mut envelope = Envelope::new(DOOR, Timestamp::now(), Framing::Fluent, self.events.take());
            envelope.peer = Some(self.peer);
            envelope.sender.clone_from(&self.name);
            if let Err(error) = self.intake.append_patiently(&envelope, records, &self.stop).await {
                let reason = *self.failed.insert(lost_reason(&error));
                self.dropped(reason, unanswered);
                self.intake.refused(DOOR, "journal");
                return Err(io::Error::other(error));
            }
            if let Some(name) = &self.name {
                self.intake.describe_named(DOOR, name);
            }
        }
        if acks.is_empty() {
            return Ok(());
        }
        let written = async {
            stream.write_all(&acks).await?;
            stream.flush().await
        };
        tokio::time::timeout(ANSWER_TIMEOUT, written).await.map_err(io::Error::from)?
    }

    fn dropped(&self, reason: DropReason, records: u64) {
        self.intake.dropped_of(DOOR, Some(self.peer), self.name.as_ref(), reason, records);
    }

    fn refuse(&mut self, reason: DropReason, text: &'static str) -> io::Error {
        self.dropped(reason, 1);
        self.buffer.clear(); // counted; what may follow in it cannot be told apart
        let peer = self.peer;
        self.settings.log.warn(NAME, || warn!(door = NAME, %peer, "connection closed: {text}"));
        io::Error::new(io::ErrorKind::InvalidData, text)
    }
}
