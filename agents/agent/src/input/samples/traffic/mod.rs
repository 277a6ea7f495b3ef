//! Files that were seen in traffic: they wait in memory, are offered by hash, and sent if the server asks, on a thread of
//! their own. What cannot be sent in time is dropped and counted; there is no copy on the disk.

mod config;
mod file;
mod queue;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use canh_packet::CarvedFile;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use self::queue::{Put, Queue};
use super::budget::Budget;
use super::endpoint;
use super::item::Sha256Bytes;
use super::sender::{Client, Failure, Offered, Pause};
use crate::config::ServerConfig;
use crate::counters::{Counters, DropReason, Source, add};
use crate::input::capture::filter::Peer;
use crate::input::{Context, Mode, wait};
use crate::ship::Backoff;

pub use config::FilesConfig;

/// Files that are offered at once.
const BATCH_LEN: usize = 50;

/// Whether whoever gives a file can wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Given {
    /// Packets do not wait: without room the file is dropped and counted.
    IfRoom,
    Wait,
}

/// Takes files from a capture. The thread behind it ends when this is dropped.
#[derive(Debug)]
pub struct FileSender {
    queue: Arc<Queue>,
    stop: CancellationToken,
    counters: Arc<Counters>,
    size_min: u64,
    /// Where files are sent to: those would be seen in the traffic again, and again be sent.
    own: Vec<(IpAddr, u16)>,
}

impl FileSender {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(config: &FilesConfig, server: &ServerConfig, context: &Context) -> io::Result<Self> {
        let url = config.base_url(&server.url);
        let own = [url.as_str(), &server.url].into_iter().filter_map(Peer::of_url);
        let own = own.flat_map(|peer| peer.addresses().into_iter().map(move |address| (address, peer.port))).collect();
        let bytes = usize::try_from(config.waiting_bytes.bytes()).unwrap_or(usize::MAX);
        let queue = Arc::new(Queue::new(config.waiting_max.get(), bytes));
        let now = Instant::now();
        let worker = Worker {
            queue: queue.clone(),
            client: Client::new(endpoint(url, server, Some(&context.origin))),
            stop: context.stop.clone(),
            counters: context.counters.clone(),
            once: context.mode == Mode::Once,
            size_max: usize::try_from(config.size_max.bytes()).unwrap_or(usize::MAX),
            files: Budget::new(u64::from(config.files_per_minute.get()), Duration::from_secs(60), now),
            bytes: Budget::new(config.bytes_per_hour.bytes(), Duration::from_secs(3_600), now),
            backoff: Backoff::new(server.retry_min, server.retry_max),
        };
        thread::Builder::new().name("transfers-send".to_owned()).spawn(move || worker.run())?;
        Ok(Self {
            queue,
            stop: context.stop.clone(),
            counters: context.counters.clone(),
            size_min: config.size_min.bytes(),
            own,
        })
    }

    /// Takes a file.
    pub fn give(&self, file: CarvedFile, given: Given) {
        let talk = &file.conversation;
        let is_own = self.own.contains(&(talk.responder, talk.responder_port));
        if is_own || (file.bytes.len() as u64) < self.size_min {
            return;
        }
        self.counters.count_read(Source::Transfers, 1);
        let put = match given {
            Given::IfRoom => self.queue.put(file),
            Given::Wait => self.queue.put_waiting(file, || self.stop.is_cancelled()),
        };
        let dropped = match put {
            Put::Taken => 0,
            Put::InsteadOf(others) => others,
            Put::NoRoom => 1,
        };
        self.counters.count_dropped(DropReason::TransferQueueFull, dropped);
        self.counters.transfers.waiting.store(self.queue.len() as u64, Ordering::Relaxed);
    }

    /// Waits until everything that was given is sent, or the agent stops.
    ///
    /// # Errors
    ///
    /// Why nothing can be sent, in words; only if the agent does not run on and on.
    pub fn drain(&self) -> Result<(), String> {
        self.queue.drain(|| self.stop.is_cancelled())
    }

    /// What waits is thrown away, and counted.
    pub fn stop(&self) {
        self.counters.count_dropped(DropReason::TransferStopped, self.queue.close());
    }
}

impl Drop for FileSender {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the thread works with.
struct Worker {
    queue: Arc<Queue>,
    client: Client,
    stop: CancellationToken,
    counters: Arc<Counters>,
    once: bool,
    size_max: usize,
    files: Budget,
    bytes: Budget,
    backoff: Backoff,
}

/// The agent stops, or nothing will ever be sent.
struct Ended;

impl Worker {
    fn run(mut self) {
        while let Some(files) = self.queue.take(BATCH_LEN) {
            let count = files.len();
            let mut left: Vec<_> = files.into_iter().map(|file| (self.hash(&file), file)).collect();
            if self.send_all(&mut left).is_err() {
                debug!(files = count, left = left.len(), "files in traffic are not sent");
                self.counters.count_dropped(DropReason::TransferStopped, left.len() as u64);
                left.iter().for_each(|(_, file)| self.queue.done(file));
                return;
            }
            self.counters.transfers.waiting.store(self.queue.len() as u64, Ordering::Relaxed);
        }
    }

