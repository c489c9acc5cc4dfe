//! `[[channel.discord]]`: a webhook of a Discord channel.

use std::path::PathBuf;

use super::{Section, check_secret_url, common, given, section};
use crate::base::secret::Secret;
use crate::config::check::Checker;

/// Keys that the file holds, see [`crate::config::listed`].
pub const PINNED: [&str; 5] = ["name", "url", "url_file", "url_env", "tls_ca_file"];
/// See [`super::is_secret`]: whoever has the address may post.
pub const SECRETS: &[&str] = &["url"];

section! {
    "discord" Discord {
        /// The address of the hook, a secret; exactly one of the three.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<Secret>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url_file: Option<PathBuf>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url_env: Option<String>,
        /// PEM file of further certificate authorities.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tls_ca_file: Option<PathBuf>,
    }
}

impl Section for Discord {
    common!();

    fn secrets(&self) -> Vec<&Secret> {
        self.url.iter().collect()
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        given!(self, url, url_file, url_env).check(key, true, checker);
        check_secret_url(self.url.as_ref(), key, checker);
        checker.file(&format!("{key}.tls_ca_file"), self.tls_ca_file.as_deref());
    }
}
