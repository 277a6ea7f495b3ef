//! A server of one's own: its directory, its ports, its tokens, and the agents that feed it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::{Api, Process, free_port, program, wait_until};

/// Ports of one server on the loopback interface.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub console: u16,
    pub otlp_grpc: u16,
    pub http: u16,
    pub syslog_tcp: u16,
    pub syslog_udp: u16,
    pub flow: u16,
}

impl Ports {
    pub fn free() -> anyhow::Result<Self> {
        Ok(Self {
            console: free_port()?,
            otlp_grpc: free_port()?,
            http: free_port()?,
            syslog_tcp: free_port()?,
            syslog_udp: free_port()?,
            flow: free_port()?,
        })
    }
}

/// How to start a server.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    pub rules: Vec<PathBuf>,
    pub indicators: Vec<PathBuf>,
    /// Directories with YARA rules.
    pub yara: Vec<PathBuf>,
    /// Whether the doors for HTTP and gRPC speak TLS.
    pub tls: bool,
    /// Lines added to the configuration file.
    pub config: String,
    /// Variables of its environment.
    pub env: Vec<(String, String)>,
}

/// A server on a directory of its own.
#[derive(Debug)]
pub struct Server {
    pub dir: PathBuf,
    pub ports: Ports,
    pub process: Process,
    env: Vec<(String, String)>,
}

impl Server {
    /// Writes a configuration into `dir` and starts the server.
    pub fn start(dir: &Path, options: &ServerOptions) -> anyhow::Result<Self> {
        fs::create_dir_all(dir)?;
        let ports = Ports::free()?;
        let list = |paths: &[PathBuf]| {
            let quoted: Vec<String> = paths.iter().map(|path| format!("{:?}", path.display().to_string())).collect();
            quoted.join(", ")
        };
        let config = format!(
            r#"data = {data:?}
[console]
listen = "127.0.0.1:{console}"
[detection]
rules = [{rules}]
indicators = [{indicators}]
yara = [{yara}]
[collector.otlp_grpc]
listen = "127.0.0.1:{otlp_grpc}"
tls = {tls}
[collector.http]
listen = "127.0.0.1:{http}"
tls = {tls}
[collector.syslog_tcp]
listen = "127.0.0.1:{tcp}"
[collector.syslog_udp]
listen = "127.0.0.1:{udp}"
[collector.flow]
listen = "127.0.0.1:{flow}"
{more}
"#,
            data = dir.join("data").display().to_string(),
            console = ports.console,
            rules = list(&options.rules),
            indicators = list(&options.indicators),
            yara = list(&options.yara),
            otlp_grpc = ports.otlp_grpc,
            tls = options.tls,
            http = ports.http,
            tcp = ports.syslog_tcp,
            udp = ports.syslog_udp,
            flow = ports.flow,
            more = options.config,
        );
        fs::write(dir.join("canh.toml"), config)?;
        let process = Self::spawn(dir, &options.env)?;
        let mut server = Self { dir: dir.to_owned(), ports, process, env: options.env.clone() };
        server.wait_ready()?;
        Ok(server)
    }

    fn spawn(dir: &Path, env: &[(String, String)]) -> anyhow::Result<Process> {
        let mut command = Command::new(program("canh")?);
        command.arg("serve").arg("--config").arg(dir.join("canh.toml")).env("RUST_BACKTRACE", "1");
        command.envs(env.iter().map(|(name, value)| (name, value)));
        Process::start(&mut command, &dir.join("server.log"))
    }

    /// Starts it again after it was killed or stopped.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.process = Self::spawn(&self.dir, &self.env)?;
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let url = format!("http://127.0.0.1:{}", self.ports.console);
        let api = Api::new(url, String::new());
        let ready = wait_until("the server to be ready", Duration::from_secs(60), || {
            if let Some(status) = self.process.exited()? {
                bail!("the server ended with {status}");
            }
            Ok(api.request("/readyz", &[]).is_ok_and(|(status, _)| status == 200))
        });
        ready.with_context(|| self.process.output())
    }

    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn secret(&self, name: &str) -> anyhow::Result<String> {
        let path = self.data().join(name);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        Ok(text.trim().to_owned())
    }

    /// The API with the token of the command line.
    pub fn api(&self) -> anyhow::Result<Api> {
        Ok(Api::new(format!("http://127.0.0.1:{}", self.ports.console), self.secret("cli.token")?))
    }

    /// The token that agents and HTTP senders use.
    pub fn ingest_token(&self) -> anyhow::Result<String> {
        self.secret("agent.token")
    }

    pub fn ndjson_url(&self) -> String {
        format!("http://127.0.0.1:{}/ingest/ndjson", self.ports.http)
    }

    /// Where files to be scanned go; `query` is what follows the question mark.
    pub fn samples_url(&self, query: &str) -> String {
        format!("http://127.0.0.1:{}/v1/samples?{query}", self.ports.http)
    }

    /// Runs a subcommand of `canh` against this server, and gives its exit code and its output.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<(i32, String)> {
        let output = Command::new(program("canh")?).args(arguments).env("CANH_DATA", self.data()).output()?;
        let text = [output.stdout, output.stderr].concat();
        Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned()))
    }

    /// Writes a configuration for an agent with these inputs (TOML tables) and gives its path.
    pub fn agent_config(&self, name: &str, inputs: &str) -> anyhow::Result<PathBuf> {
        let path = self.dir.join(format!("{name}.toml"));
        let text = format!(
            r#"host_name = {name:?}
state_dir = {state:?}
[server]
url = "http://127.0.0.1:{port}"
token_file = {token:?}
{inputs}
"#,
            state = self.dir.join(format!("{name}.state")).display().to_string(),
            port = self.ports.otlp_grpc,
            token = self.data().join("agent.token").display().to_string(),
        );
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Starts an agent.
    pub fn agent(&self, config: &Path, arguments: &[&str]) -> anyhow::Result<Process> {
        let mut command = Command::new(program("canh-agent")?);
        command.arg("run").arg("--config").arg(config).args(arguments);
        Process::start(&mut command, &config.with_extension("log"))
    }
}
