//! MIT Kerberos: krb5kdc and kadmind.

use std::sync::LazyLock;

use canh_schema::Event;

use super::template::Outcome::{Failure, Success, Unsaid};
use super::template::{Line, Table, line};

const AUTH: &str = "authentication";

static LINES: &[Line] = &[
    line(
        "kerberos_preauth",
        Failure,
        AUTH,
        "AS_REQ ({krb.etypes}) {source.ip}: PREAUTH_FAILED: {user.name} for {service.name}, {event.reason}",
    ),
    line(
        "kerberos_unknown_client",
        Failure,
        AUTH,
        "AS_REQ ({krb.etypes}) {source.ip}: CLIENT_NOT_FOUND: {user.name} for {service.name}, {event.reason}",
    ),
    line(
        "kerberos_preauth_needed",
        Unsaid,
        AUTH,
        "AS_REQ ({krb.etypes}) {source.ip}: NEEDED_PREAUTH: {user.name} for {service.name}, {event.reason}",
    ),
    line(
        "kerberos_login",
        Success,
        AUTH,
        "AS_REQ ({krb.etypes}) {source.ip}: ISSUE: authtime {krb.authtime}, etypes {krb.issued}, {user.name} for {service.name}",
    ),
    line(
        "kerberos_ticket",
        Success,
        AUTH,
        "TGS_REQ ({krb.etypes}) {source.ip}: ISSUE: authtime {krb.authtime}, etypes {krb.issued}, {user.name} for {service.name}",
    ),
    line(
        "kerberos_unknown_service",
        Failure,
        AUTH,
        "TGS_REQ ({krb.etypes}) {source.ip}: LOOKING_UP_SERVER: authtime {krb.authtime},  {user.name} for {service.name}, {event.reason}",
    ),
    line(
        "kerberos_login",
        Failure,
        AUTH,
        "AS_REQ ({krb.etypes}) {source.ip}: {krb.status}: {user.name} for {service.name}, {event.reason}",
    ),
    line(
        "kerberos_admin",
        Success,
        "iam",
        "Request: {krb.request}, {user.target.name}, success, client={user.name}, service={service.name}, addr={source.ip}",
    ),
    line(
        "kerberos_admin",
        Failure,
        "iam",
        "Unauthorized request: {krb.request}, {user.target.name}, client={user.name}, service={service.name}, addr={source.ip}",
    ),
];

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(LINES));

/// Reads one line; in its own log file the level stands before the message, in brackets.
pub(super) fn apply(event: &mut Event, message: &str) {
    let message = match message.strip_prefix('(').and_then(|rest| rest.split_once("): ")) {
        Some((level, rest)) if level.len() < 10 => rest,
        _ => message,
    };
    TABLE.apply(event, message);
}
