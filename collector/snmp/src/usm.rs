//! The user-based security model (RFC 3414; AES in RFC 3826; SHA-2 in RFC 7860): keys of passwords, codes of authentication,
//! encryption. AES with 192 and 256 bits follows the draft of Blumenthal, as net-snmp does.

use std::fmt;

use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use hmac::digest::Digest;
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use subtle::ConstantTimeEq;

use crate::record::Level;

/// A password becomes a key by hashing this much of its repetition (RFC 3414, A.2).
const REPETITION_LEN: usize = 1 << 20;
/// The shortest password that RFC 3414 allows.
const PASSWORD_LEN_MIN: usize = 8;

/// How messages are authenticated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Auth {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// Does the same with each hash.
macro_rules! with_hash {
    ($auth:expr, $work:ident ( $($argument:expr),* )) => {
        match $auth {
            Auth::Md5 => $work::<md5::Md5>($($argument),*),
            Auth::Sha1 => $work::<sha1::Sha1>($($argument),*),
            Auth::Sha224 => $work::<sha2::Sha224>($($argument),*),
            Auth::Sha256 => $work::<sha2::Sha256>($($argument),*),
            Auth::Sha384 => $work::<sha2::Sha384>($($argument),*),
            Auth::Sha512 => $work::<sha2::Sha512>($($argument),*),
        }
    };
}

impl Auth {
    pub const ALL: [Self; 6] = [Self::Md5, Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of the code in a message.
    pub(crate) const fn code_len(self) -> usize {
        match self {
            Self::Md5 | Self::Sha1 => 12,
            Self::Sha224 => 16,
            Self::Sha256 => 24,
            Self::Sha384 => 32,
            Self::Sha512 => 48,
        }
    }

    fn code(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        let mut code = with_hash!(self, code_of(key, message));
        code.truncate(self.code_len());
        code
    }
}

/// How messages are encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Privacy {
    Des,
    Aes128,
    Aes192,
    Aes256,
}

impl Privacy {
    pub const ALL: [Self; 4] = [Self::Des, Self::Aes128, Self::Aes192, Self::Aes256];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Des => "des",
            Self::Aes128 => "aes128",
            Self::Aes192 => "aes192",
            Self::Aes256 => "aes256",
        }
    }

    const fn key_len(self) -> usize {
        match self {
            Self::Des | Self::Aes128 => 16, // of DES, half is the key and half is for the start
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }
}

/// Somebody who may send, with the keys that became of the passwords.
#[derive(Clone)]
pub struct User {
    pub(crate) name: String,
    auth: Option<(Auth, Vec<u8>)>,
    privacy: Option<(Privacy, Vec<u8>)>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let auth = self.auth.as_ref().map(|(auth, _)| auth.name());
        let privacy = self.privacy.as_ref().map(|(privacy, _)| privacy.name());
        f.debug_struct("User").field("name", &self.name).field("auth", &auth).field("privacy", &privacy).finish()
    }
}

/// Something encrypted that cannot be decrypted.
#[derive(Debug)]
pub(crate) struct BadCipher;

impl User {
    /// # Errors
    ///
    /// If a password is too short, or if there is encryption without authentication.
    pub fn new(name: &str, auth: Option<(Auth, &str)>, privacy: Option<(Privacy, &str)>) -> Result<Self, String> {
        if name.is_empty() || name.len() > 32 {
            return Err(format!("the name `{name}` has to have 1 to 32 bytes"));
        }
        for (what, password) in [("auth", auth.map(|(_, text)| text)), ("privacy", privacy.map(|(_, text)| text))] {
            if password.is_some_and(|text| text.len() < PASSWORD_LEN_MIN) {
                return Err(format!("the password for `{what}` is shorter than {PASSWORD_LEN_MIN} characters"));
            }
        }
        let Some((hash, auth_password)) = auth else {
            let wrong = "there is `privacy` without `auth`; SNMP encrypts only what is authenticated".to_owned();
            return if privacy.is_some() {
                Err(wrong)
            } else {
                Ok(Self { name: name.to_owned(), auth: None, privacy: None })
            };
        };
        let key = |password: &str| with_hash!(hash, key_of(password.as_bytes()));
        let privacy = privacy.map(|(cipher, password)| (cipher, key(password)));
        Ok(Self { name: name.to_owned(), auth: Some((hash, key(auth_password))), privacy })
    }

    /// How well this user's messages have to be protected.
    pub(crate) const fn level(&self) -> Level {
        match (&self.auth, &self.privacy) {
            (Some(_), Some(_)) => Level::AuthPriv,
            (Some(_), None) => Level::AuthNoPriv,
            _ => Level::NoAuthNoPriv,
        }
    }

