//! Every sample of every format as a whole event, next to what was expected. `UPDATE_EXPECT=1` accepts a change.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Write;
use std::path::Path;

use bytes::Bytes;
use canh_collector::format::{FORMATS, fuzz_targets};
use canh_collector::{DecodeSettings, Door, Envelope, Framing, RecordList, decode};
use canh_schema::{Event, Position, Timestamp, Value};
use proptest::prelude::*;

fn received() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-22T09:00:00Z").unwrap()
}

/// Records as syslog over UDP would bring them.
fn decode_records(records: &[&[u8]]) -> Vec<Event> {
    let mut list = RecordList::default();
    for record in records {
        list.push(record, Some("192.0.2.10".parse().unwrap()), canh_collector::Cut::Whole);
    }
    let envelope = Envelope::new(Door::SyslogUdp, received(), Framing::Records, list.take());
    decode(&envelope, Position::new(7), 1, &DecodeSettings::default()).events
}

fn show_value(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::Ip(value) => format!("ip {value}"),
        Value::Text(value) => format!("{value:?}"),
        Value::List(values) => format!("[{}]", values.iter().map(show_value).collect::<Vec<_>>().join(", ")),
    }
}

fn show(event: &Event) -> String {
    let mut out = String::new();
    let source = &event.logsource;
    let services: Vec<_> = source.services().collect();
    let raw = String::from_utf8_lossy(&event.raw);
    let visible =
        |letter: char| if letter.is_control() { letter.escape_default().collect() } else { letter.to_string() };
    writeln!(out, "raw {}", raw.chars().map(visible).collect::<String>()).unwrap();
    writeln!(out, "  time {}  class {}", event.time, event.class.name()).unwrap();
    let product = source.product.as_deref().unwrap_or("-");
    writeln!(out, "  logsource {product} / {} / {}", services.join(" "), source.categories.join(" ")).unwrap();
    for (field, value) in &event.fields {
        writeln!(out, "  {} = {}", field.name(), show_value(value)).unwrap();
    }
    for (name, value) in &event.attrs {
        writeln!(out, "  + {name} = {}", show_value(value)).unwrap();
    }
    for issue in &event.issues {
        writeln!(out, "  ! {} {}", issue.kind.name(), issue.detail).unwrap();
    }
    out
}

/// Compares the events of these lines, decoded as one batch, with `golden/<name>.txt`.
#[track_caller]
fn check(name: &str, lines: &[&str]) {
    let records: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
    let shown: Vec<String> = decode_records(&records).iter().map(show).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"));
    expect_test::expect_file![path].assert_eq(&shown.join("\n"));
}

#[test]
fn samples_of_every_format() {
    for format in FORMATS {
        check(&format!("format_{}", format.name()), format.samples());
    }
}

#[test]
fn lines_of_servers_through_syslog() {
    check(
        "source_databases",
        &[
            "<134>Nov 22 15:31:48 DSS-Svr postgres[812]: [3-1] 2026-11-22 15:31:47.123 +07 [812] motcua@hoso FATAL:  password authentication failed for user \"motcua\"",
            "<134>Nov 22 15:31:48 DSS-Svr postgres[812]: [3-2] 2026-11-22 15:31:47.123 +07 [812] motcua@hoso DETAIL:  Connection matched pg_hba.conf line 97",
            "<134>Nov 22 15:31:48 DSS-Svr postgres[812]: [4-1] LOG:  AUDIT: SESSION,1,1,ROLE,CREATE ROLE,,,create role x superuser,<not logged>",
            "<134>Nov 22 15:31:48 DSS-Svr postgres[812]: #011FROM hoso",
            "<27>Nov 22 15:31:48 Mysql mysqld[812]: 2026-11-22T08:31:47.123456Z 12 [Note] [MY-010926] [Server] Access denied for user 'root'@'203.0.113.9' (using password: YES)",
            "<14>Nov 22 15:31:48 Mysql mysql-server_auditing:  Mysql,root,203.0.113.9,12,34,QUERY,hoso,'SELECT 1',0",
            "<134>Nov 22 15:31:48 Oracle journal: Oracle Unified Audit[23128]: LENGTH: '185' TYPE:\"4\" DBID:\"2809789491\" SESID:\"2759083216\" CLIENTID:\"\" ENTRYID:\"1\" STMTID:\"1\" DBUSER:\"HOSO\" CURUSER:\"HOSO\" ACTION:\"100\" RETCODE:\"1017\" SCHEMA:\"\" OBJNAME:\"\" PDB_GUID:\"B3316DF8\"",
            "<134>Nov 22 15:31:48 Oracle Oracle Audit[13491]: LENGTH: \"300\" SESSIONID:[9] \"203830992\" ENTRYID:[1] \"1\" STATEMENT:[1] \"1\" USERID:[4] \"HOSO\" USERHOST:[7] \"API-Svr\" ACTION:[3] \"100\" RETURNCODE:[4] \"1017\" COMMENT$TEXT:[97] \"Authenticated by: DATABASE; Client address: (ADDRESS=(PROTOCOL=tcp)(HOST=203.0.113.9)(PORT=50122))\" OS$USERID:[6] \"oracle\" DBID:[10] \"2809789491\"",
            "<134>Nov 22 15:31:48 Oracle Oracle Audit[13492]: LENGTH : '160' ACTION :[7] 'CONNECT' DATABASE USER:[3] 'sys' PRIVILEGE :[6] 'SYSDBA' CLIENT USER:[6] 'oracle' CLIENT TERMINAL:[5] 'pts/0' STATUS:[1] '0' DBID:[10] '2809789491'",
        ],
    );
}

