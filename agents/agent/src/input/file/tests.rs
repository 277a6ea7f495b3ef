//! What happens to files in the field: appended, renamed, truncated, deleted, with the agent there or away.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use canh_schema::AgentId;
use canh_wire::Origin;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::counters::Counters;
use crate::queue::{Sink, queue};

/// A folder of logs and an agent that can be stopped and started. Each step reads what is there.
struct Host {
    dir: TempDir,
    config: FileConfig,
    marks: Marks,
    counters: Arc<Counters>,
    running: Option<Running>,
    lines: Vec<String>,
}

struct Running {
    input: FileInput,
    sink: Sink,
    receiver: Receiver<Vec<Item>>,
}

impl Host {
    fn new(pattern: &str, start: Start) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = vec![dir.path().join(pattern).to_string_lossy().into_owned()];
        let config = FileConfig {
            path,
            exclude: vec!["skip*".to_owned()],
            format: "plain".to_owned(),
            start,
            multiline: Multiline::Off,
            header: Header::Off,
        };
        let counters = Arc::new(Counters::default());
        Self { dir, config, marks: Marks::new(), counters, running: None, lines: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn truncate(&self, name: &str) {
        OpenOptions::new().write(true).open(self.path(name)).unwrap().set_len(0).unwrap();
    }

    /// One scan and everything that can be read, as the loop of the input does it.
    fn read(&mut self) {
        let configs = vec![self.config.clone()];
        let running = self.running.get_or_insert_with(|| {
            let (sink, receiver) = queue(10_000);
            Running { input: FileInput::new(configs), sink, receiver }
        });
        let context = Context {
            mode: Mode::Follow,
            origin: Origin {
                agent: AgentId::from_bytes([1; 16]),
                agent_version: String::new(),
                host_name: String::new(),
            },
            sink: running.sink.clone(),
            stop: CancellationToken::new(),
            marks: Arc::new(self.marks.clone()),
            counters: self.counters.clone(),
        };
        let mut buffer = vec![0; tail::READ_LEN];
        running.input.scan(&context).unwrap();
        while running.input.read_round(&context, &mut buffer).unwrap() {}
        while let Ok(items) = running.receiver.try_recv() {
            for item in items {
                if let Payload::Log(entry) = item.payload {
                    self.lines.push(String::from_utf8(entry.body).unwrap());
                }
                match item.mark {
                    Some(Mark { key, place: Some(place) }) => self.marks.insert(key.to_string(), place),
                    Some(Mark { key, place: None }) => self.marks.remove(&*key),
                    None => None,
                };
            }
        }
    }

    /// The agent is gone at once; its places are what came with the records.
    fn kill(&mut self) {
        self.running = None;
    }

    #[track_caller]
    fn check(&mut self, expected: &[&str]) {
        self.read();
        assert_eq!(self.lines, expected);
    }
}

#[test]
fn lines_come_once_and_only_when_they_are_whole() {
    let mut host = Host::new("*.log", Start::Beginning);
    host.write("a.log", "1\n2\npar");
    host.write("skip.log", "no\n");
    host.write("b.log.gz", "no\n");
    host.check(&["1", "2"]);
    host.check(&["1", "2"]);
    host.kill();
    host.check(&["1", "2"]);
    host.write("a.log", "t\n\r\n3\r\n");
    host.check(&["1", "2", "part", "3"]);
    host.write("b.log", "4\n");
    host.check(&["1", "2", "part", "3", "4"]);
}

#[test]
fn the_end_is_remembered_before_the_first_line() {
    let mut host = Host::new("*.log", Start::End);
    host.write("a.log", "old\n");
    host.check(&[]);
    host.kill();
    host.write("a.log", "new\n");
    host.write("b.log", "also new\n"); // made while the agent was away: a new file, not an old one
    host.check(&["new", "also new"]);
    host.write("c.log", "fresh\n");
    host.check(&["new", "also new", "fresh"]);
}

#[test]
fn rotation_by_rename() {
    let mut host = Host::new("a.log", Start::Beginning);
    host.write("a.log", "1\n");
    host.check(&["1"]);
    host.write("a.log", "2\n");
    host.rename("a.log", "a.log.1");
    host.write("a.log", "3\n");
    host.write("a.log.1", "late\n"); // the writer has not opened the new file yet
    host.read();
    host.lines.sort();
    assert_eq!(host.lines, ["1", "2", "3", "late"]);
}

#[test]
fn rotation_by_rename_while_the_agent_is_away() {
    let mut host = Host::new("a.log", Start::Beginning);
    host.write("a.log", "1\n2\n");
    host.check(&["1", "2"]);
    host.kill();
    host.write("a.log", "3\n");
    host.rename("a.log", "a.log.1");
    host.write("a.log", "4\n");
    host.read();
    host.lines.sort();
    assert_eq!(host.lines, ["1", "2", "3", "4"]);
    host.kill();
    host.write("a.log", "5\n");
    host.read();
    assert_eq!(host.lines, ["1", "2", "3", "4", "5"]);
}

#[test]
fn renamed_into_a_name_that_is_also_looked_for() {
    let mut host = Host::new("a.log*", Start::Beginning);
    host.write("a.log", "1\n");
    host.check(&["1"]);
    host.rename("a.log", "a.log.1");
    host.write("a.log", "2\n");
    host.check(&["1", "2"]);
    host.kill();
    host.check(&["1", "2"]);
}

#[test]
fn copytruncate_and_truncation() {
    for away in [false, true] {
        let mut host = Host::new("a.log", Start::Beginning);
        host.write("a.log", "first 1\nfirst 2\n");
        host.check(&["first 1", "first 2"]);
        if away {
            host.kill();
        }
        fs::copy(host.path("a.log"), host.path("a.log.1")).unwrap();
        host.truncate("a.log");
        host.write("a.log", "new\n");
        host.check(&["first 1", "first 2", "new"]);
        // Grown again beyond the old place before anybody looked.
        if away {
            host.kill();
        }
        host.truncate("a.log");
        host.write("a.log", "longer than all that was there before\n");
        host.check(&["first 1", "first 2", "new", "longer than all that was there before"]);
    }
}

#[test]
fn a_half_line_survives_truncation() {
    let mut host = Host::new("a.log", Start::Beginning);
    host.write("a.log", "1\nhalf");
    host.check(&["1"]);
    host.truncate("a.log");
    host.write("a.log", "2\n");
    host.check(&["1", "half", "2"]);
}

#[test]
fn a_deleted_file_is_forgotten_and_a_new_one_of_that_name_read() {
    let mut host = Host::new("a.log", Start::Beginning);
    host.write("a.log", "1\n");
    host.check(&["1"]);
    host.kill();
    fs::remove_file(host.path("a.log")).unwrap();
    host.write("a.log", "2\n");
    host.check(&["1", "2"]);
    assert!(host.marks.len() <= 2);
    host.kill();
    fs::remove_file(host.path("a.log")).unwrap();
    host.check(&["1", "2"]);
    assert_eq!(host.marks.len(), 0);
}

#[test]
fn a_line_without_end_is_cut_and_counted() {
    let mut host = Host::new("a.log", Start::Beginning);
    let long = "x".repeat(2 * 1024 * 1024);
    host.write("a.log", &format!("1\n{long}\n2\n"));
    host.read();
    let lens: Vec<_> = host.lines.iter().map(String::len).collect();
    assert_eq!(lens, [1, 1024 * 1024, 1]);
    assert_eq!(host.counters.dropped(DropReason::LineTooLong), 1);
    host.kill();
    host.write("a.log", "3\n");
    host.read();
    assert_eq!(host.lines[3], "3");
}

#[track_caller]
fn check_exclude(exclude: &str, path: &str, expected: bool) {
    let config = FileConfig {
        path: Vec::new(),
        exclude: vec![exclude.to_owned()],
        format: "auto".to_owned(),
        start: Start::End,
        multiline: Multiline::Off,
        header: Header::Off,
    };
    assert_eq!(config.excludes(Path::new(path)), expected, "{exclude} and {path}");
}

#[test]
fn exclusions() {
    check_exclude("debug.log", "/var/log/debug.log", true);
    check_exclude("debug*", "/var/log/app/debug.1", true);
    check_exclude("/var/log/app/*", "/var/log/app/x", true);
    check_exclude("/var/log/app/*", "/var/log/app/y/x", false);
    check_exclude("none", "/var/log/a.log", false);
    check_exclude("none", "/var/log/a.log.2.gz", true);
}

/// Opens a path in another thread, so that a call that waits fails the test instead of stopping it.
#[track_caller]
fn check_open(path: PathBuf, id: FileId, expected: Option<&str>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        sender.send(Tail::open(&path, id, Arc::from("file:1:1"), None, false, Reading::default()).map(|_| ()))
    });
    let opened = receiver.recv_timeout(Duration::from_secs(20)).expect("opening waits for somebody");
    assert_eq!(opened.err().map(|error| error.to_string()).as_deref(), expected);
}

