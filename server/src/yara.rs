//! `canh yara check` and `canh yara scan`: YARA rules on the command line, without a server.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use canh_yara::{RuleMatch, RuleProblem, SampleInfo, ScanLimits, ScanReport, Scanner};
use serde_json::{Value, json};

use crate::cli::{YaraScanArgs, must_exist};
use crate::terminal::{safe, safe_lines};

/// A file longer than this is not scanned; it would have to fit into memory.
const FILE_MAX: u64 = 1 << 30;

/// As grep ends.
const NO_MATCH: u8 = 1;
const TROUBLE: u8 = 2;

/// `canh yara check`: `true` if all rules load.
pub(crate) fn check(paths: &[PathBuf]) -> anyhow::Result<bool> {
    must_exist(paths)?;
    let compiled = canh_yara::RuleFiles::load(paths).compile();
    print_problems(&mut io::stdout(), &compiled.problems)?;
    println!("{} rules of {} files load, {} problems", compiled.rules, compiled.files, compiled.problems.len());
    Ok(compiled.problems.is_empty())
}

fn print_problems(out: &mut impl Write, problems: &[RuleProblem]) -> io::Result<()> {
    problems.iter().try_for_each(|problem| writeln!(out, "error: {}", safe_lines(&problem.to_string())))
}

/// `canh yara scan`.
pub(crate) fn scan(args: &YaraScanArgs) -> ExitCode {
    match Run::new(args).and_then(|mut run| run.all(args).map(|()| run)) {
        Ok(run) if run.troubles > 0 => ExitCode::from(TROUBLE),
        Ok(run) if run.matches > 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(NO_MATCH),
        Err(error) => {
            eprintln!("error: {}", safe_lines(&format!("{error:#}")));
            ExitCode::from(TROUBLE)
        }
    }
}

struct Run {
    scanner: Scanner,
    limits: ScanLimits,
    json: bool,
    files: u64,
    matches: u64,
    /// Files that could not be looked at.
    troubles: u64,
}

impl Run {
    fn new(args: &YaraScanArgs) -> anyhow::Result<Self> {
        for path in &args.rules {
            anyhow::ensure!(path.exists(), "there are no rules at `{}`", path.display());
        }
        let compiled = canh_yara::RuleFiles::load(&args.rules).compile();
        print_problems(&mut io::stderr(), &compiled.problems)?;
        anyhow::ensure!(compiled.rules > 0, "no rule loads; `canh yara check` says why");
        let limits =
            ScanLimits { bytes_max: FILE_MAX, time_max: Duration::from_secs(args.timeout), ..ScanLimits::default() };
        Ok(Self { scanner: compiled.scanner, limits, json: args.json, files: 0, matches: 0, troubles: 0 })
    }

    fn all(&mut self, args: &YaraScanArgs) -> anyhow::Result<()> {
        for path in &args.files {
            // What is asked for by name is followed if it is a link; what is found on the way is not.
            self.path(path, path.metadata())?;
        }
        if !self.json {
            eprintln!("{} files scanned, {} matches, {} could not be read", self.files, self.matches, self.troubles);
        }
        Ok(())
    }

    /// Depth first, in the order of names. An error is one of writing; a file that cannot be read is only counted.
    fn path(&mut self, path: &Path, about: io::Result<std::fs::Metadata>) -> anyhow::Result<()> {
        let mut rest = vec![(path.to_owned(), about)];
        while let Some((path, about)) = rest.pop() {
            match about {
                Ok(about) if about.is_dir() => match list(&path) {
                    Ok(inside) => rest.extend(inside.into_iter().rev().map(|path| {
                        let about = path.symlink_metadata();
                        (path, about)
                    })),
                    Err(error) => self.trouble(&path, &error),
                },
                Ok(about) if about.is_file() => self.file(&path)?,
                // Pipes and devices never end, and links lead elsewhere.
                Ok(_) => (),
                Err(error) => self.trouble(&path, &error),
            }
        }
        Ok(())
    }

    fn trouble(&mut self, path: &Path, error: &io::Error) {
        self.troubles += 1;
        eprintln!("error: {}: {error}", safe(&path.display().to_string()));
    }

    fn file(&mut self, path: &Path) -> anyhow::Result<()> {
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.trouble(path, &error);
                return Ok(());
            }
        };
        let shown = path.display().to_string();
        let report = self.scanner.scan(&bytes, &SampleInfo::of_path(&shown), &self.limits);
        self.files += 1;
        self.matches += report.matches.len() as u64;
        let mut out = io::stdout().lock();
        let text = if self.json { as_json(&shown, &report).to_string() + "\n" } else { as_text(&shown, &report) };
        out.write_all(text.as_bytes()).context("cannot write the result")
    }
}

fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries: io::Result<Vec<_>> = std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect();
    entries.map(|mut entries| {
        entries.sort();
        entries
    })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > FILE_MAX {
        true => Err(io::Error::other(format!("it is longer than {FILE_MAX} bytes"))),
        false => Ok(bytes),
    }
}

/// The rule first, as YARA's own tool prints it, so that scripts for that can read it.
fn as_text(file: &str, report: &ScanReport) -> String {
    let mut text = String::new();
    for found in &report.matches {
        let inside = found.member.as_ref().and_then(|member| member.path.split_once("!/"));
        let inside = inside.map(|(_, inside)| format!("!/{inside}")).unwrap_or_default();
        text.push_str(&format!("{} {}\n", found.rule, safe(&format!("{file}{inside}"))));
        for hit in &found.hits {
            text.push_str(&format!("  {:#x}:{}: {}\n", hit.offset, hit.identifier, safe(&hit.excerpt.to_string())));
        }
        if found.hits_left_off > 0 {
            text.push_str(&format!("  and {} more\n", found.hits_left_off));
        }
    }
    for (reason, gap) in &report.gaps {
        let at = if gap.first.is_empty() { String::new() } else { format!(", first at `{}`", safe(&gap.first)) };
        text.push_str(&format!("note: {}: {} ({}{at})\n", safe(file), reason.about(), reason.name()));
    }
    text
}

fn as_json(file: &str, report: &ScanReport) -> Value {
    json!({
        "file": file,
        "size": report.size,
        "md5": report.hashes.md5,
        "sha256": report.hashes.sha256,
        "members": report.members,
        "matches": report.matches.iter().map(match_json).collect::<Vec<_>>(),
        "gaps": report.gaps.iter().map(|(reason, gap)| {
            json!({ "reason": reason.name(), "first": gap.first, "count": gap.count })
        }).collect::<Vec<_>>(),
    })
}

fn match_json(found: &RuleMatch) -> Value {
    json!({
        "rule": found.rule,
        "namespace": found.namespace,
        "tags": found.tags,
        "meta": found.meta.iter().map(|meta| (meta.name.clone(), json!(meta.value))).collect::<serde_json::Map<_, _>>(),
        "member": found.member.as_ref().map(|member| {
            json!({ "path": member.path, "size": member.size, "sha256": member.sha256 })
        }),
        "strings": found.hits.iter().map(|hit| {
            json!({
                "identifier": hit.identifier,
                "offset": hit.offset,
                "length": hit.len,
                "excerpt": hit.excerpt.to_string(),
            })
        }).collect::<Vec<_>>(),
        "strings_left_off": found.hits_left_off,
    })
}
