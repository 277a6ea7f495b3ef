//! What is never an indicator, whatever a list says: private and special addresses, well-known resolvers and sites,
//! and what the user's own allow-list names. A list with `127.0.0.1` or `google.com` in it would flood.

use std::net::IpAddr;

use compact_str::{CompactString, format_compact};
use ipnet::IpNet;
use rustc_hash::FxHashSet;

use crate::index::Ranges;
use crate::kind::IndicatorKind;
use crate::value::{self, Normal};
use crate::{name, web};

/// Addresses that are not on the Internet. Source: IANA's registries of special-purpose addresses (RFC 6890). The
/// networks for documentation are left out: they flood nobody, and demos and tests use them.
const SPECIAL: &[&str] = &[
    "0.0.0.0/8",
    "127.0.0.0/8",
    "192.0.0.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/127",
    "64:ff9b:1::/48",
    "100::/64",
    "ff00::/8",
];

/// Addresses that sites use inside.
const PRIVATE: &[&str] = &[
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
];

/// Resolvers that nearly everybody asks, root servers left out.
const RESOLVERS: &[&str] = &[
    "1.0.0.1",
    "1.1.1.1",
    "8.8.4.4",
    "8.8.8.8",
    "9.9.9.9",
    "149.112.112.112",
    "208.67.220.220",
    "208.67.222.222",
    "94.140.14.14",
    "94.140.15.15",
    "203.113.131.1",
    "203.113.131.2",
    "203.162.4.190",
    "203.162.4.191",
    "210.245.24.20",
    "210.245.24.22",
    "2001:4860:4860::8844",
    "2001:4860:4860::8888",
    "2606:4700:4700::1001",
    "2606:4700:4700::1111",
    "2620:fe::9",
    "2620:fe::fe",
];

/// Sites that nearly every machine asks for. Single addresses of theirs (`https://docs.google.com/…`) may still be
/// indicators; the whole site is none.
const SITES: &[&str] = &[
    "apple.com",
    "bing.com",
    "canonical.com",
    "cloudflare.com",
    "debian.org",
    "digicert.com",
    "facebook.com",
    "github.com",
    "gmail.com",
    "google.com",
    "google.com.vn",
    "googleapis.com",
    "gstatic.com",
    "icloud.com",
    "letsencrypt.org",
    "live.com",
    "microsoft.com",
    "microsoftonline.com",
    "mozilla.com",
    "mozilla.org",
    "msftconnecttest.com",
    "msftncsi.com",
    "office.com",
    "office365.com",
    "outlook.com",
    "skype.com",
    "ubuntu.com",
    "vnexpress.net",
    "wikipedia.org",
    "windows.com",
    "windowsupdate.com",
    "yahoo.com",
    "youtube.com",
    "zalo.me",
];

/// What to do with indicators that are private addresses.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum PrivateAddresses {
    /// They are on the allow-list.
    #[default]
    Allow,
    /// They are indicators like others: somebody hunts inside.
    Take,
}

/// Entries of the user's allow-list that are held.
pub const ALLOWED_MAX: usize = 100_000;

#[derive(Debug)]
pub(crate) struct AllowList {
    networks: Vec<IpNet>,
    ranges: Ranges,
    /// A name stands for all names below it.
    domains: FxHashSet<CompactString>,
    others: FxHashSet<Normal>,
    /// Entries that users wrote.
    own: usize,
}

impl AllowList {
    pub(crate) fn new(private: PrivateAddresses) -> Self {
        let private = if private == PrivateAddresses::Allow { PRIVATE } else { &[] };
        let networks = SPECIAL.iter().chain(private).chain(RESOLVERS);
        let networks = networks.filter_map(|text| match text.parse::<IpAddr>() {
            Ok(address) => Some(IpNet::from(address)),
            Err(_) => text.parse().ok(),
        });
        let mut this = Self {
            networks: networks.collect(),
            ranges: Ranges::default(),
            domains: SITES.iter().map(|name| CompactString::const_new(name)).collect(),
            others: FxHashSet::default(),
            own: 0,
        };
        this.sort();
        this
    }

