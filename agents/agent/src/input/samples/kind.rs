//! What kind of file this is, from its permissions, its name and its first bytes.

use std::path::Path;

use serde::Deserialize;

/// What is taken of a tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Executables,
    Scripts,
    All,
}

/// First bytes that are enough to tell.
pub(super) const HEAD_LEN: usize = 4;

/// Names of what interpreters and shells of Linux, Windows and web servers run.
const SCRIPT_EXTENSIONS: &[&str] = &[
    "ash", "asp", "aspx", "bash", "bat", "cfm", "cgi", "cmd", "csh", "fish", "hta", "htaccess", "jar", "js", "jse",
    "jsp", "jspx", "ksh", "lua", "mjs", "php", "php3", "php4", "php5", "php7", "phtml", "pl", "pm", "ps1", "psm1",
    "py", "pyc", "pyw", "rb", "sh", "tcl", "vb", "vbe", "vbs", "war", "wsf", "wsh", "zsh",
];

/// Whether the first bytes do not matter. `None` if they have to be looked at.
pub(super) fn by_name(kinds: &[Kind], path: &Path, mode: u32) -> Option<bool> {
    let takes = |kind| kinds.contains(&kind);
    if takes(Kind::All) || (takes(Kind::Executables) && mode & 0o111 != 0) {
        return Some(true);
    }
    let extension = path.extension().map(|text| text.to_string_lossy().to_ascii_lowercase());
    // A name like `.htaccess` has no extension, and says as much.
    let name = path.file_name().and_then(|text| text.to_string_lossy().strip_prefix('.').map(str::to_ascii_lowercase));
    let known = |text: Option<String>| text.is_some_and(|text| SCRIPT_EXTENSIONS.contains(&text.as_str()));
    if takes(Kind::Scripts) && (known(extension) || known(name)) { Some(true) } else { None }
}

/// The same from the first bytes.
pub(super) fn by_head(kinds: &[Kind], head: &[u8]) -> bool {
    (kinds.contains(&Kind::Executables) && is_program(head))
        || (kinds.contains(&Kind::Scripts) && head.starts_with(b"#!"))
}

/// ELF; PE and what else begins as DOS programs do; Mach-O of both byte orders, and of several processors.
fn is_program(head: &[u8]) -> bool {
    const MACH_O: [u32; 5] = [0xFEED_FACE, 0xFEED_FACF, 0xCEFA_EDFE, 0xCFFA_EDFE, 0xCAFE_BABE];
    let number = head.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
    head.starts_with(b"\x7fELF") || head.starts_with(b"MZ") || number.is_some_and(|number| MACH_O.contains(&number))
}

#[cfg(test)]
mod tests {
    use super::Kind::{All, Executables, Scripts};
    use super::*;

    #[track_caller]
    fn check(kinds: &[Kind], path: &str, mode: u32, head: &[u8], expected: bool) {
        let taken = by_name(kinds, Path::new(path), mode).unwrap_or_else(|| by_head(kinds, head));
        assert_eq!(taken, expected, "{kinds:?} {path} {mode:o} {head:?}");
    }

    #[test]
    fn kinds() {
        check(&[All], "/www/a.png", 0o644, b"\x89PNG", true);
        check(&[Executables], "/bin/a", 0o755, b"", true);
        check(&[Executables], "/tmp/a", 0o644, b"\x7fELF", true);
        check(&[Executables], "/tmp/a.dat", 0o600, b"MZ\x90\x00", true);
        check(&[Executables], "/tmp/a", 0o644, b"\xcf\xfa\xed\xfe", true);
        check(&[Executables], "/tmp/a", 0o644, b"\xca\xfe\xba\xbe", true);
        check(&[Executables], "/tmp/a", 0o644, b"\x7fEL", false);
        check(&[Executables], "/tmp/a", 0o644, b"M", false);
        check(&[Executables], "/tmp/a.sh", 0o644, b"#!/b", false);
        check(&[Scripts], "/tmp/a", 0o644, b"#!/b", true);
        check(&[Scripts], "/tmp/a.PHP", 0o644, b"", true);
        check(&[Scripts], "/www/.htaccess", 0o644, b"AddT", true);
        check(&[Scripts], "/tmp/a.txt", 0o755, b"text", false);
        check(&[Scripts], "/tmp/sh", 0o755, b"\x7fELF", false);
        check(&[Executables, Scripts], "/tmp/a.txt", 0o644, b"text", false);
    }
}
