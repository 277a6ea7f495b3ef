//! Places from tables and from a small database that is written here.

use std::fs;

use canh_schema::{EventId, Timestamp};

use super::*;

/// A value of the MaxMind format, section "Output Data Section" of its specification.
enum Item {
    Text(&'static str),
    Double(f64),
    Short(u16),
    Unsigned(u32),
    Long(u64),
    Map(Vec<(&'static str, Item)>),
}

use Item::{Double, Long, Map, Short, Text, Unsigned};

fn control(out: &mut Vec<u8>, kind: u8, len: usize) {
    let (size, more) = if len < 29 { (len, None) } else { (29, Some(len - 29)) };
    let byte = |number: usize| u8::try_from(number).expect("short");
    if kind < 8 {
        out.push(kind << 5 | byte(size))
    } else {
        out.extend([byte(size), kind - 7])
    }
    out.extend(more.map(byte));
}

fn write(item: &Item, out: &mut Vec<u8>) {
    match item {
        Text(text) => {
            control(out, 2, text.len());
            out.extend(text.as_bytes());
        }
        Double(value) => {
            control(out, 3, 8);
            out.extend(value.to_be_bytes());
        }
        Short(value) => {
            control(out, 5, 2);
            out.extend(value.to_be_bytes());
        }
        Long(value) => {
            control(out, 9, 8);
            out.extend(value.to_be_bytes());
        }
        Unsigned(value) => {
            control(out, 6, 4);
            out.extend(value.to_be_bytes());
        }
        Map(entries) => {
            control(out, 7, entries.len());
            for (key, value) in entries {
                write(&Text(key), out);
                write(value, out);
            }
        }
    }
}

/// A database of IPv4 that knows one network of eight bits.
fn database_of(first: u8, record: &Item) -> Vec<u8> {
    let count = 8_u32;
    let mut out = Vec::new();
    for bit in 0..8 {
        let next = if bit == 7 { count + 16 } else { bit + 1 };
        let one = first >> (7 - bit) & 1 == 1;
        let pair = if one { [count, next] } else { [next, count] };
        pair.iter().for_each(|node| out.extend(&node.to_be_bytes()[1..]));
    }
    out.extend([0; 16]);
    write(record, &mut out);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    let metadata = Map(vec![
        ("node_count", Unsigned(count)),
        ("record_size", Short(24)),
        ("ip_version", Short(4)),
        ("binary_format_major_version", Short(2)),
        ("binary_format_minor_version", Short(0)),
        ("build_epoch", Long(1_700_000_000)),
        ("database_type", Text("Test-City")),
        ("languages", Map(Vec::new())),
        ("description", Map(Vec::new())),
    ]);
    write_metadata(&metadata, &mut out);
    out
}

/// `languages` is a list.
fn write_metadata(metadata: &Item, out: &mut Vec<u8>) {
    let Map(entries) = metadata else { return };
    control(out, 7, entries.len());
    for (key, value) in entries {
        write(&Text(key), out);
        if *key == "languages" { control(out, 11, 0) } else { write(value, out) }
    }
}

const TABLE: &str = r#"
[[network]]
cidr = ["10.20.0.0/16", "203.0.113.0/24"]
name = "Trụ sở"
country = "vn"
location = [21.028, 105.854]

[[network]]
cidr = "10.20.5.0/24"
name = "Chi nhánh"

[[network]]
cidr = "2001:db8::/32"
country = "SG"
city = "Singapore"

[[network]]
cidr = "5.5.5.5"
name = "partner"
"#;

fn city() -> Item {
    Map(vec![
        ("country", Map(vec![("iso_code", Text("DE"))])),
        ("city", Map(vec![("names", Map(vec![("en", Text("Berlin"))]))])),
        ("location", Map(vec![("latitude", Double(52.5244)), ("longitude", Double(13.4105))])),
    ])
}

fn networks_of_provider() -> Item {
    Map(vec![
        ("autonomous_system_number", Unsigned(64_500)),
        ("autonomous_system_organization", Text("Example Networks")),
    ])
}

struct Files {
    dir: tempfile::TempDir,
    config: GeoConfig,
}

fn files() -> Files {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| dir.path().join(name);
    fs::write(path("own.toml"), TABLE).expect("written");
    fs::write(path("city.mmdb"), database_of(5, &city())).expect("written");
    fs::write(path("as.mmdb"), database_of(5, &networks_of_provider())).expect("written");
    let config = GeoConfig { networks: vec![path("own.toml")], databases: vec![path("city.mmdb"), path("as.mmdb")] };
    Files { dir, config }
}

fn event(source: &str, destination: &str) -> Event {
    let mut event = Event::new(EventId::from_bytes([1; 16]), Timestamp::from_secs(0), Default::default());
    for (id, text) in [(field::SOURCE_IP, source), (field::DESTINATION_IP, destination)] {
        if let Ok(address) = text.parse() {
            event.set(id, Value::Ip(address));
        }
    }
    event
}

/// What the event says of the two ends, in the order of the fields.
fn said(event: &Event) -> Vec<String> {
    let of = |side: &Side| {
        [side.location, side.country, side.city, side.name, side.as_number, side.as_organization]
            .map(|id| event.get(id).and_then(Value::as_text).map_or("-".to_owned(), |text| text.into_owned()))
            .join(" ")
    };
    SIDES.iter().map(of).collect()
}

#[track_caller]
fn check(geo: &Geo, source: &str, expected: &str) {
    // The second time it is the cache that answers.
    for _ in 0..2 {
        let mut events = [event(source, "192.0.2.1"), event("192.0.2.1", source)];
        geo.enrich(&mut events);
        assert_eq!(said(&events[0]), [expected, "- - - - - -"], "address: {source}");
        assert_eq!(said(&events[1]), ["- - - - - -", expected], "address: {source}");
    }
}

#[test]
fn places_of_addresses() {
    let files = files();
    let geo = Geo::load(&files.config).expect("they load");
    check(&geo, "203.0.113.9", "21.03,105.85 VN - Trụ sở - -");
    check(&geo, "10.20.1.1", "21.03,105.85 VN - Trụ sở - -");
    // The narrowest network says everything that is said.
    check(&geo, "10.20.5.1", "- - - Chi nhánh - -");
    check(&geo, "10.21.0.1", "- - - - - -");
    check(&geo, "2001:db8:1::9", "- SG Singapore - - -");
    check(&geo, "::ffff:203.0.113.9", "21.03,105.85 VN - Trụ sở - -");
    // Databases fill in what the table does not say.
    check(&geo, "5.1.2.3", "52.52,13.41 DE Berlin - 64500 Example Networks");
    check(&geo, "5.5.5.5", "52.52,13.41 DE Berlin partner 64500 Example Networks");
    check(&geo, "6.1.2.3", "- - - - - -");
    check(&geo, "", "- - - - - -");
}

#[test]
fn without_files_nothing_is_done_and_what_a_source_says_stays() {
    let mut events = [event("203.0.113.9", "")];
    Geo::default().enrich(&mut events);
    assert_eq!(said(&events[0])[0], "- - - - - -");
    let files = files();
    events[0].set(field::SOURCE_GEO_COUNTRY, Value::from("XX"));
    Geo::load(&files.config).expect("they load").enrich(&mut events);
    assert_eq!(said(&events[0])[0], "21.03,105.85 XX - Trụ sở - -");
}

#[test]
fn a_reload_with_a_mistake_changes_nothing() {
    let files = files();
    let geo = Geo::load(&files.config).expect("they load");
    let table = files.dir.path().join("own.toml");
    fs::write(&table, TABLE.replace("10.20.0.0/16", "10.20.0.0/33")).expect("written");
    assert!(geo.reload(&files.config).is_err());
    check(&geo, "10.20.1.1", "21.03,105.85 VN - Trụ sở - -");
    fs::write(&table, TABLE.replace("Trụ sở", "HQ")).expect("written");
    assert_eq!(geo.reload(&files.config).ok(), Some((5, 2)));
    check(&geo, "10.20.1.1", "21.03,105.85 VN - HQ - -");
}

#[track_caller]
fn check_refused(table: &str, words: &str) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("own.toml");
    fs::write(&path, table).expect("written");
    let error = Geo::load(&GeoConfig { networks: vec![path.clone()], databases: Vec::new() }).expect_err("refused");
    assert!(error.to_string().contains(words), "{error}");
    let error = Geo::load(&GeoConfig { networks: Vec::new(), databases: vec![path] }).expect_err("no database");
    assert!(error.to_string().contains("is no database of places"), "{error}");
}

#[test]
fn what_cannot_be_used_is_named() {
    check_refused("[[network]]\ncidr = '10.0.0.0/8'\n", "network 1: it says nothing");
    check_refused("[[network]]\ncidr = 'x'\nname = 'n'\n", "`x` is not a network");
    check_refused("[[network]]\ncidr = '10.0.0.0/8'\ncountry = 'Vietnam'\n", "not `Vietnam`");
    check_refused("[[network]]\ncidr = '10.0.0.0/8'\nlocation = [105.85, 121.0]\n", "degrees north and east");
    check_refused("[[network]]\ncidr = '10.0.0.0/8'\nnaem = 'n'\n", "naem");
}

#[test]
fn hostile_databases() {
    let whole = database_of(5, &city());
    // Cut and changed bytes give an error or no place, and no panic.
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0xff;
        for bytes in [whole[..at].to_vec(), changed] {
            if let Ok(reader) = Reader::from_source(bytes) {
                let known = Known { networks: Networks::default(), databases: vec![reader], cache: Cache::new() };
                let _ = known.find("5.1.2.3".parse().expect("an address"));
            }
        }
    }
}

#[track_caller]
fn check_public(address: &str, expected: bool) {
    assert_eq!(is_public(address.parse().expect("an address")), expected, "{address}");
}

#[test]
fn public_addresses() {
    check_public("8.8.8.8", true);
    check_public("2606:4700::1", true);
    for address in ["10.1.1.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.1.1", "100.64.0.1", "0.1.2.3"] {
        check_public(address, false);
    }
    for address in ["224.0.0.1", "255.255.255.255", "::1", "fe80::1", "fd00::1", "ff02::1"] {
        check_public(address, false);
    }
}
