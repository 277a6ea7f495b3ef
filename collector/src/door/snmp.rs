//! SNMP traps and informs of versions 1, 2c and 3. A trap has no answer; an inform is answered once the journal has it on
//! disk, so its sender sends it again until it is kept.
//!
//! The journal keeps the PDU as it was sent, in clear, beside the name of who sent it: communities, keys and passwords are
//! not in it, and decoding needs none. docs/decisions/snmp.md says why.

mod receiver;
mod state;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use canh_schema::ByteSize;
use canh_snmp::{Auth, Community, Engine, Privacy, User};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::datagrams::{DATAGRAM_MAX, DatagramSocket};
use super::gather::{self, About};
use super::intake::Intake;
use super::{BindError, BoundDoor, secret_file};
use crate::config::SettingError;
use crate::envelope::{Door, Framing};

use receiver::{Answers, Receiver};

const NAME: &str = "snmp";
const DOOR: Door = Door::Snmp;
/// The most communities and the most users; each message is compared with all of them.
const SENDERS_MAX: usize = 256;
/// A batch waits this long for more.
const BATCH_WAIT: Duration = Duration::from_millis(5);
/// Events and the log may show these names.
const NAME_LEN_MAX: usize = 64;

/// `[collector.snmp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SnmpConfig {
    /// Whether this door is open. It needs a community or a user.
    pub enabled: bool,
    /// Address to receive on. The well-known port is 162.
    #[serde(with = "canh_config::socket_addr")]
    pub listen: SocketAddr,
    /// The kernel's buffer for datagrams that wait. The kernel may allow less (`net.core.rmem_max`).
    #[serde(with = "canh_config::byte_size")]
    pub receive_buffer: ByteSize,
    /// Batches on their way into the journal. When full, datagrams wait in the kernel's buffer.
    pub queue_len: NonZeroUsize,
    /// File that keeps the name of the engine of version 3 and the number of its starts, in the data directory.
    pub state_file: PathBuf,
    /// Folder with MIB modules that give names to what is received. The usual ones are known without it. It is read at the start.
    pub mibs: Option<PathBuf>,
    pub community: Vec<CommunityConfig>,
    pub user: Vec<UserConfig>,
}

impl Default for SnmpConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: SocketAddr::from(([127, 0, 0, 1], 162)),
            receive_buffer: ByteSize::mib(4),
            queue_len: const { NonZeroUsize::new(64).unwrap() },
            state_file: PathBuf::from("snmp.state"),
            mibs: None,
            community: Vec::new(),
            user: Vec::new(),
        }
    }
}

/// `[[collector.snmp.community]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommunityConfig {
    /// What events show in place of the community, which is a secret.
    pub name: String,
    /// File with the community of versions 1 and 2c.
    pub community_file: PathBuf,
}

/// `[[collector.snmp.user]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserConfig {
    /// Name of the user of version 3.
    pub name: String,
    /// `md5`, `sha1`, `sha224`, `sha256`, `sha384` or `sha512`. Left out, messages are not authenticated.
    pub auth: Option<String>,
    /// File with the password of authentication, 8 characters or more.
    pub auth_password_file: Option<PathBuf>,
    /// `des`, `aes128`, `aes192` or `aes256`. Left out, messages are not encrypted.
    pub privacy: Option<String>,
    /// File with the password of encryption, 8 characters or more.
    pub privacy_password_file: Option<PathBuf>,
}

impl SnmpConfig {
    /// Longest payload that the journal is given, in bytes.
    #[expect(clippy::unused_self, reason = "as in the other doors")]
    pub(crate) fn batch_len_max(&self) -> u64 {
        gather::payload_len_max(2 * DATAGRAM_MAX)
    }

    pub(crate) fn check(&self) -> Result<(), SettingError> {
        if !self.enabled {
            return Ok(());
        }
        self.senders().map(drop).map_err(|wrong| SettingError::Wrong { key: "collector.snmp", wrong })
    }

