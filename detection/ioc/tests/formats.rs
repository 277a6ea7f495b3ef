//! Each format: what is taken, what is refused, and by which line or path.

use canh_ioc::{Builder, CsvColumn, LoadOptions, PrivateAddresses};
use canh_schema::Timestamp;

/// Indicators as `type value list confidence level expiry tags description`, then problems, then what was skipped.
fn read_with(options: LoadOptions, allow: &str, file: &str, text: &str) -> Vec<String> {
    let mut builder = Builder::new(options);
    if !allow.is_empty() {
        builder.add_allowed("allow.txt", allow);
    }
    builder.add_text(file, text);
    let (set, report) = builder.finish();
    let mut lines: Vec<String> = set
        .iter()
        .map(|one| {
            let expiry = one.expiry.map_or("-".to_owned(), |at| at.to_string());
            let tags = one.tags.join(",");
            let line = format!(
                "{} {} {} {} {} {expiry} [{tags}] {}",
                one.kind,
                one.value,
                one.list,
                one.confidence,
                one.level(),
                one.description
            );
            line.trim_end().to_owned()
        })
        .collect();
    lines.extend(report.problems.iter().map(ToString::to_string));
    if report.skipped() > 0 {
        lines.push(format!("skipped {}", report.skipped()));
    }
    lines
}

#[track_caller]
fn check(file: &str, text: &str, expected: &[&str]) {
    assert_eq!(read_with(LoadOptions::default(), "", file, text), expected, "file: {file}");
}

#[test]
fn text() {
    check(
        "bad.txt",
        "\u{feff}# a comment\n\nevil[.]example # landing page\n#! confidence: 90\n#! tlp: amber\n198.51.100.7\r\n0.0.0.0 tracker.example\n\
         ja3:e7d705a3286e19ea42f587b344ee6865\nua: EvilBot/1.0 (x)\n//note\nnot an indicator\n127.0.0.1\n",
        &[
            "domain evil.example bad 50 medium - [] landing page",
            "ip 198.51.100.7 bad 90 high - [tlp.amber]",
            "domain tracker.example bad 90 high - [tlp.amber]",
            "ja3 e7d705a3286e19ea42f587b344ee6865 bad 90 high - [tlp.amber]",
            "user_agent EvilBot/1.0 (x) bad 90 high - [tlp.amber]",
            "bad.txt:11: `not an indicator` is of no type that is known; write the type in front, for example `ja3:…`",
            "bad.txt:12: `127.0.0.1` is left out: it is on the allow-list",
        ],
    );
    check("said.txt", "# domain, one on each line\nevil.example\n", &["domain evil.example said 50 medium - []"]);
    check(
        "prints.txt",
        "#! type: ja3s\n#! list: my:list\n#! expires: 2027-01-01\n#! severity: critical\n#! tags: T1071, beacon\n\
         e7d705a3286e19ea42f587b344ee6865\n#! colour: red\n#!what\n#! confidence: 900\n",
        &[
            "ja3s e7d705a3286e19ea42f587b344ee6865 my_list 50 critical 2027-01-01T00:00:00Z [attack.t1071,beacon]",
            "prints.txt:7: `colour` is not known; known are type, list, confidence, severity, expires, first_seen, \
             last_seen, description, tlp, tags and column",
            "prints.txt:8: `what` is not `key: value`; a comment begins with `# `",
            "prints.txt:9: `900` is not a number from 0 to 100",
        ],
    );
}

#[test]
fn csv() {
    check(
        "feed.csv",
        "value,type,confidence,valid_until,tags,comment,source\n\
         evil.example,domain,90,2027-01-31T00:00:00Z,\"tlp:red;T1566.001\",\"a, b\",other\n\
         http://evil.example/a,,,,,,\n\
         xyz,md5,,,,,\n\
         198.51.100.7,ip,lots,,,,\n\
         198.51.100.8,ip,,tomorrow,,,\n\
         ,ip,,,,,\n",
        &[
            "domain evil.example other 90 high 2027-01-31T00:00:00Z [tlp.red,attack.t1566.001] a, b",
            "url http://evil.example/a feed 50 medium - []",
            "feed.csv:4: `xyz` is not an MD5 hash (32 hexadecimal digits)",
            "feed.csv:5: `lots` is not a confidence from 0 to 100",
            "feed.csv:6: `tomorrow` is not a time such as `2026-01-31T08:00:00Z`",
            "feed.csv:7: the row has no value",
        ],
    );
    // A header that is a comment, and columns of one type each; found without the ending too.
    check(
        "export",
        "# Generated today\n#\n# \"first_seen_utc\",\"sha256_hash\",\"md5_hash\",\"signature\"\n\
         \"2026-01-31 08:00:00\",\"aa00000000000000000000000000000000000000000000000000000000000000\",\"bb000000000000000000000000000000\",\"Emotet\"\n# end\n",
        &[
            "sha256 aa00000000000000000000000000000000000000000000000000000000000000 export 50 medium - [] Emotet",
            "md5 bb000000000000000000000000000000 export 50 medium - [] Emotet",
        ],
    );
    check(
        "semicolons.csv",
        "#! column: Chỉ báo = value\n#! column: Ghi chú = description\nChỉ báo;Ghi chú\nevil.example;lừa đảo\n\"quoted\nline\";x\nb.example;y\n",
        &[
            "domain evil.example semicolons 50 medium - [] lừa đảo",
            "domain b.example semicolons 50 medium - [] y",
            "semicolons.csv:5: `quoted\nline` is of no type that is known; write the type in front, for example `ja3:…`",
        ],
    );
    check(
        "unknown.csv",
        "a,b\n1,2\n",
        &[
            "unknown.csv: no column is known to hold indicators; name one `value`, or write a line such as `#! column: NAME = value` above the header",
        ],
    );
    check("empty.csv", "", &["unknown.csv: no column"].map(|_| "empty.csv: no column is known to hold indicators; name one `value`, or write a line such as `#! column: NAME = value` above the header"));
    let mapped = LoadOptions { columns: vec![("b".to_owned(), CsvColumn::Value)], ..LoadOptions::default() };
    assert_eq!(read_with(mapped, "", "m.csv", "a,b\n1,evil.example\n"), ["domain evil.example m 50 medium - []"]);
}

