//! Looks at everything the agent needs and says what is wrong and how to mend it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use canh_schema::{AgentId, ByteSize, Timestamp};
use nix::sys::statvfs::statvfs;
use tonic::Code;

use crate::agent::STATUS_FILE;
use crate::config::Config;
use crate::health::StatusFile;
use crate::input::capture::{self, CaptureConfig};
use crate::input::file::{FileConfig, open_regular};
use crate::input::samples::{self, TreeConfig};
use crate::ship::{Client, ClientError};

/// How one check came out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    Good(String),
    /// Works, but somebody should know.
    Odd(String),
    Bad(String),
}

/// A named check and its outcome.
#[derive(Clone, Debug)]
pub struct Check {
    pub name: &'static str,
    pub outcome: Outcome,
}

use Outcome::{Bad, Good, Odd};

/// Paths that one line of the report names.
const NAMES_MAX: usize = 3;

/// Runs every check. Changes nothing.
pub async fn examine(config: &Config, now: Timestamp) -> Vec<Check> {
    let mut checks = vec![Check { name: "state folder", outcome: state_folder(&config.state_dir, config) }];
    for file in &config.input.file {
        checks.push(Check { name: "log files", outcome: log_files(file) });
    }
    if let Some(journald) = &config.input.journald {
        checks.push(Check { name: "journal", outcome: journal(&journald.command) });
    }
    for capture in &config.input.capture {
        checks.push(Check { name: "capture", outcome: capture_source(capture) });
        if let Some(files) = &capture.files {
            let outcome = samples_door(files.base_url(&config.server.url), "input.capture.files.url", config);
            checks.push(Check { name: "files", outcome });
        }
    }
    if let Some(samples) = &config.input.samples {
        checks.extend(samples.tree.iter().map(|tree| Check { name: "trees", outcome: sample_tree(tree) }));
        checks.push(Check {
            name: "samples",
            outcome: samples_door(samples.base_url(&config.server.url), "input.samples.url", config),
        });
    }
    checks.push(Check { name: "server", outcome: server(config).await });
    checks.push(Check { name: "running agent", outcome: running_agent(&config.state_dir.join(STATUS_FILE), now) });
    checks
}

fn state_folder(dir: &Path, config: &Config) -> Outcome {
    let shown = dir.display();
    if !dir.exists() {
        return Odd(format!("`{shown}` does not exist; the agent makes it at its first start"));
    }
    if nix::unistd::access(dir, nix::unistd::AccessFlags::W_OK).is_err() {
        return Bad(format!("`{shown}` is not writable for this user; run as the agent's user or change its owner"));
    }
    let Ok(sizes) = statvfs(dir) else { return Odd(format!("the free space of `{shown}` is not known")) };
    let free = ByteSize::mib(sizes.blocks_available().saturating_mul(sizes.fragment_size()) >> 20);
    if free < config.spool.bytes_max {
        return Odd(format!(
            "`{shown}` has {free} free, less than `spool.bytes_max` ({}); the disk may fill before the spool does",
            config.spool.bytes_max
        ));
    }
    Good(format!("`{shown}` is writable, {free} free"))
}

fn log_files(config: &FileConfig) -> Outcome {
    let paths = config.matches();
    let named = config.path.join("`, `");
    // The kind is asked for first: to open a named pipe or a device may wait, or change it.
    let (others, files): (Vec<_>, Vec<_>) =
        paths.iter().partition(|path| fs::metadata(path).is_ok_and(|meta| !meta.is_file()));
    let unreadable: Vec<_> = files.iter().filter(|path| open_regular(path).is_err()).collect();
    if let Some(first) = unreadable.first() {
        return Bad(format!(
            "{} of {} files cannot be read, first `{}`; add the agent's user to the group that may (often `adm`)",
            unreadable.len(),
            files.len(),
            first.display()
        ));
    }
    if paths.is_empty() {
        return Odd(format!("no file matches `{named}`; they are followed once they appear"));
    }
    if !others.is_empty() {
        let names: Vec<_> = others.iter().take(NAMES_MAX).map(|path| format!("`{}`", path.display())).collect();
        let more = if others.len() > NAMES_MAX { " and more" } else { "" };
        return Odd(format!(
            "{} files match `{named}`; {} matches are not regular files and are left out: {}{more}; name them in \
             `exclude` to silence this",
            files.len(),
            others.len(),
            names.join(", ")
        ));
    }
    Good(format!("{} files match `{named}`", files.len()))
}

fn journal(command: &str) -> Outcome {
    let output = Command::new(command)
        .args(["--output=json", "--no-pager", "--quiet", "--lines=1"])
        .stdin(Stdio::null())
        .output();
    match output {
        Err(error) => Bad(format!("`{command}` cannot be run: {error}; install systemd or remove `[input.journald]`")),
        Ok(output) if !output.status.success() => {
            let words = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
            Bad(format!("`{command}` failed: {words}; add the agent's user to the group `systemd-journal`"))
        }
        Ok(output) if output.stdout.is_empty() => {
            Odd("the journal is empty or not readable for this user; the group `systemd-journal` may read it"
                .to_owned())
        }
        Ok(_) => Good("the journal can be read".to_owned()),
    }
}

