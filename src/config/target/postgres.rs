//! `[[target.postgres]]`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::base::units::Span;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    Disable,
    /// TLS when the server offers it, without verifying who it is.
    #[default]
    Prefer,
    /// TLS or nothing, without verifying who it is.
    Require,
    /// TLS with a verified certificate for the host name.
    VerifyFull,
}

/// Keys that the file holds, see [`super::pinned_by_file`].
pub const PINNED: [&str; 10] = [
    "name",
    "host",
    "port",
    "database",
    "user",
    "password",
    "password_file",
    "password_env",
    "tls",
    "tls_ca_file",
];

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    pub name: Name,
    pub host: String,
    #[serde(default = "default_port")]
    pub port: u16,
    #[serde(default = "default_database")]
    pub database: String,
    #[serde(default = "default_user")]
    pub user: String,
    /// At most one of the three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    #[serde(default)]
    pub tls: TlsMode,
    /// PEM file of further certificate authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ca_file: Option<PathBuf>,
    /// Between two probes.
    #[serde(default = "default_interval")]
    pub interval: Span,
    /// One deadline over all operations of a probe.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
}

fn default_port() -> u16 {
    5432
}

fn default_database() -> String {
    String::from("postgres")
}

fn default_user() -> String {
    String::from("holdfast")
}

fn default_interval() -> Span {
    Span::from_secs(30)
}

fn default_timeout() -> Span {
    Span::from_secs(5)
}
