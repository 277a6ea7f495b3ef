//! What is read from a certificate beyond what proves it: whose it is, and until when.

use canh_schema::Timestamp;
use compact_str::CompactString;
use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The longest name that is kept, in bytes.
const NAME_MAX: usize = 200;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct About {
    /// The first name that its issuer vouches for: a DNS name, an address of mail or a URI among the alternative names,
    /// or else the common name of the subject.
    pub(super) name: Option<CompactString>,
    pub(super) not_after: Timestamp,
}

/// `None` if it is no certificate.
pub(super) fn read(certificate: &CertificateDer<'_>) -> Option<About> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let alternative = parsed.subject_alternative_name().ok().flatten();
    let alternative = alternative.and_then(|extension| {
        extension.value.general_names.iter().find_map(|name| match name {
            GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => clean(name),
            _ => None,
        })
    });
    let common = || parsed.subject().iter_common_name().find_map(|name| clean(name.as_str().ok()?));
    Some(About {
        name: alternative.or_else(common),
        not_after: Timestamp::from_secs(parsed.validity().not_after.timestamp()),
    })
}

/// A name of one word as it is, in others with what separates or hides replaced; nothing for an empty one.
fn clean(name: &str) -> Option<CompactString> {
    let name = name.trim();
    let short = &name[..name.floor_char_boundary(NAME_MAX)];
    let replaced = |c: char| if c.is_control() || c.is_whitespace() { '_' } else { c };
    (!short.is_empty()).then(|| short.chars().map(replaced).collect())
}

/// For the fuzzer: a certificate is shown by whoever connects.
pub(crate) fn fuzz(bytes: &[u8]) {
    drop(read(&CertificateDer::from(bytes)));
}
