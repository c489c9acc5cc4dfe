//! `[tls]`: how the agent's own listeners encrypt.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::check::Checker;

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The chain and its key, PEM; both are read again when they change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// A certificate of our own in the data directory, made at the first start.
    pub self_signed: bool,
}

impl Tls {
    /// Whether the listeners encrypt.
    pub fn is_on(&self) -> bool {
        self.self_signed || self.cert_file.is_some()
    }

    /// Says what is wrong.
    pub fn check(&self, checker: &mut Checker<'_>) {
        let Self { cert_file, key_file, self_signed } = self;
        checker.file("tls.cert_file", cert_file.as_deref());
        checker.file("tls.key_file", key_file.as_deref());
        match (cert_file, key_file) {
            (Some(_), None) => checker.say("tls.key_file", "is missing, expected it beside `cert_file`"),
            (None, Some(_)) => checker.say("tls.cert_file", "is missing, expected it beside `key_file`"),
            (Some(_), Some(_)) if *self_signed => {
                checker.say("tls.self_signed", "given beside `cert_file`, expected only one of them");
            }
            _ => {}
        }
    }
}
