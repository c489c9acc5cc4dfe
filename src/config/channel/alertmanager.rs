//! `[[channel.alertmanager]]`: another Alertmanager, which groups and routes by itself.

use std::path::PathBuf;

use super::{Section, check_url, common, given, section};
use crate::base::secret::Secret;
use crate::base::units::Span;
use crate::config::check::Checker;

/// Keys that the file holds, see [`crate::config::listed`].
pub const PINNED: [&str; 6] = ["name", "url", "token", "token_file", "token_env", "tls_ca_file"];
/// See [`super::is_secret`].
pub const SECRETS: &[&str] = &[];

section! {
    "alertmanager" Alertmanager {
        /// The server, with the prefix of its paths if it has one.
        url: String,
        /// Sent as `Authorization: Bearer ...`; at most one of the three.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<Secret>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_file: Option<PathBuf>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_env: Option<String>,
        /// Without further news a firing alert ends there after this.
        #[serde(default = "default_hold")]
        hold: Span,
        /// PEM file of further certificate authorities.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tls_ca_file: Option<PathBuf>,
    }
}

fn default_hold() -> Span {
    Span::from_secs(86_400)
}

impl Section for Alertmanager {
    common!();

    fn secrets(&self) -> Vec<&Secret> {
        self.token.iter().collect()
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        given!(self, token, token_file, token_env).check(key, false, checker);
        check_url(&self.url, self.tls_ca_file.as_deref(), key, checker);
        if self.hold < Span::from_secs(60) {
            checker.say(format!("{key}.hold"), format!("{} is too short, expected at least 1m", self.hold));
        }
    }
}
