//! `[input.samples]`: which trees are watched, what is taken of them, and how much may be spent.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use canh_schema::ByteSize;
use glob::{MatchOptions, Pattern};
use serde::Deserialize;

use super::kind::Kind;

/// `[input.samples]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplesConfig {
    /// Where the collector takes files over HTTP. The host of `server.url` with port 4318 when left out.
    #[serde(default)]
    pub url: Option<String>,
    /// Pause between two looks at the trees.
    #[serde(default = "interval", with = "canh_config::duration")]
    pub interval: Duration,
    /// What becomes of files that are there when a path is watched for the first time.
    #[serde(default)]
    pub baseline: Baseline,
    /// What becomes of files that were offered before, when the server has other rules.
    #[serde(default)]
    pub new_rules: NewRules,
    /// Longest file that is offered. The server takes `sample_max`, 32MiB by default.
    #[serde(default = "size_max", with = "canh_config::byte_size")]
    pub size_max: ByteSize,
    /// Bytes that are sent in an hour at most; the rest waits.
    #[serde(default = "bytes_per_hour", with = "canh_config::byte_size")]
    pub bytes_per_hour: ByteSize,
    /// Files that are sent in a minute at most; the rest waits.
    #[serde(default = "files_per_minute")]
    pub files_per_minute: NonZeroU32,
    /// Bytes that are read from the disk in a second at most.
    #[serde(default = "read_per_second", with = "canh_config::byte_size")]
    pub read_per_second: ByteSize,
    /// Files that are remembered, at 40 bytes of memory each. More are not watched, and that is counted.
    #[serde(default = "files_max")]
    pub files_max: NonZeroUsize,
    #[serde(default)]
    pub tree: Vec<TreeConfig>,
}

/// `[[input.samples.tree]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeConfig {
    /// Folders with everything below them, or files; `*`, `?` and `[...]` stand for parts of names.
    pub path: Vec<String>,
    /// Names or paths that alone are taken; everything when left out.
    #[serde(default)]
    pub include: Vec<String>,
    /// Names or paths that are left out, folders with all that is in them.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// What is taken: `executables` (ELF, PE and Mach-O by their first bytes, and what may be executed), `scripts` (by
    /// their first line or their name), `all`, which is meant for web roots.
    #[serde(default = "kinds")]
    pub kinds: Vec<Kind>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Baseline {
    /// Only what comes or changes afterwards is offered.
    #[default]
    Remember,
    /// They are offered as well, after what is new.
    Offer,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NewRules {
    /// They are offered again, after what is new.
    #[default]
    Offer,
    Nothing,
}

fn interval() -> Duration {
    Duration::from_secs(60)
}

fn size_max() -> ByteSize {
    ByteSize::mib(32)
}

fn bytes_per_hour() -> ByteSize {
    ByteSize::mib(256)
}

fn files_per_minute() -> NonZeroU32 {
    const { NonZeroU32::new(120).unwrap() }
}

fn read_per_second() -> ByteSize {
    ByteSize::mib(16)
}

fn files_max() -> NonZeroUsize {
    const { NonZeroUsize::new(500_000).unwrap() }
}

fn kinds() -> Vec<Kind> {
    vec![Kind::Executables, Kind::Scripts]
}

impl SamplesConfig {
    /// Where files are offered and sent.
    pub fn base_url(&self, server_url: &str) -> String {
        base_url(self.url.as_deref(), server_url)
    }

    /// What the types alone cannot say.
    pub fn check(&self) -> Result<(), String> {
        check_url("input.samples.url", self.url.as_deref())?;
        if self.tree.is_empty() {
            return Err("`input.samples` watches nothing; add `[[input.samples.tree]]` with a `path`".to_owned());
        }
        if self.interval < Duration::from_secs(1) {
            return Err("`input.samples.interval` is below 1s; the trees would be read all the time".to_owned());
        }
        if self.size_max.bytes() == 0 || self.size_max > self.bytes_per_hour {
            return Err(format!(
                "`input.samples.size_max` is {}; it must be above 0 and at most `bytes_per_hour` ({}), or the largest \
                 files could never be sent",
                self.size_max, self.bytes_per_hour
            ));
        }
        if self.read_per_second < ByteSize::kib(64) {
            return Err(format!("`input.samples.read_per_second` is {}; write at least 64KiB", self.read_per_second));
        }
        for tree in &self.tree {
            tree.check()?;
        }
        Ok(())
    }
}

/// Whether files can be offered at the address that stands under `key`.
pub(super) fn check_url(key: &str, url: Option<&str>) -> Result<(), String> {
    let Some(url) = url else { return Ok(()) };
    let uri: Option<http::Uri> = url.parse().ok();
    if uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()) {
        return Ok(());
    }
    Err(format!("`{key}` is `{url}`; write it as `https://host:4318`, or with `http` without TLS"))
}

/// The configured address, or that of the collector's HTTP door beside the one for gRPC.
pub(super) fn base_url(url: Option<&str>, server_url: &str) -> String {
    let text = url.unwrap_or(server_url);
    let derived = || {
        let uri: http::Uri = server_url.parse().ok()?;
        Some(format!("{}://{}:4318", uri.scheme_str()?, uri.host()?))
    };
    let url = if url.is_none() { derived() } else { None };
    url.unwrap_or_else(|| text.to_owned()).trim_end_matches('/').to_owned()
}

