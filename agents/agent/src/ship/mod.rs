//! Sends what is in the spool to the server, one batch at a time and in order, until each is acknowledged.
//!
//! | the server answers | what happens |
//! |---|---|
//! | ok | the batch is done; records that the server left out are counted |
//! | unavailable, overloaded, too slow, not there | the batch is sent again, with growing pauses |
//! | unauthenticated, permission denied, unimplemented | the same with the longest pause, and a message what to do |
//! | invalid argument, out of range | the batch is kept in `rejected/` and counted, and the next one is sent |

mod backoff;
mod client;
mod rejected;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use canh_spool::{CursorFile, Reader, Record, SpoolError};
use canh_wire::BatchKind;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tracing::{debug, error, info, warn};

use crate::checkpoint;
use crate::counters::{Counters, DropReason, add};
use crate::health::Link;
use crate::spooler::Progress;

pub use backoff::Backoff;
pub use client::{Client, ClientError};
pub use rejected::Rejected;

/// Longest time that acknowledged batches are not yet written down. After a crash they are sent again, and the server
/// knows them by their number.
const CURSOR_AGE: Duration = Duration::from_secs(1);

pub struct Shipper {
    pub client: Client,
    pub reader: Reader,
    pub cursor: CursorFile,
    pub rejected: Rejected,
    pub backoff: Backoff,
    pub counters: Arc<Counters>,
    /// Last acknowledged record, for the spooler.
    pub acked: Arc<AtomicU64>,
    pub link: Arc<Link>,
    pub progress: watch::Receiver<Progress>,
    pub stop: CancellationToken,
}

/// What a refusal means for the batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Retry,
    RetrySlowly,
    Refused,
}

fn verdict(kind: BatchKind, code: Code) -> Verdict {
    match (kind, code) {
        (_, Code::InvalidArgument | Code::OutOfRange) => Verdict::Refused,
        // A collector without a metrics service must not hold up the logs.
        (BatchKind::Metrics, Code::Unimplemented) => Verdict::Refused,
        (_, Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented) => Verdict::RetrySlowly,
        _ => Verdict::Retry,
    }
}

/// Sending ended before everything was acknowledged, because the agent is stopping.
struct Stopped;

