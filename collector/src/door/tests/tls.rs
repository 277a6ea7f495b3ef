//! TLS at the doors: who may come in, under which name, and what is counted of those who may not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber, date_time_ymd,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;
use crate::door::tls::{ClientCertificates, TlsConfig, Version};
use crate::envelope::Door;
use crate::sources::SourceKey;

/// An authority, and the files of what it issued.
pub(super) struct Authority {
    pub(super) dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
    root: Certificate,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), root.pem()).unwrap();
        Self { dir, issuer: Issuer::new(params, key), root }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Issues a certificate into `NAME.pem` and `NAME.key`.
    pub(super) fn issue(&self, name: &str, names: &[&str], change: impl FnOnce(&mut CertificateParams)) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from(name.as_bytes().to_vec()));
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    pub(super) fn revoke(&self, name: &str) {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(name.as_bytes().to_vec()),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        std::fs::write(self.path("revoked.pem"), list.signed_by(&self.issuer).unwrap().pem().unwrap()).unwrap();
    }

    pub(super) fn settings(&self, clients: ClientCertificates) -> TlsConfig {
        TlsConfig {
            certificate: Some(self.path("server.pem")),
            key: Some(self.path("server.key")),
            client_authorities: Some(self.path("ca.pem")),
            client_certificates: clients,
            revoked: Some(self.path("revoked.pem")),
            version_min: Version::V13,
        }
    }

    pub(super) fn client(&self, certificate: Option<(&Path, &str)>, old: bool) -> TlsConnector {
        self.client_speaking(&[], certificate, old)
    }

    /// A client that says which protocols it speaks inside.
    pub(super) fn client_speaking(
        &self,
        protocols: &[&str],
        certificate: Option<(&Path, &str)>,
        old: bool,
    ) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.der().clone()).unwrap();
        let versions = if old { [&TLS12] } else { [&TLS13] };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(&versions).unwrap().with_root_certificates(roots);
        let mut config = match certificate {
            None => builder.with_no_client_auth(),
            Some((dir, name)) => {
                let chain = CertificateDer::from_pem_file(dir.join(format!("{name}.pem"))).unwrap();
                let key = PrivateKeyDer::from_pem_file(dir.join(format!("{name}.key"))).unwrap();
                builder.with_client_auth_cert(vec![chain], key).unwrap()
            }
        };
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }
}

/// An authority with a server and clients of every kind, and another one that nobody knows.
pub(super) fn authorities() -> [Authority; 2] {
    let authority = Authority::new("authority");
    authority.issue("server", &["localhost"], |_| ());
    authority.issue("good", &["gw-1.example.vn"], |_| ());
    authority.issue("nameless", &[], |_| ());
    authority.issue("gone", &["gone.example.vn"], |_| ());
    authority.issue("late", &["late.example.vn"], |params| params.not_after = date_time_ymd(2020, 1, 1));
    authority.issue("early", &["early.example.vn"], |params| params.not_before = date_time_ymd(2090, 1, 1));
    authority.revoke("gone");
    let other = Authority::new("nobody knows it");
    other.issue("good", &["gw-1.example.vn"], |_| ());
    [authority, other]
}

fn bench_of(tls: TlsConfig) -> Bench {
    let mut config = CollectorConfig { tls, ..CollectorConfig::default() };
    (config.syslog_tls.enabled, config.relp_tls.enabled) = (true, true);
    config.syslog_tls.handshakes.timeout = Duration::from_millis(500);
    config.syslog_tls.handshakes.max = std::num::NonZeroUsize::new(2).unwrap();
    bench_with(config, JournalConfig::default())
}

