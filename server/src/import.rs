//! `canh import`: event log files of Windows, read once. Their records go to the running server through the door for JSON
//! lines, or are judged here with rules, or are printed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use bytes::Bytes;
use canh_collector::{DecodeSettings, Door, Envelope, EvtxFile, Framing, decode};
use canh_detection::{Engine, EngineConfig, load_paths};
use canh_schema::{Finding, Level, Position, Timestamp};
use clap::Args;

use crate::cli::DataArgs;
use crate::client::Client;
use crate::doors::Doors;
use crate::terminal::{colours, safe};

/// Lines are sent or judged in pieces of about this many bytes, so that no file stands in memory.
const PIECE_LEN: usize = 1 << 20;
/// Problems of one file that are told one by one.
const PROBLEMS_TOLD: usize = 10;
/// Directories inside directories that are looked into.
const DEPTH_MAX: usize = 64;
const FORMAT: &str = "evtx";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  canh import /mnt/evidence/Windows/System32/winevt/Logs     # into the server of --data
  canh import Security.evtx --rules rules/ --rules sigma/    # judged here, without a server
  canh import Security.evtx --json | jq -r '.Event.System.EventID'

A file that is sent twice is stored twice. Exit code 1 if a part of a file could not be read; the rest is imported.")]
pub(crate) struct FilesArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Files, or directories with all *.evtx below them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Judge with the rules of this directory or file and print what they find; nothing is sent; may be given again
    #[arg(long, value_name = "PATH", conflicts_with = "json")]
    rules: Vec<PathBuf>,
    /// Print the records as JSON lines; nothing is sent
    #[arg(long)]
    json: bool,
}

/// Where the lines go.
enum Target {
    Server { client: Client, url: String, token: String },
    Judge { engine: Box<Engine>, position: u64, findings: BTreeMap<(std::cmp::Reverse<Level>, String), u64> },
    Print,
}

/// `false` if a part of a file could not be read.
pub(crate) fn run(args: &FilesArgs) -> anyhow::Result<bool> {
    let mut files = Vec::new();
    for path in &args.paths {
        collect(path, 0, &mut files).with_context(|| format!("cannot read `{}`", path.display()))?;
    }
    ensure!(!files.is_empty(), "there is no *.evtx file in what was named; other files are for an agent's file input");
    let mut target = target(args)?;
    let (mut records, mut problems) = (0, 0);
    for file in &files {
        let (read, wrong) = import(file, &mut target).with_context(|| {
            format!("stopped in `{}`; {records} records of the files before it are done", file.display())
        })?;
        records += read;
        problems += wrong;
    }
    if let Target::Judge { findings, .. } = &target {
        for ((level, title), count) in findings {
            println!("{count:>7}  {}  {}", colours().level(level.0), safe(title));
        }
    }
    eprintln!("{records} records of {} files, {problems} problems", files.len());
    Ok(problems == 0)
}

fn target(args: &FilesArgs) -> anyhow::Result<Target> {
    if args.json {
        return Ok(Target::Print);
    }
    if args.rules.is_empty() {
        let client = Client::of(&args.data.data)?;
        let doors = Doors::load(&args.data.data)?;
        let url = format!("http://{}/ingest/ndjson?format={FORMAT}", Doors::open("http", doors.http)?);
        return Ok(Target::Server { client, url, token: doors.token(&args.data.data)? });
    }
    let set = load_paths(&args.rules);
    for error in &set.errors {
        eprintln!("warning: {}: {}", safe(&error.path.display().to_string()), safe(&error.diagnostic.to_string()));
    }
    let engine = Engine::new(set, EngineConfig::default());
    ensure!(engine.rules().len() > 0, "no rule could be loaded from {:?}", args.rules);
    Ok(Target::Judge { engine: Box::new(engine), position: 0, findings: BTreeMap::new() })
}

/// A file that was named is taken as it is; below a directory those that are called `*.evtx`. Links are not followed.
fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries: io::Result<Vec<_>> = fs::read_dir(path)?.collect();
    let mut entries = entries?;
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let (kind, path) = (entry.file_type()?, entry.path());
        let named = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("evtx"));
        if kind.is_file() && named {
            files.push(path);
        } else if kind.is_dir() && depth < DEPTH_MAX {
            collect(&path, depth + 1, files)?;
        }
    }
    Ok(())
}

