//! Sources that are described by data instead of code: a folder with a `source.toml`, a sample and what is expected of
//! it. Those of `collector/sources` are inside of the program, others are read from a folder that is configured.
//!
//! They are asked where the code knows nothing better: for a program of syslog that they name, for a product of CEF or
//! LEEF, for a JSON object with their names, and for a line with one of their texts. All of these texts are looked for at
//! once, so that another source costs other lines nothing.

mod columns;
mod compile;
mod definition;
mod join;
mod literals;
mod mask;
mod proof;
mod source;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use canh_schema::{Event, Value, field};
use compact_str::CompactString;
use rustc_hash::FxHashMap;

pub(crate) use columns::columns_of;
pub use proof::{Proof, Saved, prove};

use crate::format::{Context, Json};
use crate::source::vendor_event::Dialect;
use literals::{FirstBytes, Literals};
use source::Source;

/// Name and `source.toml` of every folder of `collector/sources`.
static SHIPPED: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/shipped_sources.rs"));

static OWN: LazyLock<Arc<Vendors>> = LazyLock::new(|| Arc::new(Vendors::index(own().0, Vec::new())));

/// Most folders that are read, and the longest `source.toml`, in bytes.
const FOLDERS_MAX: usize = 2_000;
const FILE_LEN_MAX: u64 = 1 << 20;

/// What is wrong with a folder. The others are used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    pub path: String,
    pub line: Option<usize>,
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.reason),
            None => write!(f, "{}: {}", self.path, self.reason),
        }
    }
}

/// All sources that are described, ready to be asked.
#[derive(Debug, Default)]
pub struct Vendors {
    sources: Vec<Source>,
    programs: FxHashMap<CompactString, Vec<usize>>,
    products: FxHashMap<(Dialect, CompactString), Vec<(CompactString, usize)>>,
    json: Vec<usize>,
    /// Which messages of a program belong together; the last folder that says so counts.
    joins: FxHashMap<CompactString, usize>,
    /// Those that have something of their own that is not to be kept.
    masked: Vec<usize>,
    /// Texts of the sources whose lines may begin with anything.
    anywhere: Literals,
    /// Texts of the sources whose lines begin with one of few bytes, and these bytes.
    behind_first: Literals,
    first: FirstBytes,
    problems: Vec<Problem>,
}

impl Vendors {
    /// Those of the program itself.
    pub fn shipped() -> Arc<Self> {
        OWN.clone()
    }

    /// Those of the program and those of a directory, which win where names are equal. What cannot be read is a problem.
    pub fn load(dir: &Path) -> Self {
        let (mut sources, _) = own();
        let (others, problems) = folders(dir);
        for source in others {
            match sources.iter_mut().find(|known| known.name == source.name) {
                Some(known) => *known = source,
                None => sources.push(source),
            }
        }
        Self::index(sources, problems)
    }

    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Name of each source and what it is.
    pub fn list(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sources.iter().map(|source| (source.name.as_str(), source.about.as_str()))
    }

    pub fn is_known(&self, name: &str) -> bool {
        self.sources.iter().any(|source| source.name == name)
    }

    fn index(sources: Vec<Source>, mut problems: Vec<Problem>) -> Self {
        let mut all = Self::default();
        let (mut anywhere, mut behind_first) = (Vec::new(), Vec::new());
        for (number, source) in sources.iter().enumerate() {
            let known = &source.recognition;
            if source.join.is_some() {
                all.joins.extend(known.programs.iter().map(|name| (name.clone(), number)));
            }
            for name in known.programs.iter().filter(|_| source.reads()) {
                all.programs.entry(name.clone()).or_default().push(number);
            }
            for (dialect, products) in [(Dialect::Cef, &known.cef), (Dialect::Leef, &known.leef)] {
                for (vendor, product) in products {
                    let key = (dialect, vendor.to_lowercase());
                    all.products.entry(key).or_default().push((product.clone(), number));
                }
            }
            if !known.json.is_empty() {
                all.json.push(number);
            }
            if !source.masks.is_empty() {
                all.masked.push(number);
            }
            // One that names programs is asked for their lines alone.
            // Where both are asked for, one of them is enough to find it, and a prefix may be short and frequent.
            let texts = if known.contains.is_empty() { &known.prefixes } else { &known.contains };
            let first = FirstBytes::of(known);
            let group = match first.is_all() {
                true => &mut anywhere,
                false => &mut behind_first,
            };
            let mut has_text = false;
            for text in texts.iter().filter(|_| known.programs.is_empty()) {
                has_text = true;
                group.push((text.clone(), number));
            }
            if has_text && !first.is_all() {
                all.first.add(&first);
            }
        }
        for (group, texts) in [(&mut all.anywhere, anywhere), (&mut all.behind_first, behind_first)] {
            match Literals::new(texts) {
                Ok(literals) => *group = literals,
                Err(error) => problems.push(Problem {
                    path: "[recognise]".to_owned(),
                    line: None,
                    reason: format!("the texts of all sources are too many to look for at once: {error}"),
                }),
            }
        }
        Self { sources, problems, ..all }
    }