    /// Of what the file is without its encoding. It is decoded again when it is sent, so that no more than one is held
    /// decoded.
    fn hash(&self, file: &CarvedFile) -> Sha256Bytes {
        match &file.about.encoding {
            None => Sha256::digest(&file.bytes).into(),
            Some(_) => Sha256::digest(&file.clone().decoded(self.size_max).bytes).into(),
        }
    }

    /// Offers and sends these; what is done with is taken out.
    fn send_all(&mut self, left: &mut Vec<(Sha256Bytes, CarvedFile)>) -> Result<(), Ended> {
        self.pace(left.len() as u64, 0)?;
        while !left.is_empty() {
            let offered = self.offer(left)?;
            let wanted: Vec<_> = offered.wanted.iter().filter_map(|at| left.get(*at).cloned()).collect();
            // The same bytes twice: once they are there, the other is known.
            let mut sent: Vec<Sha256Bytes> = Vec::new();
            let mut done: Vec<usize> = offered.known;
            add(&self.counters.transfers.known, done.len() as u64);
            add(&self.counters.transfers.offered, (done.len() + wanted.len()) as u64);
            for (at, (sha256, file)) in offered.wanted.into_iter().zip(wanted) {
                if !sent.contains(&sha256) {
                    self.upload(&sha256, file)?;
                    sent.push(sha256);
                    done.push(at);
                }
            }
            if done.is_empty() {
                self.later("the server answers for none of the files that were offered", Pause::Growing)?;
            }
            let mut at = 0;
            left.retain(|(_, file)| {
                let is_done = done.contains(&at);
                at += 1;
                if is_done {
                    self.queue.done(file);
                }
                !is_done
            });
        }
        Ok(())
    }

    fn offer(&mut self, files: &[(Sha256Bytes, CarvedFile)]) -> Result<Offered, Ended> {
        let offers: Vec<_> = files.iter().map(|(sha256, file)| file::offer(&self.told(file), sha256)).collect();
        loop {
            match self.client.offer_files(offers.clone()) {
                Ok(offered) => {
                    self.works();
                    return Ok(offered);
                }
                Err(Failure::Later { words, pause }) => self.later(&words, pause)?,
                Err(failure) => {
                    // Nothing that the agent makes is refused; a server of another version may.
                    let words = format!("the server refuses offers: {failure:?}");
                    self.later(&words, Pause::Longest)?;
                }
            }
        }
    }

    fn upload(&mut self, sha256: &Sha256Bytes, file: CarvedFile) -> Result<(), Ended> {
        let file = file.decoded(self.size_max);
        let len = file.bytes.len() as u64;
        self.pace(0, len)?;
        loop {
            match self.client.send_bytes(&file::query(&file), sha256, &file.bytes) {
                Ok(()) => {
                    self.works();
                    add(&self.counters.transfers.sent, 1);
                    add(&self.counters.transfers.sent_bytes, len);
                    return Ok(());
                }
                Err(Failure::Later { words, pause }) => self.later(&words, pause)?,
                Err(failure) => {
                    warn!(?failure, "the server refuses a file that was seen in traffic");
                    self.counters.count_dropped(DropReason::TransferRefused, 1);
                    return Ok(());
                }
            }
        }
    }

    /// As the server is told: without the encoding, if it can be taken off. The bytes are left out.
    fn told(&self, file: &CarvedFile) -> CarvedFile {
        match &file.about.encoding {
            None => CarvedFile { bytes: Vec::new(), ..file.clone() },
            Some(_) => CarvedFile { bytes: Vec::new(), ..file.clone().decoded(self.size_max) },
        }
    }

    /// Waits until so much may be offered and sent.
    fn pace(&mut self, files: u64, bytes: u64) -> Result<(), Ended> {
        let now = Instant::now();
        let pause = self.files.wait(files, now).max(self.bytes.wait(bytes, now));
        if !wait(&self.stop, pause) {
            return Err(Ended);
        }
        self.files.spend(files);
        self.bytes.spend(bytes);
        Ok(())
    }

    fn works(&mut self) {
        self.backoff.reset();
        if self.counters.transfers.set_failure(None) {
            info!("the server takes files that were seen in traffic");
        }
    }

    fn later(&mut self, words: &str, pause: Pause) -> Result<(), Ended> {
        if self.counters.transfers.set_failure(Some(words)) {
            warn!(reason = words, "the server does not take files that were seen in traffic; they wait");
        }
        if pause == Pause::Longest {
            if self.once {
                self.queue.fail(words);
                return Err(Ended);
            }
            self.backoff.slow_down();
        }
        let own = self.backoff.pause();
        let pause = if let Pause::AtLeast(asked) = pause { own.max(asked) } else { own };
        if wait(&self.stop, pause) { Ok(()) } else { Err(Ended) }
    }
}

#[cfg(test)]
mod tests;
