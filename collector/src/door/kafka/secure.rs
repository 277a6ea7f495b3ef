//! How brokers are spoken to: with TLS or without, and as which user. Read anew for each connection, so that a password or a
//! certificate can be changed while the server runs.

use std::path::Path;
use std::sync::Arc;

use canh_kafka::ScramHash;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::super::secret_file;
use super::ClusterConfig;

/// No list of certificates that is in use is as long.
const FILE_MAX: u64 = 16 << 20;

/// How a user is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mechanism {
    Plain,
    Scram(ScramHash),
}

impl Mechanism {
    const ALL: [(&'static str, Self); 3] = [
        ("plain", Self::Plain),
        ("scram-sha-256", Self::Scram(ScramHash::Sha256)),
        ("scram-sha-512", Self::Scram(ScramHash::Sha512)),
    ];

    /// As Kafka names it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Scram(hash) => hash.name(),
        }
    }
}

pub(super) struct User {
    pub(super) mechanism: Mechanism,
    pub(super) name: String,
    pub(super) password: String,
}

pub(super) struct Access {
    pub(super) tls: Option<TlsConnector>,
    pub(super) user: Option<User>,
}

impl Access {
    /// The error says what is wrong, and with which key.
    pub(super) fn read(config: &ClusterConfig) -> Result<Self, String> {
        Ok(Self { tls: tls(config)?, user: user(config)? })
    }
}

fn user(config: &ClusterConfig) -> Result<Option<User>, String> {
    match (&config.sasl, &config.user, &config.password_file) {
        (None, None, None) => Ok(None),
        (Some(sasl), Some(name), Some(file)) => {
            let known = Mechanism::ALL.iter().find(|(known, _)| known == sasl);
            let Some((_, mechanism)) = known else {
                let known: Vec<_> = Mechanism::ALL.iter().map(|(known, _)| *known).collect();
                return Err(format!("`{sasl}` is not known for `sasl`; known are `{}`", known.join("`, `")));
            };
            let password = secret_file::read(file).map_err(|wrong| format!("the file `{}` {wrong}", file.display()))?;
            Ok(Some(User { mechanism: *mechanism, name: name.clone(), password }))
        }
        _ => Err("`sasl`, `user` and `password_file` belong together; write all or none".to_owned()),
    }
}

fn tls(config: &ClusterConfig) -> Result<Option<TlsConnector>, String> {
    if !config.tls {
        let files = [&config.authorities, &config.certificate, &config.key];
        return match files.iter().any(|file| file.is_some()) {
            true => Err("there are files of certificates, and `tls` is not `true`".to_owned()),
            false => Ok(None),
        };
    }
    let path = config
        .authorities
        .as_ref()
        .ok_or("`tls` needs `authorities`, a file of those that issue the brokers' certificates")?;
    let mut roots = RootCertStore::empty();
    for authority in certificates(path)? {
        roots.add(authority).map_err(|error| format!("the file `{}` cannot be used: {error}", path.display()))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let client = match (&config.certificate, &config.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key_path)) => {
            let wrong =
                |error: &dyn std::fmt::Display| format!("the file `{}` cannot be used: {error}", key_path.display());
            let key = PrivateKeyDer::from_pem_slice(&file(key_path)?).map_err(|error| wrong(&error))?;
            builder.with_client_auth_cert(certificates(certificate)?, key).map_err(|error| wrong(&error))?
        }
        _ => return Err("`certificate` and `key` belong together; write both or none".to_owned()),
    };
    Ok(Some(TlsConnector::from(Arc::new(client))))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&file(path)?).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(format!("no certificate is in the file `{}`; is it PEM?", path.display())),
        Err(error) => Err(format!("the file `{}` cannot be used: {error}", path.display())),
    }
}

fn file(path: &Path) -> Result<Vec<u8>, String> {
    let wrong = |wrong: String| format!("the file `{}` cannot be read ({wrong})", path.display());
    let len = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if len > FILE_MAX {
        return Err(wrong(format!("it has {len} bytes")));
    }
    std::fs::read(path).map_err(|error| wrong(error.to_string()))
}
