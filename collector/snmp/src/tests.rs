//! Whole datagrams through the engine, and modules through the reader.

use crate::ber;
use crate::message::{self, Head, Message, Scoped};
use crate::notification::report;
use crate::*;

const TRAP_OID: &[u32] = &[1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0];
const LINK_DOWN: &[u32] = &[1, 3, 6, 1, 6, 3, 1, 1, 5, 3];

fn pdu(tag: u8, request: i64) -> Vec<u8> {
    let mut list = Vec::new();
    let mut pair = |name: &[u32], tag: u8, content: &[u8]| {
        let mut inner = Vec::new();
        ber::put_object_id(&mut inner, name);
        ber::put(&mut inner, tag, content);
        list.extend_from_slice(&message::sequence(&inner));
    };
    pair(&[1, 3, 6, 1, 2, 1, 1, 3, 0], 0x43, &[1, 0]);
    let mut oid = Vec::new();
    ber::put_object_id(&mut oid, LINK_DOWN);
    pair(TRAP_OID, ber::OBJECT_ID, &oid[2..]);
    pair(&[1, 3, 6, 1, 2, 1, 2, 2, 1, 1, 3], ber::INTEGER, &[3]);
    let mut inner = Vec::new();
    for number in [request, 0, 0] {
        ber::put_integer(&mut inner, ber::INTEGER, number);
    }
    inner.extend_from_slice(&message::sequence(&list));
    let mut out = Vec::new();
    ber::put(&mut out, tag, &inner);
    out
}

fn user() -> User {
    User::new("an", Some((Auth::Sha256, "authpassword")), Some((Privacy::Aes128, "privpassword"))).unwrap()
}

fn engine() -> Engine {
    let community = Community { name: "core".to_owned(), text: "s3cret".to_owned() };
    Engine::new(b"receiver".to_vec(), 5, vec![community], vec![user()])
}

fn judge(engine: &mut Engine, datagram: &[u8], now: i64) -> Verdict {
    engine.judge(datagram, [192, 0, 2, 1].into(), now)
}

/// A message of the user, encrypted; its variables are of another engine.
fn secured(engine: &[u8], clock: (i64, i64), flags: u8, pdu: &[u8]) -> Vec<u8> {
    let user = user();
    let scoped = Scoped { engine: b"proxied", context: b"ctx", pdu }.write();
    let salt = [9; 8];
    let data = user.encrypt(engine, clock, salt, &scoped).unwrap();
    let head = Head { id: 77, flags, engine, boots: clock.0, time: clock.1, user: b"an", auth_len: 24, privacy: &salt };
    let mut message = head.write(&data);
    let at = match Message::read(&message) {
        Ok(Message::Secured(written)) => written.auth_at,
        other => panic!("{other:?}"),
    };
    user.sign(engine, &mut message, at);
    message
}

#[track_caller]
fn taken(verdict: Verdict) -> Taken {
    match verdict {
        Verdict::Take(taken) => taken,
        other => panic!("not taken: {other:?}"),
    }
}

#[test]
fn communities() {
    let mut engine = engine();
    let trap = taken(judge(&mut engine, &message::write_plain(1, b"s3cret", &pdu(0xa7, 1)), 0));
    assert_eq!(trap.answer, None);
    let record = Record::read(&trap.record).unwrap();
    assert_eq!((record.version, record.name), (Version::V2c, b"core".as_slice()));
    let notification = Notification::read(record.pdu, 10).unwrap();
    assert_eq!((notification.trap.as_slice(), notification.uptime), (LINK_DOWN, Some(256)));
    assert_eq!(notification.variables[0].value, Value::Integer(3));
    assert!(!trap.record.windows(6).any(|part| part == b"s3cret"), "the community is in the journal");

    let inform = taken(judge(&mut engine, &message::write_plain(1, b"s3cret", &pdu(0xa6, 7)), 0));
    let (answer, request) = inform.answer.unwrap();
    assert_eq!(request, 7);
    match Message::read(&answer) {
        Ok(Message::Plain { community: b"s3cret", pdu, .. }) => assert_eq!(pdu[0], 0xa2),
        other => panic!("{other:?}"),
    }
    let refused = |engine: &mut Engine, datagram: &[u8], reason| {
        assert_eq!(judge(engine, datagram, 0), Verdict::Refuse(reason, None));
    };
    refused(&mut engine, &message::write_plain(1, b"public", &pdu(0xa7, 1)), Refused::Unauthenticated);
    refused(&mut engine, &message::write_plain(1, b"s3cret", &pdu(0xa0, 1)), Refused::NoNotification);
    refused(&mut engine, b"nonsense", Refused::Malformed);
    refused(&mut engine, &message::write_plain(1, b"s3cret", &report(1, 1, 1)), Refused::NoNotification);
}

