//! The thread that receives: it feeds each datagram to the decoder's memory, parts what has to wait, and makes batches.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use canh_flows::{
    Decoder, FlowSet, Gap, Hold, Limits, Outcome, Sequences, Sink, StoreCounts, StreamKey, UnknownSet, held, with_sets,
};
use canh_schema::Timestamp;
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::super::datagrams::{DatagramSocket, Datagrams, receive};
use super::super::intake::Intake;
use super::state::State;
use super::{BATCH_LEN, Batch, DOOR, FlowConfig, NAME, Sender};
use crate::drops::DropReason;
use crate::envelope::{Cut, RecordList};

/// A batch waits this long for more, so that what it needs of the past is written once for many datagrams.
const BATCH_WAIT: Duration = Duration::from_millis(100);
/// How often the state is written at most, and what counts as a large one.
const SAVE_EVERY: Duration = Duration::from_secs(1);
const SAVE_LARGE_EVERY: Duration = Duration::from_secs(10);
const LARGE: usize = 1 << 20;
/// Exporters whose sequence numbers are followed.
const SEQUENCES_MAX: usize = 16_384;

pub(super) struct Receiver {
    sockets: Vec<DatagramSocket>,
    stop: CancellationToken,
    collect: Collect,
}

/// Everything but the sockets.
struct Collect {
    decoder: Decoder,
    sequences: Sequences,
    hold: Hold,
    list: RecordList,
    senders: FxHashMap<IpAddr, Sender>,
    /// What exporters sent since the start and did not arrive.
    lost: FxHashMap<IpAddr, u64>,
    began: Option<Instant>,
    saved: Instant,
    save_every: Duration,
    unsaved: bool,
    counts: StoreCounts,
    is_closed: bool,
    intake: Intake,
    out: mpsc::Sender<Batch>,
    save: mpsc::Sender<State>,
}

impl Receiver {
    pub(super) fn new(
        sockets: Vec<DatagramSocket>,
        config: &FlowConfig,
        state: &State,
        intake: Intake,
        out: mpsc::Sender<Batch>,
        save: mpsc::Sender<State>,
        stop: CancellationToken,
    ) -> Self {
        let mut collect = Collect {
            decoder: Decoder::new(Limits::default()),
            sequences: Sequences::new(SEQUENCES_MAX),
            hold: Hold::new(config.hold_limits()),
            list: RecordList::default(),
            senders: FxHashMap::default(),
            lost: FxHashMap::default(),
            began: None,
            saved: Instant::now(),
            save_every: SAVE_EVERY,
            unsaved: false,
            counts: StoreCounts::default(),
            is_closed: false,
            intake,
            out,
            save,
        };
        if !collect.decoder.restore(&state.known).is_whole {
            warn!(door = NAME, "not all templates of the last run can be read; some flow data wait for new ones");
        }
        collect.decoder.begin_batch();
        let now = Timestamp::now().nanos();
        for (exporter, age, message) in held(&state.held) {
            collect.message(message, exporter, now.saturating_sub(age));
        }
        Self { sockets, stop, collect }
    }

    /// Receives until `stop` fires and the kernel has nothing more.
    pub(super) fn run(mut self) {
        let intake = self.collect.intake.clone();
        receive(DOOR, &mut self.sockets, &intake, &self.stop, &mut self.collect);
        self.collect.save_last();
    }
}

impl Datagrams for Collect {
    fn datagram(&mut self, datagram: &[u8], peer: SocketAddr, cut: Cut) {
        self.take(datagram, peer, cut);
    }

    fn patience(&self) -> Option<Duration> {
        self.began.map(|began| BATCH_WAIT.saturating_sub(began.elapsed()))
    }

    fn look(&mut self, is_last: bool) -> bool {
        self.look_after(is_last);
        !self.is_closed
    }
}

/// Notes which sets have to wait.
#[derive(Default)]
struct Unknown {
    sets: Vec<(StreamKey, u16, usize)>,
}

impl Sink for Unknown {
    fn flows(&mut self, _: &FlowSet<'_>) {}

    fn unknown(&mut self, set: &UnknownSet<'_>) {
        self.sets.push((set.stream, set.template, set.place));
    }
}

impl Collect {
    fn take(&mut self, datagram: &[u8], peer: SocketAddr, cut: Cut) {
        let exporter = peer.ip();
        let outcome = self.message(datagram, exporter, Timestamp::now().nanos());
        if cut == Cut::Truncated {
            self.intake.dropped(DOOR, Some(exporter), DropReason::Truncated, 1);
        }
        let gap = self.sequences.check(exporter, peer.port(), &outcome);
        self.intake.metrics.flows.gap(&outcome, gap);
        if let Gap::Lost(count) = gap {
            if self.lost.len() >= SEQUENCES_MAX {
                self.lost.clear(); // a flood of addresses; the metric keeps the sum
            }
            let lost = self.lost.entry(exporter).or_default();
            *lost += u64::from(count);
            self.intake.missed(DOOR, exporter, u64::from(count));
            self.senders.entry(exporter).or_default().lost = Some(*lost);
        }
        let Some(protocol) = outcome.protocol else { return };
        for template in &outcome.learned {
            let stream = StreamKey { exporter, protocol, domain: outcome.domain };
            for message in self.hold.take(stream, *template) {
                self.message(&message, exporter, Timestamp::now().nanos());
            }
        }
    }