#[test]
fn lines_of_wso2_products() {
    check(
        "source_wso2",
        &[
            "[2026-11-22 15:26:22,506]  WARN -  Failed Administrator login attempt 'x'[y[-1234]' at [2026-11-22 15:26:22,506+0700]",
            "[2026-11-22 15:26:22,506] ERROR -  Illegal access attempt at [2026-11-22 15:26:22,0506] from IP address 203.0.113.9 while trying to authenticate access to service UserAdmin",
            "TID: [-1234] [] [2026-11-22 15:26:22,506]  WARN {org.wso2.carbon.identity.sso.saml.servlet.SAMLSSOProviderServlet} -  ALERT: Invalid Assertion Consumer URL value 'https://198.51.100.7/acs' in the AuthnRequest message from  the issuer : MOTCUA in tenant domain : carbon.super. Possibly an attempt for a spoofing attack",
            "[2026-11-22 15:26:22,506]  WARN {API_LOGGER.HoTich} - ERROR_CODE : 101503 ERROR_MESSAGE : Error connecting to the back end",
            "[2026-11-22 15:26:22,506]  WARN {org.apache.synapse.endpoints.EndpointContext} - Suspending endpoint : HoTichEP with address http://10.20.2.15/x - current suspend duration is : 30000ms - Next retry after : Sun Nov 22 15:26:52 ICT 2026",
            "TID: [-1234] [] [2026-11-22 15:26:22,506]  WARN {org.wso2.carbon.databridge.agent.DataPublisher} -  Event queue is full, unable to process the event for endpoint group [ tcp://10.20.1.9:7611 ], dropping the event",
            "[2026-11-22 15:26:22,506] DEBUG - wire HTTPS-Listener I/O dispatcher-5 >> \"Accept: text/xml[\\r][\\n]\"",
            "[2026-11-22 15:26:22,506]  INFO -  Initiator : quantri@carbon.super | Action : Update Roles of User | Target : canbo01 | Data : { Roles : [admin | x] } | Result : Success",
            "[2026-11-22 15:26:22,506]  INFO {AUDIT_LOG} - { \"performedBy\": \"quantri\", \"action\": \"enabled\", \"type\": \"api_trace\", \"info\": \"{\\\"apiName\\\": \\\"HoTich\\\"}\"}",
            "[2026-11-22 15:26:22,506]  INFO {AUDIT_LOG} - { \"performedBy\": \"quantri\", \"action\"",
            "[2026-11-22 15:26:22,506]  INFO {AUDIT_LOG}-  Initiator : quantri | Action : Login",
            "java.lang.OutOfMemoryError: Java heap space",
            "\tat org.apache.synapse.transport.passthru.ServerWorker.run(ServerWorker.java:154)",
        ],
    );
}

