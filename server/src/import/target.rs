//! Where the records of an import go: to the running server, through the rules, or to standard output.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use bytes::Bytes;
use canh_collector::{DecodeSettings, Door, Envelope, Framing, decode};
use canh_detection::{Engine, EngineConfig, load_paths};
use canh_schema::{AgentId, Finding, Level, Position, Timestamp};
use canh_wire::BatchNumber;

use super::FilesArgs;
use crate::client::Client;
use crate::doors::Doors;
use crate::terminal::{colours, safe};

/// Whose batches these are: one number for all imports, so that the list of senders has one line for them.
const IMPORTER: AgentId = AgentId::from_bytes(*b"canh-file-import");

/// File in an agent's folder that says that its capture was sent to the end.
const DONE: &str = "done";
/// What stands in it if the files in the packets were sent too.
const WITH_FILES: &str = "files\n";

pub(super) enum Target {
    Server(Server),
    Judge(Judge),
    Print,
}

impl Target {
    pub(super) fn of(args: &FilesArgs) -> anyhow::Result<Self> {
        if args.json {
            return Ok(Self::Print);
        }
        if !args.rules.is_empty() {
            return Judge::new(&args.rules, args.format.clone()).map(Self::Judge);
        }
        Server::new(args).map(Self::Server)
    }

    /// Takes whole lines of one format, the number `sequence` (from 1) of this file.
    pub(super) fn take(&mut self, lines: &[u8], format: Option<&str>, sequence: u64) -> anyhow::Result<()> {
        match self {
            Self::Server(server) => server.take(lines, format, sequence),
            Self::Judge(judge) => {
                judge.take(lines, format);
                Ok(())
            }
            Self::Print => io::stdout().lock().write_all(lines).context("cannot write the records"),
        }
    }
}

/// Sends to the door for lines. Each piece has a number that follows from the file, so that one that is sent again is kept
/// once.
pub(super) struct Server {
    client: Client,
    doors: Doors,
    data: PathBuf,
    token: String,
    url: String,
    format: Option<String>,
    agent: PathBuf,
    /// Whether the server gets the files that packets transfer.
    files: bool,
    /// Which file, and how far it was sent before.
    file: u64,
    sent: u64,
}

impl Server {
    fn new(args: &FilesArgs) -> anyhow::Result<Self> {
        let data = args.data.data.clone();
        let client = Client::of(&data)?;
        let doors = Doors::load(&data)?;
        let mut url = format!("http://{}/ingest/ndjson", doors.plain("http", doors.http)?);
        if let Some(host) = &args.host {
            let host: String = url::form_urlencoded::byte_serialize(host.as_bytes()).collect();
            url.push_str(&format!("?host={host}"));
        }
        let token = doors.token(&data)?;
        let (format, agent, files) = (args.format.clone(), args.agent.clone(), args.files);
        Ok(Self { client, doors, data, token, url, format, agent, files, file: 0, sent: 0 })
    }

