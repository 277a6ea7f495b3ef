//! Power: the programs that watch an uninterruptible supply, apcupsd and NUT's upsmon.

use std::sync::LazyLock;

use super::template::Outcome::{Failure, Success, Unsaid};
use super::template::{Line, Table, line};

const HOST: &str = "host";

static LINES: &[Line] = &[
    line("power_failed", Failure, HOST, "Power failure."),
    line("power_failed", Failure, HOST, "Running on UPS batteries."),
    line("power_failed", Failure, HOST, "UPS {power.device} on battery"),
    line("power_back", Success, HOST, "Mains returned. No longer on UPS batteries."),
    line("power_back", Success, HOST, "Power is back. UPS running on mains."),
    line("power_back", Success, HOST, "UPS {power.device} on line power"),
    line("power_low", Failure, HOST, "Battery power exhausted."),
    line("power_low", Failure, HOST, "UPS {power.device} battery is low"),
    line("power_battery_worn", Unsaid, HOST, "UPS battery must be replaced."),
    line("power_battery_worn", Unsaid, HOST, "UPS {power.device} battery needs to be replaced"),
    line("power_link_lost", Failure, HOST, "Communications with UPS {power.device} lost"),
    line("power_link_lost", Failure, HOST, "Communications with UPS lost."),
    line("power_link_lost", Failure, HOST, "UPS {power.device} is unavailable"),
    line("power_shutdown", Unsaid, HOST, "Initiating system shutdown!"),
    line("power_shutdown", Unsaid, HOST, "Auto logout and shutdown proceeding"),
];

pub(super) static POWER: LazyLock<Table> = LazyLock::new(|| Table::new(LINES));