    /// One entry of a user's list: an address, a network, a domain or any other value of an indicator.
    pub(crate) fn add(&mut self, text: &str) -> Result<(), CompactString> {
        if self.own >= ALLOWED_MAX {
            return Err(format_compact!("more than {ALLOWED_MAX} entries in allow-lists"));
        }
        // Own networks may be as large as they are, and own names may be short.
        if let Ok(network) = text.trim().parse::<IpNet>() {
            self.networks.push(network.trunc());
        } else if let Some(address) = value::ip(text) {
            self.networks.push(IpNet::from(address));
        } else {
            let text = text.trim().trim_start_matches("*.");
            let plain = !text.contains(['/', '@', ':']) && text.contains('.');
            match name::normal(text).filter(|_| plain) {
                Some(name) => drop(self.domains.insert(name.into())),
                None => drop(self.others.insert(value::read(None, text)?)),
            }
        }
        self.own += 1;
        Ok(())
    }

    /// To be called after the last [`AllowList::add`].
    pub(crate) fn sort(&mut self) {
        self.networks.sort_unstable();
        self.networks.dedup();
        self.ranges = Ranges::new(self.networks.iter().copied().zip(0..));
    }

    /// Why this value is no indicator, if the list has it.
    pub(crate) fn refuses(&self, value: &Normal) -> Option<&'static str> {
        let text = || std::str::from_utf8(&value.bytes).unwrap_or_default();
        let found = match value.kind {
            IndicatorKind::Ip => value::address(&value.bytes).is_some_and(|address| self.has_address(address)),
            // A network that has an allowed address in it stays; the address itself does not match.
            IndicatorKind::Cidr => value::network(&value.bytes).is_some_and(|network| self.has_network(network)),
            IndicatorKind::Domain => self.has_domain(text()),
            IndicatorKind::Url => match web::host(text()) {
                Some((host, whole)) => match value::ip(host.trim_matches(['[', ']'])) {
                    Some(address) => whole && self.has_address(address),
                    None => whole && self.has_domain(host),
                },
                None => false,
            },
            _ => false,
        };
        (found || self.others.contains(value)).then_some("it is on the allow-list")
    }

    pub(crate) fn has_address(&self, address: IpAddr) -> bool {
        self.ranges.holds(address)
    }

    fn has_network(&self, network: IpNet) -> bool {
        let mut found = false;
        self.ranges.holding(network.network(), |number| {
            let allowed = usize::try_from(number).ok().and_then(|number| self.networks.get(number));
            found |= allowed.is_some_and(|allowed| allowed.contains(&network));
        });
        found
    }

    pub(crate) fn has_domain(&self, name: &str) -> bool {
        name::with_parents(name).any(|name| self.domains.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed() {
        let mut list = AllowList::new(PrivateAddresses::Allow);
        for entry in ["tinh.example", "203.0.113.0/24", "https://other.example/a", "ab".repeat(16).as_str()] {
            list.add(entry).expect("an entry");
        }
        assert!(list.add("nothing at all").is_err());
        list.sort();
        let check = |text: &str, expected: bool| {
            let value = value::read(None, text).expect("a value");
            assert_eq!(list.refuses(&value).is_some(), expected, "value: {text}");
        };
        check("127.0.0.1", true);
        check("10.1.2.3", true);
        check("10.0.0.0/9", true);
        check("8.8.8.8", true);
        check("8.8.8.0/24", false);
        check("198.51.100.7", false);
        check("203.0.113.9", true);
        check("google.com", true);
        check("www.google.com", true);
        check("notgoogle.com", false);
        check("https://docs.google.com/document/1", false);
        check("https://docs.google.com/", true);
        check("http://10.0.0.1/", true);
        check("http://10.0.0.1/a.sh", false);
        check("mail.tinh.example", true);
        check("https://other.example/a", true);
        check("https://other.example/b", false);
        check(&"ab".repeat(16), true);
        let taken = AllowList::new(PrivateAddresses::Take);
        assert!(!taken.has_address(IpAddr::from([10, 0, 0, 1])));
        assert!(taken.has_address(IpAddr::from([127, 0, 0, 1])));
    }
}
