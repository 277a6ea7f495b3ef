//! What rules with a memory remember, kept in a file, so that a restart does not make them forget.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use canh_detection::Engine;
use canh_schema::{EventHash, Position};
use tracing::{info, warn};

/// Name of the file in the data directory.
const FILE: &str = "detection.memory";
/// Position in the journal, then a hash of what follows.
const HEAD_LEN: usize = 8 + EventHash::LEN;

/// The file, and up to which position of the journal its content knows the events.
#[derive(Clone, Debug)]
pub(crate) struct MemoryFile {
    path: PathBuf,
    /// The journal is kept from here on, because these events are needed again after a restart.
    known: Arc<AtomicU64>,
}

impl MemoryFile {
    pub(crate) fn new(data: &Path) -> Self {
        Self { path: data.join(FILE), known: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// Up to which position nothing of the journal is needed for the memory of rules.
    pub(crate) fn known(&self) -> Position {
        Position::new(self.known.load(Ordering::Acquire))
    }

    /// Gives the engine what is kept, if there is something; answers up to which position it knows the events then. What
    /// knows events after `cursor`, whose findings are still to be made, is of no use: they would count twice.
    pub(crate) fn restore(&self, engine: &mut Engine, cursor: Position) -> Option<Position> {
        if !engine.remembers() {
            return None;
        }
        let (position, bytes) = match self.read() {
            Ok(read) => read?,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                warn!(error, file = %self.path.display(), "cannot read what rules remember; they begin anew");
                return None;
            }
        };
        if position > cursor {
            warn!(%position, %cursor, "what rules remember is newer than their findings; they begin anew");
            return None;
        }
        match engine.restore(&bytes) {
            Ok(rules) => {
                info!(rules, %position, "rules remember what was before the restart");
                self.known.store(position.get(), Ordering::Release);
                Some(position)
            }
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "what rules remember cannot be used; they begin anew");
                None
            }
        }
    }

    fn read(&self) -> io::Result<Option<(Position, Vec<u8>)>> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let torn = || io::Error::new(io::ErrorKind::InvalidData, "the file is damaged");
        let (head, rest) = bytes.split_at_checked(HEAD_LEN).ok_or_else(torn)?;
        let (position, hash) = head.split_first_chunk::<8>().ok_or_else(torn)?;
        if EventHash::of(rest).as_bytes() != hash {
            return Err(torn());
        }
        Ok(Some((Position::new(u64::from_le_bytes(*position)), rest.to_vec())))
    }

    /// Keeps what the engine remembers after the event at `position`. A failure is told and not fatal: the next try comes,
    /// and until then the journal keeps the events.
    pub(crate) fn save(&self, engine: &Engine, position: Position) {
        if !engine.remembers() {
            return;
        }
        match self.write(&engine.save(), position) {
            Ok(()) => self.known.store(position.get(), Ordering::Release),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                warn!(error, file = %self.path.display(), "cannot keep what rules remember; is the disk full?");
            }
        }
    }

    fn write(&self, memory: &[u8], position: Position) -> io::Result<()> {
        let fresh = self.path.with_extension("memory.new");
        let mut file = File::create(&fresh)?;
        file.write_all(&position.get().to_le_bytes())?;
        file.write_all(EventHash::of(memory).as_bytes())?;
        file.write_all(memory)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)
    }
}
