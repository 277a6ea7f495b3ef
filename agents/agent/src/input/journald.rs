//! Reads the systemd journal through `journalctl -o json`, which knows every version of its format.
//!
//! An entry is sent as the line that `journalctl` printed; the collector takes it apart. The place is the journal's own
//! cursor, so after a restart reading goes on with the next entry, and while the queue is full `journalctl` waits.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use canh_schema::{Timestamp, Value};
use canh_wire::{LogEntry, attribute};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Deserialize;
use tracing::{debug, info};

use super::file::Start;
use super::{Context, Input, InputError, Line, LineSplitter, Mode};
use crate::checkpoint::Place;
use crate::counters::{DropReason, Source};
use crate::queue::{ChunkSender, Item, Mark, Payload};

const KEY: &str = "journald";
/// The collector's name for the form of these lines.
const FORMAT: &str = "journald_json";
/// Longest entry: a core dump's fields are left to the journal.
const ENTRY_MAX: usize = 1024 * 1024;
const READ_LEN: usize = 64 * 1024;
const POLL_MS: u16 = 200;

/// `[input.journald]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournaldConfig {
    /// Units to read; empty for everything.
    #[serde(default)]
    pub unit: Vec<String>,
    /// Where to begin at the first start.
    #[serde(default = "end")]
    pub start: Start,
    /// The program that reads the journal.
    #[serde(default = "journalctl")]
    pub command: String,
}

fn end() -> Start {
    Start::End
}

fn journalctl() -> String {
    "journalctl".to_owned()
}

pub struct JournaldInput {
    config: JournaldConfig,
    cursor: Option<String>,
}

/// The fields that this input itself needs.
#[derive(Deserialize)]
struct Needed<'a> {
    #[serde(rename = "__CURSOR", borrow)]
    cursor: std::borrow::Cow<'a, str>,
    /// Microseconds since 1970, in decimal digits.
    #[serde(rename = "__REALTIME_TIMESTAMP", borrow, default)]
    realtime: std::borrow::Cow<'a, str>,
}

impl JournaldInput {
    pub fn new(config: JournaldConfig) -> Self {
        Self { config, cursor: None }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.config.command);
        command.args(["--output=json", "--all", "--no-pager", "--quiet"]);
        command.args(self.config.unit.iter().map(|unit| format!("--unit={unit}")));
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// At the first start with `start = "end"`: the place of the newest entry, kept before anything is read.
    fn begin_at_end(&mut self, context: &Context) -> Result<(), InputError> {
        let output = self.command().arg("--lines=1").output().map_err(|error| self.cannot_run(&error))?;
        let last = output.stdout.split(|&byte| byte == b'\n').rfind(|line| !line.is_empty()).unwrap_or_default();
        if let Ok(needed) = serde_json::from_slice::<Needed<'_>>(last) {
            let cursor = needed.cursor.into_owned();
            context.sink.send(vec![Item {
                source: Source::Journald,
                payload: Payload::Nothing,
                mark: Some(mark(&cursor)),
            }])?;
            self.cursor = Some(cursor);
        }
        Ok(())
    }

    fn spawn(&self, mode: Mode) -> Result<Child, InputError> {
        let mut command = self.command();
        match &self.cursor {
            Some(cursor) => command.arg(format!("--after-cursor={cursor}")),
            // Without this, `--follow` shows only the last ten.
            None => command.arg("--no-tail"),
        };
        if mode == Mode::Follow {
            command.arg("--follow");
        }
        command.stdout(Stdio::piped()).spawn().map_err(|error| self.cannot_run(&error))
    }

    fn cannot_run(&self, error: &io::Error) -> InputError {
        let hint = "install systemd's journalctl, or remove `[input.journald]`";
        InputError::failed(format_args!("cannot run `{}` ({hint})", self.config.command), error)
    }

    /// Reads until the child ends or the agent stops.
    fn read(&mut self, output: &mut ChildStdout, context: &Context) -> Result<(), InputError> {
        let mut splitter = LineSplitter::new(ENTRY_MAX);
        let mut buffer = vec![0; READ_LEN];
        let mut sender = ChunkSender::new(&context.sink);
        while !context.stop.is_cancelled() {
            let mut fds = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::from(POLL_MS)) {
                Ok(0) | Err(Errno::EINTR) => continue,
                Ok(_) => (),
                Err(error) => return Err(InputError::failed("cannot wait for the journal", error)),
            }
            let len = output.read(&mut buffer).map_err(|error| InputError::failed("cannot read the journal", error))?;
            if len == 0 {
                break;
            }
            splitter.feed(&buffer[..len], |line| self.push(line, &mut sender, context))?;
            sender.flush()?;
        }
        Ok(())
    }

    fn push(&mut self, line: Line, sender: &mut ChunkSender<'_>, context: &Context) -> Result<(), InputError> {
        if line.bytes.is_empty() {
            return Ok(());
        }
        let needed = match serde_json::from_slice::<Needed<'_>>(&line.bytes) {
            Ok(needed) if line.cut_len == 0 => needed,
            _ => {
                context.counters.count_dropped(DropReason::JournalUnreadable, 1);
                debug!(len = line.stream_len, "journal entry skipped");
                return Ok(());
            }
        };
        let time = needed.realtime.parse::<i64>().ok().map(|us| Timestamp::from_nanos(us.saturating_mul(1_000)));
        let cursor = needed.cursor.into_owned();
        let mark = Some(mark(&cursor));
        let entry = LogEntry {
            time,
            observed: Timestamp::now(),
            attributes: vec![(attribute::FORMAT, Value::from(FORMAT)), (attribute::EVENT_DATASET, Value::from(KEY))],
            body: line.bytes,
            named: Vec::new(),
            header: None,
        };
        self.cursor = Some(cursor);
        sender.push(Item { source: Source::Journald, payload: Payload::Log(entry), mark })?;
        Ok(())
    }
}

