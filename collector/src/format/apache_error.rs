//! Apache's error log, of versions 2.2 and 2.4.

use canh_schema::{Event, Timestamp};

use super::clock::{fraction, month, number, time_of_day};
use super::{Civil, Context, Fit, Format, Text};
use crate::source::web_error;

/// `[Sun Nov 22 15:31:48.123456 2026] [module:level] [pid 812] [client 203.0.113.9:50122] message`.
pub(super) struct ApacheError;

impl Format for ApacheError {
    fn name(&self) -> &'static str {
        "apache_error"
    }

    fn about(&self) -> &'static str {
        "error log of Apache, ModSecurity's lines in it too"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"[Sun Nov 22 15:31:48.123456 2026] [security2:error] [pid 812:tid 140] [client 203.0.113.9:50122] [client 203.0.113.9] ModSecurity: Access denied with code 403 (phase 2). Pattern match "x" at ARGS:so. [file "/etc/crs/REQUEST-942.conf"] [line "45"] [id "942100"] [msg "SQL Injection Attack Detected via libinjection"] [hostname "dichvu.tinh.vn"] [uri "/tracuu"] [unique_id "1"]"#,
            "[Sun Nov 22 15:31:48.123456 2026] [authz_core:error] [pid 812] [client 203.0.113.9:50122] AH01630: client denied by server configuration: /var/www/html/.git",
            "[Sun Nov 22 15:31:48 2026] [error] [client 203.0.113.9] File does not exist: /var/www/html/x.php",
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let Some((stamp, rest)) = text.as_str().strip_prefix('[').and_then(|rest| rest.split_once("] [")) else {
            return Fit::No;
        };
        let Some(at) = time(stamp, context) else { return Fit::No };
        if !web_error::apache(event, rest) {
            return Fit::No;
        }
        event.time = at;
        Fit::Yes
    }
}

/// `Sun Nov 22 15:31:48.123456 2026`.
fn time(stamp: &str, context: &Context<'_>) -> Option<Timestamp> {
    let mut words = stamp.split_ascii_whitespace();
    let (_, name, day, clock, year) = (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let (clock, rest) = clock.as_bytes().split_at_checked(8)?;
    let (hour, minute, second) = time_of_day(clock)?;
    let civil = Civil {
        year: i32::try_from(number(year.as_bytes())?).ok()?,
        month: month(name.as_bytes())?,
        day: number(day.as_bytes())?,
        hour,
        minute,
        second,
        nanos: fraction(rest).0,
    };
    civil.in_zone(&context.settings.zone)
}
