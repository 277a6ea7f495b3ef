//! The state of a TCP connection as Zeek keeps it: a state per end, sequence numbers, and the history's letters.
//!
//! The states, and the order in which sequence numbers, history and states change, decide `conn_state`, byte counts
//! and history, so they follow Zeek's behaviour also where another choice would be as good.

use crate::dissect::transport::{ACK, FIN, RST, SYN, Tcp};

/// Longest history. Ends that repeat SYN or FIN with ever new numbers write no more after that.
const HISTORY_MAX: usize = 64;
/// A jump this far in a SYN or RST is not believed.
const JUMP_MAX: i32 = 1 << 20;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Nothing came from this end.
    Inactive,
    SynSent,
    /// The originator's first packet was a SYN with ACK.
    SynAckSent,
    /// The beginning was not seen.
    Partial,
    Established,
    Closed,
    Reset,
}

impl State {
    const fn is_handshake(self) -> bool {
        matches!(self, Self::Inactive | Self::SynSent | Self::SynAckSent)
    }
}

/// One end. Sequence numbers are counted from `start`, the number of its SYN, seen or inferred.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub state: State,
    previous: State,
    start: u32,
    /// One past the highest byte sent.
    last: i64,
    /// Highest byte that the peer acknowledged.
    acknowledged: i64,
    saw_fin: bool,
    /// It was noted that this end has closed.
    pub did_close: bool,
    last_syn: i64,
    last_fin: i64,
    last_rst: i64,
    retransmits: Scaled,
    zero_windows: Scaled,
    bad_checksums: Scaled,
}

/// A letter that is written at the 1st, 10th, 100th … time.
#[derive(Clone, Debug)]
struct Scaled {
    count: u32,
    threshold: u32,
}

impl Scaled {
    const fn new() -> Self {
        Self { count: 0, threshold: 1 }
    }

    fn hit(&mut self) -> bool {
        self.count = self.count.saturating_add(1);
        let due = self.count == self.threshold;
        if due {
            self.threshold = self.threshold.saturating_mul(10);
        }
        due
    }
}

/// Letters in the order of their first time.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    text: compact_str::CompactString,
    /// Which letters were written, per end.
    seen: [u32; 2],
}

impl History {
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Writes a letter, small for the responder.
    pub(crate) fn push(&mut self, end: usize, letter: char) {
        if self.text.len() < HISTORY_MAX {
            self.text.push(if end == 0 { letter } else { letter.to_ascii_lowercase() });
        }
    }

    /// Writes a letter unless this end has it; says whether it had it.
    pub(crate) fn once(&mut self, end: usize, letter: char) -> bool {
        let bit = 1 << (letter as u32 & 31);
        let had = self.seen[end] & bit != 0;
        if !had {
            self.seen[end] |= bit;
            self.push(end, letter);
        }
        had
    }

    pub(crate) fn flipped(&mut self) {
        self.seen.swap(0, 1);
        self.push(0, '^');
    }

    /// A SYN by the originator, and then, before anything else that counts, a reset by it.
    fn is_syn_then_reset(&self) -> bool {
        let text = self.text.strip_prefix('^').unwrap_or(&self.text);
        text.strip_prefix('S')
            .and_then(|rest| rest.find(['H', 'A', 'F', 'G', 'I', 'Q', 'R']).map(|at| rest[at..].starts_with('R')))
            .unwrap_or(false)
    }
}

/// What a segment did to the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Change {
    /// The two ends change places: what looked like the originator was the responder.
    pub flip: bool,
    /// No more is to come, apart from stragglers.
    pub complete: bool,
}

/// Both ends: 0 is the originator, 1 the responder.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub ends: [Endpoint; 2],
}

impl Endpoint {
    const fn new() -> Self {
        Self {
            state: State::Inactive,
            previous: State::Inactive,
            start: 0,
            last: 0,
            acknowledged: 0,
            saw_fin: false,
            did_close: false,
            last_syn: 0,
            last_fin: 0,
            last_rst: 0,
            retransmits: Scaled::new(),
            zero_windows: Scaled::new(),
            bad_checksums: Scaled::new(),
        }
    }