#[test]
fn lines_of_directories_and_mail() {
    check(
        "source_directories",
        &[
            "<167>Nov 22 15:31:48 LDAP-Svr slapd[812]: conn=1001 fd=12 ACCEPT from IP=203.0.113.9:45678 (IP=0.0.0.0:389)",
            "<167>Nov 22 15:31:48 LDAP-Svr slapd[812]: conn=1001 op=0 BIND dn=\"uid=canbo01,ou=people,dc=tinh,dc=vn\" method=128",
            "<167>Nov 22 15:31:48 LDAP-Svr slapd[812]: conn=1001 op=0 RESULT tag=97 err=49 qtime=0.000012 etime=0.000310 text=",
            "<167>Nov 22 15:31:48 LDAP-Svr slapd[812]: conn=1002 op=1 SRCH base=\"dc=tinh,dc=vn\" scope=2 deref=0 filter=\"(objectClass=*)\"",
            "<167>Nov 22 15:31:48 LDAP-Svr slapd[812]: conn=1002 op=1 SEARCH RESULT tag=101 err=0 nentries=12840 text=",
            "<167>Nov 22 15:31:48 LDAP-Svr slapd[812]: conn=1001 op=2 MOD attr=userPassword pwdChangedTime",
            "<38>Nov 22 15:31:48 LDAP-Svr krb5kdc[812]: AS_REQ (8 etypes {18 17 16 23 25 26 20 19}) 10.20.1.7: PREAUTH_FAILED: canbo01@TINH.VN for krbtgt/TINH.VN@TINH.VN, Preauthentication failed",
            "Nov 22 15:31:48 LDAP-Svr krb5kdc[812](info): TGS_REQ (4 etypes {18 17 20 19}) 10.20.1.7: ISSUE: authtime 1795336308, etypes {rep=18 tkt=18 ses=18}, canbo01@TINH.VN for HTTP/dichvu.tinh.vn@TINH.VN",
        ],
    );
    check(
        "source_mail",
        &[
            "<22>Nov 22 15:31:48 DichVu-Svr postfix/smtpd[812]: warning: unknown[203.0.113.9]: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username=canbo01@tinh.vn",
            "<22>Nov 22 15:31:48 DichVu-Svr postfix/submission/smtpd[812]: 4C1A12F4D3: client=unknown[203.0.113.9], sasl_method=PLAIN, sasl_username=canbo01@tinh.vn",
            "<22>Nov 22 15:31:48 DichVu-Svr postfix/qmgr[811]: 4C1A12F4D3: from=<canbo01@tinh.vn>, size=2210, nrcpt=48 (queue active)",
            "<22>Nov 22 15:31:48 DichVu-Svr postfix/smtp[813]: 4C1A12F4D3: to=<x@example.com>, relay=mx.example.com[198.51.100.7]:25, delay=1.2, delays=0.1/0/0.5/0.6, dsn=4.7.1, status=deferred (host mx.example.com[198.51.100.7] said: 421 4.7.1 try later)",
            "<22>Nov 22 15:31:48 DichVu-Svr dovecot: imap-login: Disconnected (auth failed, 3 attempts in 12 secs): user=<canbo01>, method=PLAIN, rip=203.0.113.9, lip=10.20.1.5, TLS, session=<abc=>",
            "<22>Nov 22 15:31:48 DichVu-Svr dovecot: imap-login: Login: user=<canbo01>, method=PLAIN, rip=10.20.1.7, lip=10.20.1.5, mpid=812, TLS, session=<abc=>",
        ],
    );
}

#[test]
fn lines_of_networks() {
    check(
        "source_networks",
        &[
            "<4>Nov 22 15:31:48 gw kernel: [1234.5] IPT-DROP IN=eth0 OUT= MAC=00:11:22:33:44:55:66:77:88:99:aa:bb:08:00 SRC=203.0.113.9 DST=10.20.1.5 LEN=60 TOS=0x00 PREC=0x00 TTL=52 ID=1 DF PROTO=TCP SPT=40022 DPT=22 WINDOW=29200 RES=0x00 SYN URGP=0",
            "<4>Nov 22 15:31:48 gw kernel: nft drop: IN=eth0 OUT=eth1 SRC=203.0.113.9 DST=10.20.1.5 LEN=40 TTL=52 ID=2 PROTO=UDP SPT=40022 DPT=161 LEN=20",
            "<30>Nov 22 15:31:48 ns1 named[812]: client @0x7f1 10.20.1.7#40022 (www.example): query: www.example IN A +E(0)K (10.20.1.5)",
            "<30>Nov 22 15:31:48 ns1 unbound[812]: [812:0] info: 10.20.1.7 www.example. A IN",
            "<30>Nov 22 15:31:48 ns1 dnsmasq[812]: query[A] www.example from 10.20.1.7",
            "<30>Nov 22 15:31:48 gw dnsmasq-dhcp[812]: DHCPACK(br0) 10.20.1.77 00:11:22:33:44:55 may-tram",
            "<29>Nov 22 15:31:48 gw openvpn[812]: 203.0.113.9:40022 [minh] Peer Connection Initiated with [AF_INET]203.0.113.9:40022",
            "<166>Nov 22 2026 15:31:48 asa-1 : %ASA-4-106023: Deny tcp src outside:203.0.113.9/40022 dst inside:10.20.1.5/22 by access-group \"outside_in\" [0x0, 0x0]",
            "<189>81: sw-1: Nov 22 15:31:48.120: %SEC_LOGIN-4-LOGIN_FAILED: Login failed [user: minh] [Source: 203.0.113.9] [localport: 22] [Reason: Login Authentication Failed] at 15:31:48 ICT Sun Nov 22 2026",
            "<189>date=2026-11-22 time=15:31:48 devname=\"FG-1\" devid=\"FG100\" logid=\"0000000013\" type=\"traffic\" subtype=\"forward\" level=\"notice\" srcip=203.0.113.9 srcport=40022 dstip=10.20.1.5 dstport=22 action=\"deny\" proto=6 policyid=0",
            "<30>Nov 22 15:31:48 mt-1 system,error,critical login failure for user admin from 203.0.113.9 via ssh",
            "<134>Nov 22 15:31:48 pf-1 filterlog[812]: 4,,,1000000103,igb0,match,block,in,4,0x0,,64,1,0,DF,6,tcp,60,203.0.113.9,10.20.1.5,40022,22,0,S,1,,64240,,mss",
        ],
    );
}

