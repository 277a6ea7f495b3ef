//! `canh serve`: opens the parts, connects them, and takes them down in the order in which data flows.

use std::fs::{DirBuilder, File, TryLockError};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use canh_collector::{
    Collector, CollectorParts, Drops, Envelope, Feed, Geo, Journal, Sources, TokenSet, decode, load_mibs,
};
use canh_console::{App, AppParts, Readiness, Settings};
use canh_schema::{ByteSize, Timestamp};
use canh_store::EventStore;
use canh_store::state::StateStore;
use canh_store_embedded::{EmbeddedConfig, EmbeddedStore, SqliteState};
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, broadcast, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::canary::{self, Seen};
use crate::cli::ServeArgs;
use crate::config::ServerConfig;
use crate::detect::{Detector, DetectorMetrics};
use crate::health::Health;
use crate::index::Indexer;
use crate::indicators::Indicators;
use crate::ledger::{Known, Ledger, LedgerMetrics, StoreSample};
use crate::memory::MemoryFile;
use crate::release::Keeper;
use crate::reload::{Reloader, certificates_on_hangup, places_on_hangup};
use crate::retro::{Hunter, RetroMetrics};
use crate::rules::desk::Desk;
use crate::rules::{Loaded, Rules, review};
use crate::samples::Yara;
use crate::{notes, terminal};
use crate::{secret, sources, vendors};

/// The ledger's lines are kept this long, or as long as the events if that is longer.
const LEDGER_KEPT: Duration = Duration::from_secs(90 * 86_400);

pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let mut config = ServerConfig::load(args.config.as_deref())?;
    config.data = args.data.clone().unwrap_or(config.data);
    config.console.listen = args.listen.unwrap_or(config.console.listen);
    config.detection.rules.extend(args.rules.iter().cloned());
    config.detection.yara.extend(args.yara.iter().cloned());
    config.check()?;
    let filter = tracing_subscriber::EnvFilter::try_from_env("CANH_LOG").unwrap_or_else(|_| "info,tantivy=warn".into());
    let ansi = terminal::wants_colours(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(ansi)
        .with_writer(std::io::stderr)
        // A log that cannot be written, because it lies on the disk that is full, must not end the thread that writes it.
        .log_internal_errors(false)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("canh")
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(Server::start(config))
}

struct Server {
    config: ServerConfig,
    /// Keeps a second server out of the data directory.
    _lock: File,
    registry: Registry,
    journal: Arc<Journal>,
    events: Arc<dyn EventStore>,
    state: Arc<dyn StateStore>,
}

impl Server {
    async fn start(config: ServerConfig) -> anyhow::Result<()> {
        let lock = lock(&config.data)?;
        let registry = Registry::new();
        let state = SqliteState::open(&config.data.join("state.db")).context("cannot open the state")?;
        let state: Arc<dyn StateStore> = Arc::new(state);
        let events = EmbeddedStore::open(EmbeddedConfig::new(config.data.join("events")), &registry)
            .context("cannot open the event store")?;
        let events: Arc<dyn EventStore> = Arc::new(events);
        let mut journal_config = config.journal.clone();
        journal_config.dir = config.in_data(&journal_config.dir);
        // No number that somebody has seen is given again, even if the journal was deleted.
        let counted = state.ledger_start().await?.marks.unwrap_or_default().journaled;
        let past = state.detection_cursor().await?.max(events.cursor()).max(counted);
        let journal = Journal::open_past(&journal_config, past, &registry)
            .with_context(|| format!("cannot open the journal in `{}`", journal_config.dir.display()))?;
        Self { config, _lock: lock, registry, journal, events, state }.serve().await
    }

