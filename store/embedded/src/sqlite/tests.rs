//! What only a database on disk can get wrong: damage, foreign files, power cuts, several programs.

use std::fs;
use std::path::Path;

use canh_schema::{Position, Timestamp};
use canh_store::state::{StateError, StateStore, conformance};
use rusqlite::Connection;

use super::SqliteState;

#[tokio::test]
async fn sqlite_conforms() {
    let dir = tempfile::tempdir().expect("a directory");
    let count = std::cell::Cell::new(0);
    conformance::run(async || {
        count.set(count.get() + 1);
        SqliteState::open(&dir.path().join(format!("{}.db", count.get()))).expect("open")
    })
    .await;
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let findings = [conformance::finding("r", "web", 1), conformance::finding("r", "db", 2)];
    let state = SqliteState::open(&path).expect("open");
    let put = state.put_findings(&findings, Position::new(9), Timestamp::from_secs(5)).await.expect("put");
    let before = state.alert(put.opened[1]).await.expect("read");
    // Not closed, as after a crash: the second one reads what is on disk.
    let again = SqliteState::open(&path).expect("open again");
    assert_eq!(again.detection_cursor().await.expect("cursor"), Position::new(9));
    assert_eq!(again.alert(put.opened[1]).await.expect("read"), before);
    again.put_findings(&[], Position::new(11), Timestamp::from_secs(6)).await.expect("put");
    assert_eq!(again.detection_cursor().await.expect("cursor"), Position::new(11));
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let _state = SqliteState::open(&path).expect("open");
    for file in [path.clone(), path.with_extension("db-wal")] {
        let mode = fs::metadata(&file).expect("is there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", file.display());
    }
}

#[track_caller]
fn refusal(path: &Path) -> StateError {
    match SqliteState::open(path) {
        Ok(_) => panic!("`{}` was opened", path.display()),
        Err(error) => error,
    }
}

#[test]
fn what_is_no_state_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");

    let text = dir.path().join("text.db");
    fs::write(&text, "this is a letter, and a rather long one\n".repeat(100)).expect("write");
    assert!(matches!(refusal(&text), StateError::Corrupt { .. }));
    assert!(fs::read_to_string(&text).expect("read").starts_with("this is a letter"));

    let foreign = dir.path().join("foreign.db");
    Connection::open(&foreign).expect("open").execute_batch("CREATE TABLE notes (text)").expect("create");
    let error = refusal(&foreign);
    assert!(matches!(error, StateError::Corrupt { .. }));
    assert!(error.to_string().contains("foreign.db"), "{error}");

    let newer = dir.path().join("newer.db");
    drop(SqliteState::open(&newer).expect("open"));
    Connection::open(&newer).expect("open").pragma_update(None, "user_version", 999).expect("set");
    assert!(matches!(refusal(&newer), StateError::TooNew { found: 999, .. }));
}

#[tokio::test]
async fn a_damaged_file_is_told_from_a_sound_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let findings: Vec<_> = (0..300).map(|n| conformance::finding(&format!("r{n}"), "web", n)).collect();
    let state = SqliteState::open(&path).expect("open");
    state.put_findings(&findings, Position::new(1), Timestamp::from_secs(5)).await.expect("put");
    drop(state);
    Connection::open(&path).expect("open").execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("checkpoint");

    let mut bytes = fs::read(&path).expect("read");
    let middle = bytes.len() / 2;
    for page in bytes[middle..].chunks_mut(4096).take(8) {
        page.fill(0xa5);
    }
    fs::write(dir.path().join("broken.db"), &bytes).expect("write");
    let error = refusal(&dir.path().join("broken.db"));
    assert!(matches!(error, StateError::Corrupt { .. }), "{error}");
}
