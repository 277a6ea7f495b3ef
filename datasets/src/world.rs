//! The data centre: its servers, its people by role, its clients, and how busy it is at which hour.

use std::net::Ipv4Addr;
use std::time::Duration;

use canh_schema::Timestamp;
use jiff::tz::TimeZone;
use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use crate::Options;

/// Network zone of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Zone {
    Dmz,
    Application,
    Database,
}

/// One server of the integration platform.
#[derive(Debug)]
pub struct Host {
    pub name: &'static str,
    pub zone: Zone,
    pub address: Ipv4Addr,
}

/// The ten servers. Names and zones are those of a published plan of a provincial integration platform.
pub static HOSTS: [Host; 10] = [
    Host { name: "API-Svr", zone: Zone::Dmz, address: Ipv4Addr::new(10, 10, 1, 11) },
    Host { name: "IS-Svr", zone: Zone::Dmz, address: Ipv4Addr::new(10, 10, 1, 12) },
    Host { name: "BAM-Svr", zone: Zone::Application, address: Ipv4Addr::new(10, 10, 2, 21) },
    Host { name: "DSS-Svr", zone: Zone::Application, address: Ipv4Addr::new(10, 10, 2, 22) },
    Host { name: "ESB-Svr", zone: Zone::Application, address: Ipv4Addr::new(10, 10, 2, 23) },
    Host { name: "QuanTri-Svr", zone: Zone::Application, address: Ipv4Addr::new(10, 10, 2, 24) },
    Host { name: "DichVu-Svr", zone: Zone::Application, address: Ipv4Addr::new(10, 10, 2, 25) },
    Host { name: "LDAP-Svr", zone: Zone::Application, address: Ipv4Addr::new(10, 10, 2, 26) },
    Host { name: "Oracle", zone: Zone::Database, address: Ipv4Addr::new(10, 10, 3, 31) },
    Host { name: "Mysql", zone: Zone::Database, address: Ipv4Addr::new(10, 10, 3, 32) },
];

pub(crate) fn host(name: &str) -> &'static Host {
    HOSTS.iter().find(|host| host.name == name).unwrap_or(&HOSTS[0])
}

/// Servers with Linux and an agent of their own.
pub(crate) const AGENT_HOSTS: [&str; 6] = ["API-Svr", "IS-Svr", "BAM-Svr", "DSS-Svr", "ESB-Svr", "DichVu-Svr"];

/// Name server of the data centre.
pub(crate) const RESOLVER: Ipv4Addr = Ipv4Addr::new(10, 10, 2, 53);

/// Role accounts. They name a duty, not a person.
pub(crate) const OPERATORS: [&str; 4] = ["vanhanh01", "vanhanh02", "vanhanh03", "quantri"];
pub(crate) const BACKUP_ACCOUNT: &str = "saoluu";
/// Runs the application servers.
pub(crate) const WEB_UID: u32 = 91;

/// An operator's workstation. The network 10.20.0.0/24 is that of the operating unit.
pub(crate) fn workstation(random: &mut StdRng) -> Ipv4Addr {
    Ipv4Addr::new(10, 20, 0, random.random_range(10..30))
}

/// A citizen or a department, from one of the documentation networks (RFC 5737).
pub(crate) fn citizen(random: &mut StdRng) -> Ipv4Addr {
    let net = if random.random_bool(0.7) { [203, 0, 113] } else { [192, 0, 2] };
    Ipv4Addr::new(net[0], net[1], net[2], random.random_range(1..200))
}

pub(crate) fn pick<'a, T: ?Sized>(random: &mut StdRng, from: &[&'a T]) -> &'a T {
    from[random.random_range(0..from.len())]
}

/// The span of the scenario and its rhythm.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    scale: f64,
    zone: TimeZone,
}

impl Clock {
    pub(crate) fn new(options: &Options) -> Self {
        let length = Duration::from_secs(u64::from(options.hours) * 3_600);
        Self { start: options.end.saturating_sub(length), end: options.end, scale: options.scale, zone: local_zone() }
    }

    /// Minutes before the end, for the attack.
    pub(crate) fn before_end(&self, minutes: f64) -> Timestamp {
        self.end.saturating_sub(Duration::from_secs_f64(minutes * 60.0))
    }

    pub(crate) fn local(&self, at: Timestamp) -> jiff::Zoned {
        jiff::Timestamp::from(at).to_zoned(self.zone.clone())
    }

    /// How busy offices are: 1.0 in working hours, little at night and on weekends.
    fn load(&self, at: Timestamp) -> f64 {
        let local = self.local(at);
        let weekend = matches!(local.weekday(), jiff::civil::Weekday::Saturday | jiff::civil::Weekday::Sunday);
        let by_hour = match local.hour() {
            8..=10 | 14..=16 => 1.0,
            7 | 11 | 13 | 17 => 0.6,
            12 | 18..=21 => 0.35,
            _ => 0.1,
        };
        if weekend { by_hour * 0.3 } else { by_hour }
    }

    /// Random times of something that happens `per_minute` times a minute in working hours.
    pub(crate) fn times(&self, random: &mut StdRng, per_minute: f64) -> Vec<Timestamp> {
        self.spread(random, |clock, at| per_minute * clock.load(at) * clock.scale)
    }

    /// Random times of something that does not sleep.
    pub(crate) fn times_evenly(&self, random: &mut StdRng, per_minute: f64) -> Vec<Timestamp> {
        self.spread(random, |clock, _| per_minute * clock.scale)
    }

    fn spread(&self, random: &mut StdRng, expected: impl Fn(&Self, Timestamp) -> f64) -> Vec<Timestamp> {
        const MINUTE: Duration = Duration::from_secs(60);
        let mut times = Vec::new();
        let mut minute = self.start;
        while minute + MINUTE <= self.end {
            let mean = expected(self, minute);
            // The whole part happens for certain, the rest by chance: the mean is kept and no table is needed.
            let extra = random.random::<f64>() < mean.fract();
            // A minute never holds more than a few hundred, so the cut is exact.
            let count = mean.trunc() as u64 + u64::from(extra);
            for _ in 0..count {
                times.push(minute + Duration::from_micros(random.random_range(0..60_000_000)));
            }
            minute = minute + MINUTE;
        }
        times.sort_unstable();
        times
    }

    /// Every full hour plus `minute`, in local time.
    pub(crate) fn hourly(&self, minute: u64) -> Vec<Timestamp> {
        let hour = 3_600_000_000_000;
        let mut at = self.start.floor_to(hour) + Duration::from_secs(minute * 60);
        let mut times = Vec::new();
        while at < self.end {
            if at >= self.start {
                times.push(at);
            }
            at = at + Duration::from_secs(3_600);
        }
        times
    }
}

/// The zone of the data centre. The fixed offset is the same: Viet Nam has had no other since 1975.
fn local_zone() -> TimeZone {
    TimeZone::fixed(jiff::tz::offset(7))
}

/// A process number.
pub(crate) fn pid(random: &mut StdRng) -> u32 {
    random.random_range(1_000..60_000)
}

/// A client port.
pub(crate) fn client_port(random: &mut StdRng) -> u16 {
    random.random_range(32_768..61_000)
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(random: &mut StdRng, digits: usize) -> String {
    (0..digits).map(|_| char::from_digit(random.random_range(0..16), 16).unwrap_or('0')).collect()
}

/// Fills bytes.
pub(crate) fn bytes(random: &mut StdRng, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    random.fill_bytes(&mut bytes);
    bytes
}
