//! What is masked and what is not, by table.

use super::*;

#[track_caller]
fn check(text: &str, expected: &str) {
    let masked = Secrets::standard().mask(text.as_bytes());
    let found = masked.text.as_deref().map_or(text.into(), String::from_utf8_lossy);
    assert_eq!(found, expected, "input: {text}");
    // What is masked stays as it is.
    assert!(Secrets::standard().mask(found.as_bytes()).text.is_none(), "input: {text}");
}

#[test]
fn queries_and_forms() {
    check("GET /a?password=s3&x=1 HTTP/1.1", "GET /a?password=***&x=1 HTTP/1.1");
    check("client_id=7&client_secret=ab,c.d~&x=1", "client_id=7&client_secret=***&x=1");
    check("/cb?x=1;sig=a%2Fb;y=2", "/cb?x=1;sig=***;y=2");
    check("/cb?token=ab;cd&y", "/cb?token=***&y");
    check("/a.do;jsessionid=0E1F.node1?x=1", "/a.do;jsessionid=***"); // what looks like a part of it goes with it
    check("/a?user[password]=x&b", "/a?user[password]=***&b");
    check("/a?user%5Bpassword%5D=x&b", "/a?user%5Bpassword%5D=***&b");
    check("/a?next=%2Fb%3Faccess_token%3Dabc%26c%3D1&d", "/a?next=%2Fb%3Faccess_token%3D***%26c%3D1&d");
    check("/a?next=%252Fb%253Ftoken%253Dabc%2526c", "/a?next=%252Fb%253Ftoken%253D***%2526c");
    check("/a?password=%27%20OR%201%3D1&b", "/a?password=***&b");
    check(r#"{"u":"/a?x=1\u0026api_key=abc\u0026b=1"}"#, r#"{"u":"/a?x=1\u0026api_key=***\u0026b=1"}"#);
    check(r#""GET /?pwd=a\x22b HTTP/1.1""#, r#""GET /?pwd=*** HTTP/1.1""#);
    check("request=https://h/a?id_token\\=abc act=x", "request=https://h/a?id_token\\=*** act=x");
    check("href='/a?token=abc' x", "href='/a?token=***' x");
    check("<a>/x?a=1&amp;assertion=abc</a>", "<a>/x?a=1&amp;assertion=***</a>");
    check("Server=db;User Id=app;Password='a b';X=1", "Server=db;User Id=app;Password='***';X=1");
    check("?code_verifier=abc", "?code_verifier=***");
    check("?ticket=ST-1-abc", "?ticket=***");
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "sudo: minh : TTY=pts/0 ; PWD=/home/minh ; USER=root ; COMMAND=/bin/ls",
        "type=ANOM_ABEND msg=audit(1.2:3): sig=11 res=1",
        "mysqld --password=abc",
        "Access denied for user 'x'@'y' (using password: YES)",
        "Failed password for root from 192.0.2.1",
        "/a?sigma=1&csrf=2&keyword=3&password=&x",
        "sudo authorization: refused for a bearer of bad news",
        "authorization basic for all",
        r#"{"env":["PWD=/root","x"]}"#,
        "http://192.0.2.1:8080/a@b http://[::1]:80",
        r#"{"pwd":"/home","sig":11,"token_type":"x","has_password":true}"#,
        "eyJ a.eyJhbGciOi.x",
        "",
    ] {
        check(text, text);
    }
}

#[test]
fn addresses_headers_and_json() {
    check("get https://minh:s3:c@ret@h.example/a@b", "get https://minh:***@h.example/a@b");
    check(r#"{"u":"https:\/\/minh:s3cret@h\/a"}"#, r#"{"u":"https:\/\/minh:***@h\/a"}"#);
    check("https://minh:s3cr", "https://minh:***"); // cut off
    check("http://h:80", "http://h:80");
    check("Authorization: Bearer ab.cd-1 x", "Authorization: Bearer *** x");
    check(r#""authorization":"Basic dXNlcjpwYXNz","x":1"#, r#""authorization":"Basic ***","x":1"#);
    check(r#"{"authorization":"plain-key"}"#, r#"{"authorization":"***"}"#);
    check("Authorization: Digest username=\"m\", response=\"ab\"", "Authorization: Digest ***");
    check("{h.example|Bearer abcdef123456789}", "{h.example|Bearer ***}");
    check("{Basic dXNlcjpwYXNz}", "{Basic ***}");
    check("a basic question of it", "a basic question of it");
    check("x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_ y", "x *** y");
    check(r#"{"password" : "a\"b","x":1}"#, r#"{"password" : "***","x":1}"#);
    check(r#"{"log":"{\"client_secret\":\"ab\",\"x\":1}"}"#, r#"{"log":"{\"client_secret\":\"***\",\"x\":1}"}"#);
    check(r#"{"refreshToken":"cut o"#, r#"{"refreshToken":"***"#);
    check("<ns:password>abc</ns:password>", "<ns:password>***</ns:password>");
}

#[test]
fn values_that_are_secrets_by_their_place() {
    let raw = r#"{"request":{"querystring":{"sig":"abcdef","x":"1"}},"sig":"abcdef-no"}"#;
    let id = canh_schema::EventId::from_bytes([0; 16]);
    let mut event = Event::new(id, Default::default(), raw.as_bytes().to_vec().into());
    assert!(Secrets::standard().mask(raw.as_bytes()).has_doubtful);
    for (name, value) in [("request.querystring.sig", "abcdef"), ("request.querystring.x", "1"), ("sig", "kept")] {
        event.attrs.push((name.into(), Value::from(value)));
    }
    Secrets::standard().mask_doubtful(&mut event);
    assert_eq!(event.attr("request.querystring.sig"), Some(&Value::from("***")));
    assert_eq!(event.attr("sig"), Some(&Value::from("kept")));
    assert_eq!(event.raw, raw.replace("abcdef", "***").into_bytes());
}

#[test]
fn operators_add_names_and_keep_records() {
    let secrets = Secrets::new(&["ma_bi_mat".to_owned()], &["nginx".to_owned(), "squid-proxy".to_owned()]);
    assert_eq!(secrets.mask(b"/a?Ma-Bi-Mat=x").text.as_deref(), Some(b"/a?Ma-Bi-Mat=***".as_slice()));
    assert!(secrets.are_kept("nginx.access") && secrets.are_kept("squid-proxy") && !secrets.are_kept("apache.access"));
    let all = Secrets::new(&[], &["*".to_owned()]);
    assert!(all.mask(b"/a?password=x").text.is_none());
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_taken(bytes in proptest::collection::vec(proptest::prop_oneof![
        proptest::sample::select(b"=%3D\\u0026\"':{}?&;@/eyJ. ".to_vec()), proptest::prelude::any::<u8>()], 0..120)) {
        Secrets::standard().mask(&bytes);
    }
}
