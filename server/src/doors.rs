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
    /// Names of those that speak TLS.
    #[serde(default)]
    pub(crate) secured: Vec<String>,
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
    fn open(name: &str, address: Option<SocketAddr>) -> anyhow::Result<SocketAddr> {
        address.with_context(|| {
            format!("the door `{name}` is closed; open it with `enabled = true` under `[collector.{name}]`")
        })
    }

    /// The same for what is sent without TLS.
    pub(crate) fn plain(&self, name: &str, address: Option<SocketAddr>) -> anyhow::Result<SocketAddr> {
        let address = Self::open(name, address)?;
        anyhow::ensure!(
            !self.is_secured(name),
            "the door `{name}` speaks TLS, and this command does not; set `tls = false` under `[collector.{name}]` while it runs"
        );
        Ok(address)
    }

    fn is_secured(&self, name: &str) -> bool {
        self.secured.iter().any(|secured| secured == name)
    }

    /// The part of an agent's configuration that names host, state and server.
    pub(crate) fn agent_head(&self, data: &Path, host: &str, state: &Path) -> anyhow::Result<String> {
        let token_file = data.join(TOKEN_FILE).canonicalize().context("the server has made no token for agents yet")?;
        let address = Self::open("otlp_grpc", self.otlp_grpc)?;
        let (url, tls) = match self.is_secured("otlp_grpc") {
            true => (format!("https://{host}:{}", address.port()), AGENT_TLS),
            false => (format!("http://{address}"), ""),
        };
        Ok(format!(
            "host_name = {host:?}\nstate_dir = {:?}\n\n[server]\nurl = {url:?}\ntoken_file = {:?}\n{tls}",
            state.display().to_string(),
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

/// What an agent has to know of a server that speaks TLS, and this program cannot.
const AGENT_TLS: &str = r#"
# The host in `url` is a name that is in the server's certificate.
[server.tls]
# Certificates of the authorities that issued it.
authorities = "/etc/canh-agent/ca.pem"
# certificate = "/etc/canh-agent/agent.pem"   # this agent's own, if the server asks for one
# key = "/etc/canh-agent/agent.key"
"#;

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
