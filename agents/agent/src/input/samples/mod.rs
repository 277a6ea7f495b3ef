//! Offers new and changed executables, scripts and files of web roots to the server, which has the YARA rules: by hash, and
//! those that it asks for as they are. What is a rule and what is a match is not known here, so the agent stays small.
//!
//! Trees are looked at again and again ([`walk`]); what is as it was is known by what the system says of it ([`known`]),
//! and not read. What is new is hashed at a bounded rate, waits ([`waiting`]), and is remembered once the server has it:
//! a restart or a server that is away delays a file, and loses none that is still there.

mod budget;
mod config;
mod item;
mod kind;
mod known;
mod look;
mod restless;
mod sender;
mod traffic;
mod waiting;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use canh_schema::Timestamp;
use canh_wire::Origin;
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};
use tracing::{debug, info, warn};

use self::budget::Budget;
use self::item::Item;
use self::known::{Known, Opened};
use self::look::Looker;
use self::restless::Restless;
use self::sender::{Courier, Endpoint, Failure, Job, Offered, Pause, Reply};
use self::waiting::{Limits, Waiting};
use super::{Context, Input, InputError, Mode, wait};
use crate::config::ServerConfig;
use crate::counters::{DropReason, add};
use crate::ship::Backoff;

pub use config::{Baseline, NewRules, SamplesConfig, TreeConfig};
pub use kind::Kind;
pub use traffic::{FileSender, FilesConfig, Given};

const POLL_PAUSE: Duration = Duration::from_millis(100);
/// How often the server is asked whether its rules have changed, if there is nothing else to ask.
const RULES_EVERY: Duration = Duration::from_secs(600);
/// A large memory of files is written no more often than this, unless the agent stops.
const STORE_EVERY: Duration = Duration::from_secs(600);
const STORE_ALWAYS_LEN: usize = 20_000;

pub struct SamplesInput {
    config: SamplesConfig,
    server: ServerConfig,
    state_dir: PathBuf,
    running: Option<Running>,
}

/// What is there from the first run on.
struct Running {
    looker: Looker,
    state: State,
}

/// What is known, what waits, and how the server is doing.
struct State {
    known: Known,
    waiting: Waiting,
    restless: Restless,
    limits: Limits,
    courier: Courier,
    under_way: bool,
    backoff: Backoff,
    pause_until: Option<Instant>,
    asked_at: Option<Instant>,
    stored_at: Instant,
    interval: Duration,
}

impl SamplesInput {
    pub fn new(config: SamplesConfig, server: &ServerConfig, state_dir: &Path) -> Self {
        Self { config, server: server.clone(), state_dir: state_dir.to_owned(), running: None }
    }

    fn start(&self, context: &Context) -> Result<Running, InputError> {
        let (known, opened) = Known::open(&self.state_dir, self.config.files_max.get())
            .map_err(|error| InputError::failed("cannot open the memory of files in the state folder", error))?;
        if opened == Opened::Damaged {
            context.counters.count_dropped(DropReason::SampleMemoryLost, 1);
        }
        info!(files = known.len(), "files for YARA rules are watched");
        let courier =
            Courier::start(endpoint(self.config.base_url(&self.server.url), &self.server, Some(&context.origin)))
                .map_err(|error| InputError::failed("cannot start a thread", error))?;
        let now = Instant::now();
        let state = State {
            known,
            waiting: Waiting::default(),
            restless: Restless::default(),
            limits: Limits {
                files: Budget::new(u64::from(self.config.files_per_minute.get()), Duration::from_secs(60), now),
                bytes: Budget::new(self.config.bytes_per_hour.bytes(), Duration::from_secs(3_600), now),
            },
            courier,
            under_way: false,
            backoff: Backoff::new(self.server.retry_min, self.server.retry_max),
            pause_until: None,
            asked_at: None,
            stored_at: now,
            interval: self.config.interval,
        };
        Ok(Running { looker: Looker::new(self.config.clone(), now), state })
    }
}

