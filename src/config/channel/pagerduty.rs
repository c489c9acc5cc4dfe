//! `[[channel.pagerduty]]`: a service of PagerDuty, or of whoever else takes its events (version 2).

use std::path::PathBuf;

use super::{Section, check_url, common, given, section};
use crate::base::secret::Secret;
use crate::config::check::Checker;

/// Keys that the file holds, see [`crate::config::listed`].
pub const PINNED: [&str; 6] =
    ["name", "url", "routing_key", "routing_key_file", "routing_key_env", "tls_ca_file"];
/// See [`super::is_secret`].
pub const SECRETS: &[&str] = &["routing_key"];

section! {
    "pagerduty" Pagerduty {
        /// Where events go.
        #[serde(default = "default_url")]
        url: String,
        /// The integration key of the service, a secret; exactly one of the three.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        routing_key: Option<Secret>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        routing_key_file: Option<PathBuf>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        routing_key_env: Option<String>,
        /// PEM file of further certificate authorities.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tls_ca_file: Option<PathBuf>,
    }
}

fn default_url() -> String {
    String::from("https://events.pagerduty.com")
}

impl Section for Pagerduty {
    common!();

    fn secrets(&self) -> Vec<&Secret> {
        self.routing_key.iter().collect()
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        given!(self, routing_key, routing_key_file, routing_key_env).check(key, true, checker);
        check_url(&self.url, self.tls_ca_file.as_deref(), key, checker);
    }
}
