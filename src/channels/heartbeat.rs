//! `[[channel.heartbeat]]`: the ping that stops when the agent does.
//!
//! It takes no notice: whoever owns it calls [`Channel::deliver`](super::Channel::deliver)
//! with [`ping`] at every interval, and what the ping says is that somebody lives.

use serde_json::json;

use super::web::{Draft, Preset, Told, WebChannel, hidden_origin};
use super::{Made, Surroundings, credential};
use crate::base::time::Timestamp;
use crate::config::channel::Section as _;
use crate::config::channel::heartbeat::{Heartbeat, Method};
use crate::model::message::sample_notice;
use crate::model::notice::{Notice, NoticeKind};
use crate::runtime::credential::Credential;

struct Pulse {
    method: Method,
    url: Credential,
}

/// See the module.
pub(super) fn make(section: &Heartbeat, surroundings: &Surroundings) -> Made {
    let url = credential!(section, url, url_file, url_env, surroundings);
    let pulse = Pulse { method: section.method, url };
    Made {
        address: hidden_origin(section.url.as_ref()),
        channel: WebChannel::boxed(pulse, &section.common(), section.tls_ca_file.clone(), surroundings),
    }
}

/// What is given to the heartbeat `name` at `now`.
pub fn ping(name: &str, now: Timestamp) -> Notice {
    Notice { alerts: Vec::new(), ..sample_notice(name, NoticeKind::Test, now) }
}

impl Preset for Pulse {
    fn kind(&self) -> &'static str {
        "heartbeat"
    }

    fn credentials(&self) -> Vec<&Credential> {
        vec![&self.url]
    }

    fn drafts(&self, told: &Told<'_>) -> Result<Vec<Draft>, String> {
        let url = told.secret(0);
        let draft = match self.method {
            Method::Get => Draft::new(http::Method::GET, url.expose()),
            Method::Post => {
                let version = env!("CARGO_PKG_VERSION");
                let said = json!({"host": told.message.host, "version": version, "at": told.now.rfc3339()});
                Draft::json(url.expose(), &said)
            }
        };
        Ok(vec![draft.with_secret_url()])
    }
}
