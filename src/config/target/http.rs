//! `[[target.http]]`

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
pub const PINNED: [&str; 6] =
    ["name", "url", "bearer_token", "bearer_token_file", "bearer_token_env", "tls_ca_file"];

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub name: Name,
    /// `http://host[:port][/path]` or `https://...`.
    pub url: String,
    #[serde(default)]
    pub method: Method,
    /// Status codes that are a success; empty for 200 to 299.
    #[serde(default)]
    pub status: Vec<u16>,
    /// What the answer's body must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
    /// At most one of the three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token_env: Option<String>,
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

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    #[default]
    Get,
    Head,
}

impl Http {
    /// Where it is.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn place(&self) -> Result<Address, String> {
        Address::of_url(&self.url, &[("http", 80), ("https", 443)])
    }
}

/// It is searched for at every byte of a body of some megabytes.
const LONGEST_TEXT: usize = 256;

impl Section for Http {
    common!("http");

    fn secrets(&self) -> Vec<&Secret> {
        self.bearer_token.iter().collect()
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        if let Err(message) = self.place() {
            checker.say(format!("{key}.url"), message);
        }
        for status in self.status.iter().filter(|status| !(200..=599).contains(*status)) {
            checker.say(format!("{key}.status"), format!("{status} ends no request, expected 200 to 599"));
        }
        if let Some(text) =
            self.body_contains.as_ref().filter(|text| !(1..=LONGEST_TEXT).contains(&text.len()))
        {
            let message = format!("{} bytes, expected 1 to {LONGEST_TEXT}", text.len());
            checker.say(format!("{key}.body_contains"), message);
        }
        if self.body_contains.is_some() && self.method == Method::Head {
            checker.say(
                format!("{key}.body_contains"),
                "has no effect: the answer to HEAD has no body, expected `method` = \"GET\" beside it",
            );
        }
        let sources = [
            ("bearer_token", self.bearer_token.is_some()),
            ("bearer_token_file", self.bearer_token_file.is_some()),
            ("bearer_token_env", self.bearer_token_env.is_some()),
        ];
        checker.at_most_one(key, &sources);
        checker.variable(&format!("{key}.bearer_token_env"), self.bearer_token_env.as_deref());
        checker.file(&format!("{key}.bearer_token_file"), self.bearer_token_file.as_deref());
        checker.file(&format!("{key}.tls_ca_file"), self.tls_ca_file.as_deref());
        if self.tls_ca_file.is_some() && !self.url.starts_with("https://") {
            checker.say(
                format!("{key}.tls_ca_file"),
                "has no effect: nobody is verified, expected a `url` with https:// beside it",
            );
        }
    }
}
