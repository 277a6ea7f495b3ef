//! sudo: `minh : TTY=pts/0 ; PWD=/home/minh ; USER=root ; COMMAND=/usr/bin/id`.

use canh_schema::{Event, Value, field};

use super::template::{Outcome, describe};

/// Names that sudo writes, in its order.
const KEYS: [&str; 9] = ["HOST", "TTY", "CHROOT", "PWD", "USER", "GROUP", "TSID", "ENV", "COMMAND"];

/// Most parts of a line that are looked at.
const PARTS_MAX: usize = 16;

/// Reads the line. Answers whether it is one of sudo's own.
pub(crate) fn apply(event: &mut Event, message: &str) -> bool {
    let Some((user, rest)) = message.trim_start().split_once(" : ") else { return false };
    if user.contains(' ') {
        return false;
    }
    event.set(field::USER_NAME, user);
    let mut complaint = None;
    let mut rest = rest;
    for _ in 0..PARTS_MAX {
        // The command is last, and may hold semicolons itself.
        if let Some(command) = rest.strip_prefix("COMMAND=") {
            event.attrs.push(("COMMAND".into(), Value::from(command)));
            event.set(field::PROCESS_COMMAND_LINE, command);
            let program = command.split(' ').next().unwrap_or(command);
            event.set(field::PROCESS_EXECUTABLE, program);
            break;
        }
        let (part, after) = rest.split_once(" ; ").unwrap_or((rest, ""));
        match part.split_once('=').filter(|(key, _)| KEYS.contains(key)) {
            Some((key, value)) => {
                event.attrs.push((key.into(), Value::from(value)));
                match key {
                    "USER" => event.set(field::USER_TARGET_NAME, value),
                    "PWD" => event.set(field::PROCESS_WORKING_DIRECTORY, value),
                    "GROUP" => event.set(field::GROUP_NAME, value),
                    _ => (),
                }
            }
            None if complaint.is_none() && !part.is_empty() => complaint = Some(part),
            None => (),
        }
        if after.is_empty() {
            break;
        }
        rest = after;
    }
    match complaint {
        // `3 incorrect password attempts`, `user NOT in sudoers`, `command not allowed`, …
        Some(reason) => {
            event.set(field::EVENT_REASON, reason);
            describe(event, "sudo", Outcome::Failure, "authentication");
        }
        None => describe(event, "sudo", Outcome::Success, "process"),
    }
    true
}