#[test]
fn lines_of_linux_programs() {
    let at = "Nov 22 09:31:48 srv";
    let lines = |texts: &[&str]| texts.iter().map(|text| format!("{at} {text}")).collect::<Vec<_>>();
    let check_lines = |name, texts: &[&str]| {
        let lines = lines(texts);
        check(name, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    };
    check_lines(
        "source_sshd",
        &[
            "sshd[1]: Failed password for root from 203.0.113.9 port 40022 ssh2",
            "sshd[1]: Failed password for invalid user x from 192.0.2.1 port 1 from 203.0.113.9 port 40022 ssh2",
            "sshd-session[1]: Accepted password for minh from 2001:db8::9 port 40022 ssh2",
            "sshd[1]: Invalid user  from 203.0.113.9 port 40022",
            "sshd[1]: Connection closed by authenticating user root 203.0.113.9 port 40022 [preauth]",
            "sshd[1]: Disconnected from user minh 203.0.113.9 port 40022",
            "sshd[1]: Received disconnect from 203.0.113.9 port 40022:11: disconnected by user",
            "sshd[1]: error: maximum authentication attempts exceeded for root from 203.0.113.9 port 40022 ssh2 [preauth]",
            "sshd[1]: message repeated 3 times: [ Failed password for root from 203.0.113.9 port 40022 ssh2]",
            "sshd[1]: Failed password for root from mail.example.vn port 40022 ssh2",
            "sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root",
            "sshd[1]: pam_unix(sshd:session): session opened for user minh(uid=1000) by (uid=0)",
            "sshd[1]: PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root",
        ],
    );
    check_lines(
        "source_accounts",
        &[
            "sudo:     minh : TTY=pts/0 ; PWD=/home/minh ; USER=root ; COMMAND=/bin/sh -c id ; whoami",
            "sudo:     minh : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/home/minh ; USER=root ; COMMAND=/usr/bin/id",
            "sudo:     minh : user NOT in sudoers ; TTY=pts/0 ; PWD=/home/minh ; USER=root ; COMMAND=/usr/bin/id",
            "sudo: pam_unix(sudo:session): session opened for user root(uid=0) by minh(uid=1000)",
            "su[9]: (to root) minh on pts/0",
            "su[9]: FAILED SU (to root) minh on pts/0",
            "CRON[9]: (root) CMD (   cd / && run-parts --report /etc/cron.hourly)",
            "CRON[9]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
            "crontab[9]: (minh) REPLACE (minh)",
            "useradd[9]: new user: name=svc, UID=1002, GID=1002, home=/home/svc, shell=/bin/bash, from=/dev/pts/0",
            "usermod[9]: add 'svc' to group 'sudo'",
            "passwd[9]: pam_unix(passwd:chauthtok): password changed for svc",
            "userdel[9]: delete user 'svc'",
            "systemd-logind[1]: New session 12 of user minh.",
            "systemd[1]: Started OpenBSD Secure Shell server.",
            "kernel: [UFW BLOCK] IN=eth0 OUT= MAC=aa SRC=203.0.113.9 DST=10.10.1.2 LEN=60 PROTO=TCP SPT=40000 DPT=22 SYN",
            "nginx: 203.0.113.9 - - [22/Nov/2026:09:31:48 +0700] \"GET /a.php?x=1 HTTP/1.1\" 200 5 \"-\" \"curl/8\"",
            "audispd: type=SYSCALL msg=audit(1795336308.250:61): arch=c000003e syscall=2 success=no exit=-13 pid=5 uid=33 comm=\"cat\" exe=\"/usr/bin/cat\"",
            "wso2[9]: {\"level\":\"ERROR\",\"message\":\"token expired\",\"source.ip\":\"10.10.1.7\"}",
        ],
    );
}

#[test]
fn records_of_one_audit_event_share() {
    check(
        "source_auditd_joined",
        &[
            r#"type=SYSCALL msg=audit(1795336308.250:59): syscall=59 success=yes ppid=12041 pid=13393 auid=1000 uid=0 comm="cat" exe="/usr/bin/cat" key="user_commands""#,
            r#"type=EXECVE msg=audit(1795336308.250:59): argc=2 a0="cat" a1="/etc/shadow""#,
            r#"type=CWD msg=audit(1795336308.250:59): cwd="/root""#,
            r#"type=EXECVE msg=audit(1795336308.250:60): argc=1 a0="id""#,
        ],
    );
}

#[test]
fn bad_input() {
    check(
        "bad_input",
        &[
            r#"{"a":1,"b":"cut"#,
            "<13>Feb 30 22:14:15 r1 app: no such day",
            "<165>1 2026-13-22T01:59:57Z host app - - - no such month",
            "Nov 24 22:14:15 srv app: two days ahead, so last year's",
            "2026-12-24T22:14:15Z srv app: a month ahead",
            r#"{"source.ip":"not an address","@timestamp":"soon","message":"x"}"#,
            "   ",
            "control \u{1b}[31m characters \u{0} stay",
        ],
    );
}

#[test]
fn bytes_that_are_not_utf8_are_shown_and_kept() {
    let line: &[u8] = b"<13>Nov 22 09:31:48 srv app: caf\xe9 \xff";
    let events = decode_records(&[line]);
    assert_eq!(events[0].raw, line);
    assert_eq!(events[0].lookup("message").and_then(Value::as_str), Some("caf\u{fffd} \u{fffd}"));
    assert_eq!(events[0].issues[0].kind.name(), "invalid_utf8");
}

#[test]
fn a_long_line_is_cut_and_marked() {
    let settings = DecodeSettings { line_max: canh_schema::ByteSize::new(31), ..DecodeSettings::default() };
    let payload = Bytes::from_static("<13>Nov 22 09:31:48 srv app: aéz and more\nshort".as_bytes());
    let envelope = Envelope::new(Door::SyslogTcp, received(), Framing::Lines, payload);
    let events = decode(&envelope, Position::new(1), 1, &settings).events;
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].raw.len(), 31);
    assert_eq!(events[0].lookup("message").and_then(Value::as_str), Some("a"));
    let issues: Vec<_> = events[0].issues.iter().map(|issue| issue.kind.name()).collect();
    assert_eq!(issues, ["truncated"]);
    assert!(events[1].issues.is_empty());
}

