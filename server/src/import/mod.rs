//! `canh import`: files that are there, read once. Their records go to the running server through the door for lines, or are
//! judged here with rules, or are printed.

mod kind;
mod progress;
mod records;
mod target;

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use canh_collector::format;
use clap::Args;

use self::progress::{Counted, Progress};
use self::records::Sink;
use self::target::Target;
use crate::cli::DataArgs;
use crate::terminal::safe;

/// Lines are sent or judged in pieces of about this many bytes, so that no file stands in memory.
const PIECE_LEN: usize = 1 << 18;
/// Problems of one file that are told one by one.
const PROBLEMS_TOLD: u64 = 10;
/// Directories inside directories that are looked into.
const DEPTH_MAX: usize = 64;
/// Part of what a file's number is made from. Another way to cut files into pieces needs another number here, because the
/// pieces of one file are told apart by their order.
const CUT: &[u8] = b"canh import 1";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  canh import /mnt/evidence/Windows/System32/winevt/Logs     # into the server of --data
  canh import cloudtrail/ firewall.csv.gz old-logs.tar.zst capture.pcapng
  canh import capture.pcap --files                           # with the files in it, for the YARA rules
  canh import Security.evtx --rules rules/ --rules sigma/    # judged here, without a server
  canh import Security.evtx --json | jq -r '.Event.System.EventID'

Read are: event logs of Windows (EVTX), lines of any log format, JSON and JSON lines, tables (CSV, TSV), packets (pcap,
pcapng), each also packed (gzip, zstd, xz, tar). A file is known by its content: what was imported is not imported again,
and an import that was interrupted goes on where it was. Exit code 1 if a part could not be read; the rest is imported.")]
pub(crate) struct FilesArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Files, or directories with everything below them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Judge with the rules of this directory or file and print what they find; nothing is sent; may be given again
    #[arg(long, value_name = "PATH", conflicts_with = "json")]
    rules: Vec<PathBuf>,
    /// Print the records, one on each line; nothing is sent
    #[arg(long)]
    json: bool,
    /// Format of the records; without it, it is found out
    #[arg(long, value_name = "NAME")]
    format: Option<String>,
    /// Host of records that name none
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Have the files that packets transfer (HTTP, SMTP, FTP) scanned by the server with its YARA rules
    #[arg(long, conflicts_with_all = ["json", "rules"])]
    files: bool,
    /// The agent's program, which reads packets
    #[arg(long, value_name = "PROGRAM", default_value = "canh-agent")]
    agent: PathBuf,
}

#[derive(Default)]
struct Totals {
    files: u64,
    records: u64,
    problems: u64,
    /// Files that were imported before.
    known: u64,
}

/// `false` if a part of a file could not be read.
pub(crate) fn run(args: &FilesArgs) -> anyhow::Result<bool> {
    if let Some(name) = args.format.as_deref().filter(|name| !format::is_known(name)) {
        anyhow::bail!("{}", format::unknown(name));
    }
    let mut files = Vec::new();
    for path in &args.paths {
        collect(path, 0, &mut files).with_context(|| format!("cannot read `{}`", path.display()))?;
    }
    ensure!(!files.is_empty(), "there is no file in what was named");
    let mut target = Target::of(args)?;
    let mut progress = Progress::new(files.iter().map(|(_, len)| len).sum());
    let mut totals = Totals::default();
    for (file, _) in &files {
        import(file, args, &mut target, &mut progress, &mut totals).with_context(|| {
            format!(
                "stopped in `{}`; {} records are done, the same command goes on from here",
                file.display(),
                totals.records
            )
        })?;
    }
    progress.clear();
    if let Target::Judge(judge) = &target {
        judge.summary();
    }
    let Totals { files, records, problems, known } = totals;
    let before = if known > 0 { format!(", {known} files were imported before") } else { String::new() };
    eprintln!("{records} records of {files} files, {problems} problems{before}");
    Ok(problems == 0)
}

/// A file that was named is taken as it is; below a directory everything. Links are not followed.
fn collect(path: &Path, depth: usize, files: &mut Vec<(PathBuf, u64)>) -> io::Result<()> {
    let about = fs::metadata(path)?;
    if !about.is_dir() {
        files.push((path.to_owned(), about.len()));
        return Ok(());
    }
    let entries: io::Result<Vec<_>> = fs::read_dir(path)?.collect();
    let mut entries = entries?;
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let kind = entry.file_type()?;
        if kind.is_file() {
            files.push((entry.path(), entry.metadata()?.len()));
        } else if kind.is_dir() && depth < DEPTH_MAX {
            collect(&entry.path(), depth + 1, files)?;
        }
    }
    Ok(())
}

