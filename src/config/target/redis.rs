//! `[[target.redis]]`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::base::units::Span;
use crate::config::check::Checker;

use super::breaker::Breaker;
use super::{Section, common, default_interval, default_timeout, yes};
use crate::config::address::Address;

/// Keys that the file holds, see [`crate::config::listed`].
pub const PINNED: [&str; 7] =
    ["name", "url", "user", "password", "password_file", "password_env", "tls_ca_file"];

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    pub name: Name,
    /// `redis://host:port[/database]`, or `rediss://` for TLS.
    pub url: String,
    /// For access lists of Redis 6 and later; without it the password alone is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// At most one of the three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
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

impl Redis {
    /// The address, and the number of the database.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn place(&self) -> Result<(Address, u32), String> {
        let address = Address::of_url(&self.url, &[("redis", 6379), ("rediss", 6379)])?;
        let path = address.path.strip_prefix('/').unwrap_or(&address.path);
        let database = if path.is_empty() { Ok(0) } else { path.parse() };
        // What is not understood is not repeated: it may be half of a password.
        let database = database.map_err(|_| {
            String::from(
                "does not end in the number of a database, expected for example \"redis://127.0.0.1:6379/0\"",
            )
        });
        database.map(|database| (address, database))
    }
}

impl Section for Redis {
    common!("redis");

    fn secrets(&self) -> Vec<&Secret> {
        self.password.iter().collect()
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        if let Err(message) = self.place() {
            checker.say(format!("{key}.url"), message);
        }
        let password = self.password.is_some() || self.password_file.is_some() || self.password_env.is_some();
        if self.user.is_some() && !password {
            checker.say(
                format!("{key}.user"),
                "has no effect without a password, expected `password_file` beside it",
            );
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
        if self.tls_ca_file.is_some() && !self.url.starts_with("rediss://") {
            checker.say(
                format!("{key}.tls_ca_file"),
                "has no effect: nobody is verified, expected a `url` with rediss:// beside it",
            );
        }
    }
}
