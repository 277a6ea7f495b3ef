//! Checks of the tree itself and generated files: `cargo xtask check`, `cargo xtask codegen`; and the fuzzer.

mod arrows;
mod codegen;
mod fuzz;
mod licences;
mod manual;
mod tidy;
mod tree;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <check|codegen|fuzz>

  check    arrows between crates, tidiness of files, licences of dependencies, stale generated files
  codegen  rewrite console/openapi.json and docs/configuration.md (the web types follow with `./dev codegen`)
  fuzz     fuzz [READER|CRATE/|all] [SECONDS]: look for bytes that break a reader; without arguments the list of readers";

fn main() -> ExitCode {
    let command = std::env::args().nth(1).unwrap_or_default();
    let result = match command.as_str() {
        "check" => check(),
        "codegen" => codegen::write().and_then(|()| manual::write()),
        "fuzz" => fuzz::run(&std::env::args().skip(2).collect::<Vec<_>>()),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every check and lists all that they found, not only the first.
fn check() -> anyhow::Result<()> {
    let metadata = tree::metadata()?;
    let mut problems = arrows::problems(&metadata);
    problems.extend(tidy::problems(&tree::files()?)?);
    problems.extend(licences::problems(&metadata));
    problems.extend(codegen::problems()?);
    problems.extend(manual::problems()?);
    for problem in &problems {
        eprintln!("{problem}");
    }
    anyhow::ensure!(problems.is_empty(), "{} problems", problems.len());
    Ok(())
}
