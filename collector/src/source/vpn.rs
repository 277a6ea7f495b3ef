//! Ends of tunnels: OpenVPN, strongSwan, and the old PPTP and L2TP servers.

use std::sync::LazyLock;

use canh_schema::{Event, Value, field};
use compact_str::CompactString;

use super::project;
use super::template::Outcome::{Failure, Success, Unsaid};
use super::template::{Line, Table, line};

const AUTH: &str = "authentication";
const SESSION: &str = "session";
const NETWORK: &str = "network";

/// Lines of OpenVPN after the client (`canbo01/203.0.113.9:40022`), which [`openvpn`] takes off.
static OPENVPN: &[Line] = &[
    line("vpn_login", Failure, AUTH, "TLS Auth Error: Auth Username/Password verification failed for peer"),
    line("vpn_login", Failure, AUTH, "SENT CONTROL [{user.name}]: 'AUTH_FAILED"),
    line("vpn_login", Failure, AUTH, "AUTH_FAILED"),
    line("vpn_login", Success, AUTH, "TLS: Username/Password authentication succeeded for username '{user.name*}'"),
    line("vpn_login", Failure, AUTH, "user '{user.name*}' could not authenticate"),
    line("vpn_login", Success, AUTH, "user '{user.name*}' authenticated"),
    line("vpn_start", Success, SESSION, "[{user.name}] Peer Connection Initiated with [AF_INET]{openvpn.peer}"),
    line("vpn_start", Success, SESSION, "[{user.name}] Peer Connection Initiated with [AF_INET6]{openvpn.peer}"),
    line(
        "vpn_certificate",
        Failure,
        AUTH,
        "VERIFY ERROR: depth={openvpn.depth}, error={event.reason}: {openvpn.subject}",
    ),
    line("vpn_certificate", Success, AUTH, "VERIFY OK: depth={openvpn.depth}, {openvpn.subject}"),
    line(
        "vpn_session_replaced",
        Unsaid,
        SESSION,
        "MULTI: new connection by client '{user.name*}' will cause previous active sessions by this client to be dropped",
    ),
    line(
        "vpn_handshake",
        Failure,
        NETWORK,
        "TLS Error: cannot locate HMAC in incoming packet from [AF_INET]{openvpn.peer}",
    ),
    line("vpn_handshake", Failure, NETWORK, "TLS Error: {event.reason}"),
    line("vpn_handshake", Failure, NETWORK, "TLS_ERROR: {event.reason}"),
    line("vpn_end", Unsaid, SESSION, "SIGUSR1[{event.reason}] received, client-instance restarting"),
    line("vpn_end", Unsaid, SESSION, "SIGTERM[{event.reason}] received, client-instance exiting"),
];

/// Lines of charon after `12[IKE] <name|3> `, which [`charon`] takes off.
static CHARON: &[Line] = &[
    line("vpn_login", Failure, AUTH, "received AUTHENTICATION_FAILED notify error"),
    line(
        "vpn_login",
        Failure,
        AUTH,
        "tried {ipsec.count} shared key for '{ipsec.local}' - '{ipsec.remote}', but MAC mismatched",
    ),
    line(
        "vpn_login",
        Failure,
        AUTH,
        "tried {ipsec.count} shared keys for '{ipsec.local}' - '{ipsec.remote}', but MAC mismatched",
    ),
    line("vpn_login", Failure, AUTH, "EAP method {ipsec.method} failed for peer {ipsec.remote}"),
    line("vpn_login", Failure, AUTH, "XAuth authentication of '{user.name*}' failed"),
    line("vpn_login", Success, AUTH, "XAuth authentication of '{user.name*}' successful"),
    line("vpn_proposal", Failure, NETWORK, "received NO_PROPOSAL_CHOSEN notify"),
    line("vpn_proposal", Failure, NETWORK, "received proposals unacceptable"),
    line("vpn_proposal", Failure, NETWORK, "received proposals inacceptable"),
    line(
        "vpn_proposal",
        Failure,
        NETWORK,
        "no IKE config found for {destination.ip}...{source.ip}, sending NO_PROPOSAL_CHOSEN",
    ),
    line("vpn_peer_lost", Unsaid, NETWORK, "giving up after {ipsec.count} retransmits"),
    line("vpn_peer_lost", Unsaid, NETWORK, "DPD check timed out, enforcing DPD action"),
    line("vpn_certificate", Failure, AUTH, "subject certificate invalid ({event.reason})"),
    line("vpn_certificate", Failure, AUTH, "certificate was revoked on {event.reason}"),
    line(
        "vpn_start",
        Success,
        SESSION,
        "IKE_SA {ipsec.sa} established between {destination.ip}[{ipsec.local}]...{source.ip}[{ipsec.remote}]",
    ),
    line(
        "vpn_end",
        Unsaid,
        SESSION,
        "deleting IKE_SA {ipsec.sa} between {destination.ip}[{ipsec.local}]...{source.ip}[{ipsec.remote}]",
    ),
    line("vpn_attempt", Unsaid, SESSION, "{source.ip} is initiating a"),
];

