//! Every folder of `sources/`: its sample gives what is expected. `UPDATE_EXPECT=1` accepts a change.

use std::path::Path;

use canh_collector::{Saved, prove};

#[test]
fn samples_of_every_source() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("sources");
    let saved = if std::env::var_os("UPDATE_EXPECT").is_some() { Saved::Written } else { Saved::Compared };
    let proofs = prove(&dir, saved);
    let bad: Vec<String> = proofs
        .iter()
        .filter(|proof| !proof.is_good())
        .map(|proof| {
            let problems = proof.problems.iter().map(ToString::to_string);
            format!(
                "{}\n{}",
                proof.name,
                problems.chain(proof.differences.iter().cloned()).collect::<Vec<_>>().join("\n")
            )
        })
        .collect();
    assert!(bad.is_empty(), "{}", bad.join("\n\n"));
    assert!(proofs.iter().all(|proof| proof.events > 0));
}