    pub(crate) fn code_len(&self) -> usize {
        self.auth.as_ref().map_or(0, |(auth, _)| auth.code_len())
    }

    /// Whether the code in the message is that of this user; it lies at `at`.
    pub(crate) fn verify(&self, engine: &[u8], message: &[u8], at: std::ops::Range<usize>) -> bool {
        let Some((auth, key)) = &self.auth else { return false };
        let Some(code) = message.get(at.clone()).filter(|code| code.len() == auth.code_len()) else { return false };
        let mut blank = message.to_vec();
        blank[at].fill(0);
        let expected = auth.code(&with_hash!(*auth, localised(key, engine)), &blank);
        bool::from(expected.ct_eq(code))
    }

    /// Writes the code over the zeros at `at`.
    pub(crate) fn sign(&self, engine: &[u8], message: &mut [u8], at: std::ops::Range<usize>) {
        if let Some((auth, key)) = &self.auth {
            let code = auth.code(&with_hash!(*auth, localised(key, engine)), message);
            if let Some(place) = message.get_mut(at).filter(|place| place.len() == code.len()) {
                place.copy_from_slice(&code);
            }
        }
    }

    fn privacy_key(&self, engine: &[u8]) -> Option<(Privacy, Vec<u8>)> {
        let (Some((auth, _)), Some((privacy, key))) = (&self.auth, &self.privacy) else { return None };
        let mut key = with_hash!(*auth, localised(key, engine));
        while key.len() < privacy.key_len() {
            let more = with_hash!(*auth, hash_of(&key));
            key.extend_from_slice(&more);
        }
        key.truncate(privacy.key_len());
        Some((*privacy, key))
    }

