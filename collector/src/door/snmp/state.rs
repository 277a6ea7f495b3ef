//! The name of our engine and the number of its starts (RFC 3414, section 2.2): senders of informs know both, and take a
//! smaller number for a recording.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use tracing::error;

use super::NAME;

/// The longest name of an engine (RFC 3411, section 5), in hexadecimal digits, and the shortest.
const ID_DIGITS: std::ops::RangeInclusive<usize> = 10..=64;

pub(super) struct State {
    pub(super) id: Vec<u8>,
    pub(super) boots: u32,
}

/// The state of this start; it is written before it is used.
pub(super) fn next(path: &Path) -> State {
    let before = match fs::read_to_string(path) {
        Ok(text) => {
            let state = parse(&text);
            if state.is_none() {
                error!(door = NAME, path = %path.display(), "the engine's state is damaged; it gets a new name, which senders of informs have to learn");
            }
            state
        }
        Err(_) => None, // the first start, or one that cannot be written either, which is logged below
    };
    let state = match before {
        Some(State { id, boots }) if boots < i32::MAX as u32 => State { id, boots: boots + 1 },
        _ => State { id: new_id(), boots: 1 },
    };
    if let Err(error) = write(path, &state) {
        let error = &error as &dyn std::error::Error;
        error!(door = NAME, path = %path.display(), error, "cannot write the engine's state; after a restart informs of version 3 may be refused by their senders");
    }
    state
}

fn parse(text: &str) -> Option<State> {
    let (digits, boots) = text.trim().split_once(' ')?;
    if !ID_DIGITS.contains(&digits.len()) || !digits.is_ascii() || digits.len() % 2 != 0 {
        return None;
    }
    let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let id: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
    Some(State { id: id?, boots: boots.parse().ok()? })
}

/// Enterprise 0, "octets of the administrator" (5), and a number that nobody else has.
fn new_id() -> Vec<u8> {
    let number: [u8; 8] = super::super::random().unwrap_or_else(|error| {
        error!(door = NAME, %error, "the system gives no random bytes; the engine's name is made of the clock");
        canh_schema::Timestamp::now().nanos().to_be_bytes()
    });
    [&[0x80, 0, 0, 0, 5][..], &number].concat()
}

fn write(path: &Path, state: &State) -> io::Result<()> {
    let id: String = state.id.iter().map(|byte| format!("{byte:02x}")).collect();
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    writeln!(file, "{id} {}", state.boots)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("snmp.state");
        let (first, second) = (next(&path), next(&path));
        assert_eq!((first.boots, second.boots), (1, 2));
        assert_eq!((first.id.len(), &first.id), (13, &second.id));
        fs::write(&path, "zz 1").unwrap();
        let third = next(&path);
        assert!(third.boots == 1 && third.id != first.id);
    }
}
