//! Events and hunts out of a seed: the same seed gives the same ones on every machine. The words are few, so that hunts
//! find something, and odd, so that backends are tried where they are weak.

use std::net::IpAddr;
use std::time::Duration;

use canh_schema::{
    BatchId, Event, EventBatch, EventClass, EventId, IssueKind, LogSource, Position, Timestamp, Value, field,
};

/// Numbers that look random. Source: SplitMix64, Steele et al., "Fast splittable pseudorandom number generators", 2014.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, which is not zero.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() % end.max(1) as u64) as usize
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// 2026-01-31T00:00:00Z: generated events lie in the days after.
pub const START: Timestamp = Timestamp::from_secs(1_769_817_600);

const USERS: [&str; 9] = [
    "root",
    "admin",
    "Nguyễn Văn Đức",
    "Nguye\u{302}\u{303}n Va\u{306}n \u{110}u\u{31b}\u{301}c",
    "nguyen",
    "ADMIN",
    "svc-backup",
    "o'hara",
    "用户",
];
const ADDRESSES: [&str; 7] =
    ["10.0.0.5", "10.0.0.77", "10.1.2.3", "192.168.1.1", "fe80::1", "2001:db8::5", "::ffff:10.0.0.5"];
const PROGRAMS: [&str; 5] = [
    "C:\\Windows\\System32\\cmd.exe",
    "c:\\windows\\explorer.exe",
    "/usr/sbin/sshd",
    "/bin/bash",
    "C:\\Program Files\\a b.exe",
];
const VERBS: [&str; 6] =
    ["Failed password for", "Accepted password for", "Disconnected from", "lỗi đăng nhập", "fail", "password"];
const CODES: [&str; 5] = ["4624", "4625", "1", "0x1f", "A1"];

pub fn event(random: &mut Random, id: EventId) -> Event {
    let user = random.pick(&USERS);
    let address = random.pick(&ADDRESSES);
    let message = format!("{} {user} from {address} port {}", random.pick(&VERBS), 1_000 + random.below(5));
    // Whole minutes, so that many have the same time.
    let time = START + Duration::from_secs(60 * random.below(2 * 24 * 60) as u64 / 7 * 7);
    let raw = match random.below(4) {
        0 => String::new(),
        1 => format!("{{\"msg\":\"{message}\",\"path\":\"C:\\\\Windows\\\\x\"}}"),
        _ => format!("<38>Jan 31 host sshd[7]: {message}"),
    };
    let mut event = Event::new(id, time + Duration::from_secs(2), raw.into_bytes().into());
    event.time = time;
    event.class = EventClass::ALL[random.below(EventClass::ALL.len())];
    if random.chance(70) {
        event.logsource =
            LogSource::product(random.pick(&["linux", "windows"])).with_service(random.pick(&["sshd", "Security"]));
    }
    if random.chance(30) {
        event.logsource = event.logsource.with_category("process_creation");
    }
    set_fields(random, &mut event, user, address, message);
    set_attrs(random, &mut event, user, address);
    if random.chance(10) {
        event.push_issue(IssueKind::ALL[random.below(IssueKind::ALL.len())], "made up");
    }
    event
}

fn set_fields(random: &mut Random, event: &mut Event, user: &str, address: &str, message: String) {
    if random.chance(80) {
        event.set(field::MESSAGE, message);
    }
    match random.below(6) {
        0 => (),
        // A value of the wrong type: must be kept and do no harm.
        1 => event.set(field::SOURCE_IP, "not an address"),
        2 => event.set(field::SOURCE_IP, Value::List(vec![ip(address), ip("10.9.9.9"), ip(address)])),
        _ => event.set(field::SOURCE_IP, ip(address)),
    }
    match random.below(6) {
        0 => event.set(field::DESTINATION_PORT, "443"),
        1 => event.set(field::DESTINATION_PORT, Value::List(vec![22.into(), 22.into(), 23.into()])),
        2 => (),
        _ => event.set(field::DESTINATION_PORT, [22_i64, 80, 443, 51_122, -1][random.below(5)]),
    }
    match random.below(5) {
        0 => (),
        1 => event.set(field::USER_NAME, Value::List(vec![user.into(), Value::Null, "root".into()])),
        2 => event.set(field::USER_NAME, Value::Null),
        _ => event.set(field::USER_NAME, user),
    }
    if random.chance(50) {
        event.set(field::PROCESS_EXECUTABLE, random.pick(&PROGRAMS));
    }
    if random.chance(40) {
        event.set(
            field::PROCESS_COMMAND_LINE,
            format!("{} -enc {}", random.pick(&PROGRAMS), "QQ==".repeat(random.below(300))),
        );
    }
    if random.chance(50) {
        event.set(field::EVENT_CODE, random.pick(&CODES));
    }
    if random.chance(30) {
        event.set(field::METRIC_VALUE, [0.5, -2.25, 1e9, 3.0][random.below(4)]);
    }
    if random.chance(20) {
        event.set(field::EVENT_START, event.time.to_string());
    }
    if random.chance(20) {
        event.set(
            field::EVENT_CATEGORY,
            Value::List(vec!["authentication".into(), random.pick(&["session", "Host"]).into()]),
        );
    }
}

