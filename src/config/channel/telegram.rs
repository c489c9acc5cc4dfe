//! `[[channel.telegram]]`: a chat of Telegram, through a bot.

use std::path::PathBuf;

use super::{Section, check_url, common, given, section};
use crate::base::secret::Secret;
use crate::config::check::Checker;

/// Keys that the file holds, see [`crate::config::listed`].
pub const PINNED: [&str; 7] = ["name", "url", "chat_id", "token", "token_file", "token_env", "tls_ca_file"];
/// See [`super::is_secret`].
pub const SECRETS: &[&str] = &[];

section! {
    "telegram" Telegram {
        /// The server of the bots.
        #[serde(default = "default_url")]
        url: String,
        /// A number, or `@name` of a public channel.
        chat_id: String,
        /// Of the bot; exactly one of the three.
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
    String::from("https://api.telegram.org")
}

impl Section for Telegram {
    common!();

    fn secrets(&self) -> Vec<&Secret> {
        self.token.iter().collect()
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        given!(self, token, token_file, token_env).check(key, true, checker);
        check_url(&self.url, self.tls_ca_file.as_deref(), key, checker);
        let name = |text: &str| text.starts_with('@') && text.len() > 1;
        if self.chat_id.parse::<i64>().is_err() && !name(&self.chat_id) {
            let message =
                format!("`{}` is not a chat, expected a number or \"@name\" in quotes", self.chat_id);
            checker.say(format!("{key}.chat_id"), message);
        }
    }
}
