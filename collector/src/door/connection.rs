//! Serves TCP connections: how many, how long they may be silent, and how they end; and HTTP/1 and HTTP/2 on them for
//! the doors that speak HTTP. What is asked over them is the business of the door.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::{Extension, Router};
use compact_str::CompactString;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Layer;
use tracing::{debug, warn};

use super::intake::Intake;
use super::places::{Place, Places, RefusedConnection};
use super::tls::{Handshakes, Secured};
use crate::envelope::Envelope;

/// After `stop`, what is under way may take this long.
const GRACE: Duration = Duration::from_secs(10);

/// Who is at the other end of the connection, as an extension of each request.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    address: IpAddr,
    /// The name in the certificate that it has shown.
    name: Option<CompactString>,
}

impl Peer {
    fn new(address: SocketAddr, name: Option<CompactString>) -> Self {
        Self { address: address.ip().to_canonical(), name }
    }

    pub(super) fn ip(&self) -> IpAddr {
        self.address
    }

    pub(super) fn name(&self) -> Option<&CompactString> {
        self.name.as_ref()
    }

    /// Writes on the batch who sent it.
    pub(super) fn mark(&self, envelope: &mut Envelope) {
        envelope.peer = Some(self.address);
        envelope.sender = self.name.clone();
    }
}

/// Why a connection ended before its time.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) connections_max: NonZeroUsize,
    pub(super) connections_per_address_max: NonZeroUsize,
    /// A connection that sends nothing at all is closed after so long.
    pub(super) first_byte_timeout: Duration,
    /// A connection on which nothing arrives for so long is closed.
    pub(super) idle_timeout: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Protocol {
    /// HTTP/1.1 or HTTP/2, as the client wishes.
    Http,
    /// HTTP/2 from the first byte, as gRPC has it.
    Http2,
}

/// A door that speaks HTTP: what it does with connections and requests.
pub(super) struct HttpServer {
    pub(super) door: &'static str,
    pub(super) protocol: Protocol,
    pub(super) limits: Limits,
    /// Secures each connection before anything of HTTP is read.
    pub(super) handshakes: Option<Handshakes>,
    pub(super) router: Router,
    pub(super) intake: Intake,
}

impl HttpServer {
    /// Serves until `stop` fires, then lets requests under way finish.
    pub(super) async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let Self { door, protocol, limits, handshakes, router, intake } = self;
        let (first, idle) = (limits.first_byte_timeout, limits.idle_timeout);
        let handshakes = handshakes.map(Arc::new);
        let work = |stream, peer: SocketAddr, place| {
            let (handshakes, router, stop) = (handshakes.clone(), router.clone(), stop.clone());
            async move {
                let Some(handshakes) = handshakes else {
                    let stream = IdleTimeout::new(stream, first, idle, place);
                    return serve_one(stream, Peer::new(peer, None), protocol, idle, router, stop).await;
                };
                let secured = stop.run_until_cancelled(handshakes.secure(stream, peer)).await.flatten();
                let Some(Secured { stream, name }) = secured else { return Ok(()) };
                let stream = IdleTimeout::new(stream, first, idle, place);
                serve_one(stream, Peer::new(peer, name), protocol, idle, router, stop).await
            }
        };
        self::serve(door, listener, &limits, &intake, &stop, work).await;
    }
}

/// Accepts connections until `stop` fires, does the work of each, and waits for them to end.
///
/// The work says when the first byte has come ([`Place::has_sent`]).
pub(super) async fn serve<F>(
    door: &'static str,
    listener: TcpListener,
    limits: &Limits,
    intake: &Intake,
    stop: &CancellationToken,
    work: impl Fn(TcpStream, SocketAddr, Arc<Place>) -> F,
) where
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let (tasks, cut_off) = (TaskTracker::new(), CancellationToken::new());
    let places = Places::new(limits.connections_max, limits.connections_per_address_max);
    let open = intake.metrics.connections.with_label_values(&[door]);
    while let Some((stream, peer)) = accept(door, &listener, stop).await {
        let place = match places.enter(peer.ip()) {
            Ok(place) => Arc::new(place),
            Err(reason) => {
                intake.refused_connection(door, reason);
                continue;
            }
        };
        if place.made_room {
            intake.refused_connection(door, RefusedConnection::MadeRoom);
        }
        let (open, cut_off, work) = (open.clone(), cut_off.clone(), work(stream, peer, place.clone()));
        tasks.spawn(async move {
            open.inc();
            let work = place.close.run_until_cancelled(work);
            if let Some(Some(Err(error))) = cut_off.run_until_cancelled(work).await {
                debug!(door, %peer, error = %error, "connection ended with an error");
            }
            open.dec();
        });
    }
    drop(listener);
    finish(door, &tasks, &cut_off).await;
}

/// Waits for the connections to end, and cuts off those that do not.
async fn finish(door: &'static str, tasks: &TaskTracker, cut_off: &CancellationToken) {
    tasks.close();
    if tokio::time::timeout(GRACE, tasks.wait()).await.is_err() {
        warn!(door, connections = tasks.len(), "connections are cut off because they did not end in time");
        cut_off.cancel();
        tasks.wait().await;
    }
}

/// The next connection, or `None` once `stop` has fired.
async fn accept(
    door: &'static str,
    listener: &TcpListener,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                return Some((stream, peer));
            }
            // A client that is gone already is no reason to stop. Out of file handles: wait for some to be closed.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => (),
            Err(error) => {
                warn!(door, error = &error as &dyn std::error::Error, "cannot accept a connection");
                tokio::select! {
                    () = stop.cancelled() => return None,
                    () = tokio::time::sleep(Duration::from_millis(100)) => (),
                }
            }
        }
    }
}

async fn serve_one(
    stream: IdleTimeout<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>,
    peer: Peer,
    protocol: Protocol,
    idle_timeout: Duration,
    router: Router,
    stop: CancellationToken,
) -> Result<(), BoxError> {
    let io = TokioIo::new(stream);
    let service = TowerToHyperService::new(Extension(peer).layer(router));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(idle_timeout.min(Duration::from_secs(30)));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(64)
        .max_header_list_size(16 * 1024);
    if protocol == Protocol::Http2 {
        builder = builder.http2_only();
    }
    let mut connection = pin!(builder.serve_connection(io, service));
    tokio::select! {
        result = connection.as_mut() => return result,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// A stream on which reading fails after a time of silence.
struct IdleTimeout<S> {
    stream: S,
    after: Duration,
    sleep: Pin<Box<Sleep>>,
    place: Arc<Place>,
    has_sent: bool,
}

impl<S> IdleTimeout<S> {
    fn new(stream: S, first: Duration, after: Duration, place: Arc<Place>) -> Self {
        Self { stream, after, sleep: Box::pin(tokio::time::sleep(first.min(after))), place, has_sent: false }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for IdleTimeout<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let after = self.after;
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(result) => {
                if !self.has_sent && buffer.filled().len() > before {
                    self.has_sent = true;
                    self.place.has_sent();
                }
                self.sleep.as_mut().reset(Instant::now() + after);
                Poll::Ready(result)
            }
            Poll::Pending => {
                std::task::ready!(self.sleep.as_mut().poll(cx));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nothing was received for too long")))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for IdleTimeout<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
