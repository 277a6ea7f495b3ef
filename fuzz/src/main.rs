//! One program for every reader of bytes from outside: `CANH_FUZZ_TARGET` names the reader, and libFuzzer looks for bytes
//! that reach new code in it. `cargo xtask fuzz` builds and runs it; docs/fuzzing.md explains.

#![no_main]

use std::path::Path;
use std::process::exit;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

/// Every reader, with the crate that it is in before its name.
fn targets() -> Vec<(String, fn(&[u8]))> {
    let mut all = Vec::new();
    let mut add = |part: &str, name: &str, run: fn(&[u8])| all.push((format!("{part}/{name}"), run));
    canh_collector::format::fuzz_targets().into_iter().for_each(|(name, run)| add("collector", name, run));
    canh_detection::fuzz_targets().into_iter().for_each(|(name, run)| add("detection", name, run));
    canh_ioc::fuzz_targets().iter().for_each(|(name, run)| add("ioc", name, *run));
    canh_yara::fuzz_targets().iter().for_each(|target| add("yara", target.name, target.run));
    canh_packet::fuzz_targets().iter().for_each(|target| add("packet", target.name, target.run));
    all
}

static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

/// Chooses the reader. Without a name the names are printed.
fn choose() {
    let wanted = std::env::var("CANH_FUZZ_TARGET").unwrap_or_default();
    let targets = targets();
    let Some((name, run)) = targets.iter().find(|(name, _)| *name == wanted) else {
        targets.iter().for_each(|(name, _)| println!("{name}"));
        exit(i32::from(!wanted.is_empty()));
    };
    let _ = TARGET.set(*run);
    if let Ok(dir) = std::env::var("CANH_FUZZ_CORPUS") {
        write_samples(name, Path::new(&dir));
    }
}

/// The samples of a format are where the search begins.
fn write_samples(name: &str, dir: &Path) {
    let format = name.strip_prefix("collector/").and_then(canh_collector::format::by_name);
    let samples = format.into_iter().flat_map(|format| format.samples());
    for (number, sample) in samples.enumerate() {
        if let Err(error) = std::fs::write(dir.join(format!("sample-{number}")), sample) {
            eprintln!("cannot write a sample into `{}`: {error}", dir.display());
        }
    }
}

fuzz_target!(init: choose(), |bytes: &[u8]| {
    if let Some(run) = TARGET.get() {
        run(bytes);
    }
});