    fn set(&mut self, state: State) {
        if state != self.state {
            self.previous = self.state;
            self.state = state;
        }
    }

    /// Distance of `sequence` from the point `from`, the shorter way round.
    fn delta(&self, sequence: u32, from: i64) -> i32 {
        sequence.wrapping_sub(self.start.wrapping_add(from as u32)) as i32
    }

    fn begin(&mut self, start: u32, last: i64) {
        (self.start, self.last, self.acknowledged) = (start, last, 0);
    }

    /// Sets the numbers up at the first packet, and again where a SYN says that the first guess was wrong.
    fn prepare(&mut self, segment: &Tcp<'_>, len: u32) {
        let syn = segment.has(SYN);
        match self.state {
            State::Inactive if syn => self.begin(segment.sequence, i64::from(len)),
            State::Inactive => self.begin(segment.sequence.wrapping_sub(1), 1),
            State::SynSent | State::SynAckSent if syn && segment.sequence != self.start => {
                self.begin(segment.sequence, i64::from(len));
            }
            State::Established | State::Partial if syn => self.begin(segment.sequence, i64::from(len)),
            State::Reset if syn && self.previous == State::Inactive => self.begin(segment.sequence, i64::from(len)),
            _ => {}
        }
    }

    /// Moves `last` on; says whether the segment repeated data.
    fn advance(&mut self, segment: &Tcp<'_>, one_past: u32) -> bool {
        let delta = self.delta(one_past, self.last);
        if (segment.has(SYN) || segment.has(RST)) && delta.unsigned_abs() > JUMP_MAX.unsigned_abs() {
            false
        } else if segment.has(FIN) && self.last == 1 {
            // Only SYN and FIN of a connection of more than 2 GiB may have been seen: always forwards.
            self.last += i64::from(delta as u32);
            false
        } else if self.state == State::Reset {
            false
        } else if delta > 0 {
            self.last += i64::from(delta);
            false
        } else {
            segment.payload_len > 0
        }
    }

    /// Bytes of the stream that this end sent, by sequence numbers.
    fn stream_bytes(&self, peer: State) -> u64 {
        if self.previous == State::SynSent
            && self.state == State::Reset
            && peer == State::Inactive
            && self.acknowledged > 1
        {
            return 0; // a half-open connection was found and broken off; its numbers mean nothing
        }
        let mut size = self.last.max(self.acknowledged);
        size -= i64::from(size != 0); // SYN
        size -= i64::from(self.saw_fin && size != 0);
        u64::try_from(size).unwrap_or(0)
    }
}

impl Connection {
    pub(crate) const fn new() -> Self {
        Self { ends: [Endpoint::new(), Endpoint::new()] }
    }

    /// Still waiting for any answer to the first SYN.
    pub(crate) fn is_attempt(&self) -> bool {
        matches!(self.ends[0].state, State::SynSent | State::SynAckSent) && self.ends[1].state == State::Inactive
    }

    pub(crate) fn is_handshake(&self) -> bool {
        self.ends.iter().all(|end| end.state.is_handshake())
    }

    pub(crate) fn both_closed(&self) -> bool {
        self.ends.iter().all(|end| end.did_close)
    }

    /// Nothing but silence can be expected: closed by one side and broken by either.
    pub(crate) fn is_dying(&self) -> bool {
        self.ends.iter().any(|end| end.did_close) && self.ends.iter().any(|end| end.state == State::Reset)
    }

    pub(crate) fn stream_bytes(&self, end: usize) -> u64 {
        self.ends[end].stream_bytes(self.ends[1 - end].state)
    }

    /// Notes a packet that was not used.
    pub(crate) fn bad_checksum(&mut self, end: usize, history: &mut History) {
        if self.ends[end].bad_checksums.hit() {
            history.push(end, 'C');
        }
    }

    /// Whether a SYN begins another connection with the same addresses and ports.
    pub(crate) fn is_reuse(&self, segment: &Tcp<'_>) -> bool {
        if !segment.has(SYN) {
            return false;
        }
        let [originator, responder] = &self.ends;
        let ack = segment.has(ACK);
        if ack && originator.state != State::Inactive {
            return false;
        }
        let starter = if ack { responder } else { originator };
        let reversed = !ack
            && starter.state == State::SynAckSent
            && responder.state == State::Inactive
            && segment.sequence == responder.start;
        segment.sequence != starter.start && !reversed
    }

