//! Reads the text files of `/proc`. Plain functions: text in, numbers out. What cannot be read is left out.
//!
//! Source: proc(5) and the kernel's `Documentation/admin-guide/iostats.rst`.

/// CPU time by state since boot, in clock ticks.
pub(crate) const CPU_STATES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "interrupt", "softirq", "steal"];

/// The first line of `/proc/stat`, in the order of [`CPU_STATES`].
pub(crate) fn cpu_ticks(stat: &str) -> Option<[u64; 8]> {
    let line = stat.lines().find(|line| line.starts_with("cpu "))?;
    let mut ticks = [0; 8];
    let mut fields = line.split_ascii_whitespace().skip(1);
    for tick in &mut ticks {
        *tick = fields.next()?.parse().ok()?;
    }
    Some(ticks)
}

/// Share of each state between two readings, each from 0 to 1. `None` if no time has passed.
pub(crate) fn cpu_shares(earlier: &[u64; 8], later: &[u64; 8]) -> Option<[f64; 8]> {
    // Some kernels let iowait and steal fall a little; that counts as no time.
    let spent: Vec<u64> = earlier.iter().zip(later).map(|(earlier, later)| later.saturating_sub(*earlier)).collect();
    let total: u64 = spent.iter().sum();
    if total == 0 {
        return None;
    }
    let mut shares = [0.0; 8];
    for (share, spent) in shares.iter_mut().zip(spent) {
        *share = spent as f64 / total as f64;
    }
    Some(shares)
}

/// Load over 1, 5 and 15 minutes.
pub(crate) fn load_average(loadavg: &str) -> Option<[f64; 3]> {
    let mut fields = loadavg.split_ascii_whitespace().map(|field| field.parse().ok());
    Some([fields.next()??, fields.next()??, fields.next()??])
}

/// Seconds since boot.
pub(crate) fn uptime(uptime: &str) -> Option<f64> {
    uptime.split_ascii_whitespace().next()?.parse().ok()
}

/// Memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) total: u64,
    pub(crate) free: u64,
    pub(crate) available: u64,
    pub(crate) buffers: u64,
    pub(crate) cached: u64,
    pub(crate) swap_total: u64,
    pub(crate) swap_free: u64,
}

pub(crate) fn memory(meminfo: &str) -> Option<Memory> {
    let value = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
    };
    let free = value("MemFree")?;
    let (buffers, cached) = (value("Buffers").unwrap_or(0), value("Cached").unwrap_or(0));
    Some(Memory {
        total: value("MemTotal")?,
        free,
        // Kernels before 3.14 do not say.
        available: value("MemAvailable").unwrap_or(free + buffers + cached),
        buffers,
        cached,
        swap_total: value("SwapTotal").unwrap_or(0),
        swap_free: value("SwapFree").unwrap_or(0),
    })
}

/// One whole disk, totals since boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) name: String,
    pub(crate) reads: u64,
    pub(crate) read_bytes: u64,
    pub(crate) writes: u64,
    pub(crate) written_bytes: u64,
    pub(crate) busy_ms: u64,
}

/// Disks that have done something, without loop and RAM disks. Partitions are not told apart from disks here.
pub(crate) fn disks(diskstats: &str) -> Vec<Disk> {
    const SECTOR: u64 = 512;
    let disk = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        let name = *fields.get(2)?;
        let disk = Disk {
            name: name.to_owned(),
            reads: number(3)?,
            read_bytes: number(5)? * SECTOR,
            writes: number(7)?,
            written_bytes: number(9)? * SECTOR,
            busy_ms: number(12)?,
        };
        let real = !name.starts_with("loop") && !name.starts_with("ram") && disk.reads + disk.writes > 0;
        real.then_some(disk)
    };
    diskstats.lines().filter_map(disk).collect()
}

/// One network interface, totals since boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// Bytes, packets, errors, drops.
    pub(crate) received: [u64; 4],
    pub(crate) sent: [u64; 4],
}

/// Interfaces of `/proc/net/dev` except the loopback.
pub(crate) fn interfaces(net_dev: &str) -> Vec<Interface> {
    let interface = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let name = name.trim();
        let numbers: Vec<u64> = numbers.split_ascii_whitespace().map_while(|field| field.parse().ok()).collect();
        let received = numbers.get(0..4)?.try_into().ok()?;
        let sent = numbers.get(8..12)?.try_into().ok()?;
        (name != "lo").then(|| Interface { name: name.to_owned(), received, sent })
    };
    net_dev.lines().filter_map(interface).collect()
}

/// A mounted filesystem that has a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) device: String,
    pub(crate) point: String,
    pub(crate) kind: String,
}

