//! Name servers and DHCP servers: BIND, Unbound, dnsmasq, the ISC and Kea servers of DHCP. Questions are `dns` events
//! under the names that Sigma's rules for DNS use.

use std::sync::LazyLock;

use canh_schema::{Event, Value, field};
use compact_str::CompactString;

use super::template::Outcome::{Failure, Success, Unsaid};
use super::template::{Line, Outcome, Table, describe, line};

const NETWORK: &str = "network";
const CONFIG: &str = "configuration";

/// Lines of BIND after `client @0x7f2c10 192.0.2.1#4000 (name): `, which [`named`] takes off.
static NAMED_CLIENT: &[Line] = &[
    line("dns_query", Unsaid, NETWORK, "query: {dns.question.name} IN {dns.question.type} "),
    line("dns_query", Failure, NETWORK, "query (cache) '{dns.question.name}/{dns.question.type}/IN' denied"),
    line("dns_query", Failure, NETWORK, "query '{dns.question.name}/{dns.question.type}/IN' denied"),
    line(
        "dns_query",
        Failure,
        NETWORK,
        "query failed ({dns.response_code}) for {dns.question.name}/IN/{dns.question.type} at ",
    ),
    line("zone_transfer", Failure, NETWORK, "zone transfer '{dns.question.name}/{dns.question.type}/IN' denied"),
    line("zone_transfer", Success, NETWORK, "transfer of '{dns.question.name}/IN': {dns.question.type} started"),
    line("zone_update", Failure, CONFIG, "update '{dns.question.name}/IN' denied"),
    line("zone_update", Failure, CONFIG, "update forwarding '{dns.question.name}/IN' denied"),
    line("zone_update", Success, CONFIG, "updating zone '{dns.question.name}/IN': {dns.change}"),
    line(
        "rate_limited",
        Unsaid,
        NETWORK,
        "rate limit drop {dns.what} response to {dns.network} for {dns.question.name} IN {dns.question.type} ",
    ),
];

static UNBOUND: &[Line] = &[
    line(
        "dns_query",
        Unsaid,
        NETWORK,
        "{source.ip} {dns.question.name} {dns.question.type} IN {dns.response_code} {dns.seconds} {dns.cached} {dns.bytes}",
    ),
    line("dns_query", Unsaid, NETWORK, "{source.ip} {dns.question.name} {dns.question.type} IN"),
];

static DNSMASQ: &[Line] = &[
    line("dns_query", Unsaid, NETWORK, "query[{dns.question.type}] {dns.question.name} from {source.ip}"),
    line("dns_answer", Unsaid, NETWORK, "reply {dns.question.name} is NXDOMAIN"),
    line("dns_answer", Unsaid, NETWORK, "reply {dns.question.name} is {dns.answers.data}"),
    line("dns_forward", Unsaid, NETWORK, "forwarded {dns.question.name} to {destination.ip}"),
    line("dns_rebind", Failure, NETWORK, "possible DNS-rebind attack detected: {dns.question.name}"),
    line("dns_overload", Failure, NETWORK, "Maximum number of concurrent DNS queries reached (max: {dns.limit})"),
];

static DHCP: &[Line] = &[
    line(
        "dhcp_ack",
        Success,
        NETWORK,
        "DHCPACK on {dhcp.ip} to {source.mac} ({dhcp.name}) via {observer.ingress.interface.name}",
    ),
    line("dhcp_ack", Success, NETWORK, "DHCPACK on {dhcp.ip} to {source.mac} via {observer.ingress.interface.name}"),
    line("dhcp_ack", Success, NETWORK, "DHCPACK({observer.ingress.interface.name}) {dhcp.ip} {source.mac}"),
    line(
        "dhcp_exhausted",
        Failure,
        NETWORK,
        "DHCPDISCOVER from {source.mac} via {observer.ingress.interface.name}: network {dhcp.network}: no free leases",
    ),
    line(
        "dhcp_exhausted",
        Failure,
        NETWORK,
        "DHCPDISCOVER({observer.ingress.interface.name}) {source.mac} no address available",
    ),
    line(
        "dhcp_exhausted",
        Failure,
        NETWORK,
        "no address range available for DHCP request via {observer.ingress.interface.name}",
    ),
    line("dhcp_discover", Unsaid, NETWORK, "DHCPDISCOVER from {source.mac} via {observer.ingress.interface.name}"),
    line("dhcp_discover", Unsaid, NETWORK, "DHCPDISCOVER({observer.ingress.interface.name}) {source.mac}"),
    line(
        "dhcp_decline",
        Failure,
        NETWORK,
        "DHCPDECLINE of {dhcp.ip} from {source.mac} via {observer.ingress.interface.name}",
    ),
    line(
        "dhcp_unknown_server",
        Unsaid,
        NETWORK,
        "DHCPREQUEST for {dhcp.ip} ({dhcp.server}) from {source.mac} via {observer.ingress.interface.name}: unknown lease",
    ),
];

static NAMED_CLIENT_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(NAMED_CLIENT));
static UNBOUND_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(UNBOUND));
static DNSMASQ_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(DNSMASQ));
pub(super) static DHCP_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(DHCP));

