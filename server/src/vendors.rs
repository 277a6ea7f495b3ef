//! Sources that are described in folders: loaded for the server and again at SIGHUP, listed and tested on the command
//! line.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use canh_collector::{DecodeSettings, Mibs, Saved, Secrets, SourcesConfig, Vendors, prove};
use clap::Subcommand;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

use crate::cli::must_exist;
use crate::terminal::safe_lines;

#[derive(Debug, Subcommand)]
pub(crate) enum SourcesCommand {
    /// List the sources that are described in folders: those of this program, and those of a directory
    List {
        /// Directory of further folders, as in `collector.sources.dir`
        #[arg(value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Decode the sample of each folder and compare it with what is expected
    #[command(after_help = "Examples:
  canh sources test /etc/canh/sources
  canh sources test /etc/canh/sources/acme-gate --write

A folder is named `vendor-product` and holds `source.toml`, `sample.log` and `expected.ndjson`.")]
    Test {
        /// A directory of folders, or one folder
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// Write what comes of the samples into `expected.ndjson` instead; look at it before you keep it
        #[arg(long)]
        write: bool,
    },
}

/// Runs the command; `true` if nothing is wrong.
///
/// # Errors
///
/// If the directory is not there.
pub(crate) fn run(command: &SourcesCommand) -> anyhow::Result<bool> {
    match command {
        SourcesCommand::List { dir } => {
            must_exist(dir)?;
            let vendors = dir.as_deref().map_or_else(Vendors::shipped, |dir| Arc::new(Vendors::load(dir)));
            for (name, about) in vendors.list() {
                println!("{name:<24} {}", safe_lines(about));
            }
            vendors.problems().iter().for_each(|problem| println!("error: {}", safe_lines(&problem.to_string())));
            Ok(vendors.problems().is_empty())
        }
        SourcesCommand::Test { dir, write } => {
            must_exist([dir])?;
            let saved = if *write { Saved::Written } else { Saved::Compared };
            let proofs = prove(dir, saved);
            for proof in &proofs {
                let verdict = match (proof.is_good(), saved) {
                    (true, Saved::Compared) => "as expected",
                    (true, Saved::Written) => "written",
                    (false, _) => "NOT as expected",
                };
                println!("{:<24} {:>4} events  {verdict}", safe_lines(&proof.name), proof.events);
                proof.problems.iter().for_each(|problem| println!("error: {}", safe_lines(&problem.to_string())));
                proof.differences.iter().for_each(|line| println!("{}", safe_lines(line)));
            }
            Ok(proofs.iter().all(canh_collector::Proof::is_good))
        }
    }
}

/// What decoding uses as it is configured. Folders that are wrong are said and left out.
pub(crate) fn settings(config: &SourcesConfig, mibs: Arc<Mibs>) -> DecodeSettings {
    let dir = config.dir.as_ref();
    let vendors = dir.map_or_else(Vendors::shipped, |dir| Arc::new(Vendors::load(dir)));
    for problem in vendors.problems() {
        warn!(problem = %problem, "a described source is not used (`collector.sources.dir`); `canh sources test` says more");
    }
    // A zone that is none was refused before.
    let zone = config.time_zone.parse().unwrap_or_default();
    let secrets = Arc::new(Secrets::new(&config.mask_names, &config.mask_except));
    DecodeSettings { vendors, zone, mibs, secrets, ..DecodeSettings::default() }
}

/// Reads the folders again at each SIGHUP. Events that are decoded meanwhile have the old ones.
pub(crate) async fn on_hangup(current: Arc<ArcSwap<DecodeSettings>>, config: SourcesConfig) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    while hangup.recv().await.is_some() {
        let (config, mibs) = (config.clone(), current.load().mibs.clone());
        match tokio::task::spawn_blocking(move || settings(&config, mibs)).await {
            Ok(loaded) => {
                let (sources, broken) = (loaded.vendors.list().count(), loaded.vendors.problems().len());
                info!(sources, broken, "described sources are loaded again");
                current.store(Arc::new(loaded));
            }
            Err(_) => error!("loading described sources failed; please report it. Those in force stay"),
        }
    }
}
