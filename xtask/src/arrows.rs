//! Which crate may use which. Data goes one way; no stage imports another; only `canh` knows the order.

use std::collections::BTreeMap;

use serde_json::Value;

/// For each crate of ours the crates of ours that it may depend on. Dev-dependencies are free for `canh-tests` and
/// `canh-datasets`, whose tests hold the stages against each other, and must follow the table everywhere else.
const ALLOWED: &[(&str, &[&str])] = &[
    ("canh-schema", &[]),
    ("canh-config", &["canh-schema"]),
    ("canh-messages", &[]),
    ("canh-wire", &["canh-schema"]),
    ("canh-spool", &[]),
    ("canh-packet", &[]),
    ("canh-agent", &["canh-schema", "canh-config", "canh-wire", "canh-spool", "canh-packet"]),
    ("canh-flows", &[]),
    ("canh-kafka", &[]),
    ("canh-snmp", &[]),
    (
        "canh-collector",
        &["canh-schema", "canh-config", "canh-wire", "canh-spool", "canh-flows", "canh-kafka", "canh-snmp"],
    ),
    ("canh-detection", &["canh-schema"]),
    ("canh-ioc", &["canh-schema"]),
    ("canh-yara", &["canh-schema"]),
    ("canh-store", &["canh-schema"]),
    ("canh-store-embedded", &["canh-schema", "canh-store"]),
    ("canh-console", &["canh-schema", "canh-messages", "canh-store"]),
    ("canh-datasets", &["canh-schema"]),
    (
        "canh",
        &[
            "canh-schema",
            "canh-config",
            "canh-messages",
            "canh-wire",
            "canh-spool",
            "canh-collector",
            "canh-detection",
            "canh-ioc",
            "canh-yara",
            "canh-store",
            "canh-store-embedded",
            "canh-console",
            "canh-datasets",
        ],
    ),
    ("canh-tests", &["canh-schema", "canh-spool", "canh-wire", "canh-datasets"]),
    ("xtask", &[]),
];

/// Crates whose tests may use any stage.
const FREE_IN_TESTS: &[&str] = &["canh-tests", "canh-datasets"];

pub(crate) fn problems(metadata: &Value) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut problems = Vec::new();
    for package in members(metadata) {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(may_use) = allowed.get(name) else {
            problems.push(format!("xtask/src/arrows.rs: crate `{name}` is not in the table of allowed arrows"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let target = dependency["name"].as_str().unwrap_or_default();
            let ours = dependency["path"].is_string();
            let free = dependency["kind"] == "dev" && FREE_IN_TESTS.contains(&name);
            if ours && !free && !may_use.contains(&target) {
                problems.push(format!("{name} -> {target}: this arrow is not allowed; see ARCHITECTURE.md"));
            }
        }
    }
    problems
}

fn members(metadata: &Value) -> impl Iterator<Item = &Value> {
    let ids = metadata["workspace_members"].as_array().cloned().unwrap_or_default();
    metadata["packages"].as_array().into_iter().flatten().filter(move |package| ids.contains(&package["id"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_workspace_keeps_its_arrows() {
        let metadata = crate::tree::metadata().expect("cargo metadata runs in a checkout");
        assert_eq!(problems(&metadata), Vec::<String>::new());
    }

    #[test]
    fn a_stage_that_imports_another_is_named() {
        let metadata = json!({
            "workspace_members": ["a"],
            "packages": [{"id": "a", "name": "canh-detection", "dependencies": [
                {"name": "canh-store", "path": "/store", "kind": null},
                {"name": "canh-schema", "path": "/schema", "kind": null},
            ]}],
        });
        assert_eq!(
            problems(&metadata),
            ["canh-detection -> canh-store: this arrow is not allowed; see ARCHITECTURE.md"]
        );
    }
}