static PPP: &[Line] = &[
    line("vpn_attempt", Unsaid, SESSION, "CTRL: Client {source.ip} control connection started"),
    line(
        "vpn_start",
        Success,
        SESSION,
        "Connection established to {source.ip}, {source.port}.  Local: {ppp.local}, Remote: {ppp.remote}",
    ),
    line("vpn_login", Failure, AUTH, "Peer {user.name*} failed CHAP authentication"),
    line("vpn_login", Failure, AUTH, "PAP authentication failed"),
    line("vpn_login", Failure, AUTH, "CHAP authentication failed"),
    line("vpn_login", Success, AUTH, "MSCHAP-v2 peer authentication succeeded for {user.name}"),
    line("vpn_login", Success, AUTH, "CHAP peer authentication succeeded for {user.name}"),
    line("vpn_login", Success, AUTH, "PAP peer authentication succeeded for {user.name}"),
];

static OPENVPN_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(OPENVPN));
static CHARON_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(CHARON));
static PPP_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(PPP));

/// OpenVPN writes the client first: `203.0.113.9:40022 …`, and with its name once it is known.
pub(super) fn openvpn(event: &mut Event, message: &str) {
    event.logsource.product = Some(CompactString::const_new("openvpn"));
    let mut text = message;
    if let Some((client, rest)) = message.split_once(' ') {
        let (name, peer) = client.rsplit_once('/').map_or((None, client), |(name, peer)| (Some(name), peer));
        if set_peer(event, peer) {
            text = rest;
            if let Some(name) = name.filter(|name| !name.is_empty()) {
                event.set(field::USER_NAME, name);
            }
        }
    }
    OPENVPN_TABLE.apply(event, text);
    let peer = event.attr("openvpn.peer").and_then(Value::as_str).map(CompactString::from);
    if let Some(peer) = peer.filter(|_| event.get(field::SOURCE_IP).is_none()) {
        set_peer(event, peer.split(' ').next().unwrap_or_default());
    }
}

/// Sets address and port of `203.0.113.9:40022` or `2001:db8::9:40022`, with `udp4:` or the like in front in some
/// versions. Answers whether it is such a pair.
fn set_peer(event: &mut Event, peer: &str) -> bool {
    let peer = ["tcp4-server:", "tcp6-server:", "udp4:", "udp6:"]
        .iter()
        .find_map(|prefix| peer.strip_prefix(prefix))
        .unwrap_or(peer);
    let Some((address, port)) = peer.rsplit_once(':') else { return false };
    let (Ok(_), Ok(_)) = (address.parse::<std::net::IpAddr>(), port.parse::<u16>()) else { return false };
    project::set_text(event, field::SOURCE_IP, address) && project::set_text(event, field::SOURCE_PORT, port)
}

/// strongSwan: `12[IKE] <name|3> text`. The name is that of the connection, the number that of the session.
pub(super) fn charon(event: &mut Event, message: &str) {
    event.logsource.product = Some(CompactString::const_new("strongswan"));
    let text = message.split_once("] ").filter(|(thread, _)| thread.len() <= 8).map_or(message, |(_, text)| text);
    let text = match text.strip_prefix('<').and_then(|rest| rest.split_once("> ")) {
        Some((connection, text)) if connection.len() <= 128 => {
            if let Some((name, _)) = connection.split_once('|') {
                event.attrs.push((CompactString::const_new("ipsec.connection"), Value::from(name)));
            }
            text
        }
        _ => text,
    };
    CHARON_TABLE.apply(event, text);
    // What the other end calls itself is its address, if nobody gave it a name.
    let remote = event.attr("ipsec.remote").and_then(Value::as_str).map(CompactString::from);
    if let Some(remote) = remote.filter(|_| event.get(field::SOURCE_IP).is_none()) {
        project::set_text(event, field::SOURCE_IP, &remote);
    }
}

