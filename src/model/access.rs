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

/// Who is behind a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Principal {
    /// `anonymous`, `socket:root`, `token:<name>`, ...
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
