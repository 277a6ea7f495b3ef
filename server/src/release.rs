//! Frees the journal up to where everybody is done with it, and deletes events that are past their time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use canh_collector::Journal;
use canh_schema::{ByteSize, Position, Timestamp};
use canh_store::EventStore;
use canh_store::state::StateStore;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::ledger::{Known, StoreSample};
use crate::memory::MemoryFile;

const RELEASE_EVERY: Duration = Duration::from_secs(10);
const EXPIRE_EVERY: Duration = Duration::from_secs(3_600);

/// The journal keeps at least this much time, so that correlations that were open at a restart can be built again.
pub(crate) const KEEP_BEHIND: Duration = Duration::from_secs(3_600);

pub(crate) struct Keeper {
    pub(crate) journal: Arc<Journal>,
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) state: Arc<dyn StateStore>,
    /// What rules remember knows the journal up to there.
    pub(crate) memory: MemoryFile,
    /// The ledger has counted up to there.
    pub(crate) ledger: Known,
    /// Told when events are deleted.
    pub(crate) sample: StoreSample,
    pub(crate) retention: Duration,
    /// Size of the journal above which nothing is kept only for correlations: room for senders matters more.
    pub(crate) roomy: ByteSize,
}

impl Keeper {
    pub(crate) async fn run(&self, stop: CancellationToken) {
        // Where the journal was at which time, oldest first.
        let mut past: VecDeque<(Timestamp, Position)> = VecDeque::new();
        let mut expired = Timestamp::MIN;
        while tokio::time::timeout(RELEASE_EVERY, stop.cancelled()).await.is_err() {
            let now = Timestamp::now();
            past.push_back((now, self.journal.durable()));
            let old = now.saturating_sub(KEEP_BEHIND);
            let mut behind = Position::START;
            while let Some((_, position)) = past.pop_front_if(|(at, _)| *at < old) {
                behind = position;
            }
            self.release(behind).await;
            if now - expired >= EXPIRE_EVERY {
                expired = now;
                self.expire(now).await;
            }
        }
    }

    async fn release(&self, behind: Position) {
        match self.state.detection_cursor().await {
            Ok(detection) => {
                let done = detection.min(self.events.cursor()).min(self.memory.known()).min(self.ledger.get());
                let crowded = self.journal.bytes() > self.roomy;
                self.journal.release(if crowded { done } else { done.min(behind) });
            }
            Err(error) => error!(
                error = &error as &dyn std::error::Error,
                "cannot read the detection cursor; the journal is kept"
            ),
        }
    }

    async fn expire(&self, now: Timestamp) {
        self.sample.expires();
        let removed = self.events.expire(now.saturating_sub(self.retention)).await;
        self.sample.expires();
        match removed {
            Ok(removed) if removed.partitions > 0 => {
                info!(
                    events = removed.events,
                    bytes = removed.bytes,
                    partitions = removed.partitions,
                    "events past their time were deleted"
                );
            }
            Ok(_) => (),
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, "cannot delete events that are past their time")
            }
        }
    }
}
