//! One value of an indicator or an event in the one form in which both are compared.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use compact_str::{CompactString, ToCompactString, format_compact};
use ipnet::IpNet;
use smallvec::SmallVec;

use crate::kind::IndicatorKind;
use crate::{defang, name, web};

/// Longest value, in bytes, before and after it is brought into form.
pub const VALUE_LEN_MAX: usize = 2_048;

/// Networks that hold more than this are refused: nobody's list means a quarter of the Internet.
const PREFIX_LEN_MIN_V4: u8 = 8;
const PREFIX_LEN_MIN_V6: u8 = 16;

pub(crate) type Bytes = SmallVec<[u8; 64]>;

/// A value of a known kind: addresses and digests as bytes, the others as text in the form in which they are compared.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Normal {
    pub(crate) kind: IndicatorKind,
    pub(crate) bytes: Bytes,
}

impl Normal {
    fn new(kind: IndicatorKind, bytes: &[u8]) -> Self {
        Self { kind, bytes: Bytes::from_slice(bytes) }
    }

    pub(crate) fn ip(address: IpAddr) -> Self {
        let mut buffer = [0; 16];
        Self::new(IndicatorKind::Ip, address_bytes(address, &mut buffer))
    }

    pub(crate) fn cidr(network: IpNet) -> Self {
        let network = network.trunc();
        let mut buffer = [0; 16];
        let mut bytes = Bytes::from_slice(address_bytes(network.addr(), &mut buffer));
        bytes.push(network.prefix_len());
        Self { kind: IndicatorKind::Cidr, bytes }
    }

    /// As people write it, without precautions.
    pub(crate) fn shown(&self) -> CompactString {
        shown(self.kind, &self.bytes)
    }
}

/// The four or sixteen bytes of an address.
pub(crate) fn address_bytes(address: IpAddr, buffer: &mut [u8; 16]) -> &[u8] {
    match address {
        IpAddr::V4(address) => {
            buffer[..4].copy_from_slice(&address.octets());
            &buffer[..4]
        }
        IpAddr::V6(address) => {
            *buffer = address.octets();
            &buffer[..]
        }
    }
}

pub(crate) fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::V4(Ipv4Addr::from(four)));
    }
    <[u8; 16]>::try_from(bytes).ok().map(|sixteen| IpAddr::V6(Ipv6Addr::from(sixteen)))
}

pub(crate) fn network(bytes: &[u8]) -> Option<IpNet> {
    let (len, bytes) = bytes.split_last()?;
    IpNet::new(address(bytes)?, *len).ok()
}

/// A stored value as people write it.
pub(crate) fn shown(kind: IndicatorKind, bytes: &[u8]) -> CompactString {
    let text = || String::from_utf8_lossy(bytes).to_compact_string();
    match kind {
        IndicatorKind::Ip => address(bytes).map_or_else(text, |address| address.to_compact_string()),
        IndicatorKind::Cidr => network(bytes).map_or_else(text, |network| network.to_compact_string()),
        kind if kind.digest_len().is_some() => {
            let mut digits = CompactString::with_capacity(2 * bytes.len());
            for byte in bytes {
                digits.push_str(&format_compact!("{byte:02x}"));
            }
            digits
        }
        _ => text(),
    }
}

/// Why a value is no indicator. In a few words that name the value's trouble, for a list of problems.
pub(crate) type Refusal = CompactString;

