//! Which packets a capture takes: the user's filter, without the agent's own connection to its server.

use std::net::{IpAddr, ToSocketAddrs};

use pcap::{Capture, Linktype};
use tracing::warn;

/// Kinds of links that a filter may be written for. The first is the usual one, and its complaint is shown.
const LINKS: [Linktype; 5] =
    [Linktype::ETHERNET, Linktype::LINUX_SLL, Linktype::RAW, Linktype::NULL, Linktype::IEEE802_11_RADIOTAP];
/// Ports of `http://` and `https://` when the address has none.
const PORTS: [u16; 2] = [80, 443];

/// Whether libpcap understands a filter, for any kind of link: which one it will be is known only when the capture is
/// opened.
///
/// # Errors
///
/// The words of libpcap.
pub fn check(filter: &str) -> Result<(), pcap::Error> {
    let compiles = |link| Capture::dead(link)?.compile(filter, true).map(|_| ());
    let [usual, others @ ..] = LINKS;
    compiles(usual)
        .or_else(|error| if others.into_iter().any(|link| compiles(link).is_ok()) { Ok(()) } else { Err(error) })
}

/// The other end of the agent's own connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Name or address, an IPv6 address without brackets.
    pub host: String,
    pub port: u16,
}

impl Peer {
    /// Host and port of `server.url`.
    pub fn of_url(url: &str) -> Option<Self> {
        let uri: http::Uri = url.parse().ok()?;
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let [plain, secured] = PORTS;
        let port = if uri.scheme_str() == Some("https") { secured } else { plain };
        Some(Self { host, port: uri.port_u16().unwrap_or(port) })
    }

    /// Its addresses now. None, with a warning, if the name is not known: a capture with a little too much in it is
    /// better than none.
    pub(in crate::input) fn addresses(&self) -> Vec<IpAddr> {
        match (self.host.as_str(), self.port).to_socket_addrs() {
            Ok(found) => {
                let mut addresses: Vec<_> = found.map(|address| address.ip()).collect();
                addresses.sort();
                addresses.dedup();
                addresses
            }
            Err(error) => {
                warn!(%error, "address of the server is not known; the agent's own traffic is captured too");
                Vec::new()
            }
        }
    }
}

/// What `filter` takes, without TCP between anybody and `port` at these addresses. `None` takes everything.
pub(super) fn without(filter: Option<&str>, port: u16, addresses: &[IpAddr]) -> Option<String> {
    let filter = filter.map(str::trim).filter(|filter| !filter.is_empty());
    let hosts: Vec<_> = addresses.iter().map(|address| format!("host {address}")).collect();
    let own = (!hosts.is_empty()).then(|| format!("not (tcp port {port} and ({}))", hosts.join(" or ")));
    match (filter, own) {
        (Some(filter), Some(own)) => Some(format!("({filter}) and {own}")),
        (filter, own) => own.or(filter.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_url(url: &str, expected: Option<(&str, u16)>) {
        assert_eq!(Peer::of_url(url), expected.map(|(host, port)| Peer { host: host.to_owned(), port }), "{url}");
    }

    #[test]
    fn the_peer_is_what_the_url_says() {
        check_url("http://10.0.0.9:4317", Some(("10.0.0.9", 4317)));
        check_url("http://[::1]:4317/path", Some(("::1", 4317)));
        check_url("http://collector.local", Some(("collector.local", 80)));
        check_url("https://collector.local", Some(("collector.local", 443)));
        check_url("nothing at all", None);
        let peer = Peer::of_url("http://[::1]:4317").unwrap();
        assert_eq!(peer.addresses(), ["::1".parse::<IpAddr>().unwrap()]);
    }

    /// A packet from 10.0.0.1 port 40000 to this address and port, over Ethernet.
    fn packet(protocol: u8, to: IpAddr, port: u16) -> Vec<u8> {
        let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        match to {
            IpAddr::V4(to) => {
                bytes.extend([0x08, 0x00, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1]);
                bytes.extend(to.octets());
            }
            IpAddr::V6(to) => {
                bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, protocol, 64]);
                bytes.extend([0; 16]);
                bytes.extend(to.octets());
            }
        }
        bytes.extend(40_000_u16.to_be_bytes());
        bytes.extend(port.to_be_bytes());
        bytes.extend([0; 16]);
        bytes
    }

    #[track_caller]
    fn check_taken(filter: Option<&str>, protocol: u8, to: &str, port: u16, expected: bool) {
        let own = ["10.0.0.9".parse().unwrap(), "fd00::9".parse().unwrap()];
        let text = without(filter, 4317, &own).unwrap();
        let program = Capture::dead(LINKS[0]).unwrap().compile(&text, true).unwrap();
        assert_eq!(program.filter(&packet(protocol, to.parse().unwrap(), port)), expected, "{text}");
    }

    #[test]
    fn the_connection_to_the_server_is_left_out_and_nothing_else() {
        const TCP: u8 = 6;
        const UDP: u8 = 17;
        check_taken(None, TCP, "10.0.0.9", 4317, false);
        check_taken(None, TCP, "fd00::9", 4317, false);
        check_taken(None, TCP, "10.0.0.9", 22, true);
        check_taken(None, TCP, "10.0.0.8", 4317, true);
        check_taken(None, UDP, "10.0.0.9", 4317, true);
        // Without brackets around it, the `or` would let the connection in.
        check_taken(Some("port 4317 or port 22"), TCP, "10.0.0.9", 4317, false);
        check_taken(Some("port 4317 or port 22"), TCP, "10.0.0.8", 4317, true);
        check_taken(Some("port 4317 or port 22"), TCP, "10.0.0.8", 23, false);
        check_taken(Some(" "), TCP, "10.0.0.9", 4317, false);
        assert_eq!(without(Some("udp"), 4317, &[]).as_deref(), Some("udp"));
        assert_eq!(without(None, 4317, &[]), None);
    }

    #[test]
    fn filters_for_any_kind_of_link_are_right() {
        for filter in ["", "not port 22", "ether host 2:0:0:0:0:1", "wlan type mgt", "vlan 5 and tcp"] {
            assert!(check(filter).is_ok(), "{filter}: {:?}", check(filter));
        }
        for filter in ["prot 53", "port 70000", "tcp) or (udp", "tcp and"] {
            assert!(check(filter).is_err(), "{filter}");
        }
    }
}
