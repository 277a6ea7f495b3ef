//! No secret survives: planted into records of every source that has addresses, forms or headers, whole and cut off at any
//! byte, it is in no field, attribute, issue or raw text of what comes of them.

use std::sync::Arc;

use bytes::Bytes;
use canh_collector::{DecodeSettings, Door, Envelope, Framing, Secrets, decode};
use canh_schema::{Event, Position, Timestamp, Value};
use proptest::prelude::*;

/// Records with a place for a query's parameter; `{p}` is `name=SECRET`.
const QUERIES: &[&str] = &[
    r#"203.0.113.9 - - [22/Nov/2026:15:31:48 +0700] "GET /a/b.php?x=1&{p}&y=2 HTTP/1.1" 200 51 "https://h.example/c?{p}" "curl/8""#,
    r#"h.example:443 203.0.113.9 - minh [22/Nov/2026:15:31:48 +0700] "POST /a?{p} HTTP/2.0" 403 - "-" "-""#,
    r#"<134>Nov 22 15:31:48 web nginx: 203.0.113.9 - - [22/Nov/2026:15:31:48 +0700] "GET /a;{p} HTTP/1.1" 200 51 "-" "-""#,
    r#"<134>Nov 22 15:31:48 lb haproxy[812]: 203.0.113.9:52100 [22/Nov/2026:15:31:48.120] fe be/srv1 0/0/1/20/21 200 512 - - ---- 1/1/0/0/0 0/0 {h.example|curl/8} "GET /a?{p}&x=1 HTTP/1.1""#,
    "1795336308.123    456 10.10.1.7 TCP_MISS/200 1234 GET http://www.example/a?b=c&{p} - HIER_DIRECT/192.0.2.80 text/html",
    r#"- 10.20.1.7 - - [22/Nov/2026:15:53:29 +0700] "POST /oauth2/token?{p} HTTP/1.1" - - "-" "x""#,
    "time=[22/Nov/2026:15:53:29 +0700] remoteHostname=10.20.1.7 requestMethod=GET requestURL=/h/1 remoteIP=10.20.1.7 HTTPStatusCode=200 queryString=?{p}",
    r#"{"time":"2026-11-22T08:31:48Z","remote_addr":"203.0.113.9","request":"GET /a?{p} HTTP/1.1","status":200}"#,
    r#"{"request":{"uri":"/a?x=1\u0026{p}","method":"GET","headers":{"host":"h"}},"latencies":{"proxy":1},"client_ip":"203.0.113.9"}"#,
    r#"{"log":"203.0.113.9 - - [22/Nov/2026:15:31:48 +0700] \"GET /a?{p} HTTP/1.1\" 200 51\n","stream":"stdout","time":"2026-11-22T08:31:48Z"}"#,
    "CEF:0|F5|ASM|16|200|Illegal|5|src=203.0.113.9 request=/a?x\\=1&{p} requestMethod=GET",
    r#"<14>1 2026-11-22T08:31:48Z app svc 1 - - form: "{p}&grant_type=password""#,
    r#"device="SFW" date=2026-11-22 time=15:31:48 log_type="Content Filtering" log_component="HTTP" url="https://h.example/a?{p}" src_ip=10.0.0.1"#,
    r#"2026/11/22 15:31:48 [error] 12#12: *7 upstream timed out, client: 203.0.113.9, server: h, request: "GET /a?{p} HTTP/1.1", host: "h""#,
    r#"[Sun Nov 22 15:31:48.123456 2026] [core:error] [pid 12] [client 203.0.113.9:5] AH1: bad, referer: https://h.example/a?{p}"#,
];

/// Records with a place for the secret itself, `{s}`.
const PLACES: &[&str] = &[
    r#"203.0.113.9 - - [22/Nov/2026:15:31:48 +0700] "GET /a HTTP/1.1" 200 51 "https://minh:{s}@h.example/c" "-""#,
    "1795336308.123    456 10.10.1.7 TCP_MISS/200 1234 GET http://minh:{s}@www.example/a - HIER_DIRECT/192.0.2.80 text/html",
    r#"{"time":"2026-11-22T08:31:48Z","request":{"headers":{"authorization":"Bearer {s}"}},"status":200}"#,
    r#"{"time":"2026-11-22T08:31:48Z","body":{"password":"{s}","client_secret": "{s}"},"status":200}"#,
    r#"{"time":"2026-11-22T08:31:48Z","msg":"Authorization: Bearer {s}"}"#,
    r#"<134>Nov 22 15:31:48 lb haproxy[812]: 203.0.113.9:52100 [22/Nov/2026:15:31:48.120] fe be/srv1 0/0/1/20/21 200 512 JSESSIONID={s} SRV={s} ---- 1/1/0/0/0 0/0 "GET /a HTTP/1.1""#,
    r#"<134>Nov 22 15:31:48 lb haproxy[812]: 203.0.113.9:52100 [22/Nov/2026:15:31:48.120] fe be/srv1 0/0/1/20/21 200 512 - - ---- 1/1/0/0/0 0/0 {Bearer {s}1234567890abcdefghij} "GET /a HTTP/1.1""#,
    "TID: [-1234] [] [2026-11-22 15:53:29,123] INFO {org.x} - POST /token Authorization: Basic bWluaDo{s}",
];