    pub(crate) fn decrypt(
        &self,
        engine: &[u8],
        clock: (i64, i64),
        salt: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, BadCipher> {
        let (privacy, key) = self.privacy_key(engine).ok_or(BadCipher)?;
        let salt: [u8; 8] = salt.try_into().map_err(|_| BadCipher)?;
        let mut clear = data.to_vec();
        let start = aes_start(clock, salt);
        match privacy {
            Privacy::Des => {
                let (key, start) = des_parts(&key, salt);
                let cipher = cbc::Decryptor::<des::Des>::new_from_slices(key, &start).map_err(|_| BadCipher)?;
                cipher.decrypt_padded::<NoPadding>(&mut clear).map_err(|_| BadCipher)?;
            }
            Privacy::Aes128 => aes_decrypt::<aes::Aes128>(&key, &start, &mut clear)?,
            Privacy::Aes192 => aes_decrypt::<aes::Aes192>(&key, &start, &mut clear)?,
            Privacy::Aes256 => aes_decrypt::<aes::Aes256>(&key, &start, &mut clear)?,
        }
        Ok(clear)
    }

    /// The encrypted bytes. No two messages of an engine have the same salt.
    pub(crate) fn encrypt(
        &self,
        engine: &[u8],
        clock: (i64, i64),
        salt: [u8; 8],
        data: &[u8],
    ) -> Result<Vec<u8>, BadCipher> {
        let (privacy, key) = self.privacy_key(engine).ok_or(BadCipher)?;
        let mut bytes = data.to_vec();
        let start = aes_start(clock, salt);
        match privacy {
            Privacy::Des => {
                bytes.resize(bytes.len().next_multiple_of(8), 0);
                let len = bytes.len();
                let (key, start) = des_parts(&key, salt);
                let cipher = cbc::Encryptor::<des::Des>::new_from_slices(key, &start).map_err(|_| BadCipher)?;
                cipher.encrypt_padded::<NoPadding>(&mut bytes, len).map_err(|_| BadCipher)?;
            }
            Privacy::Aes128 => aes_encrypt::<aes::Aes128>(&key, &start, &mut bytes)?,
            Privacy::Aes192 => aes_encrypt::<aes::Aes192>(&key, &start, &mut bytes)?,
            Privacy::Aes256 => aes_encrypt::<aes::Aes256>(&key, &start, &mut bytes)?,
        }
        Ok(bytes)
    }
}

fn aes_start((boots, time): (i64, i64), salt: [u8; 8]) -> [u8; 16] {
    let mut start = [0; 16];
    for (place, number) in [(0, boots), (4, time)] {
        start[place..place + 4].copy_from_slice(&u32::try_from(number).unwrap_or(0).to_be_bytes());
    }
    start[8..].copy_from_slice(&salt);
    start
}

fn aes_decrypt<C>(key: &[u8], start: &[u8], bytes: &mut [u8]) -> Result<(), BadCipher>
where
    cfb_mode::BufDecryptor<C>: KeyIvInit,
    C: aes::cipher::BlockCipherEncrypt,
{
    cfb_mode::BufDecryptor::<C>::new_from_slices(key, start).map_err(|_| BadCipher)?.decrypt(bytes);
    Ok(())
}

fn aes_encrypt<C>(key: &[u8], start: &[u8], bytes: &mut [u8]) -> Result<(), BadCipher>
where
    cfb_mode::BufEncryptor<C>: KeyIvInit,
    C: aes::cipher::BlockCipherEncrypt,
{
    cfb_mode::BufEncryptor::<C>::new_from_slices(key, start).map_err(|_| BadCipher)?.encrypt(bytes);
    Ok(())
}

/// The key of DES and where its chain starts.
fn des_parts(key: &[u8], salt: [u8; 8]) -> (&[u8], [u8; 8]) {
    let (key, before) = key.split_at(8);
    let mut start = salt;
    for (byte, other) in start.iter_mut().zip(before) {
        *byte ^= other;
    }
    (key, start)
}

fn key_of<D: Digest>(password: &[u8]) -> Vec<u8> {
    let mut hash = D::new();
    // Whole repetitions at a time; the last one is cut.
    let piece = password.repeat(1_024_usize.div_ceil(password.len().max(1)));
    let mut left = REPETITION_LEN;
    while left > 0 && !piece.is_empty() {
        let len = left.min(piece.len());
        hash.update(&piece[..len]);
        left -= len;
    }
    hash.finalize().to_vec()
}

fn localised<D: Digest>(key: &[u8], engine: &[u8]) -> Vec<u8> {
    D::new().chain_update(key).chain_update(engine).chain_update(key).finalize().to_vec()
}

fn hash_of<D: Digest>(bytes: &[u8]) -> Vec<u8> {
    D::digest(bytes).to_vec()
}

fn code_of<D: EagerHash>(key: &[u8], message: &[u8]) -> Vec<u8>
where
    Hmac<D>: KeyInit + Mac,
{
    match <Hmac<D> as KeyInit>::new_from_slice(key) {
        Ok(mac) => mac.chain_update(message).finalize().into_bytes().to_vec(),
        Err(_) => Vec::new(), // a key of any length fits; an empty code equals none
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The examples of RFC 3414, A.3.
    #[test]
    fn keys_of_passwords() {
        let engine = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
        let check = |auth: Auth, key: &str, localised_key: &str| {
            let made = with_hash!(auth, key_of(b"maplesyrup"));
            assert_eq!(hex(&made), key);
            assert_eq!(hex(&with_hash!(auth, localised(&made, &engine))), localised_key);
        };
        check(Auth::Md5, "9faf3283884e92834ebc9847d8edd963", "526f5eed9fcce26f8964c2930787d82b");
        check(Auth::Sha1, "9fb5cc0381497b3793528939ff788d5d79145211", "6695febc9288e36282235fc7151f128497b38f3f");
    }

    #[test]
    fn encryption_goes_there_and_back() {
        for auth in Auth::ALL {
            for privacy in Privacy::ALL {
                let user = User::new("an", Some((auth, "authpassword")), Some((privacy, "privpassword"))).unwrap();
                let data = b"thirteen byte";
                let encrypted = user.encrypt(b"engine", (3, 99), [7; 8], data).unwrap();
                assert_ne!(&encrypted[..13], data);
                let clear = user.decrypt(b"engine", (3, 99), &[7; 8], &encrypted).unwrap();
                assert_eq!(&clear[..13], data, "{} {}", auth.name(), privacy.name());
                assert!(user.decrypt(b"engine", (3, 99), &[7; 7], &encrypted).is_err());
            }
        }
        let des = User::new("an", Some((Auth::Md5, "authpassword")), Some((Privacy::Des, "privpassword"))).unwrap();
        assert!(des.decrypt(b"engine", (0, 0), &[7; 8], b"odd").is_err());
    }

    #[test]
    fn users_that_cannot_be() {
        let long = "longenough";
        assert!(User::new("an", None, Some((Privacy::Des, long))).unwrap_err().contains("without `auth`"));
        assert!(User::new("an", Some((Auth::Md5, "short")), None).unwrap_err().contains("shorter than 8"));
        assert!(User::new("", None, None).is_err());
        let user = User::new("an", Some((Auth::Sha512, long)), None).unwrap();
        assert!(!format!("{user:?}").contains(long) && user.level() == Level::AuthNoPriv);
    }
}
