//! nginx's error log.

use canh_schema::Event;

use super::{Context, Fit, Format, Text, rfc3339};
use crate::source::web_error;

/// `2026/11/22 15:31:48 [error] 812#812: *4711 message, client: …, request: "…"`.
pub(super) struct NginxError;

impl Format for NginxError {
    fn name(&self) -> &'static str {
        "nginx_error"
    }

    fn about(&self) -> &'static str {
        "error log of nginx, ModSecurity's lines in it too"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"2026/11/22 15:31:48 [error] 812#812: *4711 upstream timed out (110: Connection timed out) while reading response header from upstream, client: 203.0.113.9, server: dichvu.tinh.vn, request: "GET /tracuu?so=1 HTTP/1.1", upstream: "http://10.20.2.15:8080/tracuu?so=1", host: "dichvu.tinh.vn""#,
            r#"2026/11/22 15:31:48 [error] 812#812: *4712 [client 203.0.113.9] ModSecurity: Access denied with code 403 (phase 2). Matched "Operator `Ge' with parameter `5'" [file "/etc/crs/REQUEST-949.conf"] [line "80"] [id "949110"] [msg "Inbound Anomaly Score Exceeded"] [hostname "10.20.1.10"] [uri "/tracuu"] [unique_id "1"], client: 203.0.113.9, server: dichvu.tinh.vn, request: "GET /tracuu?so=1 HTTP/1.1""#,
            "2026/11/22 15:31:48 [alert] 811#811: worker process 812 exited on signal 9",
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let line = text.as_str();
        let bytes = line.as_bytes();
        if !bytes.first().is_some_and(u8::is_ascii_digit) || bytes.get(4) != Some(&b'/') {
            return Fit::No;
        }
        let (Some(stamp), Some(rest)) = (line.get(..19), line.get(19..)) else { return Fit::No };
        let Some(at) = rfc3339(&stamp.replacen('/', "-", 2), &context.settings.zone) else { return Fit::No };
        if !web_error::nginx(event, rest.trim_start()) {
            return Fit::No;
        }
        event.time = at;
        Fit::Yes
    }
}
