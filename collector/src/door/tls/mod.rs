//! TLS for the doors that have it: certificates from files, read again on demand, and handshakes with limits.
//!
//! One certificate and one list of authorities serve all doors. What a client's certificate says is its name.

mod certificate;
mod handshake;
mod refusal;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use canh_schema::Timestamp;
use parking_lot::RwLock;
use prometheus::{Gauge, Registry};
use serde::Deserialize;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub(crate) use certificate::fuzz as fuzz_certificate;
pub(super) use handshake::{Handshakes, Secured};

/// From so many days before its end on, a certificate is warned about.
pub const WARN_DAYS: f64 = 30.0;
/// How often the days that are left are counted again.
const COUNT_EVERY: Duration = Duration::from_secs(3_600);
const DAY_SECS: f64 = 86_400.0;
/// No list of certificates or revocations that is in use is as long.
const FILE_MAX: u64 = 64 << 20;

/// `[collector.tls]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// The server's certificate and those between it and its authority, PEM. Read again at SIGHUP, like the files below.
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate, PEM.
    pub key: Option<PathBuf>,
    /// Certificates of the authorities that issue the clients' certificates, PEM.
    pub client_authorities: Option<PathBuf>,
    /// Whether clients show a certificate: `none`, `optional` or `required`. What it says is the source's name.
    pub client_certificates: ClientCertificates,
    /// Lists of revoked certificates of the authorities, PEM. A client whose certificate is on one is refused.
    pub revoked: Option<PathBuf>,
    /// Oldest version that is spoken: `1.2` or `1.3`.
    pub version_min: Version,
}

/// What is asked of clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificates {
    #[default]
    None,
    Optional,
    Required,
}

/// A version of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
pub enum Version {
    #[default]
    #[serde(rename = "1.2")]
    V12,
    #[serde(rename = "1.3")]
    V13,
}

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("configuration key `collector.tls.{key}` is missing; {why}")]
    Missing { key: &'static str, why: &'static str },
    #[error("cannot read `{path}` (configuration key `collector.tls.{key}`): {problem}")]
    File { key: &'static str, path: PathBuf, problem: String },
    #[error("`{path}` (configuration key `collector.tls.{key}`) cannot be used: {problem}")]
    Unusable { key: &'static str, path: PathBuf, problem: String },
}

/// What is spoken inside, which clients are told in the handshake (ALPN, RFC 7301).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Application {
    /// A protocol that has no name there.
    #[default]
    Unnamed,
    /// HTTP/2 or HTTP/1.1, as the client wishes.
    Http,
    /// HTTP/2 alone. Clients of gRPC give up if nobody says so.
    Http2,
}

impl Application {
    const ALL: [Self; 3] = [Self::Unnamed, Self::Http, Self::Http2];