    /// Takes a message into the batch; what cannot be read yet goes to wait.
    fn message(&mut self, message: &[u8], exporter: IpAddr, now: i64) -> Outcome {
        let mut unknown = Unknown::default();
        let outcome = self.decoder.feed(exporter, message, &mut unknown);
        self.intake.metrics.flows.count(&outcome);
        // What is malformed is kept as it came, for somebody to look at.
        if unknown.sets.is_empty() || outcome.malformed.is_some() {
            self.keep(message, exporter, &outcome);
            return outcome;
        }
        let mut wanted: Vec<_> = unknown.sets.iter().map(|(stream, template, _)| (*stream, *template)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        for (stream, template) in wanted {
            let is_of = |place| unknown.sets.contains(&(stream, template, place));
            let waiting = with_sets(message, is_of);
            let given_up = waiting.map_or(0, |waiting| self.hold.push(stream, template, waiting, now));
            self.intake.dropped(DOOR, None, DropReason::NoTemplate, given_up);
        }
        if let Some(rest) = with_sets(message, |at| !unknown.sets.iter().any(|(_, _, place)| *place == at)) {
            self.keep(&rest, exporter, &outcome);
        }
        outcome
    }

    fn keep(&mut self, message: &[u8], exporter: IpAddr, outcome: &Outcome) {
        self.list.push(message, Some(exporter), Cut::Whole);
        let sender = self.senders.entry(exporter).or_default();
        sender.records += outcome.flows + outcome.counters + u64::from(outcome.malformed.is_some());
        sender.bytes += message.len() as u64;
        self.began.get_or_insert_with(Instant::now);
        if self.list.bytes_len() + self.decoder.context_len() >= BATCH_LEN {
            self.flush();
        }
    }

    /// Sends what has waited long enough, and looks after what is remembered.
    fn look_after(&mut self, is_last: bool) {
        if is_last || self.began.is_some_and(|began| began.elapsed() >= BATCH_WAIT) {
            self.flush();
        }
        let expired = self.hold.expire(Timestamp::now().nanos());
        self.intake.dropped(DOOR, None, DropReason::NoTemplate, expired);
        let counts = self.decoder.counts();
        let held = self.hold.waiting().1;
        self.intake.metrics.flows.knowledge(self.counts, counts, self.decoder.known(), held);
        self.counts = counts;
        self.unsaved |= self.decoder.take_changed();
        if self.unsaved && self.saved.elapsed() >= self.save_every {
            self.save();
        }
    }

    fn flush(&mut self) {
        self.began = None;
        let context = self.decoder.take_context();
        self.decoder.begin_batch();
        let records: u64 = self.senders.values().map(|sender| sender.records).sum();
        if self.list.is_empty() {
            return;
        }
        let mut first = RecordList::default();
        first.push(&context, None, Cut::Whole);
        let mut payload = BytesMut::from(first.take());
        payload.put(self.list.take());
        let senders = std::mem::take(&mut self.senders);
        let batch = Batch { payload: payload.freeze(), received: Timestamp::now(), senders };
        if self.out.blocking_send(batch).is_err() {
            self.is_closed = true;
            self.intake.dropped(DOOR, None, DropReason::ShuttingDown, records);
        }
    }

    /// Hands the state to whoever writes it, unless that one is busy.
    fn save(&mut self) {
        self.saved = Instant::now();
        let known = self.decoder.snapshot();
        self.save_every = if known.len() > LARGE { SAVE_LARGE_EVERY } else { SAVE_EVERY };
        // Data that wait are many bytes; they are written at the end only.
        if self.save.try_send(State { known, held: Vec::new() }).is_ok() {
            self.unsaved = false;
        }
    }

    fn save_last(&mut self) {
        let state = State { known: self.decoder.snapshot(), held: self.hold.snapshot(Timestamp::now().nanos()) };
        if self.save.blocking_send(state).is_err() {
            warn!(door = NAME, "templates could not be written at the end");
        }
    }
}
