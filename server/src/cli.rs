//! The command line: what can be asked for, with examples. What the commands do is in their own files.

mod lists;
mod rules;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use self::lists::{IocCommand, IocHuntArgs, IocListArgs, IocMatchArgs, YaraCommand, YaraScanArgs};
pub(crate) use self::rules::{
    AlertsCommand, BacktestArgs, DisableArgs, EnableArgs, ExplainArgs, ImportArgs, RulesCommand, VerifyArgs,
};

const EXAMPLES: &str = "\
Examples:
  canh serve --data /var/lib/canh --rules /etc/canh/rules
  canh demo
  canh hunt 'failed password source.ip:198.51.100.0/24' --since 24h
  canh hunt 'event.outcome:failure' --json | jq -r '.fields[\"source.ip\"]' | sort | uniq -c
  canh tail 'service:sshd'
  canh import evidence/ --rules rules/
  canh rules check rules/
  canh rules test rules/ --mutate
  canh ioc check /etc/canh/indicators
  canh yara scan --rules rules/yara /srv/upload
  canh sources test /etc/canh/sources
  canh doctor

Exit codes:
  0  done
  1  failed, or a check found a problem
  2  the command line or the configuration is wrong
`canh yara scan` answers like grep; see its help.";

/// A NOC and SOC in one program: it receives logs and flows, detects, stores, and serves a console.
#[derive(Debug, Parser)]
#[command(name = "canh", version, after_help = EXAMPLES, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server: collector, detection, store and console
    Serve(ServeArgs),
    /// Play the demo scenario against the running server
    Demo(DemoArgs),
    /// Read files that are there into the server: event logs of Windows, lines, JSON, tables, packets
    Import(crate::import::FilesArgs),
    /// Search events; the newest last, or as JSON lines with the newest first
    Hunt(HuntArgs),
    /// Follow events as they arrive
    Tail(TailArgs),
    /// Show what each sender sent and what became of it; ends with 1 if something is missing
    Ledger(LedgerArgs),
    /// Work with detection rules
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Work with alerts
    #[command(subcommand)]
    Alerts(AlertsCommand),
    /// Work with indicators of compromise
    #[command(subcommand)]
    Ioc(IocCommand),
    /// Check YARA rules, and scan files with them
    #[command(subcommand)]
    Yara(YaraCommand),
    /// Sources that are described in folders: what there is, and whether their samples come out as expected
    #[command(subcommand)]
    Sources(crate::vendors::SourcesCommand),
    /// Work with the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look for what is wrong with this installation and say what to do
    Doctor(DataArgs),
    /// Print the one-time link that sets up the first user; nothing if that has been done
    SetupLink(DataArgs),
    /// Print a configuration for an agent on this machine
    AgentConfig(DataArgs),
    /// Print completions for a shell
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
}

/// Something on the command line that cannot be used; the program ends with 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUse(pub(crate) String);

/// # Errors
///
/// The first of these paths that is not there.
pub(crate) fn must_exist<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Result<(), WrongUse> {
    match paths.into_iter().find(|path| !path.exists()) {
        Some(path) => Err(WrongUse(format!("there is no `{}`", path.display()))),
        None => Ok(()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// Data directory of the server
    #[arg(long, value_name = "DIR", default_value = "data", env = "CANH_DATA")]
    pub(crate) data: PathBuf,
}

/// Pipelines for rules that are read from files.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct PipelineArgs {
    /// A pipeline (pySigma's format) that changes the rules first, or a directory of them; may be given again
    #[arg(id = "pipeline", long = "pipeline", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Configuration file; without one the defaults hold
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Data directory; made if it is not there [default: data]
    #[arg(long, value_name = "DIR", env = "CANH_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Address of the console [default: 127.0.0.1:8686]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Directory or file with Sigma rules; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(crate) rules: Vec<PathBuf>,
    /// Directory or file with YARA rules, for files that are sent to be scanned; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(crate) yara: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  canh demo --data data --agent target/release/canh-agent")]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// The agent program that delivers the files and the capture
    #[arg(long, value_name = "PROGRAM", default_value = "canh-agent")]
    pub(crate) agent: PathBuf,
    /// Another seed makes another two days; the attack stays
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  canh hunt 'failed password' --since 2h\n  canh hunt 'source.ip:10.0.0.0/8 AND NOT user.name:root' --from 2026-01-31T00:00:00+07:00 --json"
)]
pub(crate) struct HuntArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// What to look for; `docs/hunting.md` explains the language
    pub(crate) query: String,
    /// How far back, for example 30m, 24h or 7d
    #[arg(long, value_name = "TIME", default_value = "24h", conflicts_with_all = ["from", "to"])]
    pub(crate) since: String,
    /// First moment, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Last moment, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Most events
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: u32,
    /// One JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  canh tail 'class:log AND host.name:API-Svr'")]
pub(crate) struct TailArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// What to show; everything without it
    #[arg(default_value = "")]
    pub(crate) query: String,
    /// One JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
    /// End after this many events
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  canh ledger --since 7d\n  canh ledger --source syslog_udp:192.0.2.1 --json | jq '.lines[].stored'"
)]
pub(crate) struct LedgerArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// How far back, for example 1h, 24h or 7d; whole hours are counted
    #[arg(long, value_name = "TIME", default_value = "24h", conflicts_with_all = ["from", "to"])]
    pub(crate) since: String,
    /// First moment, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Last moment, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// One sender hour by hour, as in `canh.source`
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Option<String>,
    /// The whole answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Read a configuration file and say what is wrong with it
    Check {
        /// The file
        file: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