fn endpoint(url: String, server: &ServerConfig, origin: Option<&Origin>) -> Endpoint {
    Endpoint {
        url,
        tls: server.tls.clone().unwrap_or_default(),
        token_file: server.token_file.clone(),
        host_name: origin.map(|origin| origin.host_name.clone()).unwrap_or_default(),
        agent: origin.map(|origin| origin.agent),
    }
}

/// Asks the server whether it would take files at this address. For `doctor`; an answer is in words.
pub(crate) fn probe(url: String, server: &ServerConfig) -> Result<String, String> {
    let endpoint = endpoint(url.clone(), server, None);
    match sender::Client::new(endpoint).offer(&[]) {
        Ok(_) => Ok(format!("{url} takes files to be scanned")),
        Err(Failure::Later { words, .. } | Failure::Refused { words }) => Err(words),
        Err(other) => Err(format!("{other:?}")),
    }
}

/// How many folders and files are watched now, and which of them cannot be read.
pub(crate) fn roots(tree: &TreeConfig) -> (usize, Vec<PathBuf>) {
    let paths: Vec<_> = tree.roots().iter().map(config::RootAt::path).collect();
    let missing = paths.iter().filter(|path| std::fs::read_dir(path).is_err() && !path.is_file()).cloned().collect();
    (paths.len(), missing)
}

impl Input for SamplesInput {
    fn name(&self) -> String {
        "samples".to_owned()
    }

    fn run(&mut self, context: &Context) -> Result<(), InputError> {
        lower_priority();
        if self.running.is_none() {
            self.running = Some(self.start(context)?);
        }
        let Some(Running { looker, state }) = &mut self.running else { return Ok(()) };
        let mut next_look = Instant::now();
        let mut complete = false;
        loop {
            if Instant::now() >= next_look && !context.stop.is_cancelled() {
                complete = looker.look(state, context)?;
                state.store_sometimes();
                next_look = Instant::now() + state.interval;
            }
            state.turn(context, true);
            let idle = state.waiting.len() == 0 && !state.under_way;
            if context.mode == Mode::Once && idle {
                if complete {
                    return state.store();
                }
                next_look = Instant::now();
            }
            if !wait(&context.stop, POLL_PAUSE) {
                return state.store();
            }
        }
    }
}

/// Nice value 11, and by that the lowest but one priority of the disk's scheduler. Not `SCHED_IDLE`: on a host whose
/// processors are taken by what an intruder runs, the look that finds it would take very long.
fn lower_priority() {
    const PRIORITY: u8 = 20;
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
    let set = |priority| set_thread_priority_and_policy(thread_native_id(), priority, policy).is_ok();
    if !ThreadPriorityValue::try_from(PRIORITY).is_ok_and(|value| set(ThreadPriority::Crossplatform(value))) {
        warn!("files are looked at with the priority of everything else");
    }
}

fn today() -> u16 {
    u16::try_from(Timestamp::now().secs() / 86_400).unwrap_or(u16::MAX)
}

impl State {
    /// Takes what the server answered, and asks the next thing. Never waits for either.
    fn turn(&mut self, context: &Context, idle: bool) {
        if let Some(reply) = self.courier.reply() {
            self.under_way = false;
            match reply {
                Reply::Offered(items, outcome) => self.offered(&items, outcome, context),
                Reply::Uploaded(item, outcome) => self.uploaded(item, outcome, context),
            }
        }
        let now = Instant::now();
        if !self.under_way && self.pause_until.is_none_or(|until| now >= until) && !context.stop.is_cancelled() {
            let due = self.asked_at.is_none_or(|at| now.saturating_duration_since(at) >= RULES_EVERY);
            let job = self.waiting.next(&mut self.limits, idle, now);
            let job = job.or_else(|| (idle && due).then(|| Job::Offer(Vec::new())));
            if let Some(job) = job {
                if matches!(job, Job::Offer(_)) {
                    self.asked_at = Some(now);
                }
                self.under_way = true;
                self.courier.begin(job);
            }
        }
        let counters = &context.counters.samples;
        counters.remembered.store(self.known.len() as u64, Ordering::Relaxed);
        counters.waiting.store(self.waiting.len() as u64, Ordering::Relaxed);
    }

