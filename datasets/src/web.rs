//! Web access logs of the gateway and the identity server, in nginx's `combined` format.

use std::net::Ipv4Addr;

use canh_schema::Timestamp;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::output::{Output, Stream};
use crate::world::{Clock, citizen, pick};

pub(crate) const BROWSER: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const CLIENTS: [&str; 5] = [
    BROWSER,
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Apache-HttpClient/4.5.13 (Java/11.0.20)",
    "Synapse-PT-HttpComponents-NIO",
];

pub(crate) struct Request<'a> {
    pub(crate) address: Ipv4Addr,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) status: u16,
    pub(crate) bytes: u32,
    pub(crate) agent: &'a str,
}

pub(crate) fn access(clock: &Clock, output: &mut Output, host: &'static str, at: Timestamp, request: &Request<'_>) {
    let stamp = clock.local(at).strftime("%d/%b/%Y:%H:%M:%S %z").to_string();
    let Request { address, method, path, status, bytes, agent } = request;
    let text = format!(r#"{address} - - [{stamp}] "{method} {path} HTTP/1.1" {status} {bytes} "-" "{agent}""#);
    output.line(Stream::file(host, "nginx-access.log"), at, text);
}

pub(crate) fn ordinary(clock: &Clock, random: &mut StdRng, output: &mut Output) {
    for at in clock.times(random, 28.0) {
        let (method, path, status) = call(random);
        let bytes = random.random_range(180..24_000);
        let agent = pick(random, &CLIENTS);
        let request = Request { address: citizen(random), method, path: &path, status, bytes, agent };
        access(clock, output, "API-Svr", at, &request);
    }
    for at in clock.times(random, 6.0) {
        let status = if random.random_bool(0.04) { 401 } else { 200 };
        let request = Request {
            address: citizen(random),
            method: "POST",
            path: "/oauth2/token",
            status,
            bytes: 912,
            agent: pick(random, &CLIENTS),
        };
        access(clock, output, "IS-Svr", at, &request);
    }
}

/// One call of a citizen, a department or a machine.
fn call(random: &mut StdRng) -> (&'static str, String, u16) {
    let number = random.random_range(1..900_000_u32);
    let (method, path) = match random.random_range(0..100) {
        0..25 => ("GET", format!("/api/motcua/1.0/hoso/{number:06}")),
        25..40 => ("GET", format!("/api/danhmuc/1.0/donvi?ma=H{:02}", number % 63)),
        40..52 => ("POST", "/api/vanban/1.0/gui".to_owned()),
        52..60 => ("GET", format!("/api/hotich/1.0/tracuu?so={number}")),
        60..66 => ("POST", "/dvc/hoso/tailen".to_owned()), // people do upload files
        66..70 => ("GET", "/dvc/timkiem?q=Nguy%E1%BB%85n+%C4%90%C3%ACnh".to_owned()),
        70..73 => ("GET", "/dvc/timkiem?q=Nguye%CC%82%CC%83n+cmd".to_owned()),
        73..95 => ("GET", format!("/static/js/app.{:08x}.js", number % 7)),
        95..98 => ("GET", "/favicon.ico".to_owned()),
        _ => ("GET", "/wp-login.php".to_owned()), // scanners knock everywhere
    };
    let status = match random.random_range(0..1_000) {
        _ if path.starts_with("/wp-") => 404,
        0..930 => 200,
        930..955 => 304,
        955..975 => 404,
        975..990 => 403,
        990..997 => 500,
        _ => 504,
    };
    (method, path, status)
}
