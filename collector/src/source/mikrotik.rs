//! Lines of RouterOS: topics with commas between them, then the text, `system,error,critical login failure for …`.

use std::sync::LazyLock;

use canh_schema::{Event, LogSource, Value, field};
use compact_str::CompactString;

use super::template::Outcome::{Failure, Success, Unsaid};
use super::template::{Line, Table, line};

/// Topics with which a line begins. Source: RouterOS manual, "Log", list of topics.
const TOPICS: &[&str] = &[
    "account",
    "bgp",
    "bridge",
    "caps",
    "certificate",
    "dhcp",
    "dns",
    "dot1x",
    "error",
    "firewall",
    "hotspot",
    "interface",
    "ipsec",
    "l2tp",
    "ospf",
    "ovpn",
    "ppp",
    "pppoe",
    "pptp",
    "radius",
    "route",
    "script",
    "sstp",
    "system",
    "vrrp",
    "warning",
    "web-proxy",
    "wireguard",
    "wireless",
];

const AUTH: &str = "authentication";
const CONFIG: &str = "configuration";
const NETWORK: &str = "network";

static LINES: &[Line] = &[
    line("login", Failure, AUTH, "login failure for user {user.name*} from {source.ip} via {network.protocol}"),
    line("login", Success, AUTH, "user {user.name*} logged in from {source.ip} via {network.protocol}"),
    line("logout", Unsaid, AUTH, "user {user.name*} logged out from {source.ip} via {network.protocol}"),
    line("user_add", Success, "iam", "user {user.target.name*} added by {mikrotik.by}"),
    line("user_change", Success, "iam", "user {user.target.name*} changed by {mikrotik.by}"),
    line("user_remove", Success, "iam", "user {user.target.name*} removed by {mikrotik.by}"),
    line("script_add", Success, CONFIG, "new script added by {mikrotik.by}"),
    line("schedule_add", Success, CONFIG, "new script scheduled by {mikrotik.by}"),
    line("script_change", Success, CONFIG, "script settings changed by {mikrotik.by}"),
    line("schedule_change", Success, CONFIG, "changed scheduled script settings by {mikrotik.by}"),
    line("filter_add", Success, CONFIG, "filter rule added by {mikrotik.by}"),
    line("filter_change", Success, CONFIG, "filter rule changed by {mikrotik.by}"),
    line("filter_remove", Success, CONFIG, "filter rule removed by {mikrotik.by}"),
    line("nat_add", Success, CONFIG, "nat rule added by {mikrotik.by}"),
    line("restart", Unsaid, "host", "router rebooted"),
    line("link_change", Unsaid, NETWORK, "{observer.ingress.interface.name} link {mikrotik.state} ("),
    line("link_change", Unsaid, NETWORK, "{observer.ingress.interface.name} link down"),
    line(
        "packet_logged",
        Unsaid,
        NETWORK,
        "{mikrotik.prefix} in:{observer.ingress.interface.name} out:{mikrotik.out}, {mikrotik.more}proto {network.transport}, {source.ip}:{source.port}->{destination.ip}:{destination.port}, ",
    ),
];

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(LINES));

/// Reads the line if it begins with topics.
pub(super) fn apply(event: &mut Event, message: &str) -> bool {
    let Some((topics, text)) = message.split_once(' ') else { return false };
    let Some((first, _)) = topics.split_once(',') else { return false };
    if topics.len() > 64 || !TOPICS.contains(&first) {
        return false;
    }
    event.attrs.push((CompactString::const_new("mikrotik.topics"), Value::from(topics)));
    let action = TABLE.apply(event, text);
    event.set(field::EVENT_DATASET, "mikrotik");
    event.logsource = LogSource::product("mikrotik").with_service(first);
    if action == Some("packet_logged") {
        event.logsource.categories.push(CompactString::const_new("firewall"));
        let transport = event.get(field::NETWORK_TRANSPORT).and_then(Value::as_str).map(|text| {
            // `TCP (SYN)`
            CompactString::from(text.split(' ').next().unwrap_or(text).to_ascii_lowercase())
        });
        if let Some(transport) = transport {
            event.set(field::NETWORK_TRANSPORT, transport);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tested;

    #[track_caller]
    fn check(line: &str, expected: Option<(&str, &str)>) {
        let event = tested::decode(line);
        let topics = event.attr("mikrotik.topics").and_then(Value::as_str);
        let action = event.get(field::EVENT_ACTION).and_then(Value::as_str).unwrap_or("-");
        assert_eq!(topics.map(|topics| (topics, action)), expected, "input: {line:?}");
    }

    #[test]
    fn lines() {
        check(
            "<30>Nov 22 09:00:00 rt-huyen-01 system,error,critical login failure for user admin from 203.0.113.9 via winbox",
            Some(("system,error,critical", "login")),
        );
        check("<30>system,info new script added by admin", Some(("system,info", "script_add")));
        check(
            "<30>Nov 22 09:00:00 rt-huyen-01 firewall,info input: in:ether1 out:(unknown 0), connection-state:new src-mac 00:11:22:33:44:55, proto TCP (SYN), 203.0.113.9:40022->192.0.2.1:22, len 60",
            Some(("firewall,info", "packet_logged")),
        );
        check("<30>Nov 22 09:00:00 srv hello, world and all", None);
        check("<30>Nov 22 09:00:00 srv system,", None);
    }
}
