//! Secrets that the server makes for the programs beside it, each in a file that only its owner can read.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;

/// Random bytes in a secret.
const LEN: usize = 32;

/// A new secret: 256 random bits as hexadecimal digits.
pub(crate) fn random() -> String {
    let bytes: [u8; LEN] = rand::random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The secret in the file; made at the first call.
pub(crate) fn load_or_make(path: &Path) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Ok(_) => make(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(path),
        Err(error) => Err(error).with_context(|| format!("cannot read the secret in `{}`", path.display())),
    }
}

fn make(path: &Path) -> anyhow::Result<String> {
    let secret = random();
    write(path, &secret)?;
    Ok(secret)
}

/// Writes a secret so that only the owner can read it.
pub(crate) fn write(path: &Path, secret: &str) -> anyhow::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot create `{}`", path.display()))?;
    writeln!(file, "{secret}").with_context(|| format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_for_its_owner_only() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("agent.token");
        let first = load_or_make(&path).expect("made");
        assert_eq!(first.len(), 2 * LEN);
        assert_eq!(load_or_make(&path).expect("read"), first);
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }
}
