//! Why a handshake came to nothing, as one word for the counter.

use std::error::Error as _;
use std::io;

use tokio_rustls::rustls::{CertificateError, Error, PeerIncompatible};

/// After so long without anything from the client.
pub(super) const TIMED_OUT: &str = "tls_timeout";

/// There are too many handshakes.
pub(super) const HALF_OPEN: &str = "tls_half_open";

/// What to do about it, for whoever reads the log.
pub(super) fn advice(reason: &str) -> &'static str {
    match reason {
        "no_client_certificate" => "give the sender a certificate, or set `client_certificates = \"optional\"`",
        "client_certificate_expired" => "give the sender a new certificate, or put the clock of this machine right",
        "client_certificate_not_yet_valid" => "put the clock of this machine right, or of the one that issued it",
        "client_certificate_revoked" => "give the sender a new certificate, or take it off the lists of `revoked`",
        "client_certificate_unknown_authority" => {
            "give the sender a certificate of an authority in `client_authorities`, or add its authority there"
        }
        "client_certificate_bad" => "give the sender a certificate that was issued for a client",
        "tls_version" => "let the sender speak a newer version, or lower `version_min`",
        "tls_incompatible" => "let the sender offer the ciphers and groups of today, and what this door speaks (ALPN)",
        "refused_by_client" => "give the sender the authority of this server's certificate, and the name that is in it",
        "not_tls" => "switch TLS on at the sender, or send to the door without it",
        TIMED_OUT => "look at the network and the sender, or raise `timeout` in the door's table `handshakes`",
        HALF_OPEN => "look who opens so many connections, or raise `max` in the door's table `handshakes`",
        _ => "look into the sender's log",
    }
}

/// The word for what went wrong.
pub(super) fn reason(error: &io::Error) -> &'static str {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let inner = inner.or_else(|| error.source().and_then(|source| source.downcast_ref::<Error>()));
    match inner {
        Some(error) => of_protocol(error),
        None if error.kind() == io::ErrorKind::TimedOut => TIMED_OUT,
        // The client went away in the middle.
        None => "tls_ended",
    }
}

fn of_protocol(error: &Error) -> &'static str {
    match error {
        Error::NoCertificatesPresented => "no_client_certificate",
        Error::InvalidCertificate(problem) => of_certificate(problem),
        Error::InvalidCertRevocationList(_) => "client_certificate_bad",
        Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic
            | PeerIncompatible::SupportedVersionsExtensionRequired
            // Clients before 1.2 do not have this extension, and it is looked for before the version.
            | PeerIncompatible::SignatureAlgorithmsExtensionRequired,
        ) => "tls_version",
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol => "tls_incompatible",
        // The client does not like our certificate, or has been told of our refusal.
        Error::AlertReceived(_) => "refused_by_client",
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "not_tls"
        }
        _ => "tls_failed",
    }
}

fn of_certificate(problem: &CertificateError) -> &'static str {
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "client_certificate_expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "client_certificate_not_yet_valid"
        }
        CertificateError::Revoked => "client_certificate_revoked",
        CertificateError::UnknownIssuer => "client_certificate_unknown_authority",
        _ => "client_certificate_bad",
    }
}
