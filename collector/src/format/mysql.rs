//! Logs of MySQL and MariaDB: the error log, the general query log, and the file of MariaDB's audit plugin.

use canh_schema::{Event, Timestamp, field};

use super::clock::{number, time_of_day};
use super::{Civil, Context, Fit, Format, Text, rfc3339};
use crate::source::mysql;

/// Error log, general log, audit log.
pub(super) struct Mysql;

impl Format for Mysql {
    fn name(&self) -> &'static str {
        "mysql"
    }

    fn about(&self) -> &'static str {
        "error log, general query log and server_audit.log of MySQL and MariaDB"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            "2026-11-22T08:31:48.123456Z 12 [Note] [MY-010926] [Server] Access denied for user 'root'@'203.0.113.9' (using password: YES)",
            "2026-11-22  9:31:48 12 [Warning] Access denied for user 'hoso'@'10.20.1.7' (using password: NO)",
            "2026-11-22T08:31:48.123456Z\t   12 Query\tSELECT * FROM hoso INTO OUTFILE '/tmp/x'",
            "2026-11-22T08:31:48.123456Z\t   12 Connect\troot@203.0.113.9 on hoso using TCP/IP",
            "20261122 15:31:48,Mysql,root,203.0.113.9,12,34,QUERY,hoso,'SELECT 1, \\'a\\'',0",
            "20261122 15:31:48,Mysql,root,203.0.113.9,12,0,FAILED_CONNECT,,,1045",
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let line = text.as_str();
        if !line.as_bytes().first().is_some_and(u8::is_ascii_digit) {
            return Fit::No;
        }
        let read = audit(line, context, event).or_else(|| general(line, context, event));
        if read.or_else(|| error(line, context, event)).is_none() {
            return Fit::No;
        }
        if event.get(field::MESSAGE).is_none() {
            event.set(field::MESSAGE, line);
        }
        Fit::Yes
    }
}

/// `20261122 15:31:48,host,user,client,connection,query,OPERATION,database,object,code`.
fn audit(line: &str, context: &Context<'_>, event: &mut Event) -> Option<()> {
    let (stamp, rest) = line.split_once(',')?;
    let (date, clock) = stamp.split_at_checked(8)?;
    let (hour, minute, second) = time_of_day(clock.strip_prefix(' ')?.as_bytes())?;
    let date = date.as_bytes();
    let civil = Civil {
        year: i32::try_from(number(&date[..4])?).ok()?,
        month: number(&date[4..6])?,
        day: number(&date[6..])?,
        hour,
        minute,
        second,
        nanos: 0,
    };
    let at = civil.in_zone(&context.settings.zone)?;
    mysql::audit(event, rest).then_some(())?;
    event.time = at;
    Some(())
}

/// `2026-11-22T08:31:48.123456Z<tab>   12 Query<tab>SELECT 1`.
fn general(line: &str, context: &Context<'_>, event: &mut Event) -> Option<()> {
    let (stamp, rest) = line.split_once('\t')?;
    let (thread, rest) = rest.trim_start_matches([' ', '\t']).split_once(' ')?;
    let (command, argument) = rest.split_once('\t').unwrap_or((rest, ""));
    if thread.is_empty() || !thread.bytes().all(|byte| byte.is_ascii_digit()) || !mysql::is_command(command) {
        return None;
    }
    event.time = time(stamp, context)?;
    mysql::general(event, thread, command, argument);
    Some(())
}

/// `time thread [Label] [code] [part] message`.
fn error(line: &str, context: &Context<'_>, event: &mut Event) -> Option<()> {
    let open = line.find(" [").filter(|open| *open < 64)?;
    let (stamp, thread) = line[..open].rsplit_once(' ')?;
    if thread.is_empty() || !thread.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let at = time(stamp.trim_end(), context)?;
    mysql::error(event, thread, &line[open + 1..]).then_some(())?;
    event.time = at;
    Some(())
}

/// A line of the error log that came through syslog, where time and thread may be left out.
pub(crate) fn syslog(event: &mut Event, context: &Context<'_>, message: &str) -> bool {
    error(message, context, event).is_some() || mysql::error(event, "", message.trim_start())
}

/// RFC 3339, MariaDB's hours without a leading zero, and `yymmdd hh:mm:ss`.
fn time(stamp: &str, context: &Context<'_>) -> Option<Timestamp> {
    let zone = &context.settings.zone;
    let stamp = stamp.trim();
    if let Some((date, clock)) = stamp.split_once(' ') {
        let clock = clock.trim_start();
        let clock = if clock.as_bytes().get(1) == Some(&b':') { format!("0{clock}") } else { clock.to_owned() };
        let date = match date.as_bytes() {
            [y1, y2, m1, m2, d1, d2] => {
                let digits = [*y1, *y2, *m1, *m2, *d1, *d2].map(char::from);
                let [y1, y2, m1, m2, d1, d2] = digits;
                format!("20{y1}{y2}-{m1}{m2}-{d1}{d2}")
            }
            _ => date.to_owned(),
        };
        return rfc3339(&format!("{date} {clock}"), zone);
    }
    rfc3339(stamp, zone)
}
