//! `[[target.object_store]]`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::base::units::Span;
use crate::config::check::Checker;

use super::breaker::Breaker;
use super::{Section, common, default_interval, default_timeout, yes};

/// One operation of the canary cycle.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    Put,
    Head,
    Get,
    List,
    Delete,
}

impl Operation {
    /// As in the configuration, in records and labels.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Head => "head",
            Self::Get => "get",
            Self::List => "list",
            Self::Delete => "delete",
        }
    }
}

/// Keys that the file holds, see [`crate::config::listed`].
pub const PINNED: [&str; 9] = [
    "name",
    "endpoint",
    "region",
    "bucket",
    "access_key_id",
    "secret_access_key",
    "secret_access_key_file",
    "secret_access_key_env",
    "tls_ca_file",
];

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectStore {
    pub name: Name,
    /// `http://host:port` or `https://...`; path-style addressing.
    pub endpoint: String,
    #[serde(default = "default_region")]
    pub region: String,
    pub bucket: String,
    pub access_key_id: String,
    /// Exactly one of the three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_access_key_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_access_key_env: Option<String>,
    /// PEM file of further certificate authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ca_file: Option<PathBuf>,
    #[serde(default = "default_interval")]
    pub interval: Span,
    /// One deadline over the whole cycle.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    #[serde(default = "default_operations")]
    pub operations: Vec<Operation>,
    /// Whether it is probed.
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default)]
    pub breaker: Breaker,
    /// What people call it; its name where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// Operations that take longer on average are worth an alert.
    #[serde(default = "default_slow_response")]
    pub slow_response: Span,
    /// Whether an alert is raised when it fails, and when it is back.
    #[serde(default = "yes")]
    pub alert_on_failure: bool,
    #[serde(default = "yes")]
    pub alert_on_recovery: bool,
}

fn default_region() -> String {
    String::from("us-east-1")
}

fn default_slow_response() -> Span {
    Span::from_secs(2)
}

fn default_operations() -> Vec<Operation> {
    vec![Operation::Get, Operation::Put, Operation::Delete, Operation::List, Operation::Head]
}

impl Section for ObjectStore {
    common!("object_store");

    fn secrets(&self) -> Vec<&Secret> {
        self.secret_access_key.iter().collect()
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        if let Err(message) = endpoint(&self.endpoint) {
            checker.say(format!("{key}.endpoint"), message);
        }
        if self.bucket.is_empty() {
            checker.say(format!("{key}.bucket"), "empty, expected the name of a bucket");
        } else if !is_bucket(&self.bucket) {
            let message = format!(
                "`{}` is not the name of a bucket, expected letters, digits, `-`, `_` and single dots",
                self.bucket
            );
            checker.say(format!("{key}.bucket"), message);
        }
        if self.tls_ca_file.is_some() && !self.endpoint.starts_with("https://") {
            checker.say(
                format!("{key}.tls_ca_file"),
                "has no effect: nobody is verified, expected an `endpoint` with https:// beside it",
            );
        }
        if self.operations.is_empty() {
            checker.say(
                format!("{key}.operations"),
                "empty, expected at least one of put, head, get, list, delete",
            );
        }
        let sources = [
            ("secret_access_key", self.secret_access_key.is_some()),
            ("secret_access_key_file", self.secret_access_key_file.is_some()),
            ("secret_access_key_env", self.secret_access_key_env.is_some()),
        ];
        if sources.iter().all(|(_, given)| !given) {
            checker.say(key, "no secret key, expected one of secret_access_key_file, secret_access_key_env, secret_access_key");
        }
        checker.at_most_one(key, &sources);
        checker.variable(&format!("{key}.secret_access_key_env"), self.secret_access_key_env.as_deref());
        checker.file(&format!("{key}.secret_access_key_file"), self.secret_access_key_file.as_deref());
        checker.file(&format!("{key}.tls_ca_file"), self.tls_ca_file.as_deref());
    }
}

/// Whether it stays one step of a path: buckets are addressed by path.
fn is_bucket(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.bytes().all(plain) && name != "." && !name.contains("..")
}

fn endpoint(text: &str) -> Result<(), String> {
    // Before anything that shows the text: what is before the @ may be a password.
    if text.contains('@') {
        return Err(String::from(
            "has credentials in it, expected them in access_key_id and secret_access_key_file",
        ));
    }
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.map(|rest| rest.trim_end_matches('/')).unwrap_or_default();
    let port_fits =
        host.rsplit_once(':').is_none_or(|(_, port)| port.ends_with(']') || port.parse::<u16>().is_ok());
    if host.is_empty() || host.contains(['/', '?', '#', ' ']) || !port_fits {
        return Err(format!("`{text}` is not an endpoint, expected for example \"http://127.0.0.1:3900\""));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for good in ["http://127.0.0.1:3900", "https://s3.example", "http://[::1]:3900/", "http://[::1]"] {
            assert_eq!(endpoint(good), Ok(()), "{good}");
        }
        for bad in ["127.0.0.1:3900", "http://", "s3://x", "http://a:b", "http://u:p@h", "http://h/bucket"] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
        for secret in ["https://u:geheim@h", "s3://u:geheim@h", "u:geheim@h"] {
            assert!(!endpoint(secret).unwrap_err().contains("geheim"), "{secret}");
        }
        for (name, good) in
            [("backups", true), ("a.b-c_D", true), ("a/b", false), ("..", false), ("a..b", false)]
        {
            assert_eq!(is_bucket(name), good, "{name}");
        }
    }
}