    async fn serve(self) -> anyhow::Result<()> {
        let data = &self.config.data;
        let drops = Drops::new(&self.registry)?;
        let mibs = load_mibs(self.config.collector.snmp.mibs.as_deref())
            .context("cannot load names of SNMP (`collector.snmp.mibs`)")?;
        let settings = vendors::settings(&self.config.collector.sources, mibs);
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        let geo = Geo::load(&self.config.collector.geo).context("cannot load places of addresses (`collector.geo`)")?;
        let senders = Arc::new(Sources::new(self.config.collector.sources.sources_max, &self.registry)?);
        let decoder = Arc::new({
            let (geo, settings, senders) = (geo.clone(), settings.clone(), senders.clone());
            move |envelope: &Envelope, position, journal| {
                let mut batch = decode(envelope, position, journal, &settings.load());
                senders.measure_clocks(envelope, &batch.events);
                geo.enrich(&mut batch.events);
                batch
            }
        });
        let feed = Feed::new(self.journal.clone(), decoder, self.config.collector.feed.cache_bytes, drops.clone());

        // Addresses first: a port in use should be known before anything else happens.
        let yara = Yara::load(&self.config.detection.yara, data, &self.registry).await?;
        let ingest = secret::load_or_make(&data.join(crate::doors::TOKEN_FILE))?;
        let parts = CollectorParts {
            journal: self.journal.clone(),
            tokens: Arc::new(TokenSet::single("agent.token", &ingest)),
            drops,
            sources: senders.clone(),
            samples: yara.as_ref().map(Yara::sink).transpose()?,
        };
        let mut doors = self.config.collector.clone();
        doors.snmp.state_file = self.config.in_data(&doors.snmp.state_file);
        doors.flow.state_file = self.config.in_data(&doors.flow.state_file);
        let collector = Collector::bind(&doors, parts, &self.registry)?;
        let address = self.config.console.listen;
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!(
                "cannot listen on {address} (`console.listen`); is another server running? choose another with --listen"
            )
        })?;
        let console_address = listener.local_addr()?;
        notes::leave(data, &*self.state, &collector, console_address).await?;

        let (reload, reloaded) = mpsc::channel();
        let indicators = Indicators::start(&self.config.detection, &self.registry).await?;
        let (rules, loaded) = self.load_rules(&indicators).await?;
        let (flock, flocks) = watch::channel(loaded.flock());
        let (rule_files, known_files) = watch::channel(loaded.rule_files());
        let decided = Arc::new(Notify::new());
        let (hunting_rules, hunting_ruled) = watch::channel(loaded.indicator_rules());
        let engine = loaded.engine;
        let memory = MemoryFile::new(data);
        let health = Health::load(&*self.state).await?;
        let canaries = Seen::default();
        let days = self.config.detection.retro_hunt_days;
        let hunter = Hunter::new(
            self.events.clone(),
            self.state.clone(),
            indicators.clone(),
            hunting_ruled,
            Duration::from_secs(u64::from(days) * 86_400),
            RetroMetrics::new(&self.registry)?,
            data,
        );
        let (live, _) = broadcast::channel(usize::from(self.config.console.tail_queue_len.get()));
        let (started, detection_started) = oneshot::channel();
        let detector = Detector {
            feed: feed.clone(),
            state: self.state.clone(),
            live: live.clone(),
            reload: reloaded,
            started: Some(started),
            indicators: indicators.stream(),
            metrics: DetectorMetrics::new(&self.registry)?,
            memory: memory.clone(),
            health: health.clone(),
            canaries: canaries.clone(),
            budget: self.config.detection.findings_per_hour.get(),
        };
        let canary_keeper = canary::Keeper {
            every: self.config.detection.canary_every,
            journal: self.journal.clone(),
            state: self.state.clone(),
            seen: canaries,
            health,
            broken: canary::Keeper::metric(&self.registry)?,
        };
        let (sample, counted) = (StoreSample::default(), Known::default());
        let commit_every = self.config.store.commit_every;
        let indexer = Indexer::new(feed.clone(), self.events.clone(), commit_every, sample.clone(), &self.registry)?;
        let retention = Duration::from_secs(u64::from(self.config.store.retention_days.get()) * 86_400);
        let ledger = Ledger {
            feed: feed.clone(),
            state: self.state.clone(),
            events: self.events.clone(),
            sources: senders.clone(),
            sample: sample.clone(),
            known: counted.clone(),
            metrics: LedgerMetrics::new(&self.registry)?,
            keep: retention.max(LEDGER_KEPT),
            written: Mutex::default(),
        };
        let handle = Handle::current();
        let detecting = thread("canh-detect", {
            let handle = handle.clone();
            move || detector.run(engine, &handle)
        })?;
        let storing = thread("canh-store", {
            let handle = handle.clone();
            move || indexer.run(&handle)
        })?;

        // Doors stop first; what they took is then looked at and stored; the console stays until that is done.
        let stop = CancellationToken::new();
        let stop_rest = CancellationToken::new();
        let counting = thread("canh-ledger", {
            let stop = stop_rest.clone();
            move || ledger.run(&handle, &stop)
        })?;
        let keeper = Keeper {
            journal: self.journal.clone(),
            events: self.events.clone(),
            state: self.state.clone(),
            memory,
            ledger: counted,
            sample,
            retention,
            roomy: ByteSize::new(self.config.journal.bytes_max.bytes() / 2),
        };
        let keeping = tokio::spawn({
            let stop = stop_rest.clone();
            async move { keeper.run(stop).await }
        });
        let reporting = tokio::spawn(sources::run(senders, self.state.clone(), data.clone(), stop_rest.clone()));
        let readiness = Readiness::default();
        let parts = AppParts {
            events: self.events.clone(),
            state: self.state.clone(),
            live,
            registry: self.registry.clone(),
            readiness: readiness.clone(),
            desk: Arc::new(Desk::new(indicators.source(), known_files, decided.clone())),
            version: env!("CARGO_PKG_VERSION"),
        };
        let findings_per_hour = self.config.detection.findings_per_hour.get();
        let app = App::with_settings(parts, Settings { findings_per_hour, ..Settings::default() });
        let console = tokio::spawn(serve_console(listener, canh_console::router(app), stop_rest.clone()));
        let reloader = Reloader {
            rules,
            feed,
            state: self.state.clone(),
            reload,
            flock,
            rule_files,
            hunting: hunting_rules,
            decided,
        };
        tokio::spawn(reloader.run());
        let hunting = tokio::spawn({
            let stop = stop.clone();
            async move {
                if days > 0 {
                    hunter.run(stop).await;
                }
            }
        });
        tokio::spawn({
            let stop = stop.clone();
            async move { canary_keeper.run(flocks, stop).await }
        });
        tokio::spawn(indicators.reload_on_hangup());
        if self.config.collector.sources.dir.is_some() {
            tokio::spawn(vendors::on_hangup(settings, self.config.collector.sources.clone()));
        }
        tokio::spawn(places_on_hangup(geo, self.config.collector.geo.clone()));
        if let Some(tls) = collector.tls() {
            tokio::spawn(certificates_on_hangup(tls));
        }
        if let Some(yara) = yara {
            tokio::spawn(yara.reload_on_hangup());
        }
        tokio::spawn(stop_on_signal(stop.clone()));

        info!(address = %console_address, "the console is open");
        tokio::spawn({
            let readiness = readiness.clone();
            async move {
                if detection_started.await.is_ok() {
                    readiness.set_ready();
                }
            }
        });
        collector.run(stop).await;
        readiness.set_stopping();
        self.journal.close().await;
        join(detecting).await;
        join(storing).await;
        stop_rest.cancel();
        join(counting).await;
        let _ = tokio::join!(keeping, reporting, console, hunting);
        info!("everything that was received is stored; stopped");
        Ok(())
    }

    async fn load_rules(&self, indicators: &Indicators) -> anyhow::Result<(Rules, Loaded)> {
        let config = &self.config.detection;
        let mut rules = Rules::new(config.rules.clone(), config.pipelines.clone(), config.review)
            .with_indicators(indicators.source());
        let reviews = review::load(&*self.state).await?;
        let (rules, loaded) = tokio::task::spawn_blocking(move || {
            let loaded = rules.load(Timestamp::now(), &reviews);
            (rules, loaded)
        })
        .await?;
        info!(rules = loaded.status.rules.len(), broken = loaded.status.errors.len(), "rules are loaded");
        self.state.put_rule_texts(&loaded.texts).await?;
        self.state.put_rules_status(loaded.status.clone()).await?;
        Ok((rules, loaded))
    }
}

