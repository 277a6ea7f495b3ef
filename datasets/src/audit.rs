//! Records of the Linux audit daemon as in `audit.log`: several lines with one serial number are one event.

use std::time::Duration;

use canh_schema::Timestamp;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::output::{Output, Stream};
use crate::world::{AGENT_HOSTS, Clock, pick, pid};

/// A process, as audit sees it.
pub(crate) struct Process<'a> {
    /// User that logged in at first; `4294967295` for a service.
    pub(crate) auid: u32,
    pub(crate) uid: u32,
    pub(crate) comm: &'a str,
    pub(crate) exe: &'a str,
    pub(crate) parent: u32,
}

pub(crate) const NO_LOGIN: u32 = u32::MAX;

fn stamp(at: Timestamp, serial: u32) -> String {
    format!("audit({}.{:03}:{serial})", at.secs(), at.millis().rem_euclid(1_000))
}

fn line(output: &mut Output, host: &'static str, at: Timestamp, text: String) {
    output.line(Stream::file(host, "audit.log"), at, text);
}

fn syscall(random: &mut StdRng, process: &Process<'_>, number: u32, key: &str) -> String {
    let Process { auid, uid, comm, exe, parent } = process;
    let pid = pid(random);
    format!(
        "arch=c000003e syscall={number} success=yes exit=0 a0=55d1c a1=55d20 a2=55d38 a3=8 items=2 ppid={parent} pid={pid} \
         auid={auid} uid={uid} gid={uid} euid={uid} suid={uid} fsuid={uid} egid={uid} sgid={uid} fsgid={uid} tty=(none) ses=1 \
         comm=\"{comm}\" exe=\"{exe}\" key=\"{key}\""
    )
}

/// A program is started: SYSCALL (59 is execve on x86-64), EXECVE, CWD.
pub(crate) fn execute(
    random: &mut StdRng,
    output: &mut Output,
    host: &'static str,
    at: Timestamp,
    process: &Process<'_>,
    arguments: &[&str],
) {
    let serial = random.random_range(1_000..4_000_000);
    let id = stamp(at, serial);
    let what = syscall(random, process, 59, "exec");
    line(output, host, at, format!("type=SYSCALL msg={id}: {what}"));
    let list: Vec<String> =
        arguments.iter().enumerate().map(|(n, argument)| format!("a{n}={}", encoded(argument))).collect();
    line(output, host, at, format!("type=EXECVE msg={id}: argc={} {}", arguments.len(), list.join(" ")));
    line(output, host, at, format!("type=CWD msg={id}: cwd=\"/\""));
}

/// A watched file is opened: SYSCALL (257 is openat), PATH.
pub(crate) fn open(
    random: &mut StdRng,
    output: &mut Output,
    host: &'static str,
    at: Timestamp,
    process: &Process<'_>,
    path: &str,
    key: &str,
) {
    let serial = random.random_range(1_000..4_000_000);
    let id = stamp(at, serial);
    let what = syscall(random, process, 257, key);
    line(output, host, at, format!("type=SYSCALL msg={id}: {what}"));
    line(
        output,
        host,
        at,
        format!(
            "type=PATH msg={id}: item=0 name=\"{path}\" inode=1315 dev=fd:00 mode=0100000 ouid=0 ogid=0 rdev=00:00 nametype=NORMAL"
        ),
    );
}

/// An argument as audit writes it: quoted, or in hexadecimal if it holds blanks, quotes or anything unprintable.
fn encoded(argument: &str) -> String {
    if argument.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"') {
        return format!("\"{argument}\"");
    }
    argument.bytes().map(|byte| format!("{byte:02X}")).collect()
}

pub(crate) fn ordinary(clock: &Clock, random: &mut StdRng, output: &mut Output) {
    for host in AGENT_HOSTS {
        for at in clock.times_evenly(random, 0.25) {
            let process =
                Process { auid: NO_LOGIN, uid: 0, comm: "kiemtra-dichvu.", exe: "/usr/bin/bash", parent: 1_210 };
            execute(random, output, host, at, &process, &["/bin/sh", "/usr/local/bin/kiemtra-dichvu.sh"]);
            let process = Process { auid: NO_LOGIN, uid: 0, comm: "curl", exe: "/usr/bin/curl", parent: pid(random) };
            let later = at + Duration::from_millis(40);
            execute(
                random,
                output,
                host,
                later,
                &process,
                &["curl", "-fsS", "http://127.0.0.1:9763/carbon/admin/login.jsp"],
            );
        }
        for at in clock.times(random, 0.2) {
            let program = pick(random, &["systemctl", "tail", "journalctl", "ss", "df", "vim", "less"]);
            let exe = format!("/usr/bin/{program}");
            let process = Process { auid: 1_001, uid: 0, comm: program, exe: &exe, parent: pid(random) };
            execute(random, output, host, at, &process, &[program, "-n", "trạng thái"]);
        }
        // Programs that check passwords do read this file; the watch reports them all.
        for at in clock.times(random, 0.12) {
            let (comm, exe) = [
                ("sshd", "/usr/sbin/sshd"),
                ("sudo", "/usr/bin/sudo"),
                ("unix_chkpwd", "/usr/sbin/unix_chkpwd"),
                ("crond", "/usr/sbin/crond"),
            ][random.random_range(0..4)];
            let process = Process { auid: NO_LOGIN, uid: 0, comm, exe, parent: 1 };
            open(random, output, host, at, &process, "/etc/shadow", "shadow");
        }
    }
}
