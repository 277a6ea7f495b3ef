//! Nothing is lost and nothing doubled, whatever moment the program dies at.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use canh_schema::{Event, EventBatch, Position, TimeRange};
use canh_store::conformance::generate::{Random, batches};
use canh_store::{EventStore, Filter, Hunt, Limit, PageKey, SearchRequest, StoreError};
use canh_store_embedded::{EmbeddedConfig, EmbeddedStore};
use prometheus::Registry;

const SEED: u64 = 77;
const BATCHES: u64 = 24;
/// Set for the process that is going to be killed.
const VICTIM: &str = "CANH_STORE_CRASH_TEST_DIRECTORY";

fn open(path: &Path) -> EmbeddedStore {
    // Few writers, so that partitions are closed and opened again all the time.
    let config =
        EmbeddedConfig { writers_max: 2, window: Duration::from_secs(12 * 3_600), ..EmbeddedConfig::new(path) };
    EmbeddedStore::open(config, &Registry::new()).unwrap()
}

fn journal() -> Vec<EventBatch> {
    batches(SEED, BATCHES, 12)
}

async fn everything(store: &EmbeddedStore) -> Vec<Event> {
    let filter = Filter::new(Hunt::all(), TimeRange::ALL);
    let request = SearchRequest { filter, limit: Limit::new(Limit::MAX).unwrap(), before: None };
    store.search(request).await.unwrap().events
}

/// Appends what the store has not got yet, as the worker of the server does.
async fn replay(store: &EmbeddedStore, journal: &[EventBatch], said: impl Fn(&str)) {
    let cursor = store.cursor();
    for batch in journal.iter().filter(|batch| batch.position > cursor) {
        store.append(Arc::new(batch.clone())).await.unwrap();
        said("appended");
        if batch.position.get().is_multiple_of(2) {
            store.commit().await.unwrap();
            said("committed");
        }
    }
    store.commit().await.unwrap();
    said("done");
}

fn sorted(journal: &[EventBatch]) -> Vec<Event> {
    let mut events: Vec<Event> = journal.iter().flat_map(|batch| batch.events.clone()).collect();
    events.sort_by_key(|event| std::cmp::Reverse(PageKey::of(event)));
    events
}

#[tokio::test]
async fn killed_at_any_moment_and_opened_again() {
    if let Ok(directory) = std::env::var(VICTIM) {
        use std::io::Write;
        let said = |word: &str| {
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "{word}");
            let _ = out.flush();
        };
        return replay(&open(Path::new(&directory)), &journal(), said).await;
    }
    let mut random = Random::new(SEED);
    let journal = journal();
    for round in 0..5 {
        let root = tempfile::tempdir().unwrap();
        // Killed several times in a row, each time a little further on.
        for _ in 0..3 {
            let mut victim = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "killed_at_any_moment_and_opened_again", "--nocapture"])
                .env(VICTIM, root.path())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
            let words = lines.filter(|line| ["appended", "committed", "done"].contains(&line.as_str()));
            let steps = random.below(20);
            // The kill falls somewhere into the step after this one.
            words.take(steps).for_each(drop);
            victim.kill().unwrap();
            victim.wait().unwrap();
        }
        let store = open(root.path());
        replay(&store, &journal, |_| ()).await;
        assert!(everything(&store).await == sorted(&journal), "round {round}: events are missing or doubled");
        assert_eq!(store.cursor(), Position::new(BATCHES));
        assert_eq!(store.stats().await.unwrap().damaged, 0);
    }
}

#[tokio::test]
async fn damaged_partitions_are_put_aside_and_filled_in_again() {
    let journal = journal();
    for damage in ["truncated", "garbage", "no meta", "empty meta"] {
        let root = tempfile::tempdir().unwrap();
        replay(&open(root.path()), &journal, |_| ()).await;
        let partitions = root.path().join("partitions");
        let victim = std::fs::read_dir(&partitions).unwrap().flatten().map(|entry| entry.path()).min().unwrap();
        spoil(&victim, damage);
        let store = open(root.path());
        assert_eq!((store.stats().await.unwrap().damaged, store.cursor()), (1, Position::START), "{damage}");
        assert!(everything(&store).await.len() < sorted(&journal).len(), "{damage}");
        replay(&store, &journal, |_| ()).await;
        assert!(everything(&store).await == sorted(&journal), "{damage}");
    }
}

fn spoil(partition: &Path, damage: &str) {
    let files = || std::fs::read_dir(partition).unwrap().flatten().map(|entry| entry.path());
    match damage {
        "no meta" => std::fs::remove_file(partition.join("meta.json")).unwrap(),
        "empty meta" => std::fs::write(partition.join("meta.json"), "").unwrap(),
        "truncated" => {
            for file in files().filter(|file| file.extension().is_some_and(|extension| extension == "store")) {
                std::fs::OpenOptions::new().write(true).open(file).unwrap().set_len(10).unwrap();
            }
        }
        _ => {
            for file in files().filter(|file| file.extension().is_some_and(|extension| extension == "fast")) {
                std::fs::write(file, [0xa5; 4_096]).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_lost_cursor_means_a_longer_replay_and_nothing_else() {
    let journal = journal();
    for spoilt in [None, Some(""), Some("abc\n"), Some("3\n")] {
        let root = tempfile::tempdir().unwrap();
        replay(&open(root.path()), &journal, |_| ()).await;
        let cursor = root.path().join("cursor");
        match spoilt {
            None => std::fs::remove_file(&cursor).unwrap(),
            Some(text) => std::fs::write(&cursor, text).unwrap(),
        }
        let store = open(root.path());
        assert!(store.cursor() <= Position::new(3));
        replay(&store, &journal, |_| ()).await;
        assert!(everything(&store).await == sorted(&journal), "cursor file: {spoilt:?}");
    }
}

#[tokio::test]
async fn after_a_failed_write_the_journal_is_appended_again() {
    let root = tempfile::tempdir().unwrap();
    let journal = journal();
    let store = open(root.path());
    for batch in &journal[..10] {
        store.append(Arc::new(batch.clone())).await.unwrap();
    }
    store.commit().await.unwrap();
    let (partitions, away) = (root.path().join("partitions"), root.path().join("away"));
    std::fs::rename(&partitions, &away).unwrap();
    let mut failed = None;
    for batch in &journal[10..20] {
        failed = store.append(Arc::new(batch.clone())).await.err();
        if failed.is_some() {
            break;
        }
    }
    if failed.is_none() {
        failed = store.commit().await.err();
    }
    let Some(StoreError::Retry { cursor, .. }) = failed else { panic!("writing to nowhere succeeded: {failed:?}") };
    assert_eq!((cursor, store.cursor()), (Position::new(10), Position::new(10)));
    let _ = std::fs::remove_dir_all(&partitions);
    std::fs::rename(&away, &partitions).unwrap();
    replay(&store, &journal, |_| ()).await;
    assert!(everything(&store).await == sorted(&journal));
}

#[test]
fn a_second_program_is_kept_out() {
    let root = tempfile::tempdir().unwrap();
    let first = open(root.path());
    let second = EmbeddedStore::open(EmbeddedConfig::new(root.path()), &Registry::new());
    assert!(second.err().is_some_and(|error| error.to_string().contains("in use by another program")));
    drop(first);
    open(root.path());
}