/// Makes the data directory, for its owner only (it holds raw logs), and takes its lock.
fn lock(data: &Path) -> anyhow::Result<File> {
    let shown = data.display();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .with_context(|| format!("cannot make the data directory `{shown}`; choose another with --data"))?;
    let path = data.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot write into the data directory `{shown}`"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            anyhow::bail!("another server uses the data directory `{shown}`; stop it, or choose another with --data")
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock `{}`", path.display())),
    }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .with_context(|| format!("cannot start the thread `{name}`"))
}

async fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    if !matches!(tokio::task::spawn_blocking(move || thread.join()).await, Ok(Ok(()))) {
        error!(name, "a thread ended with a panic; please report it with the lines above");
    }
}

async fn serve_console(listener: TcpListener, router: axum::Router, stop: CancellationToken) {
    let ended = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown({
            let stop = stop.clone();
            stop.cancelled_owned()
        });
    // Live tails never end by themselves, so the wait for open connections has an end.
    tokio::select! {
        result = ended => if let Err(error) = result { error!(error = &error as &dyn std::error::Error, "the console stopped") },
        () = async { stop.cancelled().await; tokio::time::sleep(Duration::from_secs(2)).await } => (),
    }
}

async fn stop_on_signal(stop: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        error!("cannot listen for signals; the server can only be killed");
        return;
    };
    tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
    info!("stopping: no more is received; what has been received is stored first");
    stop.cancel();
}