    /// Takes a segment of one end.
    pub(crate) fn segment(&mut self, end: usize, segment: &Tcp<'_>, history: &mut History) -> Change {
        let (syn, fin, rst, ack) = (segment.has(SYN), segment.has(FIN), segment.has(RST), segment.has(ACK));
        // A reset's data is no part of the stream.
        let data_len = if rst { 0 } else { segment.payload_len };
        let len = data_len.wrapping_add(u32::from(syn)).wrapping_add(u32::from(fin));
        let one_past = segment.sequence.wrapping_add(len);

        self.ends[end].prepare(segment, len);
        let relative = self.ends[end].last + i64::from(self.ends[end].delta(segment.sequence, self.ends[end].last));
        self.note(end, segment, relative, history);
        self.note_window(end, segment, history);
        self.ends[end].saw_fin |= fin;

        if ack {
            let peer = &mut self.ends[1 - end];
            if peer.state == State::Inactive {
                peer.begin(segment.acknowledged.wrapping_sub(1), 0);
            } else {
                let delta = peer.delta(segment.acknowledged, peer.acknowledged);
                let is_broken = segment.acknowledged == 0 && delta > JUMP_MAX;
                if delta > 0 && !rst && !is_broken {
                    peer.acknowledged += i64::from(delta);
                }
            }
        }

        if self.ends[end].advance(segment, one_past) && self.ends[end].retransmits.hit() {
            history.push(end, 'T');
        }

        let mut change = Change::default();
        if self.step(end, segment, &mut change) {
            // A flip has put this end into the other place.
            let end = if change.flip { 1 - end } else { end };
            change.complete = self.close(end);
        }
        change
    }

    fn note(&mut self, end: usize, segment: &Tcp<'_>, relative: i64, history: &mut History) {
        let this = &mut self.ends[end];
        let (syn, fin, rst) = (segment.has(SYN), segment.has(FIN), segment.has(RST));
        match (syn, fin, rst) {
            (_, true, true) => {
                history.once(end, 'I');
            }
            (true, true, _) | (true, _, true) => {
                history.once(end, 'Q');
            }
            (true, ..) => {
                let letter = if segment.has(ACK) { 'H' } else { 'S' };
                // Zeek keeps one mark for both letters.
                let had = history.seen[end] & SYN_MARK != 0;
                history.seen[end] |= SYN_MARK;
                if !had || relative != this.last_syn {
                    history.push(end, letter);
                }
                this.last_syn = relative;
            }
            (_, true, _) => {
                let last = relative + i64::from(segment.payload_len);
                if history.once(end, 'F') && last != this.last_fin {
                    history.push(end, 'F');
                }
                this.last_fin = last;
            }
            (_, _, true) => {
                if history.once(end, 'R') && relative != this.last_rst {
                    history.push(end, 'R');
                }
                this.last_rst = relative;
            }
            _ if segment.payload_len > 0 => {
                history.once(end, 'D');
            }
            _ if segment.has(ACK) => {
                history.once(end, 'A');
            }
            _ => {}
        }
    }

    fn note_window(&mut self, end: usize, segment: &Tcp<'_>, history: &mut History) {
        let boring = segment.window != 0
            || segment.has(RST)
            || self.ends[1 - end].state == State::Closed
            || self.ends[end].state == State::Reset;
        if !boring && self.ends[end].zero_windows.hit() {
            history.push(end, 'W');
        }
    }

    /// Moves the states on; says whether this end closed.
    fn step(&mut self, end: usize, segment: &Tcp<'_>, change: &mut Change) -> bool {
        match self.ends[end].state {
            State::Inactive => self.step_first(end, segment, change),
            State::SynSent | State::SynAckSent => {
                if segment.has(FIN) {
                    self.ends[end].set(State::Closed);
                }
                if segment.has(RST) {
                    self.ends[end].set(State::Reset);
                }
                segment.has(FIN) || segment.has(RST)
            }
            State::Established | State::Partial => self.step_established(end, segment),
            State::Closed => {
                let reset = segment.has(RST) && self.ends[1 - end].state != State::Closed;
                if reset {
                    self.ends[end].set(State::Reset);
                }
                reset && !self.ends[end].did_close
            }
            State::Reset => false,
        }
    }

