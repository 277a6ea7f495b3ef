//! `canh ioc` and `canh yara`: lists and rules of others, and what they find.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DataArgs;

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
