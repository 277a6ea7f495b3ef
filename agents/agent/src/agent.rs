//! The agent at work: opens the state folder, starts inputs, spooler and shipper, and stops them by running dry.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use canh_schema::Timestamp;
use canh_spool::{CursorFile, Spool, SpoolConfig, SpoolError};
use canh_wire::{Origin, limit};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::counters::{Counters, DropReason, Source};
use crate::health::{Health, Link};
use crate::identity;
use crate::input::{self, Context, Mode};
use crate::queue::{Closed, Item, Payload, Sink, queue};
use crate::ship::{Backoff, Client, Rejected, Shipper};
use crate::spooler::Spooler;

/// The agent's version, as it is sent.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Name of the status file in the state folder.
pub const STATUS_FILE: &str = "status.json";

const STATUS_EVERY: Duration = Duration::from_secs(5);
const METRICS_EVERY: Duration = Duration::from_secs(15);
/// How long another agent may still hold the state folder, and how often it is tried.
const LOCK_WAIT: Duration = Duration::from_secs(3);
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Runs until a signal comes, or in [`Mode::Once`] until everything that was there is acknowledged.
///
/// # Errors
///
/// The state folder cannot be used, or another agent uses it; in [`Mode::Once`] also an input that failed and batches
/// that the server refused.
pub async fn run(config: Config, mode: Mode, stop: CancellationToken) -> anyhow::Result<()> {
    let state = config.state_dir.clone();
    // What hosts log is nobody else's business.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&state).with_context(|| {
        format!("cannot make the state folder `{}`; run as a user who may, or set `state_dir`", state.display())
    })?;
    let mut spool = open_spool(&config).await?;
    let cursor = open_cursor(&state, &mut spool)?;
    let agent = identity::agent_id(&state)?;
    let checkpoint = Checkpoint::recover(state.join("places.json"), &mut spool).context("cannot find the places")?;
    let host_name = config.host_name.clone().unwrap_or_else(identity::host_name);
    let origin = Origin { agent, agent_version: VERSION.to_owned(), host_name };

    let counters = Arc::new(Counters::default());
    let acked = Arc::new(AtomicU64::new(cursor.load()));
    let link = Arc::new(Link::default());
    let health = Health {
        origin: origin.clone(),
        started: Timestamp::now(),
        server_url: config.server.url.clone(),
        counters: counters.clone(),
        spool: spool.handle(),
        spool_bytes_max: config.spool.bytes_max.bytes(),
        acked: acked.clone(),
        link: link.clone(),
    };
    info!(version = VERSION, %agent, waiting = spool.last().saturating_sub(cursor.load()), "agent started");

    let (sink, receiver) = queue(config.queue_len);
    let marks = Arc::new(checkpoint.marks().clone());
    if config.server.is_in_clear() {
        warn!(
            url = config.server.url,
            "logs and the token go over the network without TLS; write `server.url` with `https://`"
        );
    }
    let client = Client::new(&config.server, agent, spool.id()).context("cannot use `server.url`")?;
    let reader = spool.reader(cursor.load());
    let (spooler, progress) =
        Spooler::new(spool, checkpoint, origin.clone(), counters.clone(), acked.clone(), stop.clone());
    let context = Context { mode, origin, sink: sink.clone(), stop: stop.clone(), marks, counters: counters.clone() };

    let inputs = start_inputs(&config, &context)?;
    drop(context);
    let spooler = thread::Builder::new().name("spooler".to_owned()).spawn(move || spooler.run(&receiver))?;
    let reporter = tokio::spawn(report(health.clone(), state.join(STATUS_FILE), sink, mode, stop.clone()));
    let mut shipper = Shipper {
        client,
        reader,
        cursor,
        rejected: Rejected::new(state.join("rejected")),
        backoff: Backoff::new(config.server.retry_min, config.server.retry_max),
        counters: counters.clone(),
        acked,
        link,
        progress,
        stop: stop.clone(),
    };
    let in_time = tokio::select! {
        () = shipper.run() => true,
        () = after_stop(&stop, config.stop_grace) => false,
    };
    shipper.store_cursor();
    reporter.abort();
    // It may hold an end of the queue until it is gone, and the spooler, waited for below, runs until all ends are.
    let _ = reporter.await;
    let all_sent = shipper.reader.position() >= health.spool.visible() && in_time;
    if let Err(error) = health.write_status(&state.join(STATUS_FILE), Timestamp::now()) {
        warn!(%error, "status not written");
    }
    if !in_time {
        warn!("stopped before everything was sent; the rest is sent after the next start");
        return Ok(());
    }
    // A spooler that was not told to stop has ended before the shipper could.
    stop.cancel();
    let _ = spooler.join();
    let failed = inputs.into_iter().map(JoinHandle::join).filter(|result| !matches!(result, Ok(true))).count();
    info!(all_sent, "agent stopped");
    let refused = counters.dropped(DropReason::ServerRefused);
    if mode == Mode::Once && (failed > 0 || refused > 0) {
        bail!("{failed} inputs failed and {refused} batches were refused by the server; the log says why");
    }
    Ok(())
}

