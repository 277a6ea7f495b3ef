//! Measures the host at a fixed interval: processor, load, memory, swap, disks, filesystems, network, uptime.
//!
//! Names are OpenTelemetry's (semantic conventions for system metrics).

use std::fs;
use std::path::Path;
use std::time::Duration;

use canh_schema::{Timestamp, Value};
use canh_wire::{Counting, MetricsBuilder};
use nix::sys::statvfs::statvfs;
use serde::Deserialize;

use super::{Context, Input, InputError, Mode, proc, wait};
use crate::counters::Source;
use crate::queue::{Item, Payload};

/// `[input.metrics]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// Time between two measurements.
    #[serde(default = "interval", with = "canh_config::duration")]
    pub interval: Duration,
}

fn interval() -> Duration {
    Duration::from_secs(15)
}

pub struct MetricsInput {
    config: MetricsConfig,
    ticks: Option<[u64; 8]>,
}

impl MetricsInput {
    pub fn new(config: MetricsConfig) -> Self {
        Self { config, ticks: None }
    }

    /// One message with everything that can be measured at this moment.
    fn sample(&mut self, context: &Context) -> MetricsBuilder {
        let now = Timestamp::now();
        let up = read("uptime").as_deref().and_then(proc::uptime).unwrap_or(0.0);
        let boot = now.saturating_sub(Duration::try_from_secs_f64(up).unwrap_or_default());
        let mut metrics = MetricsBuilder::new(context.origin.clone(), boot, now);
        metrics.add(Counting::Gauge, "system.uptime", "s", &Value::Float(up), &[]);
        self.processor(&mut metrics);
        memory(&mut metrics);
        disks(&mut metrics);
        filesystems(&mut metrics);
        network(&mut metrics);
        metrics
    }

    fn processor(&mut self, metrics: &mut MetricsBuilder) {
        if let Some(ticks) = read("stat").as_deref().and_then(proc::cpu_ticks) {
            let shares = self.ticks.as_ref().and_then(|earlier| proc::cpu_shares(earlier, &ticks));
            for (state, share) in proc::CPU_STATES.into_iter().zip(shares.into_iter().flatten()) {
                let value = Value::Float(share);
                metrics.add(Counting::Gauge, "system.cpu.utilization", "1", &value, &[("cpu.mode", state)]);
            }
            self.ticks = Some(ticks);
        }
        let names = ["system.cpu.load_average.1m", "system.cpu.load_average.5m", "system.cpu.load_average.15m"];
        let load = read("loadavg").as_deref().and_then(proc::load_average);
        for (name, load) in names.into_iter().zip(load.into_iter().flatten()) {
            metrics.add(Counting::Gauge, name, "{thread}", &Value::Float(load), &[]);
        }
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let count = processes
            .filter(|entry| {
                entry.file_name().to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            })
            .count();
        metrics.add(Counting::UpDown, "system.process.count", "{process}", &integer(count as u64), &[]);
    }
}

fn read(name: &str) -> Option<String> {
    fs::read_to_string(Path::new("/proc").join(name)).ok()
}