    /// Whether this file was sent to its end before. What was sent of it is not sent again.
    pub(super) fn begin(&mut self, file: u64) -> anyhow::Result<bool> {
        self.file = file;
        let text = match fs::read_to_string(self.mark()) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", self.mark().display())),
        };
        let mut words = text.split_whitespace();
        self.sent = words.next().and_then(|count| count.parse().ok()).unwrap_or(0);
        Ok(words.next() == Some("done"))
    }

    pub(super) fn end(&self) -> anyhow::Result<()> {
        self.note("done")
    }

    /// How far each file was sent is in a small file of its own.
    fn mark(&self) -> PathBuf {
        self.data.join("import").join(format!("{:016x}", self.file))
    }

    fn note(&self, word: &str) -> anyhow::Result<()> {
        let path = self.mark();
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            fs::write(&path, format!("{} {word}\n", self.sent))
        };
        write().with_context(|| format!("cannot write `{}`", path.display()))
    }

    fn take(&mut self, lines: &[u8], format: Option<&str>, sequence: u64) -> anyhow::Result<()> {
        if sequence <= self.sent {
            return Ok(());
        }
        let mut url = self.url.clone();
        if let Some(format) = self.format.as_deref().or(format) {
            url.push_str(if url.contains('?') { "&format=" } else { "?format=" });
            url.push_str(format);
        }
        let number = BatchNumber { agent: IMPORTER, spool: self.file, sequence };
        self.client.post_numbered(&url, &self.token, "application/x-ndjson", number, lines)?;
        self.sent = sequence;
        self.note("")
    }

    /// Packets are taken apart by the agent, from a copy that has a place of its own: they may have been packed. What was sent
    /// is known by the folder that the agent keeps its place in, and the copy stays until all of it is sent.
    pub(super) fn packets(&self, name: &str, packets: &mut dyn Read) -> anyhow::Result<()> {
        let dir = std::path::absolute(self.data.join("import"))?;
        let unwritable = || format!("cannot write into `{}`", dir.display());
        fs::create_dir_all(&dir).with_context(unwritable)?;
        let mut copy = tempfile::NamedTempFile::new_in(&dir).with_context(unwritable)?;
        io::copy(packets, &mut copy).with_context(|| format!("cannot read the packets of `{name}`"))?;
        let hash = blake3::Hasher::new().update_reader(fs::File::open(copy.path())?)?.finalize();
        let path = dir.join(format!("{}.pcap", &hash.to_hex()[..16]));
        let state = path.with_extension("state");
        let done = state.join(DONE);
        if done.exists() {
            // The records would come a second time.
            let with_files = fs::read_to_string(&done).unwrap_or_default() == WITH_FILES;
            ensure!(
                with_files || !self.files,
                "the packets of `{name}` were imported without `--files` before; what is in them can be scanned in an \
                 import into another data directory"
            );
            return Ok(());
        }
        // The agent knows the file that it began with by more than its name.
        if !path.exists() {
            copy.persist(&path).with_context(unwritable)?;
        }
        self.run_agent(&path, &state)?;
        fs::write(&done, if self.files { WITH_FILES } else { "" })
            .and_then(|()| fs::remove_file(&path))
            .with_context(unwritable)
    }

    fn run_agent(&self, capture: &Path, state: &Path) -> anyhow::Result<()> {
        let mut config = self.doors.agent_head(&self.data, "import", state)?;
        config.push_str(&format!("\n[[input.capture]]\nfile = {:?}\n", capture.display().to_string()));
        if self.files {
            // Nothing else waits for the network or the scanner meanwhile, so there is no rate.
            config.push_str(&format!(
                "[input.capture.files]\nurl = \"http://{}\"\nsize_max = \"32MiB\"\nfiles_per_minute = 1000000\n\
                 bytes_per_hour = \"1000GiB\"\n",
                self.doors.plain("http", self.doors.http)?
            ));
        }
        let path = state.with_extension("toml");
        fs::write(&path, config).with_context(|| format!("cannot write `{}`", path.display()))?;
        let output = Command::new(&self.agent)
            .args(["run", "--once", "--config"])
            .arg(&path)
            .stdin(Stdio::null())
            .output()
            .with_context(|| {
                format!("packets are read by `{}`, which cannot be started; name it with --agent", self.agent.display())
            })?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the agent ended with {}: {}", output.status, safe(said.trim()));
        Ok(())
    }
}

/// Holds the records against rules, here.
pub(super) struct Judge {
    engine: Box<Engine>,
    format: Option<String>,
    position: u64,
    findings: BTreeMap<(Reverse<Level>, String), u64>,
}

impl Judge {
    fn new(rules: &[PathBuf], format: Option<String>) -> anyhow::Result<Self> {
        let set = load_paths(rules);
        for error in &set.errors {
            eprintln!("warning: {}: {}", safe(&error.path.display().to_string()), safe(&error.diagnostic.to_string()));
        }
        let engine = Engine::new(set, EngineConfig::default());
        ensure!(engine.rules().len() > 0, "no rule could be loaded from {rules:?}");
        Ok(Self { engine: Box::new(engine), format, position: 0, findings: BTreeMap::new() })
    }

    fn take(&mut self, lines: &[u8], format: Option<&str>) {
        self.position += 1;
        let payload = Bytes::copy_from_slice(lines);
        let mut envelope = Envelope::new(Door::Import, Timestamp::now(), Framing::Lines, payload);
        envelope.format = self.format.as_deref().or(format).map(Into::into);
        let batch = decode(&envelope, Position::new(self.position), 0, &DecodeSettings::default());
        let mut found = Vec::new();
        self.engine.evaluate(&batch, &mut found);
        for finding in found {
            println!("{}", line(&finding));
            *self.findings.entry((Reverse(finding.rule.level), finding.rule.title.to_string())).or_default() += 1;
        }
    }

    pub(super) fn summary(&self) {
        for ((level, title), count) in &self.findings {
            println!("{count:>7}  {}  {}", colours().level(level.0), safe(title));
        }
    }
}

/// Time, level, host, rule and the values that made it hold.
fn line(finding: &Finding) -> String {
    let host = finding.host.as_deref().unwrap_or("-");
    let level = colours().level(finding.rule.level);
    let mut text = format!("{} {level} {}  {}", finding.time, safe(host), safe(&finding.rule.title));
    for found in finding.matches.iter().filter(|found| !found.field.is_empty()).take(4) {
        let value = found.value.as_text().unwrap_or_default();
        let shown = &value[..value.floor_char_boundary(120)];
        text.push_str(&format!("  {}={}", safe(&found.field), safe(shown)));
    }
    text
}
