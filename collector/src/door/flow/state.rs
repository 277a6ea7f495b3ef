//! The file that keeps what exporters said from one start to the next, and at a stop the data that wait for templates.
//!
//! A line that names the version, a BLAKE3 hash of the rest, the length of the first part, both parts.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;
use tracing::{error, warn};

use super::NAME;

const VERSION: &[u8] = b"canh flow state 1\n";

/// What is kept.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct State {
    /// Made by [`canh_flows::Decoder::snapshot`].
    pub(super) known: Vec<u8>,
    /// Made by [`canh_flows::Hold::snapshot`].
    pub(super) held: Vec<u8>,
}

/// What was kept; nothing if there is no file, or if it cannot be read, which is logged.
pub(super) fn load(path: &Path) -> State {
    let shown = path.display();
    match fs::read(path) {
        Ok(bytes) => parse(&bytes).unwrap_or_else(|| {
            warn!(door = NAME, path = %shown, "the templates of the last run are damaged; flow data wait until exporters send them again");
            State::default()
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => State::default(),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            warn!(door = NAME, path = %shown, error, "cannot read the templates of the last run; flow data wait until exporters send them again");
            State::default()
        }
    }
}

fn parse(bytes: &[u8]) -> Option<State> {
    let rest = bytes.strip_prefix(VERSION)?;
    let (hash, rest) = rest.split_at_checked(blake3::OUT_LEN)?;
    if blake3::hash(rest).as_bytes() != hash {
        return None;
    }
    let (len, rest) = rest.split_first_chunk()?;
    let (known, held) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
    Some(State { known: known.to_owned(), held: held.to_owned() })
}

/// Writes each state that comes, until none can come any more.
pub(super) async fn keep(path: PathBuf, mut states: mpsc::Receiver<State>) {
    let mut failing = false;
    while let Some(state) = states.recv().await {
        let path_here = path.clone();
        let written = tokio::task::spawn_blocking(move || write(&path_here, &state)).await;
        let error = match written {
            Ok(Ok(())) => {
                failing = false;
                continue;
            }
            Ok(Err(error)) => error,
            Err(error) => io::Error::other(error),
        };
        if !std::mem::replace(&mut failing, true) {
            let (error, path) = (&error as &dyn std::error::Error, path.display());
            error!(door = NAME, %path, error, "cannot write the templates; after a restart flow data wait until exporters send them again");
        }
    }
}

/// The old file or the new one is there, never half of one.
fn write(path: &Path, state: &State) -> io::Result<()> {
    let mut rest = u64::try_from(state.known.len()).unwrap_or(u64::MAX).to_le_bytes().to_vec();
    rest.extend_from_slice(&state.known);
    rest.extend_from_slice(&state.held);
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(VERSION)?;
    file.write_all(blake3::hash(&rest).as_bytes())?;
    file.write_all(&rest)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_damage_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("flow.state");
        assert_eq!(load(&path), State::default());
        let state = State { known: vec![1, 2, 3], held: vec![4] };
        write(&path, &state).unwrap();
        assert_eq!(load(&path), state);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(load(&path), State::default());
        fs::write(&path, b"canh flow").unwrap();
        assert_eq!(load(&path), State::default());
    }
}
