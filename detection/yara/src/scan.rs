//! Compiled rules, and the scan of one sample with everything inside it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use boreal::scanner::{
    CallbackEvents, EvaluatedRule, ScanCallbackResult, ScanError, ScanEvent, ScanParams, StringIdentifier,
};
use boreal::{Metadata, MetadataValue};
use md5::{Digest, Md5};
use sha2::Sha256;

use crate::compile::EXTERNALS;
use crate::excerpt::Excerpt;
use crate::report::{GapReason, Hit, Member, Meta, RuleMatch, SampleHashes, ScanReport};
use crate::sniff;
use crate::unpack::{self, Sink};

/// Bytes of a hit that are shown.
const EXCERPT_LEN: usize = 32;
const META_MAX: usize = 32;
const META_LEN_MAX: usize = 1_024;
/// Longest name of one member that is kept, in characters.
const NAME_LEN_MAX: usize = 255;
/// A small archive may unpack to this much whatever its ratio is.
const RATIO_FLOOR: u64 = 4 << 20;

/// What the rules may ask about a sample beside its bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SampleInfo {
    pub filename: String,
    pub filepath: String,
    /// With the dot: `.exe`.
    pub extension: String,
    /// `EXE`, `ELF`, `PDF` and the like. Taken from the first bytes if it is empty.
    pub filetype: String,
    pub owner: String,
}

impl SampleInfo {
    /// Name and extension from a path with slashes or backslashes.
    pub fn of_path(path: &str) -> Self {
        let filename = path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
        let extension = match filename.rfind('.') {
            Some(at) if at > 0 => filename[at..].to_ascii_lowercase(),
            _ => String::new(),
        };
        Self { filename, filepath: path.to_owned(), extension, ..Self::default() }
    }
}

/// How much a scan may spend. Each limit that is hit is in the report by name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScanLimits {
    /// Bytes of the sample, and of each member, that are scanned.
    pub bytes_max: u64,
    /// Time for the sample with everything inside it.
    pub time_max: Duration,
    /// Matches of one string that are counted.
    pub string_matches_max: u32,
    /// Hits of one rule that are reported.
    pub hits_max: usize,
    /// Matching rules that are reported.
    pub rules_max: usize,
    /// Archives inside archives. 0 opens none.
    pub depth_max: u32,
    /// Members of all archives of the sample together.
    pub members_max: u32,
    /// Bytes of all members of the sample together.
    pub unpacked_max: u64,
    /// How many times its own size a sample may unpack to.
    pub ratio_max: u64,
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self {
            bytes_max: 64 << 20,
            time_max: Duration::from_secs(30),
            string_matches_max: 10_000,
            hits_max: 32,
            rules_max: 256,
            depth_max: 6,
            members_max: 10_000,
            unpacked_max: 256 << 20,
            ratio_max: 250,
        }
    }
}

/// Compiled rules. It is `Send` and `Sync`: threads share one behind an `Arc`, and whoever reloads rules swaps it.
#[derive(Clone, Debug)]
pub struct Scanner {
    rules: boreal::Scanner,
}

impl Scanner {
    pub(crate) fn new(rules: boreal::Scanner) -> Self {
        Self { rules }
    }

    /// Rules in force, private ones included.
    pub fn rule_count(&self) -> usize {
        self.rules.rules().count()
    }

    /// Scans a sample and, within the limits, what is packed inside it. Never fails: what could not be looked at is in
    /// the report's gaps.
    pub fn scan(&self, bytes: &[u8], info: &SampleInfo, limits: &ScanLimits) -> ScanReport {
        let report = ScanReport {
            size: bytes.len() as u64,
            hashes: SampleHashes { md5: hex(&Md5::digest(bytes)), sha256: hex(&Sha256::digest(bytes)) },
            ..ScanReport::default()
        };
        let deadline = Instant::now() + limits.time_max;
        let mut walk =
            Walk { rules: &self.rules, info, limits, report, deadline, unpacked: 0, path: Vec::new(), over: false };
        walk.look(bytes);
        walk.report
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// The way through one sample.
struct Walk<'a> {
    rules: &'a boreal::Scanner,
    info: &'a SampleInfo,
    limits: &'a ScanLimits,
    report: ScanReport,
    deadline: Instant,
    /// Bytes unpacked so far.
    unpacked: u64,
    /// Names of the members around what is looked at now, the outermost first.
    path: Vec<String>,
    /// A limit of the whole sample was hit.
    over: bool,
}

impl Walk<'_> {
    fn look(&mut self, bytes: &[u8]) {
        self.scan(bytes);
        if self.is_over() {
            return;
        }
        let packing = sniff::packing(bytes);
        let carrier = if packing.is_none() { sniff::carrier(bytes) } else { None };
        let is_zip_behind = packing.is_none() && sniff::ends_like_zip(bytes);
        if packing.is_none() && carrier.is_none() && !is_zip_behind {
            return;
        }
        if self.path.len() >= self.limits.depth_max as usize {
            return self.gap(GapReason::Depth, "");
        }
        if carrier.is_some() {
            unpack::open(bytes, carrier, self);
        }
        // A text may have a zip behind it as well as a program.
        if (packing.is_some() || is_zip_behind) && !self.is_over() {
            unpack::open(bytes, packing, self);
        }
    }