    fn step_first(&mut self, end: usize, segment: &Tcp<'_>, change: &mut Change) -> bool {
        let (syn, fin, rst, ack) = (segment.has(SYN), segment.has(FIN), segment.has(RST), segment.has(ACK));
        let mut end = end;
        if syn && end == 0 {
            self.ends[0].set(if ack { State::SynAckSent } else { State::SynSent });
        } else if syn {
            let reversed = !ack && self.ends[0].state == State::SynAckSent && segment.sequence == self.ends[1].start;
            if reversed {
                // The SYN came after the SYN with ACK that answers it: captured in the wrong order.
                self.ends.swap(0, 1);
                (change.flip, end) = (true, 0);
                self.ends[1].set(State::Established);
            }
            if self.ends[1 - end].state == State::SynSent {
                self.ends[1 - end].set(State::Established);
            }
            self.ends[end].set(State::Established);
        }
        if fin {
            self.ends[end].set(State::Closed);
        }
        if rst {
            self.ends[end].set(State::Reset);
        }
        let peer = self.ends[1 - end].state;
        let this = &mut self.ends[end];
        if this.state == State::Inactive {
            if end == 1 && segment.payload_len == 0 && peer == State::SynSent {
                // Some answer a SYN with a plain ACK before their own SYN; that makes no partial connection.
            } else if ack && peer == State::Established {
                this.set(State::Established); // only the first SYN was missed
            } else {
                this.set(State::Partial);
            }
        }
        fin || rst
    }

    fn step_established(&mut self, end: usize, segment: &Tcp<'_>) -> bool {
        let (fin, rst) = (segment.has(FIN), segment.has(RST));
        let peer = self.ends[1 - end].state;
        if segment.has(SYN) && !segment.has(ACK) && self.ends[end].state == State::Partial && peer == State::Inactive {
            self.ends[end].set(State::SynSent);
        }
        if fin && !rst {
            self.ends[end].set(State::Closed);
            let peer = &mut self.ends[1 - end];
            if peer.state == State::Reset && peer.previous == State::Closed {
                peer.set(State::Closed); // FIN, then RST: it was a normal end after all
            }
        }
        if rst {
            self.ends[end].set(State::Reset);
        }
        fin || rst
    }

    /// Notes that an end has closed; says whether the whole connection has.
    fn close(&mut self, end: usize) -> bool {
        if self.ends[end].did_close {
            return false;
        }
        self.ends[end].did_close = true;
        let peer = &self.ends[1 - end];
        self.ends[end].state == State::Reset || peer.did_close || peer.state == State::Inactive
    }

    /// Zeek's `conn_state`.
    pub(crate) fn connection_state(&self, history: &History) -> &'static str {
        use State::{Closed, Established, Inactive, Partial, Reset, SynAckSent, SynSent};
        let [originator, responder] = [self.ends[0].state, self.ends[1].state];
        let silent = |state: State| matches!(state, Inactive | Partial);
        match (originator, responder) {
            (SynSent | SynAckSent, Reset) => "REJ",
            (Reset, Reset) if self.stream_bytes(0) == 0 && self.stream_bytes(1) == 0 => "REJ",
            (_, Reset) if silent(originator) => "RSTRH",
            (_, Reset) => "RSTR",
            (Reset, _) if silent(responder) && history.is_syn_then_reset() => "RSTOS0",
            (Reset, _) if silent(responder) => "OTH",
            (Reset, _) => "RSTO",
            (Closed, Closed) => "SF",
            (Closed, _) if silent(responder) => "SH",
            (Closed, _) => "S2",
            (_, Closed) if silent(originator) => "SHR",
            (_, Closed) => "S3",
            (SynSent, Inactive) => "S0",
            (Established, Established) => "S1",
            _ => "OTH",
        }
    }
}

/// The bit of [`History::seen`] that stands for `S` and `H` together; no letter has it.
const SYN_MARK: u32 = 1 << 31;