    /// The source of this name, for lines that are said to be of it.
    pub(crate) fn named(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// Reads a message of a program of syslog, if a source names the program.
    pub(crate) fn program(&self, event: &mut Event, context: &Context<'_>, program: &str, message: &str) -> bool {
        let plain = program.rsplit('/').next().unwrap_or(program).to_ascii_lowercase();
        let join = self.joins.get(plain.as_str()).and_then(|number| Some((*number, self.join_rule(*number)?)));
        if let Some((number, rule)) = join.filter(|_| context.depth == 0) {
            join::mark(event, rule, number, message);
        }
        let Some(numbers) = self.programs.get(plain.as_str()) else { return false };
        let mut known = numbers.iter().map(|number| &self.sources[*number]);
        known.any(|source| source.recognition.holds(message) && source.apply(event, context, message))
    }

    fn join_rule(&self, number: usize) -> Option<&join::Rule> {
        self.sources.get(number)?.join.as_ref()
    }

    /// Joins messages that are the lines of one record.
    pub(crate) fn join(&self, events: &mut Vec<Event>) {
        if !self.joins.is_empty() {
            join::join(events, |number| self.join_rule(number));
        }
    }

    /// Reads a line or a message that nobody else knows.
    pub(crate) fn line(&self, event: &mut Event, context: &Context<'_>, text: &str) -> bool {
        self.anywhere.ask(&self.sources, event, context, text)
            || self.first.has(text) && self.behind_first.ask(&self.sources, event, context, text)
    }

    /// Replaces what a source does not want to be kept in a record that may be of it and that it has not read.
    pub(crate) fn mask_unread(&self, event: &mut Event, text: &str) {
        for number in &self.masked {
            let source = &self.sources[*number];
            let dataset = event.get(field::EVENT_DATASET).and_then(Value::as_str);
            if dataset == Some(source.name.as_str()) {
                continue;
            }
            let program = event.get(field::PROCESS_NAME).and_then(Value::as_str);
            if source.recognition.may_hold(program, text) {
                source.mask(event);
            }
        }
    }

    /// Adds to a record of CEF or LEEF what a source knows of its product.
    pub(crate) fn product(
        &self,
        event: &mut Event,
        context: &Context<'_>,
        dialect: Dialect,
        vendor: &str,
        product: &str,
    ) {
        let Some(products) = self.products.get(&(dialect, vendor.to_lowercase().into())) else { return };
        let fits = |known: &&(CompactString, usize)| known.0 == "*" || known.0.eq_ignore_ascii_case(product);
        for (_, number) in products.iter().filter(fits) {
            if self.sources[*number].apply_given(event, context) {
                return;
            }
        }
    }

    /// The source whose names the object has.
    pub(crate) fn of_json(&self, json: &Json) -> Option<usize> {
        self.json
            .iter()
            .copied()
            .find(|number| self.sources[*number].recognition.json.iter().all(|name| json.get(name).is_some()))
    }

    /// Adds to a JSON object, whose values are attributes by now, what the source knows of it.
    pub(crate) fn apply_json(&self, event: &mut Event, context: &Context<'_>, number: usize) {
        if let Some(source) = self.sources.get(number) {
            source.apply_given(event, context);
        }
    }
}

/// The sources of the program. A test sees to it that none of them has a problem.
fn own() -> (Vec<Source>, Vec<Problem>) {
    let read = SHIPPED.iter().map(|(name, text)| compile::source(name, &format!("{name}/source.toml"), text));
    parted(read)
}

fn parted(read: impl Iterator<Item = Result<Source, Problem>>) -> (Vec<Source>, Vec<Problem>) {
    let (mut sources, mut problems) = (Vec::new(), Vec::new());
    for one in read {
        match one {
            Ok(source) => sources.push(source),
            Err(problem) => problems.push(problem),
        }
    }
    (sources, problems)
}

/// Reads every folder of a directory that has a `source.toml`.
fn folders(dir: &Path) -> (Vec<Source>, Vec<Problem>) {
    let at = |path: &Path, reason: String| Problem { path: path.display().to_string(), line: None, reason };
    let mut paths: Vec<_> = match std::fs::read_dir(dir) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(error) => return (Vec::new(), vec![at(dir, format!("cannot be read: {error}"))]),
    };
    paths.retain(|path| path.join("source.toml").exists());
    paths.sort();
    let too_many = paths.len() > FOLDERS_MAX;
    paths.truncate(FOLDERS_MAX);
    let (sources, mut problems) = parted(paths.iter().map(|path| folder(path)));
    if too_many {
        problems.push(at(dir, format!("more than {FOLDERS_MAX} folders; the last ones are not read")));
    }
    (sources, problems)
}

