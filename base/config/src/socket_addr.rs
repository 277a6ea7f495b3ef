//! An address to listen on in a configuration: a text such as `"0.0.0.0:514"` or `"[::]:514"`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// For `#[serde(with = "canh_config::socket_addr")]`.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    from.deserialize_str(AddressVisitor)
}

/// Reads an address and a port. The error says what to write.
pub fn parse(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    text.parse().map_err(|_| {
        let example = match (text.parse::<IpAddr>(), text.rsplit_once(':')) {
            (Ok(ip), _) => SocketAddr::new(ip, 514).to_string(),
            (_, Some(("" | "*", port))) if port.parse::<u16>().is_ok() => format!("0.0.0.0:{port}"),
            (_, Some(("localhost", port))) if port.parse::<u16>().is_ok() => format!("127.0.0.1:{port}"),
            _ => "0.0.0.0:514` or `[::]:514".to_owned(),
        };
        format!("`{text}` is not an address to listen on; write `address:port` in numbers, for example `{example}`")
    })
}

struct AddressVisitor;

impl Visitor<'_> for AddressVisitor {
    type Value = SocketAddr;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address to listen on, written `address:port`, for example `0.0.0.0:514`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<SocketAddr, E> {
        parse(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(parse(text).unwrap().to_string(), expected, "text: {text}");
    }

    #[track_caller]
    fn check_refused(text: &str, example: &str) {
        let error = parse(text).unwrap_err();
        assert!(error.contains(&format!("`{text}`")) && error.contains("`address:port`"), "{error}");
        assert!(error.contains(&format!("for example `{example}`")), "{error}");
        let given = example.split('`').next().unwrap();
        assert!(parse(given).is_ok(), "the example is not right: {error}");
    }

    #[test]
    fn addresses() {
        check("127.0.0.1:514", "127.0.0.1:514");
        check(" 0.0.0.0:0 ", "0.0.0.0:0");
        check("[::1]:4317", "[::1]:4317");
        check_refused("nope", "0.0.0.0:514` or `[::]:514");
        check_refused("", "0.0.0.0:514` or `[::]:514");
        check_refused("127.0.0.1", "127.0.0.1:514");
        check_refused("::1", "[::1]:514");
        check_refused(":4318", "0.0.0.0:4318");
        check_refused("*:4318", "0.0.0.0:4318");
        check_refused("localhost:4318", "127.0.0.1:4318");
        check_refused("127.0.0.1:99999", "0.0.0.0:514` or `[::]:514");
    }

    #[test]
    fn a_number_is_told_what_to_write() {
        #[derive(Debug, serde::Deserialize)]
        struct Table {
            #[serde(with = "super")]
            #[expect(dead_code)]
            listen: SocketAddr,
        }
        let error = toml::from_str::<Table>("listen = 514").unwrap_err().to_string();
        assert!(error.contains("written `address:port`"), "{error}");
    }
}