#[test]
fn a_batch_of_too_many_records_keeps_the_rest_whole() {
    let settings = DecodeSettings { events_max: 2, ..DecodeSettings::default() };
    let envelope = Envelope::new(Door::Ndjson, received(), Framing::Lines, Bytes::from_static(b"a\nb\nc\nd\n"));
    let events = decode(&envelope, Position::new(1), 1, &settings).events;
    let raws: Vec<_> = events.iter().map(|event| event.raw.as_ref()).collect();
    assert_eq!(raws, [b"a".as_slice(), b"b", b"c\nd\n"]);
    assert_eq!(events[2].issues[0].kind.name(), "truncated");
}

#[test]
fn envelope_keys_are_read_from_lines_of_json_only() {
    let line = br#"{"_product":"windows","_service":"sysmon","_category":["a","b"],"x":1}"#;
    let check = |framing, product: Option<&str>, attrs: usize| {
        let payload = Bytes::copy_from_slice(line);
        let envelope = Envelope::new(Door::Ndjson, received(), framing, payload);
        let events = decode(&envelope, Position::new(1), 1, &DecodeSettings::default()).events;
        assert_eq!(events[0].logsource.product.as_deref(), product, "{framing:?}");
        assert_eq!(events[0].attrs.len(), attrs, "{framing:?}");
    };
    check(Framing::NdJson, Some("windows"), 1);
    check(Framing::Lines, None, 4);
}

#[test]
fn decoding_again_gives_the_same_events() {
    let records: Vec<&[u8]> =
        FORMATS.iter().flat_map(|format| format.samples()).map(|sample| sample.as_bytes()).collect();
    let events = decode_records(&records);
    assert_eq!(events, decode_records(&records));
    let ids: std::collections::BTreeSet<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), records.len());
}