#[test]
fn users() {
    let mut engine = engine();
    let trap = secured(b"device", (1, 100), 3, &pdu(0xa7, 1));
    let first = taken(judge(&mut engine, &trap, 50));
    let record = Record::read(&first.record).unwrap();
    assert_eq!(
        (record.level, record.engine, record.context_engine, record.context),
        (Level::AuthPriv, b"device".as_slice(), b"proxied".as_slice(), b"ctx".as_slice())
    );
    assert!(Notification::read(record.pdu, 10).is_ok());
    // The same bytes much later are a recording; so is anything of an earlier start.
    assert_eq!(judge(&mut engine, &trap, 300), Verdict::Refuse(Refused::NotInTime, None));
    assert!(matches!(judge(&mut engine, &secured(b"device", (2, 0), 3, &pdu(0xa7, 2)), 300), Verdict::Take(_)));
    assert_eq!(
        judge(&mut engine, &secured(b"device", (1, 360), 3, &pdu(0xa7, 3)), 300),
        Verdict::Refuse(Refused::NotInTime, None)
    );
    let mut forged = trap.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(judge(&mut engine, &forged, 50), Verdict::Refuse(Refused::Unauthenticated, None));

    // An inform: whose engine, what time, and then the message itself.
    let report_of = |verdict: Verdict| match verdict {
        Verdict::Report(report) => report,
        other => panic!("no report: {other:?}"),
    };
    let report = report_of(judge(&mut engine, &secured(b"", (0, 0), 7, &pdu(0xa6, 1)), 60));
    match Message::read(&report) {
        Ok(Message::Secured(said)) => assert_eq!((said.engine, said.boots, said.time), (b"receiver".as_slice(), 5, 60)),
        other => panic!("{other:?}"),
    }
    let report = report_of(judge(&mut engine, &secured(b"receiver", (0, 0), 7, &pdu(0xa6, 1)), 60));
    assert!(matches!(Message::read(&report), Ok(Message::Secured(said)) if said.flags == message::AUTH));
    let inform = taken(judge(&mut engine, &secured(b"receiver", (5, 60), 7, &pdu(0xa6, 1)), 61));
    let (answer, _) = inform.answer.unwrap();
    let Ok(Message::Secured(said)) = Message::read(&answer) else { panic!("{answer:?}") };
    assert!(user().verify(said.engine, &answer, said.auth_at.clone()));
    let clear = user().decrypt(said.engine, (said.boots, said.time), said.privacy, said.data).unwrap();
    assert_eq!(Scoped::read(&clear).unwrap().pdu[0], 0xa2);
    let held_back = (0..200)
        .filter(|_| matches!(judge(&mut engine, &secured(b"", (0, 0), 7, &pdu(0xa6, 1)), 70), Verdict::Refuse(..)));
    assert_eq!((held_back.count(), engine.take_held_back(), engine.take_held_back()), (150, 150, 0));
    let stranger =
        Head { id: 1, flags: 4, engine: b"receiver", boots: 5, time: 60, user: b"x", auth_len: 0, privacy: b"" };
    let scoped = Scoped { engine: b"", context: b"", pdu: &pdu(0xa6, 1) }.write();
    assert!(matches!(
        judge(&mut engine, &stranger.write(&scoped), 61),
        Verdict::Refuse(Refused::Unauthenticated, Some(_))
    ));
}

#[test]
fn a_trap_of_version_1_gets_its_name_of_version_2() {
    let check = |generic: i64, specific: i64, expected: &[u32]| {
        let mut inner = Vec::new();
        ber::put_object_id(&mut inner, &[1, 3, 6, 1, 4, 1, 9]);
        ber::put(&mut inner, 0x40, &[10, 0, 0, 1]);
        ber::put_integer(&mut inner, ber::INTEGER, generic);
        ber::put_integer(&mut inner, ber::INTEGER, specific);
        ber::put(&mut inner, 0x43, &[5]);
        ber::put(&mut inner, ber::SEQUENCE, &[]);
        let mut pdu = Vec::new();
        ber::put(&mut pdu, 0xa4, &inner);
        let notification = Notification::read(&pdu, 10).unwrap();
        assert_eq!(notification.trap, expected);
        assert_eq!(notification.agent, Some([10, 0, 0, 1].into()));
    };
    check(0, 0, &[1, 3, 6, 1, 6, 3, 1, 1, 5, 1]);
    check(3, 0, &[1, 3, 6, 1, 6, 3, 1, 1, 5, 4]);
    check(6, 42, &[1, 3, 6, 1, 4, 1, 9, 0, 42]);
}

const MODULE: &str = r#"
ACME-MIB DEFINITIONS ::= BEGIN
IMPORTS enterprises, OBJECT-TYPE, MODULE-IDENTITY FROM SNMPv2-SMI  thing FROM OTHER-MIB;
acme MODULE-IDENTITY
    LAST-UPDATED "202611220000Z" -- then
    DESCRIPTION "says ::= { nothing 1 }"
    ::= { enterprises 99999 }
door OBJECT IDENTIFIER ::= { acme things(1) 2 }
state OBJECT-TYPE
    SYNTAX INTEGER { open(1), shut (2), stuck(-1) }
    MAX-ACCESS read-only
    ::= { door 7 }
Colour ::= TEXTUAL-CONVENTION
    STATUS current DESCRIPTION "x"
    SYNTAX INTEGER { red(1), green(2) }
