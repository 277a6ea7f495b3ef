//! SCRAM (RFC 5802, RFC 7677), the side of the client: the password is not sent, and the broker has to know it too.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

/// What a broker may ask to be repeated. Less gives the password away to whoever guesses, more keeps us busy for long.
const ROUNDS: std::ops::RangeInclusive<u32> = 4_096..=1_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScramHash {
    Sha256,
    Sha512,
}

impl ScramHash {
    /// The name of the mechanism.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    fn hash(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    fn code(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        // A key of any length is one, so neither fails.
        match self {
            Self::Sha256 => Hmac::<Sha256>::new_from_slice(key)
                .map(|code| code.chain_update(text).finalize().into_bytes().to_vec())
                .unwrap_or_default(),
            Self::Sha512 => Hmac::<Sha512>::new_from_slice(key)
                .map(|code| code.chain_update(text).finalize().into_bytes().to_vec())
                .unwrap_or_default(),
        }
    }

    /// `Hi` of RFC 5802, section 2.2.
    fn salted(self, password: &str, salt: &[u8], rounds: u32) -> Vec<u8> {
        let mut last = self.code(password.as_bytes(), &[salt, &[0, 0, 0, 1]].concat());
        let mut all = last.clone();
        for _ in 1..rounds {
            last = self.code(password.as_bytes(), &last);
            all.iter_mut().zip(&last).for_each(|(one, other)| *one ^= other);
        }
        all
    }
}

/// Why the two do not come together.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ScramError {
    #[error("the broker's part of the handshake cannot be read")]
    Malformed,
    #[error("the broker wants {0} rounds of hashing; 4096 to 1000000 are done")]
    Rounds(u32),
    #[error("the broker does not know the password either; is it the right one?")]
    Impostor,
}

/// One handshake.
pub struct Scram {
    hash: ScramHash,
    password: String,
    bare: String,
    nonce: String,
    signature: Vec<u8>,
}

impl Scram {
    /// `nonce` is made anew for each handshake, of letters and digits.
    pub fn new(hash: ScramHash, user: &str, password: &str, nonce: &str) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={user},r={nonce}");
        Self { hash, password: password.to_owned(), bare, nonce: nonce.to_owned(), signature: Vec::new() }
    }

    /// What is sent first.
    pub fn first(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// What is sent after the broker's first answer.
    pub fn last(&mut self, answer: &[u8]) -> Result<String, ScramError> {
        let answer = std::str::from_utf8(answer).map_err(|_| ScramError::Malformed)?;
        let part = |name: &str| answer.split(',').find_map(|part| part.strip_prefix(name)).ok_or(ScramError::Malformed);
        let nonce = part("r=")?;
        if !nonce.starts_with(&self.nonce) || nonce.len() <= self.nonce.len() {
            return Err(ScramError::Malformed);
        }
        let salt = STANDARD.decode(part("s=")?).map_err(|_| ScramError::Malformed)?;
        let rounds = part("i=")?.parse().map_err(|_| ScramError::Malformed)?;
        if !ROUNDS.contains(&rounds) {
            return Err(ScramError::Rounds(rounds));
        }
        let salted = self.hash.salted(&self.password, &salt, rounds);
        let key = self.hash.code(&salted, b"Client Key");
        let without_proof = format!("c=biws,r={nonce}");
        let all = format!("{},{answer},{without_proof}", self.bare);
        let code = self.hash.code(&self.hash.hash(&key), all.as_bytes());
        let proof: Vec<u8> = key.iter().zip(&code).map(|(one, other)| one ^ other).collect();
        self.signature = self.hash.code(&self.hash.code(&salted, b"Server Key"), all.as_bytes());
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    /// Whether the broker knows the password.
    pub fn check(&self, answer: &[u8]) -> Result<(), ScramError> {
        let text = answer.strip_prefix(b"v=").ok_or(ScramError::Malformed)?;
        let text = text.split(|byte| *byte == b',').next().unwrap_or_default();
        let said = STANDARD.decode(text).map_err(|_| ScramError::Malformed)?;
        match bool::from(said.ct_eq(&self.signature)) && !said.is_empty() {
            true => Ok(()),
            false => Err(ScramError::Impostor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, section 3.
    #[test]
    fn the_example_of_the_standard() {
        let mut scram = Scram::new(ScramHash::Sha256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let answer = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let last = scram.last(answer.as_bytes()).unwrap();
        assert!(last.ends_with("p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), "{last}");
        assert_eq!(scram.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
        assert_eq!(scram.check(b"v=AAAA"), Err(ScramError::Impostor));
        assert_eq!(scram.check(b"e=other-error"), Err(ScramError::Malformed));
        assert_eq!(scram.last(b"r=other,s=AAAA,i=4096"), Err(ScramError::Malformed));
        let few = "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=1";
        assert_eq!(scram.last(few.as_bytes()), Err(ScramError::Rounds(1)));
        assert_eq!(Scram::new(ScramHash::Sha512, "a=b,c", "", "n").first(), "n,,n=a=3Db=2Cc,r=n");
    }
}
