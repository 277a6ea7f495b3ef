//! What messages of ASA and Firepower say, by their number.

use std::sync::LazyLock;

use canh_schema::Event;
use compact_str::{CompactString, format_compact};

use super::template::Outcome::{Failure, Success, Unsaid};
use super::template::{Line, Table, line};

const AUTH: &str = "authentication";
const CONFIG: &str = "configuration";
const NETWORK: &str = "network";
const HOST: &str = "host";
const SESSION: &str = "session";

/// Each template begins with the number.
static LINES: &[Line] = &[
    line(
        "packet_denied",
        Failure,
        NETWORK,
        "106023: Deny {network.transport} src {asa.source_interface}:{source.ip}/{source.port} dst {asa.destination_interface}:{destination.ip}/{destination.port} by access-group \"{asa.access_group}\"",
    ),
    line(
        "packet_denied",
        Failure,
        NETWORK,
        "106023: Deny {network.transport} src {asa.source_interface}:{source.ip} dst {asa.destination_interface}:{destination.ip} (type {asa.icmp}) by access-group \"{asa.access_group}\"",
    ),
    line(
        "packet_out_of_state",
        Failure,
        NETWORK,
        "106015: Deny TCP (no connection) from {source.ip}/{source.port} to {destination.ip}/{destination.port} flags {asa.flags} on interface {asa.source_interface}",
    ),
    line(
        "packet_denied",
        Failure,
        NETWORK,
        "710003: {network.transport} access denied by ACL from {source.ip}/{source.port} to {asa.destination_interface}:{destination.ip}/{destination.port}",
    ),
    line(
        "login",
        Failure,
        AUTH,
        "113015: AAA user authentication Rejected : reason = {event.reason} : local database : user = {user.name*} : user IP = {source.ip}",
    ),
    line(
        "login",
        Failure,
        AUTH,
        "113005: AAA user authentication Rejected : reason = {event.reason} : server = {destination.ip} : user = {user.name*} : user IP = {source.ip}",
    ),
    line(
        "user_locked",
        Unsaid,
        AUTH,
        "113006: User '{user.name*}' locked out on exceeding '{asa.count}' successive failed authentication attempts",
    ),
    line(
        "login",
        Failure,
        AUTH,
        "605004: Login denied from {source.ip}/{source.port} to {asa.destination_interface}:{destination.ip}/{network.protocol} for user \"{user.name*}\"",
    ),
    line(
        "login",
        Success,
        AUTH,
        "605005: Login permitted from {source.ip}/{source.port} to {asa.destination_interface}:{destination.ip}/{network.protocol} for user \"{user.name*}\"",
    ),
    line("command", Success, CONFIG, "111008: User '{user.name}' executed the '{process.command_line*}' command."),
    line(
        "command",
        Success,
        CONFIG,
        "111010: User '{user.name}', running '{asa.program}' from IP {source.ip}, executed '{process.command_line*}'",
    ),
    line("failover", Unsaid, HOST, "104001: ({asa.unit}) Switching to ACTIVE - {event.reason}"),
    line("failover", Unsaid, HOST, "104001: ({asa.unit}) Switching to ACT - {event.reason}"),
    line("failover", Unsaid, HOST, "104002: ({asa.unit}) Switching to STANDBY - {event.reason}"),
    line("failover", Unsaid, HOST, "104002: ({asa.unit}) Switching to STNDBY - {event.reason}"),
    line(
        "failover_link_lost",
        Failure,
        HOST,
        "105005: ({asa.unit}) Lost Failover communications with mate on interface {asa.destination_interface}",
    ),
    line("failover_link_lost", Failure, HOST, "105043: ({asa.unit}) Failover interface failed"),
    line(
        "threat_rate",
        Unsaid,
        NETWORK,
        "733100: [{asa.object}] drop {asa.rate} exceeded. Current burst rate is {asa.burst_per_second} per second",
    ),
    line("scan_detected", Unsaid, NETWORK, "733101: Host {source.ip} is attacking."),
    line(
        "vpn_start",
        Success,
        SESSION,
        "722051: Group <{group.name}> User <{user.name*}> IP <{source.ip}> IPv4 Address <{asa.assigned_ip}>",
    ),
    line(
        "vpn_start",
        Success,
        SESSION,
        "716001: Group <{group.name}> User <{user.name*}> IP <{source.ip}> WebVPN session started.",
    ),
    line(
        "vpn_end",
        Unsaid,
        SESSION,
        "113019: Group = {group.name}, Username = {user.name*}, IP = {source.ip}, Session disconnected. Session Type: {asa.session_type}, Duration: {asa.duration}, Bytes xmt: {destination.bytes}, Bytes rcv: {source.bytes}, Reason: {event.reason}",
    ),
];

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(LINES));

pub(super) fn apply(event: &mut Event, number: &str, text: &str) {
    match TABLE.apply(event, &format_compact!("{number}: {text}")) {
        Some("packet_denied") => {
            event.logsource.categories.push(CompactString::const_new("firewall"));
            event.attrs.push((CompactString::const_new("action"), "deny".into()));
        }
        // The lines that SigmaHQ's rules for command accounting look for.
        Some("command" | "login") => event.logsource.other_services.push(CompactString::const_new("aaa")),
        _ => (),
    }
}
