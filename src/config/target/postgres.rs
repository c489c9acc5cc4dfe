//! `[[target.postgres]]`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::base::units::Span;
use crate::config::check::Checker;

use super::breaker::Breaker;
use super::{Section, common, default_interval, default_timeout, yes};

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

/// Keys that the file holds, see [`crate::config::listed`].
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
    /// Whether it is probed.
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default)]
    pub breaker: Breaker,
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

impl Section for Postgres {
    common!("postgres");

    fn secrets(&self) -> Vec<&Secret> {
        self.password.iter().collect()
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        if self.host.trim().is_empty() {
            checker.say(
                format!("{key}.host"),
                "empty, expected a host name, an IP address or the directory of a socket",
            );
        }
        if self.port == 0 {
            checker.say(format!("{key}.port"), "0 is not a port, expected 1 to 65535");
        }
        let sources = [
            ("password", self.password.is_some()),
            ("password_file", self.password_file.is_some()),
            ("password_env", self.password_env.is_some()),
        ];
        checker.at_most_one(key, &sources);
        checker.variable(&format!("{key}.password_env"), self.password_env.as_deref());
        checker.file(&format!("{key}.password_file"), self.password_file.as_deref());
        checker.file(&format!("{key}.tls_ca_file"), self.tls_ca_file.as_deref());
        if self.tls_ca_file.is_some() && self.tls != TlsMode::VerifyFull {
            checker.say(
                format!("{key}.tls_ca_file"),
                "has no effect: the server is not verified, expected `tls` = \"verify-full\" beside it",
            );
        }
    }
}
