//! Passwords: argon2id, a bounded number at a time, and the same work whether the user exists or not.

use std::sync::{Arc, OnceLock};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use canh_messages::Key;
use http::StatusCode;
use tokio::sync::Semaphore;
use tokio::task;

use crate::App;
use crate::error::ApiError;

const LEN_MIN: usize = 10;
const LEN_MAX: usize = 256;

/// Each takes 19 MiB and some ten milliseconds of a core.
const AT_ONCE: usize = 2;
/// Those who wait beyond this are sent away.
const WAITING_MAX: usize = 32;

/// What bounds the work on passwords.
pub(crate) struct Passwords {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// Checked when there is no such user, so that the time of the answer does not tell.
    nobody: Arc<OnceLock<String>>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            running: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            nobody: Arc::default(),
        }
    }
}

/// Hashes a new password.
pub(crate) async fn hash(app: &App, password: String) -> Result<String, ApiError> {
    if !(LEN_MIN..=LEN_MAX).contains(&password.chars().count()) {
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, Key::PasswordWeak)
            .with("min", LEN_MIN)
            .with("max", LEN_MAX));
    }
    work(app, move || hash_now(&password)).await?.ok_or_else(failed)
}

/// Whether a password is the one of the hash. Without a hash it is not, after the same time.
pub(crate) async fn verify(app: &App, password: String, hash: Option<String>) -> Result<bool, ApiError> {
    let nobody = app.passwords().nobody.clone();
    work(app, move || {
        let exists = hash.is_some();
        let hash = match &hash {
            Some(hash) => hash.as_str(),
            None => nobody.get_or_init(|| hash_now("nobody has this password").unwrap_or_default()),
        };
        // No password is longer; hashing a longer one only costs time.
        let right = password.chars().count() <= LEN_MAX
            && PasswordHash::new(hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
        right && exists
    })
    .await
}

fn hash_now(password: &str) -> Option<String> {
    let hash: PasswordHash = Argon2::default().hash_password(password.as_bytes()).ok()?;
    Some(hash.to_string())
}

async fn work<T: Send + 'static>(app: &App, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let busy = || ApiError::new(StatusCode::SERVICE_UNAVAILABLE, Key::TooBusy);
    let _waiting = app.passwords().waiting.clone().try_acquire_owned().map_err(|_| busy())?;
    let running = app.passwords().running.clone().acquire_owned().await.map_err(|_| busy())?;
    let done = task::spawn_blocking(move || {
        let _running = running;
        work()
    });
    done.await.map_err(|_| failed())
}

fn failed() -> ApiError {
    let mut error = ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, Key::Internal);
    error.cause = Some("cannot hash a password".to_owned());
    error
}