impl Input for JournaldInput {
    fn name(&self) -> String {
        KEY.to_owned()
    }

    fn run(&mut self, context: &Context) -> Result<(), InputError> {
        if self.cursor.is_none() {
            match context.marks.get(KEY) {
                Some(Place::Journal { cursor }) => self.cursor = Some(cursor.clone()),
                _ if self.config.start == Start::End && context.mode == Mode::Follow => self.begin_at_end(context)?,
                _ => (),
            }
        }
        let mut child = self.spawn(context.mode)?;
        info!("journal followed");
        let result = match child.stdout.take() {
            Some(mut output) => self.read(&mut output, context),
            None => Ok(()),
        };
        if context.mode == Mode::Follow {
            // It ends with its pipe in any case; this only makes it quick.
            let _ = child.kill();
        }
        let status = child.wait().map_err(|error| InputError::failed("cannot wait for journalctl", error))?;
        result?;
        match context.mode {
            Mode::Follow if !context.stop.is_cancelled() => Err(InputError::failed("journalctl ended", status)),
            Mode::Once if !status.success() => Err(InputError::failed("journalctl failed", status)),
            _ => Ok(()),
        }
    }
}

fn mark(cursor: &str) -> Mark {
    Mark { key: Arc::from(KEY), place: Some(Place::Journal { cursor: cursor.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use canh_schema::AgentId;
    use canh_wire::Origin;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::checkpoint::Marks;
    use crate::counters::Counters;
    use crate::queue::queue;

    /// A journal of five entries. Knows the cursor options and `--lines`, and writes down how it was called.
    const SCRIPT: &str = r#"#!/bin/sh
echo "$*" >> "$0.calls"
after=0
last=0
for arg in "$@"; do
  case "$arg" in
    --after-cursor=c*) after=${arg#--after-cursor=c} ;;
    --lines=1) last=1 ;;
  esac
done
[ $last = 1 ] && after=4
n=1
while [ $n -le 5 ]; do
  if [ $n -gt $after ]; then
    if [ $n = 3 ]; then
      echo "{\"__CURSOR\":\"c$n\",\"__REALTIME_TIMESTAMP\":\"170000000000000$n\",\"MESSAGE\":[104,105,255]}"
    else
      echo "{\"__CURSOR\":\"c$n\",\"__REALTIME_TIMESTAMP\":\"170000000000000$n\",\"MESSAGE\":\"entry $n\"}"
    fi
    [ $n = 4 ] && echo "not json"
  fi
  n=$((n + 1))
done
"#;

    struct Ran {
        bodies: Vec<String>,
        cursor: Option<String>,
        unreadable: u64,
        calls: String,
    }

    fn run(dir: &Path, cursor: Option<&str>, start: Start, mode: Mode) -> Ran {
        let command = dir.join("journalctl");
        fs::write(&command, SCRIPT).unwrap();
        fs::set_permissions(&command, fs::Permissions::from_mode(0o755)).unwrap();
        let calls = dir.join("journalctl.calls");
        let _ = fs::remove_file(&calls);
        let marks: Marks =
            cursor.map(|cursor| (KEY.to_owned(), Place::Journal { cursor: cursor.to_owned() })).into_iter().collect();
        let (sink, receiver) = queue(16);
        let context = Context {
            mode,
            origin: Origin {
                agent: AgentId::from_bytes([1; 16]),
                agent_version: String::new(),
                host_name: String::new(),
            },
            sink,
            stop: CancellationToken::new(),
            marks: Arc::new(marks),
            counters: Arc::new(Counters::default()),
        };
        let command = command.to_string_lossy().into_owned();
        let mut input = JournaldInput::new(JournaldConfig { unit: vec!["sshd".to_owned()], start, command });
        let result = input.run(&context);
        assert_eq!(result.is_ok(), mode == Mode::Once, "a child that ends while it should follow is an error");
        let unreadable = context.counters.dropped(DropReason::JournalUnreadable);
        drop(context);
        let mut ran = Ran { bodies: Vec::new(), cursor: None, unreadable, calls: fs::read_to_string(calls).unwrap() };
        for item in receiver.into_iter().flatten() {
            if let Payload::Log(entry) = item.payload {
                assert_eq!(entry.time.map(|time| time.secs()), Some(1_700_000_000));
                ran.bodies.push(String::from_utf8(entry.body).unwrap());
            }
            if let Some(Mark { place: Some(Place::Journal { cursor }), .. }) = item.mark {
                ran.cursor = Some(cursor);
            }
        }
        ran
    }

    #[track_caller]
    fn check(cursor: Option<&str>, start: Start, mode: Mode, expected: &[u32], unreadable: u64) {
        let dir = tempfile::tempdir().unwrap();
        let ran = run(dir.path(), cursor, start, mode);
        assert_eq!(ran.bodies.len(), expected.len(), "{:?}", ran.bodies);
        for (body, n) in ran.bodies.iter().zip(expected) {
            assert!(body.contains(&format!("\"c{n}\"")), "{body}");
        }
        assert_eq!(ran.cursor.as_deref(), Some("c5"));
        assert_eq!(ran.unreadable, unreadable);
        assert!(ran.calls.contains("--unit=sshd"), "{}", ran.calls);
        assert_eq!(ran.calls.contains("--follow"), mode == Mode::Follow, "{}", ran.calls);
    }

    #[test]
    fn entries_are_read_from_the_place_on() {
        check(None, Start::Beginning, Mode::Once, &[1, 2, 3, 4, 5], 1);
        check(None, Start::End, Mode::Once, &[1, 2, 3, 4, 5], 1);
        check(Some("c3"), Start::End, Mode::Once, &[4, 5], 1);
        check(Some("c2"), Start::End, Mode::Follow, &[3, 4, 5], 1);
        check(None, Start::Beginning, Mode::Follow, &[1, 2, 3, 4, 5], 1);
        // The newest entry is only looked at for its cursor.
        check(None, Start::End, Mode::Follow, &[], 0);
    }

    #[test]
    fn a_missing_program_says_what_to_do() {
        let input = JournaldInput::new(JournaldConfig {
            unit: Vec::new(),
            start: Start::End,
            command: "/nonexistent/journalctl".to_owned(),
        });
        let error = input.spawn(Mode::Once).unwrap_err().to_string();
        assert!(error.contains("remove `[input.journald]`"), "{error}");
    }
}
