//! What messages of IOS, IOS XE and NX-OS say, by their mnemonic. The texts differ a little between systems, so some
//! mnemonics have several lines.

use std::sync::LazyLock;

use canh_schema::Event;
use compact_str::{CompactString, format_compact};

use super::template::Outcome::{Failure, Success, Unsaid};
use super::template::{Line, Table, line};

const AUTH: &str = "authentication";
const CONFIG: &str = "configuration";
const NETWORK: &str = "network";
const HOST: &str = "host";

/// Each template begins with the mnemonic.
static LINES: &[Line] = &[
    line(
        "config_change",
        Success,
        CONFIG,
        "CONFIG_I: Configured from {cisco.from} by {user.name} on {cisco.line} ({source.ip})",
    ),
    line(
        "config_change",
        Success,
        CONFIG,
        "VSHD_SYSLOG_CONFIG_I: Configured from {cisco.from} by {user.name} on {source.ip}@",
    ),
    line("config_change", Success, CONFIG, "CONFIG_I: Configured from {cisco.from} by {user.name}"),
    line("config_change", Success, CONFIG, "VSHD_SYSLOG_CONFIG_I: Configured from {cisco.from} by {user.name}"),
    line("command", Success, CONFIG, "CFGLOG_LOGGEDCMD: User:{user.name}  logged command:{process.command_line}"),
    line(
        "login",
        Failure,
        AUTH,
        "LOGIN_FAILED: Login failed [user: {user.name*}] [Source: {source.ip}] [localport: {destination.port}] [Reason: {event.reason}]",
    ),
    line(
        "login",
        Success,
        AUTH,
        "LOGIN_SUCCESS: Login Success [user: {user.name*}] [Source: {source.ip}] [localport: {destination.port}]",
    ),
    line(
        "login_blocked",
        Unsaid,
        AUTH,
        "QUIET_MODE_ON: Still timeleft for watching failures is {cisco.left}, [user: {user.name*}] [Source: {source.ip}] [localport: {destination.port}]",
    ),
    line(
        "link_change",
        Unsaid,
        NETWORK,
        "UPDOWN: Interface {observer.ingress.interface.name}, changed state to {cisco.state}",
    ),
    line(
        "line_protocol_change",
        Unsaid,
        NETWORK,
        "UPDOWN: Line protocol on Interface {observer.ingress.interface.name}, changed state to {cisco.state}",
    ),
    line(
        "link_change",
        Unsaid,
        NETWORK,
        "IF_DOWN_LINK_FAILURE: Interface {observer.ingress.interface.name} is {cisco.state} ({event.reason})",
    ),
    line(
        "neighbor_change",
        Unsaid,
        NETWORK,
        "ADJCHG: Process {cisco.process}, Nbr {destination.ip} on {observer.ingress.interface.name} from {cisco.state_before} to {cisco.state}, {event.reason}",
    ),
    line(
        "neighbor_change",
        Unsaid,
        NETWORK,
        "ADJCHANGE: neighbor {destination.ip} vpn vrf {cisco.vrf} {cisco.state} {event.reason}",
    ),
    line("neighbor_change", Unsaid, NETWORK, "ADJCHANGE: neighbor {destination.ip} {cisco.state} {event.reason}"),
    line("neighbor_change", Unsaid, NETWORK, "ADJCHANGE: neighbor {destination.ip} {cisco.state}"),
    line(
        "neighbor_change",
        Unsaid,
        NETWORK,
        "NBRCHANGE: EIGRP-IPv4 {cisco.process}: Neighbor {destination.ip} ({observer.ingress.interface.name}) is {cisco.state}: {event.reason}",
    ),
    line(
        "spanning_tree_root_change",
        Unsaid,
        NETWORK,
        "ROOTCHANGE: Root Changed for {network.vlan.id}: New Root Port is {observer.ingress.interface.name}. New Root Mac Address is {source.mac}",
    ),
    line(
        "spanning_tree_blocked",
        Failure,
        NETWORK,
        "ROOTGUARD_BLOCK: Root guard blocking port {observer.ingress.interface.name} on {network.vlan.id}.",
    ),
    line(
        "spanning_tree_blocked",
        Failure,
        NETWORK,
        "BLOCK_BPDUGUARD: Received BPDU on port {observer.ingress.interface.name} with BPDU Guard enabled. Disabling port.",
    ),
    line(
        "port_security_violation",
        Failure,
        NETWORK,
        "PSECURE_VIOLATION: Security violation occurred, caused by MAC address {source.mac} on port {observer.ingress.interface.name}.",
    ),
    line(
        "port_disabled",
        Unsaid,
        NETWORK,
        "ERR_DISABLE: {event.reason} error detected on {observer.ingress.interface.name}, putting",
    ),
    line(
        "dhcp_denied",
        Failure,
        NETWORK,
        "DHCP_SNOOPING_UNTRUSTED_PORT: DHCP_SNOOPING drop message on untrusted port, message type: {cisco.message_type}, MAC sa: {source.mac}",
    ),
    line(
        "arp_denied",
        Failure,
        NETWORK,
        "DHCP_SNOOPING_DENY: {cisco.count} Invalid ARPs ({cisco.message_type}) on {observer.ingress.interface.name}, vlan {network.vlan.id}.([{source.mac}/{source.ip}/",
    ),
    line(
        "mac_flap",
        Unsaid,
        NETWORK,
        "MACFLAP_NOTIF: Host {source.mac} in vlan {network.vlan.id} is flapping between port {observer.ingress.interface.name} and port {cisco.other_port}",
    ),
    line(
        "address_conflict",
        Unsaid,
        NETWORK,
        "DUPADDR: Duplicate address {source.ip} on {observer.ingress.interface.name}, sourced by {source.mac}",
    ),
    line(
        "packet_denied",
        Failure,
        NETWORK,
        "IPACCESSLOGP: list {cisco.list} denied {network.transport} {source.ip}({source.port}) -> {destination.ip}({destination.port}), {cisco.count} packet",
    ),
    line(
        "packet_denied",
        Failure,
        NETWORK,
        "IPACCESSLOGP: list {cisco.list} denied {network.transport} {source.ip}({source.port}) ({cisco.port_and_mac}) -> {destination.ip}({destination.port}), {cisco.count} packet",
    ),
    line(
        "packet_permitted",
        Success,
        NETWORK,
        "IPACCESSLOGP: list {cisco.list} permitted {network.transport} {source.ip}({source.port}) -> {destination.ip}({destination.port}), {cisco.count} packet",
    ),
    line(
        "packet_denied",
        Failure,
        NETWORK,
        "IPACCESSLOGDP: list {cisco.list} denied {network.transport} {source.ip} -> {destination.ip} (",
    ),
    line("packet_denied", Failure, NETWORK, "IPACCESSLOGS: list {cisco.list} denied {source.ip} {cisco.count} packet"),
    line(
        "reload",
        Unsaid,
        HOST,
        "RELOAD: Reload requested by {user.name} on {cisco.line} ({source.ip}). Reload Reason: {event.reason}",
    ),
    line("reload", Unsaid, HOST, "RELOAD: Reload requested by {user.name}. Reload Reason: {event.reason}"),
    line("restart", Unsaid, HOST, "RESTART: System restarted"),
    line(
        "log_host_change",
        Unsaid,
        CONFIG,
        "LOGGINGHOST_STARTSTOP: Logging to host {destination.ip} port {destination.port} {cisco.state} - {event.reason}",
    ),
    line(
        "log_host_change",
        Unsaid,
        CONFIG,
        "LOGGINGHOST_STARTSTOP: Logging to host {destination.ip} {cisco.state} - {event.reason}",
    ),
    line(
        "cpu_high",
        Unsaid,
        HOST,
        "CPURISINGTHRESHOLD: Threshold: Total CPU Utilization(Total/Intr): {cisco.cpu_percent}%/",
    ),
    line("memory_exhausted", Failure, HOST, "MALLOCFAIL: Memory allocation of {cisco.bytes} bytes failed from"),
];

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(LINES));

pub(super) fn apply(event: &mut Event, mnemonic: &str, text: &str) {
    let action = TABLE.apply(event, &format_compact!("{mnemonic}: {text}"));
    if let Some("packet_denied" | "packet_permitted") = action {
        event.logsource.categories.push(CompactString::const_new("firewall"));
        let verdict = if action == Some("packet_denied") { "deny" } else { "accept" };
        event.attrs.push((CompactString::const_new("action"), verdict.into()));
    }
}
