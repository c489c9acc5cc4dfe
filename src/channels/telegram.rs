//! `[[channel.telegram]]`: a chat, through a bot. The bot's token is part of the path, so
//! the path is never shown.

use std::time::Duration;

use serde_json::{Value, json};

use super::web::{Draft, Preset, Told, WebChannel, origin};
use super::{Made, Surroundings, credential};
use crate::base::words::clip_by;
use crate::config::channel::Section as _;
use crate::config::channel::telegram::Telegram;
use crate::runtime::credential::Credential;

/// Longest message, UTF-16 units; Telegram takes 4096.
const LONGEST: usize = 4000;

struct Chat {
    section: Telegram,
    token: Credential,
}

/// See the module.
pub(super) fn make(section: &Telegram, surroundings: &Surroundings) -> Made {
    let token = credential!(section, token, token_file, token_env, surroundings);
    let chat = Chat { section: section.clone(), token };
    Made {
        address: format!("{}, chat {}", origin(&section.url), section.chat_id),
        channel: WebChannel::boxed(chat, &section.common(), section.tls_ca_file.clone(), surroundings),
    }
}

impl Preset for Chat {
    fn kind(&self) -> &'static str {
        Telegram::KIND
    }

    fn credentials(&self) -> Vec<&Credential> {
        vec![&self.token]
    }

    fn drafts(&self, told: &Told<'_>) -> Result<Vec<Draft>, String> {
        let message = &told.message;
        let text = format!("{}\n\n{}", message.title, message.text);
        let document = json!({
            "chat_id": self.section.chat_id,
            "text": clip_by(text.trim_end(), LONGEST, char::len_utf16),
            "link_preview_options": {"is_disabled": true},
        });
        let server = self.section.url.trim_end_matches('/');
        let url = format!("{server}/bot{}/sendMessage", told.secret(0).expose());
        Ok(vec![Draft::json(url, &document).with_secret_url()])
    }

    fn retry_after(&self, body: &[u8]) -> Option<Duration> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        answer["parameters"]["retry_after"].as_u64().map(Duration::from_secs)
    }
}