lamp OBJECT-TYPE SYNTAX Colour MAX-ACCESS read-only ::= { door 8 }
Row ::= SEQUENCE { a OBJECT IDENTIFIER, b INTEGER }
opened NOTIFICATION-TYPE OBJECTS { state } ::= { acme 0 1 }
old TRAP-TYPE ENTERPRISE acme VARIABLES { state } DESCRIPTION "x" ::= 5
lost OBJECT IDENTIFIER ::= { nowhere 1 }
self OBJECT IDENTIFIER ::= { self 1 }
ring1 OBJECT IDENTIFIER ::= { ring2 1 }
ring2 OBJECT IDENTIFIER ::= { ring1 1 }
below OBJECT IDENTIFIER ::= { thing 3 }
whole OBJECT IDENTIFIER ::= { iso(1) org(3) 6 1 4 1 88888 }
END
OTHER-MIB DEFINITIONS ::= BEGIN
thing OBJECT IDENTIFIER ::= { 1 3 6 1 4 1 77777 }
END
"#;

#[test]
fn names_of_modules() {
    let (mibs, reading) = Mibs::read([("acme.mib", MODULE), ("bad.txt", "no module")], &Limits::default());
    let above = [1, 3, 6, 1, 4, 1, 99_999];
    let check = |arcs: &[u32], name: &str, kind: Kind| {
        let known = mibs.get(&[&above[..], arcs].concat()).unwrap();
        assert_eq!((&*known.name, known.kind), (name, kind));
    };
    check(&[], "acme", Kind::Node);
    check(&[1, 2], "door", Kind::Node);
    check(&[1, 2, 7], "state", Kind::Object);
    check(&[0, 1], "opened", Kind::Notification);
    check(&[0, 5], "old", Kind::Notification);
    let (known, instance) = mibs.nearest(&[1, 3, 6, 1, 4, 1, 99_999, 1, 2, 7, 0, 4]).unwrap();
    assert_eq!(
        (&*known.name, instance, known.label(2), known.label(-1)),
        ("state", &[0, 4][..], Some("shut"), Some("stuck"))
    );
    let lamp = mibs.get(&[&above[..], &[1, 2, 8]].concat()).unwrap();
    assert_eq!(lamp.label(2), Some("green"));
    assert_eq!(mibs.get(&[1, 3, 6, 1, 4, 1, 77_777, 3]).map(|known| &*known.name), Some("below"));
    assert_eq!(mibs.get(&[1, 3, 6, 1, 4, 1, 88_888]).map(|known| &*known.name), Some("whole"));
    assert_eq!(reading.modules, 2);
    assert!(reading.unread.contains(&Unread::NoModule { file: "bad.txt".to_owned() }));
    let unresolved = reading.unread.iter().find_map(|unread| match unread {
        Unread::Unresolved { names, .. } => Some(*names),
        _ => None,
    });
    assert_eq!(unresolved, Some(4), "lost, self, and the ring: {:?}", reading.unread);
    assert_eq!(mibs.get(LINK_DOWN).map(|known| &*known.name), Some("linkDown"));
}

#[test]
fn reading_is_bounded() {
    let many: String = (0..100).map(|n| format!("n{n} OBJECT IDENTIFIER ::= {{ iso {n} }}\n")).collect();
    let text = format!("X DEFINITIONS ::= BEGIN\n{many}END\n");
    let (_, reading) = Mibs::read([("x", text.as_str())], &Limits { names: 10, ..Limits::default() });
    assert_eq!((reading.names, reading.unread.contains(&Unread::TooMany)), (10, true));
    for text in [
        "X DEFINITIONS",
        "X DEFINITIONS ::= BEGIN a OBJECT-TYPE SYNTAX INTEGER {",
        "X DEFINITIONS ::= BEGIN IMPORTS a",
        "X DEFINITIONS ::= BEGIN a OBJECT IDENTIFIER ::= {",
    ] {
        Mibs::read([("x", text)], &Limits::default());
    }
}

/// The modules that come with Debian's net-snmp.
#[test]
fn modules_of_the_system() {
    let dir = std::path::Path::new("/usr/share/snmp/mibs");
    let Ok(entries) = std::fs::read_dir(dir) else {
        eprintln!("SKIPPED: `{}` is not there; the package libsnmp-base brings it", dir.display());
        return;
    };
    let texts: Vec<(String, String)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, std::fs::read_to_string(entry.path()).ok()?)))
        .collect();
    let files = texts.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let (mibs, reading) = Mibs::read(files, &Limits::default());
    println!("{} modules, {} names, unread: {:#?}", reading.modules, reading.names, reading.unread);
    if texts.iter().any(|(name, _)| name.starts_with("NET-SNMP-AGENT-MIB")) {
        let known = mibs.get(&[1, 3, 6, 1, 4, 1, 8072, 4, 0, 2]).unwrap();
        assert_eq!((&*known.name, &*known.module), ("nsNotifyShutdown", "NET-SNMP-AGENT-MIB"));
    }
}
