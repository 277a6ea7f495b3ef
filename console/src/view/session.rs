//! Who is asking, and how they like their pages.

use canh_messages::Language;
use canh_store::state::{self, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the client must show first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SessionState {
    /// There is no user yet: ask for the set-up token.
    SetupRequired,
    SignedOut,
    SignedIn,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionView {
    pub(crate) state: SessionState,
    /// Set when signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<UserView>,
    /// Set when signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) preferences: Option<Preferences>,
    /// Version of the server.
    pub(crate) version: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserView {
    pub(crate) name: String,
    pub(crate) role: RoleName,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RoleName {
    /// Reads.
    Viewer,
    /// Reads, and decides about alerts.
    Analyst,
    /// An analyst who answers for a shift.
    Lead,
    /// Watches health and reacts to it.
    Noc,
    /// Answers pages.
    Oncall,
    /// Reads everything, the audit log too; changes nothing.
    Auditor,
    Admin,
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Analyst => Self::Analyst,
            Role::Lead => Self::Lead,
            Role::Noc => Self::Noc,
            Role::Oncall => Self::Oncall,
            Role::Auditor => Self::Auditor,
            Role::Admin => Self::Admin,
        }
    }
}

/// How a user likes the pages.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preferences {
    pub(crate) language: LanguageTag,
    pub(crate) theme: Theme,
    /// Name of the IANA database, for example `Asia/Ho_Chi_Minh`.
    #[schema(max_length = 64)]
    pub(crate) time_zone: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LanguageTag {
    Vi,
    En,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Theme {
    Dark,
    Light,
    /// As the device is set.
    Auto,
}

/// Makes the first user, an administrator, and signs them in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetupRequest {
    /// The one-time token that the server prints when it starts without users.
    pub(crate) token: String,
    /// 1 to 64 letters, digits, `.`, `_`, `-` or `@`.
    #[schema(min_length = 1, max_length = 64)]
    pub(crate) username: String,
    #[schema(min_length = 10, max_length = 256, format = Password)]
    pub(crate) password: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginRequest {
    #[schema(max_length = 64)]
    pub(crate) username: String,
    #[schema(max_length = 256, format = Password)]
    pub(crate) password: String,
}

impl From<Language> for LanguageTag {
    fn from(language: Language) -> Self {
        match language {
            Language::Vi => Self::Vi,
            Language::En => Self::En,
        }
    }
}

impl From<LanguageTag> for Language {
    fn from(tag: LanguageTag) -> Self {
        match tag {
            LanguageTag::Vi => Self::Vi,
            LanguageTag::En => Self::En,
        }
    }
}

impl From<state::Preferences> for Preferences {
    fn from(kept: state::Preferences) -> Self {
        let language = Language::from_tag(&kept.language).unwrap_or_default();
        let theme = match kept.theme {
            state::Theme::Dark => Theme::Dark,
            state::Theme::Light => Theme::Light,
            state::Theme::Auto => Theme::Auto,
        };
        Self { language: language.into(), theme, time_zone: kept.time_zone }
    }
}

impl From<Preferences> for state::Preferences {
    fn from(wanted: Preferences) -> Self {
        let theme = match wanted.theme {
            Theme::Dark => state::Theme::Dark,
            Theme::Light => state::Theme::Light,
            Theme::Auto => state::Theme::Auto,
        };
        Self { language: Language::from(wanted.language).tag().to_owned(), theme, time_zone: wanted.time_zone }
    }
}
