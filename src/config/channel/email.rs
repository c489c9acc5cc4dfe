//! `[[channel.email]]`: mail, handed to a server by SMTP.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Section, common, given, section};
use crate::base::secret::Secret;
use crate::config::check::Checker;

/// Keys that the file holds, see [`crate::config::listed`].
pub const PINNED: [&str; 10] =
    ["name", "host", "port", "tls", "user", "password", "password_file", "password_env", "tls_ca_file", "to"];
/// See [`super::is_secret`].
pub const SECRETS: &[&str] = &[];

section! {
    "email" Email {
        host: String,
        /// 0 for the usual one: 587 with `starttls`, 465 with `tls`, 25 with `none`.
        #[serde(default)]
        port: u16,
        #[serde(default)]
        tls: TlsMode,
        /// PEM file of further certificate authorities.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tls_ca_file: Option<PathBuf>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// At most one of the three, and none without `user`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<Secret>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password_file: Option<PathBuf>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password_env: Option<String>,
        /// `holdfast@example.org` or `holdfast <holdfast@example.org>`.
        from: String,
        to: Vec<String>,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// Encrypted after asking; a server that cannot is refused.
    #[default]
    Starttls,
    /// Encrypted from the first byte.
    Tls,
    /// In clear: for a server on the same host.
    None,
}

impl Email {
    /// The port that is meant.
    pub const fn real_port(&self) -> u16 {
        match (self.port, self.tls) {
            (0, TlsMode::Starttls) => 587,
            (0, TlsMode::Tls) => 465,
            (0, TlsMode::None) => 25,
            (port, _) => port,
        }
    }
}

const MOST_RECIPIENTS: usize = 50;

impl Section for Email {
    common!();

    fn secrets(&self) -> Vec<&Secret> {
        self.password.iter().collect()
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if self.host.is_empty() || !self.host.bytes().all(plain) {
            checker.say(format!("{key}.host"), "expected a host name or an IP address");
        }
        let mailbox = |text: &str| text.parse::<lettre::message::Mailbox>().is_ok();
        let wrong = |text: &str| {
            format!("`{text}` is no mail address, expected for example \"holdfast <holdfast@example.org>\"")
        };
        if !mailbox(&self.from) {
            checker.say(format!("{key}.from"), wrong(&self.from));
        }
        if self.to.is_empty() || self.to.len() > MOST_RECIPIENTS {
            let message = format!("{} recipients, expected 1 to {MOST_RECIPIENTS}", self.to.len());
            checker.say(format!("{key}.to"), message);
        }
        for (index, to) in self.to.iter().enumerate().filter(|(_, to)| !mailbox(to)) {
            checker.say_of(format!("{key}.to"), index, wrong(to));
        }
        given!(self, password, password_file, password_env).check(key, self.user.is_some(), checker);
        if self.user.is_none() && self.password.is_some() {
            checker.say(format!("{key}.password"), "has no effect, expected a `user` beside it");
        }
        checker.file(&format!("{key}.tls_ca_file"), self.tls_ca_file.as_deref());
        if self.tls == TlsMode::None {
            if self.tls_ca_file.is_some() {
                let message =
                    "has no effect: nobody is verified, expected `tls` = \"starttls\" or \"tls\" beside it";
                checker.say(format!("{key}.tls_ca_file"), message);
            }
            let local = ["localhost", "127.0.0.1", "::1"].contains(&self.host.as_str());
            if self.user.is_some() && !local {
                let message =
                    "the password would be sent in clear, expected `tls` = \"starttls\" or \"tls\" beside it";
                checker.say(format!("{key}.user"), message);
            }
        }
    }
}
