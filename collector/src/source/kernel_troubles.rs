//! What the kernel says when a machine is in trouble: memory, disks, file systems, hung tasks, crashes, full tables.
//! Facts from the kernel's own sources; where the words changed, the old ones (3.10, which CentOS 7 has) stand beside
//! the new ones.

use std::sync::LazyLock;

use super::template::Outcome::{Failure, Unsaid};
use super::template::{Line, Table, line};

const PROCESS: &str = "process";
const HOST: &str = "host";
const FILE: &str = "file";
const NET: &str = "network";
const DRIVER: &str = "driver";

static LINES: &[Line] = &[
    // mm/oom_kill.c
    line("oom_kill", Failure, PROCESS, "Out of memory: Killed process {kernel.pid} ({kernel.process})"),
    line("oom_kill", Failure, PROCESS, "Out of memory: Kill process {kernel.pid} ({kernel.process}) score"),
    line("oom_kill", Failure, PROCESS, "Memory cgroup out of memory: Killed process {kernel.pid} ({kernel.process})"),
    line(
        "oom_kill",
        Failure,
        PROCESS,
        "Memory cgroup out of memory: Kill process {kernel.pid} ({kernel.process}) score",
    ),
    // arch/x86/mm/fault.c, arch/x86/kernel/traps.c
    line("process_crash", Failure, PROCESS, "traps: {kernel.process*}[{kernel.pid}] {event.reason}"),
    line("process_crash", Failure, PROCESS, "{kernel.process}[{kernel.pid}]: segfault at {kernel.address}"),
    line("process_crash", Failure, PROCESS, "{kernel.process}[{kernel.pid}] general protection"),
    // kernel/hung_task.c, kernel/watchdog.c
    line(
        "task_hung",
        Failure,
        PROCESS,
        "INFO: task {kernel.process*}:{kernel.pid} blocked for more than {kernel.seconds} seconds",
    ),
    line("cpu_stuck", Failure, HOST, "watchdog: BUG: soft lockup - CPU#{kernel.cpu} stuck for {kernel.seconds}!"),
    line("cpu_stuck", Failure, HOST, "NMI watchdog: BUG: soft lockup - CPU#{kernel.cpu} stuck for {kernel.seconds}!"),
    line("cpu_stuck", Failure, HOST, "BUG: soft lockup - CPU#{kernel.cpu} stuck for {kernel.seconds}!"),
    line("kernel_panic", Failure, HOST, "Kernel panic - not syncing: {event.reason}"),
    line("boot", Unsaid, HOST, "Linux version {kernel.version}"),
    // fs/ext4/super.c, fs/xfs
    line("file_system_read_only", Failure, FILE, "EXT4-fs ({kernel.device}): Remounting filesystem read-only"),
    line("file_system_error", Failure, FILE, "EXT4-fs error (device {kernel.device}): {event.reason}"),
    line("file_system_shutdown", Failure, FILE, "XFS ({kernel.device}): I/O Error Detected. Shutting down filesystem"),
    line(
        "file_system_shutdown",
        Failure,
        FILE,
        "XFS ({kernel.device}): Corruption of in-memory data detected.  Shutting down filesystem",
    ),
    line(
        "file_system_shutdown",
        Failure,
        FILE,
        "XFS ({kernel.device}): Filesystem has been shut down due to {event.reason}",
    ),
    line("file_system_error", Failure, FILE, "XFS ({kernel.device}): Metadata corruption detected at {event.reason}"),
    // block/blk-core.c, fs/buffer.c
    line("disk_error", Failure, HOST, "blk_update_request: I/O error, dev {kernel.device}, sector"),
    line("disk_error", Failure, HOST, "blk_update_request: critical medium error, dev {kernel.device}, sector"),
    line("disk_error", Failure, HOST, "print_req_error: I/O error, dev {kernel.device}, sector"),
    line("disk_error", Failure, HOST, "I/O error, dev {kernel.device}, sector"),
    line("disk_error", Failure, HOST, "critical medium error, dev {kernel.device}, sector"),
    line("disk_error", Failure, HOST, "end_request: I/O error, dev {kernel.device}, sector"),
    // drivers/md
    line(
        "raid_disk_failed",
        Failure,
        HOST,
        "md/raid{kernel.level}:{kernel.device}: Disk failure on {kernel.disk}, disabling device.",
    ),
    // net/netfilter, net/ipv4, net/core
    line("table_full", Failure, NET, "nf_conntrack: table full, dropping packet"),
    line("table_full", Failure, NET, "nf_conntrack: nf_conntrack: table full, dropping packet"),
    line(
        "syn_flood",
        Unsaid,
        NET,
        "TCP: request_sock_TCP: Possible SYN flooding on port {destination.port}. {event.reason}",
    ),
    line(
        "syn_flood",
        Unsaid,
        NET,
        "TCP: {kernel.process}: Possible SYN flooding on port {destination.port}. {event.reason}",
    ),
    line(
        "syn_flood",
        Unsaid,
        NET,
        "request_sock_TCP: Possible SYN flooding on port {destination.ip}:{destination.port}. {event.reason}",
    ),
    line("promiscuous_mode", Unsaid, NET, "device {observer.ingress.interface.name} entered promiscuous mode"),
    // kernel/module
    line("module_unsigned", Unsaid, DRIVER, "{kernel.module}: module verification failed: {event.reason}"),
    line("module_foreign", Unsaid, DRIVER, "{kernel.module}: loading out-of-tree module taints kernel."),
];