fn set_attrs(random: &mut Random, event: &mut Event, user: &str, address: &str) {
    if random.chance(60) {
        event.attrs.push(("id.orig_h".into(), address.into()));
    }
    if random.chance(40) {
        event.attrs.push(("EventData.TargetUserName".into(), user.into()));
    }
    if random.chance(40) {
        event.attrs.push(("odd name:(x)".into(), Value::Integer(random.below(12) as i64)));
    }
    if random.chance(20) {
        event.attrs.push(("service".into(), Value::Bool(random.chance(50))));
    }
    if random.chance(10) {
        event.attrs.push(("source.ip".into(), "native".into()));
    }
    if random.chance(10) {
        // A name that comes twice.
        event.attrs.push(("dup".into(), "one".into()));
        event.attrs.push(("dup".into(), "TWO".into()));
    }
    if random.chance(5) {
        event.attrs.push(("long".into(), Value::text(format!("{}{}", "x".repeat(600), random.pick(&["end", "stop"])))));
    }
}

fn ip(text: &str) -> Value {
    text.parse::<IpAddr>().map_or(Value::Null, Value::Ip)
}

/// `count` batches of 1 to `len` events, at positions from 1 on.
pub fn batches(seed: u64, count: u64, len: usize) -> Vec<EventBatch> {
    let mut random = Random::new(seed);
    (1..=count)
        .map(|position| {
            let batch = BatchId::from_journal(seed, position);
            let events = (0..=random.below(len) as u32).map(|n| event(&mut random, EventId::new(batch, n))).collect();
            EventBatch::new(Position::new(position), events)
        })
        .collect()
}

/// Hunts that say something about generated events.
const CONDITIONS: [&str; 74] = [
    "*",
    "failed",
    "FAILED",
    "password",
    "nguyen",
    "duc",
    "loi",
    "\"failed password\"",
    "\"password for root\"",
    "\"for nguyen\"",
    "fail*",
    "*word",
    "p?ssword",
    "f*d",
    "10.0.0.5",
    "10.0.*",
    "10.0.0",
    "windows",
    "c*-windows",
    "\"dang nhap\"",
    "用户",
    "enc",
    "zzz",
    "/failed|accepted/",
    "/port 100[1-3]$/",
    "/^<38>/",
    "user.name:root",
    "user.name:ADMIN",
    "user.name:nguyen",
    "user.name:\"Nguyễn Văn Đức\"",
    "user.name:\"Nguye\u{302}\u{303}n Va\u{306}n \u{110}u\u{31b}\u{301}c\"",
    "user.name:Nguyê\u{303}n*",
    "user.name:NGUY*",
    "user.name:*a*",
    "user.name:/^[a-n]/",
    "user.name:*",
    "user.name:[a TO o}",
    "user.name:(root OR admin)",
    "source.ip:10.0.0.5",
    "source.ip:10.0.0.0/8",
    "source.ip:fe80::/10",
    "source.ip:[10.0.0.6 TO 10.200.0.0]",
    "source.ip:*",
    "source.ip:10.0.*",
    "source.ip:/::/",
    "attrs.source.ip:native",
    "destination.port:22",
    "destination.port:>=80",
    "destination.port:[22 TO 443}",
    "destination.port:<0",
    "destination.port:*",
    "canh.metric.value:>0.5",
    "canh.metric.value:-2.25",
    "process.executable:*\\cmd.exe",
    "process.executable:c\\:\\windows*",
    "process.executable:\"/bin/bash\"",
    "process.command_line:*enc*",
    "process.command_line:/qq==$/",
    "process.command_line:>d",
    "event.code:4625",
    "event.code:>=4624",
    "event.code:<a",
    "event.category:host",
    "event.start:2026-01-31",
    "event.start:>2026-01-31",
    "@timestamp:2026-02-01",
    "message:password",
    "message:\"failed password\"",
    "message:accept*",
    "message:sshd",
    "issue:*",
    "id.orig_h:10.0.0.0/8",
    "EventData.TargetUserName:*a*",
    "\"odd name:(x)\":>=6",
];

/// More conditions, about pseudo fields and odd attributes.
const MORE: [&str; 16] = [
    "class:flow",
    "class:l*",
    "product:linux",
    "service:security",
    "category:*",
    "attrs.service:true",
    "dup:two",
    "dup:*",
    "long:*end",
    "long:x*",
    "long:/stop$/",
    "NOT long:*",
    "received:>2026-02-01T00:00:00Z",
    "@timestamp:<2026-01-31T12:00:00Z",
    "nowhere:*",
    "NOT nowhere:1",
];

/// Every condition alone, then `count` that are put together.
pub fn hunts(seed: u64, count: usize) -> Vec<String> {
    let all: Vec<&str> = CONDITIONS.iter().chain(&MORE).copied().collect();
    let mut random = Random::new(seed);
    let mut hunts: Vec<String> = all.iter().map(|text| (*text).to_owned()).collect();
    hunts.extend((0..count).map(|_| put_together(&mut random, &all, 3)));
    hunts
}

fn put_together(random: &mut Random, all: &[&str], depth: usize) -> String {
    if depth == 0 || random.chance(30) {
        return random.pick(all).to_owned();
    }
    let left = put_together(random, all, depth - 1);
    let right = put_together(random, all, depth - 1);
    match random.below(4) {
        0 => format!("NOT ({left})"),
        1 => format!("({left}) OR ({right})"),
        2 => format!("({left}) AND NOT ({right})"),
        _ => format!("({left}) ({right})"),
    }
}