/// Reads a value as lists write it. Without a kind it is found from the form.
pub(crate) fn read(kind: Option<IndicatorKind>, text: &str) -> Result<Normal, Refusal> {
    if text.len() > VALUE_LEN_MAX {
        return Err(format_compact!("the value is longer than {VALUE_LEN_MAX} bytes"));
    }
    let kind_of = |text: &str| kind.map_or_else(|| infer(text), Ok);
    if kind == Some(IndicatorKind::UserAgent) {
        let text = text.trim();
        return if text.is_empty() {
            Err(refuse(text, "empty"))
        } else {
            Ok(Normal::new(IndicatorKind::UserAgent, text.as_bytes()))
        };
    }
    let text = defang::refang(text);
    if text.is_empty() {
        return Err(CompactString::const_new("the value is empty"));
    }
    match kind_of(&text)? {
        // Lists write networks as addresses and the other way round.
        kind @ (IndicatorKind::Ip | IndicatorKind::Cidr) => {
            read_network(&text).ok_or_else(|| refuse(&text, kind_words(kind))).and_then(checked)
        }
        IndicatorKind::Domain => match ip(&text) {
            Some(address) => Ok(Normal::ip(address)),
            None => read_domain(&text),
        },
        IndicatorKind::Url => {
            let url = web::normal(&text).ok_or_else(|| refuse(&text, kind_words(IndicatorKind::Url)))?;
            if url.len() > VALUE_LEN_MAX {
                return Err(format_compact!("the address is longer than {VALUE_LEN_MAX} bytes"));
            }
            Ok(Normal::new(IndicatorKind::Url, url.as_bytes()))
        }
        IndicatorKind::Email => email(&text)
            .map(|text| Normal::new(IndicatorKind::Email, text.as_bytes()))
            .ok_or_else(|| refuse(&text, kind_words(IndicatorKind::Email))),
        IndicatorKind::Ja4 => ja4(&text)
            .map(|text| Normal::new(IndicatorKind::Ja4, text.as_bytes()))
            .ok_or_else(|| refuse(&text, kind_words(IndicatorKind::Ja4))),
        IndicatorKind::UserAgent => Ok(Normal::new(IndicatorKind::UserAgent, text.trim().as_bytes())),
        kind => {
            let mut buffer = [0; 64];
            let digest = digest(kind, text.trim(), &mut buffer).ok_or_else(|| refuse(&text, kind_words(kind)))?;
            Ok(Normal::new(kind, digest))
        }
    }
}

fn refuse(text: &str, what: &str) -> Refusal {
    let shown: String = text.chars().take(80).collect();
    format_compact!("`{shown}` is {what}")
}

const fn kind_words(kind: IndicatorKind) -> &'static str {
    match kind {
        IndicatorKind::Ip => "not an IP address",
        IndicatorKind::Cidr => "not a network such as `198.51.100.0/24`",
        IndicatorKind::Domain => "not a domain name",
        IndicatorKind::Url => "not a URL with a scheme and a host",
        IndicatorKind::Md5 => "not an MD5 hash (32 hexadecimal digits)",
        IndicatorKind::Sha1 => "not a SHA-1 hash (40 hexadecimal digits)",
        IndicatorKind::Sha256 => "not a SHA-256 hash (64 hexadecimal digits)",
        IndicatorKind::Sha512 => "not a SHA-512 hash (128 hexadecimal digits)",
        IndicatorKind::Email => "not an e-mail address",
        IndicatorKind::Ja3 | IndicatorKind::Ja3s => "not a JA3 fingerprint (32 hexadecimal digits)",
        IndicatorKind::Ja4 => "not a JA4 fingerprint such as `t13d1516h2_8daaf6152771_e5627efa2ab1`",
        IndicatorKind::UserAgent => "not a user agent",
    }
}

/// What a bare value of a list is. 32 hexadecimal digits are an MD5: JA3 must be said.
fn infer(text: &str) -> Result<IndicatorKind, Refusal> {
    if text.contains("://") {
        return Ok(IndicatorKind::Url);
    }
    if read_network(text).is_some() {
        return Ok(IndicatorKind::Ip);
    }
    if text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let kind = match text.len() {
            32 => Some(IndicatorKind::Md5),
            40 => Some(IndicatorKind::Sha1),
            64 => Some(IndicatorKind::Sha256),
            128 => Some(IndicatorKind::Sha512),
            _ => None,
        };
        if let Some(kind) = kind {
            return Ok(kind);
        }
    }
    if text.contains('@') {
        return Ok(IndicatorKind::Email);
    }
    if ja4(text).is_some() {
        return Ok(IndicatorKind::Ja4);
    }
    // A path after a name is a URL whose scheme was left out.
    if let Some((host, _)) = text.split_once('/')
        && host.contains('.')
        && name::normal(host.split(':').next().unwrap_or(host)).is_some()
    {
        return Ok(IndicatorKind::Url);
    }
    if text.contains('.') {
        return Ok(IndicatorKind::Domain);
    }
    Err(refuse(text, "of no type that is known; write the type in front, for example `ja3:…`"))
}

