//! The command line: what can be asked for, with examples. What the commands do is in their own files.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

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
pub(crate) enum RulesCommand {
    /// Load rules and list what is wrong with them
    #[command(after_help = "Example:\n  canh rules check rules/ /opt/sigma/rules/linux --pipeline hosts.yml")]
    Check {
        /// Directories or files
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        pipelines: PipelineArgs,
    },
    /// Say why a rule holds for an event, or why it does not; exit code 1 if it does not
    #[command(
        after_help = "Examples:\n  canh rules explain 5f7c… 0a1b…            # a loaded rule and a stored event, by their ids\n  canh rules explain rule.yml records.log   # files, without a server"
    )]
    Explain(ExplainArgs),
    /// Run a rule over the stored past and forecast its alerts
    #[command(after_help = "Example:\n  canh rules backtest rules/linux/ssh-brute-force/rule.yml --since 30d")]
    Backtest(BacktestArgs),
    /// Run a rule's samples and a backtest, and enable it; exit code 1 if it was not enabled
    #[command(
        after_help = "Examples:\n  canh rules enable 5f7c…\n  canh rules enable 5f7c… --since 7d --yes --note 'agreed with the mail team'"
    )]
    Enable(EnableArgs),
    /// Have a rule raise nothing any more
    #[command(after_help = "Example:\n  canh rules disable 5f7c… --note 'fires on every backup; tuned next week'")]
    Disable(DisableArgs),
    /// Propose filters for a noisy rule that keep every true positive; exit code 1 if there is none
    #[command(after_help = "Example:\n  canh rules tune 5f7c… --since 30d --rules rules/ --write noise.yml")]
    Tune(crate::rules::tune::TuneArgs),
    /// Copy public Sigma rules, unchanged, and report which can find something here
    #[command(after_help = "Example:\n  canh rules import ~/sigma/rules --into rules/imported")]
    Import(ImportArgs),
    /// Measure what each rule costs for the events of a file of JSON lines
    #[command(after_help = "Example:\n  canh rules bench rules/ --events windows.ndjson --top 20")]
    Bench {
        /// Directories or files with rules
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// JSON lines
        #[arg(long, value_name = "FILE")]
        events: PathBuf,
        /// Rules that are listed
        #[arg(long, default_value_t = 20)]
        top: usize,
        #[command(flatten)]
        pipelines: PipelineArgs,
    },
    /// Run the samples beside each rule; with --mutate, also look for parts of a rule that no sample proves
    #[command(
        after_help = "Example:\n  canh rules test rules/ --mutate\n\nA folder holds rule.yml, match.ndjson and no_match.ndjson. A line of the latter two is\n  {\"about\": \"what it shows\", \"format\": \"syslog_3164\", \"raw\": [\"first record\", …], \"each\": false}\nwhere `each` makes every record a sample of its own."
    )]
    Test {
        /// Directories with folders of rules
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Change each condition of each rule and see whether a sample notices
        #[arg(long)]
        mutate: bool,
        #[command(flatten)]
        pipelines: PipelineArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// Judge an alert's newest finding again, with the text of its rule and its events, and compare
    #[command(
        after_help = "Examples:\n  canh alerts verify 12\n  canh alerts verify 12 --save evidence.json\n  canh alerts verify --evidence evidence.json   # needs no server"
    )]
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Number of the alert
    pub(crate) id: Option<u64>,
    /// Write what was judged into a file, for somebody without this server
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
    /// Judge what --save wrote
    #[arg(long, value_name = "FILE", conflicts_with = "id")]
    pub(crate) evidence: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Id of a loaded rule, or a rule file
    pub(crate) rule: String,
    /// Id of an event; with a rule file, a file with raw records
    pub(crate) event: String,
    /// Log format of the raw records; without it, it is found out
    #[arg(long)]
    pub(crate) format: Option<String>,
    /// With a rule file; a loaded rule was changed by the server's
    #[command(flatten)]
    pub(crate) pipelines: PipelineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BacktestArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Id of a loaded rule, or a rule file
    pub(crate) rule: String,
    /// How far back, for example 24h or 30d
    #[arg(long, value_name = "TIME", default_value = "30d")]
    pub(crate) since: String,
    /// The result as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// With a rule file; a loaded rule was changed by the server's
    #[command(flatten)]
    pub(crate) pipelines: PipelineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EnableArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Id of a loaded rule
    pub(crate) rule: String,
    /// How far back the backtest goes, for example 24h or 30d
    #[arg(long, value_name = "TIME", default_value = "7d")]
    pub(crate) since: String,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DisableArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Id of a loaded rule
    pub(crate) rule: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Directory with Sigma rules
    pub(crate) from: PathBuf,
    /// Directory that they are copied into, unchanged
    #[arg(long, value_name = "DIR", default_value = "rules/imported")]
    pub(crate) into: PathBuf,
    /// The report is about the rules as these change them; the files stay as they are
    #[command(flatten)]
    pub(crate) pipelines: PipelineArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IocCommand {
    /// Read lists, count what is in them and list what is wrong with them
    #[command(after_help = "Example:\n  canh ioc check /etc/canh/indicators --column 'IoC=value'")]
    Check(IocListArgs),
    /// Print the events of a file or of the standard input that hold indicators
    #[command(after_help = "Example:\n  canh ioc match feed.csv --file conn.log.json")]
    Match(IocMatchArgs),
    /// Look back through the stored events; expired indicators match too
    #[command(after_help = "Example:\n  canh ioc hunt bulletin.txt --since 30d")]
    Hunt(IocHuntArgs),
}