/// Filesystems of `/proc/mounts` on a device or a network, each device once.
pub(crate) fn mounts(mounts: &str) -> Vec<Mount> {
    const OTHERS: [&str; 8] = ["nfs", "nfs4", "cifs", "zfs", "overlay", "tmpfs", "9p", "virtiofs"];
    let mut found: Vec<Mount> = Vec::new();
    for line in mounts.lines() {
        let mut fields = line.split_ascii_whitespace().map(unescape);
        let (Some(device), Some(point), Some(kind)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let kept = device.starts_with("/dev/") || OTHERS.contains(&kind.as_str());
        // `tmpfs` is the name of many filesystems, a device name is of one.
        let known =
            found.iter().any(|mount| mount.point == point || (mount.device == device && device.starts_with('/')));
        let ours = ["/proc", "/sys", "/dev", "/run"]
            .iter()
            .any(|top| point.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
        if kept && !known && !ours && kind != "squashfs" {
            found.push(Mount { device, point, kind });
        }
    }
    found
}

/// `/proc/mounts` writes blanks and backslashes in octal.
fn unescape(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut rest = field;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) if code.is_ascii() => {
                text.push(char::from(code));
                rest = &rest[at + 4..];
            }
            _ => {
                text.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu() {
        let text = "cpu  100 1 50 800 40 0 5 4 0 0\ncpu0 50 0 25 400 20 0 2 2 0 0\n";
        let ticks = cpu_ticks(text).unwrap();
        assert_eq!(ticks, [100, 1, 50, 800, 40, 0, 5, 4]);
        let later = [150, 1, 100, 900, 30, 0, 5, 4];
        assert_eq!(cpu_shares(&ticks, &later), Some([0.25, 0.0, 0.25, 0.5, 0.0, 0.0, 0.0, 0.0]));
        assert_eq!(cpu_shares(&ticks, &ticks), None);
        assert_eq!(cpu_ticks("cpu  1 2 3\n"), None);
        assert_eq!(cpu_ticks(""), None);
    }

    #[test]
    fn load_and_uptime() {
        assert_eq!(load_average("0.57 0.80 0.71 2/300 1234\n"), Some([0.57, 0.80, 0.71]));
        assert_eq!(load_average("0.57\n"), None);
        assert_eq!(uptime("1097.93 2000.11\n"), Some(1097.93));
        assert_eq!(uptime(""), None);
    }

    #[test]
    fn memory_of_new_and_old_kernels() {
        let new = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 600 kB\nBuffers: 50 kB\nCached: 400 kB\nSwapTotal: 20 kB\nSwapFree: 5 kB\n";
        let memory_new = memory(new).unwrap();
        assert_eq!((memory_new.total, memory_new.available, memory_new.swap_free), (1_024_000, 614_400, 5_120));
        let old = "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 400 kB\n";
        assert_eq!(memory(old).unwrap().available, 550 * 1024);
        assert_eq!(memory("MemFree: x kB"), None);
    }

    #[test]
    fn disks_and_interfaces() {
        let text = "   8  0 sda 10 0 20 5 30 0 40 7 0 9 12\n   7  0 loop0 10 0 20 5 30 0 40 7 0 9 12\n   8 16 sdb 0 0 0 0 0 0 0 0 0 0 0\njunk\n";
        let expected = Disk {
            name: "sda".to_owned(),
            reads: 10,
            read_bytes: 10_240,
            writes: 30,
            written_bytes: 20_480,
            busy_ms: 9,
        };
        assert_eq!(disks(text), [expected]);
        let text = "Inter-| Receive | Transmit\n face |bytes packets\n  lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0:100 2 3 4 0 0 0 0 500 6 7 8 0 0 0 0\nbad: 1 2\n";
        let expected = Interface { name: "eth0".to_owned(), received: [100, 2, 3, 4], sent: [500, 6, 7, 8] };
        assert_eq!(interfaces(text), [expected]);
    }

    #[test]
    fn filesystems() {
        let text = "proc /proc proc rw 0 0\n/dev/sda1 / ext4 rw 0 0\n/dev/sda1 /var/lib/x ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\ntmpfs /run/user tmpfs rw 0 0\n/dev/loop0 /snap squashfs ro 0 0\nnas:/a /mnt/two\\040words nfs rw 0 0\n";
        let points: Vec<_> = mounts(text).into_iter().map(|mount| mount.point).collect();
        assert_eq!(points, ["/", "/tmp", "/mnt/two words"]);
        assert_eq!(unescape("a\\134b\\"), "a\\b\\");
        assert_eq!(unescape("é\\9"), "é\\9");
    }
}
