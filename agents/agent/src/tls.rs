//! TLS to the server: whom the agent believes to be the server, and what it shows of itself. The server's certificate is
//! always checked; there is no way to leave that out.
//!
//! The files are read again for every connection over gRPC, and after every failure over HTTP, so a certificate that was
//! replaced needs no restart.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts};

/// Where Debian and its relatives keep the authorities that everybody knows.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// No list of certificates is as long.
const FILE_MAX: u64 = 16 << 20;
/// Port of `https://` when the address has none.
const HTTPS_PORT: u16 = 443;

/// `[server.tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificates of the authorities that may have issued the server's, PEM.
    #[serde(default = "authorities")]
    pub authorities: PathBuf,
    /// This agent's own certificate and those between it and its authority, PEM, for a server that asks for one.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate, PEM.
    #[serde(default)]
    pub key: Option<PathBuf>,
}

fn authorities() -> PathBuf {
    PathBuf::from(SYSTEM_AUTHORITIES)
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self { authorities: authorities(), certificate: None, key: None }
    }
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
#[error("`{}` (configuration key `server.tls.{key}`) cannot be used: {problem}", .path.display())]
pub struct TlsError {
    key: &'static str,
    path: PathBuf,
    problem: String,
}

impl TlsConfig {
    /// What the types alone cannot say.
    pub(crate) fn check(&self) -> Result<(), String> {
        match (&self.certificate, &self.key) {
            (Some(_), None) => Err("`server.tls` has a `certificate` and no `key`; write both or none".to_owned()),
            (None, Some(_)) => Err("`server.tls` has a `key` and no `certificate`; write both or none".to_owned()),
            _ => Ok(()),
        }
    }

    /// Reads the files, and sees that they fit together.
    pub(crate) fn load(&self) -> Result<Material, TlsError> {
        let authorities = list("authorities", &self.authorities)?;
        let own = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let text = read("key", key)?;
                let unusable = |error: &dyn std::fmt::Display| wrong("key", key, error);
                let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| unusable(&error))?;
                let again = PrivateKey::from_pem(&text).map_err(|error| unusable(&error))?;
                Some(Own { chain: list("certificate", certificate)?, key, again })
            }
            _ => None,
        };
        let material = Material { authorities, own };
        material.client().map_err(|(key, error)| {
            let path = if key == "authorities" { Some(&self.authorities) } else { self.key.as_ref() };
            wrong(key, path.unwrap_or(&self.authorities), &error)
        })?;
        Ok(material)
    }
}

/// What was in the files.
#[derive(Debug)]
pub(crate) struct Material {
    authorities: Vec<CertificateDer<'static>>,
    own: Option<Own>,
}

/// The agent's certificate, and its key for each of the two clients.
#[derive(Debug)]
struct Own {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    again: PrivateKey<'static>,
}

impl Material {
    /// For gRPC. The error names the key whose file does not fit.
    fn client(&self) -> Result<ClientConfig, (&'static str, String)> {
        let mut roots = RootCertStore::empty();
        // Lists of a whole system may hold some that are too old to be read.
        let (added, _) = roots.add_parsable_certificates(self.authorities.iter().cloned());
        if added == 0 {
            return Err(("authorities", "no certificate in it is one of an authority".to_owned()));
        }
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| ("authorities", error.to_string()))?.with_root_certificates(roots);
        let mut client = match &self.own {
            None => builder.with_no_client_auth(),
            Some(Own { chain, key, .. }) => {
                let client = builder.with_client_auth_cert(chain.clone(), key.clone_key());
                client.map_err(|error| ("key", error.to_string()))?
            }
        };
        client.alpn_protocols = vec![b"h2".to_vec()];
        Ok(client)
    }

    /// For HTTP.
    pub(crate) fn http(&self) -> ureq::tls::TlsConfig {
        let certificates = |list: &[CertificateDer<'static>]| -> Vec<Certificate<'static>> {
            list.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect()
        };
        let own = self.own.as_ref();
        let own = own.map(|own| ClientCert::new_with_certs(&certificates(&own.chain), own.again.to_owned()));
        ureq::tls::TlsConfig::builder()
            .root_certs(RootCerts::from(certificates(&self.authorities)))
            .client_cert(own)
            .unversioned_rustls_crypto_provider(provider())
            .build()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn wrong(key: &'static str, path: &Path, problem: &dyn std::fmt::Display) -> TlsError {
    TlsError { key, path: path.to_owned(), problem: problem.to_string() }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let len = std::fs::metadata(path).map_err(|error| wrong(key, path, &error))?.len();
    if len > FILE_MAX {
        return Err(wrong(key, path, &format!("it has {len} bytes, more than the {FILE_MAX} that are read")));
    }
    std::fs::read(path).map_err(|error| wrong(key, path, &error))
}

fn list(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let entries: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(key, path)?).collect();
    let entries = entries.map_err(|error| wrong(key, path, &error))?;
    if entries.is_empty() {
        return Err(wrong(key, path, &"there is no certificate in it; is it PEM?"));
    }
    Ok(entries)
}

/// Connects to the server and secures the connection.
#[derive(Clone, Debug)]
pub(crate) struct Connector(pub(crate) TlsConfig);

impl Connector {
    async fn connect(self, uri: Uri) -> io::Result<TlsStream<TcpStream>> {
        let client = self.0.load().map_err(io::Error::other)?.client().map_err(|(_, words)| io::Error::other(words))?;
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(HTTPS_PORT))).await?;
        stream.set_nodelay(true)?;
        TlsConnector::from(Arc::new(client)).connect(name, stream).await
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(uri).await.map(TokioIo::new) })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let issue = |name: &str| {
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
            fs::write(path(&format!("{name}.pem")), certificate.pem()).unwrap();
            fs::write(path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        };
        issue("one");
        issue("two");
        fs::write(path("text"), "no PEM").unwrap();
        let check = |authorities: &str, own: Option<(&str, &str)>, expected: Option<&str>| {
            let config = TlsConfig {
                authorities: path(authorities),
                certificate: own.map(|(certificate, _)| path(certificate)),
                key: own.map(|(_, key)| path(key)),
            };
            let error = config.load().err().map(|error| error.to_string());
            match (&error, expected) {
                (None, None) => (),
                (Some(error), Some(expected)) => assert!(error.contains(expected), "{error}"),
                _ => panic!("{error:?}, expected {expected:?}"),
            }
        };
        check("one.pem", None, None);
        check("one.pem", Some(("one.pem", "one.key")), None);
        check("none.pem", None, Some("none.pem` (configuration key `server.tls.authorities`) cannot be used: No such"));
        check("text", None, Some("is it PEM?"));
        check("one.key", None, Some("`server.tls.authorities`"));
        check("one.pem", Some(("text", "one.key")), Some("`server.tls.certificate`"));
        check("one.pem", Some(("one.pem", "one.pem")), Some("`server.tls.key`"));
        check("one.pem", Some(("one.pem", "two.key")), Some("`server.tls.key`"));
    }
}
