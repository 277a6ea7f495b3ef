//! Where a running server listens. It writes that into its data directory, so that the commands beside it need no
//! configuration file.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::secret;

const FILE: &str = "doors.json";
/// File in the data directory with the token for agents and HTTP senders.
pub(crate) const TOKEN_FILE: &str = "agent.token";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Doors {
    pub(crate) otlp_grpc: Option<SocketAddr>,
    pub(crate) http: Option<SocketAddr>,
    pub(crate) syslog_tcp: Option<SocketAddr>,
    pub(crate) syslog_udp: Option<SocketAddr>,
}

impl Doors {
    pub(crate) fn load(data: &Path) -> anyhow::Result<Self> {
        let path = data.join(FILE);
        let text = fs::read_to_string(&path).with_context(|| {
            format!(
                "cannot read `{}`; is the server running, and is `--data` the directory that it was started with?",
                path.display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| format!("`{}` is damaged; restart the server", path.display()))
    }

    pub(crate) fn save(&self, data: &Path) -> anyhow::Result<()> {
        let path = data.join(FILE);
        fs::write(&path, serde_json::to_vec_pretty(self)?).with_context(|| format!("cannot write `{}`", path.display()))
    }

    pub(crate) fn token(&self, data: &Path) -> anyhow::Result<String> {
        secret::load_or_make(&data.join(TOKEN_FILE))
    }

    /// The address of a door, or an error that says which one is closed.
    pub(crate) fn open(name: &str, address: Option<SocketAddr>) -> anyhow::Result<SocketAddr> {
        address.with_context(|| {
            format!("the door `{name}` is closed; open it with `enabled = true` under `[collector.{name}]`")
        })
    }

    /// The part of an agent's configuration that names host, state and server.
    pub(crate) fn agent_head(&self, data: &Path, host: &str, state: &Path) -> anyhow::Result<String> {
        let token_file = data.join(TOKEN_FILE).canonicalize().context("the server has made no token for agents yet")?;
        Ok(format!(
            "host_name = {host:?}\nstate_dir = {:?}\n\n[server]\nurl = \"http://{}\"\ntoken_file = {:?}\n",
            state.display().to_string(),
            Self::open("otlp_grpc", self.otlp_grpc)?,
            token_file.display().to_string()
        ))
    }
}

/// A configuration for an agent on this machine: its own logs, journal and metrics.
pub(crate) fn agent_config(data: &Path) -> anyhow::Result<String> {
    let doors = Doors::load(data)?;
    let host = nix::unistd::gethostname()?.to_string_lossy().into_owned();
    let state = std::path::absolute(data)?.join("agent");
    let mut text = doors.agent_head(data, &host, &state)?;
    text.push_str(AGENT_INPUTS);
    if Path::new("/run/systemd/journal").is_dir() {
        text.push_str("\n[input.journald]\n");
    }
    Ok(text)
}

/// Common logs; files that are not there are waited for.
const AGENT_INPUTS: &str = r#"
[input.metrics]

[[input.file]]
path = ["/var/log/auth.log"]

[[input.file]]
path = ["/var/log/syslog"]

[[input.file]]
path = ["/var/log/nginx/*access.log"]

[[input.file]]
path = ["/var/log/audit/audit.log"]
"#;
