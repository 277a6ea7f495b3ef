//! The types of indicators: one row each, with the names that lists use for them.

use std::fmt;

/// What sort of value an indicator is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum IndicatorKind {
    /// One IPv4 or IPv6 address.
    Ip,
    /// A network: every address in it matches.
    Cidr,
    /// A name; names below it match too.
    Domain,
    Url,
    Md5,
    Sha1,
    Sha256,
    Sha512,
    Email,
    /// Fingerprint of a TLS client, 32 hexadecimal digits.
    Ja3,
    /// Fingerprint of a TLS server, 32 hexadecimal digits.
    Ja3s,
    Ja4,
    /// Compared whole and by case, as programs write it.
    UserAgent,
}

/// Kind, name, other names. The first name is the one that is stored and shown.
const NAMES: &[(IndicatorKind, &str, &[&str])] = &[
    (
        IndicatorKind::Ip,
        "ip",
        &[
            "ipv4",
            "ipv6",
            "ip_address",
            "ipaddress",
            "ip-src",
            "ip-dst",
            "ipv4-addr",
            "ipv6-addr",
            "ip:port",
            "ip_port",
        ],
    ),
    (IndicatorKind::Cidr, "cidr", &["network", "net", "subnet", "netblock", "ip_range", "range"]),
    (IndicatorKind::Domain, "domain", &["hostname", "host", "fqdn", "domain-name", "domain_name", "dns"]),
    (IndicatorKind::Url, "url", &["uri", "link"]),
    (IndicatorKind::Md5, "md5", &["md5_hash", "md5-hash", "hash_md5", "filehash-md5", "file_md5"]),
    (IndicatorKind::Sha1, "sha1", &["sha-1", "sha1_hash", "sha1-hash", "hash_sha1", "filehash-sha1", "file_sha1"]),
    (
        IndicatorKind::Sha256,
        "sha256",
        &["sha-256", "sha256_hash", "sha256-hash", "hash_sha256", "filehash-sha256", "file_sha256"],
    ),
    (IndicatorKind::Sha512, "sha512", &["sha-512", "sha512_hash", "sha512-hash", "hash_sha512", "file_sha512"]),
    (
        IndicatorKind::Email,
        "email",
        &["e-mail", "mail", "email-addr", "email_address", "email-src", "email-dst", "sender"],
    ),
    (IndicatorKind::Ja3, "ja3", &["ja3-fingerprint-md5", "ja3_fingerprint", "ja3_hash"]),
    (IndicatorKind::Ja3s, "ja3s", &["ja3s-fingerprint-md5", "ja3s_fingerprint", "ja3s_hash"]),
    (IndicatorKind::Ja4, "ja4", &["ja4-fingerprint", "ja4_fingerprint"]),
    (IndicatorKind::UserAgent, "user_agent", &["user-agent", "useragent", "ua", "http_user_agent"]),
];

impl IndicatorKind {
    pub const ALL: [Self; 13] = [
        Self::Ip,
        Self::Cidr,
        Self::Domain,
        Self::Url,
        Self::Md5,
        Self::Sha1,
        Self::Sha256,
        Self::Sha512,
        Self::Email,
        Self::Ja3,
        Self::Ja3s,
        Self::Ja4,
        Self::UserAgent,
    ];

    pub const fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// The kind that a list means by this word, in any case. A word for "some hash" or "anything" is none.
    pub fn from_name(name: &str) -> Option<Self> {
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        NAMES
            .iter()
            .find(|(_, first, others)| is(first) || others.iter().any(|other| is(other)))
            .map(|(kind, _, _)| *kind)
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Length in bytes, for kinds that are hexadecimal digits.
    pub(crate) const fn digest_len(self) -> Option<usize> {
        match self {
            Self::Md5 | Self::Ja3 | Self::Ja3s => Some(16),
            Self::Sha1 => Some(20),
            Self::Sha256 => Some(32),
            Self::Sha512 => Some(64),
            _ => None,
        }
    }
}

impl fmt::Display for IndicatorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A set of kinds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Kinds(u16);

impl Kinds {
    pub(crate) fn add(&mut self, kind: IndicatorKind) {
        self.0 |= 1 << kind as u16;
    }

    pub(crate) const fn has(self, kind: IndicatorKind) -> bool {
        self.0 & (1 << kind as u16) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_nobody_shares_one() {
        let mut seen = std::collections::BTreeSet::new();
        for (number, (kind, name, others)) in NAMES.iter().enumerate() {
            assert_eq!(*kind as usize, number);
            assert_eq!(IndicatorKind::ALL[number], *kind);
            for name in std::iter::once(name).chain(*others) {
                assert!(seen.insert(*name), "`{name}` is there twice");
                assert_eq!(IndicatorKind::from_name(&name.to_uppercase()), Some(*kind));
            }
        }
        assert_eq!(IndicatorKind::from_name("hash"), None);
    }
}
