//! Both directions of one TCP stream, put in order as far as bounded memory allows, and handed to an analyser.

use super::control::ControlStream;
use super::dns::DnsStream;
use super::ftp::TransferStream;
use super::http::HttpStream;
use super::tls::TlsStream;
use super::{Context, Segment};
use crate::carve::TransferId;
use crate::record::AppProtocol;

/// Segments held back per direction while an earlier one is missing.
const HELD_BACK_MAX: usize = 16;
/// The same while a file is under way in this direction, so that a lost segment may come again before it is given up.
const HELD_BACK_FILE_MAX: usize = 1_024;
/// Bytes that are put behind kept ones at once: enough for most heads, after which the rest is read in place.
const PIECE_LEN: usize = 2 << 10;

/// Bytes that one end sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a> {
    /// 0 from the originator, 1 from the responder.
    pub end: usize,
    pub data: &'a [u8],
}

/// What an analyser makes of the bytes at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Progress {
    /// So many bytes are done with; the rest is kept until more come.
    Consumed(usize),
    /// Nothing more is wanted from the connection.
    Done,
    /// Nothing more is wanted, and what follows may be another protocol.
    BeginAgain,
}

/// An analyser by the protocol that the first bytes look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Tls,
    Http,
    Dns,
    /// Commands and answers in lines: SMTP, or the control connection of FTP.
    Control,
    /// What a control connection of FTP announced.
    Transfer(TransferId),
    /// Too short to tell.
    Short,
}

/// What the beginning of a segment looks like; `None` for nothing that is known.
/// SMTP and FTP are only looked for when somebody wants `files`.
pub(crate) fn recognise(data: &[u8], files: bool) -> Option<Verdict> {
    if super::tls::is_hello(data) {
        return Some(Verdict::Tls);
    }
    if super::http::is_head(data) {
        return Some(Verdict::Http);
    }
    if super::dns::is_stream(data) {
        return Some(Verdict::Dns);
    }
    if files && super::control::is_greeting(data) {
        return Some(Verdict::Control);
    }
    let short = data.len() < 6
        && (super::tls::may_be_hello(data)
            || super::http::may_be_head(data)
            || (files && super::control::may_be_greeting(data)));
    short.then_some(Verdict::Short)
}

#[derive(Debug)]
enum Analyser {
    Tls(Box<TlsStream>),
    Http(Box<HttpStream>),
    Dns(Box<DnsStream>),
    Control(Box<ControlStream>),
    Transfer(TransferStream),
    Undecided,
}

impl Analyser {
    fn new(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Tls => Self::Tls(Box::default()),
            Verdict::Http => Self::Http(Box::default()),
            Verdict::Dns => Self::Dns(Box::default()),
            Verdict::Control => Self::Control(Box::default()),
            Verdict::Transfer(id) => Self::Transfer(TransferStream::new(id)),
            Verdict::Short => Self::Undecided,
        }
    }

    fn data(&mut self, bytes: Bytes<'_>, context: &mut Context<'_>) -> Progress {
        if let Self::Undecided = self {
            match recognise(bytes.data, context.carver.is_some()) {
                Some(Verdict::Short) => return Progress::Consumed(0),
                Some(verdict) => *self = Self::new(verdict),
                None => return Progress::Done,
            }
        }
        if let Self::Transfer(stream) = self
            && stream.is_encrypted(bytes)
        {
            *self = Self::new(Verdict::Tls);
        }
        match self {
            Self::Tls(stream) => stream.data(bytes, context),
            Self::Http(stream) => stream.data(bytes, context),
            Self::Dns(stream) => stream.data(bytes, context),
            Self::Control(stream) => stream.data(bytes, context),
            Self::Transfer(stream) => stream.data(bytes, context),
            Self::Undecided => Progress::Done,
        }
    }

    /// A piece is missing; says whether to go on.
    fn gap(&mut self, end: usize, len: u32, context: &mut Context<'_>) -> bool {
        match self {
            Self::Http(stream) => {
                stream.gap(end, len, context);
                true
            }
            Self::Control(stream) => {
                stream.gap(end, context);
                true
            }
            // The file has a hole, and there is nothing else here.
            Self::Transfer(_) => false,
            // Without its length fields the rest cannot be cut into messages.
            Self::Tls(_) | Self::Dns(_) | Self::Undecided => false,
        }
    }

    /// One end will send no more, and everything that it sent was seen.
    fn closed(&mut self, end: usize, context: &mut Context<'_>) {
        match self {
            Self::Http(stream) => stream.closed(end, context),
            Self::Transfer(stream) => stream.closed(end, context),
            Self::Tls(_) | Self::Dns(_) | Self::Control(_) | Self::Undecided => {}
        }
    }

    /// Whether a file is under way in this direction, so that it is worth to wait for what is missing.
    fn has_file(&self, end: usize) -> bool {
        match self {
            Self::Http(stream) => stream.has_file(end),
            Self::Control(stream) => stream.has_file(end),
            Self::Transfer(_) => true,
            Self::Tls(_) | Self::Dns(_) | Self::Undecided => false,
        }
    }

    /// What is under way will not be whole.
    fn abandon(&mut self, context: &mut Context<'_>) {
        match self {
            Self::Http(stream) => stream.abandon(context),
            Self::Control(stream) => stream.abandon(context),
            Self::Transfer(stream) => stream.abandon(context),
            Self::Tls(_) | Self::Dns(_) | Self::Undecided => {}
        }
    }
}

