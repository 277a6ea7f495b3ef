//! Who sends, how much, and when last: one line per agent or per device, for the Agents page.

use std::net::IpAddr;

use canh_schema::{AgentId, Event, Timestamp, Value, field};
use compact_str::{CompactString, ToCompactString, format_compact};
use parking_lot::Mutex;
use prometheus::{IntGauge, Registry};
use rustc_hash::FxHashMap;

use crate::drops::DropReason;
use crate::envelope::{Door, Envelope};

/// Who a sender is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SourceKey {
    Agent(AgentId),
    /// A device or program that has no id of ours.
    Peer(Door, IpAddr),
    /// One that has proven its name, with a certificate.
    Named(Door, CompactString),
}

impl SourceKey {
    /// As in the field `canh.source`.
    pub fn name(&self) -> CompactString {
        match self {
            Self::Agent(agent) => agent.to_compact_string(),
            Self::Peer(door, address) => format_compact!("{}:{address}", door.name()),
            Self::Named(door, name) => format_compact!("{}:{name}", door.name()),
        }
    }
}

/// One line of the Agents page.
#[derive(Clone, PartialEq, Debug)]
pub struct SourceStatus {
    pub key: SourceKey,
    /// The door that it used last.
    pub door: Door,
    /// The address that it had last.
    pub address: Option<IpAddr>,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub batches: u64,
    pub records: u64,
    pub bytes: u64,
    /// Batches that it sent again.
    pub duplicates: u64,
    /// Records of it that this collector dropped.
    pub dropped: u64,
    /// What it says about itself.
    pub about: SourceAbout,
    /// Milliseconds that its clock is behind ours, negative if it is ahead, smoothed; of senders of syslog, which send
    /// what happens as it happens. The way here is in it.
    pub clock_skew_ms: Option<i64>,
}

/// What a sender says about itself. Hostile where it is shown.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SourceAbout {
    pub host: Option<CompactString>,
    pub version: Option<CompactString>,
    /// Last values of the agent's own metrics, `canh_agent_*`: drops, spool bytes and the like.
    pub metrics: Vec<(CompactString, f64)>,
}

/// The most metrics kept per sender, and the longest text, in bytes.
const METRICS_MAX: usize = 64;
const TEXT_MAX: usize = 200;

impl SourceAbout {
    pub(crate) fn set_metric(&mut self, name: &str, value: f64) {
        if let Some((_, old)) = self.metrics.iter_mut().find(|(known, _)| known == name) {
            *old = value;
        } else if self.metrics.len() < METRICS_MAX {
            self.metrics.push((short(name), value));
        }
    }

    pub(crate) fn set_host(&mut self, host: &str) {
        self.host = Some(short(host));
    }

    pub(crate) fn set_version(&mut self, version: &str) {
        self.version = Some(short(version));
    }

    fn merge(&mut self, newer: Self) {
        self.host = newer.host.or(self.host.take());
        self.version = newer.version.or(self.version.take());
        newer.metrics.iter().for_each(|(name, value)| self.set_metric(name, *value));
    }
}

fn short(text: &str) -> CompactString {
    text[..text.floor_char_boundary(TEXT_MAX)].into()
}

/// What one batch adds to a line.
#[derive(Clone, Debug)]
pub struct Seen {
    pub door: Door,
    pub address: Option<IpAddr>,
    pub at: Timestamp,
    pub batches: u64,
    pub records: u64,
    pub bytes: u64,
    pub duplicates: u64,
    pub dropped: u64,
}

impl Seen {
    pub fn new(door: Door, address: Option<IpAddr>, at: Timestamp) -> Self {
        Self { door, address, at, batches: 0, records: 0, bytes: 0, duplicates: 0, dropped: 0 }
    }
}

/// What the ledger is to know of a sender beside what is in the journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Noted {
    /// Records that were dropped.
    Dropped(DropReason),
    /// Records that came again and were not kept twice.
    Duplicates,
    /// Messages that the sender numbered and that did not come.
    Missed,
}

/// One line of [`Sources::take_notes`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Note {
    /// As in the field `canh.source`; the name of a door where the sender is not known.
    pub source: CompactString,
    pub noted: Noted,
    pub records: u64,
}

/// Notes that wait to be taken. Beyond it they are noted under the door alone.
const NOTES_MAX: usize = 16_384;

/// All senders. Bounded: beyond the limit the ones that were quiet for longest are forgotten.
#[derive(Debug)]
pub struct Sources {
    lines: Mutex<FxHashMap<SourceKey, SourceStatus>>,
    notes: Mutex<FxHashMap<(CompactString, Noted), u64>>,
    sources_max: usize,
    known: IntGauge,
    clocks_off: IntGauge,
}

/// A clock that is this far away is wrong: correlation over several sources misses what it says.
pub const CLOCK_OFF_MS: i64 = 60_000;
/// Events of one batch that are asked for the time, and how much weight the newest one has.
const CLOCK_EVENTS: usize = 8;
const CLOCK_WEIGHT: i64 = 8;

