//! The checked-in description of the API is the one of this program.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value as Json;

#[test]
fn the_checked_in_description_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let kept = fs::read_to_string(path).expect("console/openapi.json is there");
    assert!(kept == canh_console::openapi_json(), "console/openapi.json is stale; run `./dev codegen`");
}

/// Every operation: method, path, description.
pub(crate) fn operations() -> Vec<(String, String, Json)> {
    let description: Json = serde_json::from_str(&canh_console::openapi_json()).expect("is JSON");
    let paths = description["paths"].as_object().expect("has paths").clone();
    let mut operations = Vec::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("has methods") {
            operations.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    operations
}

#[test]
fn every_operation_has_a_name_of_its_own_a_summary_and_an_error() {
    let mut names = BTreeSet::new();
    for (method, path, operation) in operations() {
        let name = operation["operationId"].as_str().expect("has a name").to_owned();
        assert!(names.insert(name.clone()), "two operations are named `{name}`");
        assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{method} {path}");
        let security = operation["security"].as_array().expect("says who may call it");
        assert!(!security.is_empty(), "{method} {path}");
        let errors =
            operation["responses"].as_object().expect("has answers").keys().filter(|code| !code.starts_with('2'));
        assert!(errors.count() > 0, "{method} {path}");
    }
}
