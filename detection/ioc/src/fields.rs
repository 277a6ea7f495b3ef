//! Which field of an event holds which type of value: one table, for catalogue fields and for the native names of
//! sources whose normaliser gives them no catalogue field. Reading the values is the business of `set`.

use std::sync::LazyLock;

use canh_schema::{FieldId, field_by_name};
use rustc_hash::FxHashMap;

use crate::kind::IndicatorKind;

/// What a field holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holds {
    /// Addresses.
    Ip,
    /// Names of machines or their addresses.
    Host,
    /// Addresses of pages. What has no scheme is no URL by itself.
    Url,
    /// One digest.
    Digest(IndicatorKind),
    /// Digests with their names, as Sysmon writes them: `MD5=…,SHA256=…`. Or one alone.
    Digests,
    /// Answers as Sysmon writes them: `type:  5 name;::ffff:198.51.100.7;`.
    Answers,
    Email,
    Ja4,
    UserAgent,
}

use Holds::{Answers, Digests, Email, Host, Ip, Ja4, Url, UserAgent};

const MD5: Holds = Holds::Digest(IndicatorKind::Md5);
const SHA1: Holds = Holds::Digest(IndicatorKind::Sha1);
const SHA256: Holds = Holds::Digest(IndicatorKind::Sha256);
const SHA512: Holds = Holds::Digest(IndicatorKind::Sha512);
const JA3: Holds = Holds::Digest(IndicatorKind::Ja3);
const JA3S: Holds = Holds::Digest(IndicatorKind::Ja3s);

/// The table. A name of the catalogue is looked up as a catalogue field, and as the source's own where the event has no
/// such field; any other name is the source's own.
pub static FIELDS: &[(&str, Holds)] = &[
    // Elastic Common Schema.
    ("source.ip", Ip),
    ("source.domain", Host),
    ("source.nat.ip", Ip),
    ("destination.ip", Ip),
    ("destination.domain", Host),
    ("destination.nat.ip", Ip),
    ("client.ip", Ip),
    ("client.domain", Host),
    ("server.ip", Ip),
    ("server.domain", Host),
    ("network.forwarded_ip", Ip),
    ("dns.question.name", Host),
    ("dns.answers.data", Host),
    ("dns.answers.name", Host),
    ("dns.resolved_ip", Ip),
    ("tls.client.server_name", Host),
    ("tls.client.ja3", JA3),
    ("tls.server.ja3s", JA3S),
    ("tls.client.ja4", Ja4),
    ("url.full", Url),
    ("url.original", Url),
    ("url.domain", Host),
    ("http.request.referrer", Url),
    ("user_agent.original", UserAgent),
    ("file.hash.md5", MD5),
    ("file.hash.sha1", SHA1),
    ("file.hash.sha256", SHA256),
    ("file.hash.sha512", SHA512),
    ("process.hash.md5", MD5),
    ("process.hash.sha1", SHA1),
    ("process.hash.sha256", SHA256),
    ("process.hash.sha512", SHA512),
    ("process.parent.hash.md5", MD5),
    ("process.parent.hash.sha1", SHA1),
    ("process.parent.hash.sha256", SHA256),
    ("dll.hash.md5", MD5),
    ("dll.hash.sha1", SHA1),
    ("dll.hash.sha256", SHA256),
    ("email.from.address", Email),
    ("email.sender.address", Email),
    ("email.to.address", Email),
    ("email.cc.address", Email),
    ("email.bcc.address", Email),
    ("email.reply_to.address", Email),
    ("email.attachments.file.hash.md5", MD5),
    ("email.attachments.file.hash.sha1", SHA1),
    ("email.attachments.file.hash.sha256", SHA256),
    ("user.email", Email),
    // Windows and Sysmon.
    ("SourceIp", Ip),
    ("SourceAddress", Ip),
    ("SourceHostname", Host),
    ("DestinationIp", Ip),
    ("DestAddress", Ip),
    ("DestinationHostname", Host),
    ("IpAddress", Ip),
    ("ClientAddress", Ip),
    ("ClientIP", Ip),
    ("RemoteAddress", Host),
    ("QueryName", Host),
    ("QueryResults", Answers),
    ("Hashes", Digests),
    ("Hash", Digests),
    ("FileHash", Digests),
    ("DestinationUrl", Url),
    ("ReferrerUrl", Url),
    ("HostUrl", Url),
    ("RemoteName", Url),
    // Zeek.
    ("id.orig_h", Ip),
    ("id_orig_h", Ip),
    ("id.resp_h", Ip),
    ("id_resp_h", Ip),
    ("tx_hosts", Ip),
    ("rx_hosts", Ip),
    ("query", Host),
    ("answers", Host),
    ("host", Host),
    ("server_name", Host),
    ("host_name", Host),
    ("referrer", Url),
    ("user_agent", UserAgent),
    ("ja3", JA3),
    ("ja3s", JA3S),
    ("ja4", Ja4),
    ("md5", MD5),
    ("sha1", SHA1),
    ("sha256", SHA256),
    ("mailfrom", Email),
    ("rcptto", Email),
    ("from", Email),
    ("to", Email),
    ("cc", Email),
    ("reply_to", Email),
    ("x_originating_ip", Ip),
    ("path_hosts", Ip),
    // Proxies and web servers, as Sigma names their values.
    ("c-ip", Ip),
    ("s-ip", Ip),
    ("dst_ip", Ip),
    ("src_ip", Ip),
    ("c-dns", Host),
    ("r-dns", Host),
    ("cs-host", Host),
    ("c-uri", Url),
    ("cs-uri", Url),
    ("cs-referer", Url),
    ("cs-referrer", Url),
    ("c-useragent", UserAgent),
    ("cs-user-agent", UserAgent),
    // Clouds.
    ("sourceIPAddress", Host),
    ("userAgent", UserAgent),
];

