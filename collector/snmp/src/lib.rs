//! Notifications of SNMP v1, v2c and v3: traps and informs in, what they say out, and the names that MIBs give to it.
//!
//! Pure: datagrams, the time and what was remembered go in; records, answers and reasons come out. No socket, no clock, no
//! file.

mod ber;
mod engine;
mod message;
mod mib;
mod notification;
mod record;
mod usm;

#[cfg(test)]
mod tests;

pub use ber::{Oid, OidText};
pub use engine::{Community, Engine, Refused, Taken, Verdict};
pub use mib::{Kind, Known, Limits, Mibs, Reading, Unread};
pub use notification::{Malformed, Notification, PduKind, Value, VarBind};
pub use record::{Level, Record, Version};
pub use usm::{Auth, Privacy, User};

/// A datagram through everything that looks at it, for the fuzzer.
pub fn fuzz_datagram(bytes: &[u8]) {
    let community = Community { name: "core".to_owned(), text: "public".to_owned() };
    let user = User::new("u", None, None).into_iter().collect();
    let mut engine = Engine::new(b"fuzzed".to_vec(), 1, vec![community], user);
    let verdict = engine.judge(bytes, [192, 0, 2, 1].into(), 7);
    if let Verdict::Take(taken) = verdict {
        let record = Record::read(&taken.record);
        assert!(
            record.is_some_and(|record| Notification::read(record.pdu, 8).is_ok()),
            "what is journaled can be read"
        );
    }
    // Past the check of the community.
    if let Ok(notification) = Notification::read(bytes, 8) {
        assert!(notification.variables.len() <= 8);
    }
    Record::read(bytes);
}

/// A MIB module, for the fuzzer.
pub fn fuzz_mib(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    Mibs::read([("fuzzed", &*text)], &Limits { names: 64, ..Limits::default() });
}
