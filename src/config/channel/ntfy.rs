//! `[[channel.ntfy]]`: a topic of ntfy, on its public server or one's own.

use std::path::PathBuf;

use super::{Section, check_url, common, given, section};
use crate::base::secret::Secret;
use crate::config::check::Checker;

/// Keys that the file holds, see [`crate::config::listed`].
pub const PINNED: [&str; 7] = ["name", "url", "topic", "token", "token_file", "token_env", "tls_ca_file"];
/// See [`super::is_secret`].
pub const SECRETS: &[&str] = &[];

section! {
    "ntfy" Ntfy {
        /// The server.
        #[serde(default = "default_url")]
        url: String,
        topic: String,
        /// At most one of the three.
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

fn default_url() -> String {
    String::from("https://ntfy.sh")
}

impl Section for Ntfy {
    common!();

    fn secrets(&self) -> Vec<&Secret> {
        self.token.iter().collect()
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        given!(self, token, token_file, token_env).check(key, false, checker);
        check_url(&self.url, self.tls_ca_file.as_deref(), key, checker);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if self.topic.is_empty() || self.topic.len() > 64 || !self.topic.bytes().all(plain) {
            let message =
                format!("`{}` is not a topic, expected 1 to 64 letters, digits, `-` and `_`", self.topic);
            checker.say(format!("{key}.topic"), message);
        }
    }
}