fn read_network(text: &str) -> Option<IpNet> {
    if let Some(address) = ip(text) {
        return Some(IpNet::from(address));
    }
    if let Ok(network) = text.parse::<IpNet>() {
        return Some(network.trunc());
    }
    // `198.51.100.7:443` and `[2001:db8::1]:443` of lists of servers.
    text.parse::<std::net::SocketAddr>().ok().map(|address| IpNet::from(address.ip().to_canonical()))
}

fn checked(network: IpNet) -> Result<Normal, Refusal> {
    let (min, whole) = match network {
        IpNet::V4(_) => (PREFIX_LEN_MIN_V4, 32),
        IpNet::V6(_) => (PREFIX_LEN_MIN_V6, 128),
    };
    if network.prefix_len() == whole {
        return Ok(Normal::ip(network.addr()));
    }
    if network.prefix_len() < min {
        return Err(format_compact!("the network `{network}` is too large; the shortest prefix taken is /{min}"));
    }
    Ok(Normal::cidr(network))
}

fn read_domain(text: &str) -> Result<Normal, Refusal> {
    let text = text.strip_prefix("*.").unwrap_or(text);
    // `evil.com:8080` of lists of servers.
    let host = match text.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => text,
    };
    if let Some(address) = ip(host) {
        return Ok(Normal::ip(address));
    }
    let name = name::normal(host).ok_or_else(|| refuse(text, kind_words(IndicatorKind::Domain)))?;
    if !name.contains('.') {
        return Err(refuse(text, "a name of one label, which would match too much"));
    }
    if name::is_public_suffix(&name) {
        return Err(refuse(text, "a domain under which anybody can register, which would match too much"));
    }
    Ok(Normal::new(IndicatorKind::Domain, name.as_bytes()))
}

/// An address, a scope (`%eth0`) left off, an IPv4 address inside IPv6 taken out.
pub(crate) fn ip(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    // Most texts are no addresses, and this is quicker than parsing them.
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_hexdigit() || first == b':') || text.len() > 64 {
        return None;
    }
    let text = text.split('%').next().unwrap_or(text);
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Local part and domain in lower case, `mailto:`, a shown name and angle brackets left off.
pub(crate) fn email(text: &str) -> Option<CompactString> {
    let text = text.trim();
    let text = match (text.rfind('<'), text.rfind('>')) {
        (Some(open), Some(close)) if open < close => text.get(open + 1..close)?.trim(),
        _ => text,
    };
    let text = match text.get(..7) {
        Some(head) if head.eq_ignore_ascii_case("mailto:") => text.get(7..)?,
        _ => text,
    };
    let (local, domain) = text.rsplit_once('@')?;
    let fine = !local.is_empty()
        && local.len() <= 64
        && !local.contains(|sign: char| sign.is_whitespace() || sign.is_control());
    let domain = name::normal(domain).filter(|domain| fine && domain.contains('.'))?;
    let mut whole: CompactString = local.chars().flat_map(char::to_lowercase).collect();
    whole.push('@');
    whole.push_str(&domain);
    Some(whole)
}

/// Three parts: `t13d1516h2_8daaf6152771_e5627efa2ab1`, in lower case.
pub(crate) fn ja4(text: &str) -> Option<CompactString> {
    let text = text.trim();
    if text.len() != 36 || !text.is_ascii() {
        return None;
    }
    let mut parts = text.split('_');
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str| part.len() == 12 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let head = first.len() == 10 && first.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (head && hex(second) && hex(third) && parts.next().is_none()).then(|| text.to_ascii_lowercase().into())
}

