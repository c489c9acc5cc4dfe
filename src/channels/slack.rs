//! `[[channel.slack]]`: the incoming webhook of Slack, which Mattermost and Rocket.Chat
//! understand, too.
//!
//! Text is sent as text: no markup of ours, and what stands in an alert does not become
//! any, nor a mention of everybody in the room.

use serde_json::json;

use super::look::Look;
use super::web::{Draft, Preset, Told, WebChannel, hidden_origin};
use super::{Made, Surroundings, credential};
use crate::config::channel::Section as _;
use crate::config::channel::slack::Slack;
use crate::runtime::credential::Credential;

struct Hook {
    url: Credential,
}

/// See the module.
pub(super) fn make(section: &Slack, surroundings: &Surroundings) -> Made {
    let hook = Hook { url: credential!(section, url, url_file, url_env, surroundings) };
    Made {
        address: hidden_origin(section.url.as_ref()),
        channel: WebChannel::boxed(hook, &section.common(), section.tls_ca_file.clone(), surroundings),
    }
}

impl Preset for Hook {
    fn kind(&self) -> &'static str {
        Slack::KIND
    }

    fn credentials(&self) -> Vec<&Credential> {
        vec![&self.url]
    }

    fn drafts(&self, told: &Told<'_>) -> Result<Vec<Draft>, String> {
        let message = &told.message;
        let title = escaped(&message.title);
        let document = json!({
            "text": title,
            "mrkdwn": false,
            "attachments": [{
                "color": Look::of(message).hex(),
                "fallback": title,
                "text": escaped(&message.text),
                "mrkdwn_in": [],
            }],
        });
        Ok(vec![Draft::json(told.secret(0).expose(), &document).with_secret_url()])
    }
}

/// The three characters that Slack reads even in plain text.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
