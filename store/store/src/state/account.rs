//! Users, their sessions and tokens, and what they did.

use canh_schema::Timestamp;
use compact_str::CompactString;

/// BLAKE3 of a secret of at least 128 random bits. The secret itself is only with its holder.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    pub fn of(secret: &str) -> Self {
        Self(*blake3::hash(secret.as_bytes()).as_bytes())
    }

    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Whether somebody can sign in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UserState {
    /// Nobody yet: set-up is open to whoever has the token.
    None,
    Some,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UserId(u64);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ApiTokenId(u64);

macro_rules! row_id {
    ($($name:ident),*) => {$(
        impl $name {
            pub const fn new(row: u64) -> Self {
                Self(row)
            }

            pub const fn get(self) -> u64 {
                self.0
            }
        }
    )*};
}

row_id!(UserId, ApiTokenId);

/// What a user may do. The console's routes say which roles they take.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    Viewer,
    Analyst,
    Lead,
    Noc,
    Oncall,
    Auditor,
    Admin,
}

impl Role {
    pub const ALL: [Self; 7] =
        [Self::Viewer, Self::Analyst, Self::Lead, Self::Noc, Self::Oncall, Self::Auditor, Self::Admin];

    /// The name is stored, so a name is never given to something else.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Analyst => "analyst",
            Self::Lead => "lead",
            Self::Noc => "noc",
            Self::Oncall => "oncall",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    pub id: UserId,
    pub name: CompactString,
    /// PHC string, argon2id.
    pub password_hash: String,
    pub role: Role,
    pub created: Timestamp,
    pub disabled: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewUser {
    pub name: CompactString,
    pub password_hash: String,
    pub role: Role,
    pub created: Timestamp,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    pub token: SecretHash,
    pub user: UserId,
    pub created: Timestamp,
    pub last_seen: Timestamp,
    /// As the client called itself; hostile where it is shown.
    pub user_agent: String,
}

/// A key for programs.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiToken {
    pub token: SecretHash,
    /// What it is for; also the name in the audit log.
    pub name: CompactString,
    /// The most that it may do.
    pub role: Role,
    pub created: Timestamp,
    pub expires: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Preferences {
    /// BCP 47 tag, `vi` or `en`.
    pub language: String,
    pub theme: Theme,
    /// IANA name.
    pub time_zone: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Theme {
    Dark,
    Light,
    Auto,
}

impl Theme {
    pub const ALL: [Self; 3] = [Self::Dark, Self::Light, Self::Auto];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Light => "light",
            Self::Auto => "auto",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.name() == name)
    }
}

/// One line of the audit log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEntry {
    pub at: Timestamp,
    /// User or token; `system` for the server itself.
    pub who: CompactString,
    /// For example `session.login`.
    pub action: CompactString,
    /// What it was done to, for example `alert:17`.
    pub target: CompactString,
    pub detail: Vec<(CompactString, String)>,
}
