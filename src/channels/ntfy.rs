//! `[[channel.ntfy]]`: a topic of ntfy, published as JSON so that every character of a
//! title arrives.

use serde_json::json;

use super::look::Look;
use super::web::{Draft, Preset, Told, WebChannel, origin};
use super::{Made, Surroundings, credential};
use crate::base::words::clip_by;
use crate::config::channel::Section as _;
use crate::config::channel::ntfy::Ntfy;
use crate::runtime::credential::Credential;

/// Longest text, bytes; of one beyond 4096 ntfy makes a file.
const LONGEST: usize = 4000;

struct Topic {
    section: Ntfy,
    token: Credential,
}

/// See the module.
pub(super) fn make(section: &Ntfy, surroundings: &Surroundings) -> Made {
    let token = credential!(section, token, token_file, token_env, surroundings);
    let topic = Topic { section: section.clone(), token };
    Made {
        address: format!("{}/{}", origin(&section.url), section.topic),
        channel: WebChannel::boxed(topic, &section.common(), section.tls_ca_file.clone(), surroundings),
    }
}

impl Preset for Topic {
    fn kind(&self) -> &'static str {
        Ntfy::KIND
    }

    fn credentials(&self) -> Vec<&Credential> {
        vec![&self.token]
    }

    fn drafts(&self, told: &Told<'_>) -> Result<Vec<Draft>, String> {
        let (message, look) = (&told.message, Look::of(&told.message));
        let mut document = json!({
            "topic": self.section.topic,
            "title": message.title,
            "message": clip_by(&message.text, LONGEST, char::len_utf8),
            "priority": look.urgency,
            "tags": [look.emblem],
        });
        if let Some(link) = told.link() {
            document["click"] = link.into();
        }
        Ok(vec![Draft::json(self.section.url.as_str(), &document).bearer(&told.secret(0))])
    }
}
