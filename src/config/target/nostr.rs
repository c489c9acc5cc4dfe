//! `[[target.nostr]]`

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
pub const PINNED: [&str; 3] = ["name", "url", "tls_ca_file"];

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nostr {
    pub name: Name,
    /// `ws://host[:port][/path]`, or `wss://` for TLS.
    pub url: String,
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

impl Nostr {
    /// Where it is.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn place(&self) -> Result<Address, String> {
        Address::of_url(&self.url, &[("ws", 80), ("wss", 443)])
    }
}

impl Section for Nostr {
    common!("nostr");

    fn secrets(&self) -> Vec<&Secret> {
        Vec::new()
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        if let Err(message) = self.place() {
            checker.say(format!("{key}.url"), message);
        }
        checker.file(&format!("{key}.tls_ca_file"), self.tls_ca_file.as_deref());
        if self.tls_ca_file.is_some() && !self.url.starts_with("wss://") {
            checker.say(
                format!("{key}.tls_ca_file"),
                "has no effect: nobody is verified, expected a `url` with wss:// beside it",
            );
        }
    }
}