pub(super) async fn connect(connector: &TlsConnector, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// Waits until a connection was refused for this reason.
async fn refused(bench: &Bench, reason: &str) {
    refused_at(bench, "syslog_tls", reason).await;
}

pub(super) async fn refused_at(bench: &Bench, door: &str, reason: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !bench.refused_connections(door).iter().any(|(found, _)| found == reason) {
        assert!(Instant::now() < deadline, "{door}: `{reason}` is not in {:?}", bench.refused_connections(door));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A client's certificate, whether it speaks an old version of TLS, and why it is refused.
pub(super) type Refusal<'a> = (Option<(&'a Path, &'a str)>, bool, &'static str);

/// `other_dir` belongs to an authority that the door does not know.
pub(super) fn refusals<'a>(dir: &'a Path, other_dir: &'a Path) -> [Refusal<'a>; 6] {
    [
        (None, false, "no_client_certificate"),
        (Some((dir, "late")), false, "client_certificate_expired"),
        (Some((dir, "early")), false, "client_certificate_not_yet_valid"),
        (Some((dir, "gone")), false, "client_certificate_revoked"),
        (Some((other_dir, "good")), false, "client_certificate_unknown_authority"),
        (Some((dir, "good")), true, "tls_version"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_come_in_is_counted_with_the_reason() {
    let [authority, other] = authorities();
    let rows = refusals(authority.dir.path(), other.dir.path());
    for (certificate, old, reason) in rows {
        let bench = bench_of(authority.settings(ClientCertificates::Required));
        let connector = authority.client(certificate, old);
        if let Ok(mut stream) = connect(&connector, bench.address("syslog_tls")).await {
            let _ = stream.write_all(b"<13>let me in\n").await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
        refused(&bench, reason).await;
        assert_eq!(bench.finish().await, [], "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_the_certificate_is_the_name_of_the_source() {
    let [authority, _] = authorities();
    let dir = authority.dir.path();
    let rows = [
        (Some((dir, "good")), ClientCertificates::Required, Some("gw-1.example.vn")),
        (Some((dir, "nameless")), ClientCertificates::Required, Some("nameless")),
        (None, ClientCertificates::Optional, None),
        (None, ClientCertificates::None, None),
    ];
    for (certificate, clients, name) in rows {
        let bench = bench_of(authority.settings(clients));
        let connector = authority.client(certificate, false);
        let mut stream = connect(&connector, bench.address("syslog_tls")).await.unwrap();
        stream.write_all(b"7 <13>one8 <13>").await.unwrap();
        stream.write_all(b"four").await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(bench.records(2).await, ["<13>one", "<13>four"]);
        let mut relp = connect(&connector, bench.address("relp_tls")).await.unwrap();
        relp.write_all(b"1 open 30 relp_version=0\ncommands=syslog\n2 syslog 7 <13>two\n").await.unwrap();
        bench.records(3).await;
        let key = match name {
            Some(name) => SourceKey::Named(Door::SyslogTls, name.into()),
            None => SourceKey::Peer(Door::SyslogTls, localhost().unwrap()),
        };
        assert_eq!(bench.sources.get(&key).map(|line| line.records), Some(2), "{name:?}");
        let envelopes = bench.finish().await;
        assert!(envelopes.iter().all(|envelope| envelope.sender.as_deref() == name), "{name:?}");
        let source = envelopes[0].source(envelopes[0].peer);
        assert_eq!(source, format!("syslog_tls:{}", name.unwrap_or("127.0.0.1")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_foreign_handshakes_end_and_let_others_in() {
    let [authority, _] = authorities();
    let bench = bench_of(authority.settings(ClientCertificates::None));
    let address = bench.address("syslog_tls");
    let mut foreign = TcpStream::connect(address).await.unwrap();
    foreign.write_all(b"<13>plain syslog, no handshake at all\n").await.unwrap();
    refused(&bench, "not_tls").await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(address).await.unwrap()); // one more than may be half open
    }
    refused(&bench, "tls_half_open").await;
    let mut stream = connect(&authority.client(None, false), address).await.unwrap();
    stream.write_all(b"<13>one\n").await.unwrap();
    assert_eq!(bench.records(1).await, ["<13>one"]);
    refused(&bench, "tls_timeout").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_loaded_again_and_bad_ones_are_not() {
    let [authority, _] = authorities();
    let bench = bench_of(authority.settings(ClientCertificates::Required));
    let tls = bench.tls.clone().unwrap();
    assert!(tls.days_left() > 1_000.0);
    let soon = |params: &mut CertificateParams| {
        params.not_after = (std::time::SystemTime::now() + Duration::from_secs(10 * 86_400)).into();
    };
    authority.issue("server", &["localhost"], soon);
    authority.revoke("good");
    tls.reload().unwrap();
    assert!((9.0..=10.0).contains(&tls.days_left()), "{}", tls.days_left());
    let good = authority.client(Some((authority.dir.path(), "good")), false);
    if let Ok(mut stream) = connect(&good, bench.address("syslog_tls")).await {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    refused(&bench, "client_certificate_revoked").await;

    std::fs::write(authority.path("server.key"), "not a key").unwrap();
    let error = tls.reload().unwrap_err().to_string();
    assert!(error.contains("`collector.tls.key`") || error.contains("collector.tls.key"), "{error}");
    assert!(tls.days_left() > 9.0, "what was in force stays");
}

#[tokio::test]
async fn a_door_with_tls_and_no_certificate_is_an_error_that_names_the_key() {
    let registry = Registry::new();
    let error = match crate::Tls::load(&TlsConfig::default(), &registry) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("loaded without files"),
    };
    assert!(error.contains("`collector.tls.certificate`"), "{error}");
}
