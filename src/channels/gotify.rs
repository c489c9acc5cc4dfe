//! `[[channel.gotify]]`: an application of a Gotify server.

use serde_json::json;

use super::look::Look;
use super::web::{Draft, Preset, Told, WebChannel, origin};
use super::{Made, Surroundings, credential};
use crate::config::channel::Section as _;
use crate::config::channel::gotify::Gotify;
use crate::runtime::credential::Credential;

struct Application {
    url: String,
    token: Credential,
}

/// See the module.
pub(super) fn make(section: &Gotify, surroundings: &Surroundings) -> Made {
    let url = format!("{}/message", section.url.trim_end_matches('/'));
    let token = credential!(section, token, token_file, token_env, surroundings);
    Made {
        address: origin(&section.url),
        channel: WebChannel::boxed(
            Application { url, token },
            &section.common(),
            section.tls_ca_file.clone(),
            surroundings,
        ),
    }
}

impl Preset for Application {
    fn kind(&self) -> &'static str {
        Gotify::KIND
    }

    fn credentials(&self) -> Vec<&Credential> {
        vec![&self.token]
    }

    fn drafts(&self, told: &Told<'_>) -> Result<Vec<Draft>, String> {
        let message = &told.message;
        let mut document = json!({
            "title": message.title,
            "message": message.text,
            "priority": Look::of(message).priority,
        });
        if let Some(link) = told.link() {
            document["extras"] = json!({"client::notification": {"click": {"url": link}}});
        }
        Ok(vec![Draft::json(self.url.as_str(), &document).secret_header("x-gotify-key", told.secret(0))])
    }
}
