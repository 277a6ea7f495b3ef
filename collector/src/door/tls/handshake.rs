//! Handshakes of one door: how many at the same time, how long each, and what becomes of those that fail.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::warn;

use super::{Application, Tls, certificate, refusal};
use crate::door::intake::Intake;
use crate::door::limits::HandshakesConfig;
use crate::door::log_limit::LogLimit;
use crate::door::places::Places;

/// A connection that is secured.
pub(in crate::door) struct Secured {
    pub(in crate::door) stream: TlsStream<TcpStream>,
    /// The name that the client has proven.
    pub(in crate::door) name: Option<CompactString>,
}

/// Does the handshakes of one door.
pub(in crate::door) struct Handshakes {
    door: &'static str,
    tls: Arc<Tls>,
    application: Application,
    intake: Intake,
    timeout: Duration,
    /// Those that have begun and not ended.
    half_open: Arc<Places>,
    log: LogLimit,
}

impl Handshakes {
    /// At most `limits.max` at the same time; beyond it the oldest one is given up for a new one.
    pub(in crate::door) fn new(door: &'static str, tls: Arc<Tls>, intake: &Intake, limits: &HandshakesConfig) -> Self {
        let half_open = Places::new(limits.max, NonZeroUsize::MAX);
        let timeout = limits.timeout;
        let (intake, application) = (intake.clone(), Application::default());
        Self { door, tls, application, intake, timeout, half_open, log: LogLimit::default() }
    }

    /// The same, telling clients what is spoken inside.
    pub(in crate::door) fn speaking(self, application: Application) -> Self {
        Self { application, ..self }
    }

    /// Secures the connection. `None` if that failed; it is counted and logged then.
    pub(in crate::door) async fn secure(&self, stream: TcpStream, peer: SocketAddr) -> Option<Secured> {
        let place = match self.half_open.enter(peer.ip()) {
            Ok(place) => place,
            Err(_) => return self.refuse(peer, refusal::HALF_OPEN, &"too many handshakes are under way"),
        };
        let accepting = TlsAcceptor::from(self.tls.current(self.application)).accept(stream);
        let accepting = place.close.run_until_cancelled(tokio::time::timeout(self.timeout, accepting));
        let stream = match accepting.await {
            Some(Ok(Ok(stream))) => stream,
            Some(Ok(Err(error))) => return self.refuse(peer, refusal::reason(&error), &error),
            Some(Err(_)) => {
                let problem = format!("it took longer than `{:?}`", self.timeout);
                return self.refuse(peer, refusal::TIMED_OUT, &problem);
            }
            None => return self.refuse(peer, refusal::HALF_OPEN, &"it made room for a newer handshake"),
        };
        let certificates = stream.get_ref().1.peer_certificates();
        let name = certificates.and_then(|list| list.first()).and_then(certificate::read).and_then(|about| about.name);
        Some(Secured { stream, name })
    }

    fn refuse<T>(&self, peer: SocketAddr, reason: &'static str, error: &dyn std::fmt::Display) -> Option<T> {
        self.intake.refused_for(self.door, reason);
        self.log.warn(self.door, || {
            let advice = refusal::advice(reason);
            warn!(door = self.door, %peer, reason, %error, advice, "connection refused: it could not be secured");
        });
        None
    }
}
