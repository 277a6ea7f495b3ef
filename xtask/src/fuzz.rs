//! `cargo xtask fuzz`: builds the program of `fuzz/` with coverage of our own crates and lets libFuzzer run one reader, or
//! each in turn. Nothing else in the tree builds it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::tree;

/// Longest input that is tried, in bytes, and the longest time that one may take, in seconds.
const INPUT_LEN_MAX: u32 = 131_072;
const INPUT_TIME_MAX: u32 = 10;
/// Most memory, in MiB.
const MEMORY_MAX: u32 = 2_048;

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let seconds: u32 = match arguments.get(1) {
        Some(text) => text.parse().with_context(|| format!("`{text}` is not a number of seconds"))?,
        None => 60,
    };
    let dir = target_dir();
    build(&dir)?;
    let program = dir.join("debug/canh-fuzz");
    let names = names(&program)?;
    let wanted: Vec<&String> = match arguments.first().map(String::as_str) {
        None => {
            println!("{}", names.join("\n"));
            return Ok(());
        }
        Some("all") => names.iter().collect(),
        Some(part) if part.ends_with('/') => names.iter().filter(|name| name.starts_with(part)).collect(),
        Some(name) => names.iter().filter(|known| *known == name).collect(),
    };
    ensure!(!wanted.is_empty(), "no reader is called that; `cargo xtask fuzz` lists them");
    let mut failed = Vec::new();
    for name in wanted {
        eprintln!("{name}: {seconds} s");
        if !fuzz(&program, &dir, name, seconds)? {
            failed.push(name.as_str());
        }
    }
    ensure!(failed.is_empty(), "inputs that fail are in `{}`: {}", dir.join("found").display(), failed.join(", "));
    Ok(())
}

fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| tree::root().join("target"), PathBuf::from).join("fuzz")
}

fn build(dir: &Path) -> anyhow::Result<()> {
    let root = tree::root().join("fuzz");
    let status = Command::new("cargo")
        .args(["build", "--quiet", "--locked", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", dir)
        .env("RUSTC_WRAPPER", root.join("rustc.sh"))
        .status()
        .context("cannot start `cargo`")?;
    ensure!(status.success(), "the program of `fuzz/` cannot be built");
    Ok(())
}

fn names(program: &Path) -> anyhow::Result<Vec<String>> {
    let output = Command::new(program).env_remove("CANH_FUZZ_TARGET").output();
    let output = output.with_context(|| format!("cannot start `{}`", program.display()))?;
    let names: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    if names.is_empty() {
        bail!("`{}` names no reader", program.display());
    }
    Ok(names)
}

/// `false` if an input was found that panics, hangs or takes too much memory.
fn fuzz(program: &Path, dir: &Path, name: &str, seconds: u32) -> anyhow::Result<bool> {
    let folder = |kind: &str| {
        let path = dir.join(kind).join(name);
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make `{}`", path.display())).map(|()| path)
    };
    let (corpus, found) = (folder("corpus")?, folder("found")?);
    let seeds = tree::root().join("fuzz/seeds").join(name);
    let mut command = Command::new(program);
    command.env("CANH_FUZZ_TARGET", name).env("CANH_FUZZ_CORPUS", &corpus).arg(&corpus);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    let status = command
        .arg(format!("-artifact_prefix={}/", found.display()))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={INPUT_LEN_MAX}"))
        .arg(format!("-timeout={INPUT_TIME_MAX}"))
        .arg(format!("-rss_limit_mb={MEMORY_MAX}"))
        .args(["-print_final_stats=1", "-verbosity=0"])
        .status()
        .with_context(|| format!("cannot start `{}`", program.display()))?;
    Ok(status.success())
}