#[test]
fn stix() {
    let bundle = r#"{"type":"bundle","id":"bundle--1","objects":[
{"type":"attack-pattern","id":"attack-pattern--1","external_references":[{"source_name":"mitre-attack","external_id":"T1566"}]},
{"type":"relationship","relationship_type":"indicates","source_ref":"indicator--1","target_ref":"attack-pattern--1"},
{"type":"indicator","id":"indicator--1","name":"bad host","pattern":"[ipv4-addr:value = '198.51.100.7' OR domain-name:value = 'evil.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","valid_until":"2027-01-01T00:00:00Z","confidence":80,"object_marking_refs":["marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"]},
{"type":"indicator","id":"indicator--2","pattern":"[file:name = 'a' AND file:hashes.MD5 = 'bb000000000000000000000000000000']","pattern_type":"stix"},
{"type":"indicator","id":"indicator--3","pattern":"[file:name = 'a' OR file:hashes.MD5 = 'bb000000000000000000000000000000']","pattern_type":"stix"},
{"type":"indicator","id":"indicator--4","pattern":"alert tcp any","pattern_type":"snort"},
{"type":"indicator","id":"indicator--5","revoked":true,"pattern":"[url:value = 'http://a.example/']","pattern_type":"stix"},
{"type":"indicator","id":"indicator--6","pattern":"[url:value = 'http://a.example/']","pattern_type":"stix","valid_until":"soon"},
{"type":"indicator","id":"indicator--7","pattern":7},
{"type":"indicator","id":"indicator--8"},
{"type":"malware","id":"malware--1","name":{"x":1}}]}"#;
    check(
        "intel.json",
        bundle,
        &[
            "ip 198.51.100.7 intel 80 high 2027-01-01T00:00:00Z [tlp.red,attack.t1566] bad host",
            "domain evil.example intel 80 high 2027-01-01T00:00:00Z [tlp.red,attack.t1566] bad host",
            "md5 bb000000000000000000000000000000 intel 50 medium - []",
            "intel.json: objects[3].pattern: `AND` joins conditions, and an indicator is one value; write it as a Sigma rule",
            "intel.json: objects[4].pattern: `file:name` is of no type of indicator that is known",
            "intel.json: objects[5].pattern_type: the pattern is of type `snort`; only `stix` is read",
            "intel.json: objects[7].valid_until: the time cannot be read; write it like `2026-01-31T08:00:00Z`",
            "intel.json: objects[8]: the object cannot be read: invalid type: integer `7`, expected a string at line 1 column 51",
            "intel.json: objects[9]: the indicator has no `pattern`",
            "skipped 4",
        ],
    );
    check(
        "cut.json",
        "{\"type\":\"bundle\",\n\"objects\":[{]}",
        &["cut.json:2: the bundle is not JSON: key must be a string at line 2 column 13"],
    );
}

