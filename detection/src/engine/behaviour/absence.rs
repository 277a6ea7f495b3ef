//! Events that stop coming. The clock is that of the receipt: a sender whose own clock is wrong is not absent.

use canh_schema::{Timestamp, Value};
use serde::{Deserialize, Serialize};

use super::super::crossing::{EventRef, Subject, measured};
use super::{Noticed, Seen};

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Absence {
    last: Option<Last>,
    /// It was said already; nothing more until something comes.
    said: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Last {
    received: i64,
    event: EventRef,
    subject: Subject,
}

impl Absence {
    pub(super) fn take(&mut self, seen: &Seen<'_>) -> Option<Noticed> {
        if self.last.as_ref().is_none_or(|last| last.received <= seen.received) {
            let (event, subject) = (EventRef::of(seen.event), Subject::of(seen.event));
            self.last = Some(Last { received: seen.received, event, subject });
        }
        self.said = false;
        None
    }

    pub(super) fn tick(&mut self, now: i64, span: i64) -> Option<Noticed> {
        let last = self.last.as_ref().filter(|_| !self.said)?;
        let due = last.received.saturating_add(span);
        if now < due {
            return None;
        }
        self.said = true;
        let received = Timestamp::from_nanos(last.received).to_string();
        Some(Noticed {
            // Not the moment at which somebody looked, so that looking again says the same.
            time: due,
            events: vec![last.event],
            subject: Some(last.subject.clone()),
            before: None,
            matches: vec![measured("".into(), "absence", "nothing since", Value::from(received))],
        })
    }
}
