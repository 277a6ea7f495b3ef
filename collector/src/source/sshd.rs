//! OpenSSH's server, as its source writes its lines (`auth.c`, `sshd.c`, `packet.c`).

use std::sync::LazyLock;

use canh_schema::{Event, field};

use super::template::Outcome::{Failure, Success, Unsaid};
use super::template::{Line, Table, line};

const LOGIN: &str = "ssh_login";
const AUTH: &str = "authentication";
const NET: &str = "network";

static LINES: &[Line] = &[
    line(
        LOGIN,
        Success,
        AUTH,
        "Accepted {ssh.method} for {user.name*} from {source.ip} port {source.port} ssh2: {ssh.key}",
    ),
    line(LOGIN, Success, AUTH, "Accepted {ssh.method} for {user.name*} from {source.ip} port {source.port}"),
    line(LOGIN, Failure, AUTH, "Failed {ssh.method} for invalid user {user.name*} from {source.ip} port {source.port}"),
    line(LOGIN, Failure, AUTH, "Failed {ssh.method} for {user.name*} from {source.ip} port {source.port}"),
    line("ssh_invalid_user", Failure, AUTH, "Invalid user {user.name*} from {source.ip} port {source.port}"),
    line("ssh_invalid_user", Failure, AUTH, "Invalid user {user.name*} from {source.ip}"),
    line("ssh_invalid_user", Failure, AUTH, "input_userauth_request: invalid user {user.name} [preauth]"),
    line(LOGIN, Failure, AUTH, "User {user.name*} from {source.ip} not allowed because {event.reason}"),
    line(LOGIN, Failure, AUTH, "ROOT LOGIN REFUSED FROM {source.ip} port {source.port}"),
    line(LOGIN, Failure, AUTH, "Authentication refused: {event.reason}"),
    line(
        "ssh_too_many_attempts",
        Failure,
        AUTH,
        "error: maximum authentication attempts exceeded for invalid user {user.name*} from {source.ip} port {source.port}",
    ),
    line(
        "ssh_too_many_attempts",
        Failure,
        AUTH,
        "error: maximum authentication attempts exceeded for {user.name*} from {source.ip} port {source.port}",
    ),
    line(
        "ssh_too_many_attempts",
        Failure,
        AUTH,
        "Disconnecting authenticating user {user.name*} {source.ip} port {source.port}: {event.reason}",
    ),
    line(
        "ssh_too_many_attempts",
        Failure,
        AUTH,
        "Disconnecting invalid user {user.name*} {source.ip} port {source.port}: {event.reason}",
    ),
    line("ssh_postponed", Unsaid, AUTH, "Postponed {ssh.method} for {user.name*} from {source.ip} port {source.port}"),
    line(
        "ssh_disconnect",
        Unsaid,
        NET,
        "Connection closed by authenticating user {user.name*} {source.ip} port {source.port}",
    ),
    line(
        "ssh_disconnect",
        Unsaid,
        NET,
        "Connection closed by invalid user {user.name*} {source.ip} port {source.port}",
    ),
    line("ssh_disconnect", Unsaid, NET, "Connection closed by {source.ip} port {source.port}"),
    line(
        "ssh_disconnect",
        Unsaid,
        NET,
        "Connection reset by authenticating user {user.name*} {source.ip} port {source.port}",
    ),
    line("ssh_disconnect", Unsaid, NET, "Connection reset by invalid user {user.name*} {source.ip} port {source.port}"),
    line("ssh_disconnect", Unsaid, NET, "Connection reset by {source.ip} port {source.port}"),
    line(
        "ssh_disconnect",
        Unsaid,
        NET,
        "Disconnected from authenticating user {user.name*} {source.ip} port {source.port}",
    ),
    line("ssh_disconnect", Unsaid, NET, "Disconnected from invalid user {user.name*} {source.ip} port {source.port}"),
    line("ssh_disconnect", Unsaid, NET, "Disconnected from user {user.name*} {source.ip} port {source.port}"),
    line("ssh_disconnect", Unsaid, NET, "Disconnected from {source.ip} port {source.port}"),
    line(
        "ssh_disconnect",
        Unsaid,
        NET,
        "Received disconnect from {source.ip} port {source.port}:{ssh.code}: {event.reason}",
    ),
    line("ssh_disconnect", Unsaid, NET, "Received disconnect from {source.ip}: {ssh.code}: {event.reason}"),
    line("ssh_disconnect", Unsaid, NET, "Close session: user {user.name*} from {source.ip} port {source.port}"),
    line("ssh_timeout", Failure, NET, "Timeout before authentication for {source.ip} port {source.port}"),
    line("ssh_timeout", Failure, NET, "fatal: Timeout before authentication for {source.ip} port {source.port}"),
    line(
        "ssh_session",
        Success,
        "session",
        "Starting session: {ssh.session} for {user.name*} from {source.ip} port {source.port}",
    ),
    line("ssh_session", Success, "session", "User child is on pid {process.pid}"),
    line(
        "ssh_connect",
        Unsaid,
        NET,
        "Connection from {source.ip} port {source.port} on {destination.ip} port {destination.port}",
    ),
    line("ssh_probe", Failure, NET, "Did not receive identification string from {source.ip} port {source.port}"),
    line("ssh_probe", Failure, NET, "Did not receive identification string from {source.ip}"),
    line(
        "ssh_probe",
        Failure,
        NET,
        "Bad protocol version identification '{ssh.version}' from {source.ip} port {source.port}",
    ),
    line("ssh_probe", Failure, NET, "banner exchange: Connection from {source.ip} port {source.port}: {event.reason}"),
    line("ssh_probe", Failure, NET, "error: kex_exchange_identification: {event.reason}"),
    line("ssh_probe", Failure, NET, "Unable to negotiate with {source.ip} port {source.port}: {event.reason}"),
    line(
        "ssh_name_mismatch",
        Unsaid,
        NET,
        "reverse mapping checking getaddrinfo for {source.domain} [{source.ip}] failed",
    ),
    line("ssh_start", Unsaid, "process", "Server listening on {destination.ip} port {destination.port}"),
    line("ssh_stop", Unsaid, "process", "Received signal {ssh.signal}; {event.reason}"),
    line("ssh_subsystem", Unsaid, "session", "subsystem request for {ssh.subsystem} by user {user.name}"),
    // Forwarding (channels.c, serverloop.c): who tunnels is known by the process of the session only.
    line("ssh_forward", Failure, NET, "error: connect_to {ssh.target*} port {ssh.target_port}: failed."),
    line("ssh_forward", Failure, NET, "error: connect_to {ssh.target}: unknown host ({event.reason}"),
    line(
        "ssh_forward_refused",
        Failure,
        NET,
        "refused local port forward: originator {source.ip} port {source.port}, target {ssh.target*} port {ssh.target_port}",
    ),
    line(
        "ssh_forward_refused",
        Failure,
        NET,
        "Received request to connect to host {ssh.target*} port {ssh.target_port}, but the request was denied.",
    ),
    line("ssh_throttle", Failure, NET, "error: beginning MaxStartups throttling"),
    line(
        "ssh_throttle",
        Failure,
        NET,
        "drop connection #{ssh.count} from [{source.ip}]:{source.port} on [{destination.ip}]:{destination.port} past MaxStartups",
    ),
    line("ssh_probe", Failure, NET, "Protocol major versions differ for {source.ip} port {source.port}: {ssh.version}"),
];

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(LINES));

pub(crate) fn apply(event: &mut Event, message: &str) {
    let (message, repeated) = unrepeated(message);
    if let Some(times) = repeated {
        event.attrs.push(("syslog.repeated".into(), times.into()));
    }
    TABLE.apply(event, message);
    if matches!(event.get(field::EVENT_CATEGORY).and_then(canh_schema::Value::as_str), Some(NET | AUTH)) {
        event.set(field::NETWORK_PROTOCOL, "ssh");
    }
}

/// The line inside of `message repeated 3 times: [ … ]`, as rsyslog shortens equal lines, and how often it was said.
fn unrepeated(message: &str) -> (&str, Option<i64>) {
    let inner = || {
        let (times, rest) = message.strip_prefix("message repeated ")?.split_once(" times: [ ")?;
        Some((rest.strip_suffix(']')?, times.parse().ok()?))
    };
    inner().map_or((message, None), |(inner, times)| (inner, Some(times)))
}
