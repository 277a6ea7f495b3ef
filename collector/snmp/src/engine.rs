//! What becomes of a datagram: whose it is, whether it may be believed, what is journaled, what is answered.
//!
//! Traps are authenticated with the engine of their sender, informs with ours (RFC 3414): we are asked for its id and its
//! clock first, and answer that with reports.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};

use rustc_hash::FxHashMap;
use subtle::ConstantTimeEq;

use crate::message::{self, AUTH, Head, Message, PRIVACY, REPORTABLE, Scoped, Secured};
use crate::notification::{self, Notification, PduKind, kind};
use crate::record::{Level, Record, Version};
use crate::usm::User;

/// How far a message may be away from the clock of its engine, in seconds (RFC 3414, section 2.2.3).
const WINDOW: i64 = 150;
/// The most engines whose clocks are followed. Only those who know a key get in; beyond it the oldest go.
const CLOCKS_MAX: usize = 16_384;
/// The most reports of one second, in all and to one address. They go to addresses that anybody can claim to have, so one that
/// is asked for much must not take those of others.
const REPORTS_MAX: u32 = 1_000;
const REPORTS_PER_ADDRESS_MAX: u32 = 50;

/// Numbers of the counters that reports name (RFC 3414, section 5).
mod counter {
    pub(super) const LEVELS: u32 = 1;
    pub(super) const TIME: u32 = 2;
    pub(super) const USERS: u32 = 3;
    pub(super) const ENGINES: u32 = 4;
    pub(super) const DIGESTS: u32 = 5;
    pub(super) const DECRYPTION: u32 = 6;
}

/// A community: the text in the messages, and the name that events show instead.
#[derive(Clone)]
pub struct Community {
    pub name: String,
    pub text: String,
}

/// Why a datagram is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It cannot be read.
    Malformed,
    /// A question, an answer or something else that is no notification.
    NoNotification,
    /// Unknown community or user, wrong code, wrong key, or less protection than the user has to have.
    Unauthenticated,
    /// It is older than what the same engine sent before, so it may be a recording.
    NotInTime,
}

/// A notification that is to be journaled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// What the journal keeps; see [`Record`].
    pub record: Vec<u8>,
    /// For an inform: what is sent when it is durable, and the number of the request.
    pub answer: Option<(Vec<u8>, i64)>,
}

/// What is to be done with a datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    Take(Taken),
    /// Nothing is kept; the sender is told what it needs to know, as the protocol has it.
    Report(Vec<u8>),
    /// Nothing is kept, and if there is a report the sender is told why.
    Refuse(Refused, Option<Vec<u8>>),
}

/// The memory of one door.
pub struct Engine {
    id: Vec<u8>,
    boots: i64,
    communities: Vec<Community>,
    users: Vec<User>,
    clocks: Clocks,
    reports: [u32; 7],
    recent: Recent,
    /// Reports that were not sent because there were too many.
    held_back: u64,
    salt: u64,
}

impl Engine {
    /// `boots` counts the starts of the engine with this `id`.
    pub fn new(id: Vec<u8>, boots: u32, communities: Vec<Community>, users: Vec<User>) -> Self {
        let boots = i64::from(boots);
        // Different after each start, so that no salt comes twice with one key.
        let salt = u64::try_from(boots).unwrap_or(0) << 32;
        Self {
            id,
            boots,
            communities,
            users,
            clocks: Clocks::default(),
            reports: [0; 7],
            recent: Recent::default(),
            held_back: 0,
            salt,
        }
    }

    /// Looks at a datagram of `peer`; `now` is the number of seconds since the start.
    pub fn judge(&mut self, datagram: &[u8], peer: IpAddr, now: i64) -> Verdict {
        let Ok(message) = Message::read(datagram) else { return Verdict::Refuse(Refused::Malformed, None) };
        match message {
            Message::Plain { version, community, pdu } => self.plain(version, community, pdu),
            Message::Secured(message) => self.secured(datagram, &message, peer, now),
        }
    }

    /// Reports that were held back since the last call.
    pub fn take_held_back(&mut self) -> u64 {
        std::mem::take(&mut self.held_back)
    }

    fn plain(&self, version: i64, community: &[u8], pdu: &[u8]) -> Verdict {
        let refuse = |reason| Verdict::Refuse(reason, None);
        let mut name = None;
        // All are compared, so that time says nothing about them.
        for known in &self.communities {
            if bool::from(known.text.as_bytes().ct_eq(community)) {
                name = Some(known.name.as_bytes());
            }
        }
        let Some(name) = name else { return refuse(Refused::Unauthenticated) };
        let version_name = if version == 0 { Version::V1 } else { Version::V2c };
        let record = Record {
            version: version_name,
            level: Level::NoAuthNoPriv,
            name,
            engine: b"",
            context_engine: b"",
            context: b"",
            pdu,
        };
        take(&record, |answer| Some(message::write_plain(version, community, answer))).unwrap_or_else(refuse)
    }