#[derive(Debug, Default)]
struct Direction {
    /// Number of the next byte in order. `None` until the first segment.
    next: Option<u32>,
    /// In order, not consumed.
    buffer: Vec<u8>,
    /// Later segments by their number, the nearest first.
    held_back: Vec<(u32, Vec<u8>)>,
    /// Where it ends; `None` until its sender says so, and when that was handed on.
    closed_at: Option<u32>,
}

impl Direction {
    fn held_bytes(&self) -> usize {
        self.buffer.len() + self.held_back.iter().map(|(_, data)| data.len()).sum::<usize>()
    }
}

/// Both directions and their analyser.
#[derive(Debug)]
pub(crate) struct Streams {
    directions: [Direction; 2],
    analyser: Analyser,
    done: bool,
    begin_again: bool,
}

impl Streams {
    pub(crate) fn new(verdict: Verdict, first: &Segment<'_>) -> Self {
        let mut directions = [Direction::default(), Direction::default()];
        directions[first.end].next = Some(first.sequence);
        directions[1 - first.end].next = first.acknowledged;
        Self { directions, analyser: Analyser::new(verdict), done: false, begin_again: false }
    }

    pub(crate) fn protocol(&self) -> Option<AppProtocol> {
        match &self.analyser {
            Analyser::Tls(_) => Some(AppProtocol::Tls),
            Analyser::Http(_) => Some(AppProtocol::Http),
            Analyser::Dns(_) => Some(AppProtocol::Dns),
            Analyser::Control(stream) => stream.protocol(),
            Analyser::Transfer(_) => Some(AppProtocol::Ftp),
            Analyser::Undecided => None,
        }
    }

    pub(crate) const fn is_done(&self) -> bool {
        self.done
    }

    pub(crate) const fn begins_again(&self) -> bool {
        self.begin_again
    }

    pub(crate) fn segment(&mut self, segment: Segment<'_>, context: &mut Context<'_>) {
        self.take(segment, context);
        if context.carver.is_some() {
            self.directions[segment.end].closed_at = segment.closed_at.or(self.directions[segment.end].closed_at);
            // What was acknowledged may have ended the other direction.
            for end in [segment.end, 1 - segment.end] {
                let direction = &mut self.directions[end];
                if !self.done && direction.closed_at.is_some() && direction.closed_at == direction.next {
                    direction.closed_at = None;
                    self.analyser.closed(end, context);
                }
            }
        }
    }

    fn take(&mut self, segment: Segment<'_>, context: &mut Context<'_>) {
        // What the receiver has acknowledged will not come again: the capture missed it.
        if let Some(acknowledged) = segment.acknowledged {
            let other = 1 - segment.end;
            let direction = &self.directions[other];
            let is_missed = match (direction.next, direction.held_back.first()) {
                (Some(next), Some((first, _))) => ahead(*first, next) > 0 && ahead(acknowledged, *first) >= 0,
                _ => false,
            };
            if is_missed {
                self.skip_gap(other, context);
            }
        }
        if segment.begins {
            self.directions[segment.end].next.get_or_insert(segment.sequence);
        }
        if self.done || segment.data.is_empty() {
            return;
        }
        let next = *self.directions[segment.end].next.get_or_insert(segment.sequence);
        let distance = ahead(segment.sequence, next);
        if distance > 0 {
            self.hold_back(segment, context);
            return;
        }
        let repeated = distance.unsigned_abs() as usize;
        if let Some(data) = segment.data.get(repeated..).filter(|data| !data.is_empty()) {
            self.in_order(segment.end, data, context);
            self.drain(segment.end, context);
        }
    }

    /// Keeps a segment that came before its turn.
    fn hold_back(&mut self, segment: Segment<'_>, context: &mut Context<'_>) {
        let direction = &mut self.directions[segment.end];
        let held: usize = direction.held_bytes();
        let (mut len_max, mut bytes_max) = (HELD_BACK_MAX, context.budget.stream_max);
        if let Some(carver) = &context.carver
            && self.analyser.has_file(segment.end)
            // Many transfers that wait must not keep heads from being read.
            && context.budget.leaves_half(segment.data.len())
        {
            len_max = HELD_BACK_FILE_MAX;
            bytes_max = bytes_max.max(carver.held_back_bytes_max());
        }
        let fits = direction.held_back.len() < len_max
            && held + segment.data.len() <= bytes_max
            && context.budget.take(segment.data.len());
        if fits {
            let place = direction.held_back.partition_point(|(other, _)| ahead(*other, segment.sequence) < 0);
            direction.held_back.insert(place, (segment.sequence, segment.data.to_vec()));
            return;
        }
        // No room to wait any longer: what is missing stays missing.
        self.skip_gap(segment.end, context);
        if self.done {
            return;
        }
        let next = self.directions[segment.end].next.unwrap_or(segment.sequence);
        let distance = ahead(segment.sequence, next);
        if distance > 0 {
            self.gap(segment.end, distance.unsigned_abs(), context);
        }
        let repeated = if distance > 0 { 0 } else { distance.unsigned_abs() as usize };
        if let Some(data) = segment.data.get(repeated..).filter(|data| !data.is_empty() && !self.done) {
            self.in_order(segment.end, data, context);
        }
    }

