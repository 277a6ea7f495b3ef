//! The reader of one broker: fetches of all partitions that it leads together, journals what came, and fetches again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use canh_kafka::{Code, FetchedPartition, Place};
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::NAME;
use super::cluster::{RETRY_MAX, RETRY_MIN, Shared, pause};
use super::connection::{Connection, Problem};
use super::partition::{Id, Known, Partition};

/// A broker that has nothing waits this long for something.
const WAIT: Duration = Duration::from_millis(500);

pub(super) struct Reader {
    shared: Arc<Shared>,
    address: (String, u16),
    partitions: Vec<Partition>,
    /// Where the next fetch begins, so that one partition with much does not hold up the others.
    turn: usize,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, address: (String, u16), ids: Vec<(Id, Known)>) -> Self {
        let partitions = ids.into_iter().filter_map(|(id, known)| Partition::new(shared.clone(), id, known)).collect();
        Self { shared, address, partitions, turn: 0 }
    }

    /// Reads until `stop` fires; what was fetched before is journaled.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            let address = (self.address.0.clone(), self.address.1);
            let problem = match stop.run_until_cancelled(self.shared.open((&address.0, address.1))).await {
                None => break,
                Some(Ok(connection)) => {
                    let connections = self.shared.intake.metrics.connections.with_label_values(&[NAME]);
                    connections.inc();
                    let problem = self.read(connection, &stop, &mut failures).await;
                    connections.dec();
                    problem
                }
                Some(Err(problem)) => Some(problem),
            };
            let Some(problem) = problem else { break };
            self.shared.trouble(&format!("{}:{}", address.0, address.1), &problem);
            self.shared.changed.notify_one();
            failures += 1;
            if !pause(failures, &stop).await {
                break;
            }
        }
    }

    /// Reads over one connection. Answers why it cannot go on; nothing when `stop` has fired.
    async fn read(
        &mut self,
        mut connection: Connection,
        stop: &CancellationToken,
        failures: &mut u32,
    ) -> Option<Problem> {
        loop {
            if stop.is_cancelled() {
                return None;
            }
            if let Err(problem) = self.find_places(&mut connection, stop).await {
                return Some(problem);
            }
            let now = Instant::now();
            let (ready, wait) = self.ready(now);
            if ready.is_empty() {
                stop.run_until_cancelled(tokio::time::sleep(wait)).await?;
                continue;
            }
            let places: Vec<Place<'_>> = ready.iter().filter_map(|at| self.partitions.get(*at)?.place()).collect();
            let len_max = self.shared.all.fetch_max.as_len();
            let fetched = match stop.run_until_cancelled(connection.fetch(&places, WAIT.min(wait), len_max)).await? {
                Ok(fetched) => fetched,
                Err(problem) => return Some(problem),
            };
            *failures = 0;
            self.shared.intake.metrics.kafka.fetches.with_label_values(&[&self.shared.config.name]).inc();
            self.journal(fetched.partitions, stop).await;
        }
    }

    /// Where to go on in partitions of which that is not known, or is wrong. A partition that cannot be asked for waits.
    async fn find_places(&mut self, connection: &mut Connection, stop: &CancellationToken) -> Result<(), Problem> {
        let now = Instant::now();
        for partition in self.partitions.iter_mut().filter(|partition| partition.is_lost(now)) {
            match stop.run_until_cancelled(partition.find(connection, stop)).await {
                None => return Ok(()),
                Some(Ok(())) => (),
                Some(Err(Problem::Code(code, _))) => trouble(&self.shared, partition, code),
                Some(Err(problem)) => return Err(problem),
            }
        }
        Ok(())
    }

    /// Partitions that may be asked for now, in their order beginning with the next one, and when another one may be.
    fn ready(&mut self, now: Instant) -> (Vec<usize>, Duration) {
        let count = self.partitions.len();
        self.turn = (self.turn + 1) % count.max(1);
        let mut ready: Vec<usize> = (self.turn..count).chain(0..self.turn).collect();
        ready.retain(|at| self.partitions.get(*at).is_some_and(|partition| partition.is_ready(now)));
        let waits = self.partitions.iter().filter_map(|partition| partition.waits(now));
        (ready, waits.min().unwrap_or(RETRY_MAX).max(Duration::from_millis(10)))
    }

    /// All partitions at once, so that one sync of the journal covers them.
    async fn journal(&mut self, fetched: Vec<FetchedPartition>, stop: &CancellationToken) {
        let mut work = Vec::new();
        let mut answers: Vec<Option<FetchedPartition>> = fetched.into_iter().map(Some).collect();
        for partition in &mut self.partitions {
            let is_of = |one: &&mut Option<FetchedPartition>| {
                one.as_ref()
                    .is_some_and(|one| one.partition == partition.id.partition && *one.topic == *partition.id.topic)
            };
            let Some(answer) = answers.iter_mut().find(is_of).and_then(Option::take) else { continue };
            let shared = &self.shared;
            work.push(async move {
                match answer.code {
                    Code::NONE => partition.take(answer, stop).await,
                    Code::OFFSET_OUT_OF_RANGE => partition.lose(),
                    code => trouble(shared, partition, code),
                }
            });
        }
        join_all(work).await;
    }
}

/// A broker does not give a partition; the others go on.
fn trouble(shared: &Shared, partition: &mut Partition, code: Code) {
    let wait = if code.is_of_leadership() { RETRY_MIN } else { RETRY_MIN * 8 };
    partition.wait(wait);
    shared.count(code.name());
    if code.is_of_leadership() {
        shared.changed.notify_one();
    }
    let (cluster, topic, number) = (&shared.config.name, &*partition.id.topic, partition.id.partition);
    shared.log.warn(NAME, || {
        warn!(door = NAME, cluster, topic, partition = number, "cannot read: `{}`: {}", code.name(), code.advice());
    });
}