pub(super) fn ppp(event: &mut Event, message: &str) {
    PPP_TABLE.apply(event, message);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tested;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        let event = tested::decode(&format!("<29>Nov 22 09:00:00 vpn-01 {body}"));
        let text = |id| event.get(id).and_then(Value::as_text).map_or("-".to_owned(), |text| text.into_owned());
        let shown = [field::EVENT_ACTION, field::EVENT_OUTCOME, field::SOURCE_IP, field::USER_NAME];
        assert_eq!(shown.map(text).join(" "), expected, "input: {body:?}");
    }

    #[test]
    fn openvpn_lines() {
        let auth = "TLS Auth Error: Auth Username/Password verification failed for peer";
        check(&format!("openvpn[812]: 203.0.113.9:40022 {auth}"), "vpn_login failure 203.0.113.9 -");
        check(&format!("ovpn-server[812]: udp4:203.0.113.9:40022 {auth}"), "vpn_login failure 203.0.113.9 -");
        check(
            "openvpn[812]: canbo01/203.0.113.9:40022 SIGUSR1[soft,ping-restart] received, client-instance restarting",
            "vpn_end - 203.0.113.9 canbo01",
        );
        check(
            "openvpn[812]: 203.0.113.9:40022 [canbo01] Peer Connection Initiated with [AF_INET]203.0.113.9:40022",
            "vpn_start success 203.0.113.9 canbo01",
        );
        check(
            "openvpn[812]: MULTI: new connection by client 'canbo01' will cause previous active sessions by this client to be dropped.  Remember to use the --duplicate-cn option",
            "vpn_session_replaced - - canbo01",
        );
        check(
            "openvpn[812]: TLS Error: cannot locate HMAC in incoming packet from [AF_INET]203.0.113.9:40022",
            "vpn_handshake failure 203.0.113.9 -",
        );
        check(
            "openvpn[812]: 203.0.113.9:40022 VERIFY ERROR: depth=0, error=certificate revoked: CN=canbo01",
            "vpn_certificate failure 203.0.113.9 -",
        );
        check("openvpn[812]: Initialization Sequence Completed", "- - - -");
        check("openvpn[812]: ", "- - - -");
    }

    #[test]
    fn strongswan_lines() {
        check("charon: 12[IKE] <nsp|3> received AUTHENTICATION_FAILED notify error", "vpn_login failure - -");
        check(
            "charon[812]: 12[IKE] <nsp|3> tried 1 shared key for '192.0.2.1' - '203.0.113.9', but MAC mismatched",
            "vpn_login failure 203.0.113.9 -",
        );
        check("charon: 09[IKE] <nsp|3> giving up after 5 retransmits", "vpn_peer_lost - - -");
        check(
            "charon: 09[IKE] <nsp|3> IKE_SA nsp[3] established between 192.0.2.1[192.0.2.1]...203.0.113.1[203.0.113.1]",
            "vpn_start success 203.0.113.1 -",
        );
        check(
            "charon: 09[IKE] <4> no IKE config found for 192.0.2.1...203.0.113.9, sending NO_PROPOSAL_CHOSEN",
            "vpn_proposal failure 203.0.113.9 -",
        );
        check("charon: 00[DMN] signal of type SIGINT received. Shutting down", "- - - -");
    }

    #[test]
    fn old_servers() {
        check("pptpd[812]: CTRL: Client 203.0.113.9 control connection started", "vpn_attempt - 203.0.113.9 -");
        check(
            "xl2tpd[812]: Connection established to 203.0.113.9, 1701.  Local: 12345, Remote: 54321 (ref=0/0).  LNS session is 'default'",
            "vpn_start success 203.0.113.9 -",
        );
        check("pppd[812]: Peer canbo01 failed CHAP authentication", "vpn_login failure - canbo01");
    }
}