    /// Steps over the first missing piece, and hands on what was waiting for it.
    fn skip_gap(&mut self, end: usize, context: &mut Context<'_>) {
        let direction = &self.directions[end];
        let (Some(next), Some((first, _))) = (direction.next, direction.held_back.first()) else { return };
        let missing = ahead(*first, next);
        if missing > 0 {
            self.gap(end, missing.unsigned_abs(), context);
        }
        self.drain(end, context);
    }

    fn gap(&mut self, end: usize, len: u32, context: &mut Context<'_>) {
        context.stats.stream_gaps += 1;
        let direction = &mut self.directions[end];
        context.budget.give_back(direction.buffer.len());
        direction.buffer.clear();
        direction.next = direction.next.map(|next| next.wrapping_add(len));
        if !self.analyser.gap(end, len, context) {
            self.done = true;
        }
    }

    /// Hands on what was held back and has its turn now.
    fn drain(&mut self, end: usize, context: &mut Context<'_>) {
        while !self.done {
            let direction = &mut self.directions[end];
            let (Some(next), Some((first, _))) = (direction.next, direction.held_back.first()) else { return };
            let distance = ahead(*first, next);
            if distance > 0 {
                return;
            }
            let (_, data) = direction.held_back.remove(0);
            context.budget.give_back(data.len());
            if let Some(data) = data.get(distance.unsigned_abs() as usize..).filter(|data| !data.is_empty()) {
                self.in_order(end, data, context);
            }
        }
    }

    fn in_order(&mut self, end: usize, data: &[u8], context: &mut Context<'_>) {
        let direction = &mut self.directions[end];
        direction.next = direction.next.map(|next| next.wrapping_add(data.len() as u32));
        let mut rest = data;
        while !rest.is_empty() && !self.done {
            if self.directions[end].buffer.is_empty() {
                let consumed = match self.analyser.data(Bytes { end, data: rest }, context) {
                    Progress::Consumed(len) => len,
                    other => return self.end(other),
                };
                self.keep(end, rest.get(consumed..).unwrap_or_default(), context);
                return;
            }
            // A segment may be far longer than what may be kept: it is put behind what is kept bit by bit.
            let room = context.budget.stream_max.saturating_sub(self.directions[end].buffer.len());
            let (piece, after) = rest.split_at(rest.len().min(PIECE_LEN).min(room.max(1)));
            rest = after;
            if !self.keep(end, piece, context) {
                return;
            }
            let buffer = std::mem::take(&mut self.directions[end].buffer);
            let progress = self.analyser.data(Bytes { end, data: &buffer }, context);
            self.directions[end].buffer = buffer;
            match progress {
                Progress::Consumed(len) => {
                    let buffer = &mut self.directions[end].buffer;
                    let len = len.min(buffer.len());
                    buffer.drain(..len);
                    context.budget.give_back(len);
                }
                other => self.end(other),
            }
        }
    }

    fn end(&mut self, progress: Progress) {
        self.done = true;
        self.begin_again = progress == Progress::BeginAgain;
    }

    /// Adds to the buffer, or gives the connection up when a cap is reached.
    fn keep(&mut self, end: usize, data: &[u8], context: &mut Context<'_>) -> bool {
        let buffer = &mut self.directions[end].buffer;
        if buffer.len() + data.len() <= context.budget.stream_max && context.budget.take(data.len()) {
            buffer.extend_from_slice(data);
            return true;
        }
        context.stats.reassembly_dropped_bytes += (buffer.len() + data.len()) as u64;
        self.done = true;
        false
    }

    /// Writes what is still unanswered.
    pub(crate) fn finish(&mut self, context: &mut Context<'_>) {
        match &mut self.analyser {
            Analyser::Tls(stream) => stream.finish(context),
            Analyser::Http(stream) => stream.finish(context),
            Analyser::Dns(stream) => stream.finish(context),
            Analyser::Control(_) | Analyser::Transfer(_) | Analyser::Undecided => {}
        }
    }

    /// Gives memory back. Files that are still under way will not be whole.
    pub(crate) fn release(&mut self, context: &mut Context<'_>) {
        self.analyser.abandon(context);
        for direction in &mut self.directions {
            context.budget.give_back(direction.held_bytes());
            *direction = Direction::default();
        }
    }
}

/// How far `sequence` is ahead of `of`, the shorter way round.
fn ahead(sequence: u32, of: u32) -> i32 {
    sequence.wrapping_sub(of) as i32
}
