//! Several addresses to listen on: a list of texts as in [`crate::socket_addr`], or one of them.

use std::fmt;
use std::net::SocketAddr;

use serde::Deserializer;
use serde::de::{Error, SeqAccess, Visitor};

use crate::socket_addr::parse;

/// For `#[serde(with = "canh_config::socket_addrs")]`.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<SocketAddr>, D::Error> {
    from.deserialize_any(AddressesVisitor)
}

struct AddressesVisitor;

impl<'de> Visitor<'de> for AddressesVisitor {
    type Value = Vec<SocketAddr>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of addresses to listen on, for example `[\"0.0.0.0:2055\", \"0.0.0.0:4739\"]`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        parse(text).map(|address| vec![address]).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut addresses = Vec::new();
        while let Some(text) = list.next_element::<String>()? {
            addresses.push(parse(&text).map_err(A::Error::custom)?);
        }
        if addresses.is_empty() {
            return Err(A::Error::custom(
                "the list of addresses is empty; write one, or close the door with `enabled = false`",
            ));
        }
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Table {
        #[serde(with = "super")]
        listen: Vec<SocketAddr>,
    }

    #[test]
    fn one_or_several() {
        let ports = |text: &str| {
            let table: Table = toml::from_str(text).unwrap();
            table.listen.iter().map(SocketAddr::port).collect::<Vec<_>>()
        };
        assert_eq!(ports("listen = '127.0.0.1:2055'"), [2055]);
        assert_eq!(ports("listen = ['127.0.0.1:2055', '[::1]:4739']"), [2055, 4739]);
    }

    #[test]
    fn what_is_no_address_is_told_what_to_write() {
        for (text, word) in [("[]", "enabled = false"), ("['nope']", "`nope`"), ("2055", "a list of addresses")] {
            let error = toml::from_str::<Table>(&format!("listen = {text}")).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