/// Reads one file. What cannot be read is told and passed over.
fn import(
    path: &Path,
    args: &FilesArgs,
    target: &mut Target,
    progress: &mut Progress,
    totals: &mut Totals,
) -> anyhow::Result<()> {
    let name = safe(&path.display().to_string()).into_owned();
    totals.files += 1;
    let mut pieces = Pieces { target, progress, totals, piece: Vec::new(), format: None, sequence: 0, problems: 0 };
    let opened = number_of(path, args).and_then(|number| Ok((number, File::open(path)?)));
    let (number, file) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            pieces.problem(&name, &error);
            return Ok(());
        }
    };
    if let Target::Server(server) = &mut *pieces.target
        && server.begin(number)?
    {
        pieces.totals.known += 1;
        pieces.progress.pass(file.metadata().map_or(0, |about| about.len()));
        return Ok(());
    }
    let mut counted = Counted::new(file, pieces.progress.done());
    records::read(&name, &mut counted, &mut pieces)?;
    pieces.flush()?;
    if pieces.problems > PROBLEMS_TOLD {
        pieces.progress.clear();
        eprintln!("warning: `{name}`: {} more problems", pieces.problems - PROBLEMS_TOLD);
    }
    match &*pieces.target {
        Target::Server(server) => server.end(),
        Target::Judge(_) | Target::Print => Ok(()),
    }
}

/// The number of a file follows from its content and from what was said of it, and not from its name or place.
fn number_of(path: &Path, args: &FilesArgs) -> io::Result<u64> {
    let mut hasher = blake3::Hasher::new();
    for part in [CUT, args.format.as_deref().unwrap_or("").as_bytes(), args.host.as_deref().unwrap_or("").as_bytes()] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    // Only a server has to know it.
    if !args.json && args.rules.is_empty() {
        hasher.update_reader(File::open(path)?)?;
    }
    let hash = hasher.finalize();
    Ok(hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)))
}

/// Gathers the records of one file into pieces.
struct Pieces<'a> {
    target: &'a mut Target,
    progress: &'a mut Progress,
    totals: &'a mut Totals,
    piece: Vec<u8>,
    format: Option<&'static str>,
    /// Of the last piece.
    sequence: u64,
    problems: u64,
}

impl Pieces<'_> {
    fn flush(&mut self) -> anyhow::Result<()> {
        if !self.piece.is_empty() {
            self.sequence += 1;
            self.target.take(&self.piece, self.format, self.sequence)?;
            self.piece.clear();
        }
        self.progress.show(self.totals.records);
        Ok(())
    }
}

impl Sink for Pieces<'_> {
    fn record(&mut self, record: &[u8], format: Option<&'static str>) -> anyhow::Result<()> {
        if format != self.format || self.piece.len() + record.len() > PIECE_LEN {
            self.flush()?;
            self.format = format;
        }
        self.piece.extend_from_slice(record);
        self.piece.push(b'\n');
        self.totals.records += 1;
        Ok(())
    }

    fn problem(&mut self, name: &str, problem: &dyn Display) {
        self.problems += 1;
        self.totals.problems += 1;
        if self.problems <= PROBLEMS_TOLD {
            self.progress.clear();
            eprintln!("warning: `{}`: {}", safe(name), safe(&problem.to_string()));
        }
    }

    fn packets(&mut self, name: &str, packets: &mut dyn Read) -> anyhow::Result<()> {
        match self.target {
            Target::Server(server) => server.packets(name, packets),
            Target::Judge(_) | Target::Print => {
                self.problem(name, &"packets are read when they are sent to a server; leave --rules and --json out");
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_below_directories_are_found_and_links_are_not_followed() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("inner")).expect("writable");
        for name in ["inner/B.EVTX", "a.log"] {
            fs::write(dir.path().join(name), "text\n").expect("writable");
        }
        std::os::unix::fs::symlink(dir.path(), dir.path().join("inner/loop")).expect("writable");
        let mut files = Vec::new();
        collect(dir.path(), 0, &mut files).expect("readable");
        let names: Vec<_> = files.iter().map(|(file, _)| file.strip_prefix(dir.path()).expect("below")).collect();
        assert_eq!(names, [Path::new("a.log"), Path::new("inner/B.EVTX")]);
    }
}
