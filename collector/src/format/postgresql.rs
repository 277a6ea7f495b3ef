//! The server log of PostgreSQL: time, whatever `log_line_prefix` puts there, a severity with two blanks behind it, the
//! message. Continuation lines (a statement of several lines) stand alone and are not read here.

use canh_schema::{Event, Timestamp};

use super::{Context, Fit, Format, Text, rfc3339};
use crate::source::postgresql;

/// Server log of PostgreSQL.
pub(super) struct Postgresql;

impl Format for Postgresql {
    fn name(&self) -> &'static str {
        "postgresql"
    }

    fn about(&self) -> &'static str {
        "server log of PostgreSQL with the usual values of log_line_prefix"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            "2026-11-22 15:31:48.123 +07 [812] motcua@hoso FATAL:  password authentication failed for user \"motcua\"",
            "2026-11-22 15:31:48 ICT [812]: [2-1] user=motcua,db=hoso,app=[unknown],client=203.0.113.9 FATAL:  no pg_hba.conf entry for host \"203.0.113.9\", user \"motcua\", database \"hoso\", no encryption",
            "2026-11-22 08:31:48.123 UTC [813] LOG:  connection received: host=10.20.1.7 port=50122",
            "2026-11-22 08:31:48.123 UTC [813] LOG:  connection authorized: user=motcua database=hoso application_name=psql",
            "2026-11-22 08:31:48.123 UTC [813] dba@hoso LOG:  statement: COPY hoso TO PROGRAM 'cat > /tmp/x'",
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let Some((time, rest)) = leading_time(text.as_str(), context) else { return Fit::No };
        let Some(line) = postgresql::split(rest) else { return Fit::No };
        event.time = time;
        postgresql::apply(event, &line);
        Fit::Yes
    }
}

/// `2026-11-22 15:31:48.123 +07 ` at the start, and what follows.
pub(crate) fn leading_time<'t>(text: &'t str, context: &Context<'_>) -> Option<(Timestamp, &'t str)> {
    let bytes = text.as_bytes();
    if !bytes.first().is_some_and(u8::is_ascii_digit) || bytes.get(10) != Some(&b' ') {
        return None;
    }
    let clock_len = text.get(11..)?.find(' ')?;
    let stamp = text.get(..11 + clock_len)?;
    let rest = text.get(12 + clock_len..)?;
    let (zone, after) = rest.split_once(' ')?;
    let zone_name = &context.settings.zone;
    match zone {
        "UTC" | "GMT" => Some((rfc3339(&format!("{stamp}Z"), zone_name)?, after)),
        "ICT" => Some((rfc3339(&format!("{stamp}+07:00"), zone_name)?, after)),
        _ if zone.starts_with(['+', '-']) => Some((rfc3339(&format!("{stamp}{zone}"), zone_name)?, after)),
        // Other short names of zones mean different things in different places; the configured zone is the better guess.
        _ if zone.len() <= 5 && zone.bytes().all(|byte| byte.is_ascii_uppercase()) => {
            Some((rfc3339(stamp, zone_name)?, after))
        }
        _ => None,
    }
}