#[test]
fn misp() {
    let event = r#"{"Event":{"info":"phishing","threat_level_id":1,"Tag":[{"name":"tlp:green"}],"Attribute":[
{"type":"domain|ip","value":"evil.example|198.51.100.7","to_ids":true,"comment":"landing","Tag":[{"name":"misp-galaxy:mitre-attack-pattern=\"Phishing - T1566\""}]},
{"type":"ip-dst|port","value":"198.51.100.8|443","to_ids":true},
{"type":"filename|sha1","value":"a|b.exe|bb00000000000000000000000000000000000000","to_ids":true},
{"type":"domain","value":"benign.example","to_ids":false},
{"type":"yara","value":"rule","to_ids":true},
{"type":"domain|ip","value":"evil.example","to_ids":true},
{"type":"domain"}],
"Object":[{"name":"url","Attribute":[{"type":"url","value":"http://evil.example/x","to_ids":true,"last_seen":"2026-01-31T00:00:00Z"}]}]}}"#;
    check(
        "misp.json",
        event,
        &[
            "domain evil.example misp 50 high - [tlp.green,attack.t1566] landing",
            "ip 198.51.100.7 misp 50 high - [tlp.green,attack.t1566] landing",
            "ip 198.51.100.8 misp 50 high - [tlp.green] phishing",
            "sha1 bb00000000000000000000000000000000000000 misp 50 high - [tlp.green] phishing",
            "url http://evil.example/x misp 50 high - [tlp.green] phishing",
            "misp.json: Event.Attribute[4]: an attribute of type `yara` is of no type of indicator that is known",
            "misp.json: Event.Attribute[5]: `evil.example` has no `|`, which a value of type `domain|ip` has",
            "misp.json: Event.Attribute[6]: the attribute cannot be read: missing field `value` at line 1 column 17",
            "skipped 1",
        ],
    );
    let attribute = r#"{"type":"md5","value":"bb000000000000000000000000000000"}"#;
    let expected = ["md5 bb000000000000000000000000000000 a 50 medium - []"];
    check("a.json", &format!(r#"{{"response":{{"Attribute":[{attribute}]}}}}"#), &expected);
    check("a.json", &format!(r#"{{"response":[{{"Event":{{"Attribute":[{attribute}]}}}}]}}"#), &expected);
    check("a.json", &format!(r#"[{{"Event":{{"Attribute":[{attribute}]}}}}]"#), &expected);
    check("a.json", r#"{"a":1}"#, &["a.json: $: there is neither `Event` nor `Attribute` nor `response` in it"]);
    check("a.json", "[[[[[]]]]]", &["a.json: [0][0][0][0]: nested too deep"]);
}

#[test]
fn the_allow_list_and_private_addresses() {
    let text = "10.1.2.3\n8.8.8.8\ngoogle.com\nown.example\nwww.own.example\nhttps://own.example/hacked\n203.0.113.0/25\nevil.example\n";
    let refused = |allow, options| {
        let lines = read_with(options, allow, "l.txt", text);
        lines.into_iter().filter(|line| line.contains("allow-list")).count()
    };
    assert_eq!(refused("", LoadOptions::default()), 3);
    assert_eq!(refused("own.example # ours\n203.0.113.0/24\n", LoadOptions::default()), 6);
    assert_eq!(refused("", LoadOptions { private: PrivateAddresses::Take, ..LoadOptions::default() }), 2);
    assert_eq!(
        read_with(LoadOptions::default(), "nonsense\n", "l.txt", "evil.example\n")[1],
        "allow.txt:1: `nonsense` is of no type that is known; write the type in front, for example `ja3:…`"
    );
}

#[test]
fn the_same_value_twice_is_merged_and_limits_hold() {
    check(
        "twice.csv",
        "value,confidence,expires\nEVIL.example,20,2026-01-01\nevil.example.,90,2027-01-01\n",
        &["domain evil.example twice 90 high 2027-01-01T00:00:00Z []"],
    );
    let options = LoadOptions { indicators_max: 2, ..LoadOptions::default() };
    let lines = read_with(options, "", "l.txt", "a.example\nb.example\nc.example\n");
    assert_eq!(lines[2], "l.txt:3: more than 2 indicators; this one is left out");
    let mut builder = Builder::new(LoadOptions::default());
    builder.add_text("l.txt", &"broken\n".repeat(1_000));
    let (_, report) = builder.finish();
    assert_eq!((report.problems.len(), report.problems_more, report.errors()), (100, 900, 1_000));
}

#[test]
fn directories() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let write = |name: &str, text: &[u8]| std::fs::write(dir.path().join(name), text).expect("a file");
    std::fs::create_dir(dir.path().join("more")).expect("a directory");
    write("a.txt", b"evil.example\nown.example\n");
    write("more/b.csv", b"value\n198.51.100.7\n");
    write("latin.txt", b"b.example # caf\xe9\n");
    write("allow.txt", b"own.example\n");
    write("README.md", b"not a list");
    write(".hidden", b"not a list");
    let paths = [dir.path().to_owned(), dir.path().join("nowhere.txt")];
    let loaded = canh_ioc::load(&paths, LoadOptions { file_len_max: 64, ..LoadOptions::default() });
    let values: Vec<_> = loaded.set.iter().map(|one| format!("{} {}", one.list, one.value)).collect();
    assert_eq!(values, ["a evil.example", "latin b.example", "b 198.51.100.7"]);
    assert_eq!((loaded.report.errors(), loaded.report.allowed()), (1, 1));
    write("long.txt", &b"a.example\n".repeat(10));
    let loaded = canh_ioc::load(&paths[..1], LoadOptions { file_len_max: 64, ..LoadOptions::default() });
    assert_eq!(loaded.report.problems[0].to_string(), "a.txt:2: `own.example` is left out: it is on the allow-list");
    assert_eq!(loaded.report.problems[1].to_string(), "long.txt: the file is longer than 64 bytes; split it");
    assert_eq!(loaded.set.counts(Timestamp::from_secs(0)).len(), 2);
}