/// Bytes that look enough like the real thing to get past the first test of a decoder.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let samples: Vec<&'static str> = FORMATS.iter().flat_map(|format| format.samples().iter().copied()).collect();
    let mutated = (
        prop::sample::select(samples),
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 0..6),
    );
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        mutated.prop_map(|(sample, edits)| {
            let mut bytes = sample.as_bytes().to_vec();
            for (at, byte, kind) in edits {
                if bytes.is_empty() {
                    break;
                }
                let at = at.index(bytes.len());
                match kind {
                    0 => bytes[at] = byte,
                    1 => bytes.truncate(at),
                    _ => bytes.insert(at, byte),
                }
            }
            bytes
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_decoder_panics(bytes in hostile()) {
        for (_, target) in fuzz_targets() {
            target(&bytes);
        }
    }
}

/// What routers and switches send at the flow door.
mod flows {
    use super::*;

    #[track_caller]
    fn check(name: &str, datagrams: &[Vec<u8>]) {
        let mut list = RecordList::default();
        list.push(b"", None, canh_collector::Cut::Whole); // nothing was known before
        for datagram in datagrams {
            list.push(datagram, Some("192.0.2.10".parse().unwrap()), canh_collector::Cut::Whole);
        }
        let envelope = Envelope::new(Door::Flow, received(), Framing::Flows, list.take());
        let settings = DecodeSettings::default();
        let events = decode(&envelope, Position::new(7), 1, &settings).events;
        assert_eq!(events, decode(&envelope, Position::new(7), 1, &settings).events);
        // The raw bytes are binary; their number says enough.
        let shown: Vec<String> = events
            .into_iter()
            .map(|mut event| {
                event.raw = Bytes::from(format!("{} bytes", event.raw.len()));
                show(&event)
            })
            .collect();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("flow_{name}.txt"));
        expect_test::expect_file![path].assert_eq(&shown.join("\n"));
    }

    fn words(words: &[u16]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn longs(longs: &[u32]) -> Vec<u8> {
        longs.iter().flat_map(|long| long.to_be_bytes()).collect()
    }

    fn set(id: u16, body: &[u8]) -> Vec<u8> {
        [words(&[id, u16::try_from(body.len() + 4).unwrap()]), body.to_vec()].concat()
    }

    /// 2026-11-22T08:59:50Z
    const WRITTEN: u32 = 1_795_337_990;

    #[test]
    fn netflow_v5() {
        let head = [words(&[5, 2]), longs(&[600_000, WRITTEN, 0, 42]), words(&[0, 0x4000 | 10])].concat();
        let tcp = [
            vec![10, 10, 1, 4, 203, 0, 113, 77, 10, 10, 1, 1],
            words(&[3, 4]),
            longs(&[7, 5_500, 590_000, 598_500]),
            words(&[64_842, 443]),
            vec![0, 0x1b, 6, 0],
            words(&[0, 64_501]),
            vec![24, 0, 0, 0],
        ];
        let icmp = [
            vec![10, 10, 1, 4, 10, 10, 0, 4, 0, 0, 0, 0],
            words(&[3, 0]),
            longs(&[1, 84, 599_000, 599_000]),
            words(&[0, 0x0800]),
            vec![0, 0, 1, 0],
            words(&[0, 0]),
            vec![0, 0, 0, 0],
        ];
        check("netflow_v5", &[[head, tcp.concat(), icmp.concat()].concat()]);
    }

    #[test]
    fn netflow_v9_with_options() {
        let message = |sequence, sets: &[Vec<u8>]| {
            [words(&[9, 1]), longs(&[600_000, WRITTEN, sequence, 1]), sets.concat()].concat()
        };
        let names = [
            set(1, &words(&[300, 4, 8, 10, 4, 82, 8, 83, 8])),
            set(300, b"\0\0\0\x03Gi0/3\0\0\0uplink\0\0\0\0\0\x04Gi0/4\0\0\0\0\0\0\0\0\0\0\0"),
        ];
        // Cisco's scope of an interface is number 2.
        let names = [set(1, &words(&[300, 4, 8, 2, 4, 82, 8, 83, 8])), names[1].clone()];
        let samplers = [set(1, &words(&[301, 4, 8, 1, 4, 48, 1, 50, 4])), set(301, &[0, 0, 0, 0, 2, 0, 0, 0, 100])];
        let template = set(0, &words(&[256, 10, 27, 16, 28, 16, 4, 1, 7, 2, 11, 2, 1, 4, 2, 4, 10, 4, 14, 4, 48, 1]));
        let end = |last: u8| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
        let record = |sampler| {
            let ends = [end(1), end(2)].concat();
            [ends, vec![17, 0xc3, 0x50, 0, 53], longs(&[640, 4, 3, 4]), vec![sampler]].concat()
        };
        let data = set(256, &[record(2), record(3)].concat());
        check("netflow_v9", &[message(1, &names), message(2, &samplers), message(3, &[template, data])]);
    }

    #[test]
    fn ipfix_with_both_directions() {
        let fields = words(&[256, 9, 8, 4, 12, 4, 4, 1, 7, 2, 11, 2, 1, 4, 0x8001, 4, 0, 29_305, 152, 8, 371, 0xffff]);
        let record = [
            vec![10, 10, 1, 4, 203, 0, 113, 77, 6],
            words(&[50_000, 22]),
            longs(&[1_000, 2_000]),
            (u64::from(WRITTEN) * 1_000 - 2_500).to_be_bytes().to_vec(),
            b"\x05canbo".to_vec(),
        ];
        let sets = [set(2, &fields), set(256, &record.concat())].concat();
        let len = u16::try_from(sets.len() + 16).unwrap();
        check("ipfix", &[[words(&[10, len]), longs(&[WRITTEN, 9, 5]), sets].concat()]);
    }

    #[test]
    fn sflow() {
        let packet = [
            &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 12, 8, 0][..],
            &[0x45, 0, 0, 60, 0, 1, 0, 0, 64, 6, 0, 0, 10, 10, 1, 4, 10, 10, 0, 4],
            &[0xc3, 0x50, 0, 22, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0],
        ]
        .concat();
        let header = [longs(&[1, 78, 4, u32::try_from(packet.len()).unwrap()]), packet].concat();
        let sample =
            [longs(&[1, 3, 512, 5_120, 0, 3, 4, 1]), longs(&[1, u32::try_from(header.len()).unwrap()]), header]
                .concat();
        let counters = longs(&[
            1,
            3,
            1,
            1,
            88,
            3,
            6,
            0,
            1_000_000_000,
            1,
            3,
            0,
            900,
            1,
            2,
            3,
            4,
            5,
            6,
            0,
            800,
            7,
            8,
            9,
            10,
            11,
            0,
        ]);
        let mut datagram = [longs(&[5, 1]), vec![10, 10, 0, 5], longs(&[0, 9, 1_000, 2])].concat();
        for (format, body) in [(1, sample), (2, counters)] {
            datagram.extend(longs(&[format, u32::try_from(body.len()).unwrap()]));
            datagram.extend(body);
        }
        check("sflow", &[datagram]);
    }

    #[test]
    fn what_cannot_be_read_is_kept() {
        let no_template = [words(&[9, 1]), longs(&[1, 1, 1, 1]), set(256, &[1, 2, 3, 4])].concat();
        let lying_set = [words(&[9, 1]), longs(&[1, 1, 1, 1]), words(&[256, 99])].concat();
        // An exporter whose clock was never set.
        let head = [words(&[5, 1]), longs(&[600_000, 600, 0, 42]), words(&[0, 0])].concat();
        check("bad", &[b"<13>syslog".to_vec(), no_template, lying_set, [head, vec![1; 48]].concat()]);
    }
}