fn capture_source(config: &CaptureConfig) -> Outcome {
    if let Some(filter) = &config.filter
        && let Err(reason) = capture::filter::check(filter)
    {
        return Bad(format!("the filter `{filter}` cannot be used: {reason}; its language is that of `tcpdump`"));
    }
    if let Some(path) = &config.file {
        if fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
            return Odd(format!("capture file `{}` is not a regular file; it was not opened", path.display()));
        }
        return match open_regular(path) {
            Ok(_) => Good(format!("capture file `{}` can be read", path.display())),
            Err(error) => Bad(format!("capture file `{}` cannot be read: {error}", path.display())),
        };
    }
    let Some(interface) = &config.interface else { return Bad("neither `interface` nor `file` is set".to_owned()) };
    let opened = pcap::Capture::from_device(interface.as_str()).and_then(|capture| capture.timeout(100).open());
    match opened {
        Ok(_) => Good(format!("interface `{interface}` can be captured")),
        Err(error) => Bad(format!(
            "interface `{interface}` cannot be captured: {error}; the agent needs CAP_NET_RAW, and the name must be one of `ip link`"
        )),
    }
}

fn sample_tree(tree: &TreeConfig) -> Outcome {
    let named = tree.path.join("`, `");
    let (count, unreadable) = samples::roots(tree);
    match unreadable.first() {
        Some(first) => Odd(format!(
            "{} of {count} places of `{named}` are not there or cannot be read, first `{}`; they are watched once they can be",
            unreadable.len(),
            first.display()
        )),
        None if count == 0 => Odd(format!("nothing matches `{named}`; it is watched once it appears")),
        None => Good(format!("{count} places match `{named}`")),
    }
}

fn samples_door(url: String, key: &str, config: &Config) -> Outcome {
    match samples::probe(url, &config.server) {
        Ok(words) => Good(words),
        Err(words) => Bad(format!(
            "{words}; files to be scanned go to the collector's HTTP door, `{key}`, with the token of `server.token_file`"
        )),
    }
}

async fn server(config: &Config) -> Outcome {
    let url = &config.server.url;
    let mut client = match Client::new(&config.server, AgentId::from_bytes([0; 16]), 0) {
        Ok(client) => client,
        Err(error) => return Bad(format!("`server.url` cannot be used: {error}")),
    };
    match client.probe().await {
        Ok(()) => Good(format!("{url} takes batches")),
        Err(error) => Bad(format!("{error}; {}", server_hint(&error))),
    }
}

fn server_hint(error: &ClientError) -> &'static str {
    match error.code() {
        Code::Unauthenticated | Code::PermissionDenied => {
            "put the token that the server gave out into `server.token_file`"
        }
        Code::Unimplemented => "`server.url` is not a collector's OTLP gRPC input",
        _ if error.is_about_tls() => {
            "`server.tls.authorities` must hold the authority of the server's certificate, `server.url` a name that is in \
             it, and `server.tls.certificate` this agent's own if the server asks for one"
        }
        _ => "is the server running, is `server.url` right, and does a firewall stand between?",
    }
}

fn running_agent(path: &Path, now: Timestamp) -> Outcome {
    const OLD_S: i64 = 30;
    let Ok(bytes) = fs::read(path) else { return Odd("no agent has run with this state folder yet".to_owned()) };
    let Ok(status) = serde_json::from_slice::<StatusFile>(&bytes) else {
        return Odd(format!("`{}` cannot be read; a running agent writes it again", path.display()));
    };
    let age = Timestamp::parse_rfc3339(&status.at).map_or(i64::MAX, |at| now.secs().saturating_sub(at.secs()));
    let lost: u64 = status.dropped.iter().map(|(_, _, count)| count).sum();
    let words = format!(
        "{} batches wait in {} of spool, {} records sent, {lost} dropped",
        status.batches_waiting,
        ByteSize::mib(status.spool_bytes.div_ceil(1 << 20)),
        status.records_acked
    );
    if age > OLD_S {
        return Odd(format!("not running (last seen {}); {words}", status.at));
    }
    if let (None, Some(failure)) = (&status.server_failure, &status.samples_failure) {
        return Bad(format!("running, but the server does not take files to be scanned: {failure}; {words}"));
    }
    match status.server_failure {
        Some(failure) => Bad(format!("running, but the server does not take batches: {failure}; {words}")),
        None if lost > 0 => Odd(format!("running; {words}; `{}` says what was dropped and why", path.display())),
        None => Good(format!("running; {words}")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use nix::sys::stat::Mode;

    use super::*;

    /// Runs a check in another thread, so that one that waits fails the test instead of stopping it.
    #[track_caller]
    fn check(look: impl FnOnce() -> Outcome + Send + 'static, expected: &[&str]) {
        let (sender, receiver) = channel();
        thread::spawn(move || sender.send(look()));
        let outcome = receiver.recv_timeout(Duration::from_secs(20)).expect("the check waits for somebody");
        let shown = format!("{outcome:?}");
        assert!(expected.iter().all(|part| shown.contains(part)), "{shown}");
    }

    #[test]
    fn what_is_not_a_regular_file_is_named_and_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let files = |name: &str| {
            let config: FileConfig = toml::from_str(&format!("path = [{:?}]", path(name))).unwrap();
            move || log_files(&config)
        };
        let capture = |name: &str| {
            let config: CaptureConfig = toml::from_str(&format!("file = {:?}", path(name))).unwrap();
            move || capture_source(&config)
        };
        fs::write(path("a.log"), "a line\n").unwrap();
        check(files("*.log"), &["Good", "1 files match"]);
        nix::unistd::mkfifo(path("pipe.log").as_str(), Mode::S_IRWXU).unwrap();
        check(files("*.log"), &["Odd", "1 files match", "1 matches are not regular files", "/pipe.log`"]);
        for name in ["1.log", "2.log", "3.log"] {
            fs::create_dir(path(name)).unwrap();
        }
        check(files("*.log"), &["Odd", "4 matches are not regular files", "/3.log` and more"]);
        check(capture("pipe.log"), &["Odd", "/pipe.log` is not a regular file"]);
        check(capture("a.log"), &["Good"]);
        check(capture("missing"), &["Bad", "cannot be read"]);
    }
}