    /// Who may send.
    fn senders(&self) -> Result<(Vec<Community>, Vec<User>), String> {
        if self.community.is_empty() && self.user.is_empty() {
            return Err(
                "nobody may send; add a `[[collector.snmp.community]]` or a `[[collector.snmp.user]]`".to_owned()
            );
        }
        if self.community.len() > SENDERS_MAX || self.user.len() > SENDERS_MAX {
            return Err(format!("there may be {SENDERS_MAX} communities and {SENDERS_MAX} users"));
        }
        let mut communities: Vec<Community> = Vec::new();
        for CommunityConfig { name, community_file } in &self.community {
            let wrong = |wrong: &str| format!("community `{name}`: {wrong}");
            if name.is_empty() || name.len() > NAME_LEN_MAX {
                return Err(wrong(&format!("the name has to have 1 to {NAME_LEN_MAX} bytes")));
            }
            let text = secret(community_file).map_err(|error| wrong(&error))?;
            if let Some(other) = communities.iter().find(|other| other.text == text) {
                return Err(wrong(&format!("`{}` has the same; give each its own", other.name)));
            }
            communities.push(Community { name: name.clone(), text });
        }
        let mut users: Vec<User> = Vec::new();
        for (at, config) in self.user.iter().enumerate() {
            let wrong = |wrong: String| format!("user `{}`: {wrong}", config.name);
            if self.user.iter().take(at).any(|other| other.name == config.name) {
                return Err(wrong("there are two of this name".to_owned()));
            }
            users.push(config.read().map_err(wrong)?);
        }
        Ok((communities, users))
    }
}

impl UserConfig {
    fn read(&self) -> Result<User, String> {
        let auth = part("auth", self.auth.as_deref(), self.auth_password_file.as_ref(), &Auth::ALL, Auth::name)?;
        let file = self.privacy_password_file.as_ref();
        let privacy = part("privacy", self.privacy.as_deref(), file, &Privacy::ALL, Privacy::name)?;
        let auth = auth.as_ref().map(|(kind, password)| (*kind, password.as_str()));
        let privacy = privacy.as_ref().map(|(kind, password)| (*kind, password.as_str()));
        User::new(&self.name, auth, privacy)
    }
}

/// A kind by its name and the password in its file; both or none.
fn part<T: Copy>(
    key: &str,
    name: Option<&str>,
    file: Option<&PathBuf>,
    all: &[T],
    name_of: fn(T) -> &'static str,
) -> Result<Option<(T, String)>, String> {
    match (name, file) {
        (None, None) => Ok(None),
        (Some(name), Some(file)) => {
            let kind = all.iter().copied().find(|kind| name_of(*kind) == name).ok_or_else(|| {
                let known: Vec<_> = all.iter().map(|kind| name_of(*kind)).collect();
                format!("`{name}` is not known for `{key}`; known are `{}`", known.join("`, `"))
            })?;
            Ok(Some((kind, secret(file)?)))
        }
        _ => Err(format!("`{key}` and `{key}_password_file` belong together; write both or none")),
    }
}

fn secret(path: &std::path::Path) -> Result<String, String> {
    secret_file::read(path).map_err(|wrong| format!("the file `{}` {wrong}", path.display()))
}

pub(super) fn bind(config: &SnmpConfig, intake: &Intake) -> Result<Option<BoundDoor>, BindError> {
    if !config.enabled {
        return Ok(None);
    }
    let error = BindError::new(NAME, config.listen);
    let (communities, users) = config.senders().map_err(std::io::Error::other).map_err(&error)?;
    let (socket, address) = DatagramSocket::open(NAME, config.listen, config.receive_buffer).map_err(&error)?;
    let answers = Answers::new(socket.to_answer().map_err(&error)?);
    let (config, intake) = (config.clone(), intake.clone());
    Ok(Some(BoundDoor::new(NAME, address, move |stop| {
        serve(config, socket, answers, (communities, users), intake, stop)
    })))
}

async fn serve(
    config: SnmpConfig,
    socket: DatagramSocket,
    answers: Answers,
    (communities, users): (Vec<Community>, Vec<User>),
    intake: Intake,
    stop: CancellationToken,
) {
    let (out, batches) = mpsc::channel(config.queue_len.get());
    let thread = thread::Builder::new().name("canh-snmp".to_owned()).spawn({
        let (intake, answers, state_file) = (intake.clone(), answers.clone(), config.state_file.clone());
        move || {
            let state = state::next(&state_file);
            let engine = Engine::new(state.id, state.boots, communities, users);
            Receiver::new(engine, answers, intake, out).run(socket, &stop);
        }
    });
    if let Err(error) = thread {
        error!(door = NAME, error = &error as &dyn std::error::Error, "cannot start the thread that receives");
        return;
    }
    let about = About { door: DOOR, framing: Framing::Snmp, format: None };
    gather::journal(about, config.queue_len.get(), intake, batches, move |result, informs| {
        answers.done(result.is_ok(), informs);
    })
    .await;
}