/// What our agent sends comes out as if the lines had come through any other door.
mod otlp {
    use canh_collector::AgentBatch;
    use canh_schema::{AgentId, IssueKind, field};
    use canh_wire::{Counting, LogBatchBuilder, LogEntry, MetricsBuilder, Origin, attribute};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
    use prost::Message;

    use super::*;

    fn origin() -> Origin {
        Origin {
            agent: AgentId::from_bytes([7; 16]),
            agent_version: "1.2.3".to_owned(),
            host_name: "ESB-Svr".to_owned(),
        }
    }

    #[track_caller]
    fn check(name: &str, framing: Framing, payload: Vec<u8>) {
        let mut envelope = Envelope::new(Door::OtlpGrpc, received(), framing, Bytes::from(payload));
        envelope.agent = Some(AgentBatch { agent: AgentId::from_bytes([7; 16]), spool: 1, sequence: 2 });
        envelope.peer = Some("10.10.2.3".parse().unwrap());
        let events = decode(&envelope, Position::new(7), 1, &DecodeSettings::default()).events;
        let shown: Vec<String> = events.iter().map(show).collect();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("otlp_{name}.txt"));
        expect_test::expect_file![path].assert_eq(&shown.join("\n"));
    }

    #[test]
    fn logs() {
        let observed = Timestamp::parse_rfc3339("2026-11-22T08:59:59Z").unwrap();
        let mut batch = LogBatchBuilder::new(origin());
        let mut push = |body: &[u8], attributes| {
            batch.push(LogEntry { observed, body: body.to_vec(), attributes, ..LogEntry::default() });
        };
        let file = |path: &str| {
            vec![(attribute::LOG_FILE_PATH, Value::from(path)), (attribute::LOG_FILE_OFFSET, Value::Integer(9))]
        };
        let auth = "Nov 22 09:31:48 esb sshd[1]: Failed password for root from 203.0.113.9 port 40022 ssh2";
        push(auth.as_bytes(), file("/var/log/auth.log"));
        let access = r#"203.0.113.9 - - [22/Nov/2026:15:31:48 +0700] "GET /a HTTP/1.1" 404 5 "-" "curl/8""#;
        push(access.as_bytes(), file("/var/log/nginx/access.log"));
        push(b"TID: [-1234] [] [2026-11-22 15:30:00,123]  INFO {x.Y} - caf\xe9", file("/opt/wso2/carbon.log"));
        push(
            br#"{"__REALTIME_TIMESTAMP":"1795336308250000","_HOSTNAME":"esb","SYSLOG_IDENTIFIER":"sudo","MESSAGE":"minh : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/id"}"#,
            vec![(attribute::FORMAT, Value::from("journald_json")), (attribute::EVENT_DATASET, Value::from("journald"))],
        );
        push(b"cut", vec![(attribute::TRUNCATED, Value::Bool(true))]);
        push(
            b"",
            vec![
                (attribute::EVENT_DATASET, Value::from("dns")),
                ("source.ip", Value::from("10.10.2.3")),
                ("destination.ip", Value::from("10.10.0.4")),
                ("destination.port", Value::Integer(53)),
                ("dns.question.name", Value::from("a.exfil.example")),
                ("dns.question.type", Value::from("TXT")),
            ],
        );
        push(
            b"",
            vec![
                (attribute::EVENT_DATASET, Value::from("http")),
                ("http.request.method", Value::from("GET")),
                ("url.domain", Value::from("a.example")),
                ("url.original", Value::from("/x.php?c=id")),
                ("http.response.status_code", Value::Integer(200)),
            ],
        );
        push(b"", vec![(attribute::EVENT_DATASET, Value::from("flow")), ("source.port", Value::from("many"))]);
        check("logs", Framing::OtlpLogs, batch.finish());
    }

    #[test]
    fn metrics() {
        let at = Timestamp::parse_rfc3339("2026-11-22T08:59:45Z").unwrap();
        let mut batch = MetricsBuilder::new(origin(), Timestamp::from_secs(0), at);
        let usage = Value::Integer(123_456);
        batch.add(Counting::UpDown, "system.memory.usage", "By", &usage, &[("system.memory.state", "used")]);
        batch.add(Counting::Gauge, "system.cpu.load_average.1m", "{thread}", &Value::Float(0.75), &[]);
        check("metrics", Framing::OtlpMetrics, batch.finish());
    }

    /// Spans as OTLP's JSON has them, `otlp_spans.json`.
    fn spans() -> ExportTraceServiceRequest {
        serde_json::from_str(include_str!("golden/otlp_spans.json")).unwrap()
    }

    #[test]
    fn traces() {
        check("spans", Framing::OtlpTraces, spans().encode_to_vec());
    }

    #[test]
    fn spans_come_out_of_the_journal_as_they_went_in() {
        let mut envelope =
            Envelope::new(Door::OtlpHttp, received(), Framing::OtlpTraces, Bytes::from(spans().encode_to_vec()));
        envelope.label("canh.token", "hoso");
        let again = Envelope::decode(envelope.encode()).unwrap();
        assert_eq!(again, envelope);
        let settings = DecodeSettings::default();
        let events = |envelope: &Envelope| decode(envelope, Position::new(7), 1, &settings).events;
        assert_eq!(events(&again), events(&envelope));
        assert!(events(&again).iter().all(|event| event.get(field::CANH_TOKEN) == Some(&"hoso".into())));
    }

    #[test]
    fn what_a_span_may_hold_is_bounded() {
        let mut request = spans();
        let span = &mut request.resource_spans[0].scope_spans[0].spans[0];
        let exception = span.events[0].clone();
        span.events = vec![exception; 100];
        let long = Some(AnyValue { value: Some(any_value::Value::StringValue("x".repeat(2 << 20))) });
        span.events[0].attributes[2].value.clone_from(&long);
        let settings = DecodeSettings::default();
        let envelope =
            Envelope::new(Door::OtlpHttp, received(), Framing::OtlpTraces, Bytes::from(request.encode_to_vec()));
        let event = decode(&envelope, Position::new(7), 1, &settings).events.swap_remove(0);
        assert_eq!(event.raw.len() as u64, settings.line_max.bytes());
        assert_eq!(event.attr("span.events").unwrap().members().len(), 16);
        assert_eq!(event.get(field::ERROR_STACK_TRACE).unwrap().as_str().unwrap().len(), 32 << 10);
        let issues: Vec<_> = event.issues.iter().map(|issue| issue.kind).collect();
        assert_eq!(issues, [IssueKind::Truncated, IssueKind::TooManyFields]);

        let few = DecodeSettings { events_max: 3, ..DecodeSettings::default() };
        let events = decode(&envelope, Position::new(7), 1, &few).events;
        assert_eq!(events.len(), 4);
        assert_eq!(events[3].issues[0].kind, IssueKind::Truncated);
    }

    #[test]
    fn garbage() {
        check("garbage", Framing::OtlpLogs, b"not protobuf".to_vec());
    }
}
