//! Text logs of Oracle Database: errors of the alert log, and the listener's log.

use canh_schema::{Event, Timestamp, field};

use super::clock::{month, number, time_of_day};
use super::{Civil, Context, Fit, Format, Text};
use crate::source::oracle;

/// Alert log and listener log.
pub(super) struct Oracle;

impl Format for Oracle {
    fn name(&self) -> &'static str {
        "oracle"
    }

    fn about(&self) -> &'static str {
        "lines of Oracle's alert log that begin with an error number, and listener.log"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            "ORA-1653: unable to extend table HOSO.TAILIEU by 128 in                 tablespace HOSO_DATA",
            "ORA-00257: archiver error. Connect internal only, until freed.",
            "22-NOV-2026 15:31:48 * (CONNECT_DATA=(SERVICE_NAME=hoso)(CID=(PROGRAM=sqlplus)(HOST=may01)(USER=canbo01))) * (ADDRESS=(PROTOCOL=tcp)(HOST=203.0.113.9)(PORT=50122)) * establish * hoso * 12514",
            "22-NOV-2026 15:31:48 * (CONNECT_DATA=(CID=(PROGRAM=)(HOST=Oracle)(USER=oracle))(COMMAND=stop)(ARGUMENTS=64)(SERVICE=LISTENER)(VERSION=318767104)) * stop * 0",
            "TNS-12514: TNS:listener does not currently know of service requested in connect descriptor",
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let line = text.as_str();
        let read = match line.as_bytes() {
            [b'O', b'R', b'A', b'-', ..] | [b'T', b'N', b'S', b'-', ..] => oracle::error(event, line),
            [first, ..] if first.is_ascii_digit() => match time(line, context) {
                Some((at, rest)) if oracle::listener(event, rest) => {
                    event.time = at;
                    true
                }
                _ => false,
            },
            _ => false,
        };
        if !read {
            return Fit::No;
        }
        event.set(field::MESSAGE, line);
        Fit::Yes
    }
}

/// `22-NOV-2026 15:31:48 * `, and what follows.
fn time<'t>(line: &'t str, context: &Context<'_>) -> Option<(Timestamp, &'t str)> {
    let (stamp, rest) = line.split_once(" * ")?;
    let (date, clock) = stamp.split_once(' ')?;
    let [d1, d2, b'-', m1, m2, m3, b'-', year @ ..] = date.as_bytes() else { return None };
    let (hour, minute, second) = time_of_day(clock.as_bytes())?;
    let civil = Civil {
        year: i32::try_from(number(year)?).ok()?,
        month: month(&[*m1, m2.to_ascii_lowercase(), m3.to_ascii_lowercase()])?,
        day: number(&[*d1, *d2])?,
        hour,
        minute,
        second,
        nanos: 0,
    };
    Some((civil.in_zone(&context.settings.zone)?, rest))
}