const NAMES: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "client_secret",
    "refresh_token",
    "id_token",
    "access_token",
    "api_key",
    "apikey",
    "sig",
    "assertion",
    "code_verifier",
    "token",
    "secret",
    "X-Amz-Signature",
    "user%5Bpassword%5D",
    "j_password",
];

/// So much of a secret would be told.
const PART_LEN: usize = 6;

fn events(text: &[u8], framing: Framing, settings: &DecodeSettings) -> Vec<Event> {
    let received = Timestamp::from_secs(1_795_340_000);
    let envelope = Envelope::new(Door::Import, received, framing, Bytes::copy_from_slice(text));
    decode(&envelope, Position::new(1), 1, settings).events
}

fn texts(event: &Event) -> Vec<String> {
    fn of(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::List(members) => members.iter().for_each(|member| of(member, out)),
            other => out.extend(other.as_text().map(|text| text.into_owned())),
        }
    }
    let mut out = vec![String::from_utf8_lossy(&event.raw).into_owned()];
    event.fields.iter().for_each(|(_, value)| of(value, &mut out));
    event.attrs.iter().for_each(|(name, value)| {
        out.push(name.to_string());
        of(value, &mut out);
    });
    out.extend(event.issues.iter().map(|issue| issue.detail.to_string()));
    out
}

fn check(line: &str, secret: &str, settings: &DecodeSettings) -> Result<(), TestCaseError> {
    for end in 0..=line.len() {
        if !line.is_char_boundary(end) || end == 0 {
            continue;
        }
        for event in events(&line.as_bytes()[..end], Framing::Lines, settings) {
            for text in texts(&event) {
                let told = secret
                    .as_bytes()
                    .windows(PART_LEN)
                    .find(|part| text.as_bytes().windows(PART_LEN).any(|window| window == *part));
                prop_assert!(told.is_none(), "a part of `{secret}` is in `{text}` of `{}`", &line[..end]);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_planted_secret_survives(secret in "[0-9][A-Za-z0-9._~!$*+-]{7,24}[A-Za-z0-9]", name in prop::sample::select(NAMES)) {
        // A secret of letters that stand in the record anyway would be found there.
        prop_assume!(!secret.contains("---"));
        let settings = DecodeSettings::default();
        for record in QUERIES {
            check(&record.replace("{p}", &format!("{name}={secret}")), &secret, &settings)?;
        }
        for record in PLACES {
            let plain: String = secret.chars().filter(char::is_ascii_alphanumeric).collect();
            if plain.len() > 8 {
                check(&record.replace("{s}", &plain), &plain, &settings)?;
            }
        }
    }
}

#[test]
fn an_operator_keeps_what_he_names() {
    let line = r#"203.0.113.9 - - [22/Nov/2026:15:31:48 +0700] "GET /a?token=abcdef&ma_bi_mat=xyzxyz HTTP/1.1" 200 51"#;
    let of = |secrets| {
        let settings = DecodeSettings { secrets: Arc::new(secrets), ..DecodeSettings::default() };
        let event = events(line.as_bytes(), Framing::Lines, &settings).remove(0);
        String::from_utf8_lossy(&event.raw).into_owned()
    };
    assert_eq!(of(Secrets::new(&[], &[])), line.replace("abcdef", "***"));
    assert_eq!(
        of(Secrets::new(&["ma_bi_mat".to_owned()], &[])),
        line.replace("abcdef", "***").replace("xyzxyz", "***")
    );
    assert_eq!(of(Secrets::new(&[], &["web.access".to_owned()])), line);
    assert_eq!(of(Secrets::new(&[], &["squid-proxy".to_owned()])), line.replace("abcdef", "***"));
}