    fn offered(&mut self, items: &[Arc<Item>], outcome: Result<Offered, Failure>, context: &Context) {
        let counters = &context.counters.samples;
        match outcome {
            Ok(offered) => {
                self.works(context);
                self.known.note_rules(&offered.rules);
                let known = self.waiting.answered(items, &offered);
                add(&counters.known, known.len() as u64);
                add(&counters.offered, (known.len() + offered.wanted.len().min(items.len())) as u64);
                for item in known {
                    self.taken(&item);
                }
            }
            Err(Failure::Later { words, pause }) => {
                self.waiting.offer_again(items);
                self.later(&words, pause, context);
            }
            Err(Failure::Refused { words }) if items.is_empty() => self.later(&words, Pause::Longest, context),
            Err(failure) => match items {
                [item] => self.failed(item, &failure, context),
                items => self.waiting.offer_singly(items),
            },
        }
    }

    fn uploaded(&mut self, item: Arc<Item>, outcome: Result<(), Failure>, context: &Context) {
        match outcome {
            Ok(()) => {
                self.works(context);
                add(&context.counters.samples.sent, 1);
                add(&context.counters.samples.sent_bytes, item.state.size);
                self.waiting.done(&item);
                self.taken(&item);
            }
            Err(Failure::Later { words, pause }) => {
                self.waiting.upload_again(item, &mut self.limits);
                self.later(&words, pause, context);
            }
            Err(failure) => self.failed(&item, &failure, context),
        }
    }

    /// The server has it: it is not offered again until it changes.
    fn taken(&mut self, item: &Item) {
        debug!(path = %item.path.display(), "the server has this file");
        self.known.put_taken(item.key, item.print, item.content(), today());
        self.restless.note(item.key, self.interval, Instant::now());
    }

    /// Nothing more is done about this file as it is.
    fn failed(&mut self, item: &Item, failure: &Failure, context: &Context) {
        self.waiting.done(item);
        let reason = match failure {
            Failure::Changed => DropReason::SampleChanged,
            Failure::Vanished => DropReason::SampleVanished,
            Failure::Unreadable { .. } => DropReason::SampleUnreadable,
            Failure::Refused { .. } | Failure::Later { .. } => DropReason::SampleRefused,
        };
        context.counters.count_dropped(reason, 1);
        debug!(path = %item.path.display(), ?failure, "a file is not sent");
        match failure {
            Failure::Refused { words } | Failure::Later { words, .. } => {
                warn!(reason = words, "the server refuses a file");
                self.known.put_taken(item.key, item.print, item.content(), today());
            }
            Failure::Unreadable { .. } => self.known.put(item.key, item.print, 0, today()),
            // It is looked at again.
            Failure::Changed => self.restless.note(item.key, self.interval, Instant::now()),
            Failure::Vanished => (),
        }
    }

    fn works(&mut self, context: &Context) {
        self.backoff.reset();
        self.pause_until = None;
        if context.counters.samples.set_failure(None) {
            info!("the server takes files to be scanned");
        }
    }

    fn later(&mut self, words: &str, pause: Pause, context: &Context) {
        if pause == Pause::Longest {
            self.backoff.slow_down();
        }
        let own = self.backoff.pause();
        let pause = if let Pause::AtLeast(asked) = pause { own.max(asked) } else { own };
        self.pause_until = Some(Instant::now() + pause);
        if context.counters.samples.set_failure(Some(words)) {
            warn!(reason = words, "the server does not take files to be scanned; they wait");
        }
    }

    fn store_sometimes(&mut self) {
        let now = Instant::now();
        let old = now.saturating_duration_since(self.stored_at) >= STORE_EVERY;
        if old || self.known.len() <= STORE_ALWAYS_LEN || self.known.is_baseline_unstored() {
            self.stored_at = now;
            if let Err(error) = self.known.store() {
                warn!(%error, "cannot write the memory of files into the state folder; it is tried again");
            }
        }
    }

    fn store(&mut self) -> Result<(), InputError> {
        self.known.store().map_err(|error| InputError::failed("cannot write the memory of files", error))
    }
}