/// Records and problems of one file. What cannot be read is told and passed over.
fn import(path: &Path, target: &mut Target) -> anyhow::Result<(u64, u64)> {
    let (mut records, mut problems) = (0, 0);
    let name = safe(&path.display().to_string()).into_owned();
    let mut tell = |problem: &dyn std::fmt::Display| {
        problems += 1;
        if problems <= PROBLEMS_TOLD as u64 {
            eprintln!("warning: `{name}`: {}", safe(&problem.to_string()));
        }
    };
    let opened = File::open(path).map_err(|error| error.to_string());
    let opened = opened.and_then(|file| EvtxFile::open(BufReader::new(file)).map_err(|error| error.to_string()));
    let mut piece = Vec::new();
    let mut failure = None;
    match opened {
        Err(problem) => tell(&problem),
        Ok(file) => file.read(|part| match part {
            Err(problem) => {
                tell(&problem);
                ControlFlow::Continue(())
            }
            Ok(line) => {
                records += 1;
                piece.extend_from_slice(&line);
                piece.push(b'\n');
                if piece.len() < PIECE_LEN {
                    return ControlFlow::Continue(());
                }
                match target.take(std::mem::take(&mut piece)) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        failure = Some(error);
                        ControlFlow::Break(())
                    }
                }
            }
        }),
    }
    if let Some(error) = failure {
        return Err(error);
    }
    if !piece.is_empty() {
        target.take(piece)?;
    }
    if problems > PROBLEMS_TOLD as u64 {
        eprintln!("warning: `{name}`: {} more problems", problems - PROBLEMS_TOLD as u64);
    }
    Ok((records, problems))
}

impl Target {
    fn take(&mut self, lines: Vec<u8>) -> anyhow::Result<()> {
        match self {
            Self::Server { client, url, token } => client.post(url, token, "application/x-ndjson", &lines),
            Self::Print => io::stdout().lock().write_all(&lines).context("cannot write the records"),
            Self::Judge { engine, position, findings } => {
                *position += 1;
                let mut envelope = Envelope::new(Door::Import, Timestamp::now(), Framing::Lines, Bytes::from(lines));
                envelope.format = Some(FORMAT.into());
                let batch = decode(&envelope, Position::new(*position), 0, &DecodeSettings::default());
                let mut found = Vec::new();
                engine.evaluate(&batch, &mut found);
                for finding in found {
                    println!("{}", line(&finding));
                    *findings
                        .entry((std::cmp::Reverse(finding.rule.level), finding.rule.title.to_string()))
                        .or_default() += 1;
                }
                Ok(())
            }
        }
    }
}

/// Time, level, host, rule and the values that made it hold.
fn line(finding: &Finding) -> String {
    let host = finding.host.as_deref().unwrap_or("-");
    let mut text = format!(
        "{} {} {}  {}",
        finding.time,
        colours().level(finding.rule.level),
        safe(host),
        safe(&finding.rule.title)
    );
    for found in finding.matches.iter().filter(|found| !found.field.is_empty()).take(4) {
        let value = found.value.as_text().unwrap_or_default();
        let shown = &value[..value.floor_char_boundary(120)];
        text.push_str(&format!("  {}={}", safe(&found.field), safe(shown)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_event_logs_are_taken_from_directories_and_garbage_is_told() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("inner")).expect("writable");
        for name in ["inner/B.EVTX", "a.evtx", "notes.txt"] {
            fs::write(dir.path().join(name), "garbage").expect("writable");
        }
        let mut files = Vec::new();
        collect(dir.path(), 0, &mut files).expect("readable");
        let names: Vec<_> = files.iter().map(|file| file.strip_prefix(dir.path()).expect("below")).collect();
        assert_eq!(names, [Path::new("a.evtx"), Path::new("inner/B.EVTX")]);
        assert_eq!(import(&files[0], &mut Target::Print).expect("told, not failed"), (0, 1));
        assert_eq!(import(Path::new("/not/there.evtx"), &mut Target::Print).expect("told, not failed"), (0, 1));
    }
}