impl TreeConfig {
    fn check(&self) -> Result<(), String> {
        if self.path.is_empty() || self.kinds.is_empty() {
            return Err("an `input.samples.tree` has no `path` or no `kinds`; it would take nothing".to_owned());
        }
        for text in self.path.iter().chain(&self.include).chain(&self.exclude) {
            if let Err(error) = Pattern::new(text) {
                return Err(format!("`input.samples.tree` has `{text}`, which is not a pattern: {error}"));
            }
        }
        for text in &self.path {
            let up = Path::new(text).components().any(|part| part == Component::ParentDir);
            if !text.starts_with('/') || up {
                return Err(format!(
                    "`input.samples.tree` has the path `{text}`; write it from the root, beginning with `/`, without `..`"
                ));
            }
        }
        Ok(())
    }

    /// The same, ready to be asked.
    pub(super) fn selection(&self) -> Selection {
        let patterns = |texts: &[String]| texts.iter().filter_map(|text| NamePattern::new(text)).collect();
        Selection { include: patterns(&self.include), exclude: patterns(&self.exclude), kinds: self.kinds.clone() }
    }

    /// Folders and files that the paths lead to now, the same one only once.
    pub(super) fn roots(&self) -> Vec<RootAt> {
        let mut roots: Vec<RootAt> = self.path.iter().flat_map(|path| roots_of(path)).collect();
        roots.sort();
        roots.dedup();
        roots
    }
}

/// A place that a configured path leads to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct RootAt {
    /// What somebody wrote out; links in it are followed.
    pub(super) base: PathBuf,
    /// What was found below it in place of `*` and its like; no links are followed there.
    pub(super) below: PathBuf,
}

impl RootAt {
    pub(super) fn path(&self) -> PathBuf {
        if self.below.as_os_str().is_empty() { self.base.clone() } else { self.base.join(&self.below) }
    }
}

/// Folders and files that one path leads to now.
pub(super) fn roots_of(text: &str) -> Vec<RootAt> {
    let has_wildcard = |part: &Component<'_>| part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
    let base: PathBuf = Path::new(text).components().take_while(|part| !has_wildcard(part)).collect();
    let plain: PathBuf = Path::new(text).components().collect();
    if base == plain {
        return vec![RootAt { base, below: PathBuf::new() }];
    }
    let Ok(found) = glob::glob(text) else { return Vec::new() };
    let below = |path: PathBuf| path.strip_prefix(&base).map(Path::to_owned).ok();
    let found = found.flatten().take(ROOTS_MAX).filter_map(below);
    found.map(|below| RootAt { base: base.clone(), below }).collect()
}

/// Places that one path with `*` may lead to.
const ROOTS_MAX: usize = 10_000;

/// What is taken of a tree.
#[derive(Debug)]
pub(super) struct Selection {
    include: Vec<NamePattern>,
    exclude: Vec<NamePattern>,
    pub(super) kinds: Vec<Kind>,
}

impl Selection {
    pub(super) fn takes_file(&self, path: &Path) -> bool {
        (self.include.is_empty() || self.include.iter().any(|one| one.matches(path))) && !self.excludes(path)
    }

    /// Also for folders: nothing in them is looked at.
    pub(super) fn excludes(&self, path: &Path) -> bool {
        self.exclude.iter().any(|one| one.matches(path))
    }
}

/// A pattern of names, or of whole paths if there is a `/` in it.
#[derive(Debug)]
struct NamePattern {
    pattern: Pattern,
    whole: bool,
}

impl NamePattern {
    fn new(text: &str) -> Option<Self> {
        Some(Self { pattern: Pattern::new(text).ok()?, whole: text.contains('/') })
    }

    fn matches(&self, path: &Path) -> bool {
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::default() };
        let subject = if self.whole { path } else { path.file_name().map(Path::new).unwrap_or(path) };
        self.pattern.matches_path_with(subject, options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn include_and_exclude_are_about_names_or_paths() {
        let text = r#"
            path = ["/srv"]
            include = ["*.php", "/srv/bin/**"]
            exclude = ["cache", "/srv/*/old.php"]
        "#;
        let tree: TreeConfig = toml::from_str(text).unwrap();
        let selection = tree.selection();
        for (path, taken) in [
            ("/srv/a.php", true),
            ("/srv/a/b/c.php", true),
            ("/srv/a.txt", false),
            ("/srv/bin/a/b", true),
            ("/srv/a/old.php", false),
            ("/srv/a/b/old.php", true),
        ] {
            assert_eq!(selection.takes_file(Path::new(path)), taken, "path: {path}");
        }
        assert!(selection.excludes(Path::new("/srv/a/cache")) && !selection.excludes(Path::new("/srv/cached")));
    }

    #[test]
    fn the_address_follows_from_that_of_the_server() {
        for (url, server, expected) in [
            ("", "http://10.0.0.5:4317", "http://10.0.0.5:4318"),
            ("", "http://[::1]:4317/", "http://[::1]:4318"),
            ("", "https://canh.example.vn:4317", "https://canh.example.vn:4318"),
            ("url = \"http://other:99/\"", "http://10.0.0.5:4317", "http://other:99"),
        ] {
            let config: SamplesConfig = toml::from_str(url).unwrap();
            assert_eq!(config.base_url(server), expected);
        }
    }

    #[test]
    fn what_was_written_out_is_told_from_what_was_found() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().to_owned();
        for name in ["a/web", "b/web", "b/other"] {
            std::fs::create_dir_all(base.join(name)).unwrap();
        }
        let text = format!("path = [\"{0}/*/web\", \"{0}/b/web\"]", base.display());
        let tree: TreeConfig = toml::from_str(&text).unwrap();
        let root = |base: PathBuf, below: &str| RootAt { base, below: below.into() };
        assert_eq!(
            tree.roots(),
            [root(base.clone(), "a/web"), root(base.clone(), "b/web"), root(base.join("b/web"), "")]
        );
    }
}
