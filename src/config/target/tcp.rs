//! `[[target.tcp]]`

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
pub const PINNED: [&str; 5] = ["name", "address", "tls", "server_name", "tls_ca_file"];

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    pub name: Name,
    /// `host:port`.
    pub address: String,
    #[serde(default)]
    pub tls: bool,
    /// The name in the certificate, where it is not the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// PEM file of further certificate authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ca_file: Option<PathBuf>,
    /// What the server must say by itself after the connection is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
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

/// Half of what is read of a banner.
const LONGEST_EXPECT: usize = 2048;

impl Section for Tcp {
    common!("tcp");

    fn secrets(&self) -> Vec<&Secret> {
        Vec::new()
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        if let Err(message) = Address::of_pair(&self.address) {
            checker.say(format!("{key}.address"), message);
        }
        if let Some(expect) = self.expect.as_ref().filter(|text| !(1..=LONGEST_EXPECT).contains(&text.len()))
        {
            checker.say(
                format!("{key}.expect"),
                format!("{} bytes, expected 1 to {LONGEST_EXPECT}", expect.len()),
            );
        }
        if self.server_name.is_some() && !self.tls {
            checker.say(format!("{key}.server_name"), "has no effect, expected `tls` = true beside it");
        }
        checker.file(&format!("{key}.tls_ca_file"), self.tls_ca_file.as_deref());
        if self.tls_ca_file.is_some() && !self.tls {
            checker.say(
                format!("{key}.tls_ca_file"),
                "has no effect: nobody is verified, expected `tls` = true beside it",
            );
        }
    }
}
