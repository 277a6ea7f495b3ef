//! Ids. Each kind has its own type, so that one cannot be passed for another.

use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;

/// Why a text is not an id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not {what} id; expected {hex_len} hexadecimal digits")]
pub struct IdError {
    pub text: String,
    pub what: &'static str,
    pub hex_len: usize,
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            pub const LEN: usize = $len;

            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; $len];
                let digits = text.as_bytes();
                let well_formed = digits.len() == 2 * $len && digits.iter().all(u8::is_ascii_hexdigit);
                let read = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
                    *byte = read(pair).filter(|_| well_formed).ok_or_else(|| Self::malformed(text))?;
                }
                if well_formed { Ok(Self(bytes)) } else { Err(Self::malformed(text)) }
            }
        }

        impl $name {
            fn malformed(text: &str) -> IdError {
                IdError { text: text.chars().take(80).collect(), what: $what, hex_len: 2 * $len }
            }
        }
    };
}

hex_id! {
    /// One delivered batch. Derived from where it came from, so that the same delivery has the same id every time.
    BatchId, 16, "a batch"
}
hex_id! {
    /// One event: its batch and its place in it. Writing an event twice under its id changes nothing.
    EventId, 16, "an event"
}
hex_id! {
    /// One finding: a rule and the events that it was raised for.
    FindingId, 16, "a finding"
}
hex_id! {
    /// Hash of a rule's text as it was when it fired.
    RuleHash, 16, "a rule hash"
}
hex_id! {
    /// Hash of an event's bytes as its source sent them.
    EventHash, 16, "an event hash"
}
hex_id! {
    /// One agent installation. Made by the agent at its first start.
    AgentId, 16, "an agent"
}

fn truncated_hash(domain: &str, parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(domain.as_bytes());
    for part in parts {
        // The length in front keeps ("ab", "c") apart from ("a", "bc").
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    bytes
}

impl BatchId {
    /// A batch that an agent numbered: the same agent, spool and sequence number are the same batch, however often
    /// it is sent. `spool` is the random number that the agent's spool was created with.
    pub fn from_agent(agent: AgentId, spool: u64, sequence: u64) -> Self {
        Self(truncated_hash("agent", &[agent.as_bytes(), &spool.to_le_bytes(), &sequence.to_le_bytes()]))
    }

    /// A batch of a sender that does not number: its place in the journal named by `journal` (a random number
    /// from the journal's creation).
    pub fn from_journal(journal: u64, position: u64) -> Self {
        Self(truncated_hash("journal", &[&journal.to_le_bytes(), &position.to_le_bytes()]))
    }
}

impl EventId {
    /// The event at `index` of a batch: 12 bytes of the batch's id, then the index.
    pub fn new(batch: BatchId, index: u32) -> Self {
        let mut bytes = batch.0;
        bytes[12..].copy_from_slice(&index.to_be_bytes());
        Self(bytes)
    }
}

impl FindingId {
    /// The finding of a rule for these events, in the order given.
    pub fn new(rule: &RuleId, events: &[EventId]) -> Self {
        let events: Vec<u8> = events.iter().flat_map(|event| event.0).collect();
        Self(truncated_hash("finding", &[rule.as_str().as_bytes(), &events]))
    }
}

impl EventHash {
    pub fn of(raw: &[u8]) -> Self {
        Self(truncated_hash("event", &[raw]))
    }
}

impl RuleHash {
    pub fn of(text: &[u8]) -> Self {
        Self(truncated_hash("rule", &[text]))
    }
}

/// One detection rule. Stable across edits, never reused. Sigma rules bring a UUID; any short text is taken.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RuleId(CompactString);

impl RuleId {
    pub fn new(text: impl Into<CompactString>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back() {
        let id = EventId::new(BatchId::from_agent(AgentId::from_bytes([7; 16]), 1, 2), 3);
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[track_caller]
    fn check_malformed(text: &str) {
        assert!(text.parse::<EventId>().is_err(), "input: {text:?}");
    }

    #[test]
    fn malformed_ids_are_refused() {
        check_malformed("");
        check_malformed("00");
        check_malformed("zz000000000000000000000000000000");
        check_malformed("+1000000000000000000000000000000");
        check_malformed("000000000000000000000000000000000");
        check_malformed("éééééééééééééééé");
    }

    #[test]
    fn batches_differ_by_each_part_of_their_origin() {
        let agent = AgentId::from_bytes([1; 16]);
        let ids = [
            BatchId::from_agent(agent, 1, 2),
            BatchId::from_agent(agent, 2, 1),
            BatchId::from_agent(AgentId::from_bytes([2; 16]), 1, 2),
            BatchId::from_journal(1, 2),
        ];
        for (n, id) in ids.iter().enumerate() {
            assert!(!ids[n + 1..].contains(id));
        }
    }
}
