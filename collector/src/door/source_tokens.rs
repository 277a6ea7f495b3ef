//! Tokens of single sources beside the one that all share: `[[collector.token]]`, for everything that is sent over HTTP or
//! gRPC. The files are looked at again every
//! few seconds, so a source is revoked by emptying or removing its file, and gets a new token by writing one.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use compact_str::CompactString;
use parking_lot::Mutex;
use serde::Deserialize;
use tracing::{info, warn};

use super::secret_file;
use crate::token::{TokenCheck, TokenHash, TokenSet};

/// How long a change of a file may be overlooked.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The most tokens; each request is compared with all of them.
const TOKENS_MAX: usize = 1_000;
const NAME_LEN_MAX: usize = 64;
/// Shorter ones could be guessed.
const TOKEN_LEN_MIN: usize = 16;

/// `[[collector.token]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceToken {
    /// Name of the source: in the field `canh.token` of its events, and on its counters.
    pub name: String,
    /// File with its token, 16 characters or more. Emptied or removed, the source is refused within two seconds.
    pub token_file: PathBuf,
}

/// What is wrong with a list of tokens.
pub(crate) fn check(tokens: &[SourceToken]) -> Result<(), String> {
    let mut names = BTreeSet::new();
    if tokens.len() > TOKENS_MAX {
        return Err(format!("there are {} tokens, and may be {TOKENS_MAX}", tokens.len()));
    }
    for SourceToken { name, .. } in tokens {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if name.is_empty() || name.len() > NAME_LEN_MAX || !name.chars().all(fits) {
            return Err(format!("`{name}` is no name; write up to {NAME_LEN_MAX} of a-z, A-Z, 0-9, `-`, `_`, `.`"));
        }
        if !names.insert(name) {
            return Err(format!("two tokens are named `{name}`; give each source its own name"));
        }
    }
    Ok(())
}

/// The tokens in their files.
#[derive(Debug)]
pub(super) struct SourceTokens {
    files: Vec<SourceToken>,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    looked: Instant,
    stamps: Vec<Stamp>,
    tokens: TokenSet,
}

/// Tells whether a file changed: which one it is, how long, and when it was written. The time that programs can set back,
/// as those that copy files do, says nothing.
type Stamp = Option<(u64, u64, i64, i64)>;

impl SourceTokens {
    pub(super) fn new(files: &[SourceToken]) -> Self {
        let files = files.to_vec();
        let known = Known { looked: Instant::now(), stamps: stamps(&files), tokens: read(&files) };
        Self { files, known: Mutex::new(known) }
    }

    /// The name of the source whose token this is.
    pub(super) fn check(&self, token: &str) -> Option<CompactString> {
        let tokens = {
            let known = &mut *self.known.lock();
            if !self.files.is_empty() && known.looked.elapsed() >= LOOK_EVERY {
                known.looked = Instant::now();
                let stamps = stamps(&self.files);
                if stamps != known.stamps {
                    info!("tokens of sources are read again because a file changed");
                    (known.stamps, known.tokens) = (stamps, read(&self.files));
                }
            }
            known.tokens.clone()
        };
        tokens.check(token)
    }
}

fn stamps(files: &[SourceToken]) -> Vec<Stamp> {
    let stamp = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec()))
    };
    files.iter().map(|file| stamp(&file.token_file)).collect()
}

fn read(files: &[SourceToken]) -> TokenSet {
    let mut tokens: Vec<(CompactString, TokenHash)> = Vec::new();
    for file in files {
        let token = read_one(&file.token_file).map(|token| TokenHash::of(&token)).and_then(|token| {
            let other = tokens.iter().find(|(_, known)| *known == token);
            other.map_or(Ok(token), |(name, _)| Err(format!("holds the token of `{name}`; give each source its own")))
        });
        match token {
            Ok(token) => tokens.push((CompactString::from(&file.name), token)),
            Err(why) => {
                let path = file.token_file.display();
                warn!(token = file.name, "nobody may send as `{}`: its token file `{path}` {why}", file.name);
            }
        }
    }
    TokenSet::new(tokens)
}

fn read_one(path: &Path) -> Result<String, String> {
    match secret_file::read(path)? {
        token if token.len() < TOKEN_LEN_MIN => Err(format!("holds fewer than {TOKEN_LEN_MIN} characters")),
        token => Ok(token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str, path: &Path) -> SourceToken {
        SourceToken { name: name.to_owned(), token_file: path.to_owned() }
    }

    #[test]
    fn lists_that_cannot_work() {
        let check = |names: &[&str], word: &str| {
            let tokens: Vec<_> = names.iter().map(|name| token(name, Path::new("x"))).collect();
            let error = super::check(&tokens).unwrap_err();
            assert!(error.contains(word), "expected `{word}`: {error}");
        };
        check(&["a", "b", "a"], "two tokens are named `a`");
        check(&[""], "is no name");
        check(&["tường lửa"], "is no name");
        check(&vec!["a"; TOKENS_MAX + 1], "1001 tokens");
    }

    #[test]
    fn a_source_is_revoked_by_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let [one, two, short] = ["one", "two", "short"].map(|name| dir.path().join(name));
        fs::write(&one, "first-long-token-1\n").unwrap();
        fs::write(&short, "short").unwrap();
        let tokens = SourceTokens::new(&[token("one", &one), token("two", &two), token("short", &short)]);
        let ask = |text: &str| {
            let since = Instant::now().checked_sub(LOOK_EVERY).unwrap();
            tokens.known.lock().looked = since;
            tokens.check(text)
        };
        assert_eq!(ask("first-long-token-1").as_deref(), Some("one"));
        assert_eq!(ask("short"), None);
        assert_eq!(ask(""), None);
        fs::write(&two, "second-long-token").unwrap();
        assert_eq!(ask("second-long-token").as_deref(), Some("two"));
        // Of two sources with one token, nobody could tell which one sent.
        fs::write(&two, "first-long-token-1").unwrap();
        assert_eq!(ask("first-long-token-1").as_deref(), Some("one"));
        // A file of the same length whose time was set back, as `cp -p` does.
        let written = fs::metadata(&one).unwrap().modified().unwrap();
        fs::write(&one, "other-long-token-1\n").unwrap();
        fs::File::options().append(true).open(&one).unwrap().set_modified(written).unwrap();
        assert_eq!(ask("other-long-token-1").as_deref(), Some("one"));
        fs::write(&one, "first-long-token-1\n").unwrap();
        fs::remove_file(&one).unwrap();
        fs::write(&two, "").unwrap();
        assert_eq!(ask("first-long-token-1"), None);
        assert_eq!(ask("second-long-token"), None);
    }
}
