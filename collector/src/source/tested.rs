//! For tests of sources: a line as syslog over UDP brings it, as an event.

use canh_schema::{Event, Position, Timestamp};

use crate::{Cut, DecodeSettings, Door, Envelope, Framing, RecordList};

/// The event of one line, received on 2026-11-22T09:00:00Z from 192.0.2.10.
#[track_caller]
pub(super) fn decode(line: &str) -> Event {
    let mut list = RecordList::default();
    list.push(line.as_bytes(), "192.0.2.10".parse().ok(), Cut::Whole);
    let received = Timestamp::parse_rfc3339("2026-11-22T09:00:00Z").unwrap_or(Timestamp::from_secs(0));
    let envelope = Envelope::new(Door::SyslogUdp, received, Framing::Records, list.take());
    let mut events = crate::decode(&envelope, Position::new(1), 1, &DecodeSettings::default()).events;
    assert_eq!(events.len(), 1, "input: {line:?}");
    events.remove(0)
}
