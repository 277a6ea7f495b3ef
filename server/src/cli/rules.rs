//! `canh rules` and `canh alerts`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{DataArgs, PipelineArgs};

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