    fn scan(&mut self, whole: &[u8]) {
        let len_max = usize::try_from(self.limits.bytes_max).unwrap_or(usize::MAX);
        let bytes = whole.get(..len_max).unwrap_or(whole);
        if bytes.len() < whole.len() {
            self.gap(GapReason::FileBytes, "");
        }
        let Some(left) = self.deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
            self.gap(GapReason::Time, "");
            self.over = true;
            return;
        };
        let scanner = self.prepared(bytes, left);
        let at = self.at("");
        let mut found = Found { scanner: &scanner, limits: self.limits, whole, at: &at, report: &mut self.report };
        found.report.bytes_scanned += bytes.len() as u64;
        // The engine is somebody else's and the bytes are hostile: one file must not take the scanner down.
        let outcome =
            catch_unwind(AssertUnwindSafe(|| scanner.scan_mem_with_callback(bytes, |event| found.take(event))));
        match outcome {
            Ok(Ok(())) => (),
            Ok(Err(ScanError::Timeout)) => {
                self.report.gap(GapReason::Time, &at);
                self.over = true;
            }
            Ok(Err(_)) | Err(_) => self.report.gap(GapReason::Engine, &at),
        }
    }

    /// A scanner with the variables of what is scanned. Clones share the rules.
    fn prepared(&self, bytes: &[u8], left: Duration) -> boreal::Scanner {
        let mut scanner = self.rules.clone();
        let own;
        let info = match self.path.last() {
            None => self.info,
            Some(name) => {
                own = SampleInfo { filepath: self.at(""), owner: self.info.owner.clone(), ..SampleInfo::of_path(name) };
                &own
            }
        };
        let filetype = if info.filetype.is_empty() { sniff::filetype(bytes) } else { &info.filetype };
        let values = [&info.filename, &info.filepath, &info.extension, filetype, &info.owner];
        for (name, value) in EXTERNALS.into_iter().zip(values) {
            // All of them are defined as texts when rules are compiled.
            let _ = scanner.define_symbol(name, value);
        }
        scanner.set_scan_params(
            ScanParams::default()
                .compute_full_matches(true)
                .match_max_length(EXCERPT_LEN)
                .string_max_nb_matches(self.limits.string_matches_max)
                .timeout_duration(Some(left))
                .callback_events(CallbackEvents::RULE_MATCH | CallbackEvents::STRING_REACHED_MATCH_LIMIT),
        );
        scanner
    }

    /// Where a member of what is looked at now is, from the outside in. Empty for the sample itself.
    fn at(&self, member: &str) -> String {
        let name = if self.info.filename.is_empty() { "sample" } else { &self.info.filename };
        let members = self.path.iter().map(String::as_str).chain([member]).filter(|member| !member.is_empty());
        let members: Vec<&str> = members.collect();
        if members.is_empty() { String::new() } else { format!("{name}!/{}", members.join("!/")) }
    }
}

/// Takes what the engine finds into the report.
struct Found<'a> {
    scanner: &'a boreal::Scanner,
    limits: &'a ScanLimits,
    /// The sample or member.
    whole: &'a [u8],
    /// Where the member is; empty for the sample itself.
    at: &'a str,
    report: &'a mut ScanReport,
}

