//! `correlation.log`: what a call did inside a WSO2 product, with bars between the columns. What the columns are depends
//! on the fifth and on how many there are. The column that may hold a credential is left out of the fields.

use canh_schema::{Event, LogSource, Value, field};
use compact_str::CompactString;

use super::{Context, Fit, Format, Text, rfc3339};
use crate::source::project;
use crate::source::web::{self, Exchange};

/// The correlation log.
pub(super) struct Wso2Correlation;

/// Columns of one kind of line behind the kind itself; an empty name is left out.
type Columns = &'static [&'static str];

const KINDS: &[(&str, Columns)] = &[
    ("METHOD", &["code.class", "code.method", ""]),
    (
        "HTTP",
        &[
            "api",
            "method",
            "path",
            "",
            "",
            "org",
            "source",
            "app",
            "uuid",
            "request.bytes",
            "response.bytes",
            "status",
            "application",
            "consumer_key",
            "round_trip_ms",
        ],
    ),
    ("HTTP", &["url", "state"]),
    ("HTTP State Transition", &["connection", "method", "url", "state"]),
    ("jdbc", &["started", "call", "query", "url"]),
    ("ldap", &["started", "call", "url", "name", "count", "arguments"]),
];

/// Most columns of a line; a query of a database may hold bars of its own.
const COLUMNS_MAX: usize = 64;

/// The place of the caller's `Authorization` header in the line of a call.
const AUTHORIZATION: usize = 9;

/// The line without what may be a credential.
fn shown(columns: &[&str], names: Columns) -> String {
    let is_call = names.len() > 10;
    let one = |(place, column)| if is_call && place == AUTHORIZATION { "***" } else { column };
    columns.iter().copied().enumerate().map(one).collect::<Vec<_>>().join("|")
}

impl Format for Wso2Correlation {
    fn name(&self) -> &'static str {
        "wso2_correlation"
    }

    fn about(&self) -> &'static str {
        "correlation.log of WSO2 products: calls, methods, queries and states with their time"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            "2026-11-22 15:10:56,293|a783f7c3|PassThroughMessageProcessor-3|0|METHOD|org.wso2.CORSRequestHandler|handleRequest|[messageContext]",
            "2026-11-22 15:10:56,316|a783f7c3|PassThroughMessageProcessor-4|20|HTTP|quantri--HoTich:v1.0.0|GET|/hotich/1.0.0/khaisinh/12|hotich/1.0.0/khaisinh/12|Bearer 07f6b26d|null|null|null|null|71|2238|200|MotCua|AwlPOz2aDf2i1gZFWgITEgf4oPsa|21",
            "2026-11-22 15:10:56,314|a783f7c3|HTTPS-Sender I/O dispatcher-1|1|HTTP State Transition|http-outgoing-1|GET|https://10.20.2.15/hotich|RESPONSE_DONE",
            "2026-11-22 15:19:14,863|ff0c8866|HTTP-Sender I/O dispatcher-3|832 |HTTP|http://10.20.2.15/hotich|BACKEND LATENCY",
            "2026-11-22 15:19:14,863||pool-10-thread-1|0|jdbc|1543484953984|executeQuery|SELECT 1|jdbc:mysql://10.20.3.12/am",
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let line = text.as_str();
        if !line.as_bytes().first().is_some_and(u8::is_ascii_digit) {
            return Fit::No;
        }
        let columns: Vec<&str> = line.splitn(COLUMNS_MAX, '|').collect();
        let [stamp, id, thread, millis, kind, rest @ ..] = columns.as_slice() else { return Fit::No };
        let Some(at) = rfc3339(stamp, &context.settings.zone) else { return Fit::No };
        let of_kind = || KINDS.iter().filter(|(name, _)| name == kind);
        let exact = of_kind().find(|(_, names)| names.len() == rest.len());
        let Some((_, names)) = exact.or_else(|| of_kind().next()) else { return Fit::No };
        event.time = at;
        event.set(field::MESSAGE, shown(&columns, names));
        event.set(field::EVENT_DATASET, "wso2.correlation");
        event.set(field::EVENT_ACTION, CompactString::from(kind.to_ascii_lowercase().replace(' ', "_")));
        let given = |value: &str| !matches!(value, "" | "null");
        let mut attr = |name: &str, value: &str| {
            if given(value) {
                event.attrs.push((compact_str::format_compact!("wso2.{name}"), Value::from(value)));
            }
        };
        attr("correlation_id", id);
        attr("thread", thread);
        for (name, value) in names.iter().zip(rest).filter(|(name, _)| !name.is_empty()) {
            attr(name, value);
        }
        if let Some(nanos) = millis.trim().parse::<i64>().ok().and_then(|ms| ms.checked_mul(1_000_000)) {
            event.set(field::EVENT_DURATION, nanos);
        }
        event.logsource = LogSource::product("wso2").with_service("correlation");
        let value = |name: &str| names.iter().position(|known| *known == name).and_then(|at| rest.get(at)).copied();
        if let (Some(path), Some(status)) = (value("path"), value("status")) {
            let exchange =
                Exchange { method: value("method"), uri: path, status: status.parse().ok(), ..Exchange::default() };
            web::describe(event, &exchange);
            event.set(field::EVENT_ACTION, "api_call");
            if let Some(bytes) = value("response.bytes") {
                project::set_text(event, field::HTTP_RESPONSE_BYTES, bytes);
            }
        }
        Fit::Yes
    }
}
