//! Lists the folders of `sources/`, so that each is in the program without a line of code.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let variable = |name: &str| env::var_os(name).map(PathBuf::from).ok_or_else(|| io::Error::other(name.to_owned()));
    let dir = variable("CARGO_MANIFEST_DIR")?.join("sources");
    println!("cargo::rerun-if-changed={}", dir.display());
    let mut folders: Vec<PathBuf> =
        fs::read_dir(&dir)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    folders.retain(|path| path.join("source.toml").is_file());
    folders.sort();
    let mut list = String::from("[\n");
    for folder in &folders {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let file = folder.join("source.toml");
        // Writing to a text cannot fail.
        let _ = writeln!(list, "    ({name:?}, include_str!({:?})),", file.display().to_string());
    }
    list.push_str("]\n");
    fs::write(Path::new(&variable("OUT_DIR")?).join("shipped_sources.rs"), list)
}
