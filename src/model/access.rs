//! Who may do what, and the record of who did.

use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;

/// What a token allows.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, utoipa::ToSchema,
)]
pub enum Scope {
    #[serde(rename = "monitoring:read")]
    MonitoringRead,
    #[serde(rename = "monitoring:write")]
    MonitoringWrite,
    #[serde(rename = "targets:write")]
    TargetsWrite,
    #[serde(rename = "config:write")]
    ConfigWrite,
    /// Everything.
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    pub const ALL: [Self; 5] =
        [Self::MonitoringRead, Self::MonitoringWrite, Self::TargetsWrite, Self::ConfigWrite, Self::Admin];

    pub const fn word(self) -> &'static str {
        match self {
            Self::MonitoringRead => "monitoring:read",
            Self::MonitoringWrite => "monitoring:write",
            Self::TargetsWrite => "targets:write",
            Self::ConfigWrite => "config:write",
            Self::Admin => "admin",
        }
    }

    /// Whether holding `self` is enough where `wanted` is asked for: `admin`
    /// covers everything, every write scope covers reading.
    pub fn covers(self, wanted: Self) -> bool {
        self == wanted || self == Self::Admin || wanted == Self::MonitoringRead
    }
}

/// A set of scopes with a name, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
// Members of a failover group have a `Role`, too, and one document holds both.
#[schema(as = AccessRole)]
pub enum Role {
    /// Sees everything but tokens, users and the audit log.
    Viewer,
    /// Also acknowledges, silences, and works with targets and failover groups.
    Operator,
    Admin,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    pub fn scopes(self) -> Vec<Scope> {
        match self {
            Self::Viewer => vec![Scope::MonitoringRead],
            Self::Operator => vec![Scope::MonitoringRead, Scope::MonitoringWrite, Scope::TargetsWrite],
            Self::Admin => vec![Scope::Admin],
        }
    }
}

/// A stored token: what identifies it, never the token.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Token {
    pub id: String,
    pub name: String,
    /// SHA-256 of the secret part, which is 256 random bits.
    pub digest: [u8; 32],
    pub scopes: Vec<Scope>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

impl AsRef<Self> for Token {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// A password as it is stored: what Argon2id made of it, and with which costs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PasswordHash {
    pub salt: [u8; 16],
    pub digest: [u8; 32],
    /// KiB of memory, passes over it, lanes.
    pub memory: u32,
    pub passes: u32,
    pub lanes: u32,
}

/// Somebody who logs in with a password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    pub name: String,
    pub role: Role,
    pub password: PasswordHash,
    pub created_at: Timestamp,
    /// When the password was set.
    pub password_at: Timestamp,
}

/// What a session stands for. What it allows is looked up there with every request, so
/// that it ends, and changes, with what it was made from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Holder {
    /// By its id.
    Token(String),
    /// By name.
    User(String),
}

/// A login of the page: what identifies it, never the cookie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    pub id: String,
    /// SHA-256 of the secret part of the cookie, which is 256 random bits.
    pub digest: [u8; 32],
    pub holder: Holder,
    pub created_at: Timestamp,
    /// However busy it is.
    pub expires_at: Timestamp,
}

/// Who is behind a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Principal {
    /// `anonymous`, `socket:root`, `token:<name>`, `user:<name>`, ...
    pub who: String,
    pub scopes: Vec<Scope>,
}

impl Principal {
    pub fn may(&self, wanted: Scope) -> bool {
        self.scopes.iter().any(|held| held.covers(wanted))
    }
}

/// One row of the audit log.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditEntry {
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub who: String,
    /// `config.apply`, `import`, `token.create`, ...
    pub action: String,
    /// What it was done to.
    pub object: String,
    /// What changed, secrets masked.
    pub detail: String,
}
