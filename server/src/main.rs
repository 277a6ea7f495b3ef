//! The program `canh`: the server and the commands beside it. Wiring only; each stage is a crate of its own.

mod canary;
mod cli;
mod client;
mod config;
mod deliveries;
mod demo;
mod detect;
mod doctor;
mod doors;
mod health;
mod hunt;
mod import;
mod index;
mod indicator_rules;
mod indicators;
mod ioc;
mod ioc_query;
mod ledger;
mod long_lines;
mod memory;
mod notes;
mod release;
mod reload;
mod retro;
mod rules;
mod samples;
mod secret;
mod serve;
mod sources;
mod terminal;
mod vendors;
mod yara;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::{AlertsCommand, Cli, Command, ConfigCommand, IocCommand, RulesCommand, YaraCommand};
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
                    || cause.is::<cli::WrongUse>()
                    || cause.downcast_ref::<client::Refused>().is_some_and(client::Refused::is_wrong_use)
            });
            if wrong_use { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => serve::run(&args)?,
        Command::Demo(args) => demo::run(&args)?,
        Command::Import(args) => return Ok(verdict(import::run(&args)?)),
        Command::Hunt(args) => hunt::hunt(&args)?,
        Command::Tail(args) => hunt::tail(&args)?,
        Command::Ledger(args) => return Ok(verdict(deliveries::run(&args)?)),
        Command::Rules(RulesCommand::Check { paths, pipelines }) => {
            return Ok(verdict(rules::check(&paths, &pipelines.paths)?));
        }
        Command::Rules(RulesCommand::Explain(args)) => return Ok(verdict(rules::ask::explain(&args)?)),
        Command::Rules(RulesCommand::Backtest(args)) => rules::ask::backtest(&args)?,
        Command::Rules(RulesCommand::Enable(args)) => return Ok(verdict(rules::decide::enable(&args)?)),
        Command::Rules(RulesCommand::Disable(args)) => rules::decide::disable(&args)?,
        Command::Rules(RulesCommand::Tune(args)) => return Ok(verdict(rules::tune::run(&args)?)),
        Command::Rules(RulesCommand::Import(args)) => return Ok(verdict(rules::import::run(&args)?)),
        Command::Rules(RulesCommand::Bench { paths, events, top, pipelines }) => {
            rules::bench::run(&paths, &events, top, &rules::pipelines(&pipelines)?)?;
        }
        Command::Alerts(AlertsCommand::Verify(args)) => return Ok(verdict(rules::ask::verify(&args)?)),
        Command::Rules(RulesCommand::Test { paths, mutate, pipelines }) => {
            let mutation = if mutate { rules::test::Mutation::Tried } else { rules::test::Mutation::LeftOut };
            return Ok(verdict(rules::test::run(&paths, mutation, &rules::pipelines(&pipelines)?)?));
        }
        Command::Ioc(IocCommand::Check(args)) => return Ok(verdict(ioc::check(&args)?)),
        Command::Ioc(IocCommand::Match(args)) => ioc::match_events(&args)?,
        Command::Ioc(IocCommand::Hunt(args)) => ioc::hunt(&args)?,
        Command::Yara(YaraCommand::Check { paths }) => return Ok(verdict(yara::check(&paths)?)),
        Command::Yara(YaraCommand::Scan(args)) => return Ok(yara::scan(&args)),
        Command::Sources(command) => return Ok(verdict(vendors::run(&command)?)),
        Command::Config(ConfigCommand::Check { file }) => {
            ServerConfig::load(Some(&file))?.check()?;
            println!("{} is fine", file.display());
        }
        Command::Doctor(args) => return Ok(verdict(doctor::run(&args.data))),
        Command::SetupLink(args) => notes::print_setup_link(&args.data)?,
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
