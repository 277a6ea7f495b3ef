//! What is told of files, and what makes room.

use std::net::IpAddr;

use canh_packet::{AppProtocol, Conversation, FileAbout, FileDirection, Timestamp, Transport, Vlans};
use serde_json::json;

use super::file::{is_notable, offer, query};
use super::*;

fn carved(bytes: &[u8]) -> CarvedFile {
    CarvedFile {
        conversation: Conversation {
            originator: IpAddr::from([10, 0, 0, 1]),
            originator_port: 40_000,
            responder: IpAddr::from([10, 0, 0, 2]),
            responder_port: 8_280,
            transport: Transport::Tcp,
            vlans: Vlans { outer: None, inner: None },
            tunnel: None,
            community_id: "1:abc".to_owned(),
        },
        at: Timestamp::from_nanos(1_790_000_000_000_000_000),
        about: FileAbout {
            protocol: AppProtocol::Http,
            direction: FileDirection::ToOriginator,
            method: Some("GET".to_owned()),
            url: Some("http://x.vn/a.bin".to_owned()),
            host: Some("x.vn".to_owned()),
            status: Some(200),
            name: Some("a.bin".to_owned()),
            content_type: None,
            encoding: None,
            part: None,
        },
        bytes: bytes.to_vec(),
    }
}

#[test]
fn what_the_server_is_told() {
    let mut file = carved(b"x");
    file.about.url = Some(format!("http://x.vn/{}é", "a".repeat(2_035)));
    let told = offer(&file, &[0xab; 32]);
    let origin = &told["origin"];
    assert_eq!(told["sha256"], "ab".repeat(32));
    for (key, expected) in [
        ("source_ip", json!("10.0.0.1")),
        ("source_port", json!(40_000)),
        ("destination_port", json!(8_280)),
        ("community_id", json!("1:abc")),
        ("protocol", json!("http")),
        ("direction", json!("to_originator")),
        ("status", json!(200)),
        ("observed", json!("2026-09-21T14:13:20Z")),
        ("content_type", serde_json::Value::Null),
    ] {
        assert_eq!(origin[key], expected, "{key}");
    }
    assert_eq!(origin["url"].as_str().map(str::len), Some(2_047)); // not within a letter
    assert!(query(&file).contains(&("status", "200".to_owned())));
}

#[test]
fn what_is_notable() {
    for (bytes, content_type, expected) in [
        (&b"MZ\x90"[..], None, true),
        (b"PK\x03\x04", Some("image/png"), true),
        (b"<html>", Some("text/html"), false),
        (b"{\"a\":1}", Some("application/json"), false),
        (b"--x\r\n", Some("Multipart/related"), true),
        (b"<a/>", Some("application/soap+xml"), true),
        (b"", None, false),
    ] {
        let mut file = carved(bytes);
        file.about.content_type = content_type.map(str::to_owned);
        assert_eq!(is_notable(&file), expected, "{bytes:?} {content_type:?}");
    }
    let mut mail = carved(b"x");
    mail.about.protocol = AppProtocol::Smtp;
    assert!(is_notable(&mail));
}

#[test]
fn what_is_plain_makes_room() {
    let queue = Queue::new(3, 10);
    let (plain, notable) = (|len: usize| carved(&vec![b'a'; len]), |len: usize| carved(&b"MZaaaaaaaa"[..len]));
    assert_eq!(queue.put(plain(4)), Put::Taken);
    assert_eq!(queue.put(plain(4)), Put::Taken);
    assert_eq!(queue.put(plain(4)), Put::NoRoom);
    assert_eq!(queue.put(notable(4)), Put::InsteadOf(1));
    assert_eq!(queue.put(notable(6)), Put::InsteadOf(1));
    assert_eq!(queue.put(notable(2)), Put::NoRoom);
    let taken = queue.take(1).unwrap();
    assert_eq!((taken.len(), taken[0].bytes.len(), queue.len()), (1, 4, 2));
    // What is under way still takes room.
    assert_eq!(queue.put(notable(2)), Put::NoRoom);
    queue.done(&taken[0]);
    assert_eq!(queue.put(plain(3)), Put::Taken);
    assert_eq!(queue.put_waiting(plain(8), || true), Put::NoRoom);
    assert_eq!((queue.close(), queue.len()), (2, 0));
    assert!(queue.take(1).is_none());
    assert_eq!(queue.drain(|| false), Ok(()));
    queue.fail("no rules");
    assert_eq!(queue.drain(|| false), Err("no rules".to_owned()));
    // One that is longer than everything together still passes, alone.
    let queue = Queue::new(3, 10);
    assert_eq!(queue.put(plain(20)), Put::Taken);
    assert_eq!(queue.put(plain(1)), Put::NoRoom);
}