/// BIND: `client @0x7f2c10 192.0.2.1#4000 (name): query: …`, with a category and a level before it on request.
pub(super) fn named(event: &mut Event, message: &str) {
    let Some((before, rest)) = message.split_once("client ") else { return };
    // `queries: info: ` at most; anything longer is a sentence with the word in it.
    if before.len() > 48 {
        return;
    }
    let rest = match rest.strip_prefix("@0x") {
        Some(pointer) => pointer.split_once(' ').map_or("", |(_, rest)| rest),
        None => rest,
    };
    let Some((address, rest)) = rest.split_once('#') else { return };
    let (port, rest) = rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count());
    super::project::set_text(event, field::SOURCE_IP, address);
    super::project::set_text(event, field::SOURCE_PORT, port);
    let Some((_, text)) = rest.split_once(": ") else { return };
    // A view stands between the name and what was asked.
    let text = text.strip_prefix("view ").and_then(|view| view.split_once(": ")).map_or(text, |(_, text)| text);
    NAMED_CLIENT_TABLE.apply(event, text);
    question(event);
}

/// Unbound: `[812:0] info: 192.0.2.1 name. A IN NXDOMAIN 0.012 0 102`; only with `log-queries` or `log-replies`.
pub(super) fn unbound(event: &mut Event, message: &str) {
    let Some((level, text)) = message.split_once(": ") else { return };
    if !level.ends_with("info") && !level.ends_with("query") && !level.ends_with("reply") {
        return;
    }
    let text = text.strip_prefix("reply: ").or_else(|| text.strip_prefix("query: ")).unwrap_or(text);
    if text.starts_with(|first: char| first.is_ascii_hexdigit() || first == ':') && text.contains(" IN") {
        UNBOUND_TABLE.apply(event, text);
        // Only an address makes it a question; statistics have numbers in its place.
        if event.get(field::SOURCE_IP).is_some() {
            question(event);
        }
    }
}

/// dnsmasq, also with the serial number and the client of `log-queries=extra` in front.
pub(super) fn dnsmasq(event: &mut Event, message: &str) {
    let extra = message.starts_with(|first: char| first.is_ascii_digit());
    let text = if extra { message.splitn(3, ' ').nth(2).unwrap_or(message) } else { message };
    if extra {
        let client = message.split(' ').nth(1).and_then(|client| client.split_once('/'));
        if let Some((address, port)) = client {
            super::project::set_text(event, field::SOURCE_IP, address);
            super::project::set_text(event, field::SOURCE_PORT, port);
        }
    }
    if DNSMASQ_TABLE.apply(event, text) == Some("dns_answer") && text.ends_with(" is NXDOMAIN") {
        event.set(field::DNS_RESPONSE_CODE, "NXDOMAIN");
    }
    question(event);
}

/// Brings a question under the names of Sigma's category `dns`.
fn question(event: &mut Event) {
    let Some(name) = event.get(field::DNS_QUESTION_NAME).and_then(Value::as_str) else { return };
    let name = CompactString::from(name.trim_end_matches('.'));
    event.set(field::DNS_QUESTION_NAME, name);
    event.logsource.categories.push(CompactString::const_new("dns"));
    if event.get(field::EVENT_ACTION).is_none() {
        describe(event, "dns_query", Outcome::Unsaid, NETWORK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tested;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        let event = tested::decode(&format!("<30>Nov 22 09:00:00 dns-01 {body}"));
        let text = |id| event.get(id).and_then(Value::as_text).map_or("-".to_owned(), |text| text.into_owned());
        let shown = [
            field::EVENT_ACTION,
            field::EVENT_OUTCOME,
            field::SOURCE_IP,
            field::DNS_QUESTION_TYPE,
            field::DNS_QUESTION_NAME,
            field::DNS_RESPONSE_CODE,
        ];
        assert_eq!(shown.map(text).join(" "), expected, "input: {body:?}");
    }

    #[test]
    fn questions() {
        check(
            "named[812]: client @0x7f2c10 10.10.1.11#40022 (a.example): query: a.example IN TXT +E(0)K (10.10.2.53)",
            "dns_query - 10.10.1.11 TXT a.example -",
        );
        check(
            "named[812]: queries: info: client 10.10.1.11#40022 (a.example): view noi-bo: query: a.example IN A + (10.10.2.53)",
            "dns_query - 10.10.1.11 A a.example -",
        );
        check(
            "named[812]: client @0x7f2c10 203.0.113.9#4000 (tinh.example): zone transfer 'tinh.example/AXFR/IN' denied",
            "zone_transfer failure 203.0.113.9 AXFR tinh.example -",
        );
        check(
            "named[812]: client @0x7f2c10 10.20.0.5#53211: update 'tinh.example/IN' denied",
            "zone_update failure 10.20.0.5 - tinh.example -",
        );
        check(
            "unbound[812]: [812:0] info: 10.10.1.11 abc.example. A IN NXDOMAIN 0.012 0 102",
            "dns_query - 10.10.1.11 A abc.example NXDOMAIN",
        );
        check("unbound[812]: [812:1] info: 10.10.1.11 abc.example. TXT IN", "dns_query - 10.10.1.11 TXT abc.example -");
        check("unbound[812]: [812:0] info: start of service (unbound 1.17.1).", "- - - - - -");
        check("dnsmasq[812]: query[AAAA] abc.example from 10.20.0.15", "dns_query - 10.20.0.15 AAAA abc.example -");
        check(
            "dnsmasq[812]: 7 10.20.0.15/40022 reply abc.example is NXDOMAIN",
            "dns_answer - 10.20.0.15 - abc.example NXDOMAIN",
        );
        check("dnsmasq[812]: possible DNS-rebind attack detected: abc.example", "dns_rebind failure - - abc.example -");
        check("named[812]: client", "- - - - - -");
        check("dnsmasq[812]: 7", "- - - - - -");
    }
}