impl Found<'_> {
    fn take(&mut self, event: ScanEvent<'_, '_>) -> ScanCallbackResult {
        match event {
            ScanEvent::RuleMatch(rule) => self.matched(&rule),
            ScanEvent::StringReachedMatchLimit(StringIdentifier { rule_name, string_name, .. }) => {
                let at = format!("{} rule {rule_name} ${string_name}", self.at);
                self.report.gap(GapReason::StringMatches, at.trim_start());
            }
            _ => (),
        }
        ScanCallbackResult::Continue
    }

    fn matched(&mut self, rule: &EvaluatedRule<'_>) {
        if self.report.matches.len() >= self.limits.rules_max {
            return self.report.gap(GapReason::Rules, self.at);
        }
        let mut hits: Vec<Hit> = Vec::new();
        let mut left_off = 0;
        // Every string gets its share of the report before one of them takes it all.
        let share = (self.limits.hits_max / rule.matches.len().max(1)).max(1);
        for string in &rule.matches {
            let room = self.limits.hits_max.saturating_sub(hits.len()).min(share);
            left_off += string.matches.len().saturating_sub(room) as u64;
            hits.extend(string.matches.iter().take(room).map(|found| Hit {
                identifier: format!("${}", string.name),
                offset: found.offset as u64,
                len: found.length as u64,
                excerpt: Excerpt::of(&found.data, EXCERPT_LEN),
            }));
        }
        if left_off > 0 {
            self.report.gap(GapReason::Hits, format!("{} rule {}", self.at, rule.name).trim_start());
        }
        let member = (!self.at.is_empty()).then(|| Member {
            path: self.at.to_owned(),
            size: self.whole.len() as u64,
            sha256: self.member_sha256(),
        });
        self.report.matches.push(RuleMatch {
            rule: rule.name.to_owned(),
            namespace: rule.namespace.to_owned(),
            tags: rule.tags.iter().map(|tag| self.scanner.get_string_symbol(*tag).to_owned()).collect(),
            meta: rule.metadatas.iter().take(META_MAX).map(|meta| self.meta(meta)).collect(),
            member,
            hits,
            hits_left_off: left_off,
        });
    }

    /// Computed once, and only for a member that something matches.
    fn member_sha256(&mut self) -> String {
        let known = self.report.matches.last().and_then(|last| last.member.as_ref());
        match known.filter(|member| member.path == self.at && member.size == self.whole.len() as u64) {
            Some(member) => member.sha256.clone(),
            None => hex(&Sha256::digest(self.whole)),
        }
    }

    fn meta(&self, meta: &Metadata) -> Meta {
        let value = match meta.value {
            MetadataValue::Bytes(bytes) => String::from_utf8_lossy(self.scanner.get_bytes_symbol(bytes)).into_owned(),
            MetadataValue::Integer(number) => number.to_string(),
            MetadataValue::Boolean(value) => value.to_string(),
        };
        Meta {
            name: self.scanner.get_string_symbol(meta.name).to_owned(),
            value: value.chars().take(META_LEN_MAX).collect(),
        }
    }
}

impl Sink for Walk<'_> {
    fn is_over(&self) -> bool {
        self.over
    }

    fn begin(&mut self, name: &str) -> bool {
        if self.report.members >= self.limits.members_max {
            self.gap(GapReason::Members, name);
            self.over = true;
        }
        self.report.members += u32::from(!self.over);
        !self.over
    }

    fn grow(&mut self, name: &str, member_len: u64, added: u64) -> bool {
        self.unpacked += added;
        let ratio_max = self.report.size.saturating_mul(self.limits.ratio_max).max(RATIO_FLOOR);
        let reason = if self.unpacked > self.limits.unpacked_max {
            GapReason::UnpackedBytes
        } else if self.unpacked > ratio_max {
            GapReason::Ratio
        } else if Instant::now() >= self.deadline {
            GapReason::Time
        } else {
            // One byte more than is scanned, so that the scan notices that there was more.
            return member_len <= self.limits.bytes_max;
        };
        self.gap(reason, name);
        self.over = true;
        false
    }

    fn member(&mut self, name: &str, bytes: &[u8]) {
        let name = if name.is_empty() { "unnamed" } else { name };
        self.path.push(name.chars().take(NAME_LEN_MAX).collect());
        // What is there of a member at which a limit was hit is scanned too, if there is time.
        if self.over {
            self.scan(bytes)
        } else {
            self.look(bytes)
        }
        self.path.pop();
    }

    fn gap(&mut self, reason: GapReason, member: &str) {
        let at = self.at(member);
        self.report.gap(reason, &at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, filename: &str, extension: &str) {
        let info = SampleInfo::of_path(path);
        assert_eq!((info.filename.as_str(), info.extension.as_str()), (filename, extension), "path: {path}");
    }

    #[test]
    fn names_and_extensions() {
        check("/var/www/html/a.JSP", "a.JSP", ".jsp");
        check("C:\\Users\\Public\\run.tar.gz", "run.tar.gz", ".gz");
        check(".bashrc", ".bashrc", "");
        check("noext", "noext", "");
        check("", "", "");
        check("a.", "a.", ".");
    }
}