fn integer(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

fn share(part: u64, whole: u64) -> Value {
    if whole == 0 { Value::Null } else { Value::Float(part as f64 / whole as f64) }
}

fn memory(metrics: &mut MetricsBuilder) {
    let Some(memory) = read("meminfo").as_deref().and_then(proc::memory) else { return };
    let used = memory.total.saturating_sub(memory.available);
    let states = [
        ("used", used),
        ("free", memory.free),
        ("buffers", memory.buffers),
        ("cached", memory.cached),
        ("available", memory.available),
    ];
    for (state, bytes) in states {
        let state = [("system.memory.state", state)];
        metrics.add(Counting::UpDown, "system.memory.usage", "By", &integer(bytes), &state);
    }
    metrics.add(Counting::UpDown, "system.memory.limit", "By", &integer(memory.total), &[]);
    metrics.add(
        Counting::Gauge,
        "system.memory.utilization",
        "1",
        &share(used, memory.total),
        &[("system.memory.state", "used")],
    );
    let swapped = memory.swap_total.saturating_sub(memory.swap_free);
    for (state, bytes) in [("used", swapped), ("free", memory.swap_free)] {
        let state = [("system.paging.state", state)];
        metrics.add(Counting::UpDown, "system.paging.usage", "By", &integer(bytes), &state);
    }
}

fn disks(metrics: &mut MetricsBuilder) {
    let disks = read("diskstats").as_deref().map(proc::disks).unwrap_or_default();
    // Partitions have no folder of their own here; their disk counts for them.
    let disks: Vec<_> =
        disks.into_iter().filter(|disk| Path::new("/sys/block").join(disk.name.replace('/', "!")).exists()).collect();
    let add = |metrics: &mut MetricsBuilder, name, unit, disk: &proc::Disk, direction, value| {
        let attributes = [("system.device", disk.name.as_str()), ("disk.io.direction", direction)];
        metrics.add(Counting::Counter, name, unit, &integer(value), &attributes);
    };
    for disk in &disks {
        add(metrics, "system.disk.io", "By", disk, "read", disk.read_bytes);
        add(metrics, "system.disk.io", "By", disk, "write", disk.written_bytes);
    }
    for disk in &disks {
        add(metrics, "system.disk.operations", "{operation}", disk, "read", disk.reads);
        add(metrics, "system.disk.operations", "{operation}", disk, "write", disk.writes);
    }
    for disk in &disks {
        let seconds = Value::Float(disk.busy_ms as f64 / 1_000.0);
        metrics.add(Counting::Counter, "system.disk.io_time", "s", &seconds, &[("system.device", &disk.name)]);
    }
}

fn filesystems(metrics: &mut MetricsBuilder) {
    let mounts = read("self/mounts").as_deref().map(proc::mounts).unwrap_or_default();
    let measured: Vec<_> = mounts
        .into_iter()
        .filter_map(|mount| {
            let sizes = statvfs(mount.point.as_str()).ok()?;
            let block = sizes.fragment_size();
            let [total, free, available] = [sizes.blocks(), sizes.blocks_free(), sizes.blocks_available()]
                .map(|blocks| blocks.saturating_mul(block));
            (total > 0).then_some((mount, total, free, available))
        })
        .collect();
    for (mount, total, free, available) in &measured {
        let states = [
            ("used", total.saturating_sub(*free)),
            ("free", *available),
            ("reserved", free.saturating_sub(*available)),
        ];
        for (state, bytes) in states {
            let attributes = [
                ("system.device", mount.device.as_str()),
                ("system.filesystem.mountpoint", mount.point.as_str()),
                ("system.filesystem.type", mount.kind.as_str()),
                ("system.filesystem.state", state),
            ];
            metrics.add(Counting::UpDown, "system.filesystem.usage", "By", &integer(bytes), &attributes);
        }
    }
    for (mount, total, free, available) in &measured {
        // As `df` has it: of what an ordinary user can use, how much is used.
        let used = total.saturating_sub(*free);
        let attributes = [
            ("system.device", mount.device.as_str()),
            ("system.filesystem.mountpoint", mount.point.as_str()),
            ("system.filesystem.type", mount.kind.as_str()),
        ];
        metrics.add(Counting::Gauge, "system.filesystem.utilization", "1", &share(used, used + available), &attributes);
    }
}

fn network(metrics: &mut MetricsBuilder) {
    let interfaces = read("net/dev").as_deref().map(proc::interfaces).unwrap_or_default();
    let rows = [
        ("system.network.io", "By"),
        ("system.network.packet.count", "{packet}"),
        ("system.network.errors", "{error}"),
        ("system.network.packet.dropped", "{packet}"),
    ];
    for (at, (name, unit)) in rows.into_iter().enumerate() {
        for interface in &interfaces {
            for (direction, totals) in [("receive", &interface.received), ("transmit", &interface.sent)] {
                let attributes =
                    [("network.interface.name", interface.name.as_str()), ("network.io.direction", direction)];
                metrics.add(Counting::Counter, name, unit, &integer(totals[at]), &attributes);
            }
        }
    }
}

impl Input for MetricsInput {
    fn name(&self) -> String {
        "metrics".to_owned()
    }

    fn run(&mut self, context: &Context) -> Result<(), InputError> {
        loop {
            let metrics = self.sample(context);
            let count = metrics.len();
            let payload = Payload::Metrics(metrics.finish(), count);
            // While the queue is full this waits: a late measurement carries the time at which it was made.
            context.sink.send(vec![Item { source: Source::Metrics, payload, mark: None }])?;
            if context.mode == Mode::Once || !wait(&context.stop, self.config.interval) {
                return Ok(());
            }
        }
    }
}