    fn names(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Self::Unnamed => &[],
            Self::Http => &[b"h2", b"http/1.1"],
            Self::Http2 => &[b"h2"],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

/// What is in force.
struct InForce {
    /// One for each application, in the order of [`Application::ALL`].
    configs: [Arc<ServerConfig>; 3],
    expires: Timestamp,
}

/// The certificate of this server and what it asks of clients. Loaded again without closing a connection.
pub struct Tls {
    settings: TlsConfig,
    in_force: RwLock<InForce>,
    days_left: Gauge,
}

impl Tls {
    /// # Errors
    ///
    /// If a file cannot be used, or `registry` has the gauge already.
    pub(crate) fn load(settings: &TlsConfig, registry: &Registry) -> Result<Arc<Self>, crate::CollectorError> {
        let in_force = load(settings)?;
        let help = "Days until the certificate of the doors with TLS expires; negative when it has.";
        let days_left = Gauge::new("canh_tls_certificate_days_left", help)?;
        registry.register(Box::new(days_left.clone()))?;
        let tls = Self { settings: settings.clone(), in_force: RwLock::new(in_force), days_left };
        tls.count_days();
        Ok(Arc::new(tls))
    }

    /// Reads the files again. Connections that are open stay; with an error, what was in force stays too.
    pub fn reload(&self) -> Result<(), TlsError> {
        let new = load(&self.settings)?;
        *self.in_force.write() = new;
        self.count_days();
        Ok(())
    }

    /// Days until the certificate expires.
    pub fn days_left(&self) -> f64 {
        let left = self.in_force.read().expires.nanos() - Timestamp::now().nanos();
        left as f64 / 1e9 / DAY_SECS
    }

    fn current(&self, application: Application) -> Arc<ServerConfig> {
        self.in_force.read().configs[application as usize].clone()
    }

    fn count_days(&self) {
        let days = self.days_left();
        self.days_left.set(days);
        if days < WARN_DAYS {
            let path = self.settings.certificate.as_ref().map(|path| path.display().to_string());
            warn!(
                days = days.floor(),
                certificate = path,
                "the certificate expires soon; replace the file and send SIGHUP"
            );
        }
    }

    /// Counts the days until `stop`.
    pub(crate) async fn watch(self: Arc<Self>, stop: CancellationToken) {
        while tokio::time::timeout(COUNT_EVERY, stop.cancelled()).await.is_err() {
            self.count_days();
        }
    }
}

fn load(settings: &TlsConfig) -> Result<InForce, TlsError> {
    let why = "a door with TLS is enabled, and it needs the files of a certificate and its key";
    let certificate = settings.certificate.as_ref().ok_or(TlsError::Missing { key: "certificate", why })?;
    let key_path = settings.key.as_ref().ok_or(TlsError::Missing { key: "key", why })?;
    let chain: Vec<CertificateDer<'static>> = list("certificate", certificate)?;
    let unusable = |key, path: &PathBuf, problem: String| TlsError::Unusable { key, path: path.clone(), problem };
    let own = chain.first().and_then(|first| certificate::read(first));
    let own =
        own.ok_or_else(|| unusable("certificate", certificate, "the first entry is no certificate".to_owned()))?;
    let key = PrivateKeyDer::from_pem_slice(&file("key", key_path)?)
        .map_err(|error| unusable("key", key_path, error.to_string()))?;

    let provider = Arc::new(ring::default_provider());
    let versions: &[&SupportedProtocolVersion] = match settings.version_min {
        Version::V12 => &[&TLS13, &TLS12],
        Version::V13 => &[&TLS13],
    };
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions);
    let builder = builder.map_err(|error| unusable("certificate", certificate, error.to_string()))?;
    let builder = match clients(settings, provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config =
        builder.with_single_cert(chain, key).map_err(|error| unusable("key", key_path, error.to_string()))?;
    // Each connection is checked anew, also against certificates that were revoked since the last one.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    let configs = Application::ALL.map(|application| {
        let mut config = config.clone();
        config.alpn_protocols = application.names();
        Arc::new(config)
    });
    Ok(InForce { configs, expires: own.not_after })
}

/// Who looks at the clients' certificates, if anybody does.
fn clients(
    settings: &TlsConfig,
    provider: Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    if settings.client_certificates == ClientCertificates::None {
        let ignored = [("client_authorities", &settings.client_authorities), ("revoked", &settings.revoked)];
        for (key, _) in ignored.into_iter().filter(|(_, path)| path.is_some()) {
            warn!(
                "configuration key `collector.tls.{key}` says nothing while `client_certificates` is `none`: everybody may send; \
                 set it to `required` or `optional`"
            );
        }
        return Ok(None);
    }
    let key = "client_authorities";
    let why = "`client_certificates` asks for certificates, so somebody must have issued them";
    let path = settings.client_authorities.as_ref().ok_or(TlsError::Missing { key, why })?;
    let unusable = |problem: String| TlsError::Unusable { key, path: path.clone(), problem };
    let mut roots = RootCertStore::empty();
    for authority in list::<CertificateDer<'static>>(key, path)? {
        roots.add(authority).map_err(|error| unusable(error.to_string()))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if let Some(revoked) = &settings.revoked {
        // An authority without a list has revoked nothing.
        builder = builder
            .with_crls(list::<CertificateRevocationListDer<'static>>("revoked", revoked)?)
            .allow_unknown_revocation_status();
    }
    if settings.client_certificates == ClientCertificates::Optional {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map(Some).map_err(|error| unusable(error.to_string()))
}

fn file(key: &'static str, path: &PathBuf) -> Result<Vec<u8>, TlsError> {
    let problem = |problem: String| TlsError::File { key, path: path.clone(), problem };
    let len = std::fs::metadata(path).map_err(|error| problem(error.to_string()))?.len();
    if len > FILE_MAX {
        return Err(problem(format!("it has {len} bytes, more than the {FILE_MAX} that are read")));
    }
    std::fs::read(path).map_err(|error| problem(error.to_string()))
}

/// All entries of one kind in a PEM file; at least one.
fn list<T: PemObject>(key: &'static str, path: &PathBuf) -> Result<Vec<T>, TlsError> {
    let unusable = |problem: String| TlsError::Unusable { key, path: path.clone(), problem };
    let entries: Result<Vec<T>, _> = T::pem_slice_iter(&file(key, path)?).collect();
    let entries = entries.map_err(|error| unusable(error.to_string()))?;
    if entries.is_empty() {
        return Err(unusable("no entry of this kind is in it; is it PEM?".to_owned()));
    }
    Ok(entries)
}