/// What a catalogue field holds, if the table has it.
pub(crate) fn of_catalogue(field: FieldId) -> Option<Holds> {
    static ROWS: LazyLock<Vec<Option<Holds>>> = LazyLock::new(|| {
        let mut rows = vec![None; FieldId::all().count()];
        for (name, holds) in FIELDS {
            if let Some(row) = field_by_name(name).and_then(|field| rows.get_mut(field.row())) {
                *row = Some(*holds);
            }
        }
        rows
    });
    ROWS.get(field.row()).copied().flatten()
}

/// A native name of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Native {
    pub(crate) holds: Holds,
    /// The catalogue field of this name. If the event has it, the native value is the same.
    pub(crate) field: Option<FieldId>,
}

/// Native names with a quick way to say no: an event has dozens of names, and few of them are in the table.
struct Names {
    by_name: FxHashMap<&'static str, Native>,
    /// A bit for each length that a name with this first byte has.
    lengths: [u64; 256],
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let mut names = Names { by_name: FxHashMap::default(), lengths: [0; 256] };
    for (name, holds) in FIELDS {
        names.by_name.insert(name, Native { holds: *holds, field: field_by_name(name) });
        if let Some(lengths) = name.bytes().next().and_then(|first| names.lengths.get_mut(usize::from(first))) {
            *lengths |= bit(name);
        }
    }
    names
});

const fn bit(name: &str) -> u64 {
    1 << (if name.len() < 63 { name.len() } else { 63 })
}

/// What a source's own value holds, if the table has its name.
pub(crate) fn of_native(name: &str) -> Option<Native> {
    let first = *name.as_bytes().first()?;
    let names = &*NAMES;
    if names.lengths[usize::from(first)] & bit(name) == 0 {
        return None;
    }
    names.by_name.get(name).copied()
}

#[cfg(test)]
mod tests {
    use canh_schema::{FieldKind, field};

    use super::*;

    #[test]
    fn names_are_there_once_and_are_found() {
        assert_eq!(NAMES.by_name.len(), FIELDS.len(), "two rows have the same name");
        for (name, holds) in FIELDS {
            assert_eq!(of_native(name).map(|native| native.holds), Some(*holds), "name: {name}");
        }
        assert!(of_native("").is_none());
        assert!(of_native("Image").is_none());
        assert_eq!(of_catalogue(field::SOURCE_IP), Some(Ip));
        assert_eq!(of_catalogue(field::MESSAGE), None);
    }

    #[test]
    fn every_address_of_the_catalogue_that_is_somebody_elses_is_looked_at() {
        for id in FieldId::all().filter(|id| id.kind() == FieldKind::Ip) {
            // The own address of a machine, or of the device that watched, says nothing about who talks to whom.
            let own = [field::HOST_IP, field::OBSERVER_IP].contains(&id);
            assert_eq!(of_catalogue(id).is_none(), own, "field: {}", id.name());
        }
    }
}
