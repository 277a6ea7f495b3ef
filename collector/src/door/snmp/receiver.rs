//! The thread that receives, and the answers to informs.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use canh_snmp::{Engine, Refused, Taken, Verdict};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::super::datagrams::{DatagramSocket, Datagrams, receive};
use super::super::gather::{Batch, Gather};
use super::super::intake::Intake;
use super::super::log_limit::LogLimit;
use super::{BATCH_WAIT, DOOR, NAME};
use crate::drops::DropReason;
use crate::envelope::Cut;

/// Informs that are remembered, so that one whose answer was late or lost is not kept twice when it comes again.
const INFORMS_MAX: usize = 16_384;
/// How long an inform is remembered.
const KEPT: Duration = Duration::from_secs(300);

/// Which inform it is: who sent it, the number of the request, and a hash of what it says.
pub(super) type Key = (SocketAddr, i64, [u8; 16]);

/// An inform on its way into the journal, and its answer.
pub(super) struct Inform {
    key: Key,
    answer: Vec<u8>,
}

/// Sends answers to informs, and knows which ones came before. Clones are the same.
#[derive(Clone)]
pub(super) struct Answers {
    socket: Arc<UdpSocket>,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    /// Whether it is durable.
    informs: FxHashMap<Key, bool>,
    order: VecDeque<(Instant, Key)>,
}

/// What is known of an inform that has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Before {
    New,
    UnderWay,
    Durable,
}

impl Answers {
    pub(super) fn new(socket: UdpSocket) -> Self {
        Self { socket: Arc::new(socket), known: Arc::default() }
    }

    fn came(&self, key: Key) -> Before {
        let known = &mut *self.known.lock();
        while known.order.len() >= INFORMS_MAX || known.order.front().is_some_and(|(since, _)| since.elapsed() > KEPT) {
            let Some((_, oldest)) = known.order.pop_front() else { break };
            known.informs.remove(&oldest);
        }
        match known.informs.get(&key) {
            Some(true) => Before::Durable,
            Some(false) => Before::UnderWay,
            None => {
                known.informs.insert(key, false);
                known.order.push_back((Instant::now(), key));
                Before::New
            }
        }
    }

    /// The batch of these informs is in the journal, or could not be written; then they are not answered, and taken when
    /// they come again.
    pub(super) fn done(&self, is_durable: bool, informs: Vec<Inform>) {
        for inform in informs {
            let known = &mut *self.known.lock();
            if is_durable {
                if let Some(state) = known.informs.get_mut(&inform.key) {
                    *state = true;
                }
                self.send(inform.key.0, &inform.answer);
            } else {
                known.informs.remove(&inform.key);
            }
        }
    }

    /// A datagram that cannot be sent is lost like any other; the inform comes again.
    fn send(&self, to: SocketAddr, answer: &[u8]) {
        let _ = self.socket.send_to(answer, to);
    }
}

pub(super) struct Receiver {
    engine: Engine,
    answers: Answers,
    gather: Gather<Inform>,
    intake: Intake,
    started: Instant,
    log: LogLimit,
}

impl Receiver {
    pub(super) fn new(engine: Engine, answers: Answers, intake: Intake, out: mpsc::Sender<Batch<Inform>>) -> Self {
        let gather = Gather::new(DOOR, intake.clone(), out, BATCH_WAIT);
        Self { engine, answers, gather, intake, started: Instant::now(), log: LogLimit::default() }
    }

    pub(super) fn run(mut self, socket: DatagramSocket, stop: &CancellationToken) {
        let intake = self.intake.clone();
        receive(DOOR, &mut [socket], &intake, stop, &mut self);
    }

    fn take(&mut self, taken: Taken, peer: SocketAddr) {
        let inform = match taken.answer {
            None => None,
            Some((answer, request)) => {
                let mut hash = [0; 16];
                hash.copy_from_slice(&blake3::hash(&taken.record).as_bytes()[..16]);
                let key = (peer, request, hash);
                match self.answers.came(key) {
                    Before::New => Some(Inform { key, answer }),
                    Before::UnderWay => return, // the answer is on its way
                    Before::Durable => {
                        self.intake.resent(DOOR, peer.ip());
                        return self.answers.send(peer, &answer);
                    }
                }
            }
        };
        self.gather.push(&taken.record, peer.ip(), Cut::Whole, inform);
    }

    fn report(&self, peer: SocketAddr, report: &[u8]) {
        self.intake.metrics.snmp_reports.with_label_values(&["sent"]).inc();
        self.answers.send(peer, report);
    }

    fn refuse(&self, peer: SocketAddr, refused: Refused) {
        let (reason, text) = match refused {
            Refused::Malformed => (DropReason::BadFrame, "it is no SNMP message"),
            Refused::NoNotification => (DropReason::NotTaken, "it is neither a trap nor an inform"),
            Refused::Unauthenticated => (
                DropReason::Unauthenticated,
                "community, user, password or level of security is not one of `[collector.snmp]`",
            ),
            Refused::NotInTime => {
                (DropReason::NotInTime, "it is older than what this engine sent before; was the engine set up anew?")
            }
        };
        self.intake.dropped(DOOR, Some(peer.ip()), reason, 1);
        self.log.warn(NAME, || warn!(door = NAME, %peer, "datagram dropped: {text}"));
    }
}

impl Datagrams for Receiver {
    fn datagram(&mut self, datagram: &[u8], peer: SocketAddr, _cut: Cut) {
        let now = i64::try_from(self.started.elapsed().as_secs()).unwrap_or(i64::MAX);
        match self.engine.judge(datagram, peer.ip(), now) {
            Verdict::Take(taken) => self.take(taken, peer),
            Verdict::Report(report) => self.report(peer, &report),
            Verdict::Refuse(refused, report) => {
                self.refuse(peer, refused);
                if let Some(report) = report {
                    self.report(peer, &report);
                }
            }
        }
        let held_back = self.engine.take_held_back();
        if held_back > 0 {
            self.intake.metrics.snmp_reports.with_label_values(&["held_back"]).inc_by(held_back);
        }
    }

    fn patience(&self) -> Option<Duration> {
        self.gather.patience()
    }

    fn look(&mut self, is_last: bool) -> bool {
        self.gather.look(is_last);
        !self.gather.is_closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inform_is_known_until_it_cannot_be_written() {
        let answers = Answers::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let key = |number| (SocketAddr::from(([127, 0, 0, 1], 9)), number, [0; 16]);
        let inform = |number| vec![Inform { key: key(number), answer: Vec::new() }];
        assert_eq!(
            [answers.came(key(1)), answers.came(key(1)), answers.came(key(2))],
            [Before::New, Before::UnderWay, Before::New]
        );
        answers.done(true, inform(1));
        answers.done(false, inform(2));
        assert_eq!([answers.came(key(1)), answers.came(key(2))], [Before::Durable, Before::New]);
        for number in 0..2 * INFORMS_MAX as i64 {
            answers.came(key(number));
        }
        assert!(answers.known.lock().informs.len() <= INFORMS_MAX);
    }
}
