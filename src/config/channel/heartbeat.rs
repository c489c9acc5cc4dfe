//! `[[channel.heartbeat]]`: a ping that goes out while the agent lives, so that
//! somebody else notices when it does not. No notice goes there.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Common, Section, check_secret_url, default_timeout, given, yes};
use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::base::units::Span;
use crate::config::check::Checker;

/// Keys that the file holds, see [`crate::config::listed`].
pub const PINNED: [&str; 5] = ["name", "url", "url_file", "url_env", "tls_ca_file"];
/// See [`super::is_secret`]: whoever has the address may keep silent deaths secret.
pub const SECRETS: &[&str] = &["url"];

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    pub name: Name,
    /// Where it goes, a secret; exactly one of the three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_env: Option<String>,
    #[serde(default)]
    pub method: Method,
    /// Between two pings.
    #[serde(default = "default_interval")]
    pub interval: Span,
    /// PEM file of further certificate authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ca_file: Option<PathBuf>,
    /// Whether it goes out.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// One deadline over a whole ping.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    #[default]
    Get,
    Post,
}

fn default_interval() -> Span {
    Span::from_secs(60)
}

impl Section for Heartbeat {
    fn kind(&self) -> &'static str {
        "heartbeat"
    }

    fn common(&self) -> Common<'_> {
        let Self { name, enabled, timeout, .. } = self;
        let heartbeat = Some(self.interval);
        let (enabled, timeout) = (*enabled, *timeout);
        Common { name, enabled, timeout, send_resolved: false, title: None, body: None, heartbeat }
    }

    fn secrets(&self) -> Vec<&Secret> {
        self.url.iter().collect()
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        given!(self, url, url_file, url_env).check(key, true, checker);
        check_secret_url(self.url.as_ref(), key, checker);
        checker.file(&format!("{key}.tls_ca_file"), self.tls_ca_file.as_deref());
        if self.interval < Span::from_secs(5) {
            checker.say(
                format!("{key}.interval"),
                format!("{} is too short, expected at least 5s", self.interval),
            );
        }
        if self.timeout > self.interval {
            let message = format!(
                "{} is longer than the interval of {}, expected at most that",
                self.timeout, self.interval
            );
            checker.say(format!("{key}.timeout"), message);
        }
    }
}