#[test]
fn a_name_that_leads_elsewhere_by_now_is_neither_waited_for_nor_read() {
    let host = Host::new("*.log", Start::Beginning);
    let id_of = |name| {
        let meta = fs::metadata(host.path(name)).unwrap();
        (meta.dev(), meta.ino())
    };
    host.write("a.log", "a\n");
    host.write("b.log", "b\n");
    nix::unistd::mkfifo(&host.path("pipe.log"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    check_open(host.path("a.log"), id_of("a.log"), None);
    check_open(host.path("b.log"), id_of("a.log"), Some("another file has taken its name"));
    check_open(host.path("pipe.log"), id_of("pipe.log"), Some("not a regular file"));
    check_open(host.path(""), id_of(""), Some("not a regular file"));
}

#[test]
fn a_record_of_several_lines_is_held_until_the_next_begins_and_read_again_after_a_crash() {
    let mut host = Host::new("*.log", Start::Beginning);
    host.config.multiline = Multiline::Traces;
    host.write("a.log", "one\ntwo\n\tat a\n");
    host.check(&["one"]);
    host.kill();
    host.write("a.log", "\tat b\nthree\n");
    host.check(&["one", "two\n\tat a\n\tat b"]);
    // Nobody writes on, so what is held is handed out after a while.
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    host.check(&["one", "two\n\tat a\n\tat b", "three"]);
    host.kill();
    host.write("a.log", "four\n");
    host.truncate("a.log");
    host.write("a.log", "five\n");
    host.read();
    assert_eq!(host.lines.len(), 3);
}