pub(super) static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(LINES));

/// The text behind the time since the start (`[12345.678901] `), which the kernel's own log has and journald leaves out.
pub(super) fn unstamped(message: &str) -> &str {
    let behind = || {
        let (stamp, rest) = message.strip_prefix('[')?.split_once(']')?;
        let is_stamp = stamp.trim_start().bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        (is_stamp && !stamp.is_empty()).then_some(rest.trim_start())
    };
    behind().unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use canh_schema::{BatchId, Event, EventId, Timestamp, Value, field};

    use super::*;

    #[track_caller]
    fn check(text: &str, action: Option<&str>, expected: &[(&str, &str)]) {
        let id = EventId::new(BatchId::from_journal(1, 1), 0);
        let mut event = Event::new(id, Timestamp::from_secs(0), text.to_owned().into());
        TABLE.apply(&mut event, unstamped(text));
        assert_eq!(event.get(field::EVENT_ACTION).and_then(Value::as_str), action, "text: {text:?}");
        for (name, value) in expected {
            assert_eq!(event.attr(name).and_then(Value::as_str), Some(*value), "`{name}` of {text:?}");
        }
    }

    #[test]
    fn troubles() {
        check(
            "[80123.456789] Out of memory: Killed process 2211 (java) total-vm:9044084kB, anon-rss:7911224kB",
            Some("oom_kill"),
            &[("kernel.process", "java"), ("kernel.pid", "2211")],
        );
        check(
            "Out of memory: Kill process 2211 (java) score 812 or sacrifice child",
            Some("oom_kill"),
            &[("kernel.process", "java")],
        );
        check(
            "java[2211]: segfault at 0 ip 00007f2 sp 00007ffc error 4 in libc-2.17.so[7f2+1c4000]",
            Some("process_crash"),
            &[("kernel.process", "java"), ("kernel.pid", "2211")],
        );
        check(
            "traps: httpd[811] general protection fault ip:7f2 sp:7ff error:0 in libphp.so[7f2+1c4000]",
            Some("process_crash"),
            &[("kernel.process", "httpd")],
        );
        check(
            "INFO: task kworker/u8:2:4411 blocked for more than 120 seconds.",
            Some("task_hung"),
            &[("kernel.process", "kworker/u8:2"), ("kernel.pid", "4411")],
        );
        check(
            "md/raid1:md0: Disk failure on sdb1, disabling device.",
            Some("raid_disk_failed"),
            &[("kernel.device", "md0"), ("kernel.disk", "sdb1")],
        );
        check(
            "XFS (dm-0): Filesystem has been shut down due to log error (0x2).",
            Some("file_system_shutdown"),
            &[("kernel.device", "dm-0")],
        );
        check(
            "TCP: request_sock_TCP: Possible SYN flooding on port 443. Sending cookies.  Check SNMP counters.",
            Some("syn_flood"),
            &[],
        );
        check("[  12.5] usb 1-1: new high-speed USB device", None, &[]);
        check("[x] y", None, &[]);
        check("[", None, &[]);
    }
}
