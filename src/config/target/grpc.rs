//! `[[target.grpc]]`

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
pub const PINNED: [&str; 5] = ["name", "address", "service", "tls", "tls_ca_file"];

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grpc {
    pub name: Name,
    /// `host:port`.
    pub address: String,
    /// The service whose health is asked; empty for that of the whole server.
    #[serde(default)]
    pub service: String,
    #[serde(default)]
    pub tls: bool,
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

/// Longer names are slips.
const LONGEST_SERVICE: usize = 1024;

impl Section for Grpc {
    common!("grpc");

    fn secrets(&self) -> Vec<&Secret> {
        Vec::new()
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        if let Err(message) = Address::of_pair(&self.address) {
            checker.say(format!("{key}.address"), message);
        }
        if self.service.len() > LONGEST_SERVICE {
            checker.say(
                format!("{key}.service"),
                format!("{} bytes, expected at most {LONGEST_SERVICE}", self.service.len()),
            );
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
