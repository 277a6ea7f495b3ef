//! The command line of the agent.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong use or wrong configuration.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use canh_agent::agent;
use canh_agent::config::Config;
use canh_agent::doctor::{self, Outcome};
use canh_agent::input::Mode;
use canh_schema::Timestamp;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

const EXAMPLES: &str = "\
Examples:
  canh-agent run --config /etc/canh-agent/agent.toml
  canh-agent run --once --config import.toml      send what is there, then end
  canh-agent config check
  canh-agent doctor
  canh-agent completions bash > /etc/bash_completion.d/canh-agent

Exit codes: 0 done, 1 failed, 2 wrong use or wrong configuration.
The environment variable CANH_LOG sets what is logged, for example `debug`.";

/// Reads logs, packets and measurements of this host and sends them to a Canh server.
#[derive(Parser)]
#[command(name = "canh-agent", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the agent until it is told to stop (SIGTERM or Ctrl-C).
    Run {
        #[command(flatten)]
        config: ConfigArg,
        /// Read what is there now, send it, and end when all of it is acknowledged.
        #[arg(long)]
        once: bool,
    },
    /// Work with the configuration file.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Check state folder, inputs and server, and say how to mend what is wrong.
    Doctor {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Print a completion script.
    Completions { shell: Shell },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Read the file and say what is wrong with it.
    Check {
        #[command(flatten)]
        config: ConfigArg,
    },
}

#[derive(clap::Args)]
struct ConfigArg {
    /// The configuration file.
    #[arg(
        long = "config",
        short = 'c',
        value_name = "FILE",
        default_value = "/etc/canh-agent/agent.toml",
        env = "CANH_AGENT_CONFIG"
    )]
    path: PathBuf,
}

const FAILED: u8 = 1;
const WRONG_USE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "canh-agent", &mut io::stdout());
            ExitCode::SUCCESS
        }
        Command::Config { command: ConfigCommand::Check { config } } => with_config(&config, |read| {
            if let Err(error) = read.check_filters() {
                print_error(
                    &anyhow::Error::new(error).context(format!("{}: a filter is wrong", config.path.display())),
                );
                return ExitCode::from(WRONG_USE);
            }
            println!("{}: the configuration is good", config.path.display());
            ExitCode::SUCCESS
        }),
        Command::Doctor { config } => with_config(&config, examine),
        Command::Run { config, once } => {
            let mode = if once { Mode::Once } else { Mode::Follow };
            with_config(&config, |config| run(config, mode))
        }
    }
}

fn with_config(arg: &ConfigArg, then: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    match Config::load(&arg.path) {
        Ok(config) => then(config),
        Err(error) => {
            print_error(&anyhow::Error::new(error));
            ExitCode::from(WRONG_USE)
        }
    }
}

fn run(config: Config, mode: Mode) -> ExitCode {
    let filter = EnvFilter::try_from_env("CANH_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        // A log that cannot be written, because its disk is full, must not end the thread that writes it.
        .log_internal_errors(false)
        .init();
    let result = block_on(async {
        let stop = CancellationToken::new();
        agent::stop_on_signal(stop.clone())?;
        agent::run(config, mode, stop).await
    });
    match result {
        // An input may still hang in a read; the process does not wait for it.
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error);
            ExitCode::from(FAILED)
        }
    }
}

fn examine(config: Config) -> ExitCode {
    let checks = match block_on(async { Ok(doctor::examine(&config, Timestamp::now()).await) }) {
        Ok(checks) => checks,
        Err(error) => {
            print_error(&error);
            return ExitCode::from(FAILED);
        }
    };
    let mut bad = 0;
    for check in checks {
        let (word, text) = match &check.outcome {
            Outcome::Good(text) => ("ok  ", text),
            Outcome::Odd(text) => ("note", text),
            Outcome::Bad(text) => {
                bad += 1;
                ("FAIL", text)
            }
        };
        println!("{word}  {}: {}", check.name, printable(text));
    }
    if bad == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // One thread is enough for one connection, and it keeps the agent small.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

fn print_error(error: &anyhow::Error) {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        text.push_str(&format!("\n  because: {cause}"));
    }
    eprintln!("canh-agent: {}", printable(&text));
}

/// Text from outside with its control characters made visible, so that it cannot steer a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control() && c != '\n' && c != '\t';
            let shown = if escaped { c.escape_default().to_string() } else { c.to_string() };
            shown.chars().collect::<Vec<_>>()
        })
        .collect()
}