    fn secured(&mut self, datagram: &[u8], message: &Secured<'_>, peer: IpAddr, now: i64) -> Verdict {
        let to = (peer, now);
        let is_ours = message.engine == self.id;
        if !is_ours && message.flags & REPORTABLE != 0 {
            // Whoever asks for an answer has to use our engine; this is how it learns which one that is.
            return self
                .report(message, counter::ENGINES, to, None)
                .map_or(Verdict::Refuse(Refused::Unauthenticated, None), Verdict::Report);
        }
        let refuse = |engine: &mut Self, reason, counter, user: Option<&User>| {
            let report = if is_ours { engine.report(message, counter, to, user) } else { None };
            Verdict::Refuse(reason, report)
        };
        let user = self.users.iter().find(|user| user.name.as_bytes() == message.user).cloned();
        let Some(user) = user else { return refuse(self, Refused::Unauthenticated, counter::USERS, None) };
        let level = match message.flags & (AUTH | PRIVACY) {
            0 => Level::NoAuthNoPriv,
            AUTH => Level::AuthNoPriv,
            _ => Level::AuthPriv,
        };
        if level != user.level() {
            return refuse(self, Refused::Unauthenticated, counter::LEVELS, None);
        }
        if level >= Level::AuthNoPriv {
            if !user.verify(message.engine, datagram, message.auth_at.clone()) {
                return refuse(self, Refused::Unauthenticated, counter::DIGESTS, None);
            }
            let clock = (message.boots, message.time);
            let is_in_time = match is_ours {
                true => clock.0 == self.boots && (clock.1 - now).abs() <= WINDOW,
                false => self.clocks.accept(message.engine, clock, now),
            };
            if !is_in_time && is_ours {
                // A sender that has just learnt our name asks for the time with its first message, and sends it again.
                return self
                    .report(message, counter::TIME, to, Some(&user))
                    .map_or(Verdict::Refuse(Refused::NotInTime, None), Verdict::Report);
            }
            if !is_in_time {
                return Verdict::Refuse(Refused::NotInTime, None);
            }
        }
        let clear;
        let data = if message.is_encrypted {
            match user.decrypt(message.engine, (message.boots, message.time), message.privacy, message.data) {
                Ok(bytes) => clear = bytes,
                Err(_) => return refuse(self, Refused::Unauthenticated, counter::DECRYPTION, None),
            }
            clear.as_slice()
        } else {
            message.data
        };
        let Ok(scoped) = Scoped::read(data) else {
            let reason = if message.is_encrypted { Refused::Unauthenticated } else { Refused::Malformed };
            return refuse(self, reason, counter::DECRYPTION, None);
        };
        let record = Record {
            version: Version::V3,
            level,
            name: message.user,
            engine: message.engine,
            context_engine: scoped.engine,
            context: scoped.context,
            pdu: scoped.pdu,
        };
        let taken = take(&record, |answer| {
            let answer = Scoped { pdu: answer, ..scoped }.write();
            // A confirmed PDU that does not use our engine cannot be answered.
            is_ours.then(|| self.write(message, &answer, now, Some(&user), message.flags & (AUTH | PRIVACY)))?
        });
        taken.unwrap_or_else(|reason| Verdict::Refuse(reason, None))
    }

    /// A report; `None` when there have been too many, or if the sender does not take one.
    fn report(
        &mut self,
        message: &Secured<'_>,
        counter: u32,
        (peer, now): (IpAddr, i64),
        user: Option<&User>,
    ) -> Option<Vec<u8>> {
        if message.flags & REPORTABLE == 0 {
            return None;
        }
        if !self.recent.may(peer, now) {
            self.held_back += 1;
            return None;
        }
        let count = self.reports.get_mut(counter as usize)?;
        *count = count.wrapping_add(1);
        let request = match message.is_encrypted {
            true => None,
            false => Scoped::read(message.data).ok().and_then(|scoped| notification::glance(scoped.pdu).ok()?.1),
        };
        let pdu = notification::report(request.unwrap_or(0), counter, *count);
        let scoped = Scoped { engine: &self.id, context: b"", pdu: &pdu }.write();
        let flags = if user.is_some() { AUTH } else { 0 };
        self.write(message, &scoped, now, user, flags)
    }

