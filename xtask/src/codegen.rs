//! Generated files that are checked in, so that a reader sees them and a change of them is reviewed.

use std::fs;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::tree;

const OPENAPI: &str = "console/openapi.json";

/// Asks the program itself for its API description, so that the file cannot differ from what is served.
fn openapi() -> anyhow::Result<String> {
    let output = Command::new("cargo")
        .args(["run", "--quiet", "-p", "canh-console", "--example", "openapi"])
        .current_dir(tree::root())
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "the API description: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

pub(crate) fn write() -> anyhow::Result<()> {
    fs::write(tree::root().join(OPENAPI), openapi()?).with_context(|| format!("cannot write `{OPENAPI}`"))
}

pub(crate) fn problems() -> anyhow::Result<Vec<String>> {
    let kept = fs::read_to_string(tree::root().join(OPENAPI)).with_context(|| format!("cannot read `{OPENAPI}`"))?;
    let stale = kept != openapi()?;
    Ok(stale.then(|| format!("{OPENAPI} is stale; run `./dev codegen`")).into_iter().collect())
}
