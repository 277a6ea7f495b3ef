//! Who this agent is: an id made at the first start, and the host's name.

use std::fs;
use std::io;
use std::path::Path;

use canh_schema::AgentId;
use canh_spool::{SpoolError, write_atomically};

/// Why the agent's id could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("cannot read `{path}`")]
    Read { path: String, source: io::Error },

    #[error("`{path}` holds no agent id; delete the file and this agent appears as a new one")]
    Malformed { path: String },

    #[error(transparent)]
    Write(#[from] SpoolError),
}

/// The id in `state_dir`, made if there is none.
pub fn agent_id(state_dir: &Path) -> Result<AgentId, IdentityError> {
    let path = state_dir.join("agent-id");
    let shown = || path.display().to_string();
    match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map_err(|_| IdentityError::Malformed { path: shown() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = AgentId::from_bytes(rand::random());
            write_atomically(&path, format!("{id}\n").as_bytes())?;
            Ok(id)
        }
        Err(source) => Err(IdentityError::Read { path: shown(), source }),
    }
}

/// The system's name for this host.
pub fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let id = agent_id(dir.path()).unwrap();
        assert_eq!(agent_id(dir.path()).unwrap(), id);
        fs::write(dir.path().join("agent-id"), "nothing").unwrap();
        let error = agent_id(dir.path()).unwrap_err().to_string();
        assert!(error.contains("delete the file"), "{error}");
    }
}
