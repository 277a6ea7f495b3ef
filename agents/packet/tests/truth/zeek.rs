//! Flows against Zeek's own baselines: which connections there are, who began them, and what is said about them.
//!
//! The baselines were made with Zeek's test scripts, which sometimes load few analysers (`-b`) or change settings; the
//! differences that remain are printed with `--no-capture`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use canh_packet::{Checksums, FlowConfig, FlowRecord, Record, Transport};

/// Share that has to agree, in thousandths, a little below what is reached.
const KEYS: u64 = 985;
const DIRECTIONS: u64 = 980;
const PACKETS: u64 = 980;
const BYTES: u64 = 950;
const STATES: u64 = 990;
const HISTORIES: u64 = 970;

/// A connection in either notation.
#[derive(Clone, Debug)]
struct Connection {
    originator: (String, u16),
    responder: (String, u16),
    protocol: u8,
    packets: (u64, u64),
    ip_bytes: (u64, u64),
    payload: Option<(u64, u64)>,
    state: String,
    history: String,
}

type Key = ((String, u16), (String, u16), u8);

impl Connection {
    /// The same for both directions.
    fn key(&self) -> Key {
        let (low, high) = if self.originator <= self.responder {
            (&self.originator, &self.responder)
        } else {
            (&self.responder, &self.originator)
        };
        (low.clone(), high.clone(), self.protocol)
    }

    fn from_flow(flow: &FlowRecord) -> Self {
        let talk = &flow.conversation;
        // Zeek has no ports for what it calls an unknown transport.
        let port = |port| if talk.transport == Transport::Sctp { 0 } else { port };
        Self {
            originator: (talk.originator.to_string(), port(talk.originator_port)),
            responder: (talk.responder.to_string(), port(talk.responder_port)),
            protocol: talk.transport.number(),
            packets: (flow.originator.packets, flow.responder.packets),
            ip_bytes: (flow.originator.ip_bytes, flow.responder.ip_bytes),
            payload: (flow.end > flow.start).then_some((flow.originator.payload_bytes, flow.responder.payload_bytes)),
            state: flow.connection_state.to_owned(),
            history: if flow.history.is_empty() { "-".to_owned() } else { flow.history.clone() },
        }
    }
}

/// Connections of a `conn.log` with all columns; `None` for one that was cut.
fn read_log(path: &Path) -> Option<Vec<Connection>> {
    let text = fs::read_to_string(path).ok()?;
    let names: Vec<&str> = text.lines().find_map(|line| line.strip_prefix("#fields\t"))?.split('\t').collect();
    let mut connections = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let row: Vec<&str> = line.split('\t').collect();
        let field = |name: &str| {
            let column = names.iter().position(|it| *it == name)?;
            row.get(column).copied()
        };
        let number = |name: &str| field(name).and_then(|text| text.parse::<u64>().ok());
        let port = |name: &str| number(name).and_then(|port| u16::try_from(port).ok());
        connections.push(Connection {
            originator: (field("id.orig_h")?.to_owned(), port("id.orig_p")?),
            responder: (field("id.resp_h")?.to_owned(), port("id.resp_p")?),
            protocol: u8::try_from(number("ip_proto")?).ok()?,
            packets: (number("orig_pkts")?, number("resp_pkts")?),
            ip_bytes: (number("orig_ip_bytes")?, number("resp_ip_bytes")?),
            payload: number("orig_bytes").zip(number("resp_bytes")),
            state: field("conn_state")?.to_owned(),
            history: field("history")?.to_owned(),
        });
    }
    Some(connections)
}

/// Each log with its capture and whether Zeek ignored checksums.
fn logs(folder: &Path) -> Vec<(PathBuf, PathBuf, bool)> {
    let mut found = Vec::new();
    for capture in crate::captures(&folder.join("zeek")) {
        let truth = PathBuf::from(format!("{}.truth", capture.display()));
        let Ok(tests) = fs::read_dir(&truth) else { continue };
        let mut tests: Vec<PathBuf> = tests.map(|test| test.unwrap().path()).collect();
        tests.sort();
        for test in tests {
            let command = fs::read_to_string(test.join("cmd.txt")).unwrap_or_default();
            let ignores = command.split_whitespace().any(|word| {
                word == "-C"
                    || word == "ignore_checksums=T"
                    || (word.starts_with("-C") && word.len() < 5)
                    || (word.starts_with('-') && !word.starts_with("--") && word.contains('C') && word.len() <= 4)
            });
            found.push((capture.clone(), test.join("conn.log"), ignores));
        }
    }
    found
}