/// The bytes that the hexadecimal digits spell, if there are as many as the kind has.
pub(crate) fn digest<'b>(kind: IndicatorKind, text: &str, buffer: &'b mut [u8; 64]) -> Option<&'b [u8]> {
    let len = kind.digest_len()?;
    let digits = text.as_bytes();
    if digits.len() != 2 * len {
        return None;
    }
    for (byte, pair) in buffer.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = *<&[u8; 2]>::try_from(pair).ok()?;
        *byte = nibble(high)? << 4 | nibble(low)?;
    }
    buffer.get(..len)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: Option<IndicatorKind>, text: &str, expected: Result<&str, &str>) {
        let found = read(kind, text).map(|normal| format!("{} {}", normal.kind, normal.shown()));
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "input: {text:?}"),
            (Err(found), Err(expected)) => assert!(found.contains(expected), "input: {text:?}, refusal: {found}"),
            (found, _) => panic!("input: {text:?}, got {found:?}"),
        }
    }

    #[test]
    fn bare_values() {
        check(None, "198.51.100.7", Ok("ip 198.51.100.7"));
        check(None, "198.51.100[.]7", Ok("ip 198.51.100.7"));
        check(None, "198.51.100.7:8080", Ok("ip 198.51.100.7"));
        check(None, "198.51.100.7/32", Ok("ip 198.51.100.7"));
        check(None, "198.51.100.7/24", Ok("cidr 198.51.100.0/24"));
        check(None, "2001:DB8::1", Ok("ip 2001:db8::1"));
        check(None, "[2001:db8::1]:443", Ok("ip 2001:db8::1"));
        check(None, "::ffff:198.51.100.7", Ok("ip 198.51.100.7"));
        check(None, "2001:db8::/32", Ok("cidr 2001:db8::/32"));
        check(None, "0.0.0.0/0", Err("too large"));
        check(None, "EVIL.Com.", Ok("domain evil.com"));
        check(None, "*.evil.com", Ok("domain evil.com"));
        check(None, "evil.com:8080", Ok("domain evil.com"));
        check(None, "tấn-công.vn", Ok("domain xn--tn-cng-lxa8191d.vn"));
        check(None, "com.vn", Err("anybody can register"));
        check(None, "localhost", Err("no type that is known"));
        check(Some(IndicatorKind::Domain), "localhost", Err("one label"));
        check(None, "hxxp://Evil[.]com:80/A?b=C#d", Ok("url http://evil.com/A?b=C"));
        check(None, "evil.com/a.exe", Ok("url http://evil.com/a.exe"));
        check(None, "d41d8cd98f00b204e9800998ecf8427e", Ok("md5 d41d8cd98f00b204e9800998ecf8427e"));
        check(None, "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709", Ok("sha1 da39a3ee5e6b4b0d3255bfef95601890afd80709"));
        check(None, &"ab".repeat(32), Ok(&format!("sha256 {}", "ab".repeat(32))));
        check(None, &"ab".repeat(64), Ok(&format!("sha512 {}", "ab".repeat(64))));
        check(Some(IndicatorKind::Sha1), &"ab".repeat(32), Err("not a SHA-1"));
        check(Some(IndicatorKind::Md5), &"zz".repeat(16), Err("not an MD5"));
        check(None, "Mallory@EVIL.com", Ok("email mallory@evil.com"));
        check(Some(IndicatorKind::Email), "Mallory <mallory[at]evil[.]com>", Ok("email mallory@evil.com"));
        check(None, "t13d1516h2_8daaf6152771_e5627efa2ab1", Ok("ja4 t13d1516h2_8daaf6152771_e5627efa2ab1"));
        check(Some(IndicatorKind::Ja3), &"AB".repeat(16), Ok(&format!("ja3 {}", "ab".repeat(16))));
        check(Some(IndicatorKind::UserAgent), " Mozilla/4.0 (bad) ", Ok("user_agent Mozilla/4.0 (bad)"));
        check(None, "", Err("empty"));
        check(None, "word", Err("no type that is known"));
        check(None, &"a".repeat(3_000), Err("longer than"));
        check(Some(IndicatorKind::Ip), "300.1.1.1", Err("not an IP address"));
    }
}
