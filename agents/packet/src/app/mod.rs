//! What flows carry: recognised by content, read from the bounded streams of [`stream`].
//!
//! A flow costs nothing here until something is recognised: until then each segment is looked at in place, and after
//! enough of them the flow is left alone.

mod control;
pub(crate) mod dns;
pub(crate) mod ftp;
pub(crate) mod http;
mod mail;
pub(crate) mod stream;
pub(crate) mod tls;

use std::net::IpAddr;

use crate::carve::{Carver, FileId};
use crate::record::{AppProtocol, Conversation, Record};
use crate::stats::Stats;
use crate::time::Timestamp;
use dns::DnsFlow;
use stream::{Streams, Verdict};

/// TCP segments with data that are looked at before a flow is left alone. More than a greeting and a STARTTLS.
const SEGMENTS_TRIED: u8 = 32;
/// UDP datagrams that are looked at before a flow is left alone.
const DATAGRAMS_TRIED: u8 = 3;

/// What is known about the content of one flow.
#[derive(Debug, Default)]
pub(crate) struct App {
    pub protocol: Option<AppProtocol>,
    tried: u8,
    kind: Kind,
}

#[derive(Debug, Default)]
enum Kind {
    #[default]
    Undecided,
    Ignored,
    Streams(Box<Streams>),
    Dns(Box<DnsFlow>),
}

/// What the analysers are given besides bytes.
pub(crate) struct Context<'a> {
    pub at: Timestamp,
    /// Made only when a record is written.
    pub conversation: &'a dyn Fn() -> Conversation,
    /// Where the conversation goes to.
    pub responder: (IpAddr, u16),
    pub budget: &'a mut Budget,
    pub stats: &'a mut Stats,
    pub out: &'a mut Vec<Record>,
    /// Takes files, if somebody wants them.
    pub carver: Option<&'a mut Carver>,
}

impl Context<'_> {
    /// More of a file, if it is still under way.
    pub(crate) fn append(&mut self, file: &mut Option<FileId>, data: &[u8]) {
        if file.is_some()
            && let Some(carver) = &mut self.carver
        {
            carver.append(file, data);
        }
    }

    /// The file is whole.
    pub(crate) fn finish_file(&mut self, file: &mut Option<FileId>) {
        if file.is_some()
            && let Some(carver) = &mut self.carver
        {
            carver.finish(file, self.at, self.conversation);
        }
    }

    /// The file will not be whole.
    pub(crate) fn abandon_file(&mut self, file: &mut Option<FileId>) {
        if file.is_some()
            && let Some(carver) = &mut self.carver
        {
            carver.abandon(file);
        }
    }
}

/// Bytes of streams held by the whole table.
#[derive(Debug)]
pub(crate) struct Budget {
    used: usize,
    max: usize,
    /// For one direction of one stream.
    pub stream_max: usize,
}

impl Budget {
    pub(crate) const fn new(max: usize, stream_max: usize) -> Self {
        Self { used: 0, max, stream_max }
    }

    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let fits = self.max - self.used >= bytes;
        if fits {
            self.used += bytes;
        }
        fits
    }

    /// Whether half of it is free for others when so much is taken.
    pub(crate) const fn leaves_half(&self, bytes: usize) -> bool {
        self.used + bytes <= self.max / 2
    }

    pub(crate) fn give_back(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }
}

/// A segment of a TCP stream: where it is, and what was captured of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    /// 0 from the originator, 1 from the responder.
    pub end: usize,
    pub sequence: u32,
    /// It is the first of its end.
    pub begins: bool,
    /// Where the stream ends, if its sender says so here.
    pub closed_at: Option<u32>,
    /// Next byte that the sender expects from the other end.
    pub acknowledged: Option<u32>,
    pub data: &'a [u8],
}

impl App {
    /// Nothing is to be looked at any more.
    pub(crate) const fn is_ignored(&self) -> bool {
        matches!(self.kind, Kind::Ignored)
    }

    /// Looks at a TCP segment.
    pub(crate) fn segment(&mut self, segment: Segment<'_>, context: &mut Context<'_>) {
        match &mut self.kind {
            Kind::Streams(streams) => {
                streams.segment(segment, context);
                self.after_streams(context);
            }
            Kind::Undecided
                if segment.begins && context.carver.as_ref().is_some_and(|carver| carver.is_announced()) =>
            {
                let responder = context.responder;
                if let Some(id) = context.carver.as_mut().and_then(|carver| carver.claim(responder)) {
                    let mut streams = Box::new(Streams::new(Verdict::Transfer(id), &segment));
                    streams.segment(segment, context);
                    self.kind = Kind::Streams(streams);
                }
            }
            Kind::Undecided if !segment.data.is_empty() => {
                self.tried += 1;
                let Some(verdict) = stream::recognise(segment.data, context.carver.is_some()) else {
                    if segment.data.starts_with(b"SSH-") {
                        self.protocol = Some(AppProtocol::Ssh);
                        self.kind = Kind::Ignored;
                    } else if self.tried >= SEGMENTS_TRIED {
                        self.kind = Kind::Ignored;
                    }
                    return;
                };
                let mut streams = Box::new(Streams::new(verdict, &segment));
                streams.segment(segment, context);
                self.kind = Kind::Streams(streams);
                self.after_streams(context);
            }
            _ => {}
        }
    }

    fn after_streams(&mut self, context: &mut Context<'_>) {
        let Kind::Streams(streams) = &mut self.kind else { return };
        self.protocol = streams.protocol().or(self.protocol);
        if streams.is_done() {
            streams.release(context);
            // A tunnel through HTTP may carry something else that is worth a look.
            self.kind =
                if streams.begins_again() && self.tried < SEGMENTS_TRIED { Kind::Undecided } else { Kind::Ignored };
        }
    }

    /// Looks at a UDP datagram.
    pub(crate) fn datagram(&mut self, data: &[u8], ports: (u16, u16), context: &mut Context<'_>) {
        if let Kind::Dns(flow) = &mut self.kind {
            if let Some(message) = dns::parse(data, dns::names_of(ports)) {
                flow.message(message, context);
            }
            return;
        }
        if !matches!(self.kind, Kind::Undecided) {
            return;
        }
        self.tried += 1;
        match dns::recognise(data, ports) {
            Some(message) => {
                let mut flow = Box::<DnsFlow>::default();
                flow.message(message, context);
                self.protocol = Some(AppProtocol::Dns);
                self.kind = Kind::Dns(flow);
            }
            None if self.tried >= DATAGRAMS_TRIED => self.kind = Kind::Ignored,
            None => {}
        }
    }

    /// Writes what is still unanswered, and gives memory back.
    pub(crate) fn finish(&mut self, context: &mut Context<'_>) {
        match std::mem::replace(&mut self.kind, Kind::Ignored) {
            Kind::Streams(mut streams) => {
                streams.finish(context);
                streams.release(context);
            }
            Kind::Dns(mut flow) => flow.finish(context),
            Kind::Undecided | Kind::Ignored => {}
        }
    }
}
