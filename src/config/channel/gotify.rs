//! `[[channel.gotify]]`: an application of a Gotify server.

use std::path::PathBuf;

use super::{Section, check_url, common, given, section};
use crate::base::secret::Secret;
use crate::config::check::Checker;

/// Keys that the file holds, see [`crate::config::listed`].
pub const PINNED: [&str; 6] = ["name", "url", "token", "token_file", "token_env", "tls_ca_file"];
/// See [`super::is_secret`].
pub const SECRETS: &[&str] = &[];

section! {
    "gotify" Gotify {
        /// The server.
        url: String,
        /// Of an application; exactly one of the three.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<Secret>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_file: Option<PathBuf>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_env: Option<String>,
        /// PEM file of further certificate authorities.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tls_ca_file: Option<PathBuf>,
    }
}

impl Section for Gotify {
    common!();

    fn secrets(&self) -> Vec<&Secret> {
        self.token.iter().collect()
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        given!(self, token, token_file, token_env).check(key, true, checker);
        check_url(&self.url, self.tls_ca_file.as_deref(), key, checker);
    }
}