impl Shipper {
    /// Runs until the spooler has ended and everything is acknowledged, or until the agent stops and the server does
    /// not answer.
    pub async fn run(&mut self) {
        let mut stored_at = Instant::now();
        loop {
            let progress = *self.progress.borrow_and_update();
            match self.reader.next() {
                Ok(Some(record)) => {
                    let sequence = record.sequence;
                    if self.ship(record).await.is_err() {
                        break;
                    }
                    self.acked.store(sequence, Ordering::Release);
                    if stored_at.elapsed() >= CURSOR_AGE {
                        stored_at = Instant::now();
                        self.store_cursor();
                    }
                }
                Ok(None) if progress.ended => break,
                Ok(None) => {
                    stored_at = Instant::now();
                    self.store_cursor();
                    if self.progress.changed().await.is_err() {
                        break;
                    }
                }
                Err(SpoolError::Gap { first, last, .. }) => {
                    error!(first, last, "spool is damaged: these batches are lost; check the disk");
                    self.counters.count_dropped(DropReason::SpoolDamaged, last - first + 1);
                    self.acked.store(last, Ordering::Release);
                }
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "spool cannot be read; it is tried again");
                    let pause = self.backoff.pause();
                    if self.pause(pause).await.is_err() {
                        break;
                    }
                }
            }
        }
        self.store_cursor();
    }

    /// Writes down what is acknowledged.
    pub fn store_cursor(&mut self) {
        if let Err(error) = self.cursor.store(self.acked.load(Ordering::Acquire)) {
            warn!(error = &error as &dyn std::error::Error, "acknowledgements not stored; batches may be sent again");
        }
    }

    /// Sends one batch until it is taken or refused for good.
    async fn ship(&mut self, record: Record) -> Result<(), Stopped> {
        let payload = Bytes::from(record.payload);
        let Some(decoded) = checkpoint::decode(&payload) else {
            error!(sequence = record.sequence, "batch in the spool is of an unknown version and left out");
            self.counters.count_dropped(DropReason::SpoolDamaged, 1);
            return Ok(());
        };
        let (kind, count) = (decoded.kind, decoded.count);
        let message = payload.slice_ref(decoded.message);
        self.backoff.reset();
        loop {
            let error = match self.client.send(kind, message.clone(), record.sequence).await {
                Ok(refused) => {
                    add(&self.counters.acked_batches, 1);
                    add(&self.counters.acked_records, u64::from(count));
                    self.link.note_ack();
                    if refused > 0 {
                        warn!(refused, "server took a batch but left records out");
                        self.counters.count_dropped(DropReason::ServerRefusedPart, refused);
                    }
                    return Ok(());
                }
                Err(error) => error,
            };
            let code = error.code();
            match verdict(kind, code) {
                Verdict::Refused => {
                    self.set_aside(kind, record.sequence, &message, &error);
                    return Ok(());
                }
                Verdict::RetrySlowly => self.backoff.slow_down(),
                Verdict::Retry => (),
            }
            let text = describe(&error);
            if self.link.note_failure(&text) {
                warn!(reason = text, "server does not take batches; they wait in the spool");
            }
            add(&self.counters.retries, 1);
            let pause = self.backoff.pause();
            debug!(sequence = record.sequence, ?code, pause_ms = pause.as_millis(), "batch is sent again");
            self.pause(pause).await?;
        }
    }

    fn set_aside(&self, kind: BatchKind, sequence: u64, message: &[u8], error: &ClientError) {
        self.counters.count_dropped(DropReason::ServerRefused, 1);
        match self.rejected.keep(kind, sequence, message) {
            Ok(path) => {
                error!(reason = describe(error), kept_as = %path.display(), "server refuses a batch; it is set aside");
            }
            Err(io) => error!(reason = describe(error), %io, "server refuses a batch, and it could not be set aside"),
        }
    }

    /// Waits, unless the agent is stopping: then a server that does not answer is not waited for.
    async fn pause(&self, pause: Duration) -> Result<(), Stopped> {
        if self.stop.is_cancelled() {
            return Err(Stopped);
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.stop.cancelled() => {
                info!("stopping: what is in the spool is sent after the next start");
                Err(Stopped)
            }
        }
    }
}

/// What to do when a connection cannot be secured.
const TLS_HINT: &str = "; `server.tls.authorities` must hold the authority of the server's certificate, `server.url` a \
                        name that is in it, and `server.tls.certificate` this agent's own if the server asks for one";

/// The reason and, where a person can help, what to do.
fn describe(error: &ClientError) -> String {
    let hint = match error.code() {
        Code::Unauthenticated => "; check that `server.token_file` holds the token that the server gave out",
        Code::PermissionDenied => "; this agent's token may not send: ask for another one",
        Code::Unimplemented => "; is `server.url` the address of the collector's OTLP gRPC input?",
        _ if error.is_about_tls() => TLS_HINT,
        _ => "",
    };
    format!("{error}{hint}")
}

/// Words of a status without its metadata, and of the connection error that caused it.
fn status_text(status: &Status) -> String {
    let mut text = format!("{}", status.code());
    if !status.message().is_empty() {
        text = format!("{text}: {}", status.message());
    }
    let mut source = std::error::Error::source(status);
    let mut last = None;
    while let Some(error) = source {
        last = Some(error.to_string());
        source = error.source();
    }
    match last {
        Some(last) if !text.contains(&last) => format!("{text}: {last}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        use BatchKind::{Logs, Metrics};
        for (kind, code, expected) in [
            (Logs, Code::Unavailable, Verdict::Retry),
            (Logs, Code::ResourceExhausted, Verdict::Retry),
            (Logs, Code::DeadlineExceeded, Verdict::Retry),
            (Logs, Code::Internal, Verdict::Retry),
            (Logs, Code::Unauthenticated, Verdict::RetrySlowly),
            (Logs, Code::PermissionDenied, Verdict::RetrySlowly),
            (Logs, Code::Unimplemented, Verdict::RetrySlowly),
            (Metrics, Code::Unimplemented, Verdict::Refused),
            (Logs, Code::InvalidArgument, Verdict::Refused),
            (Metrics, Code::OutOfRange, Verdict::Refused),
        ] {
            assert_eq!(verdict(kind, code), expected, "{kind:?} {code:?}");
        }
    }
}