#[derive(Default)]
struct Share {
    agree: u64,
    of: u64,
}

impl Share {
    fn add(&mut self, agrees: bool) -> bool {
        self.agree += u64::from(agrees);
        self.of += 1;
        agrees
    }

    #[track_caller]
    fn check(&self, what: &str, floor: u64) {
        let thousandths = self.agree * 1_000 / self.of.max(1);
        println!("{what}: {} of {} ({}.{} %)", self.agree, self.of, thousandths / 10, thousandths % 10);
        assert!(thousandths >= floor, "{what}: below {floor} thousandths");
    }
}

#[test]
fn flows_agree_with_zeek() {
    let Some(folder) = crate::data("flows_agree_with_zeek") else { return };
    let [mut keys, mut directions, mut packets, mut bytes, mut payloads, mut states, mut histories]: [Share; 7] =
        Default::default();
    let mut logs_read = 0;
    for (capture, log, ignores) in logs(&folder) {
        let Some(expected) = read_log(&log) else { continue };
        let checksums = if ignores { Checksums::Ignore } else { Checksums::Verify };
        let Some((records, _)) = crate::run(&capture, FlowConfig { checksums, ..FlowConfig::default() }) else {
            println!("cannot be opened: {}", capture.display());
            continue;
        };
        logs_read += 1;
        let mut ours: BTreeMap<Key, Vec<Connection>> = BTreeMap::new();
        for record in &records {
            if let Record::Flow(flow) = record
                && flow.is_final()
            {
                let connection = Connection::from_flow(flow);
                ours.entry(connection.key()).or_default().push(connection);
            }
        }
        let name = log.strip_prefix(&folder).unwrap_or(&log).display().to_string();
        for theirs in expected {
            // Among flows with one key, the one most alike stands for it.
            let same = ours.entry(theirs.key()).or_default();
            let likeness = |it: &Connection| {
                (it.state == theirs.state) as u8
                    + (it.packets == theirs.packets) as u8
                    + (it.history == theirs.history) as u8
            };
            let best = (0..same.len()).max_by_key(|index| likeness(&same[*index]));
            if !keys.add(best.is_some()) {
                println!("key: {name}: {theirs:?}");
                continue;
            }
            let Some(mine) = best.map(|index| same.swap_remove(index)) else { continue };
            let agree = |share: &mut Share, agrees: bool, what: &str| {
                if !share.add(agrees) {
                    println!("{what}: {name}:\n  zeek {theirs:?}\n  ours {mine:?}");
                }
            };
            agree(&mut directions, mine.originator == theirs.originator, "direction");
            let swapped = mine.originator != theirs.originator;
            let turn = |pair: (u64, u64)| if swapped { (pair.1, pair.0) } else { pair };
            agree(&mut packets, turn(mine.packets) == theirs.packets, "packets");
            agree(&mut bytes, turn(mine.ip_bytes) == theirs.ip_bytes, "bytes");
            // Zeek counts no payload of what it calls an unknown transport.
            let is_known = matches!(theirs.protocol, 1 | 6 | 17 | 58);
            if let (Some(theirs), Some(mine), true) = (theirs.payload, mine.payload, is_known) {
                agree(&mut payloads, turn(mine) == theirs, "payload");
            }
            agree(&mut states, mine.state == theirs.state, "state");
            agree(&mut histories, mine.history == theirs.history, "history");
        }
    }
    println!("{logs_read} logs");
    keys.check("connection keys", KEYS);
    directions.check("directions", DIRECTIONS);
    packets.check("packet counts", PACKETS);
    bytes.check("IP bytes", BYTES);
    payloads.check("payload bytes", PACKETS);
    states.check("connection states", STATES);
    histories.check("histories", HISTORIES);
}