fn folder(path: &Path) -> Result<Source, Problem> {
    let file = path.join("source.toml");
    let shown = file.display().to_string();
    let problem = |reason: String| Problem { path: shown.clone(), line: None, reason };
    let len = std::fs::metadata(&file).map_err(|error| problem(format!("cannot be read: {error}")))?.len();
    if len > FILE_LEN_MAX {
        return Err(problem(format!("has {len} bytes; at most {FILE_LEN_MAX} are read")));
    }
    let text = std::fs::read_to_string(&file).map_err(|error| problem(format!("cannot be read: {error}")))?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    compile::source(name, &shown, &text)
}

/// Reads any text as a line of every source, and as the `source.toml` of one.
pub(crate) fn fuzz(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let settings = crate::DecodeSettings::default();
    let received = canh_schema::Timestamp::from_secs(1_793_000_000);
    let envelope_keys = crate::format::EnvelopeKeys::Plain;
    let context = Context { received, settings: &settings, file: None, envelope_keys, depth: 0, header: None };
    for source in &OWN.sources {
        let id = canh_schema::EventId::from_bytes([0; 16]);
        let mut event = Event::new(id, received, bytes::Bytes::copy_from_slice(bytes));
        source.apply(&mut event, &context, &text);
    }
    let _ = compile::source("fuzz-source", "source.toml", &text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_of_the_program_is_right() {
        let (sources, problems) = own();
        assert_eq!(problems, []);
        assert_eq!(sources.len(), SHIPPED.len());
    }

    #[track_caller]
    fn check_wrong(text: &str, line: Option<usize>, word: &str) {
        let problem = compile::source("a-b", "a-b/source.toml", text).map(|_| ()).unwrap_err();
        assert_eq!(problem.line, line, "{problem}");
        assert!(problem.reason.contains(word), "expected `{word}`: {problem}");
    }

    const HEAD: &str = "about = 'x'\nlogsource = { product = 'x' }\n";

    #[test]
    fn a_mistake_is_named_with_its_line() {
        check_wrong("about = 'x'\nnonsense = 1\n[recognise]\nprograms = ['x']", Some(2), "nonsense");
        let wrong = |rest: &str, line, word| check_wrong(&format!("{HEAD}{rest}"), line, word);
        wrong("[recognise]\nregex = 'x'", Some(3), "`programs`");
        wrong("[recognise]\ncontains = ['']", Some(3), "everything");
        wrong("[recognise]\nprograms = ['x']", None, "`[[kind]]`");
        wrong("time_zone = 'Mars'\n[recognise]\nprograms = ['x']\n[[kind]]\ntemplate = 'a'", Some(3), "time zone");
        wrong("[recognise]\nprograms = ['x']\n[[kind]]\nregex = 'a('", Some(6), "`a(`");
        wrong("[recognise]\nprograms = ['x']\n[[kind]]\ntemplate = 'a {b'", Some(6), "without");
        wrong("[recognise]\nprograms = ['x']\n[[kind]]\ntemplate = 'a'\nregex = 'b'", Some(5), "or a `regex`");
        wrong(
            "[fields]\n'source.ipp' = 'a'\n[recognise]\nprograms = ['x']\n[[kind]]\ntemplate = 'a'",
            Some(4),
            "`source.ip`?",
        );
        wrong(
            "[constants]\n'source.port' = 'a'\n[recognise]\nprograms = ['x']\n[[kind]]\ntemplate = 'a'",
            Some(4),
            "integer",
        );
        wrong("[recognise]\ncef = ['vendor']\n[extract]\nform = 'given'", Some(4), "vendor|product");
        wrong(
            "[recognise]\nprograms = ['x']\n[extract]\nform = 'csv'\n[[kind]]\ncolumns = ['a']\nwhen = { other = '1' }",
            Some(9),
            "among the columns",
        );
        wrong(
            "[recognise]\nprefixes = ['x']\n[extract]\ninner = 'a'\n[[kind]]\nregex = '^(?P<a>.*)'",
            Some(6),
            "whole line",
        );
        wrong(
            "[recognise]\nprefixes = ['x ']\n[extract]\ninner = 'a'\n[[kind]]\ntemplate = '{a}'",
            Some(6),
            "whole line",
        );
        wrong("[recognise]\ncontains = ['x']\n[join]\nstart = 'x'", Some(5), "syslog");
        wrong("[recognise]\nprograms = ['x']\n[join]\nlines_max = 5", Some(5), "`start`");
        wrong("[recognise]\nprograms = ['x']\n[join]\nstart = 'x'\nlines_max = 1", Some(7), "between 2");
        let error = compile::source("nodash", "p", HEAD).map(|_| ()).unwrap_err();
        assert!(error.reason.contains("vendor-product"), "{error}");
    }

    /// A directory with one source of this text, and what comes of a line.
    fn read_with(name: &str, text: &str, line: &str) -> Event {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(name)).unwrap();
        std::fs::write(dir.path().join(name).join("source.toml"), text).unwrap();
        let vendors = Vendors::load(dir.path());
        assert_eq!(vendors.problems(), []);
        let settings = crate::DecodeSettings { vendors: Arc::new(vendors), ..crate::DecodeSettings::default() };
        let received = canh_schema::Timestamp::from_secs(1_793_000_000);
        let payload = bytes::Bytes::copy_from_slice(line.as_bytes());
        let envelope = crate::Envelope::new(crate::Door::Import, received, crate::Framing::Lines, payload);
        crate::decode(&envelope, canh_schema::Position::new(1), 1, &settings).events.remove(0)
    }

    #[test]
    fn records_in_records_end() {
        let text =
            format!("{HEAD}[recognise]\nprefixes = ['x']\n[extract]\ninner = 'a'\n[[kind]]\nregex = '^x(?P<a>.*)'");
        let event = read_with("a-b", &text, &format!("{}end", "x".repeat(50_000)));
        assert!(event.issues.iter().any(|issue| issue.kind == canh_schema::IssueKind::TooDeep), "{:?}", event.issues);
    }

    #[test]
    fn what_a_source_hides_is_hidden_in_lines_that_it_cannot_read() {
        let text = format!(
            "{HEAD}mask = ['code ([0-9]+)']\nhide = ['cookie']\n[recognise]\ncontains = [' ACME ']\n[[kind]]\ntemplate = '{{}} ACME {{event.}} code {{code#}} cookie {{cookie.}} end'"
        );
        for (line, hidden) in [
            ("1 ACME in code 123456 cookie a=bcd end", "1 ACME in code *** cookie *** end"),
            ("1 ACME in code 123456 cook", "1 ACME in code *** cook"),
            ("1 ACME of another kind, code 123456", "1 ACME of another kind, code ***"),
        ] {
            let event = read_with("a-b", &text, line);
            assert_eq!(event.raw, hidden.as_bytes(), "{line}");
            assert_eq!(event.get(field::MESSAGE), Some(&Value::from(hidden)), "{line}");
            assert!(event.attrs.iter().all(|(_, value)| value.as_str() != Some("123456")), "{line}");
        }
    }

    #[test]
    fn a_broken_folder_does_not_stop_the_others() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("a-broken", "about = 1"),
            (
                "b-good",
                "about = 'x'\nlogsource = { product = 'b' }\n[recognise]\nprefixes = ['hello ']\n[[kind]]\ntemplate = 'hello {user.name}'",
            ),
        ] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("source.toml"), text).unwrap();
        }
        let vendors = Vendors::load(dir.path());
        assert!(vendors.is_known("b-good") && !vendors.is_known("a-broken"));
        assert_eq!(vendors.problems().len(), 1);
        assert!(vendors.problems()[0].to_string().contains("a-broken/source.toml:1: "), "{}", vendors.problems()[0]);
        let missing = Vendors::load(&dir.path().join("nowhere"));
        assert_eq!(missing.problems().len(), 1);
        assert_eq!(missing.sources.len(), SHIPPED.len());
    }
}