/// Cancels `stop` on SIGTERM and SIGINT; a second signal ends the process at once.
///
/// # Errors
///
/// The system refuses a signal handler.
pub fn stop_on_signal(stop: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => (),
                _ = interrupt.recv() => (),
            }
            if stop.is_cancelled() {
                std::process::exit(1);
            }
            info!("stopping");
            stop.cancel();
        }
    });
    Ok(())
}

/// Opens the spool, and waits a little for an agent that is just ending: a killed process holds its locks until the
/// system has cleaned up after it.
async fn open_spool(config: &Config) -> anyhow::Result<Spool> {
    let settings = SpoolConfig {
        dir: config.state_dir.join("spool"),
        segment_max: config.spool.segment_max.bytes(),
        bytes_max: config.spool.bytes_max.bytes(),
        record_max: u32::try_from(limit::MESSAGE_MAX.bytes()).unwrap_or(u32::MAX),
    };
    let give_up = Instant::now() + LOCK_WAIT;
    let opened = loop {
        match Spool::open(settings.clone()) {
            Err(SpoolError::Locked { .. }) if Instant::now() < give_up => tokio::time::sleep(LOCK_PAUSE).await,
            other => break other,
        }
    };
    let (spool, recovery) = opened.map_err(|error| match error {
        SpoolError::Locked { .. } => {
            anyhow::anyhow!(
                "another agent runs with state folder `{}`; stop it or set another `state_dir`",
                config.state_dir.display()
            )
        }
        error => anyhow::Error::new(error).context("cannot open the spool"),
    })?;
    if recovery.torn_bytes > 0 {
        info!(bytes = recovery.torn_bytes, "unfinished write cut off the spool");
    }
    for range in &recovery.damaged {
        warn!(first = range.first, last = range.last, "spool is damaged");
    }
    Ok(spool)
}

/// The place of the last acknowledged batch. It belongs to one spool, so the spool's number is in its name.
fn open_cursor(state: &Path, spool: &mut Spool) -> anyhow::Result<CursorFile> {
    let path = state.join(format!("acked-{:016x}", spool.id()));
    let cursor = match CursorFile::open(&path) {
        Err(SpoolError::BadCursor { path }) => {
            warn!(path = %path.display(), "acknowledgements are damaged: batches are sent again, and the server knows them");
            fs::remove_file(&path)?;
            CursorFile::open(&path)
        }
        other => other,
    };
    let cursor = cursor.context("cannot read the acknowledgements")?;
    spool.advance_past(cursor.load()).context("cannot open the spool")?;
    for entry in fs::read_dir(state)?.flatten() {
        let other = entry.file_name().to_string_lossy().starts_with("acked-") && entry.path() != path;
        if other {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(cursor)
}

/// One thread for each input. A thread answers whether its input ended well.
fn start_inputs(config: &Config, context: &Context) -> anyhow::Result<Vec<JoinHandle<bool>>> {
    input::inputs(config)
        .into_iter()
        .map(|input| {
            let context = context.clone();
            let name = input.name().chars().take(15).collect();
            let run = move || input::supervise(input, &context);
            thread::Builder::new().name(name).spawn(run).context("cannot start a thread for an input")
        })
        .collect()
}

/// Ends `grace` after the agent was told to stop.
async fn after_stop(stop: &CancellationToken, grace: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(grace).await;
}

/// Writes the status file and sends the agent's own metrics. Gives the queue up when the agent stops, or at once if it
/// will end by itself.
async fn report(health: Health, path: std::path::PathBuf, sink: Sink, mode: Mode, stop: CancellationToken) {
    let mut sink = Some(sink).filter(|_| mode == Mode::Follow);
    let mut sending: Option<tokio::task::JoinHandle<Result<(), Closed>>> = None;
    let mut status = tokio::time::interval(STATUS_EVERY);
    let mut metrics = tokio::time::interval(METRICS_EVERY);
    loop {
        tokio::select! {
            _ = status.tick() => {
                if let Err(error) = health.write_status(&path, Timestamp::now()) {
                    warn!(%error, "status not written");
                }
            }
            _ = metrics.tick(), if sink.is_some() => {
                let (message, count) = health.metrics(Timestamp::now());
                let item = Item { source: Source::Agent, payload: Payload::Metrics(message, count), mark: None };
                let waits = sending.as_ref().is_some_and(|last| !last.is_finished());
                match &sink {
                    Some(sink) if !waits => {
                        let sink = sink.clone();
                        sending = Some(tokio::task::spawn_blocking(move || sink.send(vec![item])));
                    }
                    _ => health.counters.count_dropped(DropReason::ReportQueueFull, 1),
                }
            }
            () = stop.cancelled(), if sink.is_some() => sink = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_state_folder_that_is_given_up_in_time_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let text =
            format!("state_dir = {:?}\n[server]\nurl = \"http://127.0.0.1:1\"\n", dir.path().display().to_string());
        let config: Config = toml::from_str(&text).unwrap();
        let ending = open_spool(&config).await.unwrap();
        // The first branch finds the lock held before the second gives it up.
        let (opened, ()) = tokio::join!(open_spool(&config), async move { drop(ending) });
        opened.unwrap();
    }
}