impl Sources {
    /// # Errors
    ///
    /// If `registry` has the gauge already.
    pub fn new(sources_max: usize, registry: &Registry) -> Result<Self, prometheus::Error> {
        let known = IntGauge::new("canh_sources", "Senders known since the start.")?;
        registry.register(Box::new(known.clone()))?;
        let clocks_off = IntGauge::new(
            "canh_sources_clock_off",
            "Senders of syslog whose times are a minute or more away from when they arrive.",
        )?;
        registry.register(Box::new(clocks_off.clone()))?;
        let sources_max = sources_max.max(16);
        Ok(Self { lines: Mutex::default(), notes: Mutex::default(), sources_max, known, clocks_off })
    }

    pub fn add(&self, key: SourceKey, seen: &Seen) {
        let mut lines = self.lines.lock();
        if lines.len() >= self.sources_max && !lines.contains_key(&key) {
            forget_quiet(&mut lines, self.sources_max / 16);
        }
        let line = lines.entry(key.clone()).or_insert_with(|| SourceStatus {
            key,
            door: seen.door,
            address: seen.address,
            first_seen: seen.at,
            last_seen: seen.at,
            batches: 0,
            records: 0,
            bytes: 0,
            duplicates: 0,
            dropped: 0,
            about: SourceAbout::default(),
            clock_skew_ms: None,
        });
        line.door = seen.door;
        line.address = seen.address.or(line.address);
        line.last_seen = line.last_seen.max(seen.at);
        line.batches += seen.batches;
        line.records += seen.records;
        line.bytes += seen.bytes;
        line.duplicates += seen.duplicates;
        line.dropped += seen.dropped;
        self.known.set(i64::try_from(lines.len()).unwrap_or(i64::MAX));
    }

    /// Notes something for the ledger. `source` is as in the field `canh.source`.
    pub fn note(&self, source: CompactString, noted: Noted, records: u64) {
        let mut notes = self.notes.lock();
        let mut key = (source, noted);
        if notes.len() >= NOTES_MAX && !notes.contains_key(&key) {
            key.0 = key.0.split(':').next().unwrap_or_default().into();
        }
        let count = notes.entry(key).or_default();
        *count = count.saturating_add(records);
    }

    /// What was noted since the last call, in order.
    pub fn take_notes(&self) -> Vec<Note> {
        let notes = std::mem::take(&mut *self.notes.lock());
        let mut notes: Vec<Note> =
            notes.into_iter().map(|((source, noted), records)| Note { source, noted, records }).collect();
        notes.sort_unstable();
        notes
    }

    /// Notes what a sender says about itself. Ignored for a sender that has sent nothing yet.
    pub fn describe(&self, key: &SourceKey, about: SourceAbout) {
        if let Some(line) = self.lines.lock().get_mut(key) {
            line.about.merge(about);
        }
    }

    /// Measures the clocks of those that sent these events. Only of syslog, because files are read late.
    pub fn measure_clocks(&self, envelope: &Envelope, events: &[Event]) {
        let door = envelope.door;
        if !matches!(door, Door::SyslogUdp | Door::SyslogTcp | Door::SyslogTls | Door::Relp | Door::RelpTls) {
            return;
        }
        // One without a time of its own has that of its receipt.
        let told = events.iter().filter(|event| event.time != event.received).take(CLOCK_EVENTS);
        for event in told {
            let name = event.get(field::CANH_SOURCE).and_then(Value::as_str);
            let Some(name) = name.and_then(|name| name.strip_prefix(door.name())?.strip_prefix(':')) else { continue };
            let key = match name.parse() {
                Ok(address) => SourceKey::Peer(door, address),
                Err(_) => SourceKey::Named(door, name.into()),
            };
            let behind = event.received.nanos().saturating_sub(event.time.nanos()) / 1_000_000;
            if let Some(line) = self.lines.lock().get_mut(&key) {
                let before = line.clock_skew_ms.unwrap_or(behind);
                line.clock_skew_ms = Some(before.saturating_add(behind.saturating_sub(before) / CLOCK_WEIGHT));
            }
        }
    }

    pub fn get(&self, key: &SourceKey) -> Option<SourceStatus> {
        self.lines.lock().get(key).cloned()
    }

    /// All lines, the ones seen last first.
    pub fn snapshot(&self) -> Vec<SourceStatus> {
        let mut lines: Vec<_> = self.lines.lock().values().cloned().collect();
        let is_off = |line: &&SourceStatus| line.clock_skew_ms.is_some_and(|skew| skew.abs() >= CLOCK_OFF_MS);
        self.clocks_off.set(i64::try_from(lines.iter().filter(is_off).count()).unwrap_or(i64::MAX));
        lines.sort_by(|a, b| b.last_seen.cmp(&a.last_seen).then(a.key.cmp(&b.key)));
        lines
    }
}

