//! The program `canh`: the server and the commands beside it. Wiring only; each stage is a crate of its own.

mod cli;
mod client;
mod config;
mod demo;
mod detect;
mod doctor;
mod doors;
mod hunt;
mod index;
mod release;
mod rules;
mod samples;
mod secret;
mod serve;
mod sources;
mod terminal;
mod yara;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command, ConfigCommand, RulesCommand, YaraCommand};
use crate::config::ServerConfig;

/// Gives memory back after a burst; the system's allocator keeps most of it. Figures: `docs/decisions/crates.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The command line or the configuration is wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", terminal::safe_lines(&format!("{error:#}")));
            let wrong_use = error.chain().any(|cause| {
                cause.is::<canh_config::ConfigError>()
                    || cause.is::<config::ValueError>()
                    || cause.is::<hunt::WrongTime>()
            });
            if wrong_use { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => serve::run(&args)?,
        Command::Demo(args) => demo::run(&args)?,
        Command::Hunt(args) => hunt::hunt(&args)?,
        Command::Tail(args) => hunt::tail(&args)?,
        Command::Rules(RulesCommand::Check { paths }) => return Ok(verdict(rules::check(&paths)?)),
        Command::Rules(RulesCommand::Test { paths, mutate }) => {
            let mutation = if mutate { rules::test::Mutation::Tried } else { rules::test::Mutation::LeftOut };
            return Ok(verdict(rules::test::run(&paths, mutation)?));
        }
        Command::Yara(YaraCommand::Check { paths }) => return Ok(verdict(yara::check(&paths)?)),
        Command::Yara(YaraCommand::Scan(args)) => return Ok(yara::scan(&args)),
        Command::Config(ConfigCommand::Check { file }) => {
            ServerConfig::load(Some(&file))?.check()?;
            println!("{} is fine", file.display());
        }
        Command::Doctor(args) => return Ok(verdict(doctor::run(&args.data))),
        Command::SetupLink(args) => serve::print_setup_link(&args.data)?,
        Command::AgentConfig(args) => print!("{}", doors::agent_config(&args.data)?),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "canh", &mut std::io::stdout())
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn verdict(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