#[derive(Debug, Args)]
pub(crate) struct IocListArgs {
    /// Directories or files with indicators: text, CSV, STIX 2.1 or MISP
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Take private addresses (10.0.0.0/8 and its like) too
    #[arg(long)]
    pub(crate) private: bool,
    /// What a column of CSV files means, for example `IoC=value`; may be given several times
    #[arg(long = "column", value_name = "NAME=MEANING")]
    pub(crate) columns: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct IocMatchArgs {
    #[command(flatten)]
    pub(crate) lists: IocListArgs,
    /// Events, one on each line, in any format that the server reads; without it the standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Expired indicators match too
    #[arg(long)]
    pub(crate) expired: bool,
    /// One JSON object per match
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct IocHuntArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) lists: IocListArgs,
    /// How far back, for example 24h or 30d
    #[arg(long, value_name = "TIME", default_value = "30d", conflicts_with_all = ["from", "to"])]
    pub(crate) since: String,
    /// First moment, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Last moment, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Indicators that had expired when the event happened do not match, as in the stream
    #[arg(long)]
    pub(crate) no_expired: bool,
    /// Look at every event, even where a few values could be asked for
    #[arg(long)]
    pub(crate) full: bool,
    /// One JSON object per match
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum YaraCommand {
    /// Compile YARA rules and list what is wrong with them
    #[command(after_help = "Example:\n  canh yara check rules/yara /opt/yara")]
    Check {
        /// Directories or files
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Scan files, directories and what is packed inside them
    Scan(YaraScanArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  canh yara scan --rules rules/yara /var/www
  canh yara scan --rules rules/yara --json upload.zip | jq -r '.matches[].rule'

Exit codes, as those of grep:
  0  a rule matches
  1  no rule matches
  2  a file cannot be read, or the command line is wrong; matches in other files are printed all the same")]
pub(crate) struct YaraScanArgs {
    /// Directory or file with YARA rules; may be given several times
    #[arg(long, value_name = "PATH", required = true)]
    pub(crate) rules: Vec<PathBuf>,
    /// One JSON object per file, those without a match included
    #[arg(long)]
    pub(crate) json: bool,
    /// Most seconds for one file with everything inside it
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) timeout: u64,
    /// Files, or directories with everything below them
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
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
