//! Inputs: where records come from. One list, one file each.

pub mod capture;
pub mod file;
pub mod journald;
mod lines;
pub mod metrics;
mod multiline;
pub mod packets;
mod proc;
pub mod samples;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use canh_wire::Origin;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::checkpoint::Marks;
use crate::config::Config;
use crate::counters::Counters;
use crate::queue::{Closed, Sink};

pub use lines::{Line, LineSplitter};
pub use multiline::{Multiline, RecordSplitter};

/// A source of records. Runs on a thread of its own and may block.
pub trait Input: Send {
    fn name(&self) -> String;

    /// Reads until `stop` fires, or to the end of what is there in [`Mode::Once`]. Called again after an error, so
    /// what was read already is remembered in `self`.
    fn run(&mut self, context: &Context) -> Result<(), InputError>;
}

/// Whether inputs wait for more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Follow,
    /// Read what is there, then end.
    Once,
}

/// What every input gets.
#[derive(Clone)]
pub struct Context {
    pub mode: Mode,
    pub origin: Origin,
    pub sink: Sink,
    pub stop: CancellationToken,
    /// The places at start-up.
    pub marks: Arc<Marks>,
    pub counters: Arc<Counters>,
}

/// Why an input ended.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    #[error(transparent)]
    Closed(#[from] Closed),

    #[error("{0}")]
    Failed(String),
}

impl InputError {
    pub(crate) fn failed(doing: impl std::fmt::Display, error: impl std::fmt::Display) -> Self {
        Self::Failed(format!("{doing}: {error}"))
    }
}

/// Every configured input.
pub fn inputs(config: &Config) -> Vec<Box<dyn Input>> {
    let mut inputs: Vec<Box<dyn Input>> = Vec::new();
    if !config.input.file.is_empty() {
        inputs.push(Box::new(file::FileInput::new(config.input.file.clone())));
    }
    if let Some(journald) = &config.input.journald {
        inputs.push(Box::new(journald::JournaldInput::new(journald.clone())));
    }
    let server = capture::filter::Peer::of_url(&config.server.url);
    for capture in &config.input.capture {
        inputs.push(Box::new(packets::PacketInput::new(capture.clone(), server.clone(), config.server.clone())));
    }
    if let Some(metrics) = &config.input.metrics {
        inputs.push(Box::new(metrics::MetricsInput::new(metrics.clone())));
    }
    if let Some(samples) = &config.input.samples {
        inputs.push(Box::new(samples::SamplesInput::new(samples.clone(), &config.server, &config.state_dir)));
    }
    inputs
}

const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Runs an input and starts it again after a failure, with growing pauses. Answers whether it ended well.
pub fn supervise(mut input: Box<dyn Input>, context: &Context) -> bool {
    let name = input.name();
    let mut pause = RETRY_MIN;
    loop {
        let started = Instant::now();
        match input.run(context) {
            Ok(()) => {
                info!(input = name, "input ended");
                return true;
            }
            Err(InputError::Closed(Closed)) => return true,
            Err(InputError::Failed(reason)) if context.mode == Mode::Once => {
                error!(input = name, reason, "input failed");
                return false;
            }
            Err(InputError::Failed(reason)) => {
                if started.elapsed() > RETRY_MAX {
                    pause = RETRY_MIN;
                }
                warn!(input = name, reason, retry_s = pause.as_secs(), "input failed; it is started again");
            }
        }
        if !wait(&context.stop, pause) {
            return true;
        }
        pause = (pause * 2).min(RETRY_MAX);
    }
}

/// Sleeps, and answers whether to go on: `false` if the agent is stopping.
pub(crate) fn wait(stop: &CancellationToken, mut pause: Duration) -> bool {
    const STEP: Duration = Duration::from_millis(100);
    while !pause.is_zero() && !stop.is_cancelled() {
        let step = pause.min(STEP);
        thread::sleep(step);
        pause -= step;
    }
    !stop.is_cancelled()
}
