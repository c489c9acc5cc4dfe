//! `[[channel.webhook]]`: any server that takes a POST.

use std::path::PathBuf;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

use super::{Section, check_url, common, given, section};
use crate::base::secret::Secret;
use crate::config::check::Checker;

/// Keys that the file holds, see [`crate::config::listed`].
pub const PINNED: [&str; 11] = [
    "name",
    "url",
    "url_file",
    "url_env",
    "secret",
    "secret_file",
    "secret_env",
    "secret_headers",
    "secret_headers_file",
    "secret_headers_env",
    "tls_ca_file",
];
/// See [`super::is_secret`].
pub const SECRETS: &[&str] = &[];

section! {
    "webhook" Webhook {
        /// Exactly one of the three; one that is secret does not stand in the first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url_file: Option<PathBuf>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url_env: Option<String>,
        #[serde(default)]
        method: Method,
        #[serde(default = "default_content_type")]
        content_type: String,
        /// `Name: value` each.
        #[serde(default)]
        headers: Vec<String>,
        /// The same, one in a line, for those that nobody may see; at most one of the three.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret_headers: Option<Secret>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret_headers_file: Option<PathBuf>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret_headers_env: Option<String>,
        /// Signs every request as Standard Webhooks say; at most one of the three.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<Secret>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret_file: Option<PathBuf>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret_env: Option<String>,
        /// PEM file of further certificate authorities.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tls_ca_file: Option<PathBuf>,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    #[default]
    Post,
    Put,
}

fn default_content_type() -> String {
    String::from("application/json")
}

const MOST_HEADERS: usize = 32;

impl Section for Webhook {
    common!();

    fn secrets(&self) -> Vec<&Secret> {
        self.secret_headers.iter().chain(&self.secret).collect()
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        given!(self, url, url_file, url_env).check(key, true, checker);
        given!(self, secret_headers, secret_headers_file, secret_headers_env).check(key, false, checker);
        given!(self, secret, secret_file, secret_env).check(key, false, checker);
        match &self.url {
            Some(url) => check_url(url, self.tls_ca_file.as_deref(), key, checker),
            None => checker.file(&format!("{key}.tls_ca_file"), self.tls_ca_file.as_deref()),
        }
        if self.secret.as_ref().is_some_and(|secret| signing_key(secret).is_none()) {
            checker.say(
                format!("{key}.secret"),
                "it does not end in Base64, expected whsec_BASE64, or any text without that beginning",
            );
        }
        if self.headers.len() > MOST_HEADERS {
            let message = format!("{} headers, expected at most {MOST_HEADERS}", self.headers.len());
            checker.say(format!("{key}.headers"), message);
        }
        for (index, header) in self.headers.iter().enumerate() {
            if split_header(header).is_none() {
                let message = format!("`{header}` is not a header, expected \"Name: value\"");
                checker.say_of(format!("{key}.headers"), index, message);
            }
        }
        let all = self.secret_headers.as_ref().map_or("", Secret::expose);
        if headers_of(all).any(|header| header.is_none()) {
            checker.say(
                format!("{key}.secret_headers"),
                "it is no header, expected \"Name: value\" in every line",
            );
        }
        if !is_header_value(&self.content_type) || self.content_type.is_empty() {
            checker.say(
                format!("{key}.content_type"),
                "cannot stand in a header, expected for example \"application/json\"",
            );
        }
    }
}

/// What a secret of Standard Webhooks begins with; the rest is the Base64 of the key.
const PREFIX: &str = "whsec_";
/// With or without its padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes that sign; `None` when what follows the prefix is not Base64.
pub fn signing_key(secret: &Secret) -> Option<Vec<u8>> {
    match secret.expose().strip_prefix(PREFIX) {
        Some(encoded) => LENIENT.decode(encoded).ok().filter(|key| !key.is_empty()),
        None => Some(secret.expose().as_bytes().to_vec()),
    }
}

/// Headers that are made here and by nobody else.
const OWN: [&str; 4] = ["host", "content-length", "content-type", "transfer-encoding"];

/// Name and value; `None` when it is no header, or one that is not free.
pub fn split_header(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once(':')?;
    let value = value.trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let free = !OWN.contains(&name.to_ascii_lowercase().as_str());
    (!name.is_empty() && name.bytes().all(plain) && free && is_header_value(value)).then_some((name, value))
}

/// The headers of a text with one in a line, each as [`split_header`] has it.
pub fn headers_of(text: &str) -> impl Iterator<Item = Option<(&str, &str)>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.take(MOST_HEADERS).map(split_header)
}

fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}
