//! The greeting with a shared key: HELO, PING, PONG. Both sides show that they know the key without saying it.

use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;

use super::messages::put_text;
use crate::format::msgpack::{Head, Reader, Unread};

/// The longest part of a PING.
const PART_MAX: usize = 1_024;

pub(super) struct Secrets {
    pub(super) key: String,
    pub(super) server: String,
    /// Names and passwords; empty if users are not asked for.
    pub(super) users: Vec<(String, String)>,
}

/// What this side has said in one connection.
pub(super) struct Greeting {
    nonce: [u8; 16],
    salt: [u8; 16],
}

/// What is answered to a PING.
pub(super) struct Pong {
    pub(super) bytes: Vec<u8>,
    pub(super) is_welcome: bool,
}

impl Greeting {
    /// `random` is 32 bytes that nobody can know before.
    pub(super) fn new(random: [u8; 32]) -> Self {
        let (mut nonce, mut salt) = ([0; 16], [0; 16]);
        nonce.copy_from_slice(&random[..16]);
        salt.copy_from_slice(&random[16..]);
        Self { nonce, salt }
    }

    pub(super) fn helo(&self, secrets: &Secrets) -> Vec<u8> {
        let mut out = b"\x92\xa4HELO\x83\xa5nonce".to_vec();
        put_binary(&mut out, &self.nonce);
        out.extend_from_slice(b"\xa4auth");
        put_binary(&mut out, if secrets.users.is_empty() { &[] } else { &self.salt });
        out.extend_from_slice(b"\xa9keepalive\xc3");
        out
    }

    pub(super) fn pong(&self, secrets: &Secrets, ping: &[u8]) -> Result<Pong, Unread> {
        let mut reader = Reader(ping);
        if reader.head()? != Head::List(6) || reader.text()? != b"PING" {
            return Err(Unread::Bad);
        }
        let mut part =
            || reader.text().and_then(|part| if part.len() <= PART_MAX { Ok(part) } else { Err(Unread::Bad) });
        let (client, salt, digest, user, password) = (part()?, part()?, part()?, part()?, part()?);
        let key = secrets.key.as_bytes();
        let knows_key = is_same(&hex_digest(&[salt, client, &self.nonce, key]), digest);
        // All are compared, so that time says nothing about them.
        let mut is_user = secrets.users.is_empty();
        for (name, known) in &secrets.users {
            let expected = hex_digest(&[&self.salt, name.as_bytes(), known.as_bytes()]);
            is_user |= is_same(&expected, password) & (name.as_bytes() == user);
        }
        let reason = match (knows_key, is_user) {
            (false, _) => "shared_key mismatch",
            (true, false) => "username/password mismatch",
            (true, true) => "",
        };
        let is_welcome = reason.is_empty();
        let mut bytes = b"\x95\xa4PONG".to_vec();
        bytes.push(if is_welcome { 0xc3 } else { 0xc2 });
        put_text(&mut bytes, reason.as_bytes());
        let server = if is_welcome { secrets.server.as_bytes() } else { b"" };
        put_text(&mut bytes, server);
        let proof = if is_welcome { hex_digest(&[salt, server, &self.nonce, key]) } else { String::new() };
        put_text(&mut bytes, proof.as_bytes());
        Ok(Pong { bytes, is_welcome })
    }
}

fn put_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&[0xc4, u8::try_from(bytes.len()).unwrap_or(0)]);
    out.extend_from_slice(bytes);
}

fn is_same(expected: &str, shown: &[u8]) -> bool {
    bool::from(expected.as_bytes().ct_eq(shown))
}

fn hex_digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha512::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
pub(in crate::door) mod tests {
    use super::*;

    /// What a sender answers to a HELO, as the specification has it.
    pub(in crate::door) fn ping(helo: &[u8], key: &str, user: &str, password: &str) -> Vec<u8> {
        let mut reader = Reader(helo);
        assert_eq!(
            (reader.head(), reader.text(), reader.head()),
            (Ok(Head::List(2)), Ok(b"HELO".as_slice()), Ok(Head::Map(3)))
        );
        let mut value = || (reader.text().unwrap(), reader.text().unwrap());
        let ((nonce_name, nonce), (auth_name, auth)) = (value(), value());
        assert_eq!((nonce_name, auth_name), (b"nonce".as_slice(), b"auth".as_slice()));
        let mut out = b"\x96\xa4PING".to_vec();
        let digest = hex_digest(&[b"salt", b"client", nonce, key.as_bytes()]);
        let proof = hex_digest(&[auth, user.as_bytes(), password.as_bytes()]);
        for part in ["client", "salt", &digest, user, &proof] {
            put_text(&mut out, part.as_bytes());
        }
        out
    }

    #[test]
    fn who_knows_the_key_is_welcome() {
        let users = vec![("an".to_owned(), "mat-khau".to_owned())];
        let mut secrets = Secrets { key: "chung".to_owned(), server: "canh".to_owned(), users };
        let greeting = Greeting::new([7; 32]);
        let check = |secrets: &Secrets, key: &str, user: &str, password: &str, expected: &str| {
            let pong = greeting.pong(secrets, &ping(&greeting.helo(secrets), key, user, password)).unwrap();
            assert_eq!(pong.is_welcome, expected.is_empty());
            assert!(String::from_utf8_lossy(&pong.bytes).contains(expected));
        };
        check(&secrets, "chung", "an", "mat-khau", "");
        check(&secrets, "khac", "an", "mat-khau", "shared_key mismatch");
        check(&secrets, "chung", "an", "sai", "username/password mismatch");
        check(&secrets, "chung", "", "", "username/password mismatch");
        secrets.users.clear();
        check(&secrets, "chung", "", "", "");
        assert!(greeting.pong(&secrets, b"\x91\xa4PING").is_err());
    }
}