fn forget_quiet(lines: &mut FxHashMap<SourceKey, SourceStatus>, count: usize) {
    let mut quiet: Vec<_> = lines.values().map(|line| (line.last_seen, line.key.clone())).collect();
    let count = count.max(1).min(quiet.len());
    if count < quiet.len() {
        quiet.select_nth_unstable(count);
    }
    quiet.iter().take(count).for_each(|(_, key)| drop(lines.remove(key)));
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn peer(n: u32) -> SourceKey {
        SourceKey::Peer(Door::SyslogUdp, Ipv4Addr::from_bits(n).into())
    }

    fn seen(at: i64, records: u64) -> Seen {
        Seen { records, batches: 1, ..Seen::new(Door::SyslogUdp, None, Timestamp::from_secs(at)) }
    }

    #[test]
    fn counts_add_up_and_the_latest_comes_first() {
        let sources = Sources::new(100, &Registry::new()).unwrap();
        sources.add(peer(1), &seen(10, 2));
        sources.add(peer(2), &seen(20, 1));
        sources.add(peer(1), &seen(30, 3));
        let lines = sources.snapshot();
        let short: Vec<_> = lines.iter().map(|line| (line.key.clone(), line.batches, line.records)).collect();
        assert_eq!(short, [(peer(1), 2, 5), (peer(2), 1, 1)]);
        assert_eq!(lines[0].first_seen, Timestamp::from_secs(10));
        assert_eq!(lines[0].key.name(), "syslog_udp:0.0.0.1");
    }

    #[test]
    fn clocks_of_senders_of_syslog_are_measured() {
        let sources = Sources::new(100, &Registry::new()).unwrap();
        sources.add(SourceKey::Peer(Door::SyslogUdp, Ipv4Addr::LOCALHOST.into()), &seen(10, 1));
        let measure = |door, behind_secs: i64| {
            let received = Timestamp::from_secs(100_000);
            let envelope = Envelope::new(door, received, crate::Framing::Lines, bytes::Bytes::new());
            let mut event = Event::new(canh_schema::EventId::from_bytes([0; 16]), received, bytes::Bytes::new());
            event.time = Timestamp::from_secs(100_000 - behind_secs);
            event.set(field::CANH_SOURCE, "syslog_udp:127.0.0.1");
            sources.measure_clocks(&envelope, &[event]);
            sources.snapshot()[0].clock_skew_ms
        };
        assert_eq!(measure(Door::SyslogUdp, 0), None); // it had no time of its own
        assert_eq!(measure(Door::OtlpGrpc, 7_200), None);
        assert_eq!(measure(Door::SyslogUdp, 7_200), Some(7_200_000));
        assert_eq!(sources.clocks_off.get(), 1);
        assert_eq!(measure(Door::SyslogUdp, -800), Some(6_200_000));
    }

    #[test]
    fn a_flood_of_senders_forgets_the_quiet_ones() {
        let sources = Sources::new(64, &Registry::new()).unwrap();
        for n in 0..1_000 {
            sources.add(peer(n), &seen(i64::from(n), 1));
        }
        let lines = sources.snapshot();
        assert!(lines.len() <= 64);
        assert_eq!(lines[0].key, peer(999));
    }

    #[test]
    fn notes_add_up_until_they_are_taken() {
        let sources = Sources::new(64, &Registry::new()).unwrap();
        sources.note("relp:192.0.2.1".into(), Noted::Dropped(DropReason::Truncated), 1);
        sources.note("relp:192.0.2.1".into(), Noted::Dropped(DropReason::Truncated), 2);
        sources.note("relp:192.0.2.1".into(), Noted::Duplicates, 4);
        let short = |notes: Vec<Note>| notes.into_iter().map(|note| (note.noted, note.records)).collect::<Vec<_>>();
        let expected = [(Noted::Dropped(DropReason::Truncated), 3), (Noted::Duplicates, 4)];
        assert_eq!(short(sources.take_notes()), expected);
        assert_eq!(sources.take_notes(), []);

        (0..2 * NOTES_MAX).for_each(|n| sources.note(format_compact!("flow:{n}"), Noted::Missed, 1));
        let notes = sources.take_notes();
        assert!(notes.len() <= NOTES_MAX + 1);
        assert_eq!(notes.iter().map(|note| note.records).sum::<u64>(), 2 * NOTES_MAX as u64);
    }

    #[test]
    fn what_a_sender_says_is_kept_and_bounded() {
        let sources = Sources::new(64, &Registry::new()).unwrap();
        sources.describe(&peer(1), SourceAbout::default());
        assert_eq!(sources.snapshot(), []);
        sources.add(peer(1), &seen(1, 1));
        let mut about = SourceAbout::default();
        about.set_host(&"é".repeat(500));
        (0..200).for_each(|n| about.set_metric(&format!("canh_agent_{n}"), 1.0));
        sources.describe(&peer(1), about);
        let mut later = SourceAbout::default();
        later.set_metric("canh_agent_0", 2.0);
        sources.describe(&peer(1), later);

        let about = sources.get(&peer(1)).unwrap().about;
        assert_eq!(about.host.unwrap().len(), TEXT_MAX);
        assert_eq!(about.metrics.len(), METRICS_MAX);
        assert_eq!(about.metrics[0], ("canh_agent_0".into(), 2.0));
    }
}
