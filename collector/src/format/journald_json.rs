//! The journal of systemd as `journalctl -o json` writes it. Times are microseconds, every value is text; a text that
//! is not UTF-8 is a list of bytes. Source: systemd's "Journal Export Formats".

use canh_schema::Event;

use super::json::mark;
use super::{Context, Fit, Format, Text};
use crate::source;

/// `journalctl -o json`.
pub(super) struct JournaldJson;

impl Format for JournaldJson {
    fn name(&self) -> &'static str {
        "journald_json"
    }

    fn about(&self) -> &'static str {
        "systemd journal as JSON"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1795336308250000","_BOOT_ID":"b1","_HOSTNAME":"IS-Svr","_TRANSPORT":"syslog","PRIORITY":"6","SYSLOG_FACILITY":"10","SYSLOG_IDENTIFIER":"sshd","_PID":"812","_UID":"0","_COMM":"sshd","_EXE":"/usr/sbin/sshd","_CMDLINE":"sshd: [accepted]","_SYSTEMD_UNIT":"ssh.service","MESSAGE":"Failed password for root from 203.0.113.9 port 40022 ssh2"}"#,
            r#"{"__REALTIME_TIMESTAMP":"1795336308250000","_HOSTNAME":"IS-Svr","SYSLOG_IDENTIFIER":"app","MESSAGE":[104,105,255]}"#,
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        match text.json(context) {
            Some(json) if json.has(mark::JOURNALD) => (),
            _ => return Fit::No,
        }
        let Some(json) = text.take_json(context) else { return Fit::No };
        json.into_event(event);
        source::journald::apply(event, context);
        Fit::Yes
    }
}
