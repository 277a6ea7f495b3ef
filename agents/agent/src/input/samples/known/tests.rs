//! What survives a kill, a torn write and a long absence.

use super::*;

fn open(dir: &Path) -> (Known, Opened) {
    Known::open(dir, 1_000_000).unwrap()
}

#[test]
fn what_the_server_took_survives_a_kill_and_the_rest_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let (mut known, opened) = open(dir.path());
    assert_eq!(opened, Opened::Empty);
    let (a, b) = (known.key_of(Path::new("/a")), known.key_of(Path::new("/b")));
    known.rules = 9;
    known.put_taken(a, 1, 2, 100);
    known.put(b, 3, 0, 100);
    drop(known); // a kill: nothing was stored

    let (mut known, opened) = open(dir.path());
    assert_eq!((opened, known.rules, known.get(b)), (Opened::Read, 9, None));
    let entry = *known.get(a).unwrap();
    assert_eq!((entry.stat, entry.content, entry.rules, entry.is_gone()), (1, 2, 9, false));
    known.put(b, 3, 0, 100);
    known.set_baselined(["/srv".to_owned()]);
    known.store().unwrap();
    assert!(!dir.path().join("samples.log").exists());
    drop(known);
    let (known, _) = open(dir.path());
    assert_eq!((known.get(b).map(|entry| entry.stat), known.len(), known.is_baselined("/srv")), (Some(3), 2, true));
}

#[test]
fn a_torn_log_and_a_damaged_file_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut known, _) = open(dir.path());
    let keys = ["/a", "/b"].map(|path| known.key_of(Path::new(path)));
    keys.iter().for_each(|key| known.put_taken(*key, 1, 2, 100));
    drop(known);
    let log = dir.path().join("samples.log");
    let bytes = fs::read(&log).unwrap();
    for (change, expected) in [(bytes.len() - 1, 1), (3, 0), (LOG_RECORD_LEN + 5, 1)] {
        let mut torn = bytes[..bytes.len().min(change + LOG_RECORD_LEN)].to_vec();
        torn[change] ^= 1;
        fs::write(&log, torn).unwrap();
        assert_eq!(open(dir.path()).0.len(), expected, "byte {change}");
    }
    fs::write(&log, &bytes).unwrap();
    open(dir.path()).0.store().unwrap();
    let path = dir.path().join("samples.known");
    let mut stored = fs::read(&path).unwrap();
    let at = stored.len() - 40;
    stored[at] ^= 1;
    fs::write(&path, stored).unwrap();
    let (known, opened) = open(dir.path());
    assert_eq!((opened, known.len()), (Opened::Damaged, 0));
    assert!(dir.path().join("samples.damaged").exists());
}

#[test]
fn what_is_not_seen_is_gone_and_later_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let (mut known, _) = open(dir.path());
    let keys = ["/a", "/b"].map(|path| known.key_of(Path::new(path)));
    keys.iter().for_each(|key| known.put(*key, 1, 2, 100));
    known.end_look(100);
    assert!(!known.note_seen(keys[0], 101) && known.note_seen(keys[0], 101));
    known.end_look(101);
    let gone = |known: &Known| keys.map(|key| known.get(key).map(Entry::is_gone));
    assert_eq!(gone(&known), [Some(false), Some(true)]);
    known.store().unwrap();
    let mut known = open(dir.path()).0;
    assert_eq!(gone(&known), [Some(false), Some(true)]);
    known.note_seen(keys[0], 100 + GONE_DAYS + 1);
    known.end_look(100 + GONE_DAYS + 1);
    assert_eq!(gone(&known), [Some(false), None]);
}

#[test]
fn many_are_found_again_and_no_more_than_allowed_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (mut known, _) = Known::open(dir.path(), 20_000).unwrap();
    for number in 0..20_000_u64 {
        assert!(known.has_room());
        let key = known.key_of(Path::new(&format!("/{number}")));
        known.put(key, number, 0, 100);
    }
    assert!(!known.has_room());
    known.end_look(100);
    for number in 0..20_000_u64 {
        let key = known.key_of(Path::new(&format!("/{number}")));
        assert_eq!(known.get(key).map(|entry| entry.stat), Some(number));
    }
}