    /// A message to whoever sent `to`.
    fn write(&mut self, to: &Secured<'_>, scoped: &[u8], now: i64, user: Option<&User>, flags: u8) -> Option<Vec<u8>> {
        let clock = (self.boots, now);
        let mut head = Head {
            id: to.id,
            flags,
            engine: &self.id,
            boots: clock.0,
            time: clock.1,
            user: to.user,
            auth_len: user.map_or(0, User::code_len),
            privacy: b"",
        };
        let mut message = if flags & PRIVACY == 0 {
            head.write(scoped)
        } else {
            self.salt = self.salt.wrapping_add(1);
            let salt = self.salt.to_be_bytes();
            let data = user?.encrypt(&self.id, clock, salt, scoped).ok()?;
            head.privacy = &salt;
            head.write(&data)
        };
        if flags & AUTH != 0 {
            let at = match Message::read(&message) {
                Ok(Message::Secured(written)) => written.auth_at,
                _ => return None,
            };
            user?.sign(&self.id, &mut message, at);
        }
        Some(message)
    }
}

/// Checks the PDU and makes the record; `answer` makes the message around the answer to an inform.
fn take(record: &Record<'_>, answer: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> Result<Verdict, Refused> {
    let (tag, request) = notification::glance(record.pdu).map_err(|_| Refused::Malformed)?;
    let kind = kind(tag).ok_or(Refused::NoNotification)?;
    // What cannot be read later is refused now.
    Notification::read(record.pdu, usize::MAX).map_err(|_| Refused::Malformed)?;
    let answer = match kind {
        PduKind::Trap => None,
        PduKind::Inform => {
            let pdu = notification::answer(record.pdu).map_err(|_| Refused::Malformed)?;
            let message = answer(&pdu).ok_or(Refused::Unauthenticated)?;
            Some((message, request.unwrap_or(0)))
        }
    };
    Ok(Verdict::Take(Taken { record: record.write(), answer }))
}

/// Reports of the present second. Only addresses that were answered are in it, so there are no more than reports.
#[derive(Default)]
struct Recent {
    second: i64,
    reports: u32,
    of: FxHashMap<IpAddr, u32>,
}

impl Recent {
    /// Whether one more may be sent to the address.
    fn may(&mut self, peer: IpAddr, now: i64) -> bool {
        if now != self.second {
            *self = Self { second: now, ..Self::default() };
        }
        // A machine commonly has a whole /64 network of IPv6 addresses to itself.
        let address = match peer.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
            address => address,
        };
        if self.reports >= REPORTS_MAX || self.of.get(&address).is_some_and(|sent| *sent >= REPORTS_PER_ADDRESS_MAX) {
            return false;
        }
        self.reports += 1;
        *self.of.entry(address).or_default() += 1;
        true
    }
}

/// What is known of the clocks of other engines, to tell a recording from news.
#[derive(Default)]
struct Clocks {
    /// Boots, time, and when that was.
    known: FxHashMap<Vec<u8>, (i64, i64, i64)>,
    order: VecDeque<Vec<u8>>,
}

impl Clocks {
    fn accept(&mut self, engine: &[u8], (boots, time): (i64, i64), now: i64) -> bool {
        if let Some((known_boots, known_time, seen)) = self.known.get_mut(engine) {
            let clock = *known_time + (now - *seen);
            if boots == i64::from(i32::MAX) || boots < *known_boots || (boots == *known_boots && time < clock - WINDOW)
            {
                return false;
            }
            // RFC 3414, section 3.2 (7b): whatever is later than the latest received. A clock that is slower than ours would
            // fall out of the window some day if only what is ahead of our estimate counted.
            if boots > *known_boots || time > *known_time {
                (*known_boots, *known_time, *seen) = (boots, time, now);
            }
            return true;
        }
        if self.order.len() >= CLOCKS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known.insert(engine.to_vec(), (boots, time, now));
        self.order.push_back(engine.to_vec());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_the_reports_of_others() {
        let mut recent = Recent::default();
        let sent = |recent: &mut Recent, peer: &str, now| {
            let peer = peer.parse().unwrap();
            (0..200).filter(|_| recent.may(peer, now)).count()
        };
        assert_eq!(sent(&mut recent, "192.0.2.1", 1), 50);
        assert_eq!(sent(&mut recent, "::ffff:192.0.2.1", 1), 0, "the same address");
        assert_eq!(sent(&mut recent, "192.0.2.2", 1), 50);
        assert_eq!(sent(&mut recent, "2001:db8::1", 1) + sent(&mut recent, "2001:db8::2", 1), 50);
        assert_eq!(sent(&mut recent, "192.0.2.1", 2), 50, "the next second");
        let all: usize = (0..100).map(|n| sent(&mut recent, &format!("10.0.0.{n}"), 3)).sum();
        assert_eq!((all, recent.of.len()), (1_000, 20));
    }

    #[test]
    fn a_clock_that_is_slow_stays_known() {
        let mut clocks = Clocks::default();
        for now in (0..1_000_000).step_by(600) {
            let slow = now - now / 100;
            assert!(clocks.accept(b"device", (3, slow), now), "after {now} s");
        }
        assert!(!clocks.accept(b"device", (3, 100), 1_000_000), "a recording of long ago");
        assert!(!clocks.accept(b"device", (2, 2_000_000), 1_000_000), "an earlier boot");
    }
}
