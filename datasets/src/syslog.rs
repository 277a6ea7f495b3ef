//! Servers without an agent: they send syslog themselves. Database hosts speak RFC 5424 and RFC 3164 over TCP, the
//! directory RFC 3164 over UDP.

use canh_schema::Timestamp;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::output::{Door, Output, Stream};
use crate::world::{Clock, HOSTS, hex, pid};

const TCP: &str = "syslog.log";

fn facility_severity(facility: u8, severity: u8) -> u8 {
    facility * 8 + severity
}

/// RFC 5424, local time with offset.
pub(crate) fn rfc5424(
    clock: &Clock,
    output: &mut Output,
    host: &'static str,
    at: Timestamp,
    program: &str,
    pid: u32,
    text: &str,
) {
    let stamp = clock.local(at).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string();
    let priority = facility_severity(3, 6);
    let line = format!("<{priority}>1 {stamp} {host} {program} {pid} - - {text}");
    output.line(Stream { host, name: TCP, door: Door::SyslogTcp }, at, line);
}

/// RFC 3164, local time without offset.
pub(crate) fn rfc3164(
    clock: &Clock,
    output: &mut Output,
    stream: Stream,
    at: Timestamp,
    tag: &str,
    priority: u8,
    text: &str,
) {
    let stamp = clock.local(at).strftime("%b %e %H:%M:%S").to_string();
    output.line(stream, at, format!("<{priority}>{stamp} {} {tag}: {text}", stream.host));
}

pub(crate) fn ordinary(clock: &Clock, random: &mut StdRng, output: &mut Output) {
    for at in clock.times(random, 2.0) {
        let thread = random.random_range(20..4_000);
        let text = match random.random_range(0..10) {
            0 => format!(
                "{thread} [Warning] Aborted connection {thread} to db: 'lgsp' user: 'esb' (Got timeout reading communication packets)"
            ),
            1..4 => format!("{thread} Connect esb@10.10.2.23 on lgsp using TCP/IP"),
            _ => format!("{thread} Query SELECT ma, ten FROM danhmuc_donvi WHERE cap = {}", random.random_range(1..4)),
        };
        rfc5424(clock, output, "Mysql", at, "mysqld", 1_022, &text);
    }
    let oracle = Stream { host: "Oracle", name: TCP, door: Door::SyslogTcp };
    for at in clock.times(random, 1.5) {
        let client = HOSTS[random.random_range(2..5)].address;
        let text = format!(
            "LENGTH: \"212\" SESSIONID:[9] \"{}\" ACTION:[3] \"100\" RETURNCODE:[1] \"0\" USERHOST:[12] \"{client}\" DBUSER:[4] \"LGSP\"",
            hex(random, 9)
        );
        rfc3164(clock, output, oracle, at, &format!("Oracle Audit[{}]", pid(random)), facility_severity(16, 6), &text);
    }
    let ldap = Stream { host: "LDAP-Svr", name: "syslog-udp.log", door: Door::SyslogUdp };
    for at in clock.times(random, 1.0) {
        let connection = random.random_range(1_000..90_000);
        let error = if random.random_bool(0.03) { 49 } else { 0 };
        for text in [
            format!("conn={connection} op=0 BIND dn=\"uid=esb,ou=ungdung,dc=tinh,dc=example\" method=128"),
            format!("conn={connection} op=0 RESULT tag=97 err={error} text="),
        ] {
            rfc3164(clock, output, ldap, at, "slapd[811]", facility_severity(20, 7), &text);
        }
    }
}
